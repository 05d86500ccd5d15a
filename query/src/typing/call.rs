//! Types calls of functions, and what gives one of several results.

use super::compare::check_comparable;
use super::{arith, boolean, described, first_line, node, null, shape, text};
use crate::diagnostic::{Diagnostic, Span};
use crate::function::Function;
use crate::pattern::Extract;
use crate::typed::{Expr, ExprKind, Range};
use crate::value::{Type, Unit, Value};

/// Types a call with typed arguments.
pub(super) fn called(
    function: Function,
    mut typed: Vec<Expr>,
    span: Span,
) -> Result<Expr, Diagnostic> {
    let name = crate::function::signature(function).name;
    let of_type = |ty| node(ExprKind::Const(Value::Null), ty, Unit::None, span);
    let shape = match function {
        Function::Coalesce => common(&typed.iter().collect::<Vec<_>>())?,
        Function::Greatest | Function::Least => {
            for pair in typed.windows(2) {
                check_comparable(&pair[0], &pair[1])?;
            }
            common(&typed.iter().collect::<Vec<_>>())?
        }
        Function::Nullif => {
            check_comparable(&typed[0], &typed[1])?;
            shape(&typed[0])
        }
        Function::Iif => {
            let when = typed.remove(0);
            typed.insert(0, *boolean(when.into())?);
            common(&[&typed[1], &typed[2]])?
        }
        Function::Abs | Function::Round | Function::Floor | Function::Ceil => {
            arith::number(&typed[0], name)?;
            if let Some(digits) = typed.get(1) {
                written_out(digits, name, "how many decimals are kept", MAX_DECIMALS)?;
            }
            arith::rounded(function, &typed[0])
        }
        Function::Delta | Function::Rate => changed(function, &typed[0], name)?,
        Function::Sqrt => {
            arith::number(&typed[0], name)?;
            of_type(Type::Float)
        }
        Function::Bar | Function::Pct => {
            typed.iter().try_for_each(|argument| arith::number(argument, name))?;
            let unit = if function == Function::Bar { Unit::Bar } else { Unit::Percent };
            Expr { unit, ..of_type(Type::Float) }
        }
        Function::Ilog2 => {
            arith::integer(&typed[0], name)?;
            Expr { range: Range { low: 0, high: 63 }, ..of_type(Type::UInt) }
        }
        Function::Concat => {
            typed = typed.into_iter().map(written).collect::<Result<_, _>>()?;
            of_type(Type::Text)
        }
        Function::Substr => {
            typed[0] = text(typed[0].clone(), name)?;
            typed[1..].iter().try_for_each(|argument| arith::integer(argument, name))?;
            of_type(Type::Text)
        }
        Function::RegexpExtract => return extracted(typed, span),
        Function::Hex | Function::Size => {
            if function == Function::Hex && typed[0].ty == Type::Float {
                return Err(Diagnostic::new(typed[0].span, "`hex` needs an integer")
                    .label("this is a float")
                    .help("`cast(… as int)` cuts the fraction off"));
            }
            if !typed[0].ty.is_flags() {
                arith::number(&typed[0], name)?;
            }
            let unit = if function == Function::Hex { Unit::Hex } else { Unit::Bytes };
            let ty = if typed[0].ty.is_flags() { Type::UInt } else { typed[0].ty };
            Expr { ty, unit, ..shape(&typed[0]) }
        }
        Function::Length => {
            if !matches!(typed[0].ty, Type::List | Type::Text | Type::Null) {
                let what = format!("`{name}` needs a text or a list");
                let error = Diagnostic::new(typed[0].span, what)
                    .label(format!("this is {}", described(typed[0].ty)));
                return Err(if typed[0].ty.is_number() {
                    error.help("`cast(… as text)` makes a text of a number")
                } else {
                    error
                });
            }
            let range = Range { low: 0, high: i64::MAX.into() };
            Expr { range, unit: Unit::Count, ..of_type(Type::UInt) }
        }
        Function::Lower | Function::Upper | Function::Replace => {
            typed = texts(typed, name)?;
            of_type(Type::Text)
        }
        Function::AliasOf => {
            typed[0] = text(typed[0].clone(), name)?;
            of_type(Type::Bool)
        }
        Function::StartsWith => {
            typed = texts(typed, name)?;
            of_type(Type::Bool)
        }
        Function::PageSize | Function::Source => unreachable!("resolve makes a literal of it"),
    };
    Ok(Expr { kind: ExprKind::Call(function, typed), span, ..shape })
}

