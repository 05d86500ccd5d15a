//! Computes what is shown of a row, and what it is sorted by.

use crate::eval::{self, Warnings};
use crate::plan::Plan;
use crate::value::Value;

/// A row of the answer on its way.
#[derive(Debug)]
pub(super) struct Projected {
    /// What is shown.
    pub shown: Vec<Value>,
    /// What it is sorted by.
    pub keys: Vec<Value>,
}

/// The rows of the answer for rows of inputs.
pub(super) fn project(plan: &Plan, rows: &[Vec<Value>], warnings: &mut Warnings) -> Vec<Projected> {
    rows.iter()
        .map(|row| Projected {
            shown: plan.items.iter().map(|item| eval::eval(&item.expr, row, warnings)).collect(),
            keys: plan.order_by.iter().map(|key| eval::eval(&key.expr, row, warnings)).collect(),
        })
        .collect()
}
