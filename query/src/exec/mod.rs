//! Executes the user-space half of a plan, batch by batch: a file an operator.
//!
//! A batch goes through the operators in the order of the plan. Three of them keep rows until the last one has come: a
//! group, a sort, and what compares rows with those of the tick before. What they made of them then goes through the operators behind them.
//!
//! [`Execution::push`] takes a batch and gives the rows of the answer that are certain by then;
//! [`Execution::finish`] gives the rest. So an answer that needs no order takes the memory of a batch, however long it
//! is, one that needs an order and has a limit that of the rows within the limit, and one over groups that of the groups.
//!
//! # Invariants
//!
//! The answer does not depend on where batches begin.

mod distinct;
mod group;
pub mod identity;
mod keys;
mod limit;
mod look_up;
pub mod previous_tick;
mod projection;
pub(crate) mod sort;
pub mod wide;

use std::sync::Arc;

use crate::bound::Missing;
use crate::bound::{Expr, ExprKind};
use crate::capabilities::Capabilities;
use crate::catalog::{Column, Lookup};
use crate::delta::Change;
use crate::eval::{self, Warnings};
use crate::layout::Row;
use crate::many::Many;
use crate::output::{Output, OutputColumn};
use crate::plan::{Compare, Operator, Plan};
use crate::value::{Type, Value};
use distinct::Distinct;
use group::Groups;
use limit::Limit;
use previous_tick::PreviousTick;
use projection::Projection;
use sort::Sort;

/// So many rows of groups go on at once.
const BATCH: usize = 1 << 12;

/// Looks up what only user space knows.
pub trait Host {
    /// The results of `lookup` for each list of arguments, in their order; or why there are none.
    fn look_up(&self, lookup: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String>;

    /// Whether a run is to end before its answer is whole; asked every millisecond or so.
    fn interrupted(&self) -> bool;
}

/// A run that its host has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// A plan that runs.
pub struct Execution<'a> {
    plan: &'a Plan,
    /// What each operator of the plan is while it runs, and the rows that went through it.
    steps: Vec<(Step<'a>, Flow)>,
    machine: Machine<'a>,
}

/// What operators need besides rows.
struct Machine<'a> {
    host: &'a dyn Host,
    previous: Option<&'a mut PreviousTick>,
    warnings: Warnings<'a>,
    notes: Vec<String>,
}

