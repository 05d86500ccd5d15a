//! Passes rows over, and ends an answer.

use crate::value::Value;

/// What `offset` and `limit` still ask for.
pub(super) struct Limit {
    skip: u64,
    left: Option<u64>,
}

impl Limit {
    pub(super) fn new(limit: Option<u64>, offset: u64) -> Self {
        Self { skip: offset, left: limit }
    }

    /// Whether no row is wanted any more.
    pub(super) fn is_reached(&self) -> bool {
        self.left == Some(0)
    }

    /// How many of the rows that come next are looked at; those behind them are not shown.
    pub(super) fn wanted(&self) -> usize {
        let wanted = self.left.map(|left| self.skip.saturating_add(left));
        wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(usize::MAX)
    }

    /// The rows that are shown of those that come next.
    pub(super) fn take(&mut self, rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
        let there = rows.len() as u64;
        let skipped = self.skip.min(there);
        self.skip -= skipped;
        let taken = self.left.map_or(there - skipped, |left| left.min(there - skipped));
        self.left = self.left.map(|left| left - taken);
        let [skipped, taken] = [skipped, taken].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        rows.into_iter().skip(skipped).take(taken).collect()
    }
}
