//! What changed since the tick before: `delta(x)` and `rate(x)` of a watch, its last ticks, `sparkline(x)`, and the values
//! in its first one and in its latest, `first(x)` and `last(x)`.
//!
//! A change is an input like a look-up: user space fills it, from the values that the same row had in the tick before.
//! Rows are the same where the columns of [`Table::identity`](crate::catalog::Table) are, groups where their keys are.
//! `take_out` puts an input in the place of each call, and `exec::previous_tick` fills it.
//!
//! # Invariants
//!
//! A change within a change comes before it, so in their order each finds its own argument filled.

use std::sync::Arc;

use crate::bound::{Expr, ExprKind, Group, Item, Query, Range};
use crate::catalog::Table;
use crate::diagnostic::Span;
use crate::input::Input;
use crate::value::{Type, Unit};

/// The most ticks that `sparkline(x)` shows.
pub const TICKS: usize = 40;

/// What a change tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `delta(x)`: what the tick did.
    Tick,
    /// `rate(x)`: what a second did.
    Second,
    /// `sparkline(x)`: the values of the last [`TICKS`] ticks.
    Ticks,
    /// `first(x)`: the value in the first tick that had the row.
    First,
    /// `last(x)`: the value in this tick.
    Last,
}

impl Change {
    /// The name of its function.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tick => "delta",
            Self::Second => "rate",
            Self::Ticks => "sparkline",
            Self::First => "first",
            Self::Last => "last",
        }
    }

    /// Whether it is a value of one tick, and not a difference or a list.
    #[must_use]
    pub fn is_value(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// A call of one of these functions.
#[derive(Debug)]
pub struct Delta {
    /// What it tells.
    pub change: Change,
    /// What is compared.
    pub of: Expr,
    /// The type of what it tells.
    pub ty: Type,
    /// What it counts.
    pub unit: Unit,
    /// As it is written.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// Every call is one of its own.
impl PartialEq for Delta {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// Takes the changes out of a query whose text is `text`: those of rows become inputs, those of groups are given back
/// and lie behind the keys and aggregates of a group's row.
pub(crate) fn take_out(query: &mut Query, text: &str) -> Vec<Arc<Delta>> {
    let mut of_rows = Vec::new();
    let mut rows = Taker { first: query.inputs.len(), text, taken: &mut of_rows };
    query.filter.iter_mut().for_each(|expr| rows.take(expr));
    let mut of_groups = Vec::new();
    let answer = query.items.iter_mut().map(|item| &mut item.expr);
    let answer = answer.chain(query.order_by.iter_mut().map(|key| &mut key.expr));
    let answer = answer.chain(query.windows.iter_mut().flat_map(|window| &mut window.argument));
    if let Some(group) = &mut query.group {
        let first = group.keys.len() + group.aggregates.len() + usize::from(group.totals);
        let Group { keys, aggregates, having, .. } = group;
        for key in &mut *keys {
            rows.take(&mut key.expr);
        }
        aggregates.iter_mut().flat_map(|made| &mut made.argument).for_each(|expr| rows.take(expr));
        let mut groups = Taker { first, text, taken: &mut of_groups };
        answer.chain(having).for_each(|expr| groups.take(expr));
    } else {
        answer.for_each(|expr| rows.take(expr));
    }
    query.inputs.extend(of_rows.into_iter().map(Input::Delta));
    of_groups
}

struct Taker<'a> {
    /// The number of the first change.
    first: usize,
    text: &'a str,
    taken: &'a mut Vec<Arc<Delta>>,
}

impl Taker<'_> {
    fn take(&mut self, expr: &mut Expr) {
        expr.children_mut(&mut |child| self.take(child));
        let ExprKind::Delta(change, of) = &expr.kind else { return };
        let (change, of) = (*change, (**of).clone());
        let Expr { ty, unit, span, .. } = *expr;
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        expr.kind = ExprKind::Input(self.first + self.taken.len());
        self.taken.push(Arc::new(Delta { change, of, ty, unit, text, span }));
    }
}

/// The numbers of the inputs that tell the rows of `table` apart, added where the query does not read them.
pub(crate) fn identity(table: &'static Table, inputs: &mut Vec<Input>) -> Vec<usize> {
    let columns = table.identity.iter().filter_map(|name| table.column(name));
    columns
        .map(|column| {
            let there = inputs.iter().position(|input| input.column() == Some(column));
            there.unwrap_or_else(|| {
                inputs.push(column.into());
                inputs.len() - 1
            })
        })
        .collect()
}

/// Adds what tells the rows of the answer apart, as items behind those that are shown, and says how many these are;
/// none where a row is only told apart by all of its values.
#[must_use]
pub fn identified(query: &mut Query) -> Option<usize> {
    let hidden = |input, ty, unit| Item {
        name: String::new(),
        expr: Expr {
            kind: ExprKind::Input(input),
            ty,
            unit,
            range: Range::UINT,
            span: Span::default(),
            column: None,
        },
    };
    if query.distinct {
        return None;
    }
    if let Some(group) = &query.group {
        let keys = group.keys.iter().enumerate();
        let keys = keys.map(|(key, item)| hidden(key, item.expr.ty, item.expr.unit));
        let totals = group.totals_at().map(|at| hidden(at, Type::Bool, Unit::None));
        query.items.extend(keys.chain(totals));
        return Some(group.keys.len() + usize::from(group.totals));
    }
    if query.table.identity.is_empty() {
        return None;
    }
    let identity = identity(query.table, &mut query.inputs);
    for input in &identity {
        let found = &query.inputs[*input];
        query.items.push(hidden(*input, found.ty(), found.unit()));
    }
    Some(identity.len())
}
