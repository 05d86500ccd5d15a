//! Passes over rows that were shown already.

use super::identity::encode;
use super::keys::Keys;
use crate::eval::Warnings;
use crate::value::Value;

/// The rows that were shown.
pub(super) struct Distinct {
    /// How many values of a row are shown.
    shown: usize,
    seen: Keys,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

impl Distinct {
    pub(super) fn new(shown: usize) -> Self {
        Self { shown, seen: Keys::new(), bytes: Vec::new() }
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
            let (_, new) = self.seen.number(&self.bytes);
            new
        });
    }
}
