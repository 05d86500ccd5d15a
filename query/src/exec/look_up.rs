//! Fills the inputs that only user space knows.

use super::Host;
use crate::catalog::Source;
use crate::plan::{Plan, Target, lookup_arguments};
use crate::value::Value;

/// Fills the inputs `lookups` of `rows`, and says of those that cannot be why.
pub(super) fn all(
    plan: &Plan,
    lookups: &[usize],
    rows: &mut [Vec<Value>],
    host: &dyn Host,
) -> Vec<String> {
    // Rows that are there already hold what was looked up when they were taken.
    if matches!(plan.target, Target::Rows(_)) {
        return Vec::new();
    }
    lookups.iter().filter_map(|lookup| one(plan, *lookup, rows, host)).collect()
}

/// Fills input `lookup` of every row.
fn one(plan: &Plan, lookup: usize, rows: &mut [Vec<Value>], host: &dyn Host) -> Option<String> {
    let Some(Source::Host(kind, _)) = plan.inputs[lookup].source() else { return None };
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
