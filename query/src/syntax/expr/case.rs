//! Parses `case` and `cast`.

use super::{OR, climb};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind};
use crate::syntax::failure::{Parsed, commit};
use crate::syntax::input::Input;
use crate::syntax::rule::{ident, keyword, symbol};
use crate::syntax::token::{Keyword, Symbol};

/// Parses `case when … then … else … end`, and `case x when …`, which compares `x` in every arm.
pub(super) fn case(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    let mut input = input.skip(1);
    let mut operand = None;
    if keyword(Keyword::When)(input).is_err() {
        let (rest, expr) = commit(climb(input, OR))?;
        (input, operand) = (rest, Some(expr));
    }
    let mut arms = Vec::new();
    while arms.is_empty() || input.peek_keyword() == Some(Keyword::When) {
        let (rest, next) = arm(input, operand.as_deref())?;
        arms.push(next);
        input = rest;
    }
    input.hoped("`when`");
    let mut otherwise = None;
    if let Ok((rest, _)) = keyword(Keyword::Else)(input) {
        let (rest, expr) = commit(climb(rest, OR))?;
        (input, otherwise) = (rest, Some(expr));
    }
    let (input, _) = commit(keyword(Keyword::End)(input))?;
    let kind = ExprKind::Case { arms, otherwise };
    Ok((input, Box::new(Expr { kind, span: input.since(start) })))
}

/// Parses `when … then …`.
fn arm<'a>(input: Input<'a>, operand: Option<&Expr>) -> Parsed<'a, (Expr, Expr)> {
    let (input, _) = commit(keyword(Keyword::When)(input))?;
    let (input, mut condition) = commit(climb(input, OR))?;
    if let Some(operand) = operand {
        input.rewrite(1)?;
        let (_, operand) = input.repeat(operand)?;
        let span = condition.span;
        let kind = ExprKind::Binary(BinaryOp::Eq, operand, condition);
        condition = Box::new(Expr { kind, span });
    }
    let (input, _) = commit(keyword(Keyword::Then)(input))?;
    let (input, result) = commit(climb(input, OR))?;
    Ok((input, (*condition, *result)))
}

/// Parses `cast(… as type)`.
pub(super) fn cast(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    let (input, _) = commit(symbol(Symbol::ParenOpen)(input.skip(1)))?;
    let (input, expr) = commit(climb(input, OR))?;
    let (input, _) = commit(keyword(Keyword::As)(input))?;
    let (input, to) = commit(ident(input, "a type"))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, Box::new(Expr { kind: ExprKind::Cast(expr, to), span: input.since(start) })))
}
