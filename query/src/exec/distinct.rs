//! Passes over rows that were shown already.

use std::collections::HashSet;

use super::identity::encode;
use crate::eval::Warnings;
use crate::value::Value;

/// The rows that were shown.
pub(super) struct Distinct {
    /// How many values of a row are shown.
    shown: usize,
    seen: HashSet<Box<[u8]>>,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

impl Distinct {
    pub(super) fn new(shown: usize) -> Self {
        Self { shown, seen: HashSet::new(), bytes: Vec::new() }
    }

    /// Keeps the first of equal rows.
    pub(super) fn retain(&mut self, rows: &mut Vec<Vec<Value>>, warnings: &mut Warnings) {
        rows.retain(|row| {
            if warnings.step(self.shown) {
                return false;
            }
            self.bytes.clear();
            for value in row.iter().take(self.shown) {
                encode(value, &mut self.bytes);
            }
            !self.seen.contains(&*self.bytes) && self.seen.insert((*self.bytes).into())
        });
    }
}
