//! Parses an expression, by precedence climbing.
//!
//! [`climb`] reads an operand and then every operator that binds at least as tightly as it was asked for; for the
//! right operand it calls itself, asking for more. One function instead of one a level keeps the stack flat: the
//! recursion is as deep as the tree, whatever the number of levels. For the same reason the rules that call themselves
//! pass boxes, and [`commit`] to a result where others `cut` a rule: a combinator is a frame or two more a level.
//!
//! # Invariants
//!
//! - Every level of nesting passes [`Input::nested`] and every operator [`Input::count_operator`], so neither the
//!   recursion here nor the tree gets higher than `MAX_OPERATORS` + `MAX_NESTING` + 1.
//! - No rule reads a token twice, and what is rewritten is read once more, so the time is proportional to the number of tokens.

mod arguments;
mod call;
mod case;

use super::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, UnaryOp};
use super::failure::{Parsed, commit, excerpt, refuse};
use super::input::{Input, State};
use super::lexer::{interrupt, lex};
use super::number::size_text;
use super::path;
use super::predicate::test;
use super::rule::{ident, symbol, values};
use super::select::subquery;
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::{Diagnostic, Span};
use call::call;
use case::{case, cast};

/// How tightly something binds; more is tighter. The order is that of the levels in `GRAMMAR.md`.
pub(super) type Level = u8;

pub(super) const OR: Level = 1;
pub(super) const AND: Level = 2;
pub(super) const NOT: Level = 3;
pub(super) const COMPARISON: Level = 4;
pub(super) const BIT_OR: Level = 5;
pub(super) const BIT_XOR: Level = 6;
pub(super) const BIT_AND: Level = 7;
pub(super) const SHIFT: Level = 8;
pub(super) const SUM: Level = 9;
pub(super) const PRODUCT: Level = 10;
pub(super) const UNARY: Level = 11;
pub(super) const PRIMARY: Level = 12;

/// How tightly `op` binds.
pub(super) fn level(op: BinaryOp) -> Level {
    match op {
        BinaryOp::Or => OR,
        BinaryOp::And => AND,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            COMPARISON
        }
        BinaryOp::BitOr | BinaryOp::Concat => BIT_OR,
        BinaryOp::BitXor => BIT_XOR,
        BinaryOp::BitAnd => BIT_AND,
        BinaryOp::Shl | BinaryOp::Shr => SHIFT,
        BinaryOp::Add | BinaryOp::Sub => SUM,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => PRODUCT,
    }
}

/// Parses an expression that is part of no other.
pub(super) fn expression(input: Input<'_>) -> Parsed<'_, Expr> {
    input.reset_operators();
    let (rest, expr) = operand(input)?;
    if input.state().rewritten.get() {
        within_limits(input, &expr)?;
    }
    Ok((rest, expr))
}

/// Holds an expression of which parts were rewritten to the limits of what it became, so that it can be printed and
/// read again.
fn within_limits<'a>(input: Input<'a>, expr: &Expr) -> Parsed<'a, ()> {
    // At the start of a statement `whatis` would be no name.
    let printed = format!("select {expr}");
    let tokens = lex(&printed).map_err(|error| nom::Err::Failure(error.into()))?;
    let state = State::new(&printed, &tokens, input.state().interrupted);
    match operand(Input::new(&state).skip(1)) {
        Ok(_) => Ok((input, ())),
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => {
            let Diagnostic { message, help, .. } = failure.into_diagnostic(&state);
            let error = Diagnostic::new(expr.span, message).label("as it is rewritten");
            refuse(Diagnostic { help, ..error })
        }
        Err(nom::Err::Incomplete(_)) => unreachable!("no rule asks for more tokens"),
    }
}

