//! What all traces have in common: waiting while the kernel works, and saying how it went.

use std::time::{Duration, Instant};

use query::plan::Plan;
use rustix::thread::{Timespec, nanosleep};
use rustix::time::{ClockId, clock_gettime};

use crate::engine::{Counted, Engine, RELIEF};
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals::{self, Interrupts};
use crate::report::error::{Environment, Failure};

/// What was gathered.
pub struct Gathered {
    /// The rows, a value for each input of the plan, and how often each stands.
    pub rows: Counted,
    /// How it went, in one line.
    pub report: String,
    /// Sentences about what the rows leave out.
    pub notes: Vec<String>,
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

/// How long a trace lasted, how many events there were, and what is missing of them, if anything is.
pub fn lasted(took: u64, events: u64, missing: &[(u64, &str)]) -> String {
    let mut text = format!(
        "trace_report: {}.{:03} s, {events} events",
        took / 1_000_000_000,
        took / 1_000_000 % 1000
    );
    for (count, what) in missing.iter().filter(|part| part.0 > 0) {
        text.push_str(&format!(", {count} {what}"));
    }
    text
}
