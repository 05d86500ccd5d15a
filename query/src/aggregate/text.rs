//! Aggregates whose result is written out: a list of buckets, a text.

use std::collections::BTreeMap;

use super::{Accumulator, Aggregate, each};
use crate::bind::typing::{arith, of_type, unfit};
use crate::bound::Expr;
use crate::diagnostic::Diagnostic;
use crate::eval::text::{MAX_TEXT, grown};
use crate::eval::{self, Warnings};
use crate::value::{Type, Unit, Value};

pub(super) static ROWS: &[Aggregate] = &[
    Aggregate::new(
        "group_concat(x, ', ')",
        (1, 2),
        "The values joined into one text in row order, separated by a comma or the given separator.",
        |name, argument, parameter| {
            if argument.ty == Type::List {
                return Err(unfit(argument, format!("`{name}` needs a text"))
                    .help("`length(…)` gives the length of a list"));
            }
            Ok((separator(parameter)?, of_type(Type::Text)))
        },
        |aggregate| {
            let ty = aggregate.argument.as_ref().map_or(Type::Text, |argument| argument.ty);
            each(Concat { text: None, between: aggregate.parameter.clone(), ty })
        },
    )
    .aliases(&["string_agg"]),
    Aggregate::new(
        "histogram(x)",
        (1, 1),
        "A histogram of the values by powers of two: a bar a bucket in formats for people, a list such as `[4K, 8K): 12` in formats for programs.",
        |name, argument, _| {
            arith::number(argument, name)?;
            Ok((Value::Null, Expr { unit: Unit::Buckets, ..of_type(Type::List) }))
        },
        |_| each(Histogram::default()),
    ),
];

/// What stands between the values of `group_concat`.
fn separator(parameter: Option<&Expr>) -> Result<Value, Diagnostic> {
    let Some(parameter) = parameter else { return Ok(Value::text(",")) };
    if let Some(text @ Value::Text(_)) = parameter.constant() {
        return Ok(text.clone());
    }
    let message = "`group_concat` needs a literal text as the separator";
    Err(Diagnostic::new(parameter.span, message).help("for example `group_concat(x, ', ')`"))
}

/// The text so far.
#[derive(Clone)]
struct Concat {
    text: Option<Vec<u8>>,
    /// The text between values.
    between: Value,
    /// The type of the values.
    ty: Type,
}

/// The bucket that is open.
const OPEN: i8 = 65;

/// How many values each bucket has.
#[derive(Clone, Default)]
struct Histogram {
    counts: BTreeMap<i8, u64>,
    /// Whether values have fractions, so that a bucket of one whole number holds more than that.
    fractions: bool,
}

impl Accumulator for Concat {
    fn add(&mut self, value: &Value, warnings: &mut Warnings) {
        let begun = self.text.is_some();
        let text = self.text.get_or_insert_default();
        // What is longer than a text may be is none in the end.
        if text.len() > MAX_TEXT {
            return;
        }
        if let (true, Value::Text(between)) = (begun, &self.between) {
            text.extend(&**between);
        }
        if let Value::Text(value) = value {
            text.extend(&**value);
        } else if let Value::Text(value) = eval::cast(value.clone(), Type::Text, self.ty, warnings)
        {
            text.extend(&*value);
        }
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, _: Type, warnings: &mut Warnings) -> Value {
        self.text.map_or(Value::Null, |text| grown(text, warnings))
    }
}

impl Accumulator for Histogram {
    fn add(&mut self, value: &Value, _: &mut Warnings) {
        *self.counts.entry(bucket(value)).or_default() += 1;
        self.fractions |= has_fraction(value);
    }

    fn merge(&mut self, _: &[Value]) {}

    fn finish(self, _: Type, _: &mut Warnings) -> Value {
        let Self { counts, fractions } = self;
        if counts.is_empty() {
            return Value::Null;
        }
        let buckets = counts.into_iter();
        let lines =
            buckets.map(|(bucket, count)| format!("{}: {count}", bounds(bucket, fractions)));
        Value::List(lines.map(|line| line.into_bytes().into()).collect())
    }
}

/// Every bucket from that of the least value to that of the greatest, as it is shown, and how many values it has.
pub(super) fn buckets<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<i8, u64> = BTreeMap::new();
    let mut fractions = false;
    values.for_each(|value| {
        *counts.entry(bucket(value)).or_default() += 1;
        fractions |= has_fraction(value);
    });
    with_empty(&counts, fractions)
}

