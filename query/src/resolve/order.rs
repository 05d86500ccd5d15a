//! Resolves `order by`: which item a key names, or what it computes.

use std::collections::{HashMap, HashSet};

use super::{Resolver, count};
use crate::diagnostic::{Diagnostic, Span};
use crate::resolved::{ExprKind, Item, Key};
use crate::syntax::ast;

impl Resolver<'_> {
    /// The keys of `order by`. Of those that name one item the first alone counts.
    pub(super) fn order_by(
        &mut self,
        query: &ast::Query,
        items: &[Item],
    ) -> Result<Vec<Key>, Diagnostic> {
        let mut by_name = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let meant = by_name.entry(item.name.as_str()).or_insert(Some(index));
            // Twice the same column is one meaning.
            *meant = meant.filter(|first| *first == index || is_same_column(&items[*first], item));
        }
        let text = |item: &ast::Item| match item {
            ast::Item::Expr { expr, .. } => Some(expr.to_string()),
            ast::Item::Star(_) | ast::Item::All(_) => None,
        };
        let shown: HashSet<String> = if query.distinct && !query.order_by.is_empty() {
            query.items.iter().filter_map(text).collect()
        } else {
            HashSet::new()
        };
        let mut sorted_by = HashSet::new();
        let mut keys = Vec::new();
        for key in &query.order_by {
            let span = key.expr.span;
            let expr = match item_of_key(&key.expr, &by_name, items.len())? {
                // Rows that an item left equal are equal by it a second time.
                Some(item) if !sorted_by.insert(item) => continue,
                Some(item) => items[item].expr.at(span),
                None if query.distinct && !shown.contains(&key.expr.to_string()) => {
                    let message = "cannot sort distinct rows by what is not selected";
                    return Err(Diagnostic::new(span, message).help("add it to the select list"));
                }
                None => self.expr(&key.expr)?,
            };
            let nulls_first = key.nulls_first.unwrap_or(false);
            keys.push(Key { expr, descending: key.descending, nulls_first });
        }
        Ok(keys)
    }
}

/// Whether two items are one column.
fn is_same_column(left: &Item, right: &Item) -> bool {
    match (&left.expr.kind, &right.expr.kind) {
        (ExprKind::Input(left, _), ExprKind::Input(right, _)) => left == right,
        (ExprKind::Derived(left, _), ExprKind::Derived(right, _))
        | (ExprKind::Missing(left), ExprKind::Missing(right)) => left == right,
        _ => false,
    }
}

/// The item that a key of `order by` names, by its name or its position; none if it is an expression. Of a name that
/// several items have, `by_name` holds no item.
fn item_of_key(
    key: &ast::Expr,
    by_name: &HashMap<&str, Option<usize>>,
    items: usize,
) -> Result<Option<usize>, Diagnostic> {
    match &key.kind {
        ast::ExprKind::Column(name) => match by_name.get(name.name.as_str()) {
            None => Ok(None),
            Some(Some(item)) => Ok(Some(*item)),
            Some(None) => Err(Diagnostic::new(key.span, "two items have this name")
                .label("it is not clear which one is meant")
                .help("name an item by its position: `order by 1`")),
        },
        ast::ExprKind::Literal(ast::Literal::Int(position)) => {
            item_at(*position, key.span, items).map(Some)
        }
        ast::ExprKind::Literal(_) => Err(Diagnostic::new(key.span, "cannot sort by a constant")
            .label("the same for every row")
            .help("a column is named without quotes, an item also by its position")),
        _ => Ok(None),
    }
}

/// The number of the item at a position, which counts from 1.
pub(super) fn item_at(position: u64, span: Span, items: usize) -> Result<usize, Diagnostic> {
    let item = usize::try_from(position).ok().and_then(|at| at.checked_sub(1));
    item.filter(|item| *item < items).ok_or_else(|| {
        let message = format!("there is no item {position} in the select list");
        Diagnostic::new(span, message).help(format!("the list has {}", count(items, "item")))
    })
}
