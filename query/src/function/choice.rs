//! Functions that give one of their arguments.

use std::cmp::Ordering;

use super::{Evaluation, Function, Kernel, MANY, Meaning, Nulls};
use crate::bind::typing::{boolean, check_comparable, common, shape};
use crate::bound::{Expr, ExprKind};
use crate::diagnostic::Diagnostic;
use crate::eval::{Warnings, as_type, truth};
use crate::plan::kernel::Scalar;
use crate::plan::lower::{FUNCTIONS, Lowerer, MIXED, Reason};
use crate::value::{Type, Value};

pub(super) static ROWS: &[Function] = &[
    Function {
        name: "coalesce",
        arguments: (1, MANY),
        implied: &[],
        call: "coalesce(x, …)",
        doc: "The first argument that is not NULL.",
        meaning: Meaning::Values(Evaluation {
            ty: one_of,
            nulls: Nulls::All,
            eval: |arguments, ty, warnings| {
                let first = arguments.into_iter().find(|value| *value != Value::Null);
                as_type(first.unwrap_or(Value::Null), ty, warnings)
            },
            kernel: Kernel::Scalar(first_in_kernel),
        }),
    },
    Function {
        name: "greatest",
        arguments: (1, MANY),
        implied: &[],
        call: "greatest(x, …)",
        doc: "The largest argument, ignoring NULLs.",
        meaning: Meaning::Values(Evaluation {
            ty: one_of_ordered,
            nulls: Nulls::All,
            eval: |arguments, ty, warnings| extreme(arguments, Ordering::Greater, ty, warnings),
            kernel: Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(true, arguments)),
        }),
    },
    Function {
        name: "iif",
        arguments: (3, 3),
        implied: &[],
        call: "iif(when, then, else)",
        doc: "The second argument if the first is true, otherwise the third.",
        meaning: Meaning::Values(Evaluation {
            ty: |_, arguments| {
                arguments[0] = *boolean(arguments[0].clone().into())?;
                common(&[&arguments[1], &arguments[2]])
            },
            nulls: Nulls::Rest,
            eval: |mut arguments, ty, warnings| {
                let chosen = if truth(&arguments[0]) == Some(true) { 1 } else { 2 };
                as_type(arguments.swap_remove(chosen), ty, warnings)
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "least",
        arguments: (1, MANY),
        implied: &[],
        call: "least(x, …)",
        doc: "The smallest argument, ignoring NULLs.",
        meaning: Meaning::Values(Evaluation {
            ty: one_of_ordered,
            nulls: Nulls::All,
            eval: |arguments, ty, warnings| extreme(arguments, Ordering::Less, ty, warnings),
            kernel: Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(false, arguments)),
        }),
    },
    Function {
        name: "nullif",
        arguments: (2, 2),
        implied: &[],
        call: "nullif(x, y)",
        doc: "NULL if both arguments are equal, otherwise the first.",
        meaning: Meaning::Values(Evaluation {
            ty: |_, arguments| {
                check_comparable(&arguments[0], &arguments[1])?;
                Ok(shape(&arguments[0]))
            },
            nulls: Nulls::First,
            eval: |mut arguments, _, _| match arguments[0].compare(&arguments[1]) {
                Some(Ordering::Equal) => Value::Null,
                _ => arguments.swap_remove(0),
            },
            kernel: Kernel::UserSpace,
        }),
    },
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
