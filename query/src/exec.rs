//! Executes the user-space half of a plan over the rows of a scan.

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
    let Some(Source::Host(kind, _)) = plan.inputs[lookup].source() else { return };
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
        Err(reason) => notes.push(format!("`{}` is NULL: {reason}", plan.inputs[lookup].name())),
    }
}

/// What tells rows apart: equal rows have equal bytes.
fn identity(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |tag: u8, text: &[u8]| {
        bytes.push(tag);
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    };
    for value in row {
        match value {
            Value::Null => text(0, &[]),
            Value::Bool(value) => text(1, &[u8::from(*value)]),
            Value::Int(value) => text(2, &value.to_le_bytes()),
            Value::UInt(value) => text(3, &value.to_le_bytes()),
            // Both zeros are one number.
            Value::Float(value) => text(4, &(value + 0.0).to_le_bytes()),
            Value::Text(value) => text(5, value),
            Value::List(list) => {
                text(6, &(list.len() as u64).to_le_bytes());
                for item in list {
                    text(7, item);
                }
            }
        }
    }
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_tells_rows_apart() {
        let text = |text: &str| Value::text(text);
        let list =
            |items: &[&str]| Value::List(items.iter().map(|item| item.as_bytes().into()).collect());
        let rows = [
            vec![],
            vec![Value::Null],
            vec![Value::Null, Value::Null],
            vec![Value::Bool(false)],
            vec![Value::UInt(0)],
            vec![Value::Int(0)],
            vec![Value::Int(-1)],
            vec![Value::UInt(u64::MAX)],
            vec![Value::Float(0.0)],
            vec![text("")],
            vec![text(""), text("ab")],
            vec![text("a"), text("b")],
            vec![text("ab"), text("")],
            vec![list(&[])],
            vec![list(&["a", "b"])],
            vec![list(&["ab"])],
            vec![list(&["a"]), text("b")],
            vec![list(&["a"]), list(&["b"])],
        ];
        for (i, left) in rows.iter().enumerate() {
            for (j, right) in rows.iter().enumerate() {
                assert_eq!(identity(left) == identity(right), i == j, "{left:?} and {right:?}");
            }
        }
        assert_eq!(identity(&[Value::Float(0.0)]), identity(&[Value::Float(-0.0)]));
    }
}
