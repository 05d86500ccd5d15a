//! Types what makes groups: keys, aggregates, and conditions on groups.
//!
//! An aggregate keeps the unit of its argument, but for what counts. What it gives of integers is an integer only where
//! it can be one exactly: sums, and one of the values.

use super::{conjuncts, expr, null};
use crate::diagnostic::{Diagnostic, Span};
use crate::resolved;
use crate::typed::{Aggregate, Expr, ExprKind, Group, Item};

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
    let second = if arguments.len() > 1 { arguments.pop() } else { None };
    let argument = arguments.pop();
    let function = resolved.function;
    let shape = argument.clone().unwrap_or_else(|| null(Span::default()));
    let (parameter, result) = (function.ty)(function.name, &shape, second.as_ref())?;
    Ok(Aggregate {
        name: resolved.name.clone(),
        function,
        parameter,
        distinct: resolved.distinct,
        argument,
        result,
    })
}
