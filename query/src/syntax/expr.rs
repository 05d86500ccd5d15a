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

use super::ast::{BinaryOp, Expr, ExprKind, Ident, Literal, UnaryOp};
use super::failure::{Parsed, commit, excerpt, refuse};
use super::input::{Input, State};
use super::lexer::{interrupt, lex};
use super::number::size_text;
use super::path;
use super::predicate::test;
use super::rule::{ident, keyword, list, symbol, values, word};
use super::select::subquery;
use super::token::{Keyword, Symbol, TokenKind};
use crate::aggregate;
use crate::diagnostic::{Diagnostic, Span};

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

/// Parses the arguments of a call, and the `)` behind them.
fn called_with(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    let (input, list) = commit(list(operand)(input))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, list))
}

/// Parses the arguments of `position`, which may be written `part in text`.
fn position(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    // What binds less tightly than the `in` is no part.
    if input.peek_keyword() == Some(Keyword::Not) {
        return called_with(input);
    }
    let (rest, part) = commit(climb(input, BIT_OR))?;
    if rest.peek_keyword() == Some(Keyword::In) {
        let (rest, text) = tighter(rest.skip(1), COMPARISON)?;
        let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
        return Ok((rest, vec![*text, *part]));
    }
    rest.hoped("`in`");
    let (rest, first) = commit(climb_on(rest, part, OR))?;
    others(rest, vec![*first])
}

/// Parses the arguments of `substring`, which may be written `text from start for length`, either part alone too.
fn substring(input: Input<'_>) -> Parsed<'_, Vec<Expr>> {
    let (mut input, text) = commit(operand(input))?;
    let start = input.span();
    let mut arguments = vec![text];
    if let Ok((rest, _)) = keyword(Keyword::From)(input) {
        let (rest, from) = commit(operand(rest))?;
        arguments.push(from);
        input = rest;
    }
    if word(input, &["for"]) {
        let one = ExprKind::Literal(Literal::Int(1));
        if arguments.len() == 1 {
            arguments.push(Expr { kind: one, span: start });
        }
        let (rest, length) = commit(operand(input.skip(1)))?;
        arguments.push(length);
        input = rest;
    } else {
        input.hoped("`for`");
    }
    if arguments.len() == 1 {
        return others(input, arguments);
    }
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, arguments))
}

/// The words before what is trimmed, and the functions that they stand for.
const SIDES: [(&str, &str, &str); 3] = [
    ("both", "`both`", "trim"),
    ("leading", "`leading`", "ltrim"),
    ("trailing", "`trailing`", "rtrim"),
];

/// Parses the arguments of `trim`, which may be written `both characters from text`, with the side or the characters left
/// out. The name becomes that of the function of the side.
fn trim<'a>(mut input: Input<'a>, name: &mut Ident) -> Parsed<'a, Vec<Expr>> {
    for (side, quoted, function) in SIDES {
        input.hoped(quoted);
        // A column may be called so.
        let is_side = match input.peek_at(1) {
            Some(TokenKind::Symbol(mark)) => {
                matches!(mark, Symbol::ParenOpen | Symbol::Minus | Symbol::Plus | Symbol::Tilde)
            }
            Some(kind) => kind.keyword() == Some(Keyword::Not) || infix(kind).is_none(),
            None => true,
        };
        if is_side && word(input, &[side]) {
            function.clone_into(&mut name.name);
            input = input.skip(1);
            break;
        }
    }
    let mut arguments = Vec::new();
    if input.peek_keyword() != Some(Keyword::From) {
        let (rest, first) = commit(operand(input))?;
        arguments.push(first);
        input = rest;
    }
    let Ok((rest, _)) = keyword(Keyword::From)(input) else { return others(input, arguments) };
    let (rest, text) = commit(operand(rest))?;
    let (rest, _) = commit(symbol(Symbol::ParenClose)(rest))?;
    arguments.insert(0, text);
    Ok((rest, arguments))
}

/// Parses what stands behind the first argument of a call.
fn others(input: Input<'_>, mut arguments: Vec<Expr>) -> Parsed<'_, Vec<Expr>> {
    if let Ok((rest, _)) = symbol(Symbol::Comma)(input) {
        let (rest, mut list) = called_with(rest)?;
        arguments.append(&mut list);
        return Ok((rest, arguments));
    }
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, arguments))
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
        _ => error,
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

/// Parses the arguments of a call of `name`.
fn call(input: Input<'_>, mut name: Ident) -> Parsed<'_, Box<Expr>> {
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

/// Parses `case when … then … else … end`, and `case x when …`, which compares `x` in every arm.
fn case(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
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
fn cast(input: Input<'_>) -> Parsed<'_, Box<Expr>> {
    let start = input.span();
    let (input, _) = commit(symbol(Symbol::ParenOpen)(input.skip(1)))?;
    let (input, expr) = commit(climb(input, OR))?;
    let (input, _) = commit(keyword(Keyword::As)(input))?;
    let (input, to) = commit(ident(input, "a type"))?;
    let (input, _) = commit(symbol(Symbol::ParenClose)(input))?;
    Ok((input, Box::new(Expr { kind: ExprKind::Cast(expr, to), span: input.since(start) })))
}
