//! Plans a typed query: what the kernel does, and what user space does with the rows that remain.
//!
//! ```text
//!   kernel       scan ─ conditions of the kernel ─ row of the columns that are still needed, or of a group
//!                                 │
//!   user space   other conditions ─ look-ups ─ conditions on them ─ group, conditions on groups
//!                                 │
//!                project ─ distinct ─ sort ─ offset, limit
//! ```
//!
//! Every condition that has a form in the kernel runs there, cheapest first, as long as the program has room for it.
//! A column that only such conditions read is not sent. The answer is the same wherever a condition runs.

pub mod explain;
pub mod group;
pub mod kernel;
pub mod lower;

use crate::catalog::{SlabFigure, Source, Table, Walk};
use crate::change::{self, Change};
use crate::input::Input;
use crate::path::Base;
use crate::resolved::Missing;
use crate::syntax::ast::Argument;
use crate::typed::{self, Compare, Expr, ExprKind, Item, Key, Query};
use crate::value::Value;
pub use group::Group;
use kernel::Pred;
use lower::{Lowerer, Reason};

/// The most slots of a program that conditions take. A jump reaches eight times as far, and the verifier follows
/// twice as many jumps in a row.
const MAX_SLOTS: usize = 4096;

/// How the kernel's iterator is driven; see [`ebpf_templates::template::driver`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// One run of a `syscall` program.
    OpenCoded,
    /// A file of `iter/kmem_cache`.
    Iter,
    /// One run of a `syscall` program that follows the list of caches, where the kernel has no iterator.
    List,
}

impl Template {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenCoded => "open-coded",
            Self::Iter => "iter",
            Self::List => "list",
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
    },
    /// On rows that are there already, of the place that is named.
    Rows(&'static str),
}

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
    /// The conditions that run in the kernel, in their order.
    pub pushed: Vec<Pushed>,
    /// The inputs that a row of the kernel carries.
    pub sent: Vec<usize>,
    /// The conditions that run in user space, in their order: those on look-ups last.
    pub filter: Vec<Residual>,
    /// The inputs that are looked up in user space.
    pub lookups: Vec<usize>,
    /// Where inputs are changes, the inputs that tell rows apart.
    pub identity: Vec<usize>,
    /// How rows become groups, if they do; what follows is then computed of a group's row.
    pub group: Option<Group>,
    /// What is shown.
    pub items: Vec<Item>,
    /// Whether equal rows are shown once.
    pub distinct: bool,
    /// How rows are sorted.
    pub order_by: Vec<Key>,
    /// The most rows that are shown.
    pub limit: Option<u64>,
    /// The rows that are passed over first.
    pub offset: u64,
    /// The columns that the query names and the source cannot give.
    pub missing: Vec<Missing>,
    /// Whether the program counts what each of its conditions is asked and lets pass, for `explain analyze`.
    pub analyze: bool,
}

/// A condition that runs in the kernel.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// What runs.
    pub pred: Pred,
    /// The same, for user space.
    pub expr: Expr,
    /// The text of the query that it was.
    pub text: String,
}

/// A condition that runs in user space.
#[derive(Clone, Debug)]
pub struct Residual {
    /// What runs.
    pub expr: Expr,
    /// The text of the query that it was.
    pub text: String,
    /// Why it does not run in the kernel.
    pub reason: Reason,
    /// Whether it reads a look-up or a change.
    pub on_lookup: bool,
}

