//! Executes the user-space half of a plan, batch by batch: a file an operator.
//!
//! ```text
//!   rows of a scan ─ filter ─ look up ─ filter ─┬─ project ─ distinct ─┬─ limit ──────► as rows come
//!                                               │                      └─ sort ─ limit ► at the end
//!                                               └─ group ─ filter ─ project … ─ limit ─► at the end
//! ```
//!
//! [`Execution::push`] takes a batch and gives the rows of the answer that are certain by then;
//! [`Execution::finish`] gives the rest. So an answer that needs no order takes the memory of a batch, however long it
//! is, one that needs an order and has a limit that of the rows within the limit, and one over groups that of the groups.
//!
//! # Invariants
//!
//! The answer does not depend on where batches begin.

mod distinct;
mod filter;
pub mod flow;
mod group;
pub mod identity;
mod limit;
mod look_up;
pub mod past;
mod project;
mod sort;

use std::sync::Arc;

use crate::catalog::Lookup;
use crate::eval::Warnings;
use crate::layout::Row;
use crate::offer::Offer;
use crate::output::{Output, OutputColumn};
use crate::plan::explain::Operator;
use crate::plan::{Plan, Residual};
use crate::value::{Type, Value};
use distinct::Distinct;
use flow::Flow;
use group::Groups;
use limit::Limit;
use past::Past;
use project::Projected;
use sort::Sort;

