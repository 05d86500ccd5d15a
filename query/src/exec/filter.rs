//! Keeps the rows that satisfy conditions.

use crate::eval::{self, Warnings};
use crate::plan::Residual;
use crate::value::Value;

/// Keeps the rows of which every condition is true.
pub(super) fn filter(
    rows: &mut Vec<Vec<Value>>,
    conditions: &[&Residual],
    warnings: &mut Warnings,
) {
    for condition in conditions {
        rows.retain(|row| eval::truth(&eval::eval(&condition.expr, row, warnings)) == Some(true));
    }
}
