//! `watch`: asks a query again and again.
//!
//! ```text
//!   schedule ─ when is the next tick?         ticks ─ the rows of a tick, from a program that stays loaded
//!                     └──────────────┬──────────────┘
//!                   ┌────────────────┴────────────────┐
//!   blocks ─ appends them: pipes, files,     screen ─ terminals: keys ► state ► lines
//!            dumb terminals
//! ```
//!
//! # Invariants
//!
//! - Ticks are due at multiples of the interval from the start, so being late once makes none of the later ones late.
//! - What one tick shows is one scan.
//! - A signal that ends the process finds the terminal as it was; at the prompt Ctrl-C ends the watch alone.

mod blocks;
pub mod command;
pub mod interval;
mod lines;
mod schedule;
mod screen;
mod signals;
mod state;
mod ticks;

use std::io::Write;
use std::time::Duration;

use query::diagnostic::Diagnostic;
use query::syntax::ast;

use crate::outlet::Medium;
use crate::report::error::Failure;
use crate::session::Session;
use crate::source::took::Stages;
use schedule::Schedule;
use ticks::Ticks;

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
    fn is_last(&self, tick: u64, rows: usize) -> bool {
        let until = match self.until {
            Some(Until::Rows) => rows > 0,
            Some(Until::Empty) => rows == 0,
            None => false,
        };
        until || self.count.is_some_and(|count| tick >= count)
    }
}

/// Watches `query` of `text`. The outer failure is not the query's.
pub fn run(
    session: &Session,
    query: &ast::Query,
    options: Options,
    text: &str,
    out: &mut dyn Write,
) -> Result<Result<(), Diagnostic>, Failure> {
    let (plan, identity) = match session.watched(query, text, &mut Stages::default())? {
        Ok(planned) => planned,
        Err(diagnostic) => return Ok(Err(diagnostic)),
    };
    if let Medium::File(_) = session.medium()
        && options.count.or(options.until.map(|_| 1)).is_none()
    {
        let help = "`watch 1s count 10 select …` ends; the shell's `>` takes each tick as it comes";
        return Err(Failure::command("a file is written when a watch ends", Some(help)));
    }
    // A program that needs more room than the first one is another one, and stays too.
    session.source.keep();
    let mut ticks = Ticks::new(session, &plan, identity)?;
    let schedule = Schedule::new(options.interval);
    if screen::is_wanted(session) {
        let query = text.get(query.span.start..query.span.end).unwrap_or_default();
        screen::run(&mut ticks, schedule, options, query, out)?;
    } else {
        blocks::run(&mut ticks, schedule, options, out)?;
    }
    Ok(Ok(()))
}
