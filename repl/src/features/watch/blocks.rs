//! Appends ticks to a stream: a pipe, a file, a terminal that cannot be drawn on.
//!
//! Formats for programs get the time as the first column of one long answer, those for people a line with the time
//! before each answer. Whatever a tick has is written before the wait for the next one, and the watch ends when
//! nobody reads any more, be it in the middle of the wait.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use humantime::format_rfc3339_millis;
use query::output::OutputColumn;
use query::value::{Type, Unit, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::options::{Options, View};
use super::schedule::Schedule;
use super::ticks::{Tick, Ticks};
use crate::kernel::signals;
use crate::render::{self, Format, Renderer};
use crate::report::error::Failure;
use crate::report::message;

/// The most rows that are told by name as new or gone.
const NAMED: usize = 5;

pub fn run(
    ticks: &mut Ticks<'_>,
    mut schedule: Schedule,
    options: Options,
    view: View<'_>,
) -> Result<(), Failure> {
    let View { format, options: rendering, standard, see, out, .. } = view;
    let mut stream = if format.for_people {
        Stream::Blocks(format, rendering, out)
    } else {
        let time = OutputColumn::new("time", Type::Text, Unit::None);
        let columns = [time].into_iter().chain(ticks.kept.columns.iter().cloned()).collect();
        let renderer = Renderer::new(format, columns, rendering(), out);
        Stream::Long(renderer.map_err(Failure::Write)?)
    };
    loop {
        if !wait(ticks, schedule.due(), standard)? {
            return Ok(());
        }
        let tick = ticks.tick()?;
        let rows = tick.rows.len();
        tell(&tick);
        see(rows);
        stream.write(ticks, tick)?;
        if options.is_last(ticks.kept.count, rows) {
            return stream.finish();
        }
        let missed = schedule.ticked(ticks.now());
        if missed > 0 {
            message::note(&skipped(missed));
        }
    }
}

/// Says that ticks were missed.
pub fn skipped(missed: u64) -> String {
    let ticks = if missed == 1 { "1 tick was".to_owned() } else { format!("{missed} ticks were") };
    format!("{ticks} skipped: the previous one took too long")
}

/// Where ticks go.
enum Stream<'a> {
    /// One answer, which grows.
    Long(Renderer<'a>),
    /// An answer each.
    Blocks(Format, &'a dyn Fn() -> render::Options, &'a mut dyn Write),
}

impl Stream<'_> {
    fn write(&mut self, ticks: &Ticks<'_>, tick: Tick) -> Result<(), Failure> {
        let time = stamp(tick.time);
        match self {
            Self::Long(renderer) => {
                let mut rows = tick.rows;
                for row in &mut rows {
                    row.insert(0, Value::text(&time));
                }
                renderer.rows(&rows).and_then(|()| renderer.flush())
            }
            Self::Blocks(format, options, out) => {
                let output = query::output::Output {
                    columns: ticks.kept.columns.clone(),
                    rows: tick.rows,
                    warnings: Vec::new(),
                };
                let gap = if ticks.kept.count > 1 { "\n" } else { "" };
                out.write_all(format!("{gap}{time}\n").as_bytes())
                    .and_then(|()| render::render(format, &output, options(), *out))
            }
        }
        .map_err(Failure::Write)
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Long(renderer) => renderer.finish().map_err(Failure::Write),
            Self::Blocks(..) => Ok(()),
        }
    }
}

/// A time as programs read it.
pub fn stamp(time: SystemTime) -> String {
    format_rfc3339_millis(time).to_string()
}

/// Says what a tick has to say besides its rows.
fn tell(tick: &Tick) {
    for note in &tick.news {
        message::note(note);
    }
    for (what, names) in [("new", &tick.came), ("gone", &tick.gone)] {
        if !names.is_empty() {
            message::note(&format!("{} {what}: {}", stamp(tick.time), some(names)));
        }
    }
}

/// Names, not too many.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let more = names.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// Waits until `due`. Gives false if nobody reads what goes to the `standard` output any more.
fn wait(ticks: &mut Ticks<'_>, due: Duration, standard: bool) -> Result<bool, Failure> {
    let stdout = io::stdout();
    // What is told of an output for which nothing is asked is that its reader is gone.
    let mut reader = [PollFd::new(&stdout, PollFlags::empty())];
    let fds = if standard { &mut reader[..] } else { &mut [] };
    loop {
        signals::check()?;
        let left = due.saturating_sub(ticks.now());
        if left.is_zero() {
            return Ok(true);
        }
        let timeout = Timespec::try_from(ticks.waits(left)).ok();
        match poll(fds, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(false),
            Err(error) => {
                let error = io::Error::from(error);
                return Err(Failure::environment(format!("cannot wait: {error}"), None));
            }
        }
    }
}
