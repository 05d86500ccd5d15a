//! Executes the user-space half of a plan over the rows of a scan.

mod fold;
mod group;
mod identity;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use crate::catalog::{Lookup, Source};
use crate::eval::{self, Warnings};
use crate::layout::Row;
use crate::offer::Offer;
use crate::output::{Output, OutputColumn};
use crate::plan::{Plan, Residual, Target, lookup_arguments};
use crate::typed::Key;
use crate::value::{Type, Value};
use group::Groups;
use identity::identity;

/// Looks up what only user space knows.
pub trait Host {
    /// The results of `lookup` for each list of arguments, in their order; or why there are none.
    fn look_up(&self, lookup: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String>;
}

/// Runs `plan` over `rows`, which the kernel has filtered already as far as the plan says. `warnings` is what the
/// scan itself had to say.
#[must_use]
pub fn run(
    plan: &Plan,
    rows: Vec<Row>,
    host: &dyn Host,
    offer: &dyn Offer,
    mut warnings: Warnings,
) -> Output {
    let mut notes: Vec<String> = plan
        .missing
        .iter()
        .map(|missing| format!("`{}` is NULL: {}", missing.column.name, missing.reason))
        .collect();
    let mut rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.values).collect();
    let (early, late): (Vec<&Residual>, Vec<&Residual>) =
        plan.filter.iter().partition(|residual| !residual.on_lookup);
    filter(&mut rows, &early, &mut warnings);
    // Rows that are there already hold what was looked up when they were taken.
    for lookup in plan.lookups.iter().filter(|_| plan.target != Target::Rows) {
        look_up(plan, *lookup, &mut rows, host, &mut notes);
    }
    filter(&mut rows, &late, &mut warnings);
    if let Some(group) = &plan.group {
        let mut groups = Groups::new(group);
        rows.iter().for_each(|row| groups.add(row, &mut warnings));
        rows = groups.finish(&mut warnings);
        filter(&mut rows, &group.having.iter().collect::<Vec<_>>(), &mut warnings);
    }

    let mut answer: Vec<(Vec<Value>, Vec<Value>)> = rows
        .iter()
        .map(|row| {
            let shown =
                plan.items.iter().map(|item| eval::eval(&item.expr, row, &mut warnings)).collect();
            let keys =
                plan.order_by.iter().map(|key| eval::eval(&key.expr, row, &mut warnings)).collect();
            (shown, keys)
        })
        .collect();
    if plan.distinct {
        let mut seen = HashSet::new();
        answer.retain(|(shown, _)| seen.insert(identity(shown)));
    }
    if !plan.order_by.is_empty() {
        answer.sort_by(|(_, left), (_, right)| order(&plan.order_by, left, right));
    }
    let offset = usize::try_from(plan.offset).unwrap_or(usize::MAX);
    let limit = plan.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let rows = answer.into_iter().skip(offset).take(limit).map(|(shown, _)| shown).collect();

    if warnings.range > 0 {
        notes.push("arithmetic left the 64-bit range; the result is NULL there".to_owned());
    }
    Output { columns: columns(plan, offer), rows, warnings: notes }
}

/// The columns of the answer.
#[must_use]
pub fn columns(plan: &Plan, offer: &dyn Offer) -> Vec<OutputColumn> {
    plan.items
        .iter()
        .map(|item| {
            let (name, ty, unit) = (item.name.clone(), item.expr.ty, item.expr.unit);
            let flag_names: Option<Arc<[(String, u32)]>> = match ty {
                Type::SlabFlags => Some(offer.slab_flags().into()),
                Type::GfpFlags => Some(offer.gfp_flags().into()),
                _ => None,
            };
            OutputColumn { name, ty, unit, flag_names }
        })
        .collect()
}

/// Keeps the rows of which every condition is true.
fn filter(rows: &mut Vec<Vec<Value>>, conditions: &[&Residual], warnings: &mut Warnings) {
    for condition in conditions {
        rows.retain(|row| eval::truth(&eval::eval(&condition.expr, row, warnings)) == Some(true));
    }
}

/// Fills input `lookup` of every row.
fn look_up(
    plan: &Plan,
    lookup: usize,
    rows: &mut [Vec<Value>],
    host: &dyn Host,
    notes: &mut Vec<String>,
) {
    let column = plan.inputs[lookup];
    let Source::Host(kind, _) = column.source else { return };
    let arguments = lookup_arguments(lookup, &plan.inputs);
    let arguments: Vec<Vec<Value>> = rows
        .iter()
        .map(|row| arguments.iter().map(|argument| row[*argument].clone()).collect())
        .collect();
    match host.look_up(kind, &arguments) {
        Ok(values) => {
            for (row, value) in rows.iter_mut().zip(values) {
                row[lookup] = value;
            }
        }
        Err(reason) => notes.push(format!("`{}` is NULL: {reason}", column.name)),
    }
}

/// The order of two rows by their keys; rows that are equal by all of them keep theirs.
fn order(keys: &[Key], left: &[Value], right: &[Value]) -> Ordering {
    keys.iter()
        .zip(left.iter().zip(right))
        .map(|(key, (left, right))| match (left, right) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => {
                if key.nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (_, Value::Null) => {
                if key.nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            _ => {
                let order = left.compare(right).unwrap_or(Ordering::Equal);
                if key.descending { order.reverse() } else { order }
            }
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}
