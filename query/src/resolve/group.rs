//! Resolves what makes groups of rows: the keys of `group by`, aggregates, and what may be said of a group.
//!
//! Aggregates are found while expressions are resolved, and numbered. When all clauses are, a query that has keys or
//! aggregates is one over groups: in its items, in `having` and in `order by` what equals a key becomes that key, and
//! a column that is left is of no group.
//!
//! In `group by` a name is a column, else an alias, and a bare integer the position of an item.

use super::Resolver;
use super::call::wrong_arguments;
use super::order::item_at;
use crate::aggregate;
use crate::diagnostic::{Diagnostic, Span};
use crate::resolved::{Aggregate, Expr, ExprKind, Group, Item, Key};
use crate::syntax::ast::{self, Ident};
use crate::value::Type;

/// The most keys of `group by`. What is said of a group is compared with each.
pub const MAX_KEYS: usize = 64;

/// The most aggregates of a query.
pub const MAX_AGGREGATES: usize = 1024;

/// Where resolution is, as far as aggregates go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In what is said of groups, if there are groups.
    Answer,
    /// In `where`.
    Where,
    /// In a key of `group by`.
    Key,
    /// In the argument of an aggregate.
    Aggregate,
}

impl Resolver<'_> {
    /// Resolves a call of an aggregate. `arguments` is what stands in the parentheses, none for `*`.
    pub(super) fn aggregate(
        &mut self,
        call: &ast::Expr,
        function: &'static aggregate::Aggregate,
        used: Option<Span>,
        depth: usize,
    ) -> Result<Expr, Diagnostic> {
        let span = used.unwrap_or(call.span);
        let (arguments, distinct): (&[ast::Expr], bool) = match &call.kind {
            ast::ExprKind::Call(_, arguments) => (arguments, false),
            ast::ExprKind::CallDistinct(_, arguments) => (arguments, true),
            _ => (&[], false),
        };
        let star = matches!(call.kind, ast::ExprKind::CallStar(_));
        if star && !function.star {
            let message = format!("`{}(*)` has no meaning", function.name);
            return Err(Diagnostic::new(span, message)
                .label("rows are counted only")
                .help(format!("it is called as `{}`", function.call)));
        }
        if !star {
            wrong_arguments(function.arguments, function.call, arguments.len(), span)?;
        }
        let place = std::mem::replace(&mut self.place, Place::Aggregate);
        allowed(place, span)?;
        let arguments = self.list(arguments, used, depth);
        self.place = place;
        let aggregate =
            Aggregate { function, distinct, arguments: arguments?, name: call.to_string() };
        let number = match self.aggregates.iter().position(|known| *known == aggregate) {
            Some(number) => number,
            None if self.aggregates.len() == MAX_AGGREGATES => {
                let message = format!("a query has at most {MAX_AGGREGATES} aggregates");
                return Err(Diagnostic::new(span, message));
            }
            None => {
                self.aggregates.push(aggregate.clone());
                self.aggregates.len() - 1
            }
        };
        Ok(Expr { kind: ExprKind::Aggregate(number, Box::new(aggregate)), span })
    }

    /// Resolves `group by`.
    pub(super) fn group_keys(
        &mut self,
        query: &ast::Query,
        items: &[Item],
    ) -> Result<Vec<Item>, Diagnostic> {
        self.place = Place::Key;
        let mut keys: Vec<Item> = Vec::new();
        for key in &query.group_by {
            let span = key.span;
            let resolved = match &key.kind {
                ast::ExprKind::Literal(ast::Literal::Int(position)) => {
                    let mut item = items[item_at(*position, span, items.len())?].clone();
                    item.expr.span = span;
                    if has_aggregate(&mut item.expr) {
                        allowed(Place::Key, span)?;
                    }
                    item
                }
                ast::ExprKind::Literal(_) => {
                    return Err(Diagnostic::new(span, "cannot group by a constant")
                        .label("the same for every row")
                        .help("a column is named without quotes, an item also by its position"));
                }
                ast::ExprKind::Column(name) => {
                    Item { name: name.name.clone(), expr: self.expr(key)? }
                }
                _ => Item { name: key.to_string(), expr: self.expr(key)? },
            };
            if keys.iter().all(|known| known.expr != resolved.expr) {
                keys.push(resolved);
            }
            if keys.len() > MAX_KEYS {
                let message = format!("`group by` has at most {MAX_KEYS} keys");
                return Err(Diagnostic::new(span, message));
            }
        }
        self.place = Place::Answer;
        Ok(keys)
    }
}

