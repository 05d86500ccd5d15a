//! Aggregates that count and add.
//!
//! Integers are added in 128 bits, which no number of rows fills; only the sum itself must fit the 64 bits of a value, and
//! a mean is rounded once.
//! Floats are added with what rounding lost of each (Neumaier), so that the order of rows does not show.

use super::{Accumulator, Aggregate, Typed, each};
use crate::bind::typing::{arith, of_type, shape};
use crate::bound::{Arith, Expr, Range};
use crate::diagnostic::Diagnostic;
use crate::eval::{Warnings, float, integer, number};
use crate::plan::group::Sum;
use crate::value::{Type, Unit, Value};

pub(super) static ROWS: &[Aggregate] = &[
    Aggregate::new("avg(x)", (1, 1), "The arithmetic mean, as a float.", mean_of_numbers, |_| {
        each(Mean::default())
    })
    .kernel(Sum::Total)
    .aliases(&["mean"]),
    Aggregate::new(
        "count(x)",
        (1, 1),
        "The number of rows where x is not NULL; `count(*)` counts all rows.",
        |_, _, _| {
            let range = Range { low: 0, high: i64::MAX.into() };
            Ok((Value::Null, Expr { range, unit: Unit::Count, ..of_type(Type::UInt) }))
        },
        |_| each(Count(0)),
    )
    .star()
    .kernel(Sum::Count),
    Aggregate::new(
        "stddev(x)",
        (1, 1),
        "The sample standard deviation, as a float; NULL for a single value.",
        mean_of_numbers,
        |_| each(Deviation::default()),
    )
    .aliases(&["stddev_samp"]),
    Aggregate::new(
        "variance(x)",
        (1, 1),
        "The sample variance, as a float; NULL for a single value.",
        |name, argument, _| {
            arith::number(argument, name)?;
            Ok((Value::Null, of_type(Type::Float)))
        },
        |_| each(Deviation { variance: true, ..Deviation::default() }),
    )
    .aliases(&["var_samp"]),
    Aggregate::new(
        "bit_and(x)",
        (1, 1),
        "The bits that are set in every value.",
        |name, argument, _| bits(name, argument, Arith::BitAnd),
        |_| each(Bits { of: |a, b| a & b, so_far: None }),
    ),
    Aggregate::new(
        "bit_or(x)",
        (1, 1),
        "The bits that are set in any value.",
        |name, argument, _| bits(name, argument, Arith::BitOr),
        |_| each(Bits { of: |a, b| a | b, so_far: None }),
    ),
    Aggregate::new(
        "sum(x)",
        (1, 1),
        "The sum; NULL if there is nothing to add, and NULL with a warning if it overflows 64 bits.",
        |name, argument, _| {
            arith::number(argument, name)?;
            Ok((Value::Null, total(argument)))
        },
        |_| each(Total::default()),
    )
    .kernel(Sum::Total),
];

pub(super) fn mean_of_numbers(
    name: &str,
    argument: &Expr,
    _: Option<&Expr>,
) -> Result<Typed, Diagnostic> {
    arith::number(argument, name)?;
    Ok((Value::Null, Expr { unit: argument.unit, ..of_type(Type::Float) }))
}

/// What a sum is: its integers have as many bits as there are.
fn total(argument: &Expr) -> Expr {
    let range = if argument.range.low < 0 { Range::ANY } else { Range::UINT };
    let (ty, range) = match argument.ty {
        Type::Float => (Type::Float, Range::of(0)),
        _ => (range.ty(), range),
    };
    Expr { ty, range, ..shape(argument) }
}

/// What the bits of integers come to: of a set of flags a set of flags.
fn bits(name: &str, argument: &Expr, op: Arith) -> Result<Typed, Diagnostic> {
    arith::integer(argument, name)?;
    let range = arith::exact(op, argument.range, argument.range);
    let ty = if argument.ty.is_integer() { range.ty() } else { argument.ty };
    Ok((Value::Null, Expr { ty, range, ..shape(argument) }))
}

#[derive(Clone)]
struct Count(u64);

