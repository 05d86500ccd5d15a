//! Makes one value of many: what each aggregate does.
//!
//! Integers are added in 128 bits, which no number of rows fills; only the sum itself must fit the 64 bits of a value.
//! Floats are added with what rounding lost of each (Neumaier), so that the order of rows does not show.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::eval::text::{MAX_TEXT, grown};
use crate::eval::{self, Warnings, float, integer};
use crate::typed::{Aggregate, Fold};
use crate::value::{Type, Value};

/// An aggregate of the rows so far.
pub(super) enum Accumulator {
    Count(u64),
    Sum(Total),
    Avg(Total),
    /// The value that is before all others in this order.
    Extreme(Ordering, Value),
    /// All values, and how many percent of them the result is not below.
    Percentile(f64, Vec<f64>),
    Stddev(Deviation),
    Histogram(BTreeMap<i8, u64>),
    /// The text so far, and what stands between values.
    Concat(Option<Vec<u8>>, Box<[u8]>, Type),
}

/// A sum.
#[derive(Default)]
pub(super) struct Total {
    count: u64,
    integers: i128,
    floats: f64,
    /// What rounding lost of `floats`.
    lost: f64,
}

/// The distance of values from their mean, by Welford's method.
#[derive(Default)]
pub(super) struct Deviation {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Accumulator {
    pub(super) fn new(aggregate: &Aggregate) -> Self {
        match &aggregate.fold {
            Fold::Count => Self::Count(0),
            Fold::Sum => Self::Sum(Total::default()),
            Fold::Avg => Self::Avg(Total::default()),
            Fold::Min => Self::Extreme(Ordering::Less, Value::Null),
            Fold::Max => Self::Extreme(Ordering::Greater, Value::Null),
            Fold::Percentile(percent) => Self::Percentile(*percent, Vec::new()),
            Fold::Stddev => Self::Stddev(Deviation::default()),
            Fold::Histogram => Self::Histogram(BTreeMap::new()),
            Fold::Concat(between) => {
                let ty = aggregate.argument.as_ref().map_or(Type::Text, |argument| argument.ty);
                Self::Concat(None, between.clone(), ty)
            }
        }
    }

    /// Adds a value, which is not NULL.
    pub(super) fn add(&mut self, value: &Value, warnings: &mut Warnings) {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(total) | Self::Avg(total) => total.add(value),
            Self::Extreme(wanted, best) => {
                if value.compare(best).is_none_or(|order| order == *wanted) {
                    *best = value.clone();
                }
            }
            Self::Percentile(_, values) => values.extend(value.float()),
            Self::Stddev(deviation) => deviation.add(value.float().unwrap_or_default()),
            Self::Histogram(counts) => *counts.entry(bucket(value)).or_default() += 1,
            Self::Concat(text, between, ty) => {
                let begun = text.is_some();
                let text = text.get_or_insert_default();
                // What is longer than a text may be is none in the end.
                if text.len() > MAX_TEXT {
                    return;
                }
                if begun {
                    text.extend(&**between);
                }
                if let Value::Text(value) = value {
                    text.extend(&**value);
                } else if let Value::Text(value) =
                    eval::cast(value.clone(), Type::Text, *ty, warnings)
                {
                    text.extend(&*value);
                }
            }
        }
    }

    /// Adds the words that values came to in the kernel; see [`crate::plan::group::Sum`].
    pub(super) fn merge(&mut self, words: &[Value]) {
        match (self, words) {
            (Self::Count(count), [Value::UInt(more)]) => *count += more,
            (
                Self::Sum(total) | Self::Avg(total),
                [Value::UInt(lower), Value::Int(upper), Value::UInt(count)],
            ) => {
                total.integers += i128::from(*upper) << 64 | i128::from(*lower);
                total.count += count;
            }
            (extreme @ Self::Extreme(..), [value, Value::UInt(1..)]) => {
                extreme.add(value, &mut Warnings::default());
            }
            // Of no value there is no least.
            _ => {}
        }
    }

    /// The result, of type `ty`.
    pub(super) fn finish(self, ty: Type, warnings: &mut Warnings) -> Value {
        match self {
            Self::Count(count) => Value::UInt(count),
            Self::Sum(total) => total.sum(ty, warnings),
            Self::Avg(total) => total.mean(warnings),
            Self::Extreme(_, best) => best,
            Self::Percentile(percent, values) => percentile(percent, values),
            Self::Stddev(deviation) => deviation.of_sample(warnings),
            Self::Histogram(counts) if counts.is_empty() => Value::Null,
            Self::Histogram(counts) => Value::List(
                counts
                    .into_iter()
                    .map(|(bucket, count)| format!("{}: {count}", bounds(bucket)).into_bytes())
                    .map(Vec::into_boxed_slice)
                    .collect(),
            ),
            Self::Concat(text, ..) => text.map_or(Value::Null, |text| grown(text, warnings)),
        }
    }
}

