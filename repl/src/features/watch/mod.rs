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
mod entry;
pub mod interval;
mod keys;
mod lines;
mod options;
mod schedule;
mod screen;
mod state;
mod ticks;

use query::plan::Plan;

use crate::engine::{Engine, Renew};
use crate::render::Capacity;
use crate::report::error::Failure;
use crate::sink::Medium;
pub use options::{Options, Until, View};
use schedule::Schedule;
use ticks::Ticks;

/// Watches a plan of `query`, whose last `identity` columns tell rows apart, and which `renew` makes anew for each tick
/// if the query has subqueries.
pub fn run<'a>(
    engine: &'a mut Engine,
    (plan, identity, renew): (&'a Plan, Option<usize>, Option<&'a mut Renew<'a>>),
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
    if view.format.capacity == Capacity::One {
        let name = view.format.name;
        let help = "run the query itself at intervals, from a timer of systemd or cron";
        let message = format!("`{name}` holds one answer, and a watch has many");
        return Err(Failure::command(message, Some(help)));
    }
    let mut ticks = Ticks::new(engine, plan, identity, renew)?;
    let schedule = Schedule::new(options.interval);
    if screen::is_wanted(&view) {
        screen::run(&mut ticks, schedule, options, query, view)
    } else {
        blocks::run(&mut ticks, schedule, options, view)
    }
}
