//! Gives a condition on a `case` a form without one.
//!
//! ```text
//!   case when c then x else y end = 1   ►   c and x = 1 or not c and y = 1
//! ```
//!
//! The two are the same where `c` is never NULL: a `case` takes NULL for false, `and` does not. So a condition that can be
//! NULL becomes `coalesce(c, false)`. And a `case` is taken apart only where each result is what it makes of it: an integer
//! beside floats becomes a float.

use crate::bound::{Expr, ExprKind};
use crate::eval;
use crate::function::{self, Meaning};
use crate::input::Input;
use crate::value::{Type, Value};

/// The same condition without the `case` that it tests; none if it tests none, or one that cannot be taken apart.
pub(super) fn taken_apart(condition: &Expr, inputs: &[Input]) -> Option<Expr> {
    let (case, with): (&Expr, &dyn Fn(Expr) -> ExprKind) = match &condition.kind {
        ExprKind::Compare(op, case, other) if is_case(case) => {
            (case, &|value| ExprKind::Compare(*op, value.into(), other.clone()))
        }
        ExprKind::Compare(op, other, case) if is_case(case) => {
            (case, &|value| ExprKind::Compare(*op, other.clone(), value.into()))
        }
        ExprKind::Between(case, low, high) if is_case(case) => {
            (case, &|value| ExprKind::Between(value.into(), low.clone(), high.clone()))
        }
        ExprKind::In(case, list, sorted) if is_case(case) => {
            (case, &|value| ExprKind::In(value.into(), list.clone(), sorted.clone()))
        }
        ExprKind::Match(case, pattern) if is_case(case) => {
            (case, &|value| ExprKind::Match(value.into(), pattern.clone()))
        }
        ExprKind::IsNull(case) if is_case(case) => (case, &|value| ExprKind::IsNull(value.into())),
        _ => return None,
    };
    let ExprKind::Case(arms, otherwise) = &case.kind else { return None };
    let mut results = arms.iter().map(|(_, then)| then).chain(otherwise.as_deref());
    if !results.all(|result| stays(result, case)) {
        return None;
    }
    let arms = arms.iter().map(|(when, then)| Some((certain(when, inputs)?, then)));
    let arms = arms.collect::<Option<Vec<_>>>()?;
    let test = |kind| Expr { kind, ty: Type::Bool, ..condition.clone() };
    let of = |value: &Expr| known(test(with(value.clone())), inputs);
    let null = Expr { kind: ExprKind::Const(Value::Null), ..case.clone() };
    let last = of(otherwise.as_deref().unwrap_or(&null));
    Some(arms.iter().rev().fold(last, |rest, (when, then)| {
        let taken = test(ExprKind::And(when.clone().into(), of(then).into()));
        let not = test(ExprKind::Not(when.clone().into()));
        let passed = test(ExprKind::And(not.into(), rest.into()));
        test(ExprKind::Or(taken.into(), passed.into()))
    }))
}

/// The condition and the number of a `case` that gives this number where the condition is true, and else NULL, as an
/// aggregate with `filter` sees it.
pub(super) fn chosen(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let ExprKind::Case(arms, otherwise) = &expr.kind else { return None };
    let [(when, then)] = arms.as_slice() else { return None };
    let null = otherwise.as_deref().is_none_or(|value| value.constant() == Some(&Value::Null));
    (null && stays(then, expr)).then_some((when, then))
}

/// The same condition, false where it would be NULL.
fn certain(condition: &Expr, inputs: &[Input]) -> Option<Expr> {
    if is_certain(condition, inputs) {
        return Some(condition.clone());
    }
    let Meaning::Values(coalesce) = &function::find("coalesce")?.meaning else { return None };
    let value = ExprKind::Const(Value::Bool(false));
    let value = Expr { kind: value, column: None, ..condition.clone() };
    let kind = ExprKind::Call(coalesce, vec![condition.clone(), value]);
    Some(Expr { kind, column: None, ..condition.clone() })
}

/// Whether a result is the same as a value of its `case`.
fn stays(result: &Expr, case: &Expr) -> bool {
    let integers = result.ty.is_integer() && case.ty.is_integer();
    integers || result.ty == Type::Null || (result.ty == case.ty && !case.ty.is_integer())
}

fn is_case(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Case(..))
}

/// The condition, computed if it needs no row.
fn known(condition: Expr, inputs: &[Input]) -> Expr {
    let value = match &condition.kind {
        ExprKind::IsNull(inner) if is_read(inner, inputs) => Value::Bool(false),
        _ if condition.inputs().is_empty() => match eval::constant(&condition) {
            Some((value, _)) => value,
            None => return condition,
        },
        _ => return condition,
    };
    Expr { kind: ExprKind::Const(value), ..condition }
}

/// Whether a condition is never NULL.
fn is_certain(condition: &Expr, inputs: &[Input]) -> bool {
    let plain = |expr: &Expr| {
        is_read(expr, inputs) || expr.constant().is_some_and(|value| *value != Value::Null)
    };
    match &condition.kind {
        ExprKind::Compare(_, left, right) => plain(left) && plain(right),
        ExprKind::Not(inner) => is_certain(inner, inputs),
        ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            is_certain(left, inputs) && is_certain(right, inputs)
        }
        _ => plain(condition),
    }
}

/// Whether it is a number that the kernel's program reads, and that is there in every row.
fn is_read(expr: &Expr, inputs: &[Input]) -> bool {
    match expr.kind {
        ExprKind::Input(input) => {
            let input = &inputs[input];
            input.in_kernel() && !input.is_text() && !input.is_nullable()
        }
        _ => false,
    }
}
