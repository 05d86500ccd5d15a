//! Parses a call, and `filter` and `over` behind that of an aggregate.

use super::arguments::{called_with, position, substring, trim};
use super::{OR, climb};
use crate::aggregate;
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{Expr, ExprKind, Ident, Literal};
use crate::syntax::failure::{Parsed, commit, excerpt, refuse};
use crate::syntax::input::Input;
use crate::syntax::rule::{keyword, symbol, word};
use crate::syntax::token::{Keyword, Symbol, TokenKind};

/// Parses the arguments of a call of `name`.
pub(super) fn call(input: Input<'_>, mut name: Ident) -> Parsed<'_, Box<Expr>> {
    let (start, input) = (name.span, input.skip(1));
    let aggregate = aggregate::find(&name.name);
    let (input, kind) = match input.peek() {
        Some(TokenKind::Symbol(Symbol::Star)) => {
            let (input, _) = commit(symbol(Symbol::ParenClose)(input.skip(1)))?;
            (input, ExprKind::CallStar(name))
        }
        // As DuckDB has it.
        Some(TokenKind::Symbol(Symbol::ParenClose)) if name.name == "count" => {
            (input.skip(1), ExprKind::CallStar(name))
        }
        Some(TokenKind::Symbol(Symbol::ParenClose)) => {
            (input.skip(1), ExprKind::Call(name, Vec::new()))
        }
        Some(TokenKind::Keyword(Keyword::Distinct)) => {
            let (input, arguments) = called_with(input.skip(1))?;
            (input, ExprKind::CallDistinct(name, arguments))
        }
        Some(TokenKind::Keyword(Keyword::All)) if aggregate.is_some() => {
            let (input, arguments) = called_with(input.skip(1))?;
            (input, ExprKind::Call(name, arguments))
        }
        _ => {
            // An empty list was possible too, and a message says so.
            let _ = symbol(Symbol::ParenClose)(input);
            let (input, arguments) = match name.name.as_str() {
                "position" => position(input)?,
                "substr" | "substring" => substring(input)?,
                "trim" => trim(input, &mut name)?,
                _ => called_with(input)?,
            };
            (input, ExprKind::Call(name, arguments))
        }
    };
    if aggregate.is_some() {
        input.hoped("`filter`");
    }
    let (input, call) = if opens(input, "filter") {
        filtered(input, kind, start)?
    } else {
        (input, Box::new(Expr { kind, span: input.since(start) }))
    };
    if aggregate.is_some() {
        input.hoped("`over ()`");
    }
    if opens(input, "over") { over(input, call, aggregate.is_some()) } else { Ok((input, call)) }
}

/// Whether `what` and a parenthesis come next.
fn opens(input: Input<'_>, what: &str) -> bool {
    input.peek_at(1).and_then(TokenKind::symbol) == Some(Symbol::ParenOpen) && word(input, &[what])
}

/// Parses `over ()` behind a call. The window is all rows of the answer.
fn over(input: Input<'_>, call: Box<Expr>, aggregate: bool) -> Parsed<'_, Box<Expr>> {
    if !aggregate {
        return refuse(
            Diagnostic::new(input.span(), "`over ()` belongs to an aggregate")
                .label("there are no other window functions")
                .help("`order by` and `limit` sort and truncate the answer"),
        );
    }
    let rest = input.skip(2);
    if rest.peek_symbol() != Some(Symbol::ParenClose) {
        return refuse(
            Diagnostic::new(rest.span(), "`over` takes an empty window only: `over ()`")
                .label("there are no partitions, orders or frames")
                .help("`group by` computes a value for each group"),
        );
    }
    let (rest, start) = (rest.skip(1), call.span);
    Ok((rest, Box::new(Expr { kind: ExprKind::Over(call), span: rest.since(start) })))
}

/// Parses `filter (where …)` behind a call of an aggregate, which then sees NULL where the condition does not hold.
fn filtered(input: Input<'_>, mut call: ExprKind, start: Span) -> Parsed<'_, Box<Expr>> {
    let (ExprKind::Call(name, _) | ExprKind::CallDistinct(name, _) | ExprKind::CallStar(name)) =
        &call
    else {
        unreachable!("it is a call")
    };
    if aggregate::find(&name.name).is_none() {
        return refuse(
            Diagnostic::new(input.span(), "`filter` belongs to an aggregate")
                .label(format!("`{}` is none", excerpt(&name.name)))
                .help("`iif(…, x, null)` is NULL where a condition does not hold"),
        );
    }
    input.rewrite(1)?;
    let (input, _) = commit(keyword(Keyword::Where)(input.skip(2)))?;
    let (input, condition) = commit(climb(input, OR))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    let span = input.since(start);
    let only = |result: Expr| {
        let kind = ExprKind::Case { arms: vec![(*condition, result)], otherwise: None };
        Expr { kind, span }
    };
    match &mut call {
        ExprKind::Call(_, arguments) | ExprKind::CallDistinct(_, arguments) => {
            if let Some(first) = arguments.first_mut() {
                let null = Expr { kind: ExprKind::Literal(Literal::Null), span };
                *first = only(std::mem::replace(first, null));
            }
        }
        ExprKind::CallStar(name) => {
            let one = Expr { kind: ExprKind::Literal(Literal::Int(1)), span };
            call = ExprKind::Call(name.clone(), vec![only(one)]);
        }
        _ => {}
    }
    Ok((input, Box::new(Expr { kind: call, span })))
}
