//! What all traces have in common: waiting while the kernel works, and saying how it went.

use std::fmt;
use std::time::{Duration, Instant};

use query::plan::Plan;
use rustix::thread::{Timespec, nanosleep};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Counted, Engine, RELIEF};
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals::{self, Interrupts};
use crate::report::error::{Environment, Failure};

/// A trace that goes on. What it attached goes with it.
pub trait Tracing {
    /// Makes room for what is still to come: called again and again, every [`RELIEF`].
    fn relieve(&mut self, engine: &mut Engine);
    /// The rows of what came since this was called last, and what is to be said of them.
    fn tick(&mut self, engine: &mut Engine, plan: &Plan)
    -> Result<(Counted, Vec<String>), Failure>;
    /// Ends it, and makes rows of all there is.
    fn end(self: Box<Self>, engine: &mut Engine, plan: &Plan) -> Result<Gathered, Failure>;
}

/// What was gathered.
pub struct Gathered {
    /// The rows, a value for each input of the plan, and how often each stands.
    pub rows: Counted,
    /// How it went.
    pub report: Report,
    /// Sentences about what the rows leave out.
    pub notes: Vec<String>,
}

/// How a trace went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How long it lasted, in nanoseconds.
    pub took: u64,
    /// How many events its rows are of.
    pub events: u64,
    /// What is missing, in the words that follow the number.
    pub missing: Vec<(u64, &'static str)>,
}

impl Report {
    /// Whether something is missing.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.missing.iter().any(|part| part.0 > 0)
    }

    /// A line for each figure, those that are 0 as well.
    #[must_use]
    pub fn table(&self) -> String {
        let figures = [(seconds(self.took), "seconds"), (self.events.to_string(), "events")];
        let missing = self.missing.iter().map(|(count, what)| (count.to_string(), *what));
        let lines = figures.into_iter().chain(missing);
        let lines: String =
            lines.map(|(figure, what)| format!("  {figure:>12}  {what}\n")).collect();
        format!("\ntrace_report:\n{lines}")
    }
}

/// In one line, of what is missing only what there is.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trace_report: {} s, {} events", seconds(self.took), self.events)?;
        let mut missing = self.missing.iter().filter(|part| part.0 > 0);
        missing.try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

/// Nanoseconds as seconds.
fn seconds(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000_000, nanos / 1_000_000 % 1000)
}

/// The kernel that programs are attached to, as far as it may be.
pub fn kernel<'a>(engine: &'a Engine, plan: &Plan) -> Result<&'a KernelSchema, Failure> {
    let lacking = || Failure::Environment(engine.source().kind().lacking(plan.table.name));
    let schema = engine.source().kernel().ok_or_else(lacking)?;
    schema.may_run()?;
    Ok(schema)
}

/// Says why symbols cannot be had, and with them no trace.
pub fn refused(error: &std::io::Error) -> Failure {
    let failed = || Environment::failed("the program that names symbols cannot be run", error);
    Environment::of_bpf(error).unwrap_or_else(failed).into()
}

/// Lets `duration` pass since `start`, or the time until Ctrl-C, and calls `meanwhile` again and again.
pub fn nap(duration: Duration, start: Instant, meanwhile: &mut dyn FnMut()) {
    while let Some(left) = duration.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        if signals::happened() {
            signals::forget();
            break;
        }
        if let Ok(nap) = Timespec::try_from(left.min(RELIEF)) {
            let _ = nanosleep(&nap);
        }
        meanwhile();
    }
}

/// Sees to it that Ctrl-C is noted until this is dropped.
pub fn noted() -> Result<Option<Interrupts>, Failure> {
    if signals::noted() {
        return Ok(None);
    }
    Interrupts::note().map(Some).map_err(Failure::Write)
}

/// Lets `duration` pass, or the time until Ctrl-C. Gives the time that passed.
pub fn pause(duration: Duration) -> Result<Duration, Failure> {
    let interrupts = noted()?;
    let start = Instant::now();
    nap(duration, start, &mut || {});
    drop(interrupts);
    Ok(start.elapsed())
}

/// The monotonic clock, which the kernel's events have their time of.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_missing_and_a_table_all() {
        let missing = vec![(0, "lost"), (2, "left out")];
        let report = Report { took: 1_234_567_890, events: 7, missing };
        assert_eq!(report.to_string(), "trace_report: 1.234 s, 7 events, 2 left out");
        assert!(report.is_short() && !Report::default().is_short());
        let table = [
            "",
            "trace_report:",
            "         1.234  seconds",
            "             7  events",
            "             0  lost",
            "             2  left out",
            "",
        ];
        assert_eq!(report.table(), table.join("\n"));
    }
}
