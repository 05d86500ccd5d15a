//! Finds what a query says that it can hardly mean.
//!
//! Such a query has an answer, often an empty one; a note says why. Only a percentage may be a constant expression; else
//! what is written out is looked at.

use std::collections::HashSet;

use crate::bind::flag_name;
use crate::bound::Aggregate;
use crate::capabilities::Capabilities;
use crate::eval::number::round;
use crate::plan::Plan;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Literal, Query};
use crate::value::Value;

/// A sentence for each of them: of what is written out, in the order of the text, then of the aggregates of its plan.
#[must_use]
pub fn notes(query: &Query, plan: &Plan, capabilities: &dyn Capabilities) -> Vec<String> {
    let (mut notes, mut told) = (Vec::new(), HashSet::new());
    query.walk(&mut |expr| {
        if let Some(note) = note(expr, capabilities)
            && told.insert(note.clone())
        {
            notes.push(note);
        }
    });
    notes.extend(plan.group().into_iter().flat_map(|group| &group.aggregates).filter_map(part));
    notes
}

/// What is to be said of a percentage that is a part of 1, however it is written. A `quantile` is such a part.
fn part(aggregate: &Aggregate) -> Option<String> {
    let Value::Float(part) = aggregate.parameter else { return None };
    (aggregate.function.name == "percentile" && part > 0.0 && part < 1.0).then(|| {
        // As the percentage would be written: 0.07 * 100.0 is a little more than 7.
        let percent = round(part * 100.0, 12);
        format!("`percentile` takes a percentage from 0 to 100, and {part} is less than 1 percent; did you mean `percentile(…, {percent})`?")
    })
}

/// What is to be said of an expression itself.
fn note(expr: &Expr, capabilities: &dyn Capabilities) -> Option<String> {
    match &expr.kind {
        ExprKind::Binary(op, left, right) if is_null(left) || is_null(right) => {
            let test = match op {
                BinaryOp::Eq => "`is null`",
                BinaryOp::Ne => "`is not null`",
                _ => return None,
            };
            let op = op.text();
            Some(format!("`{op} null` is never true; use {test} to test for NULL"))
        }
        ExprKind::Between { low, high, negated, .. } => {
            let (low, high) = (integer(low)?, integer(high)?);
            let what = if *negated { "outside" } else { "between" };
            let answer = if *negated { "everything" } else { "nothing" };
            (low > high).then(|| {
                format!("{answer} is {what} {low} and {high}: write the smaller bound first")
            })
        }
        ExprKind::In { list, negated: true, .. } if list.iter().any(is_null) => {
            Some("`not in` a list with NULL is never true".to_owned())
        }
        ExprKind::Has { flags, .. } => {
            let defined = |name: &str| {
                let both = capabilities.slab_flags().iter().chain(capabilities.gfp_flags());
                both.into_iter().any(|(flag, _)| flag == name)
            };
            let name =
                flags.iter().map(|flag| flag_name(&flag.name)).find(|name| !defined(name))?;
            Some(format!("this kernel has no flag `{name}`, so it is never set"))
        }
        _ => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Literal(Literal::Null))
}

/// The integer that is written out.
fn integer(expr: &Expr) -> Option<u64> {
    match expr.kind {
        ExprKind::Literal(Literal::Int(value) | Literal::Size(value, _)) => Some(value),
        _ => None,
    }
}
