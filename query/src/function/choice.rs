//! Functions that give one of their arguments.

use std::cmp::Ordering;

use super::{Eval, Function, Kernel, MANY, Nulls};
use crate::bind::typing::{boolean, check_comparable, common, shape};
use crate::bound::{Expr, ExprKind};
use crate::diagnostic::Diagnostic;
use crate::eval::Term;
use crate::plan::kernel::{Pred, Scalar};
use crate::plan::lower::{FUNCTIONS, Lowerer, MIXED, Reason};
use crate::value::{Type, Value};

pub(super) static ROWS: &[Function] = &[
    Function::computed(
        "coalesce(x, …)",
        (1, MANY),
        "The first argument that is not NULL.",
        one_of,
        Eval::Terms(|arguments, ty| {
            let first = arguments.into_iter().find(|term| !term.is_null());
            first.unwrap_or(Value::Null.into()).of_type(ty)
        }),
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Either(first_in_kernel, first_condition))
    .aliases(&["ifnull"]),
    Function::computed(
        "greatest(x, …)",
        (1, MANY),
        "The largest argument, ignoring NULLs.",
        one_of_ordered,
        Eval::Terms(|arguments, ty| extreme(arguments, Ordering::Greater, ty)),
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(true, arguments))),
    Function::computed(
        "iif(when, then, else)",
        (3, 3),
        "The second argument if the first is true, otherwise the third.",
        |_, arguments| {
            arguments[0] = *boolean(arguments[0].clone().into())?;
            common(&[&arguments[1], &arguments[2]])
        },
        Eval::Terms(|mut arguments, ty| {
            let holds = matches!(arguments[0], Term::Value(Value::Bool(true)));
            arguments.swap_remove(if holds { 1 } else { 2 }).of_type(ty)
        }),
    )
    .nulls(Nulls::Rest),
    Function::computed(
        "least(x, …)",
        (1, MANY),
        "The smallest argument, ignoring NULLs.",
        one_of_ordered,
        Eval::Terms(|arguments, ty| extreme(arguments, Ordering::Less, ty)),
    )
    .nulls(Nulls::All)
    .kernel(Kernel::Scalar(|lowerer, _, arguments| lowerer.extreme(false, arguments))),
    Function::computed(
        "nullif(x, y)",
        (2, 2),
        "NULL if both arguments are equal, otherwise the first.",
        |_, arguments| {
            check_comparable(&arguments[0], &arguments[1])?;
            Ok(shape(&arguments[0]))
        },
        Eval::Terms(|mut arguments, _| match arguments[0].compare(&arguments[1]) {
            Some(Ordering::Equal) => Value::Null.into(),
            _ => arguments.swap_remove(0),
        }),
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

fn extreme(arguments: Vec<Term>, wanted: Ordering, ty: Type) -> Term {
    let terms = arguments.into_iter().filter(|term| !term.is_null());
    let best = terms.reduce(|best, term| match term.compare(&best) {
        Some(order) if order == wanted => term,
        _ => best,
    });
    best.unwrap_or(Value::Null.into()).of_type(ty)
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
