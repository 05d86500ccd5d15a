//! Parses `from`: the table, what is handed to it, and its alias.

use super::{CLAUSES, fetches, foreign_clause, formats};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{Argument, Ident};
use crate::syntax::failure::{Parsed, commit, excerpt, refuse};
use crate::syntax::input::Input;
use crate::syntax::path;
use crate::syntax::rule::{ident, list, symbol};
use crate::syntax::token::{Keyword, Symbol, TokenKind};

/// What may stand before `join`.
const JOINS: [&str; 6] = ["inner", "left", "right", "full", "cross", "natural"];

/// Parses the table behind `from`, what is handed to it, and its alias.
pub(super) fn table(input: Input<'_>) -> Parsed<'_, (Ident, Vec<Argument>, Option<Ident>)> {
    if input.peek_symbol() == Some(Symbol::ParenOpen) {
        return refuse(
            Diagnostic::new(input.span(), "`from` takes a table, not a query")
                .help("a subquery is a value in an expression: `where size > (select avg(size))`"),
        );
    }
    let (rest, table) = ident(input, "a table")?;
    let (rest, arguments) = match rest.peek_symbol() {
        Some(Symbol::ParenOpen) => {
            let (rest, arguments) = commit(list(argument)(rest.skip(1)))?;
            let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
            (rest, arguments)
        }
        _ => (rest, Vec::new()),
    };
    let (rest, alias) = table_alias(rest)?;
    match rest.peek() {
        Some(kind) if joins(kind) => refuse(no_joins(rest.span())),
        _ => match alias.as_ref().and_then(no_alias) {
            Some(error) => refuse(error),
            None => Ok((rest, (table, arguments, alias))),
        },
    }
}

/// Parses the alias of a table. Without `as` it is a word that nothing but a clause or the end follows, and not a
/// clause that is written wrongly.
fn table_alias(input: Input<'_>) -> Parsed<'_, Option<Ident>> {
    let ends = |kind: &TokenKind| match kind {
        TokenKind::Keyword(word) => CLAUSES.contains(word),
        TokenKind::Symbol(mark) => matches!(mark, Symbol::Semicolon | Symbol::ParenClose),
        _ => false,
    };
    let bare = |name: &str| {
        foreign_clause(name, input.span()).is_none()
            && !formats(input)
            && !fetches(input)
            && (input.peek_at(1).is_none_or(|kind| ends(kind) || joins(kind))
                || formats(input.skip(1))
                || fetches(input.skip(1)))
    };
    let named = match input.peek() {
        Some(TokenKind::Keyword(Keyword::As)) => input.skip(1),
        Some(kind @ TokenKind::Ident { name, .. }) if !joins(kind) && bare(name) => input,
        _ => {
            input.hoped("`as`");
            return Ok((input, None));
        }
    };
    let (rest, alias) = commit(ident(named, "a name"))?;
    Ok((rest, Some(alias)))
}

/// What is wrong with an alias that paths begin with.
fn no_alias(alias: &Ident) -> Option<Diagnostic> {
    let message = format!("`{}` cannot be the alias of a table", alias.name);
    path::BASES.contains(&alias.name.as_str()).then(|| {
        Diagnostic::new(alias.span, message)
            .label("the root of member paths such as `s->kobj.name`")
            .help("choose another name, such as `c`")
    })
}

/// Parses a text that is handed to a table.
fn argument(input: Input<'_>) -> Parsed<'_, Argument> {
    let span = input.span();
    match input.peek() {
        Some(TokenKind::Text(text)) => Ok((input.skip(1), Argument { text: text.clone(), span })),
        Some(TokenKind::Ident { .. }) => {
            let name = excerpt(input.state().text_at(span));
            let name = name.trim_matches('"');
            refuse(
                Diagnostic::new(span, "a table's arguments must be texts")
                    .help(format!("write `'{name}'`")),
            )
        }
        _ => input.expected("a text"),
    }
}

/// Whether a token behind a table begins a join.
fn joins(kind: &TokenKind) -> bool {
    match kind {
        TokenKind::Symbol(Symbol::Comma) | TokenKind::Keyword(Keyword::Join) => true,
        TokenKind::Ident { name, quoted: false } => JOINS.contains(&name.as_str()),
        _ => false,
    }
}

/// The error for a second table.
pub(super) fn no_joins(span: Span) -> Diagnostic {
    Diagnostic::new(span, "there are no joins: a query reads one table").help(
        "`caches` summarizes `nodes`, `cpus` and `slabs`; to join, export with `--output a.csv` and use DuckDB",
    )
}
