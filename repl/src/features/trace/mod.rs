//! Gathers what the kernel allocates and frees for a while, for a query to be answered over it: `trace 5s select …`.
//!
//! ```text
//!   plan ─► columns read ─► fields, mode ─► programs ─ a while ─► counts, objects ─► names, symbols, states ─► rows
//! ```
//!
//! A query that reads nothing of single objects is answered by counts: what it reads is what the kernel counts by, so
//! that only groups come out. Otherwise each object is followed, and freed ones come out one by one.
//!
//! # Invariants
//!
//! - Nothing is attached before this is asked for, and nothing stays so behind it.
//! - What is shown as held was looked at behind the end of the trace, and was found in use.
//! - What is missing is told: the last line of a trace says what was lost and what was left out.

pub mod audit;
mod contention;
pub mod leak;
mod meanwhile;
mod objects;
mod room;
mod rows;
mod stacks;
mod wanted;

use std::time::{Duration, Instant};

use query::catalog::{HostTable, Made, Rows};
use query::plan::Plan;

use crate::engine::{Counted, Engine, Gathers};
use crate::report::error::Failure;
use audit::Auditing;
use contention::Watching;
/// The most frames of a stack that are kept.
pub use ebpf_templates::template::events::DEPTH;
pub use meanwhile::{Gathered, Report};
use meanwhile::{Tracing, nap};
use objects::Gathering;
pub use objects::Options;

/// The memory that maps may take if nothing else is said, in bytes.
pub const DEFAULT_MEMORY: u64 = 128 << 20;

/// Gathers for `duration`, or until Ctrl-C.
pub fn gather(
    engine: &mut Engine,
    plan: &Plan,
    duration: Duration,
    options: Options,
) -> Result<Gathered, Failure> {
    let mut tracing = begin(engine, plan, options, false)?;
    // It began before, so that what is told is never shorter than what was asked for.
    nap(duration, Instant::now(), &mut || tracing.relieve(engine));
    tracing.end(engine, plan)
}

/// Begins a trace, for rows that are asked for once or `again` and again.
fn begin(
    engine: &mut Engine,
    plan: &Plan,
    options: Options,
    again: bool,
) -> Result<Box<dyn Tracing>, Failure> {
    Ok(match plan.table.rows {
        Rows::Host(Made { table: HostTable::Audit, .. }) => {
            Box::new(Auditing::begin(engine, plan, again)?)
        }
        Rows::Host(Made { table: HostTable::Contention, .. }) => {
            Box::new(Watching::begin(engine, plan, again)?)
        }
        _ => Box::new(Gathering::begin(engine, plan, options, again)?),
    })
}

/// Whether rows are gathered that are not of objects.
#[must_use]
pub fn has_no_objects(plan: &Plan) -> bool {
    let others = [HostTable::Audit, HostTable::Contention];
    matches!(plan.table.rows, Rows::Host(Made { table, .. }) if others.contains(&table))
}

/// Begins to gather for a watch of a plan.
pub fn ticks<'a>(
    engine: &mut Engine,
    plan: &'a Plan,
    options: Options,
) -> Result<impl Gathers + use<'a>, Failure> {
    Ok(Ticking { tracing: begin(engine, plan, options, true)?, plan })
}

/// What is gathered for the ticks of a plan.
struct Ticking<'a> {
    tracing: Box<dyn Tracing>,
    plan: &'a Plan,
}

impl Gathers for Ticking<'_> {
    fn relieve(&mut self, engine: &mut Engine) {
        self.tracing.relieve(engine);
    }

    fn take(&mut self, engine: &mut Engine) -> Result<(Counted, Vec<String>), Failure> {
        self.tracing.tick(engine, self.plan)
    }
}
