//! Plans a bound query: what the kernel does, and what user space does with the rows that remain.
//!
//! ```text
//!   kernel       scan ─ conditions of the kernel ─ row of the columns that are still needed, or of a group
//!                                 │
//!   user space   other conditions ─ look-ups ─ conditions on them ─ group, conditions on groups
//!                                 │
//!                project ─ distinct ─ sort ─ offset, limit ─ totals
//! ```
//!
//! Every condition that has a form in the kernel runs there, cheapest first, as long as the program has room for it.
//! A column that only such conditions read is not projected. The answer is the same wherever a condition runs.

mod condition;
pub mod explain;
pub mod export;
pub mod group;
pub mod kernel;
pub mod lower;
mod price;
mod properties;
mod slabs;

use std::sync::Arc;

use crate::bound::{self, Expr, Item, Key, Missing, Query};
use crate::catalog::{Column, SlabFigure, Source, Table};
use crate::delta::{self, Delta};
use crate::diagnostic::Span;
use crate::input::Input;
use crate::syntax::ast::Argument;
pub use condition::Condition;
use condition::Conditions;
pub use group::Group;
use lower::Lowerer;
pub use price::{AFTER_ALL, CPU_WALK, NODE_WALK, SUM, cost, dearest};

/// How the kernel's iterator is driven; see [`ebpf_templates::template::driver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// One run of a `syscall` program.
    OpenCoded,
    /// A file of `iter/kmem_cache`.
    Iter,
    /// One run of a `syscall` program that follows the list of caches, where the kernel has no iterator.
    List,
    /// Runs of a `syscall` program over page descriptors, which gives slabs.
    Vmemmap,
}

impl Template {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenCoded => "open-coded",
            Self::Iter => "iter",
            Self::List => "list",
            Self::Vmemmap => "vmemmap",
        }
    }
}

/// Where a query is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// In the kernel, by this template; with or without conditions there.
    Kernel {
        /// How the iterator is driven.
        template: Template,
        /// Whether conditions run in the kernel. Without them the answer is the same.
        pushdown: bool,
        /// Whether the kernel has functions of texts: Linux 6.17.
        texts: bool,
        /// Whether rows can be computed again in user space where a number leaves its register; not those that somebody else
        /// reads.
        repeatable: bool,
        /// Whether page descriptors can be walked; of a plan over slabs, whether it finds all that are asked for.
        pages: bool,
    },
    /// On rows that are there already, of the place that is named.
    Rows(&'static str),
}

/// What rows of objects are made of where their number suffices.
const COUNTED: &str = "slabs by the descriptors of all pages, objects counted by their bits";

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is read.
    pub table: &'static Table,
    /// What is handed to it.
    pub arguments: Vec<Argument>,
    /// Where.
    pub target: Target,
    /// What the query reads of a row, numbered.
    pub inputs: Vec<Input>,
    /// The inputs that a row of the kernel carries.
    pub projected: Vec<usize>,
    /// What is done, from the scan to the answer: each takes the rows of the one before it. This order is the only one:
    /// `explain` prints it, `exec` runs it, `explain analyze` counts along it.
    pub operators: Vec<Operator>,
    /// Whether a row of the source stands for as many rows as the value behind its inputs says: of objects that differ in
    /// nothing that the query reads.
    pub counted: bool,
    /// The columns that the query names and the source cannot give.
    pub missing: Vec<Missing>,
    /// The subqueries that ran before, as they are written, and what they came to.
    pub subqueries: Vec<(String, String)>,
    /// What there is to say of their answers.
    pub notes: Vec<String>,
    /// Whether the program counts what each of its conditions is asked and lets pass, for `explain analyze`.
    pub analyze: bool,
}

