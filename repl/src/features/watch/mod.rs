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
pub mod interval;
mod keys;
mod lines;
mod schedule;
mod screen;
mod state;
mod ticks;

use std::io::Write;
use std::time::Duration;

use query::plan::Plan;
use query::syntax::ast;

use crate::engine::Engine;
use crate::render::{self, Format};
use crate::report::error::Failure;
use crate::sink::Medium;
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

/// Where the answers of a watch go.
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
    /// Is told how many rows an answer has.
    pub see: &'a mut dyn FnMut(usize),
    /// The writer.
    pub out: &'a mut dyn Write,
}

/// Watches a plan of `query`, whose last `identity` columns tell rows apart.
pub fn run(
    engine: &mut Engine,
    (plan, identity): (&Plan, Option<usize>),
    query: &str,
    options: Options,
    view: View<'_>,
) -> Result<(), Failure> {
    if matches!(view.medium, Medium::File(_))
        && options.count.or(options.until.map(|_| 1)).is_none()
    {
        let help = "end the watch with `watch 1s count 10 select …`, or redirect with `>` to write each tick at once";
        return Err(Failure::command("a file is written only when the watch ends", Some(help)));
    }
    let mut ticks = Ticks::new(engine, plan, identity)?;
    let schedule = Schedule::new(options.interval);
    if screen::is_wanted(&view) {
        screen::run(&mut ticks, schedule, options, query, view)
    } else {
        blocks::run(&mut ticks, schedule, options, view)
    }
}
