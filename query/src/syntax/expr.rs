//! Parses an expression, by precedence climbing.
//!
//! [`climb`] reads an operand and then every operator that binds at least as tightly as it was asked for; for the
//! right operand it calls itself, asking for more. One function instead of one a level keeps the stack flat: the
//! recursion is as deep as the tree, whatever the number of levels.
//!
//! # Invariants
//!
//! - Every level of nesting passes [`Input::nested`] and every operator [`Input::count_operator`], so neither the
//!   recursion here nor the tree gets higher than `MAX_OPERATORS` + `MAX_NESTING` + 1.
//! - No rule reads a token twice, so the time is proportional to the number of tokens.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{cut, map, opt, value};
use nom::multi::many1;
use nom::sequence::{pair, preceded, terminated};

use super::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, MatchOp, Quantifier, UnaryOp};
use super::failure::{Failure, Parsed, excerpt};
use super::input::Input;
use super::parser::{ident, keyword, list, symbol};
use super::token::{Keyword, Symbol, TokenKind};
use crate::diagnostic::Diagnostic;

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
        BinaryOp::BitOr => BIT_OR,
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
    climb(input, OR)
}

/// Parses a part of an expression.
fn operand(input: Input<'_>) -> Parsed<'_, Expr> {
    climb(input, OR)
}

/// Parses operators that bind at least as tightly as `least`, and their operands.
fn climb(input: Input<'_>, least: Level) -> Parsed<'_, Expr> {
    let (mut input, mut left) = prefix(input, least)?;
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
            return input.refuse(chained(input));
        }
        compared = level == COMPARISON;
        input.count_operator()?;
        (input, left) = match infix {
            Infix::Binary(op) => {
                let (input, right) = tighter(input.skip(1), level)?;
                let span = left.span.to(right.span);
                let kind = ExprKind::Binary(op, Box::new(left), Box::new(right));
                (input, Expr { kind, span })
            }
            Infix::Test => {
                let start = left.span;
                let (input, kind) = test(input, left)?;
                (input, Expr { kind, span: input.since(start) })
            }
        };
    }
}

