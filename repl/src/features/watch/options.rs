//! What a watch is told: how often it ticks, when it ends, where its answers go.

use std::io::Write;
use std::time::Duration;

use query::syntax::ast;

use crate::render::{self, Format};
use crate::sink::Medium;

/// How a query is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How often.
    pub interval: Duration,
    /// After how many ticks it ends.
    pub count: Option<u64>,
    /// Behind which answer it ends.
    pub until: Option<Until>,
}

/// An answer behind which a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// One that has rows.
    Rows,
    /// One that has none.
    Empty,
}

impl Options {
    /// What a statement says, and ends as those of the command line do.
    #[must_use]
    pub fn of(watch: &ast::Watch, line: Option<Self>) -> Self {
        Self {
            interval: watch.interval,
            count: watch.count,
            until: line.and_then(|line| line.until),
        }
    }

    /// Whether tick number `tick`, which has so many rows, is the last one.
    pub(super) fn is_last(&self, tick: u64, rows: usize) -> bool {
        let until = match self.until {
            Some(Until::Rows) => rows > 0,
            Some(Until::Empty) => rows == 0,
            None => false,
        };
        until || self.count.is_some_and(|count| tick >= count)
    }
}

/// Where the answers of a watch go.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct View<'a> {
    /// How they are written.
    pub format: Format,
    /// What renderers are told.
    pub options: &'a dyn Fn() -> render::Options,
    /// What they are written on.
    pub medium: Medium,
    /// Whether a terminal may be drawn on instead: no other format than a table was chosen.
    pub for_people: bool,
    /// Whether they go where the command line says, whose reader may go away.
    pub standard: bool,
    /// Whether a prompt asks for more when the watch ends.
    pub at_prompt: bool,
    /// Whether a row on a screen can be opened.
    pub opens: bool,
    /// Is told how many rows an answer has.
    pub see: &'a mut dyn FnMut(usize),
    /// The writer.
    pub out: &'a mut dyn Write,
}
