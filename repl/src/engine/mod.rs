//! The engine: from a query to the rows of its answer, over one source.
//!
//! ```text
//!   query ─► plan ─► scan, or a table of user space ─► execute ─► rows
//!                              └──► queries of its own ──┐
//!              ▲─────────────────────────────────────────┘
//! ```
//!
//! It knows no terminal, no settings and no command: what is to be said goes into the [report](ScanReport), or to the
//! function that a [`FallbackChain`] announces its source by.
//!
//! # Invariants
//!
//! Planning opens no file and runs nothing: the subqueries of a query run before, by [`Engine::answers`]. The recordings
//! that a query names are read by [`Engine::open`], before it runs, so that what is wrong with one is marked in the text.
//! The running kernel is read when the query runs.

pub mod analyze;
mod ask;
mod callsites;
mod cgroups;
mod chain;
mod choice;
mod opened;
mod planning;
mod runs;
pub mod snapshot;
mod subquery;
pub mod tables;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use query::availability;
use query::catalog::{Column, HostTable, Rows, Table};
use query::eval::Warnings;
use query::exec::{self, Execution};
use query::layout::Row;
use query::output::Output;
use query::plan::{Plan, Target};
use query::value::Value;

pub use ask::{Ask, RowSink};
pub use chain::{Announce, FallbackChain};
pub use planning::Asked;
pub use runs::{Each, Gathers, RELIEF, Ran, Renew, Runs};

use crate::kernel::signals;
use crate::report::error::Failure;
use crate::source::{Choice, ScanReport, Scanned, Source};
use snapshot::Snapshot;

/// The most rows of a batch of equal ones.
const BATCH: u64 = 4096;

/// A source, and what its plans depend on.
pub struct Engine {
    source: Box<dyn Source>,
    /// The sources to try if this one is refused.
    chain: FallbackChain,
    /// What the command line asks of plans.
    pub choice: Choice,
    /// The recordings that the last query over `diff` named.
    snapshots: BTreeMap<String, Rc<Snapshot>>,
}

