//! Functions that give one of their arguments.

use std::cmp::Ordering;

use super::{Function, Kernel, MANY, Nulls};
use crate::bind::typing::{boolean, check_comparable, common, shape};
use crate::bound::{Expr, ExprKind};
use crate::diagnostic::Diagnostic;
use crate::eval::{Warnings, as_type, truth};
use crate::plan::kernel::{Pred, Scalar};
use crate::plan::lower::{FUNCTIONS, Lowerer, MIXED, Reason};
use crate::value::{Type, Value};

pub(super) static ROWS: &[Function] = &[
    Function::values(
        "coalesce(x, …)",
        (1, MANY),
        "The first argument that is not NULL.",
        one_of,
        |arguments, ty, warnings| {
            let first = arguments.into_iter().find(|value| *value != Value::Null);
            as_type(first.unwrap_or(Value::Null), ty, warnings)
        },
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Either(first_in_kernel, first_condition))
    .aliases(&["ifnull"]),
    Function::values(
        "greatest(x, …)",
        (1, MANY),
        "The largest argument, ignoring NULLs.",
        one_of_ordered,
        |arguments, ty, warnings| extreme(arguments, Ordering::Greater, ty, warnings),
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(true, arguments))),
    Function::values(
        "iif(when, then, else)",
        (3, 3),
        "The second argument if the first is true, otherwise the third.",
        |_, arguments| {
            arguments[0] = *boolean(arguments[0].clone().into())?;
            common(&[&arguments[1], &arguments[2]])
        },
        |mut arguments, ty, warnings| {
            let chosen = if truth(&arguments[0]) == Some(true) { 1 } else { 2 };
            as_type(arguments.swap_remove(chosen), ty, warnings)
        },
    )
    .nulls(Nulls::Rest),
    Function::values(
        "least(x, …)",
        (1, MANY),
        "The smallest argument, ignoring NULLs.",
        one_of_ordered,
        |arguments, ty, warnings| extreme(arguments, Ordering::Less, ty, warnings),
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(false, arguments))),
    Function::values(
        "nullif(x, y)",
        (2, 2),
        "NULL if both arguments are equal, otherwise the first.",
        |_, arguments| {
            check_comparable(&arguments[0], &arguments[1])?;
            Ok(shape(&arguments[0]))
        },
        |mut arguments, _, _| match arguments[0].compare(&arguments[1]) {
            Some(Ordering::Equal) => Value::Null,
            _ => arguments.swap_remove(0),
        },
    )
    .nulls(Nulls::First),
];

fn one_of(_: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    common(&arguments.iter().collect::<Vec<_>>())
}

fn one_of_ordered(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    for pair in arguments.windows(2) {
        check_comparable(&pair[0], &pair[1])?;
    }
    one_of(name, arguments)
}

fn extreme(arguments: Vec<Value>, wanted: Ordering, ty: Type, warnings: &mut Warnings) -> Value {
    let values = arguments.into_iter().filter(|value| *value != Value::Null);
    let best = values.reduce(|best, value| match value.compare(&best) {
        Some(order) if order == wanted => value,
        _ => best,
    });
    as_type(best.unwrap_or(Value::Null), ty, warnings)
}

fn first_condition(lowerer: &Lowerer<'_>, arguments: &[Expr]) -> Result<Pred, Reason> {
    lowerer.first(arguments)
}

/// Members of the cache itself are never NULL in the kernel, so such a first argument decides.
fn first_in_kernel(
    lowerer: &Lowerer<'_>,
    call: &Expr,
    arguments: &[Expr],
) -> Result<Scalar, Reason> {
    let first = &arguments[0];
    match first.kind {
        ExprKind::Input(input) if !lowerer.inputs[input].is_nullable() => {}
        _ => return Err(FUNCTIONS),
    }
    // A register has the sign of the call.
    let fits = first.range.register().within(call.range.register());
    if fits { lowerer.scalar(first) } else { Err(MIXED) }
}
