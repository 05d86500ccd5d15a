//! Fills the inputs that only user space knows.

use super::Host;
use crate::plan::{Plan, Target, lookup_arguments};
use crate::value::Value;

/// Fills the inputs `lookups` of `rows`, and says of those that cannot be why.
pub(super) fn all(
    plan: &Plan,
    lookups: &[usize],
    rows: &mut [Vec<Value>],
    host: &dyn Host,
) -> Vec<String> {
    // Rows that are there already hold the columns that were looked up when they were taken.
    let is_there = |lookup: &&usize| {
        matches!(plan.target, Target::Rows(_)) && plan.inputs[**lookup].column().is_some()
    };
    let lookups = lookups.iter().filter(|lookup| !is_there(lookup));
    lookups.filter_map(|lookup| one(plan, *lookup, rows, host)).collect()
}

/// Fills input `lookup` of every row.
fn one(plan: &Plan, lookup: usize, rows: &mut [Vec<Value>], host: &dyn Host) -> Option<String> {
    let kind = plan.inputs[lookup].lookup()?;
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
            None
        }
        Err(reason) => Some(format!("`{}` is NULL: {reason}", plan.inputs[lookup].name())),
    }
}