impl Engine {
    /// An engine over a source that stays.
    #[must_use]
    pub fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            chain: FallbackChain::default(),
            choice: Choice::default(),
            snapshots: BTreeMap::new(),
        }
    }

    /// An engine over the best source of a chain.
    pub fn of(mut chain: FallbackChain) -> Result<Self, Failure> {
        let source = chain.open_next()?;
        Ok(Self { chain, ..Self::new(source) })
    }

    /// The same engine, with what is asked of plans.
    #[must_use]
    pub fn choosing(self, choice: Choice) -> Self {
        Self { choice, ..self }
    }

    /// The same engine, which tells `announce` once what answers.
    #[must_use]
    pub fn announced(self, announce: Announce) -> Self {
        Self { chain: self.chain.announced(announce), ..self }
    }

    /// Takes another source, which stays: what is announced of the first one holds for it. A template was meant for the
    /// first one alone.
    pub fn replace(&mut self, source: Box<dyn Source>) {
        self.source = source;
        self.choice.template = None;
    }

    /// Where rows come from.
    #[must_use]
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Runs a query of slabql's own, and keeps its answer.
    pub fn ask(&mut self, sql: &str) -> Result<Output, Failure> {
        let plan = self.own_plan(sql)?;
        self.execute(&plan)
    }

    /// Runs a plan, and keeps its answer.
    pub fn execute(&mut self, plan: &Plan) -> Result<Output, Failure> {
        let mut output = Output::default();
        output.warnings = self.run(plan, &mut output)?.notes;
        Ok(output)
    }

    /// Runs a plan, and hands the rows of its answer to `sink` as they come. Gives what is to be said of them.
    pub fn run(&mut self, plan: &Plan, sink: &mut dyn RowSink) -> Result<ScanReport, Failure> {
        sink.begin(exec::columns(plan, self.source.capabilities()))?;
        let made = self.made(plan).map(|table| self.put_together(plan, table)).transpose()?;
        let (source, chain) = (&*self.source, &mut self.chain);
        let mut execution = Execution::new(plan, source);
        let mut push = |rows| {
            signals::check()?;
            sink.rows(execution.push(rows)?)?;
            Ok(if execution.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let mut report = match made {
            Some(Scanned { rows, report }) => push(rows).map(|_| report)?,
            None => source.scan(plan, &mut |rows| {
                chain.answered(source);
                push(rows)
            })?,
        };
        let rest = execution.finish(std::mem::take(&mut report.warnings))?;
        sink.rows(rest.rows)?;
        report.notes.splice(0..0, rest.notes);
        report.stats.flow = rest.flow;
        Ok(report)
    }

    /// The same over rows of the table, a value for each input of the plan, each as often as the number says.
    pub fn run_counted(
        &mut self,
        plan: &Plan,
        rows: &Counted,
        sink: &mut dyn RowSink,
    ) -> Result<ScanReport, Failure> {
        sink.begin(exec::columns(plan, self.source.capabilities()))?;
        let mut execution = Execution::new(plan, &*self.source);
        push_counted(&mut execution, rows, sink)?;
        let rest = execution.finish(Warnings::default())?;
        sink.rows(rest.rows)?;
        let mut report = ScanReport { notes: rest.notes, ..ScanReport::default() };
        report.stats.flow = rest.flow;
        Ok(report)
    }

    /// The answer that the rows of a plan come to.
    pub fn finish(&self, plan: &Plan, scanned: Scanned) -> Result<Output, Failure> {
        let Scanned { rows, mut report } = scanned;
        let source = &*self.source;
        let mut output = exec::run(plan, rows, source, source.capabilities(), report.warnings)?;
        output.warnings.append(&mut report.notes);
        Ok(output)
    }

    /// The rows of a plan, all at once.
    fn gather(&mut self, plan: &Plan) -> Result<Scanned, Failure> {
        if let Some(table) = self.made(plan) {
            return self.put_together(plan, table);
        }
        let mut rows = Vec::new();
        let report = self.source.scan(plan, &mut |mut batch| {
            rows.append(&mut batch);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Scanned { rows, report })
    }

    /// What `explain` shows behind a plan.
    pub fn listing(&self, plan: &Plan) -> Result<String, Failure> {
        match plan.target {
            Target::Kernel { .. } => self.source.explain(plan),
            Target::Rows(_) => Ok(String::new()),
        }
    }

    /// The table of user space that a plan is over, unless the source scans it.
    fn made(&self, plan: &Plan) -> Option<HostTable> {
        match plan.table.rows {
            Rows::Host(made) if !self.source.scans(plan.table) => Some(made.table),
            _ => None,
        }
    }

    /// The rows of a table of user space.
    fn put_together(&mut self, plan: &Plan, table: HostTable) -> Result<Scanned, Failure> {
        let at = |input: &query::input::Input| {
            plan.table.columns.iter().position(|column| input.column() == Some(column))
        };
        let at: Vec<Option<usize>> = plan.inputs.iter().map(at).collect();
        let value = |row: &[Value], at: &Option<usize>| {
            at.and_then(|at| row.get(at)).cloned().unwrap_or(Value::Null)
        };
        let snapshots = self.named(&plan.arguments)?;
        let mut notes = Vec::new();
        let rows = tables::rows(table)(self, &snapshots, &mut notes)?
            .iter()
            .map(|row| Row { addr: 0, values: at.iter().map(|at| value(row, at)).collect() })
            .collect();
        Ok(Scanned { rows, report: ScanReport { notes, ..ScanReport::default() } })
    }
}

/// Rows, each as often as the number says.
pub type Counted = Vec<(Vec<Value>, u64)>;

/// Hands such rows to an execution, and what comes out to `sink`.
pub fn push_counted(
    execution: &mut Execution<'_>,
    rows: &Counted,
    sink: &mut dyn RowSink,
) -> Result<(), Failure> {
    for (values, count) in rows {
        signals::check()?;
        let grouped = execution.push_counted(values, *count)?;
        let mut left = if grouped { 0 } else { *count };
        while left > 0 {
            signals::check()?;
            let batch = left.min(BATCH);
            let rows = (0..batch).map(|_| Row { addr: 0, values: values.clone() }).collect();
            sink.rows(execution.push(rows)?)?;
            left -= batch;
            if execution.is_done() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Ask for Engine {
    fn ask(&mut self, sql: &str) -> Result<Output, Failure> {
        self.ask(sql)
    }

    fn stream(&mut self, sql: &str, rows: &mut dyn RowSink) -> Result<ScanReport, Failure> {
        let plan = self.own_plan(sql)?;
        self.run(&plan, rows)
    }

    fn check(&self, sql: &str) -> Result<(), Failure> {
        self.own_plan(sql).map(drop)
    }

    fn source(&self) -> &dyn Source {
        self.source()
    }

    fn unavailable(&self, table: &'static Table, column: &'static Column) -> Option<String> {
        self.chain
            .refusal(&*self.source)
            .filter(|_| table.rows.are_read())
            .map(|reason| reason.message.clone())
            .or_else(|| availability::unavailable(table, column, self.source.capabilities()))
    }
}
