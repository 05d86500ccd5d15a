//! Types operations: what is made of typed operands has a type, a unit and a range, or the query is told what does
//! not fit.
//!
//! # Integers
//!
//! An integer expression has a [`Range`], computed in 128 bits from the ranges of its parts. If it cannot be negative its
//! type is unsigned, else signed; a signed expression may still have values above 2^63, as `addr - 64` has. Where the
//! range fits 64 bits nothing can go wrong; where it does not, the value is checked when it is computed, and is NULL with
//! a warning where neither 64 bits with a sign nor 64 bits without hold it.
//!
//! # Constants
//!
//! An operation on constants is computed here, so `4k * 2` is one number to later stages.

pub(crate) mod arith;
mod call;
mod compare;

pub use arith::can_leave;
pub(super) use call::call;
pub(crate) use call::{common, written_out};
pub(crate) use compare::check_comparable;
use compare::compare;

use crate::bound::{Arith, Compare, Expr, ExprKind, Range, Sorted};
use crate::catalog::Column;
use crate::diagnostic::{Diagnostic, Span};
use crate::eval::{self, Warnings};
use crate::function::JOIN;
use crate::input::Input;
use crate::pattern::Pattern;
use crate::syntax::ast::{BinaryOp, Literal, MatchOp, Quantifier, UnaryOp};
use crate::value::{Type, Unit, Value};

/// Types what is read of a row.
pub(super) fn stored(number: usize, input: &Input, span: Span) -> Expr {
    let (low, high) = input.range();
    let (range, column) = (Range { low, high }, input.column());
    Expr { kind: ExprKind::Input(number), ty: input.ty(), unit: input.unit(), range, span, column }
}

/// Types a column that the source cannot give.
pub(super) fn missing(column: &'static Column, span: Span) -> Expr {
    Expr { ty: column.ty, unit: column.unit, column: Some(column), ..null(span) }
}

fn not(inner: Box<Expr>, span: Span) -> Expr {
    fold(node(ExprKind::Not(inner), Type::Bool, Unit::None, span))
}

/// Types `not x`, `-x` and `~x`.
pub(super) fn unary(op: UnaryOp, inner: Box<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    match op {
        UnaryOp::Not => Ok(not(boolean(inner)?, span)),
        _ => arith::unary(op, *inner, span).map(fold),
    }
}

