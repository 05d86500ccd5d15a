//! Aggregates that give one of the values, or what lies between two of them.

use std::cmp::Ordering;

use super::sum::mean_of_numbers;
use super::{Accumulator, Accumulators, Aggregate, Typed, each};
use crate::bind::typing::{described, shape, unfit};
use crate::bound::{self, Expr};
use crate::diagnostic::Diagnostic;
use crate::eval::{Warnings, number};
use crate::exec::sort;
use crate::plan::group::Sum;
use crate::value::{Type, Value};

pub(super) static ROWS: &[Aggregate] = &[
    Aggregate::new(
        "max(x)",
        (1, 1),
        "The largest value; for the largest of several arguments use `greatest`.",
        ordered,
        |_| each(Extreme(Ordering::Greater, Value::Null)),
    )
    .kernel(Sum::Greatest),
    Aggregate::new(
        "median(x)",
        (1, 1),
        "The median, as a float; for an even number of values the mean of the middle two.",
        mean_of_numbers,
        |_| each(Percentile { part: 1.0, whole: 2, values: Vec::new() }),
    ),
    Aggregate::new(
        "min(x)",
        (1, 1),
        "The smallest value; for the smallest of several arguments use `least`.",
        ordered,
        |_| each(Extreme(Ordering::Less, Value::Null)),
    )
    .kernel(Sum::Least),
    Aggregate::new(
        "percentile(x, 95)",
        (2, 2),
        "The p-th percentile, p from 0 to 100, linearly interpolated; a float.",
        |name, argument, parameter| ranked(name, argument, parameter, 100),
        |aggregate| percentile_of(aggregate, 100),
    ),
    Aggregate::new(
        "any_value(x)",
        (1, 1),
        "One of the values: the first in row order.",
        |_, argument, _| Ok((Value::Null, shape(argument))),
        |_| each(First(Value::Null)),
    ),
    Aggregate::new(
        "quantile(x, 0.95)",
        (2, 2),
        "The p-quantile, p from 0 to 1, linearly interpolated as `percentile` is; a float.",
        |name, argument, parameter| ranked(name, argument, parameter, 1),
        |aggregate| percentile_of(aggregate, 1),
    ),
];

/// Says no to what has no least and greatest worth asking for.
fn ordered(name: &str, argument: &Expr, _: Option<&Expr>) -> Result<Typed, Diagnostic> {
    let help = match argument.ty {
        Type::List => "`length(…)` gives its length",
        Type::SlabFlags | Type::GfpFlags => "use `cast(flags as int)` for the number",
        _ => return Ok((Value::Null, shape(argument))),
    };
    let message = format!("`{name}` does not work on {}", described(argument.ty));
    Err(unfit(argument, message).help(help))
}

/// Types an aggregate whose second argument is a part of `whole`.
fn ranked(
    name: &str,
    argument: &Expr,
    parameter: Option<&Expr>,
    whole: u32,
) -> Result<Typed, Diagnostic> {
    let (_, result) = mean_of_numbers(name, argument, None)?;
    let span = parameter.map_or(argument.span, |parameter| parameter.span);
    let value = parameter.and_then(Expr::constant).and_then(Value::float);
    let value = value.filter(|part| (0.0..=whole.into()).contains(part)).ok_or_else(|| {
        Diagnostic::new(span, format!("`{name}` needs a literal number from 0 to {whole}"))
            .help(format!("the median is `{name}(x, {})`", f64::from(whole) / 2.0))
    })?;
    Ok((Value::Float(value), result))
}

fn percentile_of(aggregate: &bound::Aggregate, whole: u32) -> Box<dyn Accumulators> {
    let part = aggregate.parameter.float().unwrap_or_default();
    each(Percentile { part, whole, values: Vec::new() })
}

/// The first value.
#[derive(Clone)]
struct First(Value);

impl Accumulator for First {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        if self.0 == Value::Null {
            self.0 = value.clone();
        }
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, _: Type, _: &mut Warnings) -> Value {
        self.0
    }
}

/// The value that is before all others in this order.
#[derive(Clone)]
struct Extreme(Ordering, Value);

/// All values, and what part of the whole of them the result is not below.
#[derive(Clone)]
struct Percentile {
    part: f64,
    whole: u32,
    values: Vec<Value>,
}

