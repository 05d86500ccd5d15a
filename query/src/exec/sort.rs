//! Orders rows. Of an answer with a limit it keeps the rows within the limit, and at most as many again.
//!
//! Rows that are equal by all keys keep the order in which they came.

use std::cmp::Ordering;

use crate::bound::Key;
use crate::eval::Warnings;
use crate::value::Value;

/// Fewer rows than these are not worth sorting just to be rid of some.
const FEW: usize = 64;

/// So many rows are sorted at once; more are sorted in parts and merged, and between parts the sort may end.
const PART: usize = 1 << 14;

/// The rows that may be in the answer.
pub(super) struct Sort<'a> {
    keys: &'a [Key],
    /// How many values of a row are shown; behind them is what it is sorted by.
    shown: usize,
    /// How many are in the answer, those that `offset` passes over included.
    wanted: usize,
    rows: Vec<Vec<Value>>,
    /// Whether the first rows are sorted and as many as are wanted.
    full: bool,
}

impl<'a> Sort<'a> {
    pub(super) fn new(keys: &'a [Key], shown: usize, wanted: u64) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        Self { keys, shown, wanted, rows: Vec::new(), full: false }
    }

    pub(super) fn add(&mut self, rows: Vec<Vec<Value>>, warnings: &mut Warnings) {
        if self.wanted == 0 {
            return;
        }
        for row in rows {
            // Of equal rows those that came first are in the answer.
            if self.full && self.order(&row, &self.rows[self.wanted - 1]).is_ge() {
                continue;
            }
            self.rows.push(row);
            if self.rows.len() >= self.wanted.saturating_mul(2).max(FEW) {
                self.cut(warnings);
            }
        }
    }

    /// All rows that are wanted, in their order, without what they were sorted by.
    pub(super) fn finish(mut self, warnings: &mut Warnings) -> Vec<Vec<Value>> {
        self.cut(warnings);
        self.rows.iter_mut().for_each(|row| row.truncate(self.shown));
        self.rows
    }

    fn cut(&mut self, warnings: &mut Warnings) {
        let mut rows = std::mem::take(&mut self.rows);
        self.full = false;
        let mut part = PART;
        loop {
            for rows in rows.chunks_mut(part) {
                if warnings.step(rows.len()) {
                    return;
                }
                // It takes what is in order already as it is: two sorted halves are merged.
                rows.sort_by(|left, right| self.order(left, right));
            }
            if part >= rows.len() {
                break;
            }
            part *= 2;
        }
        rows.truncate(self.wanted);
        self.full = rows.len() == self.wanted;
        self.rows = rows;
    }

    /// The order of two rows by their keys.
    fn order(&self, left: &[Value], right: &[Value]) -> Ordering {
        let of = |row| <[Value]>::iter(row).skip(self.shown);
        self.keys
            .iter()
            .zip(of(left).zip(of(right)))
            .map(|(key, (left, right))| key.order(left, right))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Key {
    /// The order of two values by this key.
    fn order(&self, left: &Value, right: &Value) -> Ordering {
        match (left, right) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) if self.nulls_first => Ordering::Less,
            (Value::Null, _) => Ordering::Greater,
            (_, Value::Null) => self.order(right, left).reverse(),
            _ => {
                let order = left.compare(right).unwrap_or(Ordering::Equal);
                if self.descending { order.reverse() } else { order }
            }
        }
    }
}