/// Parses the right operand of an operator of `level`, and commits to it.
fn tighter(input: Input<'_>, level: Level) -> Parsed<'_, Expr> {
    cut(|input| climb(input, level + 1)).parse(input)
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
    Diagnostic::new(input.span(), "comparisons do not chain")
        .label("compares the result of a comparison")
        .help("join two comparisons with `and`: `a < b and b < c`")
}

/// Parses what is behind `expr`: `[not] between`, `[not] in`, patterns, `is [not] null` and `has`.
fn test(input: Input<'_>, expr: Expr) -> Parsed<'_, ExprKind> {
    let expr = Box::new(expr);
    let (input, negated) = map(opt(keyword(Keyword::Not)), |not| not.is_some()).parse(input)?;
    if !negated {
        match input.peek() {
            Some(TokenKind::Keyword(Keyword::Is)) => {
                let not = map(opt(keyword(Keyword::Not)), |not| not.is_some());
                let (input, negated) =
                    cut(terminated(not, keyword(Keyword::Null))).parse(input.skip(1))?;
                return Ok((input, ExprKind::IsNull { expr, negated }));
            }
            Some(TokenKind::Keyword(Keyword::Has)) => return has(input.skip(1), expr),
            Some(TokenKind::Symbol(symbol @ (Symbol::Tilde | Symbol::NotTilde))) => {
                let negated = *symbol == Symbol::NotTilde;
                return pattern(input.skip(1), MatchOp::Regex, expr, negated);
            }
            _ => {}
        }
    }
    match input.peek_keyword() {
        Some(Keyword::Between) => {
            let (input, low) = tighter(input.skip(1), COMPARISON)?;
            let (input, _) = cut(keyword(Keyword::And)).parse(input)?;
            let (input, high) = tighter(input, COMPARISON)?;
            let (low, high) = (Box::new(low), Box::new(high));
            Ok((input, ExprKind::Between { expr, low, high, negated }))
        }
        Some(Keyword::In) => {
            let (input, list) = cut(values).parse(input.skip(1))?;
            Ok((input, ExprKind::In { expr, list, negated }))
        }
        Some(Keyword::Like) => pattern(input.skip(1), MatchOp::Like, expr, negated),
        Some(Keyword::Ilike) => pattern(input.skip(1), MatchOp::Ilike, expr, negated),
        Some(Keyword::Glob) => pattern(input.skip(1), MatchOp::Glob, expr, negated),
        _ => {
            for what in ["`between`", "`in`", "`like`", "`ilike`", "`glob`"] {
                input.hoped(what);
            }
            Err(nom::Err::Failure(Failure::default()))
        }
    }
}

/// Parses the pattern that `expr` is held against.
fn pattern(input: Input<'_>, op: MatchOp, expr: Box<Expr>, negated: bool) -> Parsed<'_, ExprKind> {
    let (input, pattern) = tighter(input, COMPARISON)?;
    Ok((input, ExprKind::Match { op, expr, pattern: Box::new(pattern), negated }))
}

/// Parses `(a, b, …)`.
fn values(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    input.nested(|input| {
        let (input, _) = symbol(Symbol::ParenOpen)(input)?;
        cut(terminated(list(operand), symbol(Symbol::ParenClose))).parse(input)
    })
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

/// Parses an operand and the operators before it.
fn prefix(input: Input<'_>, least: Level) -> Parsed<'_, Expr> {
    let (op, level) = match input.peek() {
        Some(TokenKind::Keyword(Keyword::Not)) if least <= NOT => (UnaryOp::Not, NOT),
        Some(TokenKind::Symbol(Symbol::Minus)) => (UnaryOp::Neg, UNARY),
        Some(TokenKind::Symbol(Symbol::Tilde)) => (UnaryOp::BitNot, UNARY),
        _ => return primary(input),
    };
    let start = input.span();
    let (input, expr) =
        input.nested(|input| cut(|input| climb(input, level)).parse(input.skip(1)))?;
    let span = start.to(expr.span);
    Ok((input, Expr { kind: ExprKind::Unary(op, Box::new(expr)), span }))
}

/// Parses an operand without operators.
fn primary(input: Input<'_>) -> Parsed<'_, Expr> {
    let span = input.span();
    let literal = match input.peek() {
        Some(TokenKind::Int(value)) => Literal::Int(*value),
        Some(TokenKind::Size(value)) => {
            Literal::Size(*value, input.state().text_at(span).to_owned())
        }
        Some(TokenKind::Float(value)) => Literal::Float(*value),
        Some(TokenKind::Text(value)) => Literal::Text(value.clone()),
        Some(TokenKind::Keyword(Keyword::Null)) => Literal::Null,
        Some(TokenKind::Keyword(Keyword::True)) => Literal::Bool(true),
        Some(TokenKind::Keyword(Keyword::False)) => Literal::Bool(false),
        Some(TokenKind::Duration(_)) => return input.refuse(duration(input)),
        Some(TokenKind::Keyword(Keyword::Select)) => {
            return input.refuse(
                Diagnostic::new(span, "there are no subqueries")
                    .label("a query inside a query")
                    .help("a query reads one table"),
            );
        }
        Some(TokenKind::Keyword(Keyword::Case)) => return input.nested(case),
        Some(TokenKind::Keyword(Keyword::Cast)) => return input.nested(cast),
        Some(TokenKind::Symbol(Symbol::ParenOpen)) => return input.nested(parentheses),
        Some(TokenKind::Ident { .. }) => return name(input),
        Some(TokenKind::Keyword(keyword)) if !keyword.is_reserved() => return name(input),
        _ => return input.expected("an expression"),
    };
    Ok((input.skip(1), Expr { kind: ExprKind::Literal(literal), span }))
}

/// The error for a duration where a value is asked for.
fn duration(input: Input<'_>) -> Diagnostic {
    let text = input.state().text_at(input.span());
    let error = Diagnostic::new(input.span(), "a duration has no place here");
    match text.strip_suffix('m') {
        Some(count) if count.bytes().all(|c| c.is_ascii_digit() || c == b'_') => {
            error.label("`m` stands for minutes").help(format!("`{count}M` is a size"))
        }
        _ => error,
    }
}

/// Parses `( … )`. The span takes the parentheses in.
fn parentheses(input: Input<'_>) -> Parsed<'_, Expr> {
    let start = input.span();
    let (input, expr) =
        cut(terminated(operand, symbol(Symbol::ParenClose))).parse(input.skip(1))?;
    Ok((input, Expr { kind: expr.kind, span: input.since(start) }))
}

/// Parses a column or a call.
fn name(input: Input<'_>) -> Parsed<'_, Expr> {
    let start = input.span();
    let (rest, ident) = ident(input, "an expression")?;
    match rest.peek_symbol() {
        Some(Symbol::ParenOpen) => {
            let (rest, arguments) = rest.nested(|rest| arguments(rest, &ident))?;
            let span = rest.since(start);
            Ok((rest, Expr { kind: ExprKind::Call(ident, arguments), span }))
        }
        Some(Symbol::Arrow) => rest.refuse(
            Diagnostic::new(rest.skip(2).since(start), "kernel member paths are not supported yet")
                .help("name a column of the table"),
        ),
        Some(Symbol::Dot) => {
            let member = rest.peek_at(1).map(|_| rest.skip(1).span());
            let error =
                Diagnostic::new(rest.skip(2).since(start), "columns are named without their table");
            rest.refuse(match member.map(|span| rest.state().text_at(span)) {
                Some(member) if ident.name != "s" && member != "*" => {
                    error.help(format!("write `{}`", excerpt(member)))
                }
                _ => error.help("a query reads one table; `s.*` alone is every column of it"),
            })
        }
        _ => {
            let span = ident.span;
            Ok((rest, Expr { kind: ExprKind::Column(ident), span }))
        }
    }
}

/// Parses the arguments of a call of `name`.
fn arguments<'a>(input: Input<'a>, name: &Ident) -> Parsed<'a, Vec<Expr>> {
    let rest = input.skip(1);
    match rest.peek() {
        Some(TokenKind::Symbol(Symbol::Star)) => {
            return rest.refuse(Diagnostic::new(
                rest.span(),
                format!("`{}(*)` is not supported yet", excerpt(&name.name)),
            ));
        }
        Some(TokenKind::Keyword(Keyword::Distinct)) => {
            return rest
                .refuse(Diagnostic::new(rest.span(), "`distinct` in a call is not supported yet"));
        }
        _ => {}
    }
    let close = || symbol(Symbol::ParenClose);
    alt((value(Vec::new(), close()), cut(terminated(list(operand), close())))).parse(rest)
}

/// Parses `case when … then … else … end`.
fn case(input: Input<'_>) -> Parsed<'_, Expr> {
    let start = input.span();
    let input = input.skip(1);
    let operand_follows = match input.peek() {
        Some(TokenKind::Keyword(keyword)) => !keyword.is_reserved(),
        Some(TokenKind::Symbol(symbol)) => *symbol == Symbol::ParenOpen,
        found => found.is_some(),
    };
    if operand_follows {
        return input.refuse(
            Diagnostic::new(input.span(), "`case` with an operand is not supported")
                .label("expected `when`")
                .help("compare in every arm: `case when x = 1 then … when x = 2 then … end`"),
        );
    }
    let arm = pair(
        preceded(keyword(Keyword::When), cut(operand)),
        preceded(cut(keyword(Keyword::Then)), cut(operand)),
    );
    let otherwise = opt(preceded(keyword(Keyword::Else), cut(operand)));
    let (input, ((arms, otherwise), _)) =
        cut(pair(pair(many1(arm), otherwise), keyword(Keyword::End))).parse(input)?;
    let kind = ExprKind::Case { arms, otherwise: otherwise.map(Box::new) };
    Ok((input, Expr { kind, span: input.since(start) }))
}

/// Parses `cast(… as type)`.
fn cast(input: Input<'_>) -> Parsed<'_, Expr> {
    let start = input.span();
    let inside = pair(
        preceded(symbol(Symbol::ParenOpen), operand),
        preceded(keyword(Keyword::As), |input| ident(input, "a type")),
    );
    let (input, (expr, to)) =
        cut(terminated(inside, symbol(Symbol::ParenClose))).parse(input.skip(1))?;
    Ok((input, Expr { kind: ExprKind::Cast(Box::new(expr), to), span: input.since(start) }))
}
