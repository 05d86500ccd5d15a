//! `watch`: asks a query again and again.
//!
//! ```text
//!   schedule ─ when is the next tick?         ticks ─ the rows of a tick, from a program that stays loaded
//!                     └──────────────┬──────────────┘
//!                   ┌────────────────┴────────────────┐
//!   blocks ─ appends them: pipes, files,     screen ─ terminals: keys ► state ► lines
//!            dumb terminals                         page: a cache that was opened
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
mod page;
mod schedule;
mod screen;
mod state;
mod ticks;

use std::time::Duration;

use query::catalog::Rows;
use query::plan::Plan;

use crate::engine::{Each, Engine};
use crate::render::{Capacity, Format};
use crate::report::error::Failure;
use crate::report::message;
use crate::sink::Medium;
pub use options::{Options, Until, View};
use schedule::Schedule;
use ticks::{Kept, Ticks};

/// A watch takes at most this part of a CPU, if each of its ticks goes through all slabs.
const PART: u32 = 20;
/// Intervals that are chosen are multiples of this one.
const STEP: Duration = Duration::from_millis(100);

/// The interval that is worth the price of a tick, which is told.
fn least(price: Duration) -> Duration {
    let steps = (price * PART).as_nanos().div_ceil(STEP.as_nanos());
    STEP * u32::try_from(steps).unwrap_or(u32::MAX)
}

/// The same options, with an interval at which the ticks are affordable. Says what a tick costs.
fn affordable(ticks: &mut Ticks<'_>, options: Options) -> Result<Options, Failure> {
    let price = ticks.price()?;
    ticks.kept.least = least(price);
    let interval = options.interval.max(ticks.kept.least);
    let shown = price.as_micros().div_ceil(1000);
    let mut note = format!("a tick takes {shown}ms of a CPU");
    if interval > options.interval {
        let [interval, wanted] = [interval, options.interval].map(interval::text);
        note +=
            &format!(": there is one every {interval} instead of {wanted}, which is 5% of a CPU");
    }
    message::note(&note);
    Ok(Options { interval, ..options })
}

/// Fails where answers go to a place that takes no watch.
pub fn may(options: Options, format: Format, medium: Medium) -> Result<(), Failure> {
    if matches!(medium, Medium::File(_)) && options.count.or(options.until.map(|_| 1)).is_none() {
        let help = "end the watch with `watch 1s count 10 select …`, or redirect with `>` to write each tick at once";
        return Err(Failure::command("a file is written only when the watch ends", Some(help)));
    }
    if format.capacity == Capacity::One {
        let name = format.name;
        let help = "run the query itself at intervals, from a timer of systemd or cron";
        let message = format!("`{name}` holds one answer, and a watch has many");
        return Err(Failure::command(message, Some(help)));
    }
    Ok(())
}

/// Watches a plan of `query`, whose last `identity` columns tell rows apart, where that [may] be. The rows of each tick
/// come from the plan, or from what `each` says.
pub fn run<'a>(
    engine: &'a mut Engine,
    (plan, identity, mut each): (&'a Plan, Option<usize>, Each<'a>),
    query: &str,
    options: Options,
    view: View<'_>,
) -> Result<(), Failure> {
    let kept = Kept::new(engine, plan, identity);
    let mut ticks = Ticks::new(engine, plan, each.lend(), kept)?;
    let options = match plan.table.rows {
        Rows::Slabs | Rows::Objects => affordable(&mut ticks, options)?,
        Rows::Caches | Rows::Nodes | Rows::Cpus | Rows::Host(_) => options,
    };
    if !screen::is_wanted(&view) {
        let schedule = Schedule::from(ticks.now(), options.interval, ticks.first());
        return blocks::run(&mut ticks, schedule, options, view);
    }
    let kept = ticks.put_aside();
    screen::run(engine, (plan, each), kept, options, query, view)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_worth_its_price() {
        for (price, interval) in
            [(0, 0), (1, 100), (5, 100), (6, 200), (90, 1800), (60_000, 1_200_000)]
        {
            let [price, interval] = [price, interval].map(Duration::from_millis);
            assert_eq!(least(price), interval, "{price:?}");
            assert!(interval >= PART * price);
        }
    }
}
