//! Orders rows. Of an answer with a limit it keeps the rows within the limit, and at most as many again.
//!
//! Rows that are equal by all keys keep the order in which they came.

use std::cmp::Ordering;

use super::project::Projected;
use crate::plan::Plan;
use crate::typed::Key;
use crate::value::Value;

/// Fewer rows than these are not worth sorting just to be rid of some.
const FEW: usize = 64;

/// The rows that may be in the answer.
pub(super) struct Sort<'a> {
    keys: &'a [Key],
    /// How many are in the answer, those that `offset` passes over included.
    wanted: usize,
    rows: Vec<Projected>,
    /// How many rows there were to choose from.
    added: usize,
    /// Whether the first rows are sorted and as many as are wanted.
    full: bool,
}

impl<'a> Sort<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let wanted = plan.limit.map_or(u64::MAX, |limit| limit.saturating_add(plan.offset));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        Self { keys: &plan.order_by, wanted, rows: Vec::new(), added: 0, full: false }
    }

    /// How many rows there were to choose from.
    pub(super) fn added(&self) -> usize {
        self.added
    }

    pub(super) fn add(&mut self, rows: Vec<Projected>) {
        self.added += rows.len();
        if self.wanted == 0 {
            return;
        }
        for row in rows {
            // Of equal rows those that came first are in the answer.
            if self.full && order(self.keys, &row, &self.rows[self.wanted - 1]).is_ge() {
                continue;
            }
            self.rows.push(row);
            if self.rows.len() >= self.wanted.saturating_mul(2).max(FEW) {
                self.cut();
            }
        }
    }

    /// All rows that are wanted, in their order.
    pub(super) fn finish(mut self) -> Vec<Projected> {
        self.cut();
        self.rows
    }

    fn cut(&mut self) {
        let keys = self.keys;
        self.rows.sort_by(|left, right| order(keys, left, right));
        self.rows.truncate(self.wanted);
        self.full = self.rows.len() == self.wanted;
    }
}

/// The order of two rows by their keys.
fn order(keys: &[Key], left: &Projected, right: &Projected) -> Ordering {
    keys.iter()
        .zip(left.keys.iter().zip(&right.keys))
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