impl Total {
    fn add(&mut self, value: &Value) {
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

    fn sum(&self, ty: Type, warnings: &mut Warnings) -> Value {
        match ty {
            _ if self.count == 0 => Value::Null,
            Type::Float => float(self.floats(), warnings),
            ty => integer(self.integers, ty, warnings),
        }
    }

    #[allow(clippy::cast_precision_loss)] // a mean is a double
    fn mean(&self, warnings: &mut Warnings) -> Value {
        if self.count == 0 {
            return Value::Null;
        }
        float((self.integers as f64 + self.floats()) / self.count as f64, warnings)
    }

    fn floats(&self) -> f64 {
        // Where the sum left the doubles there is nothing to mend.
        if self.floats.is_finite() { self.floats + self.lost } else { self.floats }
    }
}

impl Deviation {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn of_sample(&self, warnings: &mut Warnings) -> Value {
        if self.count < 2.0 {
            return Value::Null;
        }
        float((self.squares / (self.count - 1.0)).sqrt(), warnings)
    }
}

/// The value that so many percent of `values` are not above; between two values in proportion.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percentile(percent: f64, mut values: Vec<f64>) -> Value {
    let Some(last) = values.len().checked_sub(1) else { return Value::Null };
    let place = percent / 100.0 * last as f64;
    let (below, part) = ((place.floor() as usize).min(last), place.fract());
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let next = above.iter().copied().reduce(f64::min);
    Value::Float(match next {
        // Of one sign: a difference of two large numbers of both signs is none.
        Some(next) if part > 0.0 => low * (1.0 - part) + next * part,
        _ => low,
    })
}

/// The number of the bucket of a value: 0 of 0, `n` from 2^(n-1) on, and -1 below 0.
#[allow(clippy::cast_possible_truncation)] // a fraction belongs to the whole number below it
fn bucket(value: &Value) -> i8 {
    let whole = match value {
        Value::Float(value) => value.floor() as i128,
        value => value.integer().unwrap_or_default(),
    };
    match u128::try_from(whole) {
        Err(_) => -1,
        Ok(whole) => i8::try_from(u128::BITS - whole.leading_zeros()).unwrap_or(i8::MAX),
    }
}

/// A bucket as it is shown: from where, and up to but not with what.
fn bounds(bucket: i8) -> String {
    match bucket {
        ..0 => "(…, 0)".to_owned(),
        0 => "[0]".to_owned(),
        1 => "[1]".to_owned(),
        bucket => {
            let bucket = u32::from(bucket.unsigned_abs());
            format!("[{}, {})", power(bucket - 1), power(bucket))
        }
    }
}

/// A power of two as the kernel's folk write it: `512`, `4K`, `16E`.
fn power(bits: u32) -> String {
    let suffixes = ["", "K", "M", "G", "T", "P", "E"];
    let thousands = (bits / 10).min(6);
    format!("{}{}", 1_u128 << (bits - 10 * thousands), suffixes[thousands as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_lie_between_powers_of_two() {
        let of = |value: Value| bounds(bucket(&value));
        assert_eq!(of(Value::Int(-5)), "(…, 0)");
        assert_eq!(of(Value::Float(-0.5)), "(…, 0)");
        assert_eq!(of(Value::UInt(0)), "[0]");
        assert_eq!(of(Value::Float(0.9)), "[0]");
        assert_eq!(of(Value::UInt(1)), "[1]");
        assert_eq!(of(Value::UInt(2)), "[2, 4)");
        assert_eq!(of(Value::UInt(3)), "[2, 4)");
        assert_eq!(of(Value::UInt(1023)), "[512, 1K)");
        assert_eq!(of(Value::UInt(4096)), "[4K, 8K)");
        assert_eq!(of(Value::UInt(u64::MAX)), "[8E, 16E)");
        // All floats that no integer holds share one.
        assert_eq!(bucket(&Value::Float(1e40)), bucket(&Value::Float(f64::MAX)));
    }

    #[test]
    fn percentiles_lie_between_values() {
        let of = |percent| percentile(percent, vec![40.0, 10.0, 20.0, 30.0]);
        assert_eq!(of(0.0), Value::Float(10.0));
        assert_eq!(of(50.0), Value::Float(25.0));
        assert_eq!(of(100.0), Value::Float(40.0));
        assert_eq!(percentile(95.0, vec![7.0]), Value::Float(7.0));
        assert_eq!(percentile(95.0, vec![]), Value::Null);
        assert_eq!(percentile(50.0, vec![f64::MAX, -f64::MAX]), Value::Float(0.0));
    }

    #[test]
    fn a_text_that_grows_too_long_is_null() {
        let mut warnings = Warnings::default();
        let mut concat = Accumulator::Concat(None, (*b",").into(), Type::Text);
        let half = Value::text(vec![b'x'; MAX_TEXT / 2]);
        concat.add(&half, &mut warnings);
        concat.add(&half, &mut warnings);
        assert_eq!(concat.finish(Type::Text, &mut warnings), Value::Null);
        assert_eq!(warnings.long, 1);
    }

    #[test]
    fn sums_lose_nothing_to_the_order_of_rows() {
        let mut total = Total::default();
        for value in [1e16, 1.0, -1e16] {
            total.add(&Value::Float(value));
        }
        assert_eq!(total.sum(Type::Float, &mut Warnings::default()), Value::Float(1.0));
    }
}
