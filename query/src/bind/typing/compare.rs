//! Types comparisons: what can be compared with what.

use super::{described, fold, node, unfit};
use crate::bound::{Compare, Expr, ExprKind};
use crate::diagnostic::{Diagnostic, Span};
use crate::value::{Type, Unit};

/// Types a comparison.
pub(super) fn compare(
    op: Compare,
    left: Box<Expr>,
    right: Box<Expr>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    check_comparable(&left, &right)?;
    Ok(fold(node(ExprKind::Compare(op, left, right), Type::Bool, Unit::None, span)))
}

/// Says no to two values that do not compare.
pub(crate) fn check_comparable(left: &Expr, right: &Expr) -> Result<(), Diagnostic> {
    let number = |ty: Type| ty.is_number() || ty.is_flags();
    let comparable = match (left.ty, right.ty) {
        (Type::Null, _) | (_, Type::Null) => true,
        (Type::List, _) | (_, Type::List) => false,
        (a, b) => a == b || (number(a) && number(b)),
    };
    if comparable {
        return Ok(());
    }
    let message = format!("cannot compare {} with {}", described(left.ty), described(right.ty));
    let error = unfit(right, message);
    let literal = |expr: &Expr, ty: Type| expr.constant().is_some() && expr.ty == ty;
    Err(match (left.ty, right.ty) {
        (Type::Text, ty) | (ty, Type::Text) if ty.is_flags() => {
            error.help("test for a flag by name: `flags has ACCOUNT`")
        }
        (Type::Text, ty) if number(ty) && literal(right, ty) => {
            error.help("put text in single quotes")
        }
        (ty, Type::Text) | (Type::Text, ty)
            if number(ty) && (literal(left, Type::Text) || literal(right, Type::Text)) =>
        {
            error.help("write numbers without quotes")
        }
        (Type::Bool, _) | (_, Type::Bool) => {
            error.help("use the condition alone, or compare it with `true` or `false`")
        }
        (Type::List, Type::Text) | (Type::Text, Type::List) => {
            error.help("test for a list entry with `in`: `'eventpoll_pwq' in aliases`")
        }
        (Type::List, _) | (_, Type::List) => error.help("`length(…)` gives the length of a list"),
        _ => error,
    })
}
