//! Keeps the rows that satisfy conditions.

use super::flow::Flow;
use crate::eval::{self, Warnings};
use crate::plan::Residual;
use crate::plan::explain::Operator;
use crate::value::Value;

/// Keeps the rows of which every condition is true.
pub(super) fn filter(
    rows: &mut Vec<Vec<Value>>,
    conditions: &[(Operator, &Residual)],
    warnings: &mut Warnings,
    flow: &mut Flow,
) {
    for (operator, condition) in conditions {
        let into = rows.len();
        rows.retain(|row| eval::truth(&eval::eval(&condition.expr, row, warnings)) == Some(true));
        flow.add(*operator, into, rows.len());
    }
}
