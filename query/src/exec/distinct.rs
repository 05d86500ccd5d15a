//! Passes over rows that were shown already.

use std::collections::HashSet;

use super::identity::encode;
use super::project::Projected;

/// The rows that were shown.
#[derive(Default)]
pub(super) struct Distinct {
    seen: HashSet<Box<[u8]>>,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

impl Distinct {
    /// Keeps the first of equal rows.
    pub(super) fn retain(&mut self, rows: &mut Vec<Projected>) {
        rows.retain(|row| {
            self.bytes.clear();
            for value in &row.shown {
                encode(value, &mut self.bytes);
            }
            !self.seen.contains(&*self.bytes) && self.seen.insert((*self.bytes).into())
        });
    }
}
