//! Where rows come from: the running kernel, a recording, or the recording that the program carries.

pub mod live;
pub mod recording;

use query::eval::Warnings;
use query::exec::Host;
use query::layout::Row;
use query::offer::Offer;
use query::plan::{Plan, Target, Template};

use crate::error::Failure;

/// What a scan gave.
#[derive(Debug, Default)]
pub struct Scanned {
    /// The rows.
    pub rows: Vec<Row>,
    /// What the conditions in the kernel had to say.
    pub warnings: Warnings,
    /// What the scan itself has to say, a sentence each.
    pub notes: Vec<String>,
}

/// What the command line asks of a plan.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The template that must be used.
    pub template: Option<Template>,
    /// Keeps conditions out of the kernel.
    pub no_pushdown: bool,
}

/// A scan that is ready to run, as often as wanted.
pub type Prepared<'a> = Box<dyn Fn() -> Result<Scanned, Failure> + 'a>;

/// Gives rows.
pub trait Source: Host {
    /// What it can give.
    fn offer(&self) -> &dyn Offer;

    /// Where a plan over its rows runs.
    fn target(&self, choice: Choice) -> Result<Target, Failure>;

    /// The rows of a plan.
    fn scan(&self, plan: &Plan) -> Result<Scanned, Failure>;

    /// Takes all that a scan takes of the kernel, and keeps it until the value is dropped.
    fn prepare<'a>(&'a self, plan: &'a Plan) -> Result<Prepared<'a>, Failure> {
        Ok(Box::new(|| self.scan(plan)))
    }

    /// What `explain` shows behind the plan: the row and the program.
    fn explain(&self, plan: &Plan) -> Result<String, Failure>;

    /// The release of the kernel that the rows are of.
    fn release(&self) -> &str;

    /// What standard error says before an answer; nothing of the running kernel.
    fn label(&self) -> Option<String>;
}
