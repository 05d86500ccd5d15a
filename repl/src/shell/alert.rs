//! Watches whether answers have rows, for an exit code that cron and CI act on.
//!
//! Of several answers one is enough. What went wrong counts more: a failure keeps its own exit code.

/// The exit code that says that the condition holds.
pub const EXIT_CODE: u8 = 4;

/// When an answer is an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It has a row.
    Rows,
    /// It has none.
    Empty,
}

/// A condition, and whether an answer met it.
#[derive(Debug, Default)]
pub struct Alert {
    condition: Option<Condition>,
    holds: bool,
}

impl Alert {
    /// An alert that nothing has raised yet.
    #[must_use]
    pub fn new(condition: Option<Condition>) -> Self {
        Self { condition, holds: false }
    }

    /// Whether answers are watched at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.condition.is_some()
    }

    /// Sees that an answer has rows; before they are written, as their reader may have seen enough.
    pub fn see_rows(&mut self) {
        if self.condition == Some(Condition::Rows) {
            self.holds = true;
        }
    }

    /// Sees a whole answer.
    pub fn see_answer(&mut self, rows: usize) {
        match rows {
            0 if self.condition == Some(Condition::Empty) => self.holds = true,
            0 => {}
            _ => self.see_rows(),
        }
    }

    /// The exit code of a run without failures.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.holds { EXIT_CODE } else { 0 }
    }
}