/// Looks up what only user space knows.
pub trait Host {
    /// The results of `lookup` for each list of arguments, in their order; or why there are none.
    fn look_up(&self, lookup: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String>;
}

/// A plan that runs.
pub struct Execution<'a> {
    plan: &'a Plan,
    host: &'a dyn Host,
    /// Conditions: those before look-ups, and those behind.
    early: Vec<(Operator, &'a Residual)>,
    late: Vec<(Operator, &'a Residual)>,
    groups: Option<Groups<'a>>,
    distinct: Option<Distinct>,
    sort: Option<Sort<'a>>,
    limit: Limit,
    past: Option<&'a mut Past>,
    warnings: Warnings,
    notes: Vec<String>,
    flow: Flow,
}

/// What is left of an answer when the last row of its scan has come.
#[derive(Debug, Default)]
pub struct Rest {
    /// The rows behind those that were given already.
    pub rows: Vec<Vec<Value>>,
    /// Sentences about what the rows leave out; not part of the answer itself.
    pub notes: Vec<String>,
    /// The rows that went through each operator.
    pub flow: Flow,
}

impl<'a> Execution<'a> {
    /// Begins.
    #[must_use]
    pub fn new(plan: &'a Plan, host: &'a dyn Host) -> Self {
        let missing = plan.missing.iter();
        let filter = plan.filter.iter().enumerate();
        let (early, late) = filter
            .map(|(number, residual)| (Operator::Filter(number), residual))
            .partition(|(_, residual)| !residual.on_lookup);
        Self {
            plan,
            host,
            early,
            late,
            groups: plan.group.as_ref().map(Groups::new),
            distinct: plan.distinct.then(Distinct::default),
            sort: (!plan.order_by.is_empty()).then(|| Sort::new(plan)),
            limit: Limit::new(plan),
            past: None,
            warnings: Warnings::default(),
            notes: missing
                .map(|missing| format!("`{}` is NULL: {}", missing.column.name, missing.reason))
                .collect(),
            flow: Flow::default(),
        }
    }

    /// The same, as a tick of a watch: what changed is known by its `past`.
    #[must_use]
    pub fn after(self, past: &'a mut Past) -> Self {
        Self { past: Some(past), ..self }
    }

    /// Takes rows, which the kernel has filtered already as far as the plan says. Gives those of the answer that
    /// nothing behind them can change.
    pub fn push(&mut self, rows: Vec<Row>) -> Vec<Vec<Value>> {
        let rows = self.inputs(rows);
        let Some(groups) = &mut self.groups else { return self.answer(&rows) };
        for row in &rows {
            groups.add(row, &mut self.warnings);
        }
        Vec::new()
    }

    /// Whether the answer is whole, whatever rows may follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.groups.is_none() && self.sort.is_none() && self.limit.is_reached()
    }

    /// Ends. `warnings` is what the scan itself had to say.
    #[must_use]
    pub fn finish(mut self, warnings: Warnings) -> Rest {
        let mut rows = Vec::new();
        if let Some(groups) = self.groups.take() {
            rows = self.groups(groups);
        }
        if let Some(sort) = self.sort.take() {
            let into = sort.added();
            let sorted = sort.finish();
            self.flow.add(Operator::Sort, into, sorted.len());
            rows = self.limited(sorted);
        }
        let first = self.past.as_ref().is_none_or(|past| past.is_first());
        if first && self.plan.change().is_some() {
            let note = "what changed is NULL in the first tick: there is none before it";
            self.notes.push(note.to_owned());
        }
        if self.warnings.range + warnings.range > 0 {
            let note = "arithmetic left the 64-bit range; the result is NULL there";
            self.notes.push(note.to_owned());
        }
        if self.warnings.long > 0 {
            let note = "a text grew longer than 1 MiB; the result is NULL there";
            self.notes.push(note.to_owned());
        }
        Rest { rows, notes: self.notes, flow: self.flow }
    }

    /// The rows that satisfy all conditions, with every input that the plan reads.
    fn inputs(&mut self, rows: Vec<Row>) -> Vec<Vec<Value>> {
        let mut rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.values).collect();
        self.flow.add(Operator::Scan, 0, rows.len());
        filter::filter(&mut rows, &self.early, &mut self.warnings, &mut self.flow);
        self.flow.add(Operator::LookUp, rows.len(), rows.len());
        for note in look_up::all(self.plan, &mut rows, self.host) {
            // Each batch may say it.
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        if let Some(past) = &mut self.past
            && !self.plan.identity.is_empty()
        {
            past.fill_rows(self.plan, &mut rows, &mut self.warnings);
        }
        filter::filter(&mut rows, &self.late, &mut self.warnings, &mut self.flow);
        rows
    }

    /// What groups, which are whole now, add to the answer.
    fn groups(&mut self, groups: Groups) -> Vec<Vec<Value>> {
        let into = groups.added();
        let mut rows = groups.finish(&mut self.warnings);
        self.flow.add(Operator::Group, into, rows.len());
        if let Some(group) = &self.plan.group
            && let Some(past) = &mut self.past
            && !group.changes.is_empty()
        {
            let keys = group.keys.len();
            past.fill_groups(keys, &group.changes, &mut rows, &mut self.warnings);
        }
        let having = self.plan.group.iter().flat_map(|group| &group.having).enumerate();
        let having: Vec<(Operator, &Residual)> =
            having.map(|(number, residual)| (Operator::Having(number), residual)).collect();
        filter::filter(&mut rows, &having, &mut self.warnings, &mut self.flow);
        self.answer(&rows)
    }

    /// What rows of inputs add to the answer at once; what needs an order is kept.
    fn answer(&mut self, rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
        let mut rows = project::project(self.plan, rows, &mut self.warnings);
        let into = rows.len();
        self.flow.add(Operator::Project, into, into);
        if let Some(distinct) = &mut self.distinct {
            distinct.retain(&mut rows);
            self.flow.add(Operator::Distinct, into, rows.len());
        }
        match &mut self.sort {
            Some(sort) => {
                sort.add(rows);
                Vec::new()
            }
            None => self.limited(rows),
        }
    }

    /// The rows of the answer of those that come next in it.
    fn limited(&mut self, rows: Vec<Projected>) -> Vec<Vec<Value>> {
        let into = rows.len();
        let rows = self.limit.take(rows);
        self.flow.add(Operator::Limit, into, rows.len());
        rows
    }
}

/// Runs `plan` over all its rows at once. `warnings` is what the scan itself had to say.
#[must_use]
pub fn run(
    plan: &Plan,
    rows: Vec<Row>,
    host: &dyn Host,
    offer: &dyn Offer,
    warnings: Warnings,
) -> Output {
    let mut execution = Execution::new(plan, host);
    let mut rows = execution.push(rows);
    let mut rest = execution.finish(warnings);
    rows.append(&mut rest.rows);
    Output { columns: columns(plan, offer), rows, warnings: rest.notes }
}

/// The columns of the answer.
#[must_use]
pub fn columns(plan: &Plan, offer: &dyn Offer) -> Vec<OutputColumn> {
    plan.items
        .iter()
        .map(|item| {
            let (name, ty, unit) = (item.name.clone(), item.expr.ty, item.expr.unit);
            let flag_names: Option<Arc<[(String, u32)]>> = match ty {
                Type::SlabFlags => Some(offer.slab_flags().into()),
                Type::GfpFlags => Some(offer.gfp_flags().into()),
                _ => None,
            };
            OutputColumn { name, ty, unit, flag_names }
        })
        .collect()
}