/// An operator that runs.
enum Step<'a> {
    /// The rows come from elsewhere as they are behind it.
    Done,
    Filter(&'a Expr),
    LookUp(&'a [usize]),
    /// The changes of this operator, its number among those of its kind, and the rows so far.
    Compare(&'a Compare, usize, Many<Vec<Value>>),
    Group(Groups<'a>),
    /// What all rows come to, and the rows so far.
    Whole(Groups<'a>, Many<Vec<Value>>),
    Project(Projection<'a>),
    Distinct(Distinct),
    Sort(Sort<'a>),
    Limit(Limit),
    /// The groups have them; they pass over the operators between, but for what is computed of a row.
    Totals,
}

/// The rows that went into an operator and came out of it, all batches together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Those that went in.
    pub into: u64,
    /// Those that came out.
    pub out: u64,
}

/// What is left of an answer when the last row of its scan has come.
#[derive(Debug, Default)]
pub struct Rest {
    /// The rows behind those that were given already.
    pub rows: Vec<Vec<Value>>,
    /// Sentences about what the rows leave out; not part of the answer itself.
    pub notes: Vec<String>,
    /// The rows that went through each operator of the plan.
    pub flow: Vec<Flow>,
}

impl<'a> Execution<'a> {
    /// Begins.
    #[must_use]
    pub fn new(plan: &'a Plan, host: &'a dyn Host) -> Self {
        let mut compares = 0..;
        let shown = plan.items().len();
        let step = |operator: &'a Operator| match operator {
            Operator::Scan => Step::Done,
            Operator::Filter(condition) if condition.kernel.is_ok() => Step::Done,
            Operator::Filter(condition) => Step::Filter(&condition.expr),
            Operator::LookUp(lookups) => Step::LookUp(lookups),
            Operator::Compare(compare) => {
                Step::Compare(compare, compares.next().unwrap_or(0), Many::default())
            }
            Operator::Group(group) => {
                let times = plan.counted.then_some(plan.inputs.len());
                Step::Group(Groups::new(group, times))
            }
            Operator::Whole(group) => Step::Whole(Groups::new(group, None), Many::default()),
            Operator::Project(items) => Step::Project(Projection::new(items, plan.order_by())),
            Operator::Distinct => Step::Distinct(Distinct::new(shown)),
            Operator::Sort { keys, wanted } => {
                let places = projection::places(plan.items(), keys);
                Step::Sort(Sort::new(keys, places, shown, *wanted))
            }
            Operator::Limit { limit, offset } => Step::Limit(Limit::new(*limit, *offset)),
            Operator::Totals => Step::Totals,
        };
        let steps = plan.operators.iter().map(step).map(|step| (step, Flow::default())).collect();
        let note =
            |missing: &Missing| format!("`{}` is NULL: {}", missing.column.name, missing.reason);
        let notes = plan.notes.iter().cloned().chain(plan.missing.iter().map(note)).collect();
        let machine = Machine { host, previous: None, warnings: Warnings::of(host), notes };
        Self { plan, steps, machine }
    }

    /// The same, as a tick of a watch: what changed is known by `previous`.
    #[must_use]
    pub fn after(mut self, previous: &'a mut PreviousTick) -> Self {
        self.machine.previous = Some(previous);
        self
    }

    /// Takes rows, which the kernel has filtered already as far as the plan says. Gives those of the answer that
    /// nothing behind them can change.
    pub fn push(&mut self, rows: Vec<Row>) -> Result<Vec<Vec<Value>>, Interrupted> {
        if !self.steps.iter().any(|(step, _)| step.holds_all()) {
            self.machine.warnings.texts = 0;
        }
        self.run(0, rows.into_iter().map(|row| row.values).collect())
    }

    /// Takes a row that stands for `count` equal ones, if they only go into groups, in one step for all of them.
    /// Otherwise it takes none, and they are to be pushed one by one.
    pub fn push_counted(&mut self, row: &[Value], count: u64) -> Result<bool, Interrupted> {
        let passes = |(step, _): &(Step, Flow)| {
            matches!(step, Step::Done | Step::Filter(_) | Step::LookUp(_))
        };
        let grouped = self.steps.iter().position(|step| !passes(step));
        let Some((before, [(Step::Group(groups), flow), ..])) =
            grouped.and_then(|at| self.steps.split_at_mut_checked(at))
        else {
            return Ok(false);
        };
        let mut rows = vec![row.to_vec()];
        for (step, flow) in before {
            flow.into += count * rows.len() as u64;
            rows = step.run(rows, &mut self.machine, self.plan);
            flow.out += count * rows.len() as u64;
        }
        for row in rows.iter().filter(|_| count > 0) {
            flow.into += count;
            groups.add_times(row, count, &mut self.machine.warnings);
        }
        self.machine.warnings.check()?;
        Ok(true)
    }

    /// Whether the answer is whole, whatever rows may follow.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let keeps = |(step, _): &(Step, Flow)| {
            matches!(step, Step::Compare(..) | Step::Group(_) | Step::Whole(..) | Step::Sort(_))
        };
        let limit = self.steps.last().map(|(step, _)| step);
        matches!(limit, Some(Step::Limit(limit)) if limit.is_reached())
            && !self.steps.iter().any(keeps)
    }

    /// Ends. `warnings` is what the scan itself had to say.
    #[expect(clippy::needless_pass_by_value, reason = "what a scan said is told once")]
    pub fn finish(mut self, warnings: Warnings) -> Result<Rest, Interrupted> {
        let mut rows = Many::default();
        let mut totals = None;
        for at in 0..self.steps.len() {
            let step = &mut self.steps[at].0;
            let kept = match std::mem::replace(step, Step::Done) {
                Step::Group(mut groups) => {
                    totals = groups.totals(&mut self.machine.warnings);
                    // A sort with a limit keeps few of millions.
                    loop {
                        let some = groups.give(BATCH, &mut self.machine.warnings);
                        if some.len() < BATCH {
                            break some;
                        }
                        self.steps[at].1.out += some.len() as u64;
                        rows.append(&mut self.run(at + 1, some)?);
                    }
                }
                Step::Whole(mut groups, rows) => {
                    let all = groups.give(1, &mut self.machine.warnings).swap_remove(0);
                    for (step, _) in &mut self.steps[at + 1..] {
                        step.know(&all);
                    }
                    rows.into_vec()
                }
                Step::Sort(sort) => sort.finish(&mut self.machine.warnings),
                Step::Compare(compare, number, mut rows) => {
                    let groups = rows.len();
                    rows.extend(totals);
                    let mut rows = self.machine.compare(number, compare, rows.into_vec());
                    totals = rows.drain(groups..).next();
                    rows
                }
                other => {
                    self.steps[at].0 = other;
                    continue;
                }
            };
            self.steps[at].1.out += kept.len() as u64;
            rows.append(&mut self.run(at + 1, kept)?);
        }
        // Without rows there is nothing that they are the totals of.
        if let Some(totals) = totals.filter(|_| !rows.is_empty()) {
            rows.push(self.project(&totals));
        }
        let Machine { previous, warnings: own, mut notes, .. } = self.machine;
        let first = previous.as_ref().is_none_or(|previous| previous.is_first());
        if first
            && self.plan.changes().any(|change| previous.is_none() || !change.change.is_value())
        {
            let note = "changes are NULL in the first tick: there is no previous tick";
            notes.push(note.to_owned());
        }
        if own.range + warnings.range > 0 {
            let note = "arithmetic overflowed 64 bits; those results are NULL";
            notes.push(note.to_owned());
        }
        if own.long > 0 {
            let note = "a text exceeded 1 MiB; those results are NULL";
            notes.push(note.to_owned());
        }
        if own.full > 0 {
            let note = "the texts of the answer exceeded 512 MiB; those beyond it are NULL";
            notes.push(note.to_owned());
        }
        if own.steps > 0 {
            let note = "a text was too long for its pattern; those results are NULL";
            notes.push(note.to_owned());
        }
        if own.patterns + warnings.patterns > 0 {
            let note = "a computed pattern was not valid; those results are NULL";
            notes.push(note.to_owned());
        }
        let rows = rows.into_vec();
        Ok(Rest { rows, notes, flow: self.steps.into_iter().map(|(_, flow)| flow).collect() })
    }

    /// What is shown of the totals.
    fn project(&mut self, totals: &[Value]) -> Vec<Value> {
        let mut shown = Vec::new();
        for (step, flow) in &mut self.steps {
            match step {
                Step::Project(projection) => {
                    let warnings = &mut self.machine.warnings;
                    shown = projection.of(totals, self.plan.items().len(), warnings);
                }
                Step::Totals => flow.out += 1,
                _ => {}
            }
        }
        shown
    }

    /// What rows come to that go into operator number `first`.
    fn run(&mut self, first: usize, rows: Vec<Vec<Value>>) -> Result<Vec<Vec<Value>>, Interrupted> {
        let mut rows = Many::from(rows);
        for at in first..self.steps.len() {
            // Nothing is computed of rows that are not shown.
            if let [(Step::Project(_), _), (Step::Limit(limit), flow), ..] = &mut self.steps[at..] {
                flow.into += rows.len().saturating_sub(limit.wanted()) as u64;
                rows.truncate(limit.wanted());
            }
            let (step, flow) = &mut self.steps[at];
            flow.into += rows.len() as u64;
            rows = step.run(rows.into_vec(), &mut self.machine, self.plan).into();
            flow.out += rows.len() as u64;
            self.machine.warnings.check()?;
        }
        Ok(rows.into_vec())
    }
}

impl Machine<'_> {
    /// Fills the changes of rows.
    fn compare(
        &mut self,
        number: usize,
        compare: &Compare,
        mut rows: Vec<Vec<Value>>,
    ) -> Vec<Vec<Value>> {
        if let Some(previous) = &mut self.previous
            && previous.fill(number, compare, &mut rows, &mut self.warnings)
        {
            let note = "changes are NULL for rows that cannot be identified uniquely";
            self.notes.push(note.to_owned());
        }
        rows
    }
}

impl Step<'_> {
    /// Puts what all rows came to into what is shown.
    fn know(&mut self, all: &[Value]) {
        if let Self::Project(projection) = self {
            projection.know(all);
        }
    }

    /// Whether it holds what was made of all rows until the last one has come.
    fn holds_all(&self) -> bool {
        match self {
            Self::Sort(sort) => sort.holds_all(),
            Self::Compare(..) | Self::Whole(..) | Self::Group(_) | Self::Distinct(_) => true,
            _ => false,
        }
    }

    /// What rows come to at once.
    fn run(
        &mut self,
        mut rows: Vec<Vec<Value>>,
        machine: &mut Machine,
        plan: &Plan,
    ) -> Vec<Vec<Value>> {
        let warnings = &mut machine.warnings;
        let before = warnings.texts;
        match self {
            Self::Done | Self::Totals => {}
            Self::Filter(expr) => {
                rows.retain(|row| eval::truth(&eval::eval(expr, row, warnings)) == Some(true));
            }
            Self::LookUp(lookups) => {
                for note in look_up::all(plan, lookups, &mut rows, machine.host) {
                    // Each batch may say it.
                    if !machine.notes.contains(&note) {
                        machine.notes.push(note);
                    }
                }
            }
            Self::Compare(_, _, kept) => kept.append(&mut rows),
            Self::Group(groups) => {
                rows.drain(..).for_each(|row| groups.add(&row, warnings));
                return rows;
            }
            Self::Whole(groups, kept) => {
                for row in &rows {
                    groups.add(row, warnings);
                }
                kept.append(&mut rows);
            }
            Self::Project(projection) => {
                for row in &mut rows {
                    let before = warnings.texts;
                    projection.run(row, warnings);
                    if warnings.texts > before {
                        // What was only on the way to them is gone.
                        warnings.texts = before + row.iter().map(Value::bytes).sum::<usize>();
                    }
                }
                return rows;
            }
            Self::Distinct(distinct) => distinct.retain(&mut rows, warnings),
            Self::Sort(sort) => sort.add(std::mem::take(&mut rows), warnings),
            Self::Limit(limit) => rows = limit.take(rows),
        }
        warnings.texts = before;
        rows
    }
}

