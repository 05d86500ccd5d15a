//! Types a query: every expression gets a type, a unit and a range, or the query is told what does not fit.
//!
//! # Integers
//!
//! An integer expression has a [`Range`], computed from the ranges of its parts. If it cannot be negative it is
//! unsigned, else signed. Where the exact range of an operation fits 64 bits nothing can go wrong; where it does
//! not, the operation is checked when it runs, and gives NULL with a warning instead of a wrapped number.
//!
//! # Constants
//!
//! An operation on constants is computed here, so `4k * 2` is one number to later stages.

pub(crate) mod arith;
mod call;
mod compare;
mod group;

pub use arith::can_leave;

use crate::catalog::Column;
use call::called;
pub(crate) use call::{common, written_out};
pub(crate) use compare::check_comparable;
use compare::compare;

use crate::diagnostic::{Diagnostic, Span};
use crate::eval::{self, Warnings};
use crate::function::Function;
use crate::input::Input;
use crate::pattern::Pattern;
use crate::resolved;
use crate::syntax::ast::{BinaryOp, Literal, MatchOp, Quantifier, UnaryOp};
use crate::typed::{Compare, Expr, ExprKind, Item, Key, Query, Range};
use crate::value::{Type, Unit, Value};

/// Types `query`.
pub fn check(query: resolved::Query) -> Result<Query, Diagnostic> {
    let items = query
        .items
        .into_iter()
        .map(|item| Ok(Item { name: item.name, expr: expr(&item.expr)? }))
        .collect::<Result<Vec<_>, Diagnostic>>()?;
    let mut filter = Vec::new();
    if let Some(condition) = &query.filter {
        conjuncts(condition, &mut filter)?;
    }
    let group = query.group.map(group::check).transpose()?;
    let order_by = query
        .order_by
        .into_iter()
        .map(|key| {
            let (descending, nulls_first) = (key.descending, key.nulls_first);
            let expr = expr(&key.expr)?;
            if expr.ty == Type::List {
                let error = Diagnostic::new(expr.span, "cannot sort by a list");
                return Err(error.help("`length(…)` of it is a number"));
            }
            Ok(Key { expr, descending, nulls_first })
        })
        .collect::<Result<Vec<_>, Diagnostic>>()?;
    // What is missing is worth a word where something is NULL for it, and not where the query does without.
    let shown = items.iter().map(|item| &item.expr);
    let sorted = order_by.iter().map(|key| &key.expr);
    let of_groups = group.iter().flat_map(group::of_rows);
    let told = shown.chain(&filter).chain(sorted).chain(of_groups).any(Expr::is_null);
    let missing = if told { query.missing } else { Vec::new() };
    Ok(Query {
        table: query.table,
        arguments: query.arguments,
        distinct: query.distinct,
        items,
        filter,
        group,
        order_by,
        limit: query.limit,
        offset: query.offset,
        inputs: query.inputs,
        missing,
    })
}

/// Splits a condition at its topmost `and`s, so that each part can run where it can.
fn conjuncts(condition: &resolved::Expr, into: &mut Vec<Expr>) -> Result<(), Diagnostic> {
    if let resolved::ExprKind::Binary(BinaryOp::And, left, right) = &condition.kind {
        conjuncts(left, into)?;
        conjuncts(right, into)
    } else {
        into.push(*self::condition(condition)?);
        Ok(())
    }
}

/// Types an expression.
///
/// What a frame keeps is multiplied by the height of the tree. So this only leads to the operands, and what is made
/// of them is made by functions that do not come back here.
pub fn expr(resolved: &resolved::Expr) -> Result<Expr, Diagnostic> {
    use resolved::ExprKind as R;
    let span = resolved.span;
    match &resolved.kind {
        R::Literal(literal) => Ok(constant(literal, span)),
        R::Input(number, input) => Ok(stored(*number, input, span)),
        R::Missing(column) => Ok(missing(column, span)),
        R::Derived(column, definition) => derived(column, definition),
        R::Unary(UnaryOp::Not, inner) => condition(inner).map(|inner| not(inner, span)),
        R::Unary(op, inner) => unary(*op, inner, span),
        R::Binary(op, left, right) => binary(*op, left, right, span),
        R::Between { expr: tested, low, high, negated } => {
            between([tested, low, high], *negated, span)
        }
        R::In { expr: tested, list, negated } => in_list(tested, list, *negated, span),
        R::InColumn { expr: tested, list, negated } => {
            let tested = expr(tested)?;
            contains(tested, boxed(list)?, *negated, span)
        }
        R::Match { op, expr: tested, pattern, negated } => {
            matched(*op, *boxed(tested)?, pattern, *negated, span)
        }
        R::IsNull { expr: tested, negated } => {
            boxed(tested).map(|tested| is_null(tested, *negated, span))
        }
        R::Has { expr: set, quantifier, mask, undefined } => {
            has(boxed(set)?, *quantifier, *mask, *undefined, span)
        }
        R::Case { arms, otherwise } => case(arms, otherwise.as_deref(), span),
        R::Cast(inner, ty) => cast(*boxed(inner)?, *ty, span),
        R::Call(function, arguments) => call(function, arguments, span),
        R::GroupKey(place, key) => boxed(key).map(|key| group::value(*place, &key, span)),
        R::Aggregate(place, aggregate) => {
            group::aggregate(aggregate).map(|typed| group::value(*place, &typed.result, span))
        }
    }
}

