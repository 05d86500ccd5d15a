//! Says whether a column can be given, and if not, why.

use crate::catalog::{Column, Table};
use crate::offer::Offer;
use crate::resolve::resolve;
use crate::syntax::ast::Statement;
use crate::syntax::parse_text;
use crate::typing::check;
use crate::value::Value;

/// Why `column` is NULL in every row; none if it is not.
///
/// A derived column is NULL if its definition comes to NULL without a row: one that can do without what is missing
/// is there.
#[must_use]
pub fn unavailable(
    table: &'static Table,
    column: &'static Column,
    offer: &dyn Offer,
) -> Option<String> {
    let text = format!("select \"{}\" from \"{}\"", column.name, table.name);
    let statements = parse_text(&text).ok()?;
    let Some((Statement::Query(query), _)) = statements.first() else { return None };
    let typed = resolve(query, offer).and_then(check).ok()?;
    let null = typed.items.first()?.expr.constant() == Some(&Value::Null);
    if !null {
        return None;
    }
    typed.missing.into_iter().next().map(|missing| missing.reason)
}
