//! Where rows come from: the running kernel in several ways, a recording, or the recording that the program carries.
//! The [engine](crate::engine) chooses one.

pub mod bitmaps;
mod caches;
pub mod kind;
pub mod live;
pub mod objects;
mod pages;
pub mod proc;
pub mod recording;
mod resolve;
mod run;
mod runs;
pub mod stats;
mod typed;

use std::ops::ControlFlow;

use query::capabilities::Capabilities;
use query::catalog::{Rows, Table};
use query::eval::Warnings;
use query::exec::Host;
use query::layout::Row;
use query::plan::{Plan, Target, Template};

use crate::kernel::schema::KernelSchema;
use crate::report::error::Failure;
use kind::Kind;
use stats::ScanStats;

/// What a scan that gives its rows at once gave.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The rows.
    pub rows: Vec<Row>,
    /// What it has to say.
    pub report: ScanReport,
}

/// What a scan has to say besides its rows.
#[derive(Debug, Default)]
pub struct ScanReport {
    /// What the conditions in the kernel had to say.
    pub warnings: Warnings<'static>,
    /// What the scan itself has to say, a sentence each.
    pub notes: Vec<String>,
    /// What it took.
    pub stats: ScanStats,
}

/// Takes a batch of rows, and says whether more are wanted.
pub type Sink<'a> = dyn FnMut(Vec<Row>) -> Result<ControlFlow<()>, Failure> + 'a;

/// What the command line asks of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The template that must be used.
    pub template: Option<Template>,
    /// Keeps conditions out of the kernel.
    pub no_pushdown: bool,
    /// The program is to run on other kernels, and others read its rows: it has no functions that a loader does not find, and
    /// computes nothing that may have to be computed again.
    pub portable: bool,
}

/// A scan that is ready to run, as often as wanted.
pub type Prepared<'a> = Box<dyn Fn() -> Result<Scanned, Failure> + 'a>;

/// Gives rows.
pub trait Source: Host {
    /// What it can give.
    fn capabilities(&self) -> &dyn Capabilities;

    /// Fails if it does not have a table.
    fn has(&self, table: &Table) -> Result<(), Failure> {
        let kind = self.kind();
        if kind.has(table.rows) {
            return Ok(());
        }
        Err(Failure::Environment(kind.lacking(table.name)))
    }

    /// Whether it scans the rows of a table, which are made in user space otherwise.
    fn scans(&self, table: &Table) -> bool {
        !matches!(table.rows, Rows::Host(_))
    }

    /// Fails if it can tell that there is no cache of this name.
    fn is_cache(&self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Where a plan over its rows runs.
    fn target(&self, choice: Choice) -> Result<Target, Failure>;

    /// The rows of a plan, handed to `sink` in batches: all that there are, or those up to the batch behind which no
    /// more are wanted. There is one batch at least, which may be empty.
    fn scan(&self, plan: &Plan, sink: &mut Sink<'_>) -> Result<ScanReport, Failure>;

    /// Takes all that a scan takes of the kernel, and keeps it until the value is dropped.
    fn prepare<'a>(&'a self, plan: &'a Plan) -> Result<Prepared<'a>, Failure> {
        Ok(Box::new(move || scanned(self, plan)))
    }

    /// Keeps from now on what a scan took of the kernel, as far as a later one may need it.
    fn keep(&self) {}

    /// What is to be said of a table if its rows are of another machine than the others.
    fn remark(&self, _: &Table) -> Option<String> {
        None
    }

    /// Goes to the moment of a tick of a watch if it has several; without one, back to what it answers of otherwise.
    fn turn(&self, _: Option<u64>) {}

    /// What `explain` shows behind the plan: the row and the program.
    fn explain(&self, plan: &Plan) -> Result<String, Failure>;

    /// The running kernel, where its memory can be read.
    fn kernel(&self) -> Option<&KernelSchema> {
        None
    }

    /// The release of the kernel that the rows are of.
    fn release(&self) -> &str;

    /// The release of the kernel that the rows of a table are of, and when they were recorded; no time for rows of now.
    fn moment_of(&self, _: &Table) -> (&str, Option<&str>) {
        (self.release(), None)
    }

    /// The id of the boot that the rows are of: within it an address is the same place. None if it is not known.
    fn boot(&self) -> Option<String>;

    /// Which kind of source it is.
    fn kind(&self) -> Kind;

    /// What standard error says before an answer; nothing of the running kernel.
    fn label(&self) -> Option<String>;
}

/// All rows of a scan.
fn scanned<S: Source + ?Sized>(source: &S, plan: &Plan) -> Result<Scanned, Failure> {
    gathered(|sink| source.scan(plan, sink))
}

/// The rows that `scan` hands over, all at once.
fn gathered(
    scan: impl FnOnce(&mut Sink<'_>) -> Result<ScanReport, Failure>,
) -> Result<Scanned, Failure> {
    let mut rows = Vec::new();
    let report = scan(&mut |mut batch| {
        rows.append(&mut batch);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Scanned { rows, report })
}
