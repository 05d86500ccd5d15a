//! Functions of numbers.

use super::{Evaluation, Function, Kernel, Meaning, Nulls};
use crate::bind::typing::{arith, of_type, shape, unfit, written_out};
use crate::bound::{Expr, Range};
use crate::diagnostic::Diagnostic;
use crate::eval::{integer, number as of_numbers};
use crate::plan::kernel::Scalar;
use crate::plan::lower::{Lowerer, Reason};
use crate::value::{Type, Unit, Value};

/// The most decimals that a number is rounded to: a double has no more that mean something.
const MAX_DECIMALS: u64 = 15;

pub(super) static ROWS: &[Function] = &[
    Function {
        name: "abs",
        arguments: (1, 1),
        implied: &[],
        call: "abs(x)",
        doc: "The absolute value.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                arith::number(&arguments[0], name)?;
                Ok(arith::absolute(&arguments[0]))
            },
            nulls: Nulls::Any,
            eval: |arguments, ty, warnings| match &arguments[0] {
                Value::Float(value) => Value::real(value.abs()),
                value => {
                    value.integer().map_or(Value::Null, |exact| integer(exact.abs(), ty, warnings))
                }
            },
            kernel: Kernel::Scalar(|lowerer, _, arguments| {
                let scalar = lowerer.scalar(&arguments[0])?;
                let positive = arguments[0].range.register().within(Range::UINT);
                Ok(if positive { scalar } else { Scalar::Abs(scalar.into()) })
            }),
        }),
    },
    Function {
        name: "bar",
        arguments: (2, 2),
        implied: &[],
        call: "bar(x, max)",
        doc: "x as a fraction of max: drawn as a bar in formats for people, a number from 0 to 1 in formats for programs; NULL if max is 0.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| part_of_whole(name, arguments, Unit::Bar),
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_numbers::part(&arguments[0], &arguments[1], 1.0),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "ceil",
        arguments: (1, 1),
        implied: &[],
        call: "ceil(x)",
        doc: "The smallest integer ≥ x.",
        meaning: Meaning::Values(Evaluation {
            ty: rounded,
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_float(arguments, f64::ceil),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "floor",
        arguments: (1, 1),
        implied: &[],
        call: "floor(x)",
        doc: "The largest integer ≤ x.",
        meaning: Meaning::Values(Evaluation {
            ty: rounded,
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_float(arguments, f64::floor),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "hex",
        arguments: (1, 1),
        implied: &[],
        call: "hex(x)",
        doc: "The same integer, shown in hexadecimal.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                if arguments[0].ty == Type::Float {
                    return Err(unfit(&arguments[0], "`hex` needs an integer")
                        .help("`cast(… as int)` drops the fraction"));
                }
                shown_as(name, &arguments[0], Unit::Hex)
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_float(arguments, |value| value),
            kernel: Kernel::Scalar(same),
        }),
    },
    Function {
        name: "ilog2",
        arguments: (1, 1),
        implied: &[],
        call: "ilog2(x)",
        doc: "The base-2 logarithm of an integer, rounded down; NULL for 0 and below.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                arith::integer(&arguments[0], name)?;
                Ok(Expr { range: Range { low: 0, high: 63 }, ..of_type(Type::UInt) })
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_numbers::ilog2(&arguments[0]),
            kernel: Kernel::Scalar(|lowerer, _, arguments| {
                let signed = !arguments[0].range.register().within(Range::UINT);
                Ok(Scalar::Log2(lowerer.scalar(&arguments[0])?.into(), signed))
            }),
        }),
    },
    Function {
        name: "pct",
        arguments: (2, 2),
        implied: &[],
        call: "pct(a, b)",
        doc: "a as a percentage of b; NULL if b is 0.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| part_of_whole(name, arguments, Unit::Percent),
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_numbers::part(&arguments[0], &arguments[1], 100.0),
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "round",
        arguments: (1, 2),
        implied: &[],
        call: "round(x, digits)",
        doc: "x rounded to the given number of decimals, 0 by default; halves are rounded away from 0.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                let shape = rounded(name, arguments)?;
                if let Some(digits) = arguments.get(1) {
                    written_out(digits, name, "how many decimals are kept", MAX_DECIMALS)?;
                }
                Ok(shape)
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| {
                let digits = arguments.get(1).and_then(Value::integer).unwrap_or(0);
                let digits = u32::try_from(digits).unwrap_or(0);
                of_float(arguments, |value| of_numbers::round(value, digits))
            },
            kernel: Kernel::UserSpace,
        }),
    },
    Function {
        name: "size",
        arguments: (1, 1),
        implied: &[],
        call: "size(x)",
        doc: "The same number, shown as bytes: `4.0 KiB`.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| shown_as(name, &arguments[0], Unit::Bytes),
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_float(arguments, |value| value),
            kernel: Kernel::Scalar(same),
        }),
    },
    Function {
        name: "sqrt",
        arguments: (1, 1),
        implied: &[],
        call: "sqrt(x)",
        doc: "The square root; NULL for negative numbers.",
        meaning: Meaning::Values(Evaluation {
            ty: |name, arguments| {
                arith::number(&arguments[0], name)?;
                Ok(of_type(Type::Float))
            },
            nulls: Nulls::Any,
            eval: |arguments, _, _| of_numbers::sqrt(&arguments[0]),
            kernel: Kernel::UserSpace,
        }),
    },
];

fn rounded(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    arith::number(&arguments[0], name)?;
    Ok(shape(&arguments[0]))
}

fn part_of_whole(name: &str, arguments: &mut [Expr], unit: Unit) -> Result<Expr, Diagnostic> {
    arguments.iter().try_for_each(|argument| arith::number(argument, name))?;
    Ok(Expr { unit, ..of_type(Type::Float) })
}

fn shown_as(name: &str, argument: &Expr, unit: Unit) -> Result<Expr, Diagnostic> {
    if argument.ty.is_flags() {
        return Ok(Expr { ty: Type::UInt, unit, ..shape(argument) });
    }
    arith::number(argument, name)?;
    Ok(Expr { unit, ..shape(argument) })
}

fn same(lowerer: &Lowerer<'_>, _: &Expr, arguments: &[Expr]) -> Result<Scalar, Reason> {
    lowerer.scalar(&arguments[0])
}

/// The first argument, and if it is a float what `of` makes of it.
fn of_float(mut arguments: Vec<Value>, of: impl Fn(f64) -> f64) -> Value {
    match arguments.swap_remove(0) {
        Value::Float(value) => Value::real(of(value)),
        value => value,
    }
}