/// A step of a plan. The scan runs where [`Plan::target`] says, conditions and groups say themselves where they run,
/// and everything else runs in user space.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Reads the table.
    Scan,
    /// Keeps the rows of which a condition is true.
    Filter(Condition),
    /// Fills the inputs that user space looks up.
    LookUp(Vec<usize>),
    /// Fills the change since the previous tick.
    Compare(Compare),
    /// Makes groups.
    Group(Group),
    /// Computes what aggregates come to over all rows, which make a single group.
    Whole(Group),
    /// Computes what is shown.
    Project(Vec<Item>),
    /// Drops equal rows.
    Distinct,
    /// Sorts rows.
    Sort {
        /// By what, computed of the rows that are projected.
        keys: Vec<Key>,
        /// How many of them the answer may need.
        wanted: u64,
    },
    /// Passes rows over, and cuts the rest off.
    Limit {
        /// The most rows that are shown.
        limit: Option<u64>,
        /// The rows that are passed over first.
        offset: u64,
    },
    /// Adds the totals of the groups behind an answer that has rows.
    Totals,
}

/// What changed of rows since the tick before.
#[derive(Clone, Debug)]
pub struct Compare {
    /// The values of a row by which it is found again.
    pub identity: Vec<usize>,
    /// Where in a row the changes go, in their order.
    pub changes: Vec<(usize, Arc<Delta>)>,
}

/// Plans `query`, whose text is `text`, for `target`.
#[must_use]
pub fn plan(mut query: Query, target: Target, text: &str) -> Plan {
    let of_groups = delta::take_out(&mut query, text);
    let mut inputs = query.inputs;
    let target = slabs::by(query.table, target, &query.filter, &inputs);
    let key = row_key(query.table, &mut inputs);
    let changes: Vec<(usize, Arc<Delta>)> = inputs
        .iter()
        .enumerate()
        .filter_map(|(number, input)| Some((number, input.change()?.clone())))
        .collect();
    let identity =
        if changes.is_empty() { Vec::new() } else { delta::identity(query.table, &mut inputs) };
    let counted = changes.is_empty()
        && query.group.as_ref().is_some_and(|group| group::counts(query.table, group, &inputs));
    let target = match target {
        Target::Rows(_) if counted => Target::Rows(COUNTED),
        target => target,
    };
    let lowerer = Lowerer::new(text, &inputs, target, query.table);
    let Conditions { pushed, early, late, room } = condition::place(query.filter, target, &lowerer);
    let in_user_space = !(early.is_empty() && late.is_empty());
    let group = query.group.map(|group| {
        let totals = group.totals_at();
        let bound::Group { keys, aggregates, having, .. } = group;
        let place = (query.table, target);
        let kernel = group::lower(&keys, &aggregates, in_user_space, place, &lowerer, room);
        (Group { keys, aggregates, totals, kernel }, having)
    });
    let totals = group.as_ref().and_then(|(group, _)| group.totals);

    let read: Vec<&Expr> = match &group {
        // The program reads what it needs, and sends groups.
        Some((group, _)) if group.in_kernel() => Vec::new(),
        Some((group, _)) => group.of_rows().collect(),
        None => {
            let sorted = query.order_by.iter().map(|key| &key.expr);
            let all = query.windows.iter().filter_map(|window| window.argument.as_ref());
            query.items.iter().map(|item| &item.expr).chain(sorted).chain(all).collect()
        }
    };
    let filtered = early.iter().chain(&late).map(|condition| &condition.expr);
    let needed = read.into_iter().chain(filtered).flat_map(Expr::inputs);
    let (projected, lookups) =
        sources(needed.chain(identity.iter().copied()).collect(), key, &inputs);

    let mut operators = vec![Operator::Scan];
    operators.extend(pushed.into_iter().chain(early).map(Operator::Filter));
    if !lookups.is_empty() {
        operators.push(Operator::LookUp(lookups));
    }
    if !changes.is_empty() {
        operators.push(Operator::Compare(Compare { identity, changes }));
    }
    operators.extend(late.into_iter().map(Operator::Filter));
    if let Some((group, having)) = group {
        let keys = group.keys.len();
        let width = keys + group.aggregates.len() + usize::from(totals.is_some());
        operators.push(Operator::Group(group));
        if !of_groups.is_empty() {
            let identity = (0..keys).chain(totals).collect();
            let changes = (width..).zip(of_groups).collect();
            operators.push(Operator::Compare(Compare { identity, changes }));
        }
        let condition = |expr| Condition::new(expr, text, Err("groups are complete only there"));
        operators.extend(having.into_iter().map(condition).map(Operator::Filter));
    }
    if !query.windows.is_empty() {
        let kernel = Err("all rows are known only there");
        let (keys, aggregates) = (Vec::new(), query.windows);
        operators.push(Operator::Whole(Group { keys, aggregates, totals: None, kernel }));
    }
    operators.push(Operator::Project(query.items));
    if query.distinct {
        operators.push(Operator::Distinct);
    }
    let (limit, offset) = (query.limit, query.offset);
    let written = |(span, value): (Span, String)| {
        (text.get(span.start..span.end).unwrap_or_default().to_owned(), value)
    };
    if !query.order_by.is_empty() {
        let wanted = limit.map_or(u64::MAX, |limit| limit.saturating_add(offset));
        operators.push(Operator::Sort { keys: query.order_by, wanted });
    }
    if limit.is_some() || offset > 0 {
        operators.push(Operator::Limit { limit, offset });
    }
    if totals.is_some() {
        operators.push(Operator::Totals);
    }
    Plan {
        table: query.table,
        arguments: query.arguments,
        target,
        inputs,
        projected,
        operators,
        counted,
        missing: query.missing,
        subqueries: query.subqueries.into_iter().map(written).collect(),
        notes: query.notes,
        analyze: false,
    }
}

