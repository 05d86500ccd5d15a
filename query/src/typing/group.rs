//! Types what makes groups: keys, aggregates, and conditions on groups.
//!
//! An aggregate keeps the unit of its argument, but for what counts. What it gives of integers is an integer only where
//! it can be one exactly: sums, and one of the values.

use super::{arith, conjuncts, described, expr, node, null};
use crate::aggregate::{Aggregate as A, signature};
use crate::diagnostic::{Diagnostic, Span};
use crate::resolved;
use crate::typed::{Aggregate, Expr, ExprKind, Fold, Group, Item, Range};
use crate::value::{Type, Unit, Value};

/// Types how rows become groups.
pub(super) fn check(group: resolved::Group) -> Result<Group, Diagnostic> {
    let key = |key: resolved::Item| Ok(Item { name: key.name, expr: expr(&key.expr)? });
    let keys = group.keys.into_iter().map(key).collect::<Result<_, Diagnostic>>()?;
    let aggregates = group.aggregates.iter().map(aggregate).collect::<Result<_, _>>()?;
    let mut having = Vec::new();
    if let Some(condition) = &group.having {
        conjuncts(condition, &mut having)?;
    }
    Ok(Group { keys, aggregates, having })
}

/// The expressions of a group that are computed of rows.
pub(super) fn of_rows(group: &Group) -> impl Iterator<Item = &Expr> {
    let arguments = group.aggregates.iter().filter_map(|aggregate| aggregate.argument.as_ref());
    group.keys.iter().map(|key| &key.expr).chain(arguments)
}

/// A value of the group's row, which was computed as `shape`.
pub(super) fn value(place: usize, shape: &Expr, span: Span) -> Expr {
    let Expr { ty, unit, range, .. } = *shape;
    Expr { kind: ExprKind::Input(place), ty, unit, range, span }
}

/// Types an aggregate.
pub(super) fn aggregate(resolved: &resolved::Aggregate) -> Result<Aggregate, Diagnostic> {
    let mut arguments = resolved.arguments.iter().map(expr).collect::<Result<Vec<_>, _>>()?;
    let parameter = if arguments.len() > 1 { arguments.pop() } else { None };
    let argument = arguments.pop();
    let name = signature(resolved.aggregate).name;
    let shape = argument.clone().unwrap_or_else(|| null(Span::default()));
    let of_type = |ty, unit| node(ExprKind::Const(Value::Null), ty, unit, shape.span);
    let float = of_type(Type::Float, shape.unit);
    let (fold, result) = match resolved.aggregate {
        A::Count => {
            let range = Range { low: 0, high: i64::MAX.into() };
            (Fold::Count, Expr { range, ..of_type(Type::UInt, Unit::Count) })
        }
        A::Min | A::Max => {
            ordered(&shape, name)?;
            let fold = if resolved.aggregate == A::Min { Fold::Min } else { Fold::Max };
            (fold, super::shape(&shape))
        }
        A::GroupConcat => {
            if shape.ty == Type::List {
                return Err(Diagnostic::new(shape.span, format!("`{name}` needs a text"))
                    .label("this is a list")
                    .help("`length(…)` of a list is a number"));
            }
            (Fold::Concat(separator(parameter.as_ref())?), of_type(Type::Text, Unit::None))
        }
        // The others are of numbers.
        _ => {
            arith::number(&shape, name)?;
            match resolved.aggregate {
                A::Sum => (Fold::Sum, sum(&shape)),
                A::Avg => (Fold::Avg, float),
                A::Stddev => (Fold::Stddev, float),
                A::Histogram => (Fold::Histogram, of_type(Type::List, Unit::None)),
                A::Median => (Fold::Percentile(50.0), float),
                _ => (Fold::Percentile(percent(parameter.as_ref(), shape.span)?), float),
            }
        }
    };
    Ok(Aggregate {
        name: resolved.name.clone(),
        fold,
        distinct: resolved.distinct,
        argument,
        result,
    })
}

/// What a sum is: its integers have as many bits as there are.
fn sum(argument: &Expr) -> Expr {
    let range = if argument.range.low < 0 { Range::INT } else { Range::UINT };
    let (ty, range) = match argument.ty {
        Type::Float => (Type::Float, Range::of(0)),
        _ => arith::clip(range),
    };
    Expr { ty, range, ..super::shape(argument) }
}

/// Says no to what has no least and greatest worth asking for.
fn ordered(argument: &Expr, name: &str) -> Result<(), Diagnostic> {
    let help = match argument.ty {
        Type::List => "`length(…)` of it is a number",
        Type::SlabFlags | Type::GfpFlags => "`cast(flags as int)` is the number",
        _ => return Ok(()),
    };
    let message = format!("`{name}` has no meaning for {}", described(argument.ty));
    let label = format!("this is {}", described(argument.ty));
    Err(Diagnostic::new(argument.span, message).label(label).help(help))
}

/// The second argument of `percentile`; `before` is where the first one stands.
fn percent(parameter: Option<&Expr>, before: Span) -> Result<f64, Diagnostic> {
    let span = parameter.map_or(before, |parameter| parameter.span);
    let value = parameter.and_then(Expr::constant).and_then(Value::float);
    value.filter(|percent| (0.0..=100.0).contains(percent)).ok_or_else(|| {
        Diagnostic::new(span, "`percentile` needs a number from 0 to 100 that is written out")
            .help("the median is `percentile(x, 50)`")
    })
}

/// What stands between the values of `group_concat`.
fn separator(parameter: Option<&Expr>) -> Result<Box<[u8]>, Diagnostic> {
    let Some(parameter) = parameter else { return Ok((*b",").into()) };
    if let Some(Value::Text(text)) = parameter.constant() {
        return Ok(text.clone());
    }
    let message = "`group_concat` needs a text that is written out between the values";
    Err(Diagnostic::new(parameter.span, message).help("as in `group_concat(x, ', ')`"))
}
