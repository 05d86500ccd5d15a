//! `cast`: a value as another type.

use super::{Term, Warnings, integer};
use crate::value::{Type, Value, even};

/// A value as another type; NULL where it is none.
#[allow(clippy::cast_possible_truncation)] // a float is cut to a whole number on purpose, and checked after
pub(crate) fn cast(value: Value, ty: Type, from: Type, warnings: &mut Warnings) -> Value {
    match (ty, value) {
        (_, Value::Null) => Value::Null,
        (Type::Text, Value::Text(text)) => Value::Text(text),
        (Type::Text, value) => Value::text(match value {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::UInt(value) if from.is_flags() => format!("{value:#x}"),
            Value::UInt(value) => value.to_string(),
            Value::Float(value) => even(value.to_string(), value),
            Value::List(list) => return Value::text(list.join(&b", "[..])),
            _ => return Value::Null,
        }),
        (Type::Bool, Value::Bool(value)) => Value::Bool(value),
        (Type::Bool, Value::Text(text)) => {
            match text.trim_ascii().to_ascii_lowercase().as_slice() {
                b"true" | b"t" | b"yes" | b"y" | b"on" | b"1" => Value::Bool(true),
                b"false" | b"f" | b"no" | b"n" | b"off" | b"0" => Value::Bool(false),
                _ => Value::Null,
            }
        }
        (Type::Bool, value) => value.float().map_or(Value::Null, |value| Value::Bool(value != 0.0)),
        (ty, Value::Bool(value)) => {
            Term::Value(Value::UInt(value.into())).of_type(ty).held(warnings)
        }
        (ty, Value::Text(text)) => std::str::from_utf8(&text).map_or(Value::Null, |text| {
            let text = text.trim();
            match ty {
                Type::Float => text
                    .parse()
                    .ok()
                    .filter(|value: &f64| value.is_finite())
                    .map_or(Value::Null, Value::real),
                _ => whole(text).map_or(Value::Null, |exact| integer(exact, ty, warnings)),
            }
        }),
        (Type::Float, value) => value.float().map_or(Value::Null, Value::real),
        (ty, Value::Float(value)) => integer(value.trunc() as i128, ty, warnings),
        (ty, value) => value.integer().map_or(Value::Null, |exact| integer(exact, ty, warnings)),
    }
}

/// An integer that 64 bits do not hold as another type.
pub(super) fn cast_wide(wide: &Term, ty: Type, warnings: &mut Warnings) -> Value {
    match (ty, wide.integer()) {
        (Type::Float, _) => wide.float().map_or(Value::Null, Value::real),
        (Type::Text, Some(exact)) => Value::text(exact.to_string()),
        (Type::Bool, Some(_)) => Value::Bool(true),
        _ => warnings.null(),
    }
}

/// The integer that a text is, in decimal or behind `0x` in hexadecimal digits. Decimals are cut off, as those of a float.
fn whole(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    // A sign behind a sign, which would be read as one of its own.
    let digits = digits.strip_prefix(|c: char| c.is_ascii_alphanumeric()).map(|_| digits)?;
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let found = match hex {
        Some(hex) if hex.starts_with(['+', '-']) => return None,
        Some(hex) => i128::from_str_radix(hex, 16),
        None => match digits.split_once('.') {
            Some((_, decimals)) if !decimals.bytes().all(|digit| digit.is_ascii_digit()) => {
                return None;
            }
            Some((whole, _)) => whole.parse(),
            None => digits.parse(),
        },
    };
    found.ok().map(|found: i128| sign * found)
}
