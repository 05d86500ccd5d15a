//! Binds `order by`: which item a key names, or what it computes.

use std::collections::{HashMap, HashSet};

use super::{Binder, count};
use crate::bound::{Expr, Item, Key};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast;
use crate::value::Type;

impl Binder<'_> {
    /// The keys of `order by`. Of those that name one item the first alone counts.
    pub(super) fn order_by(
        &mut self,
        query: &ast::Query,
        items: &[Item],
    ) -> Result<Vec<Key>, Diagnostic> {
        let mut by_name = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let meant = by_name.entry(item.name.as_str()).or_insert(Some(index));
            // Twice the same value is one meaning.
            *meant = meant.filter(|first| items[*first].expr == item.expr);
        }
        let text = |item: &ast::Item| match item {
            ast::Item::Expr { expr, .. } => Some(expr.to_string()),
            ast::Item::Star(..) | ast::Item::All(_) => None,
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
                Some(item) => Expr { span, ..items[item].expr.clone() },
                None => {
                    let expr = self.expr(&key.expr)?;
                    let is_shown = || {
                        let text = key.expr.to_string();
                        shown.contains(&text) || items.iter().any(|item| item.expr == expr)
                    };
                    if query.distinct && !is_shown() {
                        let message =
                            "cannot sort distinct rows by an expression that is not selected";
                        return Err(
                            Diagnostic::new(span, message).help("add it to the select list")
                        );
                    }
                    expr
                }
            };
            if expr.ty == Type::List {
                let error = Diagnostic::new(expr.span, "cannot sort by a list");
                return Err(error.help("`length(…)` gives its length"));
            }
            let nulls_first = key.nulls_first.unwrap_or(false);
            keys.push(Key { expr, descending: key.descending, nulls_first });
        }
        Ok(keys)
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
                .label("ambiguous")
                .help("refer to an item by position: `order by 1`")),
        },
        ast::ExprKind::Literal(ast::Literal::Int(position)) => {
            item_at(*position, key.span, items).map(Some)
        }
        ast::ExprKind::Literal(_) => Err(Diagnostic::new(key.span, "cannot sort by a constant")
            .label("the same for every row")
            .help("write column names without quotes, or refer to an item by position")),
        _ => Ok(None),
    }
}

/// The number of the item at a position, which counts from 1.
pub(super) fn item_at(position: u64, span: Span, items: usize) -> Result<usize, Diagnostic> {
    let item = usize::try_from(position).ok().and_then(|at| at.checked_sub(1));
    item.filter(|item| *item < items).ok_or_else(|| {
        let message = format!("the select list has no item {position}");
        Diagnostic::new(span, message).help(format!("it has {}", count(items, "item")))
    })
}