/// Types `x like pattern` and its kin.
pub(super) fn matched(
    op: MatchOp,
    mut tested: Expr,
    mut pattern: Expr,
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    text(&mut tested, op.text())?;
    let place = pattern.span;
    let wanted = match pattern.constant() {
        Some(Value::Text(wanted)) => String::from_utf8_lossy(wanted).into_owned(),
        Some(value) if *value != Value::Null => {
            let what = format!("the pattern of `{}` must be a text", op.text());
            let help = format!("put it in single quotes: {}", example(op));
            return Err(Diagnostic::new(place, what).help(help));
        }
        _ => {
            text(&mut pattern, op.text())?;
            let kind = ExprKind::MatchBy(op, tested.into(), pattern.into());
            return Ok(negate(node(kind, Type::Bool, Unit::None, span), negated));
        }
    };
    let pattern = Pattern::new(op, &wanted).map_err(|error| {
        let what = format!("`{}` cannot take this pattern", op.text());
        Diagnostic::new(place, what).label(first_line(&error))
    })?;
    let kind = ExprKind::Match(tested.into(), pattern);
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

/// Types `x is null`.
pub(super) fn is_null(tested: Box<Expr>, negated: bool, span: Span) -> Expr {
    negate(node(ExprKind::IsNull(tested), Type::Bool, Unit::None, span), negated)
}

/// Types `x has …`: the bits of a mask, and whether a flag was named that has no bit.
pub(super) fn has(
    set: Box<Expr>,
    quantifier: Quantifier,
    (mask, undefined): (u64, bool),
    span: Span,
) -> Result<Expr, Diagnostic> {
    if !set.ty.is_flags() {
        return Err(unfit(&set, "`has` needs a set of flags")
            .help("`flags has ACCOUNT`; test the bits of a number with `x & 0x10 != 0`"));
    }
    let kind = match quantifier {
        // A flag that the kernel does not define is never set.
        Quantifier::All if undefined => ExprKind::HasAny(set, 0),
        Quantifier::All => ExprKind::HasAll(set, mask),
        Quantifier::Any => ExprKind::HasAny(set, mask),
    };
    Ok(fold(node(kind, Type::Bool, Unit::None, span)))
}

/// Types `cast(x as type)`.
pub(crate) fn cast(inner: Expr, ty: Type, span: Span) -> Result<Expr, Diagnostic> {
    arith::cast(inner, ty, span).map(fold)
}

/// Types `x between low and high`.
pub(super) fn between(
    [tested, low, high]: [Box<Expr>; 3],
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    check_comparable(&tested, &low)?;
    check_comparable(&tested, &high)?;
    let kind = ExprKind::Between(tested, low, high);
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

/// An expression of a type that is no integer.
pub(crate) fn node(kind: ExprKind, ty: Type, unit: Unit, span: Span) -> Expr {
    Expr { kind, ty, unit, range: Range::of(0), span, column: None }
}

/// The type, unit and range of an expression; its kind means nothing.
pub(crate) fn shape(expr: &Expr) -> Expr {
    let Expr { ty, unit, range, span, .. } = *expr;
    Expr { range, ..node(ExprKind::Const(Value::Null), ty, unit, span) }
}

/// The type of a result, without a unit; the rest means nothing.
#[must_use]
pub fn of_type(ty: Type) -> Expr {
    node(ExprKind::Const(Value::Null), ty, Unit::None, Span::default())
}

pub(super) fn null(span: Span) -> Expr {
    node(ExprKind::Const(Value::Null), Type::Null, Unit::None, span)
}

/// Types a value in the text.
pub(super) fn constant(literal: &Literal, span: Span) -> Expr {
    let (value, ty, unit) = match literal {
        Literal::Null => (Value::Null, Type::Null, Unit::None),
        Literal::Bool(value) => (Value::Bool(*value), Type::Bool, Unit::None),
        Literal::Int(value) => (Value::UInt(*value), Type::UInt, Unit::None),
        Literal::Size(value, _) => (Value::UInt(*value), Type::UInt, Unit::Bytes),
        Literal::Float(value) => (Value::Float(*value), Type::Float, Unit::None),
        Literal::Text(value) => (Value::text(value), Type::Text, Unit::None),
    };
    let range = Range::of(value.integer().unwrap_or_default());
    Expr { range, ..node(ExprKind::Const(value), ty, unit, span) }
}

/// Types a value of a subquery.
pub(super) fn answered(value: Value, (ty, unit): (Type, Unit), span: Span) -> Expr {
    let range = Range::of(value.integer().unwrap_or_default());
    let expr = Expr { range, ..node(ExprKind::Const(value), ty, unit, span) };
    match expr.constant().and_then(Value::integer) {
        Some(exact) if ty.is_integer() => {
            let value = eval::integer(exact, range.ty(), &mut Warnings::default());
            Expr { kind: ExprKind::Const(value), ty: range.ty(), ..expr }
        }
        _ => expr,
    }
}

/// Computes an operation whose operands are all constants.
fn fold(expr: Expr) -> Expr {
    let mut constant = true;
    expr.children(&mut |child| constant &= child.constant().is_some());
    if !constant
        || expr.constant().is_some()
        || matches!(expr.kind, ExprKind::Input(_) | ExprKind::Whole(_))
    {
        return expr;
    }
    // A warning belongs to the run, so what would give one is left for it, as is what takes long.
    let Some((value, false)) = eval::constant(&expr) else { return expr };
    // The type is that of the one value that there is.
    if let (true, Some(exact)) = (expr.ty.is_integer(), value.integer()) {
        let range = Range::of(exact);
        let value = eval::integer(exact, range.ty(), &mut Warnings::default());
        return Expr { kind: ExprKind::Const(value), ty: range.ty(), range, ..expr };
    }
    Expr { kind: ExprKind::Const(value), ..expr }
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
    let error = unfit(&typed, "expected a condition");
    Err(match ty {
        Type::Int | Type::UInt | Type::Float => error.help("compare it: `… != 0`"),
        Type::SlabFlags => error.help("test for a flag: `flags has ACCOUNT`"),
        Type::GfpFlags => error.help("test for a flag: `allocflags has COMP`"),
        Type::List => error.help("compare its length: `length(…) > 0`"),
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
    let error = unfit(typed, format!("`{what}` needs a text"));
    Err(match ty {
        Type::SlabFlags | Type::GfpFlags => {
            error.help("test for a flag by name: `flags has ACCOUNT`")
        }
        ty if ty.is_number() => error.help("`cast(… as text)` turns a number into text"),
        Type::List => error.help(
            "test for an entry with `'eventpoll_pwq' in aliases`, or convert all of them with `cast(aliases as text)`",
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

/// Types an operation on two operands.
pub(crate) fn binary(
    op: BinaryOp,
    left: Box<Expr>,
    right: Box<Expr>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    use Arith as A;
    let logic = |kind| Ok(fold(node(kind, Type::Bool, Unit::None, span)));
    let op = match op {
        BinaryOp::And => return logic(ExprKind::And(boolean(left)?, boolean(right)?)),
        BinaryOp::Or => return logic(ExprKind::Or(boolean(left)?, boolean(right)?)),
        BinaryOp::Eq => return compare(Compare::Eq, left, right, span),
        BinaryOp::Ne => return compare(Compare::Ne, left, right, span),
        BinaryOp::Lt => return compare(Compare::Lt, left, right, span),
        BinaryOp::Le => return compare(Compare::Le, left, right, span),
        BinaryOp::Gt => return compare(Compare::Gt, left, right, span),
        BinaryOp::Ge => return compare(Compare::Ge, left, right, span),
        BinaryOp::Concat => {
            if let Some(wrong) = [&left, &right].into_iter().find(|expr| expr.ty == Type::Bool) {
                let error = unfit(wrong, "`||` joins texts");
                return Err(error.help("join conditions with `or`"));
            }
            return call(&JOIN, JOIN.name, vec![*left, *right], span);
        }
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

/// Types `x in (…)`.
pub(super) fn in_list(
    tested: Box<Expr>,
    list: Vec<Expr>,
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    list.iter().try_for_each(|item| check_comparable(&tested, item))?;
    let sorted = Sorted::of(&list);
    Ok(negate(node(ExprKind::In(tested, list, sorted), Type::Bool, Unit::None, span), negated))
}

/// Types `x in column`, of which the column is a list.
pub(super) fn contains(
    mut tested: Expr,
    list: Box<Expr>,
    negated: bool,
    span: Span,
) -> Result<Expr, Diagnostic> {
    if list.ty != Type::List && list.ty != Type::Null {
        let error = unfit(&list, "`in` needs a list");
        return Err(if list.ty.is_flags() {
            error.help("test for a flag: `flags has ACCOUNT`")
        } else {
            error
                .help("use a list column such as `aliases`, or values in parentheses: `in (8, 16)`")
        });
    }
    text(&mut tested, "in")?;
    let kind = ExprKind::Contains(list, tested.into());
    Ok(negate(node(kind, Type::Bool, Unit::None, span), negated))
}

/// Types a `case`.
pub(super) fn case(
    arms: Vec<(Expr, Expr)>,
    otherwise: Option<Box<Expr>>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let results: Vec<&Expr> =
        arms.iter().map(|(_, then)| then).chain(otherwise.as_deref()).collect();
    let common = common(&results)?;
    Ok(fold(Expr { kind: ExprKind::Case(arms, otherwise), span, ..common }))
}

/// The error for an operand or argument of the wrong type.
pub(crate) fn unfit(expr: &Expr, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(expr.span, message).label(format!("this is {}", described(expr.ty)))
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
