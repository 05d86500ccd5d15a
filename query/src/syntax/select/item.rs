//! Parses an item of the select list, and its alias.

use nom::Parser;
use nom::combinator::{cut, map, opt};
use nom::sequence::{pair, preceded};

use super::{fetches, foreign_clause, formats};
use crate::syntax::ast::{Ident, Item};
use crate::syntax::expr::expression;
use crate::syntax::failure::{Parsed, refuse};
use crate::syntax::input::Input;
use crate::syntax::rule::{ident, keyword};
use crate::syntax::token::{Keyword, Symbol, TokenKind};

/// Parses an item of the select list.
pub(super) fn item(input: Input<'_>) -> Parsed<'_, Item> {
    let symbol_at = |ahead| input.peek_at(ahead).and_then(TokenKind::symbol);
    let span = input.span();
    match input.peek() {
        Some(TokenKind::Symbol(Symbol::Star)) => {
            return Ok((input.skip(1), Item::Star(None, span)));
        }
        Some(TokenKind::Keyword(Keyword::All)) if !begins(input.skip(1)) => {
            return Ok((input.skip(1), Item::All(span)));
        }
        Some(TokenKind::Ident { name, quoted: false })
            if name == "s"
                && symbol_at(1) == Some(Symbol::Dot)
                && symbol_at(2) == Some(Symbol::Star) =>
        {
            let rest = input.skip(3);
            return Ok((rest, Item::All(rest.since(span))));
        }
        _ if symbol_at(1) == Some(Symbol::Dot)
            && symbol_at(2) == Some(Symbol::Star)
            && let Ok((rest, table)) = ident(input, "a table") =>
        {
            let rest = rest.skip(2);
            return Ok((rest, Item::Star(Some(table), rest.since(span))));
        }
        _ => input.hoped("`*`"),
    }
    map(pair(expression, alias), |(expr, alias)| Item::Expr { expr, alias }).parse(input)
}

/// Parses the name that an item is given. Without `as`, neither a keyword nor the first word of a clause that other
/// dialects have serves as one.
fn alias(input: Input<'_>) -> Parsed<'_, Option<Ident>> {
    if !fetches(input)
        && !formats(input)
        && let Some(TokenKind::Ident { name, quoted }) = input.peek()
    {
        let clause = if *quoted { None } else { foreign_clause(name, input.span()) };
        if let Some(error) = clause {
            return refuse(error);
        }
        let position = input.position();
        input.state().furthest.borrow_mut().note_bare_alias(position);
        return map(|input| ident(input, "a name"), Some).parse(input);
    }
    opt(preceded(keyword(Keyword::As), cut(|input| ident(input, "a name")))).parse(input)
}

/// Whether an expression begins at the next token, behind `all`.
pub(super) fn begins(input: Input<'_>) -> bool {
    match input.peek() {
        Some(TokenKind::Keyword(word)) => {
            matches!(word, Keyword::Case | Keyword::Cast | Keyword::Not)
                || matches!(word, Keyword::Null | Keyword::True | Keyword::False)
        }
        Some(TokenKind::Symbol(mark)) => {
            matches!(mark, Symbol::ParenOpen | Symbol::Minus | Symbol::Plus | Symbol::Tilde)
                || *mark == Symbol::Star
        }
        // Nothing else stands before a name that is a clause of no query.
        Some(TokenKind::Ident { name, quoted: false }) => {
            name != "fetch" && !formats(input) && foreign_clause(name, input.span()).is_none()
        }
        found => found.is_some(),
    }
}
