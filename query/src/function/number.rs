//! Functions of numbers.

use super::{Eval, Function, Kernel, Meaning};
use crate::bind::typing::{arith, binary, of_type, shape, unfit, written_out};
use crate::bound::{Expr, Range};
use crate::diagnostic::Diagnostic;
use crate::eval::{Term, Warnings, float, number as of_numbers};
use crate::plan::kernel::Scalar;
use crate::plan::lower::{Lowerer, Reason};
use crate::syntax::ast::BinaryOp;
use crate::value::{Type, Unit, Value};

/// The most decimals that a number is rounded to: a double has no more that mean something.
const MAX_DECIMALS: u64 = 15;

pub(super) static ROWS: &[Function] = &[
    Function::computed(
        "abs(x)",
        (1, 1),
        "The absolute value.",
        |name, arguments| {
            arith::number(&arguments[0], name)?;
            Ok(arith::absolute(&arguments[0]))
        },
        Eval::Terms(|arguments, ty| match &arguments[0] {
            Term::Value(Value::Float(value)) => Value::real(value.abs()).into(),
            // What 128 bits do not hold stays beyond 64.
            term => term
                .integer()
                .map_or(Value::Null.into(), |exact| Term::exact(exact.saturating_abs(), ty)),
        }),
    )
    .kernel(Kernel::Scalar(|lowerer, _, arguments| {
        let scalar = lowerer.scalar(&arguments[0])?;
        let positive = arguments[0].range.register().within(Range::UINT);
        Ok(if positive { scalar } else { Scalar::Abs(scalar.into()) })
    })),
    Function::values(
        "bar(x, max)",
        (1, 2),
        "x as a fraction of max, or without it of the largest x of the answer: drawn as a bar in formats for people, a number from 0 to 1 in formats for programs; NULL if max is 0.",
        |name, arguments| part_of_whole(name, arguments, Unit::Bar),
        |arguments, _, _| of_numbers::part(&arguments[0], &arguments[1], 1.0),
    ),
    Function::values(
        "ceil(x)",
        (1, 1),
        "The smallest integer ≥ x.",
        rounded,
        |arguments, _, _| of_float(arguments, f64::ceil),
    )
    .aliases(&["ceiling"]),
    Function::values(
        "floor(x)",
        (1, 1),
        "The largest integer ≤ x.",
        rounded,
        |arguments, _, _| of_float(arguments, f64::floor),
    ),
    Function::values(
        "hex(x)",
        (1, 1),
        "The same integer, shown in hexadecimal.",
        |name, arguments| {
            if arguments[0].ty == Type::Float {
                return Err(unfit(&arguments[0], "`hex` needs an integer")
                    .help("`cast(… as int)` drops the fraction"));
            }
            shown_as(name, &arguments[0], Unit::Hex)
        },
        |arguments, _, _| of_float(arguments, |value| value),
    )
    .kernel(Kernel::Scalar(same)),
    Function::values(
        "ilog2(x)",
        (1, 1),
        "The base-2 logarithm of an integer, rounded down; NULL for 0 and below.",
        |name, arguments| {
            arith::integer(&arguments[0], name)?;
            Ok(Expr { range: Range { low: 0, high: 63 }, ..of_type(Type::UInt) })
        },
        |arguments, _, _| of_numbers::ilog2(&arguments[0]),
    )
    .kernel(Kernel::Scalar(|lowerer, _, arguments| {
        let signed = !arguments[0].range.register().within(Range::UINT);
        Ok(Scalar::Log2(lowerer.scalar(&arguments[0])?.into(), signed))
    })),
    Function::values(
        "pct(a, b)",
        (2, 2),
        "a as a percentage of b; NULL if b is 0.",
        |name, arguments| part_of_whole(name, arguments, Unit::Percent),
        |arguments, _, _| of_numbers::part(&arguments[0], &arguments[1], 100.0),
    ),
    Function::values(
        "round(x, digits)",
        (1, 2),
        "x rounded to the given number of decimals, 0 by default; halves are rounded away from 0.",
        |name, arguments| {
            let shape = rounded(name, arguments)?;
            if let Some(digits) = arguments.get(1) {
                written_out(digits, name, "how many decimals are kept", MAX_DECIMALS)?;
            }
            Ok(shape)
        },
        |arguments, _, _| {
            let digits = arguments.get(1).and_then(Value::integer).unwrap_or(0);
            let digits = u32::try_from(digits).unwrap_or(0);
            of_float(arguments, |value| of_numbers::round(value, digits))
        },
    ),
    Function::values(
        "size(x)",
        (1, 1),
        "The same number, shown as bytes: `4.0 KiB`.",
        |name, arguments| shown_as(name, &arguments[0], Unit::Bytes),
        |arguments, _, _| of_float(arguments, |value| value),
    )
    .kernel(Kernel::Scalar(same)),
    Function::values(
        "sqrt(x)",
        (1, 1),
        "The square root; NULL for negative numbers.",
        a_float,
        |arguments, _, _| of_numbers::sqrt(&arguments[0]),
    ),
    Function::values(
        "ln(x)",
        (1, 1),
        "The natural logarithm; NULL for 0 and below.",
        a_float,
        |arguments, _, warnings| of_logarithm(&arguments[0], f64::ln, warnings),
    ),
    Function::values(
        "log2(x)",
        (1, 1),
        "The base-2 logarithm, as a float; NULL for 0 and below.",
        a_float,
        |arguments, _, warnings| of_logarithm(&arguments[0], f64::log2, warnings),
    ),
    Function::new(
        "mod(x, y)",
        (2, 2),
        "The remainder, as `x % y`: it has the sign of x; NULL if y is 0.",
        Meaning::Expression(|_, mut arguments, span| {
            let divisor = arguments.pop().expect("there are two");
            binary(BinaryOp::Rem, arguments.swap_remove(0).into(), divisor.into(), span)
        }),
    ),
    Function::values(
        "power(x, y)",
        (2, 2),
        "x to the power of y, as a float; NULL with a warning if it is no finite number.",
        a_float,
        |arguments, _, warnings| match (arguments[0].float(), arguments[1].float()) {
            (Some(base), Some(power)) => float(base.powf(power), warnings),
            _ => Value::Null,
        },
    )
    .aliases(&["pow"]),
];

/// Types a function that makes a float of numbers.
fn a_float(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    arguments.iter().try_for_each(|argument| arith::number(argument, name))?;
    Ok(of_type(Type::Float))
}

fn of_logarithm(value: &Value, of: fn(f64) -> f64, warnings: &mut Warnings) -> Value {
    let value = value.float().filter(|value| *value > 0.0);
    value.map_or(Value::Null, |value| float(of(value), warnings))
}

fn rounded(name: &str, arguments: &mut [Expr]) -> Result<Expr, Diagnostic> {
    arith::number(&arguments[0], name)?;
    Ok(shape(&arguments[0]))
}

fn part_of_whole(name: &str, arguments: &mut [Expr], unit: Unit) -> Result<Expr, Diagnostic> {
    Ok(Expr { unit, ..a_float(name, arguments)? })
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
