//! Aggregates that give one of the values, or what lies between two of them.

use std::cmp::Ordering;

use super::sum::mean_of_numbers;
use super::{Accumulator, Aggregate, Typed};
use crate::bind::typing::{described, shape, unfit};
use crate::bound::Expr;
use crate::diagnostic::Diagnostic;
use crate::eval::{Warnings, number};
use crate::plan::group::Sum;
use crate::value::{Type, Value};

pub(super) static ROWS: &[Aggregate] = &[
    Aggregate {
        name: "max",
        arguments: (1, 1),
        star: false,
        call: "max(x)",
        doc: "The largest value; for the largest of several arguments use `greatest`.",
        ty: ordered,
        begin: |_| Box::new(Extreme(Ordering::Greater, Value::Null)),
        kernel: Some(Sum::Greatest),
    },
    Aggregate {
        name: "median",
        arguments: (1, 1),
        star: false,
        call: "median(x)",
        doc: "The median, as a float; for an even number of values the mean of the middle two.",
        ty: mean_of_numbers,
        begin: |_| Box::new(Percentile(50.0, Vec::new())),
        kernel: None,
    },
    Aggregate {
        name: "min",
        arguments: (1, 1),
        star: false,
        call: "min(x)",
        doc: "The smallest value; for the smallest of several arguments use `least`.",
        ty: ordered,
        begin: |_| Box::new(Extreme(Ordering::Less, Value::Null)),
        kernel: Some(Sum::Least),
    },
    Aggregate {
        name: "percentile",
        arguments: (2, 2),
        star: false,
        call: "percentile(x, 95)",
        doc: "The p-th percentile, p from 0 to 100, linearly interpolated; a float.",
        ty: |name, argument, parameter| {
            let (_, result) = mean_of_numbers(name, argument, None)?;
            Ok((percent(argument, parameter)?, result))
        },
        begin: |aggregate| {
            Box::new(Percentile(aggregate.parameter.float().unwrap_or_default(), Vec::new()))
        },
        kernel: None,
    },
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

/// The second argument of `percentile`.
fn percent(argument: &Expr, parameter: Option<&Expr>) -> Result<Value, Diagnostic> {
    let span = parameter.map_or(argument.span, |parameter| parameter.span);
    let value = parameter.and_then(Expr::constant).and_then(Value::float);
    let value = value.filter(|percent| (0.0..=100.0).contains(percent));
    value.map(Value::Float).ok_or_else(|| {
        Diagnostic::new(span, "`percentile` needs a literal number from 0 to 100")
            .help("the median is `percentile(x, 50)`")
    })
}

/// The value that is before all others in this order.
struct Extreme(Ordering, Value);

/// All values, and how many percent of them the result is not below.
struct Percentile(f64, Vec<Value>);

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

    fn finish(self: Box<Self>, _: Type, _: &mut Warnings) -> Value {
        self.1
    }
}

impl Accumulator for Percentile {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        self.1.push(value.clone());
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self: Box<Self>, _: Type, _: &mut Warnings) -> Value {
        percentile(self.0, self.1)
    }
}

/// The value that so many percent of `values` are not above; between two values in proportion.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentile(percent: f64, mut values: Vec<Value>) -> Value {
    let Some(steps) = values.len().checked_sub(1) else { return Value::Null };
    let order = |a: &Value, b: &Value| a.compare(b).unwrap_or(Ordering::Equal);
    let place = percent * steps as f64 / 100.0;
    let (below, part) = ((place.floor() as usize).min(steps), place.fract());
    let (_, low, above) = values.select_nth_unstable_by(below, order);
    let next = above.iter().min_by(|a, b| order(a, b)).filter(|_| part > 0.0).unwrap_or(low);
    let (Some(least), Some(most)) = (low.float(), next.float()) else { return Value::Null };
    let between = match (low.integer(), next.integer()) {
        (Some(low), Some(next)) if (part - 0.5).abs() == 0.0 => number::ratio(low + next, 2),
        (Some(low), Some(next)) => low as f64 + (next - low) as f64 * part,
        // Of one sign: a difference of two large numbers of both signs is none.
        _ => least * (1.0 - part) + most * part,
    };
    Value::real(between.clamp(least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_values() {
        let of = |percent| percentile(percent, [40.0, 10.0, 20.0, 30.0].map(Value::Float).into());
        assert_eq!(of(0.0), Value::Float(10.0));
        assert_eq!(of(50.0), Value::Float(25.0));
        assert_eq!(of(100.0), Value::Float(40.0));
        assert_eq!(percentile(95.0, vec![Value::Float(7.0)]), Value::Float(7.0));
        assert_eq!(percentile(95.0, vec![]), Value::Null);
        assert_eq!(
            percentile(50.0, [f64::MAX, -f64::MAX].map(Value::Float).into()),
            Value::Float(0.0)
        );
    }

    #[test]
    fn percentiles_are_never_outside_the_values() {
        for count in 1..40 {
            for percent in 0..=100 {
                let of = |value: Value| percentile(percent.into(), vec![value; count]);
                assert_eq!(of(Value::UInt(104)), Value::Float(104.0));
                assert_eq!(of(Value::Float(0.1)), Value::Float(0.1));
            }
        }
        let middle = percentile(50.0, vec![Value::UInt(u64::MAX), Value::Int(-1)]);
        assert_eq!(middle, Value::Float(9_223_372_036_854_775_807.0));
    }
}