/// Types an operand.
fn boxed(resolved: &resolved::Expr) -> Result<Box<Expr>, Diagnostic> {
    expr(resolved).map(Box::new)
}

/// Types an operand that must be a condition.
fn condition(resolved: &resolved::Expr) -> Result<Box<Expr>, Diagnostic> {
    boolean(boxed(resolved)?)
}

fn stored(number: usize, input: &Input, span: Span) -> Expr {
    let (low, high) = input.range();
    let range = Range { low, high };
    Expr { kind: ExprKind::Input(number), ty: input.ty(), unit: input.unit(), range, span }
}

fn missing(column: &Column, span: Span) -> Expr {
    Expr { ty: column.ty, unit: column.unit, ..null(span) }
}

fn derived(column: &Column, definition: &resolved::Expr) -> Result<Expr, Diagnostic> {
    let mut typed = boxed(definition)?;
    typed.unit = column.unit;
    Ok(*typed)
}

fn not(inner: Box<Expr>, span: Span) -> Expr {
    fold(node(ExprKind::Not(inner), Type::Bool, Unit::None, span))
}

fn unary(op: UnaryOp, inner: &resolved::Expr, span: Span) -> Result<Expr, Diagnostic> {
    let inner = boxed(inner)?;
    arith::unary(op, *inner, span).map(fold)
}

