//! The functions of numbers that give a float, or need the bits of an integer.

use crate::value::Value;

/// The square root; NULL of what is below 0.
pub(crate) fn sqrt(value: &Value) -> Value {
    let root = value.float().map(f64::sqrt).filter(|root| root.is_finite());
    root.map_or(Value::Null, Value::real)
}

/// The power of two that is the greatest below or at an integer above 0.
pub(crate) fn ilog2(value: &Value) -> Value {
    let power = value.integer().filter(|exact| *exact > 0).map(i128::ilog2);
    power.map_or(Value::Null, |power| Value::UInt(power.into()))
}

/// How large a part of `whole` it is, times `scale`; NULL where the whole is 0.
pub(crate) fn part(part: &Value, whole: &Value, scale: f64) -> Value {
    let (Some(part), Some(whole)) = (part.float(), whole.float()) else { return Value::Null };
    let ratio = scale * part / whole;
    if whole != 0.0 && ratio.is_finite() { Value::real(ratio) } else { Value::Null }
}

/// The nearest number of `digits` decimals; of two the one further from 0. It is the exact value of the double that
/// is rounded, not the digits that it is written with.
pub(crate) fn round(value: f64, digits: u32) -> f64 {
    if digits == 0 {
        return value.round();
    }
    let places = digits as usize;
    let size = value.abs();
    // A double lies half way between two numbers of so many decimals if it has one binary digit more at most.
    let halves = (size * f64::from(2_u32.pow(digits + 1))).fract() == 0.0;
    let half = halves && format!("{size:.*}", places + 1).ends_with('5');
    let size = if half { size.next_up() } else { size };
    let rounded: f64 = format!("{size:.places$}").parse().unwrap_or(size);
    rounded.copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // the double that is meant
    fn rounding_is_of_the_exact_value() {
        assert_eq!(round(2.675, 2), 2.67);
        assert_eq!(round(0.125, 2), 0.13);
        assert_eq!(round(-0.125, 2), -0.13);
        assert_eq!(round(0.375, 2), 0.38);
        assert_eq!(round(1234.5, 0), 1235.0);
        assert_eq!(round(1.05, 1), 1.1);
        assert_eq!(round(0.1 + 0.2, 15), 0.3);
        assert_eq!(round(1e300, 2), 1e300);
    }

    #[test]
    fn logarithms_are_of_whole_powers() {
        assert_eq!(ilog2(&Value::UInt(1)), Value::UInt(0));
        assert_eq!(ilog2(&Value::UInt(4095)), Value::UInt(11));
        assert_eq!(ilog2(&Value::UInt(u64::MAX)), Value::UInt(63));
        assert_eq!(ilog2(&Value::UInt(0)), Value::Null);
        assert_eq!(ilog2(&Value::Int(-8)), Value::Null);
    }
}
