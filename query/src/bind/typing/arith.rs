//! The types and ranges of arithmetic.

use super::{described, node, shape, unfit};
use crate::bound::{Arith, Expr, ExprKind, Range};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::UnaryOp;
use crate::value::{Type, Unit};

/// Says no to what is no number, for the operator or function `what`.
pub(crate) fn number(expr: &Expr, what: &str) -> Result<(), Diagnostic> {
    if expr.ty.is_number() || expr.ty == Type::Null {
        return Ok(());
    }
    let error = unfit(expr, format!("`{what}` needs a number"));
    Err(match expr.ty {
        Type::SlabFlags | Type::GfpFlags => error.help("use `cast(flags as int)` for the number"),
        Type::Bool => error.help("`iif(…, 1, 0)` turns a condition into a number"),
        Type::Text if expr.constant().is_some() => error.help("write numbers without quotes"),
        Type::Text => {
            error.help("`length(…)` gives its length, `cast(… as int)` its value as a number")
        }
        Type::List => error.help("`length(…)` gives its length"),
        _ => error,
    })
}

/// Types `-x` and `~x`.
pub(super) fn unary(op: UnaryOp, inner: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let (unit, Range { low, high }) = (inner.unit, inner.range);
    if op == UnaryOp::BitNot {
        integer(&inner, "~")?;
        let most = Range::UINT.high;
        let range = match inner.range {
            range if range.within(Range::UINT) => Range { low: most - high, high: most - low },
            _ if high < 0 && low >= Range::INT.low => Range { low: -1 - high, high: -1 - low },
            _ => Range::UINT,
        };
        let hex = inner.ty.is_flags() || inner.unit == Unit::Hex;
        let unit = if hex { Unit::Hex } else { Unit::None };
        let (kind, ty) = (ExprKind::BitNot(inner.into()), Type::UInt);
        return Ok(Expr { kind, ty, unit, range, span, column: None });
    }
    number(&inner, "-")?;
    if inner.ty == Type::Float {
        return Ok(node(ExprKind::Neg(inner.into()), Type::Float, unit, span));
    }
    let range = Range { low: 0_i128.saturating_sub(high), high: 0_i128.saturating_sub(low) };
    let (kind, ty) = (ExprKind::Neg(inner.into()), range.ty());
    Ok(Expr { kind, ty, unit, range, span, column: None })
}

/// Says no to what has no bits.
pub(crate) fn integer(expr: &Expr, what: &str) -> Result<(), Diagnostic> {
    if expr.ty.is_flags() {
        return Ok(());
    }
    if expr.ty == Type::Float {
        return Err(unfit(expr, format!("`{what}` needs integers"))
            .help("`cast(… as int)` drops the fraction"));
    }
    number(expr, what)
}

/// Types an operation on two numbers.
pub(super) fn binary(op: Arith, left: Expr, right: Expr, span: Span) -> Result<Expr, Diagnostic> {
    let unit = unit(op, &left, &right);
    let bits = matches!(op, Arith::BitAnd | Arith::BitOr | Arith::BitXor | Arith::Shl | Arith::Shr);
    for operand in [&left, &right] {
        if bits { integer(operand, op.text())? } else { number(operand, op.text())? }
    }
    let float = left.ty == Type::Float || right.ty == Type::Float;
    let range = if float { Range::of(0) } else { exact(op, left.range, right.range) };
    let ty = if float { Type::Float } else { range.ty() };
    let kind = ExprKind::Arith(op, left.into(), right.into());
    Ok(Expr { kind, ty, unit, range, span, column: None })
}

/// The unit of a result, as the table in the book has it. Bytes divided by a number that is written out, or shifted to the
/// right, are converted, to KiB perhaps: a bare number. Divided by what is counted they stay bytes.
fn unit(op: Arith, left: &Expr, right: &Expr) -> Unit {
    let plain = |unit| matches!(unit, Unit::None | Unit::Count);
    match op {
        Arith::Add | Arith::Sub => match (left.unit, right.unit) {
            (a, b) if a == b => a,
            (a, Unit::None) => a,
            (Unit::None, b) => b,
            _ => Unit::None,
        },
        Arith::Mul => match (left.unit, right.unit) {
            (Unit::Bytes, b) if plain(b) => Unit::Bytes,
            (a, Unit::Bytes) if plain(a) => Unit::Bytes,
            (Unit::Count, b) if plain(b) => Unit::Count,
            (a, Unit::Count) if plain(a) => Unit::Count,
            _ => Unit::None,
        },
        Arith::Div => match (left.unit, right.unit) {
            (Unit::Bytes, b) if plain(b) && right.constant().is_none() => Unit::Bytes,
            (Unit::Count, Unit::None) => Unit::Count,
            _ => Unit::None,
        },
        Arith::Rem if right.unit == left.unit => left.unit,
        Arith::Shr if left.unit == Unit::Bytes => Unit::None,
        Arith::Rem | Arith::Shl | Arith::Shr if right.unit == Unit::None => left.unit,
        Arith::BitAnd | Arith::BitOr | Arith::BitXor
            if left.ty.is_flags() || left.unit == Unit::Hex || right.unit == Unit::Hex =>
        {
            Unit::Hex
        }
        _ => Unit::None,
    }
}

