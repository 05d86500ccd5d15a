//! Parses the tests that stand behind an expression: `between`, `in`, patterns, `is null` and `has`.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::terminated;

use super::ast::{Expr, ExprKind, MatchOp, Quantifier};
use super::expr::{COMPARISON, name, operands, tighter};
use super::failure::{Failure, Parsed, commit, refuse};
use super::input::Input;
use super::rule::{ident, keyword, list, symbol};
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::Diagnostic;

/// Parses what is behind `expr`: `[not] between`, `[not] in`, patterns, `is [not] null` and `has`.
pub(super) fn test(input: Input<'_>, expr: Box<Expr>) -> Parsed<'_, Box<Expr>> {
    let start = expr.span;
    let negated = input.peek_keyword() == Some(Keyword::Not);
    let input = if negated { input.skip(1) } else { input };
    let rest = input.skip(1);
    let (input, kind) = match input.peek() {
        Some(TokenKind::Keyword(Keyword::Between)) => between(rest, expr, negated),
        Some(TokenKind::Keyword(Keyword::In)) => is_in(rest, expr, negated),
        Some(TokenKind::Keyword(Keyword::Like)) => pattern(rest, MatchOp::Like, expr, negated),
        Some(TokenKind::Keyword(Keyword::Ilike)) => pattern(rest, MatchOp::Ilike, expr, negated),
        Some(TokenKind::Keyword(Keyword::Glob)) => pattern(rest, MatchOp::Glob, expr, negated),
        Some(TokenKind::Symbol(Symbol::Tilde)) if !negated => {
            pattern(rest, MatchOp::Regex, expr, false)
        }
        Some(TokenKind::Symbol(Symbol::NotTilde)) if !negated => {
            pattern(rest, MatchOp::Regex, expr, true)
        }
        Some(TokenKind::Keyword(Keyword::Is)) if !negated => is_null(rest, expr),
        Some(TokenKind::Keyword(Keyword::Has)) if !negated => has(rest, expr),
        _ => {
            for what in ["`between`", "`in`", "`like`", "`ilike`", "`glob`"] {
                input.hoped(what);
            }
            Err(nom::Err::Failure(Failure::default()))
        }
    }?;
    Ok((input, Box::new(Expr { kind, span: input.since(start) })))
}

/// Parses the bounds of `between`.
fn between(input: Input<'_>, expr: Box<Expr>, negated: bool) -> Parsed<'_, ExprKind> {
    let (input, low) = tighter(input, COMPARISON)?;
    let (input, _) = commit(keyword(Keyword::And)(input))?;
    let (input, high) = tighter(input, COMPARISON)?;
    Ok((input, ExprKind::Between { expr, low, high, negated }))
}

/// Parses the values behind `in`, or the column that holds them.
fn is_in(input: Input<'_>, expr: Box<Expr>, negated: bool) -> Parsed<'_, ExprKind> {
    let named = match input.peek() {
        Some(TokenKind::Keyword(keyword)) => !keyword.is_reserved(),
        found => matches!(found, Some(TokenKind::Ident { .. })),
    };
    if named {
        let (input, list) = commit(name(input))?;
        return Ok((input, ExprKind::InColumn { expr, list, negated }));
    }
    input.hoped("a column");
    let (input, _) = commit(symbol(Symbol::ParenOpen)(input))?;
    let (input, list) = input.nested(operands)?;
    Ok((input, ExprKind::In { expr, list, negated }))
}

/// Parses what is behind `is`.
fn is_null(input: Input<'_>, expr: Box<Expr>) -> Parsed<'_, ExprKind> {
    let negated = input.peek_keyword() == Some(Keyword::Not);
    let help = match input.peek_at(usize::from(negated)) {
        Some(TokenKind::Keyword(Keyword::True | Keyword::False)) => {
            Some("`coalesce(…, false)` treats NULL as false")
        }
        Some(TokenKind::Keyword(Keyword::Distinct)) => {
            Some("use `=` or `!=`, and test for NULL with `is null`")
        }
        _ => None,
    };
    if let Some(help) = help {
        let wrong = input.skip(usize::from(negated));
        let error = Diagnostic::new(wrong.span(), "`is` tests for NULL only");
        return refuse(error.label("expected `null`").help(help));
    }
    let (input, not) =
        cut(terminated(opt(keyword(Keyword::Not)), keyword(Keyword::Null))).parse(input)?;
    Ok((input, ExprKind::IsNull { expr, negated: not.is_some() }))
}

/// Parses the pattern that `expr` is held against.
fn pattern(input: Input<'_>, op: MatchOp, expr: Box<Expr>, negated: bool) -> Parsed<'_, ExprKind> {
    let (input, pattern) = tighter(input, COMPARISON)?;
    if matches!(input.peek(), Some(TokenKind::Ident { name, quoted: false }) if name == "escape")
        && matches!(input.peek_at(1), Some(TokenKind::Text(_)))
    {
        return refuse(
            Diagnostic::new(input.span(), "there is no `escape`")
                .help("escape `%` and `_` with a backslash: `like '100\\%'`"),
        );
    }
    Ok((input, ExprKind::Match { op, expr, pattern, negated }))
}

/// Parses the flags behind `has`.
fn has(input: Input<'_>, expr: Box<Expr>) -> Parsed<'_, ExprKind> {
    let quantifier = match input.peek_keyword() {
        Some(Keyword::Any) => Some(Quantifier::Any),
        Some(Keyword::All) => Some(Quantifier::All),
        _ => None,
    };
    if let Some(quantifier) = quantifier
        && input.peek_at(1).and_then(TokenKind::symbol) == Some(Symbol::ParenOpen)
    {
        let flags = terminated(list(|input| ident(input, "a flag")), symbol(Symbol::ParenClose));
        let (input, flags) = cut(flags).parse(input.skip(2))?;
        let quantifier = if flags.len() == 1 { Quantifier::All } else { quantifier };
        return Ok((input, ExprKind::Has { expr, quantifier, flags }));
    }
    let (input, flag) = cut(|input| ident(input, "a flag")).parse(input).inspect_err(|_| {
        input.hoped("`any (…)`");
        input.hoped("`all (…)`");
    })?;
    Ok((input, ExprKind::Has { expr, quantifier: Quantifier::All, flags: vec![flag] }))
}
