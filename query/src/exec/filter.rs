//! Keeps the rows that satisfy conditions.

use super::flow::Flow;
use crate::eval::{self, Warnings};
use crate::plan::Residual;
use crate::plan::explain::Operator;
use crate::value::Value;

/// Keeps the rows of which every condition is true.
pub(super) fn filter(
    rows: &mut Vec<Vec<Value>>,
    conditions: &[(usize, &Residual)],
    warnings: &mut Warnings,
    flow: &mut Flow,
) {
    for (number, condition) in conditions {
        let into = rows.len();
        rows.retain(|row| eval::truth(&eval::eval(&condition.expr, row, warnings)) == Some(true));
        flow.add(Operator::Filter(*number), into, rows.len());
    }
}