/// Whether an operation on integers of these ranges can leave a register of 64 bits.
#[must_use]
pub fn can_leave(op: Arith, left: Range, right: Range) -> bool {
    let exact = exact(op, left, right);
    exact.register() != exact
}

/// The exact range of an operation, or more than it. Bounds that 128 bits do not hold are cut: there the operation gives
/// NULL.
pub(crate) fn exact(op: Arith, left: Range, right: Range) -> Range {
    match op {
        Arith::Add => corners(left, right, i128::saturating_add),
        Arith::Sub => corners(left, right, i128::saturating_sub),
        Arith::Mul => corners(left, right, i128::saturating_mul),
        Arith::Div => {
            let greatest = left.low.saturating_abs().max(left.high.saturating_abs());
            let low = if left.low < 0 || right.low < 0 { -greatest } else { 0 };
            Range { low, high: greatest }
        }
        Arith::Rem => {
            let divisor = right.low.saturating_abs().max(right.high.saturating_abs());
            let divisor = (divisor - 1).max(0);
            let low = if left.low < 0 { -divisor.min(left.low.saturating_abs()) } else { 0 };
            Range { low, high: divisor.min(left.high.max(0)) }
        }
        Arith::BitAnd | Arith::BitOr | Arith::BitXor => {
            let bits = |value: i128| 128 - (value ^ (value >> 127)).leading_zeros();
            let all = [left.low, left.high, right.low, right.high].map(bits);
            let ones = i128::MAX >> (127 - all.into_iter().fold(0, u32::max));
            match (op, left.low >= 0, right.low >= 0) {
                (Arith::BitAnd, true, true) => Range { low: 0, high: left.high.min(right.high) },
                (Arith::BitAnd, true, false) => Range { low: 0, high: left.high },
                (Arith::BitAnd, false, true) => Range { low: 0, high: right.high },
                (_, true, true) => Range { low: 0, high: ones },
                _ => Range { low: -1 - ones, high: ones },
            }
        }
        // By more it gives 0 or NULL.
        Arith::Shl => corners(left, distance(right, 63), |value, by| value.saturating_mul(1 << by)),
        Arith::Shr => corners(left, distance(right, 127), |value, by| value >> by),
    }
}

/// The distances to shift by, up to `most`: negative ones give NULL.
fn distance(range: Range, most: i128) -> Range {
    Range { low: range.low.clamp(0, most), high: range.high.clamp(0, most) }
}

/// The range of a function that is greatest and least at the corners of its operands' ranges.
fn corners(left: Range, right: Range, of: impl Fn(i128, i128) -> i128) -> Range {
    let corners = [
        of(left.low, right.low),
        of(left.low, right.high),
        of(left.high, right.low),
        of(left.high, right.high),
    ];
    let low = corners.iter().copied().fold(i128::MAX, i128::min);
    let high = corners.iter().copied().fold(i128::MIN, i128::max);
    Range { low, high }
}

/// The type, unit and range of `abs`.
pub(crate) fn absolute(argument: &Expr) -> Expr {
    if argument.ty == Type::Float {
        return shape(argument);
    }
    let Range { low, high } = argument.range;
    let (low, high, zero) = (low.saturating_abs(), high.saturating_abs(), low <= 0 && high >= 0);
    let range = Range { low: if zero { 0 } else { low.min(high) }, high: low.max(high) };
    Expr { ty: Type::UInt, range, ..shape(argument) }
}

/// Types `cast(x as type)`.
pub(super) fn cast(inner: Expr, ty: Type, span: Span) -> Result<Expr, Diagnostic> {
    let number = inner.ty.is_number() || inner.ty.is_flags() || inner.ty == Type::Bool;
    let possible = inner.ty == Type::Null
        || match ty {
            Type::Int | Type::UInt | Type::Float | Type::Bool => number || inner.ty == Type::Text,
            _ => true,
        };
    if !possible {
        let what = format!("cannot convert {} to {}", described(ty), described(inner.ty));
        let error = unfit(&inner, what);
        return Err(match inner.ty {
            Type::List => error.help("`length(…)` gives its length"),
            _ => error,
        });
    }
    let unit = match ty {
        Type::Text | Type::Bool => Unit::None,
        _ => inner.unit,
    };
    let bounds = if ty == Type::UInt { Range::UINT } else { Range::ANY };
    let integer = inner.ty.is_integer() || inner.ty.is_flags();
    // `int` is any integer of the language: what cannot be negative stays unsigned.
    let (ty, range) = match ty {
        Type::Int if integer && inner.range.low >= 0 => (Type::UInt, inner.range),
        Type::Int if integer => (Type::Int, inner.range),
        Type::UInt if integer && inner.range.high >= 0 => {
            (Type::UInt, Range { low: inner.range.low.max(0), high: inner.range.high })
        }
        _ => (ty, bounds),
    };
    Ok(Expr { kind: ExprKind::Cast(inner.into()), ty, unit, range, span, column: None })
}