/// Parses a part of an expression.
fn operand(input: Input<'_>) -> Parsed<'_, Expr> {
    climb(input, OR).map(|(input, expr)| (input, *expr))
}

/// Parses an operand, operators that bind at least as tightly as `least`, and their operands.
fn climb(input: Input<'_>, least: Level) -> Parsed<'_, Box<Expr>> {
    let (input, left) = prefix(input, least)?;
    climb_on(input, left, least)
}

/// Parses operators behind `left` that bind at least as tightly as `least`, and their operands.
fn climb_on(mut input: Input<'_>, mut left: Box<Expr>, least: Level) -> Parsed<'_, Box<Expr>> {
    let mut compared = false;
    loop {
        let Some(infix) = input.peek().and_then(infix) else {
            input.hoped("an operator");
            return Ok((input, left));
        };
        let level = match infix {
            Infix::Binary(op) => level(op),
            Infix::Test => COMPARISON,
        };
        if level < least {
            return Ok((input, left));
        }
        if compared && level == COMPARISON {
            return refuse(chained(input));
        }
        compared = level == COMPARISON;
        input.count_operator()?;
        (input, left) = match infix {
            Infix::Binary(op) => binary(input, op, left)?,
            Infix::Test => test(input, left)?,
        };
    }
}

/// Parses `op` and its right operand.
fn binary(input: Input<'_>, op: BinaryOp, left: Box<Expr>) -> Parsed<'_, Box<Expr>> {
    let (input, right) = tighter(input.skip(1), level(op))?;
    let span = left.span.to(right.span);
    Ok((input, Box::new(Expr { kind: ExprKind::Binary(op, left, right), span })))
}

/// Parses the right operand of an operator of `level`, and commits to it.
pub(super) fn tighter(input: Input<'_>, level: Level) -> Parsed<'_, Box<Expr>> {
    commit(climb(input, level + 1))
}

/// What stands between or behind operands.
enum Infix {
    /// An operator between two operands.
    Binary(BinaryOp),
    /// A test with a syntax of its own, at the level of comparisons.
    Test,
}

/// What `kind` is behind an operand.
fn infix(kind: &TokenKind) -> Option<Infix> {
    let op = match kind {
        TokenKind::Keyword(Keyword::Or) => BinaryOp::Or,
        TokenKind::Keyword(Keyword::And) => BinaryOp::And,
        TokenKind::Keyword(
            Keyword::Not
            | Keyword::Between
            | Keyword::In
            | Keyword::Like
            | Keyword::Ilike
            | Keyword::Glob
            | Keyword::Is
            | Keyword::Has,
        )
        | TokenKind::Symbol(Symbol::Tilde | Symbol::NotTilde) => return Some(Infix::Test),
        TokenKind::Symbol(symbol) => match symbol {
            Symbol::Eq => BinaryOp::Eq,
            Symbol::Ne => BinaryOp::Ne,
            Symbol::Lt => BinaryOp::Lt,
            Symbol::Le => BinaryOp::Le,
            Symbol::Gt => BinaryOp::Gt,
            Symbol::Ge => BinaryOp::Ge,
            Symbol::Pipe => BinaryOp::BitOr,
            Symbol::Concat => BinaryOp::Concat,
            Symbol::Caret => BinaryOp::BitXor,
            Symbol::Ampersand => BinaryOp::BitAnd,
            Symbol::Shl => BinaryOp::Shl,
            Symbol::Shr => BinaryOp::Shr,
            Symbol::Plus => BinaryOp::Add,
            Symbol::Minus => BinaryOp::Sub,
            Symbol::Star => BinaryOp::Mul,
            Symbol::Slash => BinaryOp::Div,
            Symbol::Percent => BinaryOp::Rem,
            _ => return None,
        },
        _ => return None,
    };
    Some(Infix::Binary(op))
}

/// The error for a second comparison without anything between.
fn chained(input: Input<'_>) -> Diagnostic {
    Diagnostic::new(input.span(), "comparisons cannot be chained")
        .label("would compare the result of a comparison")
        .help(if input.peek_keyword() == Some(Keyword::Is) {
            "put the first one in parentheses: `(a < b) is true`"
        } else {
            "join comparisons with `and`: `a < b and b < c`"
        })
}

/// Parses `a, b, …)`, of any number.
pub(super) fn operands(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    let (input, list) = commit(values(operand)(input))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, list))
}

/// Parses an operand and the operators before it.
fn prefix(input: Input<'_>, least: Level) -> Parsed<'_, Box<Expr>> {
    if (input.state().interrupted)() {
        return refuse(interrupt(input.span().start));
    }
    match input.peek() {
        Some(TokenKind::Keyword(Keyword::Not)) if least <= NOT => unary(input, UnaryOp::Not, NOT),
        Some(TokenKind::Symbol(Symbol::Minus)) => unary(input, UnaryOp::Neg, UNARY),
        Some(TokenKind::Symbol(Symbol::Plus)) => plus(input),
        Some(TokenKind::Symbol(Symbol::Tilde)) => unary(input, UnaryOp::BitNot, UNARY),
        Some(TokenKind::Symbol(Symbol::ParenOpen)) => input.nested(parentheses),
        Some(TokenKind::Keyword(Keyword::Case)) => input.nested(case),
        Some(TokenKind::Keyword(Keyword::Cast)) => input.nested(cast),
        Some(TokenKind::Ident { .. }) => name(input),
        Some(TokenKind::Keyword(keyword)) if !keyword.is_reserved() => name(input),
        _ => literal(input),
    }
}

/// Parses `op`, which is the next token, and its operand.
fn unary(input: Input<'_>, op: UnaryOp, level: Level) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    let (input, expr) = input.nested(|input| commit(climb(input.skip(1), level)))?;
    let span = start.to(expr.span);
    Ok((input, Box::new(Expr { kind: ExprKind::Unary(op, expr), span })))
}

/// Parses `+` and its operand, which it does not change.
fn plus(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    let (input, mut expr) = input.nested(|input| commit(climb(input.skip(1), UNARY)))?;
    expr.span = input.since(start);
    Ok((input, expr))
}

/// Parses a literal.
fn literal(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let span = input.span();
    let literal = match input.peek() {
        Some(TokenKind::Int(value)) => Literal::Int(*value),
        Some(TokenKind::Size(value)) => {
            let written = input.state().text_at(span);
            // A parameter's value is written elsewhere.
            let given = written.starts_with('$').then(|| size_text(*value));
            Literal::Size(*value, given.unwrap_or_else(|| written.to_owned()))
        }
        Some(TokenKind::Float(value)) => Literal::Float(*value),
        Some(TokenKind::Text(value)) => Literal::Text(value.clone()),
        Some(TokenKind::Keyword(Keyword::Null)) => Literal::Null,
        Some(TokenKind::Keyword(Keyword::True)) => Literal::Bool(true),
        Some(TokenKind::Keyword(Keyword::False)) => Literal::Bool(false),
        Some(TokenKind::Duration(_)) => return refuse(duration(input)),
        Some(TokenKind::Keyword(Keyword::Select)) => {
            return refuse(
                Diagnostic::new(input.span(), "a subquery needs parentheses of its own")
                    .help("write `(select …)`, and as an argument `abs((select …))`"),
            );
        }
        Some(TokenKind::Keyword(Keyword::All)) if is_subquery(input.skip(1)) => {
            return input
                .expected("an expression")
                .or_else(|error| quantified("all", input.span()).map_or(Err(error), refuse));
        }
        _ => return input.expected("an expression"),
    };
    Ok((input.skip(1), Box::new(Expr { kind: ExprKind::Literal(literal), span })))
}

/// The error for a duration where a value is asked for.
fn duration(input: Input<'_>) -> Diagnostic {
    let text = input.state().text_at(input.span());
    let error = Diagnostic::new(input.span(), "a duration is not allowed here");
    match text.strip_suffix('m') {
        Some(count) if count.bytes().all(|c| c.is_ascii_digit() || c == b'_') => {
            error.label("`m` stands for minutes").help(format!("`{count}M` is a size"))
        }
        _ => error
            .help("ages and times are in nanoseconds: `track_age > 3600 * 1000000000` is an hour"),
    }
}

/// Parses `( … )`. The span takes the parentheses in.
fn parentheses(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    if is_subquery(input) {
        let (input, query) = subquery(input.skip(1))?;
        let kind = ExprKind::Subquery(query);
        return Ok((input, Box::new(Expr { kind, span: input.since(start) })));
    }
    let (input, mut expr) = commit(climb(input.skip(1), OR))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    expr.span = input.since(start);
    Ok((input, expr))
}

/// Whether a query in parentheses comes next.
pub(super) fn is_subquery(input: Input<'_>) -> bool {
    input.peek_symbol() == Some(Symbol::ParenOpen)
        && input.peek_at(1).and_then(TokenKind::keyword) == Some(Keyword::Select)
}

/// The error for a quantifier of subqueries that slabql has not, and of which `name` is one.
fn quantified(name: &str, span: Span) -> Option<Diagnostic> {
    let help = match name {
        "exists" => {
            "compare a number of rows: `(select count(*) …) > 0`; the subquery does not see the rows of the outer query"
        }
        "any" | "some" => "write `in (select …)` for `= any`, `> (select min(x) …)` for `> any`",
        "all" => "write `not in (select …)` for `!= all`, `> (select max(x) …)` for `> all`",
        _ => return None,
    };
    Some(Diagnostic::new(span, format!("there is no `{name} (select …)`")).help(help))
}

/// Parses a column, a path or a call.
pub(super) fn name(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let (rest, ident) = ident(input, "an expression")?;
    if is_subquery(rest)
        && let Some(error) = quantified(&ident.name, ident.span)
    {
        return refuse(error);
    }
    match rest.peek_symbol() {
        Some(Symbol::ParenOpen) => rest.nested(|rest| call(rest, ident)),
        _ if path::follows(rest, &ident) => path::path(rest, ident),
        Some(Symbol::Dot) => qualified(rest, ident),
        _ => {
            let span = ident.span;
            Ok((rest, Box::new(Expr { kind: ExprKind::Column(ident), span })))
        }
    }
}

/// Parses the dot and the column behind `table`.
fn qualified(rest: Input<'_>, table: Ident) -> Parsed<'_, Box<Expr>> {
    let start = table.span;
    if rest.peek_at(1).and_then(TokenKind::symbol) == Some(Symbol::Star) {
        let error = Diagnostic::new(rest.skip(2).since(start), "an expression needs a column");
        return refuse(error.help(format!("`{}.*` is an item of the select list", table.written)));
    }
    let (rest, column) = commit(ident(rest.skip(1), "a column"))?;
    if rest.peek_symbol() == Some(Symbol::Dot) {
        let last = rest.state().text_at(rest.skip(1).span());
        let error = Diagnostic::new(rest.skip(2).since(start), "there are no schemas");
        let help = format!("write `{}.{}`", column.written, excerpt(last));
        return refuse(
            error.label("a column has one prefix: its table's name or alias").help(help),
        );
    }
    let span = rest.since(start);
    Ok((rest, Box::new(Expr { kind: ExprKind::Qualified(table, column), span })))
}