/// What the inputs in `needed` are made of: the inputs of the source, and those that are looked up. `key` is one of
/// the source that is wanted whatever is needed.
fn sources(
    mut needed: Vec<usize>,
    key: Option<usize>,
    inputs: &[Input],
) -> (Vec<usize>, Vec<usize>) {
    let mut next = 0;
    while let Some(input) = needed.get(next) {
        needed.extend(inputs[*input].change().into_iter().flat_map(|change| change.of.inputs()));
        next += 1;
    }
    let in_order = |inputs: &mut Vec<usize>| {
        inputs.sort_unstable();
        inputs.dedup();
    };
    in_order(&mut needed);
    let lookups: Vec<usize> =
        needed.iter().copied().filter(|input| inputs[*input].is_lookup()).collect();
    for lookup in &lookups {
        needed.extend(lookup_arguments(*lookup, inputs));
    }
    needed.extend(key);
    needed.retain(|input| !inputs[*input].is_lookup() && inputs[*input].change().is_none());
    in_order(&mut needed);
    (needed, lookups)
}

impl Plan {
    /// The same over all rows, with all inputs in `projected`, of which user space chooses and makes groups.
    #[must_use]
    pub fn unfiltered(&self, projected: Vec<usize>) -> Self {
        let mut all = Self { projected, ..self.clone() };
        for operator in &mut all.operators {
            if let Operator::Group(group) = operator {
                group.kernel = Err("they are recomputed in user space");
            }
        }
        all.operators.retain(|operator| match operator {
            Operator::Filter(condition) => condition.kernel.is_err(),
            _ => true,
        });
        all
    }
}

/// The input by which a scan in several runs tells rows apart, added if the query does not read it.
fn row_key(table: &'static Table, inputs: &mut Vec<Input>) -> Option<usize> {
    let key = Source::Slab(SlabFigure::Address);
    let column = table.columns.iter().find(|column| column.source == key)?;
    let there = inputs.iter().position(|input| input.source() == Some(key));
    Some(there.unwrap_or_else(|| {
        inputs.push(column.into());
        inputs.len() - 1
    }))
}

/// The inputs that hold a look-up's arguments, in the order of its definition.
#[must_use]
pub fn lookup_arguments(lookup: usize, inputs: &[Input]) -> Vec<usize> {
    match &inputs[lookup] {
        Input::Column(Column { source: Source::Host(_, by), .. }) => by
            .iter()
            .filter_map(|name| inputs.iter().position(|input| input.name() == *name))
            .collect(),
        Input::Call(call) => {
            call.of.iter().filter_map(|of| inputs.iter().position(|input| input == of)).collect()
        }
        _ => Vec::new(),
    }
}
