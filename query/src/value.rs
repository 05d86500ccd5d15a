//! Values of a row, their types and their units.

use std::cmp::Ordering;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Unknown, or not there.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer that may be negative.
    Int(i64),
    /// An integer that cannot be negative.
    UInt(u64),
    /// A floating-point number; never a NaN.
    Float(f64),
    /// Bytes that are a name or other text; the kernel does not promise UTF-8.
    Text(Box<[u8]>),
    /// Several texts, which its copies share: a watch hands the ticks of a sparkline on with each row.
    List(Arc<[Box<[u8]>]>),
}

/// The type of a column or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// True or false.
    Bool,
    /// An integer that may be negative: [`Value::Int`], or [`Value::UInt`] from 2^63 on.
    Int,
    /// An integer that cannot be negative: [`Value::UInt`].
    UInt,
    /// A double.
    Float,
    /// Text.
    Text,
    /// A list of texts.
    List,
    /// A set of slab flags: an unsigned integer whose bits have names.
    SlabFlags,
    /// A set of page-allocator flags.
    GfpFlags,
    /// A NULL that nothing gave a type.
    Null,
}

impl Type {
    /// The types that have names of their own, in their order; both kinds of flags have one.
    pub const NAMED: [Self; Self::Null as usize] = [
        Self::Bool,
        Self::Int,
        Self::UInt,
        Self::Float,
        Self::Text,
        Self::List,
        Self::SlabFlags,
        Self::Null,
    ];

    /// Its name in messages and in `.schema`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::UInt => "uint",
            Self::Float => "float",
            Self::Text => "text",
            Self::List => "list",
            Self::SlabFlags | Self::GfpFlags => "flags",
            Self::Null => "null",
        }
    }

    /// Whether it is an integer to arithmetic and to the kernel.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int | Self::UInt)
    }

    /// Whether it is a flag set.
    #[must_use]
    pub fn is_flags(self) -> bool {
        matches!(self, Self::SlabFlags | Self::GfpFlags)
    }

    /// Whether arithmetic takes it.
    #[must_use]
    pub fn is_number(self) -> bool {
        self.is_integer() || self == Self::Float
    }
}

/// What a number counts. Only rendering depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Unit {
    /// Nothing in particular.
    #[default]
    None,
    /// Things: objects, slabs, references.
    Count,
    /// Bytes, shown with a binary prefix: `4.0 KiB`.
    Bytes,
    /// Hundredths of a whole.
    Percent,
    /// A part of a whole, shown as a bar.
    Bar,
    /// What there was in the last ticks of a watch, shown as small bars.
    Spark,
    /// A histogram, shown as a bar a bucket.
    Buckets,
    /// An address or a set of bits, shown in hexadecimal.
    Hex,
    /// Of a text: the functions of a stack, the outermost first, with `;` between them.
    Stack,
}

impl Unit {
    /// All units, of which the last one says how many there are: one that is missing here does not compile.
    pub const ALL: [Self; Self::Stack as usize + 1] = [
        Self::None,
        Self::Count,
        Self::Bytes,
        Self::Percent,
        Self::Bar,
        Self::Spark,
        Self::Buckets,
        Self::Hex,
        Self::Stack,
    ];

    /// Its name in `.schema`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Percent => "%",
            Self::Bar => "bar",
            Self::Spark => "ticks",
            Self::Buckets => "buckets",
            Self::Hex => "hex",
            Self::Stack => "stack",
        }
    }
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// A finite float; −0 is 0.
    #[must_use]
    pub fn real(value: f64) -> Self {
        Self::Float(value + 0.0)
    }

    /// The bytes of its text; 0 of another value.
    pub(crate) fn bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }

    /// Its integer, if it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some((*value).into()),
            Self::UInt(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// Its integer, if it is one that is not negative.
    #[must_use]
    pub fn unsigned(&self) -> Option<u64> {
        self.integer().and_then(|value| u64::try_from(value).ok())
    }

    /// Its number as a double, rounded to the nearest.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a double is what was asked for
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::UInt(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The order of two values that are not NULL: numbers by size, whatever their types, false before true, texts
    /// by bytes. None where one is NULL or the two do not compare.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::List(a), Self::List(b)) => Some(a.cmp(b)),
            _ => match (self.integer(), other.integer()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => compare_with_float(self, other),
            },
        }
    }
}