/// Runs `plan` over all its rows at once. `warnings` is what the scan itself had to say.
pub fn run(
    plan: &Plan,
    rows: Vec<Row>,
    host: &dyn Host,
    capabilities: &dyn Capabilities,
    warnings: Warnings,
) -> Result<Output, Interrupted> {
    let mut execution = Execution::new(plan, host);
    let mut rows = execution.push(rows)?;
    let mut rest = execution.finish(warnings)?;
    rows.append(&mut rest.rows);
    Ok(Output { columns: columns(plan, capabilities), rows, warnings: rest.notes })
}

/// The columns of the answer.
#[must_use]
pub fn columns(plan: &Plan, capabilities: &dyn Capabilities) -> Vec<OutputColumn> {
    let totals = plan.totals_item();
    plan.items()
        .iter()
        .enumerate()
        .zip(plan.identifies())
        .map(|((at, item), identifies)| {
            let (name, ty, unit) = (item.name.clone(), item.expr.ty, item.expr.unit);
            let flag_names: Option<Arc<[(String, u32)]>> = match ty {
                Type::SlabFlags => Some(capabilities.slab_flags().into()),
                Type::GfpFlags => Some(capabilities.gfp_flags().into()),
                _ => None,
            };
            let changed = plan.change_of(at).map(|change| change.change);
            let per_second = changed == Some(Change::Second);
            let change = matches!(changed, Some(Change::Tick | Change::Second))
                || item.expr.column.is_some_and(Column::is_change);
            let doc = doc(plan, &item.expr).filter(|_| changed.is_none());
            let totals = totals == Some(at);
            OutputColumn { name, ty, unit, per_second, change, flag_names, doc, identifies, totals }
        })
        .collect()
}

/// What the catalog says of an item: of a column its sentence, of an aggregate over a column both.
fn doc(plan: &Plan, expr: &Expr) -> Option<String> {
    if let Some(column) = expr.column {
        return Some(column.doc.to_owned());
    }
    let (ExprKind::Input(at), Some(group)) = (&expr.kind, plan.group()) else { return None };
    let aggregate = group.aggregates.get(at.checked_sub(group.keys.len())?)?;
    let column = aggregate.argument.as_ref()?.column?;
    Some(format!("`{}`: {}", aggregate.name, column.doc))
}