/// The same of a histogram, whose list has no empty buckets.
pub(super) fn listed(list: &[Box<[u8]>]) -> Vec<(String, u64)> {
    let items: Vec<_> = list.iter().map(|item| String::from_utf8_lossy(item)).collect();
    let fractions = (0..2)
        .map(|bucket| bounds(bucket, true))
        .any(|bounds| items.iter().any(|item| item.starts_with(&bounds)));
    let count = |bucket: i8| {
        let bounds = bounds(bucket, fractions);
        let count = items.iter().find_map(|item| item.strip_prefix(&bounds)?.strip_prefix(": "));
        Some((bucket, count?.parse().ok()?))
    };
    with_empty(&(-1..=OPEN).filter_map(count).collect(), fractions)
}

/// The buckets that have values, and the empty ones between them.
fn with_empty(counts: &BTreeMap<i8, u64>, fractions: bool) -> Vec<(String, u64)> {
    let ends = counts.first_key_value().zip(counts.last_key_value());
    let Some((first, last)) = ends.map(|(first, last)| (*first.0, *last.0)) else {
        return Vec::new();
    };
    (first..=last)
        .map(|at| (bounds(at, fractions), counts.get(&at).copied().unwrap_or_default()))
        .collect()
}

/// The number of the bucket of a value: 0 of 0, `n` from 2^(n-1) on, and -1 below 0. From 2^64 on, where only floats are,
/// there is one.
#[allow(clippy::cast_possible_truncation)] // a fraction belongs to the whole number below it
fn bucket(value: &Value) -> i8 {
    let whole = match value {
        Value::Float(value) => value.floor() as i128,
        value => value.integer().unwrap_or_default(),
    };
    match u128::try_from(whole) {
        Err(_) => -1,
        Ok(whole) => i8::try_from(u128::BITS - whole.leading_zeros()).map_or(OPEN, |n| n.min(OPEN)),
    }
}

/// Whether a value lies between two whole numbers.
fn has_fraction(value: &Value) -> bool {
    matches!(value, Value::Float(value) if value.fract() != 0.0)
}

/// A bucket as it is shown: from where, and up to but not with what.
fn bounds(bucket: i8, fractions: bool) -> String {
    match bucket {
        ..0 => "(…, 0)".to_owned(),
        0 if fractions => "[0, 1)".to_owned(),
        1 if fractions => "[1, 2)".to_owned(),
        0 => "[0]".to_owned(),
        1 => "[1]".to_owned(),
        OPEN.. => format!("[{}, …)", power(64)),
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
        let of = |value: Value| bounds(bucket(&value), matches!(value, Value::Float(_)));
        assert_eq!(of(Value::Int(-5)), "(…, 0)");
        assert_eq!(of(Value::Float(-0.5)), "(…, 0)");
        assert_eq!(of(Value::UInt(0)), "[0]");
        assert_eq!(of(Value::Float(0.9)), "[0, 1)");
        assert_eq!(of(Value::Float(1.5)), "[1, 2)");
        assert_eq!(of(Value::UInt(1)), "[1]");
        assert_eq!(of(Value::UInt(2)), "[2, 4)");
        assert_eq!(of(Value::UInt(3)), "[2, 4)");
        assert_eq!(of(Value::UInt(1023)), "[512, 1K)");
        assert_eq!(of(Value::UInt(4096)), "[4K, 8K)");
        assert_eq!(of(Value::UInt(u64::MAX)), "[8E, 16E)");
        assert_eq!(of(Value::Float(1e20)), "[16E, …)");
        assert_eq!(of(Value::Float(f64::MAX)), "[16E, …)");
    }

    #[test]
    fn a_list_of_buckets_is_read_back() {
        let numbers = [-3, 0, 1, 5, 6, 40].map(Value::Int);
        let mut histogram = Histogram::default();
        let mut warnings = Warnings::default();
        for number in &numbers {
            histogram.add(number, &mut warnings);
        }
        let Value::List(list) = histogram.finish(Type::List, &mut warnings) else { panic!() };
        assert_eq!(list.len(), 5);
        assert_eq!(listed(&list), buckets(numbers.iter()));
        assert_eq!(listed(&list).len(), 8);
        assert_eq!(listed(&[(*b"anything").into()]), []);
    }

    #[test]
    fn a_text_that_grows_too_long_is_null() {
        let mut warnings = Warnings::default();
        let between = Value::text(",");
        let mut concat = Concat { text: None, between, ty: Type::Text };
        let half = Value::text(vec![b'x'; MAX_TEXT / 2]);
        concat.add(&half, &mut warnings);
        concat.add(&half, &mut warnings);
        assert_eq!(concat.finish(Type::Text, &mut warnings), Value::Null);
        assert_eq!(warnings.long, 1);
    }
}