/// Plans `query`, whose text is `text`, for `target`.
#[must_use]
pub fn plan(mut query: Query, target: Target, text: &str) -> Plan {
    let of_groups = change::take_out(&mut query, text);
    let mut inputs = query.inputs;
    let key = row_key(query.table, &mut inputs);
    let changes = inputs.iter().any(|input| input.change().is_some());
    let identity = if changes { change::identity(query.table, &mut inputs) } else { Vec::new() };
    let is_lookup = |input: &usize| inputs[*input].is_lookup();
    let is_change = |input: &usize| inputs[*input].change().is_some();
    let (mut pushed, mut filter) = (Vec::new(), Vec::new());
    let mut room = MAX_SLOTS;
    for expr in query.filter {
        let lowered = match target {
            Target::Kernel { pushdown: true, texts, .. } => {
                lower::lower(&expr, text, &inputs, texts)
            }
            Target::Kernel { pushdown: false, .. } => {
                Err("conditions in the kernel are switched off")
            }
            Target::Rows(_) => Err("the rows are in user space already"),
        };
        let fitting = lowered.and_then(|pred| match room.checked_sub(slots(&pred, &inputs)) {
            Some(left) => {
                room = left;
                Ok(pred)
            }
            None => Err("there is no room left in the program"),
        });
        let text = one_line(&text[expr.span.start..expr.span.end]);
        match fitting {
            Ok(pred) => pushed.push(Pushed { pred, expr, text }),
            Err(reason) => {
                let late = |input: &usize| is_lookup(input) || is_change(input);
                let on_lookup = expr.inputs().iter().any(late);
                filter.push(Residual { expr, text, reason, on_lookup });
            }
        }
    }
    pushed.sort_by_key(|pushed| dearest(&pushed.pred, &inputs));
    filter.sort_by_key(|residual| residual.on_lookup);

    let group = query.group.map(|typed::Group { keys, aggregates, having }| {
        let residual = |expr: Expr| {
            let text = one_line(&text[expr.span.start..expr.span.end]);
            Residual { expr, text, reason: "groups are whole there", on_lookup: false }
        };
        let having = having.into_iter().map(residual).collect();
        let texts = matches!(target, Target::Kernel { texts: true, .. });
        let lowerer = Lowerer { text, inputs: &inputs, texts };
        let kernel =
            group::lower(&keys, &aggregates, &filter, (query.table, target), &lowerer, room);
        Group { keys, aggregates, having, kernel, changes: of_groups }
    });
    let read: Vec<&Expr> = match &group {
        // The program reads what it needs, and sends groups.
        Some(group) if group.in_kernel() => Vec::new(),
        Some(group) => group.of_rows().collect(),
        None => {
            let sorted = query.order_by.iter().map(|key| &key.expr);
            query.items.iter().map(|item| &item.expr).chain(sorted).collect()
        }
    };
    let filtered = filter.iter().map(|residual| &residual.expr);
    let mut needed: Vec<usize> = read.into_iter().chain(filtered).flat_map(Expr::inputs).collect();
    needed.extend(&identity);
    let mut next = 0;
    while let Some(input) = needed.get(next) {
        needed.extend(inputs[*input].change().into_iter().flat_map(|change| change.of.inputs()));
        next += 1;
    }
    needed.sort_unstable();
    needed.dedup();
    let lookups: Vec<usize> = needed.iter().copied().filter(is_lookup).collect();
    for lookup in &lookups {
        needed.extend(lookup_arguments(*lookup, &inputs));
    }
    needed.extend(key);
    needed.retain(|input| !is_lookup(input) && !is_change(input));
    needed.sort_unstable();
    needed.dedup();
    Plan {
        arguments: query.arguments,
        table: query.table,
        target,
        inputs,
        pushed,
        sent: needed,
        filter,
        lookups,
        identity,
        group,
        items: query.items,
        distinct: query.distinct,
        order_by: query.order_by,
        limit: query.limit,
        offset: query.offset,
        missing: query.missing,
        analyze: false,
    }
}

