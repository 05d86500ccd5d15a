//! Computes what is shown of rows.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::bound::{Expr, ExprKind, Item, Key};
use crate::eval::{self, Warnings};
use crate::value::Value;

/// Where the values of `keys` are in a row of what is computed: an input that is shown as it is has no second place, all
/// else is behind what is shown.
pub(super) fn places(items: &[Item], keys: &[Key]) -> Vec<usize> {
    let mut behind = items.len()..;
    let shown = |key: &Key| match key.expr.kind {
        ExprKind::Input(input) => items
            .iter()
            .position(|item| matches!(item.expr.kind, ExprKind::Input(shown) if shown == input)),
        _ => None,
    };
    keys.iter().filter_map(|key| shown(key).or_else(|| behind.next())).collect()
}

/// What is computed of a row, in its order.
pub(super) struct Projection<'a> {
    exprs: Vec<Cow<'a, Expr>>,
    /// The inputs that are shown as they are and read for nothing else: their values are moved, not copied.
    moved: Vec<Option<usize>>,
}

impl<'a> Projection<'a> {
    /// What is shown, and behind it what is sorted by and not shown.
    pub(super) fn new(items: &'a [Item], keys: &'a [Key]) -> Self {
        let shown = items.iter().map(|item| &item.expr);
        let places = keys.iter().zip(places(items, keys));
        let behind = places.filter(|(_, place)| *place >= items.len()).map(|(key, _)| &key.expr);
        let exprs: Vec<&Expr> = shown.chain(behind).collect();
        let mut reads = HashMap::new();
        for input in exprs.iter().flat_map(|expr| expr.inputs()) {
            *reads.entry(input).or_insert(0) += 1;
        }
        let moved = exprs.iter().map(|expr| match expr.kind {
            ExprKind::Input(input) if reads[&input] == 1 => Some(input),
            _ => None,
        });
        Self { moved: moved.collect(), exprs: exprs.into_iter().map(Cow::Borrowed).collect() }
    }

    /// Replaces a row by what is computed of it.
    pub(super) fn run(&self, row: &mut Vec<Value>, warnings: &mut Warnings) {
        let here = |(at, moved): (usize, &Option<usize>)| *moved == Some(at);
        if row.len() == self.moved.len() && self.moved.iter().enumerate().all(here) {
            warnings.step(row.len());
            return;
        }
        let mut computed = Vec::with_capacity(self.exprs.len());
        for (expr, moved) in self.exprs.iter().zip(&self.moved) {
            computed.push(match moved.and_then(|input| row.get_mut(input)) {
                Some(value) => {
                    warnings.step(1);
                    std::mem::replace(value, Value::Null)
                }
                None => eval::eval(expr, row, warnings),
            });
        }
        *row = computed;
    }

    /// The first `count` of what is computed of `row`.
    pub(super) fn of(&self, row: &[Value], count: usize, warnings: &mut Warnings) -> Vec<Value> {
        self.exprs.iter().take(count).map(|expr| eval::eval(expr, row, warnings)).collect()
    }

    /// Puts what all rows came to where it is shown.
    pub(super) fn know(&mut self, all: &[Value]) {
        let of_all = self.exprs.iter_mut().filter(|expr| expr.names_whole());
        of_all.for_each(|expr| put(expr.to_mut(), all));
    }
}

/// Puts what all rows came to into an expression.
fn put(expr: &mut Expr, all: &[Value]) {
    if let ExprKind::Whole(number) = expr.kind {
        expr.kind = ExprKind::Const(all.get(number).cloned().unwrap_or(Value::Null));
    }
    expr.children_mut(&mut |child| put(child, all));
}
