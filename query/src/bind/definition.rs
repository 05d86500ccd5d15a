//! Parses the definitions of derived columns, each once a thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::catalog::Column;
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast;
use crate::syntax::parse_text;

thread_local! {
    /// The definitions that were asked for. The catalog is a constant, so there are only so many.
    static PARSED: RefCell<HashMap<&'static str, Rc<ast::Expr>>> = RefCell::default();
}

/// What a derived column is defined as. A definition that is no expression is a mistake in the catalog.
pub(super) fn definition(column: &Column, text: &'static str) -> Rc<ast::Expr> {
    let known = PARSED.with_borrow(|parsed| parsed.get(text).cloned());
    known.unwrap_or_else(|| {
        let expr = parse(text)
            .unwrap_or_else(|e| panic!("the definition of `{}`: {}", column.name, e.message));
        let expr = Rc::new(expr);
        PARSED.with_borrow_mut(|parsed| parsed.insert(text, expr.clone()));
        expr
    })
}

fn parse(text: &str) -> Result<ast::Expr, Diagnostic> {
    let statements = parse_text(&format!("select {text}"))?;
    let query = statements.first().and_then(|(statement, _)| statement.query());
    match query.and_then(|query| query.items.first()) {
        Some(ast::Item::Expr { expr, .. }) => Ok(expr.clone()),
        _ => Err(Diagnostic::new(Span::default(), "a definition is one expression")),
    }
}
