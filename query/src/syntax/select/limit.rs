//! Parses `limit` and `offset`, and `fetch first`, which means the same as `limit`.

use nom::Parser;

use super::{CLAUSES, clause};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::Count;
use crate::syntax::failure::{Parsed, commit, excerpt, refuse};
use crate::syntax::input::Input;
use crate::syntax::rule::word;
use crate::syntax::token::{Keyword, Symbol, TokenKind};

/// Parses `limit n`, or `fetch first n rows only`.
pub(super) fn limit(input: Input<'_>) -> Parsed<'_, Option<Count>> {
    if !word(input, &["fetch"]) {
        return clause(Keyword::Limit, |input| count(input, "limit")).parse(input);
    }
    let start = input.span();
    let rest = input.skip(1);
    let place = matches!(rest.peek_keyword(), Some(Keyword::First)) || word(rest, &["next"]);
    if !place {
        rest.hoped("`first`");
        return commit(rest.expected("`next`"));
    }
    let rest = rest.skip(1);
    // Without a number a single row is meant.
    let (rest, count) = match rest.peek() {
        Some(TokenKind::Int(rows)) => (rest.skip(1), Count { rows: *rows, span: rest.span() }),
        _ => (rest, Count { rows: 1, span: start }),
    };
    if !word(rest, &["row", "rows"]) {
        return commit(rest.expected("`rows only`"));
    }
    let rest = rest.skip(1);
    if word(rest, &["with"]) {
        return refuse(Diagnostic::new(rest.span(), "there is no `with ties`").help(
            "for all rows of the five largest sizes: `where size in (select size order by size desc limit 5)`",
        ));
    }
    if !word(rest, &["only"]) {
        return commit(rest.expected("`only`"));
    }
    Ok((rest.skip(1), Some(count)))
}

/// Parses the number behind `limit` or `offset`, which is written out.
pub(super) fn count<'a>(input: Input<'a>, clause: &str) -> Parsed<'a, Count> {
    let start = input.span();
    let rest = input.skip(1);
    let ends = matches!(
        input.peek(),
        None | Some(TokenKind::Symbol(Symbol::Semicolon | Symbol::ParenClose))
    ) || input.peek_keyword().is_some_and(|word| CLAUSES.contains(&word));
    if ends {
        return input.expected("a number of rows");
    }
    let wrong = |length: usize| {
        let span = input.skip(length).since(start);
        let text = excerpt(input.state().text_at(span));
        Diagnostic::new(span, format!("`{clause}` takes an integer"))
            .label(format!("found `{text}`"))
    };
    let Some(TokenKind::Int(rows)) = input.peek() else {
        let signed = matches!(input.peek_symbol(), Some(Symbol::Minus | Symbol::Plus));
        let error = wrong(if signed { 2 } else { 1 });
        return refuse(match clause {
            "limit" => error.help("omit `limit` to get all rows"),
            _ => error,
        });
    };
    let rest = if clause == "offset" && word(rest, &["row", "rows"]) { rest.skip(1) } else { rest };
    match (rest.peek_symbol(), rest.peek_at(1)) {
        (None | Some(Symbol::Semicolon | Symbol::ParenClose), _) => {
            Ok((rest, Count { rows: *rows, span: start }))
        }
        (Some(Symbol::Comma), Some(TokenKind::Int(limit))) => {
            refuse(wrong(3).help(format!("write `limit {limit} offset {rows}`")))
        }
        _ => refuse(wrong(3)),
    }
}
