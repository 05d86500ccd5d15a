//! Counts the rows that go into operators and come out of them, for `explain analyze`.

use crate::plan::explain::Operator;

/// The rows of each operator so far, all batches together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow(Vec<(Operator, Rows)>);

/// The rows of an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Those that went in.
    pub into: u64,
    /// Those that came out.
    pub out: u64,
}

impl Flow {
    /// Adds the rows of a batch.
    pub(super) fn add(&mut self, operator: Operator, into: usize, out: usize) {
        let at = self.0.iter().position(|(found, _)| *found == operator);
        let at = at.unwrap_or_else(|| {
            self.0.push((operator, Rows::default()));
            self.0.len() - 1
        });
        let rows = &mut self.0[at].1;
        rows.into += into as u64;
        rows.out += out as u64;
    }

    /// The rows of an operator, if any batch came to it.
    #[must_use]
    pub fn of(&self, operator: Operator) -> Option<Rows> {
        self.0.iter().find(|(found, _)| *found == operator).map(|(_, rows)| *rows)
    }
}
