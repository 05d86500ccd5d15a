//! Parses the tests that stand behind an expression: `between`, `in`, patterns, `is` and `has`.
//!
//! `is true` and `is distinct from` become expressions of other kinds, so no later stage knows them.

use nom::Parser;
use nom::combinator::{cut, opt};
use nom::sequence::terminated;

use super::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, MatchOp, Quantifier, UnaryOp};
use super::expr::{COMPARISON, is_subquery, name, operands, tighter};
use super::failure::{Failure, Parsed, commit, refuse};
use super::input::Input;
use super::rule::{ident, keyword, list, symbol, word};
use super::select::subquery;
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::{Diagnostic, Span};

/// Parses what is behind `expr`: `[not] between`, `[not] in`, patterns, `is …` and `has`.
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
        Some(TokenKind::Keyword(Keyword::Is)) if !negated => is(rest, expr),
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
    if word(input, &["symmetric"])
        && input.peek_at(1).and_then(TokenKind::keyword) != Some(Keyword::And)
    {
        return refuse(
            Diagnostic::new(input.span(), "there is no `between symmetric`")
                .help("put the bounds in order: `between least(a, b) and greatest(a, b)`"),
        );
    }
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
    if is_subquery(input) {
        let (input, query) = subquery(input.skip(1))?;
        return Ok((input, ExprKind::InQuery { expr, query, negated }));
    }
    input.hoped("a column");
    let (input, _) = commit(symbol(Symbol::ParenOpen)(input))?;
    let (input, list) = input.nested(operands)?;
    Ok((input, ExprKind::In { expr, list, negated }))
}

/// Parses what is behind `is`.
fn is(input: Input<'_>, expr: Box<Expr>) -> Parsed<'_, ExprKind> {
    let (input, not) = opt(keyword(Keyword::Not)).parse(input)?;
    let negated = not.is_some();
    if let Ok((rest, _)) = keyword(Keyword::Null)(input) {
        return Ok((rest, ExprKind::IsNull { expr, negated }));
    }
    let (rest, kind) = if let Ok((rest, _)) = keyword(Keyword::True)(input) {
        (rest, is_truth(expr, true, negated))
    } else if let Ok((rest, _)) = keyword(Keyword::False)(input) {
        (rest, is_truth(expr, false, negated))
    } else if let Ok((rest, _)) = keyword(Keyword::Distinct)(input) {
        return is_distinct(rest, expr, negated);
    } else if word(input, &["unknown"]) {
        let expr = Box::new(not_true(expr));
        (input.skip(1), ExprKind::IsNull { expr, negated })
    } else {
        return commit(input.expected("`unknown`"));
    };
    input.rewrite(2)?;
    Ok((rest, kind))
}

/// `not expr`, which stands where `expr` does.
fn not_true(expr: Box<Expr>) -> Expr {
    let span = expr.span;
    Expr { kind: ExprKind::Unary(UnaryOp::Not, expr), span }
}

/// `coalesce(first, second)`.
fn coalesce(first: Expr, second: Expr) -> ExprKind {
    let span = first.span;
    let name =
        Ident { name: "coalesce".to_owned(), written: "coalesce".to_owned(), quoted: false, span };
    ExprKind::Call(name, vec![first, second])
}

/// `expr is [not] true`, or `false`. The `not` before `expr` demands that it is a condition.
fn is_truth(expr: Box<Expr>, truth: bool, negated: bool) -> ExprKind {
    let span = expr.span;
    // What NULL counts as: true is what `expr` is not.
    let null = Expr { kind: ExprKind::Literal(Literal::Bool(truth)), span };
    let untrue = coalesce(not_true(expr), null);
    if truth == negated {
        return untrue;
    }
    ExprKind::Unary(UnaryOp::Not, Box::new(Expr { kind: untrue, span }))
}

/// Parses what is behind `is [not] distinct`.
fn is_distinct(input: Input<'_>, left: Box<Expr>, same: bool) -> Parsed<'_, ExprKind> {
    let (input, _) = commit(keyword(Keyword::From)(input))?;
    let (input, right) = tighter(input, COMPARISON)?;
    input.rewrite(3)?;
    let span = left.span.to(right.span);
    let is_null = |expr| ExprKind::IsNull { expr, negated: false };
    let kind = if let ExprKind::Literal(Literal::Null) = &right.kind {
        is_null(left)
    } else {
        let null = if let ExprKind::Literal(_) = &right.kind {
            ExprKind::Literal(Literal::Bool(false))
        } else {
            let (_, first) = input.repeat(&left)?;
            let (_, second) = input.repeat(&right)?;
            let [first, second] =
                [first, second].map(|expr| Box::new(Expr { kind: is_null(expr), span }));
            ExprKind::Binary(BinaryOp::And, first, second)
        };
        let equal = ExprKind::Binary(BinaryOp::Eq, left, right);
        coalesce(Expr { kind: equal, span }, Expr { kind: null, span })
    };
    if same {
        return Ok((input, kind));
    }
    Ok((input, ExprKind::Unary(UnaryOp::Not, Box::new(Expr { kind, span }))))
}

/// Parses the pattern that `expr` is held against.
fn pattern(input: Input<'_>, op: MatchOp, expr: Box<Expr>, negated: bool) -> Parsed<'_, ExprKind> {
    let (input, mut pattern) = tighter(input, COMPARISON)?;
    if word(input, &["escape"])
        && let Some(TokenKind::Text(escape)) = input.peek_at(1)
    {
        let span = input.skip(1).span();
        match escaped(op, &pattern, escape, input.span(), span) {
            Ok(text) => pattern.kind = ExprKind::Literal(Literal::Text(text)),
            Err(error) => return refuse(error),
        }
        return Ok((input.skip(2), ExprKind::Match { op, expr, pattern, negated }));
    }
    Ok((input, ExprKind::Match { op, expr, pattern, negated }))
}

/// A pattern whose escape character is another one than the backslash, or none, as one with the backslash. `word` is where
/// `escape` stands, `at` where the character does.
fn escaped(
    op: MatchOp,
    pattern: &Expr,
    escape: &str,
    word: Span,
    at: Span,
) -> Result<String, Diagnostic> {
    if !matches!(op, MatchOp::Like | MatchOp::Ilike) {
        return Err(Diagnostic::new(word, "`escape` belongs to `like` and `ilike`")
            .help("escape with a backslash"));
    }
    let ExprKind::Literal(Literal::Text(text)) = &pattern.kind else {
        return Err(Diagnostic::new(word, "`escape` needs a pattern that is written out")
            .help("in a computed pattern, escape with a backslash"));
    };
    let mut chars = escape.chars();
    let (escape, None) = (chars.next(), chars.next()) else {
        return Err(Diagnostic::new(at, "`escape` takes a single character, or none"));
    };
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                let Some(next) = chars.next() else {
                    return Err(Diagnostic::new(
                        pattern.span,
                        "the pattern ends with its escape character",
                    ));
                };
                out.extend(['\\', next]);
            }
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    Ok(out)
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