impl Plan {
    /// The changes of rows, and the numbers of their inputs.
    pub fn changes(&self) -> impl Iterator<Item = (usize, &Change)> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter_map(|(number, input)| Some((number, input.change()?)))
    }

    /// Whether an item is a change and nothing else.
    #[must_use]
    pub fn is_change(&self, item: usize) -> bool {
        let ExprKind::Input(input) = self.items[item].expr.kind else { return false };
        match &self.group {
            Some(group) => input >= group.keys.len() + group.aggregates.len(),
            None => self.inputs[input].change().is_some(),
        }
    }

    /// A change that the query asks for, of rows or of groups: then it is one for a watch.
    #[must_use]
    pub fn change(&self) -> Option<&Change> {
        let mut of_groups = self.group.iter().flat_map(|group| &group.changes);
        self.changes().next().map(|(_, change)| change).or_else(|| of_groups.next().map(|it| &**it))
    }

    /// The rows of a scan that are enough for the answer; none if it may need all of them.
    #[must_use]
    pub fn enough(&self) -> Option<u32> {
        let each = self.filter.is_empty() && self.group.is_none() && !self.distinct;
        let limit = self.limit.filter(|_| each && self.order_by.is_empty())?;
        u32::try_from(limit.saturating_add(self.offset)).ok()
    }

    /// The texts that the conditions want a cache's name to be equal to.
    #[must_use]
    pub fn wanted_names(&self) -> Vec<&[u8]> {
        let is_name = |expr: &Expr| match expr.kind {
            ExprKind::Input(input) => self.inputs[input].source() == Some(Source::Text("name")),
            _ => false,
        };
        let mut names = Vec::new();
        let pushed = self.pushed.iter().map(|pushed| &pushed.expr);
        let mut rest: Vec<&Expr> =
            pushed.chain(self.filter.iter().map(|residual| &residual.expr)).collect();
        while let Some(expr) = rest.pop() {
            let literals: Vec<&Expr> = match &expr.kind {
                ExprKind::Compare(Compare::Eq, left, right) if is_name(left) => vec![right],
                ExprKind::Compare(Compare::Eq, left, right) if is_name(right) => vec![left],
                ExprKind::In(tested, list) if is_name(tested) => list.iter().collect(),
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

/// The slots of a program that testing `pred` takes with the pointers that it follows, or a few more.
fn slots(pred: &Pred, inputs: &[Input]) -> usize {
    let hops = |input: usize| inputs[input].path().map_or(0, |path| path.hops.len() + 1);
    pred.slots() + 8 * pred.inputs().into_iter().map(hops).sum::<usize>()
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

/// A piece of the query as it goes into a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The inputs that hold a look-up's arguments, in the order of its definition.
#[must_use]
pub fn lookup_arguments(lookup: usize, inputs: &[Input]) -> Vec<usize> {
    match inputs[lookup].source() {
        Some(Source::Host(_, by)) => by
            .iter()
            .filter_map(|name| inputs.iter().position(|input| input.name() == *name))
            .collect(),
        _ => Vec::new(),
    }
}

/// The price of a sum over nodes; see [`cost`].
pub const SUM: u8 = 2;
/// The price of a walk of the nodes' partial lists.
pub const NODE_WALK: u8 = 3;
/// The price of a walk of what CPUs and barns hold ready.
pub const CPU_WALK: u8 = 4;
/// The price of what is known only after all walks.
pub const AFTER_ALL: u8 = 5;

/// What an input costs in the kernel: a member, a text, a sum over nodes, a walk of the nodes' lists, a walk over
/// CPUs, and last what is known only after all walks.
#[must_use]
pub fn cost(input: &Input) -> u8 {
    let source = match input {
        Input::Column(column) => column.source,
        Input::Change(_) => return 0,
        Input::Path(path) => {
            return match path.base {
                Base::Slab => CPU_WALK,
                Base::Node => SUM,
                Base::Cache => u8::from(!path.is_direct()),
            };
        }
    };
    match source {
        Source::Walk(Walk::Complete) => AFTER_ALL,
        Source::Walk(Walk::FreePartial | Walk::FreeSlabinfo) => NODE_WALK,
        Source::NodeSum(_)
        | Source::Node(_)
        | Source::Index
        | Source::Slab(SlabFigure::List | SlabFigure::Place) => SUM,
        Source::Walk(_) | Source::Cpu(_) | Source::Barn(_) | Source::Slab(_) => CPU_WALK,
        Source::Text(_) => 1,
        _ => 0,
    }
}

/// What a condition costs in the kernel: the dearest thing that it reads.
#[must_use]
pub fn dearest(pred: &Pred, inputs: &[Input]) -> u8 {
    pred.inputs().into_iter().map(|input| cost(&inputs[input])).max().unwrap_or(0)
}