fn matched(
    op: MatchOp,
    mut tested: Expr,
    pattern: &resolved::Expr,
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    text(&mut tested, op.text())?;
    let resolved::ExprKind::Literal(Literal::Text(wanted)) = &pattern.kind else {
        let what = format!("the pattern of `{}` must be written out", op.text());
        let help = format!("in single quotes: {}", example(op));
        return Err(Diagnostic::new(pattern.span, what).help(help));
    };
    let pattern = Pattern::new(op, wanted).map_err(|error| {
        let what = format!("`{}` cannot take this pattern", op.text());
        Diagnostic::new(pattern.span, what).label(first_line(&error))
    })?;
    let kind = ExprKind::Match(tested.into(), pattern);
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

fn is_null(tested: Box<Expr>, negated: bool, span: Span) -> Expr {
    negate(node(ExprKind::IsNull(tested), Type::Bool, Unit::None, span), negated)
}

fn has(
    set: Box<Expr>,
    quantifier: Quantifier,
    mask: u64,
    undefined: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    if !set.ty.is_flags() {
        let error = Diagnostic::new(set.span, "`has` asks a set of flags")
            .label(format!("this is {}", described(set.ty)));
        return Err(
            error.help("`flags has ACCOUNT`; bits of a number are tested with `x & 0x10 != 0`")
        );
    }
    let kind = match quantifier {
        // A flag that the kernel does not define is never set.
        Quantifier::All if undefined => ExprKind::HasAny(set, 0),
        Quantifier::All => ExprKind::HasAll(set, mask),
        Quantifier::Any => ExprKind::HasAny(set, mask),
    };
    Ok(fold(node(kind, Type::Bool, Unit::None, span)))
}

pub(crate) fn cast(inner: Expr, ty: Type, span: Span) -> Result<Expr, Diagnostic> {
    arith::cast(inner, ty, span).map(fold)
}

fn between(
    [tested, low, high]: [&resolved::Expr; 3],
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let (tested, low, high) = (boxed(tested)?, boxed(low)?, boxed(high)?);
    check_comparable(&tested, &low)?;
    check_comparable(&tested, &high)?;
    let kind = ExprKind::Between(tested, low, high);
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

/// An expression of a type that is no integer.
pub(crate) fn node(kind: ExprKind, ty: Type, unit: Unit, span: Span) -> Expr {
    Expr { kind, ty, unit, range: Range::of(0), span }
}

/// The type, unit and range of an expression; its kind means nothing.
pub(crate) fn shape(expr: &Expr) -> Expr {
    let Expr { ty, unit, range, span, .. } = *expr;
    Expr { kind: ExprKind::Const(Value::Null), ty, unit, range, span }
}

/// The type of a result, without a unit; the rest means nothing.
#[must_use]
pub fn of_type(ty: Type) -> Expr {
    node(ExprKind::Const(Value::Null), ty, Unit::None, Span::default())
}

fn null(span: Span) -> Expr {
    node(ExprKind::Const(Value::Null), Type::Null, Unit::None, span)
}

fn constant(literal: &Literal, span: Span) -> Expr {
    let uint = |value: u64, unit| Expr {
        kind: ExprKind::Const(Value::UInt(value)),
        ty: Type::UInt,
        unit,
        range: Range::of(value.into()),
        span,
    };
    match literal {
        Literal::Null => null(span),
        Literal::Bool(value) => {
            node(ExprKind::Const(Value::Bool(*value)), Type::Bool, Unit::None, span)
        }
        Literal::Int(value) => uint(*value, Unit::None),
        Literal::Size(value, _) => uint(*value, Unit::Bytes),
        Literal::Float(value) => {
            node(ExprKind::Const(Value::Float(*value)), Type::Float, Unit::None, span)
        }
        Literal::Text(value) => {
            node(ExprKind::Const(Value::text(value)), Type::Text, Unit::None, span)
        }
    }
}

/// Computes an operation whose operands are all constants.
fn fold(expr: Expr) -> Expr {
    let mut constant = true;
    expr.children(&mut |child| constant &= child.constant().is_some());
    if !constant || expr.constant().is_some() || matches!(expr.kind, ExprKind::Input(_)) {
        return expr;
    }
    let mut warnings = Warnings::default();
    let value = eval::eval(&expr, &[], &mut warnings);
    // A warning belongs to the run, so what would give one is left for it.
    if !warnings.is_empty() {
        return expr;
    }
    let range = value.integer().map_or(expr.range, Range::of);
    Expr { kind: ExprKind::Const(value), range, ..expr }
}

/// Computes a condition, and what `not` makes of it where that is asked for.
fn negate(inner: Expr, negated: bool) -> Expr {
    let (span, inner) = (inner.span, fold(inner));
    if negated { not(inner.into(), span) } else { inner }
}

/// Says no to what is no condition.
pub(crate) fn boolean(mut typed: Box<Expr>) -> Result<Box<Expr>, Diagnostic> {
    let ty = typed.ty;
    if matches!(ty, Type::Bool | Type::Null) {
        typed.ty = Type::Bool;
        return Ok(typed);
    }
    let error = Diagnostic::new(typed.span, "a condition is needed here")
        .label(format!("this is {}", described(ty)));
    Err(match ty {
        Type::Int | Type::UInt | Type::Float => error.help("compare it: `… != 0`"),
        Type::SlabFlags => error.help("ask for a flag: `flags has ACCOUNT`"),
        Type::GfpFlags => error.help("ask for a flag: `allocflags has COMP`"),
        Type::List => error.help("compare how long it is: `length(…) > 0`"),
        Type::Text => error.help("compare it: `… = 'kmalloc-64'`, `… like 'kmalloc%'`"),
        _ => error,
    })
}

/// Checks that an argument of `what` is a text.
pub(crate) fn text(typed: &mut Expr, what: &str) -> Result<(), Diagnostic> {
    let ty = typed.ty;
    if matches!(ty, Type::Text | Type::Null) {
        typed.ty = Type::Text;
        return Ok(());
    }
    let error = Diagnostic::new(typed.span, format!("`{what}` needs a text"))
        .label(format!("this is {}", described(ty)));
    Err(match ty {
        Type::SlabFlags | Type::GfpFlags => {
            error.help("ask for a flag by name: `flags has ACCOUNT`")
        }
        ty if ty.is_number() => error.help("`cast(… as text)` makes a text of a number"),
        Type::List => error.help(
            "`'eventpoll_pwq' in aliases` asks for an entry; `cast(aliases as text)` is all of them",
        ),
        _ => error,
    })
}

/// Checks that all arguments of the function `name` are texts.
///
/// # Errors
///
/// If one is not.
pub fn texts(arguments: &mut [Expr], name: &str) -> Result<(), Diagnostic> {
    arguments.iter_mut().try_for_each(|argument| text(argument, name))
}

fn binary(
    op: BinaryOp,
    left: &resolved::Expr,
    right: &resolved::Expr,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let operand = if matches!(op, BinaryOp::And | BinaryOp::Or) { condition } else { boxed };
    let left = operand(left)?;
    joined(op, left, operand(right)?, span)
}

/// Types an operation on typed operands.
fn joined(op: BinaryOp, left: Box<Expr>, right: Box<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    use crate::typed::Arith as A;
    let op = match op {
        BinaryOp::And => {
            return Ok(fold(node(ExprKind::And(left, right), Type::Bool, Unit::None, span)));
        }
        BinaryOp::Or => {
            return Ok(fold(node(ExprKind::Or(left, right), Type::Bool, Unit::None, span)));
        }
        BinaryOp::Eq => return compare(Compare::Eq, left, right, span),
        BinaryOp::Ne => return compare(Compare::Ne, left, right, span),
        BinaryOp::Lt => return compare(Compare::Lt, left, right, span),
        BinaryOp::Le => return compare(Compare::Le, left, right, span),
        BinaryOp::Gt => return compare(Compare::Gt, left, right, span),
        BinaryOp::Ge => return compare(Compare::Ge, left, right, span),
        BinaryOp::BitOr => A::BitOr,
        BinaryOp::BitXor => A::BitXor,
        BinaryOp::BitAnd => A::BitAnd,
        BinaryOp::Shl => A::Shl,
        BinaryOp::Shr => A::Shr,
        BinaryOp::Add => A::Add,
        BinaryOp::Sub => A::Sub,
        BinaryOp::Mul => A::Mul,
        BinaryOp::Div => A::Div,
        BinaryOp::Rem => A::Rem,
    };
    arith::binary(op, *left, *right, span).map(fold)
}

fn in_list(
    tested: &resolved::Expr,
    list: &[resolved::Expr],
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let tested = boxed(tested)?;
    let mut typed = Vec::with_capacity(list.len());
    for item in list {
        typed.push(expr(item)?);
    }
    typed.iter().try_for_each(|item| check_comparable(&tested, item))?;
    Ok(negate(node(ExprKind::In(tested, typed), Type::Bool, Unit::None, span), negated))
}

/// Types `x in column`, of which the column is a list.
fn contains(
    mut tested: Expr,
    list: Box<Expr>,
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    if list.ty != Type::List && list.ty != Type::Null {
        let error = Diagnostic::new(list.span, "`in` needs a list")
            .label(format!("this is {}", described(list.ty)));
        return Err(if list.ty.is_flags() {
            error.help("ask for a flag: `flags has ACCOUNT`")
        } else {
            error.help("a column of lists, as `aliases` is, or values in parentheses: `in (8, 16)`")
        });
    }
    text(&mut tested, "in")?;
    let kind = ExprKind::Contains(list, tested.into());
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

fn case(
    arms: &[(resolved::Expr, resolved::Expr)],
    otherwise: Option<&resolved::Expr>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let mut typed = Vec::with_capacity(arms.len());
    for (when, then) in arms {
        let when = condition(when)?;
        typed.push((*when, expr(then)?));
    }
    let otherwise = otherwise.map(boxed).transpose()?;
    chosen(typed, otherwise, span)
}

/// Types a `case` of typed parts.
fn chosen(
    arms: Vec<(Expr, Expr)>,
    otherwise: Option<Box<Expr>>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let results: Vec<&Expr> =
        arms.iter().map(|(_, then)| then).chain(otherwise.as_deref()).collect();
    let common = common(&results)?;
    Ok(fold(Expr { kind: ExprKind::Case(arms, otherwise), span, ..common }))
}

fn call(
    function: &'static Function,
    arguments: &[resolved::Expr],
    span: Span,
) -> Result<Expr, Diagnostic> {
    let mut typed = Vec::with_capacity(arguments.len());
    for argument in arguments {
        typed.push(expr(argument)?);
    }
    called(function, typed, span).map(fold)
}

/// A type in a sentence: "a number", "text".
pub(crate) fn described(ty: Type) -> &'static str {
    match ty {
        Type::Bool => "a condition",
        Type::Int | Type::UInt => "a number",
        Type::Float => "a float",
        Type::Text => "a text",
        Type::List => "a list",
        Type::SlabFlags | Type::GfpFlags => "a set of flags",
        Type::Null => "null",
    }
}

/// A pattern as it is written.
fn example(op: MatchOp) -> &'static str {
    match op {
        MatchOp::Like | MatchOp::Ilike => "'kmalloc%'",
        MatchOp::Glob => "'kmalloc*'",
        MatchOp::Regex => "'^kmalloc'",
    }
}

/// What is worth saying of an error that draws pictures: its last line, or its only one.
pub(crate) fn first_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or(error);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