/// What `of` makes of all values.
#[derive(Clone)]
struct Bits {
    of: fn(i128, i128) -> i128,
    so_far: Option<i128>,
}

/// A sum.
#[derive(Clone, Default)]
struct Total {
    count: u64,
    integers: i128,
    floats: f64,
    /// What rounding lost of `floats`.
    lost: f64,
}

/// A sum, and the least and greatest float: rounding must not lead a mean out of them.
#[derive(Clone, Default)]
struct Mean(Total, Option<(f64, f64)>);

/// The distance of values from their mean.
#[derive(Clone, Default)]
struct Deviation {
    /// Integers, which are summed exactly.
    integers: Vec<i128>,
    /// Floats, by Welford's method: their count, mean, and sum of squares.
    count: f64,
    mean: f64,
    squares: f64,
    /// Whether it is the square of the distance that is asked for.
    variance: bool,
}

impl Accumulator for Count {
    fn add(&mut self, _: &Value, _: &mut Warnings) {
        self.0 += 1;
    }

    fn add_times(&mut self, _: &Value, times: u64, _: &mut Warnings) {
        self.0 += times;
    }

    fn merge(&mut self, words: &[Value]) {
        if let [Value::UInt(more)] = words {
            self.0 += more;
        }
    }

    fn finish(self, _: Type, _: &mut Warnings) -> Value {
        Value::UInt(self.0)
    }
}

impl Accumulator for Bits {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        let Some(value) = value.integer() else { return };
        self.so_far = Some(self.so_far.map_or(value, |so_far| (self.of)(so_far, value)));
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, ty: Type, warnings: &mut Warnings) -> Value {
        let ty = if ty.is_flags() { Type::UInt } else { ty };
        self.so_far.map_or(Value::Null, |bits| integer(bits, ty, warnings))
    }
}

impl Accumulator for Total {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        self.count += 1;
        match value {
            Value::Float(value) => {
                let sum = self.floats + value;
                let (large, small) = if self.floats.abs() >= value.abs() {
                    (self.floats, *value)
                } else {
                    (*value, self.floats)
                };
                self.lost += (large - sum) + small;
                self.floats = sum;
            }
            value => self.integers += value.integer().unwrap_or_default(),
        }
    }

    fn add_times(&mut self, value: &Value, times: u64, warnings: &mut Warnings) {
        match value.integer() {
            Some(value) => {
                self.count += times;
                self.integers += value * i128::from(times);
            }
            None => (0..times).for_each(|_| self.add(value, warnings)),
        }
    }

    fn merge(&mut self, words: &[Value]) {
        if let [Value::UInt(lower), Value::Int(upper), Value::UInt(count)] = words {
            self.integers += i128::from(*upper) << 64 | i128::from(*lower);
            self.count += count;
        }
    }

    fn finish(self, ty: Type, warnings: &mut Warnings) -> Value {
        match ty {
            _ if self.count == 0 => Value::Null,
            Type::Float => float(self.floats(), warnings),
            ty => integer(self.integers, ty, warnings),
        }
    }
}

impl Total {
    fn floats(&self) -> f64 {
        // Where the sum left the doubles there is nothing to mend.
        if self.floats.is_finite() { self.floats + self.lost } else { self.floats }
    }
}

impl Accumulator for Mean {
    fn add(&mut self, value: &Value, warnings: &mut Warnings) {
        self.0.add(value, warnings);
        if let Value::Float(value) = *value {
            let (least, most) = self.1.unwrap_or((value, value));
            self.1 = Some((least.min(value), most.max(value)));
        }
    }

    fn add_times(&mut self, value: &Value, times: u64, warnings: &mut Warnings) {
        match value {
            Value::Float(_) => (0..times).for_each(|_| self.add(value, warnings)),
            value => self.0.add_times(value, times, warnings),
        }
    }

    fn merge(&mut self, words: &[Value]) {
        self.0.merge(words);
    }

