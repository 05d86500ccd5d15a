//! Types calls of functions, and what gives one of several results.

use super::{arith, described, fold, null, of_type, shape, unfit};
use crate::bound::{Expr, ExprKind, Range};
use crate::delta::Change;
use crate::diagnostic::{Diagnostic, Span};
use crate::function::{Function, Meaning};
use crate::value::{Type, Unit, Value};

/// Types a call by one of the function's names.
pub(in crate::bind) fn call(
    function: &'static Function,
    name: &str,
    mut arguments: Vec<Expr>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let called = match &function.meaning {
        Meaning::Values(evaluation) => {
            let shape = (evaluation.ty)(name, &mut arguments)?;
            Expr { kind: ExprKind::Call(evaluation, arguments), span, ..shape }
        }
        Meaning::Expression(expression) => expression(name, arguments, span)?,
        Meaning::Delta(change) => changed(*change, arguments.swap_remove(0), name, span)?,
        Meaning::Constant(_) | Meaning::Share | Meaning::LookedUp(_) => {
            unreachable!("it is bound to something else")
        }
    };
    Ok(fold(called))
}

/// Types a change of a number: it has a sign, and the number's unit. What a value was in a tick is of its type.
fn changed(change: Change, argument: Expr, name: &str, span: Span) -> Result<Expr, Diagnostic> {
    if !change.is_value() {
        arith::number(&argument, name)?;
    }
    if argument.constant().is_some_and(|value| *value != Value::Null) {
        let message = format!("`{name}` needs a value that can change");
        return Err(Diagnostic::new(argument.span, message)
            .label("the same in every tick")
            .help(format!("for example `{name}(active)`")));
    }
    if argument.names_whole() {
        let message = format!("an aggregate over all rows cannot stand in `{name}`");
        return Err(Diagnostic::new(argument.span, message)
            .label("computed only when all rows are known")
            .help(
                "take the change of each row first: `share(delta(x))`, `sum(delta(x)) over ()`",
            ));
    }
    let shape = shape(&argument);
    if change == Change::Ticks {
        let list = Expr { unit: Unit::Spark, ..of_type(Type::List) };
        return Ok(Expr { kind: ExprKind::Delta(change, argument.into()), span, ..list });
    }
    let (ty, range) = if change.is_value() {
        (shape.ty, shape.range)
    } else if change == Change::Second || shape.ty == Type::Float {
        (Type::Float, shape.range)
    } else {
        let Range { low, high } = shape.range;
        let range = Range { low: low.saturating_sub(high), high: high.saturating_sub(low) };
        (range.ty(), range)
    };
    Ok(Expr { kind: ExprKind::Delta(change, argument.into()), ty, range, span, ..shape })
}

/// The number that an argument is, which must be a literal.
pub(crate) fn written_out(
    argument: &Expr,
    name: &str,
    what: &str,
    most: u64,
) -> Result<u64, Diagnostic> {
    match argument.constant() {
        Some(Value::UInt(value)) if *value <= most => Ok(*value),
        _ => Err(Diagnostic::new(argument.span, format!("`{name}` cannot take this"))
            .label(what)
            .help(format!("use a literal integer from 0 to {most}"))),
    }
}

/// The type, unit and range of an expression that gives one of several; its kind and span mean nothing.
pub(crate) fn common(results: &[&Expr]) -> Result<Expr, Diagnostic> {
    let mut common = null(Span::default());
    common.unit = common_unit(results);
    for result in results.iter().filter(|result| result.ty != Type::Null) {
        let (ty, range) = match (common.ty, result.ty) {
            (Type::Null, ty) => (ty, result.range),
            (a, b) if a.is_integer() && b.is_integer() => {
                let range = common.range.union(result.range);
                (range.ty(), range)
            }
            (a, b) if a.is_number() && b.is_number() => (Type::Float, common.range),
            (a, b) if a == b => (a, common.range.union(result.range)),
            (a, b) => {
                let what = format!("{} cannot be mixed with {}", described(b), described(a));
                let number = |ty: Type| ty.is_number() || ty.is_flags();
                let help = if number(a) && number(b) {
                    "all results need one type: `cast(flags as int)` gives a number"
                } else {
                    "all results need one type: `cast(… as text)` turns a number into text"
                };
                return Err(unfit(result, what).help(help));
            }
        };
        common = Expr { ty, range, ..common };
    }
    Ok(common)
}

/// The unit that all results have. A plain number that is written out, as in `coalesce(usersize, 0)`, has any.
fn common_unit(results: &[&Expr]) -> Unit {
    let plain = |result: &Expr| result.unit == Unit::None && result.constant().is_some();
    let mut units = results.iter().filter(|result| !plain(result)).map(|result| result.unit);
    let first = units.next().unwrap_or_default();
    if units.all(|unit| unit == first) { first } else { Unit::None }
}