/// Makes a query over groups of one that has keys or aggregates: see the head of this module.
pub(super) fn grouped(
    keys: Vec<Item>,
    aggregates: Vec<Aggregate>,
    mut having: Option<Expr>,
    items: &mut [Item],
    order_by: &mut [Key],
) -> Result<Option<Group>, Diagnostic> {
    if keys.is_empty() && aggregates.is_empty() {
        return match having {
            None => Ok(None),
            Some(having) => Err(Diagnostic::new(having.span, "`having` needs groups")
                .label("there is neither `group by` nor an aggregate")
                .help("a condition on rows goes into `where`")),
        };
    }
    let shown = items.iter_mut().map(|item| &mut item.expr);
    let sorted = order_by.iter_mut().map(|key| &mut key.expr);
    for expr in shown.chain(&mut having).chain(sorted) {
        of_group(expr, &keys)?;
    }
    Ok(Some(Group { keys, aggregates, having }))
}

/// Puts keys into an expression that is of a group, or says which column is not.
fn of_group(expr: &mut Expr, keys: &[Item]) -> Result<(), Diagnostic> {
    // A constant is the same for every group, and some places ask for one.
    if matches!(expr.kind, ExprKind::Literal(_)) {
        return Ok(());
    }
    if let Some(number) = keys.iter().position(|key| key.expr == *expr) {
        let kind = std::mem::replace(&mut expr.kind, ExprKind::Literal(ast::Literal::Null));
        expr.kind = ExprKind::GroupKey(number, Box::new(Expr { kind, span: expr.span }));
        return Ok(());
    }
    match &mut expr.kind {
        ExprKind::Aggregate(place, _) => {
            *place += keys.len();
            Ok(())
        }
        ExprKind::Missing(column) | ExprKind::Derived(column, _) => {
            Err(neither(&quoted(column.name), column.ty, keys, expr.span))
        }
        ExprKind::Input(_, input) => {
            let name = input.column().map(|column| quoted(column.name));
            let name = name.unwrap_or_else(|| input.name().to_owned());
            Err(neither(&name, input.ty(), keys, expr.span))
        }
        _ => expr.children_mut(&mut |child| of_group(child, keys)),
    }
}

/// A column's name as a query has it.
fn quoted(name: &str) -> String {
    Ident { name: name.to_owned(), quoted: false, span: Span::default() }.to_string()
}

/// The error for a value of rows where one of groups is asked for.
fn neither(name: &str, ty: Type, keys: &[Item], span: Span) -> Diagnostic {
    let how = match ty {
        Type::List | Type::SlabFlags | Type::GfpFlags => "count",
        _ => "min",
    };
    let group = if keys.is_empty() {
        format!("`group by {name}`")
    } else {
        "add it to `group by`".to_owned()
    };
    Diagnostic::new(span, format!("`{name}` is neither grouped nor aggregated"))
        .label("a value of each row, not of a group")
        .help(format!("{group}, or aggregate it: `{how}({name})`"))
}

/// Says no to an aggregate where there are no groups yet.
fn allowed(place: Place, span: Span) -> Result<(), Diagnostic> {
    let error = |message: &str| Diagnostic::new(span, message);
    match place {
        Place::Answer => Ok(()),
        Place::Where => Err(error("an aggregate has no place in `where`")
            .label("known only when `where` has chosen the rows")
            .help("a condition on groups goes into `having`")),
        Place::Key => Err(error("cannot group by an aggregate")
            .label("known only when there are groups")
            .help("group by a column, or by an expression of the row")),
        Place::Aggregate => Err(error("there is an aggregate in an aggregate")
            .label("a query makes groups once")
            .help("aggregate values of the row")),
    }
}

/// Whether an aggregate is part of an expression.
fn has_aggregate(expr: &mut Expr) -> bool {
    if matches!(expr.kind, ExprKind::Aggregate(..)) {
        return true;
    }
    let mut found = false;
    let _ = expr.children_mut::<()>(&mut |child| {
        found |= has_aggregate(child);
        Ok(())
    });
    found
}
