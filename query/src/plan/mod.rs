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
mod slabs;

use std::sync::Arc;

use crate::bound::{self, Expr, ExprKind, Item, Key, Missing, Query};
use crate::catalog::{Column, SlabFigure, Source, Table};
use crate::delta::{self, Delta};
use crate::diagnostic::Span;
use crate::input::Input;
use crate::syntax::ast::Argument;
use crate::value::Value;
pub use condition::Condition;
use condition::Conditions;
pub use group::Group;
use group::InKernel;
use kernel::{Pred, Scalar};
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
    /// The conditions on rows and groups, in their order.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.operators.iter().filter_map(|operator| match operator {
            Operator::Filter(condition) => Some(condition),
            _ => None,
        })
    }

    /// The conditions that run in the kernel, in their order, and what runs.
    pub fn pushed(&self) -> impl Iterator<Item = (&Condition, &Pred)> {
        self.conditions().filter_map(|condition| Some((condition, condition.kernel.as_ref().ok()?)))
    }

    /// Whether the cgroups that objects are charged to are read.
    #[must_use]
    pub fn reads_owners(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.source(), Some(Source::Owner(_))))
    }

    /// Whether the sites that allocated objects are read.
    #[must_use]
    pub fn reads_sites(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input.source(), Some(Source::Site)))
    }

    /// Whether its program may find that a number leaves a register, so that [`crate::exec::wide`] computes anew.
    #[must_use]
    pub fn can_overflow(&self) -> bool {
        let mut found = false;
        let mut visit = |scalar: &Scalar| found |= scalar.is_checked();
        self.pushed().for_each(|(_, pred)| pred.scalars(&mut visit));
        let operands = self.group_in_kernel().into_iter().flat_map(InKernel::operands);
        operands.for_each(|operand| operand.scalars(&mut visit));
        found
    }

    /// How rows become groups, if they do; what follows is then computed of a group's row.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.operators.iter().find_map(|operator| match operator {
            Operator::Group(group) => Some(group),
            _ => None,
        })
    }

    /// What the kernel does to make groups, if it makes them.
    #[must_use]
    pub fn group_in_kernel(&self) -> Option<&InKernel> {
        self.group()?.kernel.as_ref().ok()
    }

    /// The item that says whether a row is the totals, if there are totals.
    #[must_use]
    pub fn totals_item(&self) -> Option<usize> {
        let at = ExprKind::Input(self.group()?.totals?);
        self.items().iter().position(|item| item.expr.kind == at)
    }

    /// What is shown.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        let items = self.operators.iter().find_map(|operator| match operator {
            Operator::Project(items) => Some(&**items),
            _ => None,
        });
        items.unwrap_or_default()
    }

    /// How rows are sorted.
    #[must_use]
    pub fn order_by(&self) -> &[Key] {
        let keys = self.operators.iter().find_map(|operator| match operator {
            Operator::Sort { keys, .. } => Some(&**keys),
            _ => None,
        });
        keys.unwrap_or_default()
    }

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

    /// The change that an item is, if it is one and nothing else.
    #[must_use]
    pub fn change_of(&self, item: usize) -> Option<&Delta> {
        let ExprKind::Input(input) = self.items()[item].expr.kind else { return None };
        let of_item = self.operators.iter().rev().find_map(|operator| match operator {
            Operator::Compare(compare) => Some(&*compare.changes),
            // Behind it a number is one of a group's row.
            Operator::Group(_) => Some(&[][..]),
            _ => None,
        });
        of_item?.iter().find(|(at, _)| *at == input).map(|(_, change)| &**change)
    }

    /// A change that the query asks for, of rows or of groups: then it is one for a watch.
    #[must_use]
    pub fn change(&self) -> Option<&Delta> {
        self.changes().next()
    }

    /// All changes that the query asks for.
    pub fn changes(&self) -> impl Iterator<Item = &Delta> {
        let compared = self.operators.iter().filter_map(|operator| match operator {
            Operator::Compare(compare) => Some(&compare.changes),
            _ => None,
        });
        compared.flatten().map(|(_, change)| &**change)
    }

    /// Which items are a part of what tells rows apart, so that they say the same of a row at any time. Where rows are only
    /// told apart by all that they show, that is all of it.
    #[must_use]
    pub fn identifies(&self) -> Vec<bool> {
        let whole = self.operators.iter().any(|operator| matches!(operator, Operator::Distinct));
        let is_part = |item: &Item| match item.expr.kind {
            _ if whole => true,
            ExprKind::Input(input) => self.is_identity(self.group(), input),
            _ => false,
        };
        self.items().iter().map(is_part).collect()
    }

    /// Whether there can be rows that are not in the answer, by what they hold or how many there are, and come into it
    /// without being new.
    #[must_use]
    pub fn chooses(&self) -> bool {
        let mut group = None;
        self.operators.iter().any(|operator| match operator {
            Operator::Group(made) => {
                group = Some(made);
                false
            }
            // What tells rows apart never changes, and neither does an answer of it.
            Operator::Filter(condition) => {
                !condition.expr.inputs().iter().all(|input| self.is_identity(group, *input))
            }
            Operator::Limit { .. } => true,
            _ => false,
        })
    }

    /// Whether an input, of a row or of a group's row, is a part of what tells rows apart.
    fn is_identity(&self, group: Option<&Group>, input: usize) -> bool {
        match group {
            Some(group) => input < group.keys.len() || group.totals == Some(input),
            None => self.table.identity.contains(&self.inputs[input].name()),
        }
    }

    /// The rows of a scan that are enough for the answer; none if it may need all of them.
    #[must_use]
    pub fn enough(&self) -> Option<u32> {
        for operator in &self.operators {
            match operator {
                Operator::Filter(condition) if condition.kernel.is_err() => return None,
                Operator::Compare(_)
                | Operator::Group(_)
                | Operator::Whole(_)
                | Operator::Distinct
                | Operator::Sort { .. } => return None,
                Operator::Limit { limit, offset } => {
                    return u32::try_from((*limit)?.saturating_add(*offset)).ok();
                }
                Operator::Scan
                | Operator::Filter(_)
                | Operator::LookUp(_)
                | Operator::Project(_)
                | Operator::Totals => {}
            }
        }
        None
    }

    /// The texts that the conditions want a cache's name to be equal to.
    #[must_use]
    pub fn wanted_names(&self) -> Vec<&[u8]> {
        let is_name = |expr: &Expr| match expr.kind {
            ExprKind::Input(input) => {
                self.inputs[input].column().is_some_and(|column| column.name == "name")
            }
            _ => false,
        };
        let mut names = Vec::new();
        let of_rows =
            self.operators.iter().take_while(|operator| !matches!(operator, Operator::Group(_)));
        let mut rest: Vec<&Expr> = of_rows
            .filter_map(|operator| match operator {
                Operator::Filter(condition) => Some(&condition.expr),
                _ => None,
            })
            .collect();
        while let Some(expr) = rest.pop() {
            let literals: Vec<&Expr> = match &expr.kind {
                ExprKind::Compare(bound::Compare::Eq, left, right) if is_name(left) => vec![right],
                ExprKind::Compare(bound::Compare::Eq, left, right) if is_name(right) => vec![left],
                ExprKind::In(tested, list, _) if is_name(tested) => list.iter().collect(),
                _ => Vec::new(),
            };
            names.extend(literals.into_iter().filter_map(|literal| match literal.constant() {
                Some(Value::Text(name)) => Some(&**name),
                _ => None,
            }));
            // Under a `not` a name is one that is not wanted.
            if !matches!(expr.kind, ExprKind::Not(_)) {
                expr.children(&mut |child| rest.push(child));
            }
        }
        names
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