impl Accumulator for Extreme {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        if value.compare(&self.1).is_none_or(|order| order == self.0) {
            self.1 = value.clone();
        }
    }

    fn merge(&mut self, words: &[Value]) {
        // Of no value there is no least.
        if let [value, Value::UInt(1..)] = words {
            self.add(value, &mut Warnings::default());
        }
    }

    fn finish(self, _: Type, _: &mut Warnings) -> Value {
        self.1
    }
}

impl Accumulator for Percentile {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        self.values.push(value.clone());
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, _: Type, warnings: &mut Warnings) -> Value {
        percentile(self.part, self.whole, self.values, warnings)
    }
}

/// The value that this part of `values` are not above; between two values in proportion.
#[allow(clippy::cast_precision_loss)] // a float is what was asked for
fn percentile(part: f64, whole: u32, mut values: Vec<Value>, warnings: &mut Warnings) -> Value {
    let Some(steps) = values.len().checked_sub(1) else { return Value::Null };
    let order = |a: &Value, b: &Value| a.compare(b).unwrap_or(Ordering::Equal);
    if !sort::in_parts(&mut values, order, warnings) {
        return Value::Null;
    }
    let (below, rest, parts) = number::place(part, whole, steps);
    let low = &values[below.min(steps)];
    let next = values.get(below + 1).filter(|_| rest > 0).unwrap_or(low);
    let (Some(least), Some(most)) = (low.float(), next.float()) else { return Value::Null };
    let between = if let (Some(low), Some(next)) = (low.integer(), next.integer()) {
        number::ratio(low * i128::from(parts) + (next - low) * i128::from(rest), parts)
    } else {
        // Of one sign: a difference of two large numbers of both signs is none.
        let part = rest as f64 / parts as f64;
        least * (1.0 - part) + most * part
    };
    Value::real(between.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percentile(part: f64, whole: u32, values: Vec<Value>) -> Value {
        super::percentile(part, whole, values, &mut Warnings::default())
    }

    #[test]
    fn percentiles_lie_between_values() {
        let of =
            |percent| percentile(percent, 100, [40.0, 10.0, 20.0, 30.0].map(Value::Float).into());
        assert_eq!(of(0.0), Value::Float(10.0));
        assert_eq!(of(50.0), Value::Float(25.0));
        assert_eq!(of(100.0), Value::Float(40.0));
        assert_eq!(percentile(95.0, 100, vec![Value::Float(7.0)]), Value::Float(7.0));
        assert_eq!(percentile(95.0, 100, vec![]), Value::Null);
        assert_eq!(
            percentile(50.0, 100, [f64::MAX, -f64::MAX].map(Value::Float).into()),
            Value::Float(0.0)
        );
    }

    #[test]
    fn percentiles_are_never_outside_the_values() {
        for count in 1..40 {
            for percent in 0..=100 {
                let of = |value: Value| percentile(percent.into(), 100, vec![value; count]);
                assert_eq!(of(Value::UInt(104)), Value::Float(104.0));
                assert_eq!(of(Value::Float(0.1)), Value::Float(0.1));
            }
        }
        let middle = percentile(50.0, 100, vec![Value::UInt(u64::MAX), Value::Int(-1)]);
        assert_eq!(middle, Value::Float(9_223_372_036_854_775_807.0));
    }

    #[test]
    fn what_lies_between_integers_is_the_nearest_double() {
        let of = |part, whole, values: &[i64]| {
            percentile(part, whole, values.iter().map(|value| Value::Int(*value)).collect())
        };
        let hundred: Vec<i64> = (0..90).chain([1000, 2004]).collect();
        assert_eq!(of(99.0, 100, &hundred), Value::Float(1090.36));
        assert_eq!(of(90.0, 100, &[0, 1, 100]), Value::Float(80.2));
        assert_eq!(of(0.9, 1, &[0, 1, 100]), Value::Float(80.2));
        assert_eq!(of(99.9, 100, &[0, 1_000_000]), Value::Float(999_000.0));
        assert_eq!(of(1e-300, 100, &[5, 9]), Value::Float(5.0));
        assert_eq!(of(75.0, 100, &[i64::MIN, i64::MAX]), Value::Float(4_611_686_018_427_387_904.0));
    }
}