/// The digits of a float, the same in all formats: the fewest that mean this double and no other, with an exponent where
/// they are far apart.
#[must_use]
pub fn digits(value: f64) -> String {
    even(format!("{value:?}"), value)
}

/// The digits of a float where two texts of as many are as near to it: the one whose last digit is even, as JSON and other
/// languages have it. `shortest` is Rust's, which takes the larger one.
pub(crate) fn even(shortest: String, value: f64) -> String {
    // It lies half way only if it ends with the digit behind them: 5^25 and above have more than 18.
    if (value * f64::from(1 << 25)).fract() != 0.0 {
        return shortest;
    }
    let (mantissa, exponent) =
        shortest.find('e').map_or((&*shortest, ""), |e| shortest.split_at(e));
    let last = mantissa
        .char_indices()
        .last()
        .filter(|(_, digit)| matches!(digit, '1' | '3' | '5' | '7' | '9'));
    let Some((at, digit)) = last else { return shortest };
    let significant = mantissa.trim_start_matches(['-', '0', '.']).replace('.', "").len();
    let nearest = format!("{value:.*e}", significant - 1);
    let below = digit.to_digit(10).unwrap_or(1) - 1;
    let even = format!("{}{below}{exponent}", &mantissa[..at]);
    let is_nearest =
        nearest.split('e').next().is_some_and(|nearest| nearest.ends_with(&below.to_string()));
    if is_nearest && even.parse() == Ok(value) { even } else { shortest }
}

/// Compares two numbers of which one is a double, exactly: an integer above 2^53 is not rounded first.
fn compare_with_float(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Float(a), _) => Some(compare_float_integer(*a, right.integer()?)),
        (_, Value::Float(b)) => Some(compare_float_integer(*b, left.integer()?).reverse()),
        _ => None,
    }
}

#[allow(clippy::cast_possible_truncation)] // saturates, which keeps the order
pub(crate) fn compare_float_integer(float: f64, integer: i128) -> Ordering {
    let whole = float.floor() as i128;
    whole.cmp(&integer).then(if float.fract() == 0.0 { Ordering::Equal } else { Ordering::Greater })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_other_languages() {
        for (value, text) in [
            (8_589_934_592.0 + 1.0 / 128.0, "8589934592.007812"),
            (-8_589_934_592.0 - 1.0 / 128.0, "-8589934592.007812"),
            (8_589_934_592.0 + 3.0 / 128.0, "8589934592.023438"),
            (2.0_f64.powi(-25), "2.9802322387695312e-8"),
            (5e-324, "5e-324"),
            (1e23, "1e23"),
            (9_007_199_254_740_992.0, "9007199254740992.0"),
            (30_210_303_042_648.1, "30210303042648.1"),
            (0.5, "0.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e300, "1e300"),
            (0.0, "0.0"),
            (-7.0, "-7.0"),
            (f64::MAX, "1.7976931348623157e308"),
        ] {
            assert_eq!(digits(value), text);
            assert_eq!(text.parse(), Ok(value), "{text}");
        }
    }

    #[test]
    fn numbers_compare_by_size() {
        assert_eq!(Value::Int(-1).compare(&Value::UInt(u64::MAX)), Some(Ordering::Less));
        let big = (1_u64 << 53) + 1;
        #[allow(clippy::cast_precision_loss)]
        let rounded = (1_u64 << 53) as f64;
        assert_eq!(Value::UInt(big).compare(&Value::Float(rounded)), Some(Ordering::Greater));
        assert_eq!(Value::Float(1.5).compare(&Value::Int(1)), Some(Ordering::Greater));
        assert_eq!(Value::Float(-1.5).compare(&Value::Int(-1)), Some(Ordering::Less));
        assert_eq!(Value::Null.compare(&Value::Int(1)), None);
    }
}