/// What a change of a number is: it has a sign, and its unit.
fn changed(function: Function, argument: &Expr, name: &str) -> Result<Expr, Diagnostic> {
    arith::number(argument, name)?;
    if argument.constant().is_some_and(|value| *value != Value::Null) {
        let message = format!("`{name}` needs a number that can change");
        return Err(Diagnostic::new(argument.span, message)
            .label("the same in every tick")
            .help(format!("as in `{name}(active)`")));
    }
    let shape = shape(argument);
    if function == Function::Rate || shape.ty == Type::Float {
        return Ok(Expr { ty: Type::Float, ..shape });
    }
    let Range { low, high } = shape.range;
    let (ty, range) = arith::clip(Range { low: low - high, high: high - low });
    Ok(Expr { ty, range, ..shape })
}

/// The most decimals that a number is rounded to: a double has no more that mean something.
const MAX_DECIMALS: u64 = 15;

/// The number that an argument is, which must be written out.
fn written_out(argument: &Expr, name: &str, what: &str, most: u64) -> Result<u64, Diagnostic> {
    match argument.constant() {
        Some(Value::UInt(value)) if *value <= most => Ok(*value),
        _ => Err(Diagnostic::new(argument.span, format!("`{name}` cannot take this"))
            .label(what)
            .help(format!("a whole number from 0 to {most}, written out"))),
    }
}

/// An argument as the text that it is written as.
fn written(argument: Expr) -> Result<Expr, Diagnostic> {
    match argument.ty {
        Type::Text | Type::Null => Ok(Expr { ty: Type::Text, ..argument }),
        _ => {
            let span = argument.span;
            super::cast(argument, Type::Text, span)
        }
    }
}

/// Types `regexp_extract`, whose expression is read here.
fn extracted(mut typed: Vec<Expr>, span: Span) -> Result<Expr, Diagnostic> {
    const NAME: &str = "regexp_extract";
    let tested = text(typed.remove(0), NAME)?;
    let Some(Value::Text(regex)) = typed[0].constant() else {
        let what = format!("the pattern of `{NAME}` must be written out");
        return Err(Diagnostic::new(typed[0].span, what).help("in single quotes: `'-([0-9]+)$'`"));
    };
    let extract = Extract::new(&String::from_utf8_lossy(regex)).map_err(|error| {
        Diagnostic::new(typed[0].span, format!("`{NAME}` cannot take this pattern"))
            .label(first_line(&error))
    })?;
    let wanted = match typed.get(1) {
        Some(group) => written_out(group, NAME, "the number of a group", extract.groups() as u64)?,
        None => 0,
    };
    // The number was held against how many there are.
    let group = usize::try_from(wanted).ok().and_then(|group| extract.group(group));
    let extract = group.expect("the pattern has this group");
    let kind = ExprKind::Extract(tested.into(), extract);
    Ok(node(kind, Type::Text, Unit::None, span))
}

/// Says no to arguments that are no texts.
fn texts(arguments: Vec<Expr>, name: &str) -> Result<Vec<Expr>, Diagnostic> {
    arguments.into_iter().map(|argument| text(argument, name)).collect()
}

/// The type, unit and range of an expression that gives one of several; its kind and span mean nothing.
pub(super) fn common(results: &[&Expr]) -> Result<Expr, Diagnostic> {
    let mut common = null(Span::default());
    common.unit = common_unit(results);
    for result in results.iter().filter(|result| result.ty != Type::Null) {
        let (ty, range) = match (common.ty, result.ty) {
            (Type::Null, ty) => (ty, result.range),
            (a, b) if a.is_integer() && b.is_integer() => {
                arith::clip(common.range.union(result.range))
            }
            (a, b) if a.is_number() && b.is_number() => (Type::Float, common.range),
            (a, b) if a == b => (a, common.range.union(result.range)),
            (a, b) => {
                let what = format!("{} does not go with {}", described(b), described(a));
                let number = |ty: Type| ty.is_number() || ty.is_flags();
                let help = if number(a) && number(b) {
                    "all results are of one type: `cast(flags as int)` is a number"
                } else {
                    "all results are of one type: `cast(… as text)` makes a text of a number"
                };
                return Err(Diagnostic::new(result.span, what)
                    .label(format!("this is {}", described(b)))
                    .help(help));
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
