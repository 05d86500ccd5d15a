//! The functions of numbers that give a float, or need the bits of an integer.

use crate::value::Value;

/// The square root; NULL for negative numbers.
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

/// The double nearest to the number of `digits` decimals that is nearest to `value`, of two the one further from 0. It is
/// the exact value of the double that is rounded, not the digits that it is written with.
pub(crate) fn round(value: f64, digits: u32) -> f64 {
    let places = digits as usize;
    let size = value.abs();
    let nearest = format!("{size:.places$}");
    // A double lies half way between two numbers of so many decimals only if it has at most one binary digit more; then
    // it has at most one decimal more, so that these are all of its digits.
    let halves = (size * f64::from(2_u32.pow(digits + 1))).fract() == 0.0;
    let exact = format!("{size:.*}", places + 1);
    let upper = exact.strip_suffix('5').filter(|_| halves).and_then(|below| {
        let digits: u128 = below.replace('.', "").parse().ok()?;
        let digits = format!("{:0>1$}", digits + 1, places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        Some(format!("{whole}.{part}"))
    });
    let rounded: f64 = upper.unwrap_or(nearest).parse().unwrap_or(size);
    rounded.copysign(value)
}

/// Where so many of `steps` lie as `part` is of `whole`: behind a whole number of them, and of the next one so many parts of
/// so many, fewer than 2^60. `part` is the decimal number that it is written as, to 16 decimals: 0.9 is nine tenths.
#[allow(clippy::cast_possible_truncation)] // it is no more than `steps`
pub(crate) fn place(part: f64, whole: u32, steps: usize) -> (usize, u64, u64) {
    let text = part.to_string();
    let (units, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = decimals.get(..16).unwrap_or(decimals);
    let parts = u64::from(whole) * 10_u64.pow(decimals.len() as u32);
    let part: u128 = format!("{units}{decimals}").parse().unwrap_or(0);
    let place = part * steps as u128;
    ((place / u128::from(parts)) as usize, (place % u128::from(parts)) as u64, parts)
}

/// The double nearest to `numerator / denominator`; the denominator is not 0.
#[allow(clippy::cast_precision_loss)] // it is rounded once
pub(crate) fn ratio(numerator: i128, denominator: u64) -> f64 {
    let (size, denominator) = (numerator.unsigned_abs(), u128::from(denominator));
    // A quotient of 64 bits or more, whose last bit stands for all that are cut off.
    let shift = size.leading_zeros();
    let shifted = size.checked_shl(shift).unwrap_or(0);
    let quotient = (shifted / denominator) | u128::from(shifted % denominator != 0);
    let ratio = quotient as f64 * 0.5_f64.powi(shift.cast_signed());
    if numerator < 0 { -ratio } else { ratio }
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
        assert_eq!(round(30_210_303_042_648.1, 6), 30_210_303_042_648.1);
        assert_eq!(round(8_589_934_592.0 + 1.0 / 128.0, 6), 8_589_934_592.007_812);
        assert_eq!(round(9.5, 0), 10.0);
        assert_eq!(round(0.096_875, 5), 0.09688);
    }

    #[test]
    #[allow(clippy::float_cmp)]
    fn ratios_are_rounded_once() {
        assert_eq!(ratio(0, 3), 0.0);
        assert_eq!(ratio(1, 3), 1.0 / 3.0);
        assert_eq!(ratio(-7, 2), -3.5);
        assert_eq!(ratio(i128::MAX, u64::MAX), 9_223_372_036_854_775_808.0);
        // 2^53 + 1 lies half way between two doubles, and a third more is above it.
        assert_eq!(ratio(3 * ((1 << 53) + 1) + 1, 3), 9_007_199_254_740_994.0);
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