    #[allow(clippy::cast_precision_loss)] // a mean is a double
    fn finish(self, _: Type, warnings: &mut Warnings) -> Value {
        let Self(total, range) = self;
        match range {
            _ if total.count == 0 => Value::Null,
            None => Value::real(number::ratio(total.integers, total.count)),
            Some((least, most)) => {
                let mean = total.floats() / total.count as f64;
                // A sum that is infinite has no mean.
                float(if mean.is_finite() { mean.clamp(least, most) } else { mean }, warnings)
            }
        }
    }
}

impl Accumulator for Deviation {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        if let Some(exact) = value.integer() {
            self.integers.push(exact);
        } else if let Some(value) = value.float() {
            self.count += 1.0;
            let before = value - self.mean;
            self.mean += before / self.count;
            self.squares += before * (value - self.mean);
        }
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, _: Type, warnings: &mut Warnings) -> Value {
        let (count, squares) = match self.integers.len() {
            0 => (self.count, self.squares),
            _ => squares(&self.integers),
        };
        if count < 2.0 {
            return Value::Null;
        }
        let variance = squares / (count - 1.0);
        float(if self.variance { variance } else { variance.sqrt() }, warnings)
    }
}

/// How many integers there are, and the sum of the squares of their distances from their mean. The distances from the
/// whole number nearest to the mean are exact.
#[allow(clippy::cast_precision_loss)] // the sum is a double
fn squares(integers: &[i128]) -> (f64, f64) {
    let count = integers.len() as f64;
    let sum: i128 = integers.iter().sum();
    let middle = sum / integers.len() as i128;
    let mut exact = Some(0_u128);
    let mut rounded = Total::default();
    for integer in integers {
        let distance = (integer - middle).unsigned_abs();
        exact = exact.zip(distance.checked_pow(2)).and_then(|(sum, more)| sum.checked_add(more));
        rounded.add(&Value::Float((distance as f64).powi(2)), &mut Warnings::default());
    }
    let squares = exact.map_or_else(|| rounded.floats(), |exact| exact as f64);
    let rest = (sum - middle * integers.len() as i128) as f64;
    (count, squares - rest * rest / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_lose_nothing_to_the_order_of_rows() {
        let mut warnings = Warnings::default();
        let mut total = Total::default();
        for value in [1e16, 1.0, -1e16] {
            total.add(&Value::Float(value), &mut warnings);
        }
        assert_eq!(total.finish(Type::Float, &mut warnings), Value::Float(1.0));
    }

    fn of<T: Accumulator + Default>(values: impl IntoIterator<Item = Value>) -> Value {
        let mut made = T::default();
        let mut warnings = Warnings::default();
        values.into_iter().for_each(|value| made.add(&value, &mut warnings));
        made.finish(Type::Float, &mut warnings)
    }

    #[test]
    fn means_lie_between_the_values() {
        assert_eq!(of::<Mean>([0.1; 3].map(Value::Float)), Value::Float(0.1));
        assert_eq!(of::<Mean>([u64::MAX; 3].map(Value::UInt)), Value::Float(2_f64.powi(64)));
        assert_eq!(of::<Mean>([i64::MIN, i64::MAX].map(Value::Int)), Value::Float(-0.5));
        assert_eq!(of::<Mean>([1e308; 2].map(Value::Float)), Value::Null);
    }

    #[test]
    fn deviations_do_not_depend_on_where_the_values_lie() {
        let near = of::<Deviation>([8, 64, 192, 4096].map(Value::UInt));
        for far in [1_000_000_000_000_000, 1 << 62] {
            assert_eq!(of::<Deviation>([8, 64, 192, 4096].map(|x| Value::UInt(x + far))), near);
        }
        assert_eq!(of::<Deviation>([u64::MAX; 3].map(Value::UInt)), Value::Float(0.0));
        let all = of::<Deviation>([Value::Int(i64::MIN), Value::UInt(u64::MAX)]);
        let range = 3.0 * 2_f64.powi(63);
        assert_eq!(all, Value::Float((range * range / 2.0).sqrt()));
        assert_eq!(of::<Deviation>([Value::UInt(7)]), Value::Null);
    }
}
