//! Reads one word that starts with a digit: integers, floats, sizes and durations.
//!
//! The lexer finds where the word ends; here it is decided what the whole word is, so that `12abc` is one wrong
//! word and not a number with a name behind it.
//!
//! # Units
//!
//! A size counts bytes, in powers of 1024. A size must be a whole number of bytes, and is computed exactly, without
//! a float in between.

use std::time::Duration;

use super::token::TokenKind;
use crate::diagnostic::{Diagnostic, Span};
use crate::escape::short;

/// The suffixes of sizes, with the power of two that each stands for.
const SIZES: [(&str, u32); 9] = [
    ("k", 10),
    ("K", 10),
    ("KiB", 10),
    ("M", 20),
    ("MiB", 20),
    ("G", 30),
    ("GiB", 30),
    ("T", 40),
    ("TiB", 40),
];

/// The suffixes of durations, in milliseconds.
const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// What is said of a number that no type holds.
pub(super) const TOO_LARGE: &str = "is too large";

/// The token that `word` is. It starts with a digit, or with a dot and a digit.
pub(super) fn number(word: &str, span: Span) -> Result<TokenKind, Diagnostic> {
    for (prefix, radix, name) in [("0x", 16, "hexadecimal"), ("0b", 2, "binary")] {
        let Some(head) = word.get(..2) else { continue };
        if head.eq_ignore_ascii_case(prefix) {
            let digits = word[2..].replace('_', "");
            let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            if !fits {
                return Err(Diagnostic::new(span, format!("`{}` is not a number", short(word)))
                    .label(format!("not {name}")));
            }
            return u64::from_str_radix(&digits, radix)
                .map(TokenKind::Int)
                .map_err(|_| too_large(word, span));
        }
    }
    let (mantissa, suffix) = split(word);
    if suffix.is_empty() && !mantissa.contains('.') {
        mantissa.replace('_', "").parse().map(TokenKind::Int).map_err(|_| too_large(word, span))
    } else if let Some((_, power)) = SIZES.iter().find(|(text, _)| *text == suffix) {
        size(mantissa, *power, word, span).map(TokenKind::Size)
    } else if let Some((_, ms)) = DURATIONS.iter().find(|(text, _)| *text == suffix) {
        duration(mantissa, *ms, word, span).map(TokenKind::Duration)
    } else {
        float(word, span)
    }
}

/// The digits that `word` starts with, a fraction included, and what follows them.
fn split(word: &str) -> (&str, &str) {
    let digits = |from: usize| {
        let more = word[from..].find(|c: char| !c.is_ascii_digit() && c != '_');
        more.map_or(word.len(), |length| from + length)
    };
    let mut end = digits(0);
    if word[end..].starts_with('.') {
        end = digits(end + 1);
    }
    word.split_at(end)
}

/// The bytes of `mantissa` times two to the `power`.
fn size(mantissa: &str, power: u32, word: &str, span: Span) -> Result<u64, Diagnostic> {
    let digits = mantissa.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let whole = if whole.is_empty() { "0" } else { whole };
    let whole: u64 = whole.parse().map_err(|_| too_large(word, span))?;
    let uneven = || {
        Diagnostic::new(span, format!("`{}` is not a whole number of bytes", short(word)))
            .help("sizes use powers of 1024: `1.5k` is 1536 bytes")
    };

    // With its trailing zeros gone a fraction of f digits is numerator / (2^f × 5^f), and not both 2 and 5 divide
    // the numerator. It is whole only if 5^f divides it, and then 2^f has to come from the unit.
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    let part = if places == 0 {
        0
    } else if places > power || places > 38 {
        return Err(uneven());
    } else {
        let numerator: u128 = fraction.parse().map_err(|_| uneven())?;
        let fives = 5_u128.pow(places);
        if !numerator.is_multiple_of(fives) {
            return Err(uneven());
        }
        (numerator / fives) << (power - places)
    };
    u64::try_from((u128::from(whole) << power) + part).map_err(|_| too_large(word, span))
}

/// A size as it may be written: by the greatest unit that it is a whole number of, else by the least.
pub(super) fn size_text(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(power, _)| bytes != 0 && bytes.trailing_zeros() >= *power);
    if let Some((power, unit)) = whole {
        return format!("{}{unit}", bytes >> power);
    }
    // A 1024th has ten decimal places.
    let fraction = format!("{:010}", (bytes % 1024) * (10_u64.pow(10) / 1024));
    match fraction.trim_end_matches('0') {
        "" => format!("{}KiB", bytes / 1024),
        fraction => format!("{}.{fraction}KiB", bytes / 1024),
    }
}

/// The address that `word` is, or what is wrong with it.
pub(super) fn address(word: &str, span: Span) -> Result<u64, Diagnostic> {
    let plain = word.replace('_', "");
    let digits = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")).unwrap_or(&plain);
    if digits.is_empty() || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(Diagnostic::new(span, format!("`{}` is not an address", short(word)))
            .help("write an address in hexadecimal digits: `ffff888100bea600`"));
    }
    let digits = digits.trim_start_matches('0');
    if digits.len() > 16 {
        return Err(Diagnostic::new(span, format!("`{}` {TOO_LARGE}", short(word)))
            .label("an address has 64 bits: 16 hexadecimal digits"));
    }
    Ok(digits
        .bytes()
        .fold(0, |value, digit| value << 4 | char::from(digit).to_digit(16).map_or(0, u64::from)))
}

/// The time of `mantissa` times `ms`.
fn duration(mantissa: &str, ms: u64, word: &str, span: Span) -> Result<Duration, Diagnostic> {
    let count: u64 = mantissa.replace('_', "").parse().map_err(|_| {
        Diagnostic::new(span, format!("`{}` is not a whole number of its unit", short(word)))
            .help("write a duration as `1500ms`, `2s`, `5m` or `1h`")
    })?;
    count.checked_mul(ms).map(Duration::from_millis).ok_or_else(|| too_large(word, span))
}

/// The float that `word` is, or what is wrong with it.
fn float(word: &str, span: Span) -> Result<TokenKind, Diagnostic> {
    let text = word.replace('_', "");
    // Letters other than the exponent's are left out here: Rust would read `inf` and `nan`.
    let plain = text.chars().all(|c| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
    match text.parse::<f64>() {
        Ok(value) if plain && value.is_finite() => Ok(TokenKind::Float(value)),
        Ok(_) if plain => Err(Diagnostic::new(span, format!("`{}` {TOO_LARGE}", short(word)))
            .label("the largest float is about 1.8e308")),
        _ => Err(no_number(word, span)),
    }
}

/// How other programs write units of time.
const TIMES: [&str; 12] =
    ["ns", "us", "µs", "sec", "secs", "min", "mins", "hr", "hours", "d", "day", "days"];

/// The error for a word that is no number at all.
fn no_number(word: &str, span: Span) -> Diagnostic {
    let (mantissa, suffix) = split(word);
    if TIMES.contains(&suffix.to_ascii_lowercase().as_str()) {
        return Diagnostic::new(span, format!("`{}` is not a duration", short(word)))
            .help("durations are written `500ms`, `2s`, `5m` or `1h`");
    }
    if let [letter, b'B' | b'b'] = suffix.as_bytes()
        && let Some((text, power)) = SIZES
            .iter()
            .find(|(text, _)| text.len() == 1 && text.as_bytes()[0].eq_ignore_ascii_case(letter))
    {
        let binary = format!("{}{}iB", short(mantissa), text.to_uppercase());
        let count = mantissa.replace('_', "").parse::<u64>().ok();
        let bytes = |unit: u64| count.and_then(|count| count.checked_mul(unit));
        let help = match (bytes(1 << power), bytes(10_u64.pow(power / 10 * 3))) {
            (Some(two), Some(ten)) => {
                format!("write `{binary}` for {two} bytes, or `{ten}` for {ten} bytes")
            }
            _ => format!("write `{binary}`, which uses powers of 1024"),
        };
        return Diagnostic::new(span, format!("`{}` is ambiguous", short(word)))
            .label("could mean powers of 1000 or of 1024")
            .help(help);
    }
    let error = Diagnostic::new(span, format!("`{}` is not a number", short(word)));
    if let Some((text, _)) = SIZES.iter().find(|(text, _)| text.eq_ignore_ascii_case(suffix)) {
        return error.help(crate::suggest::question(format_args!("{}{text}", short(mantissa))));
    }
    error.help("sizes end in `k`, `M`, `G` or `T`; a name does not start with a digit")
}

/// The error for a number that does not fit 64 bits.
fn too_large(word: &str, span: Span) -> Diagnostic {
    Diagnostic::new(span, format!("`{}` {TOO_LARGE}", short(word)))
        .label(format!("the largest integer is {}", u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(word: &str) -> Result<TokenKind, String> {
        number(word, Span { start: 0, end: word.len() }).map_err(|error| error.message)
    }

    #[test]
    fn integers() {
        assert_eq!(read("1_000_000"), Ok(TokenKind::Int(1_000_000)));
        assert_eq!(read("0xFF_ff"), Ok(TokenKind::Int(0xffff)));
        assert_eq!(read("0b101"), Ok(TokenKind::Int(5)));
        assert_eq!(read("18446744073709551615"), Ok(TokenKind::Int(u64::MAX)));
        for word in ["18446744073709551616", "0x10000000000000000"] {
            assert_eq!(read(word), Err(format!("`{word}` is too large")));
        }
        for word in ["0x", "0xfg", "0b2", "0o7", "12abc", "1.2.3", "1e", "1e5x", "9é"] {
            assert_eq!(read(word), Err(format!("`{word}` is not a number")));
        }
    }

    #[test]
    fn floats() {
        assert_eq!(read("1.5"), Ok(TokenKind::Float(1.5)));
        assert_eq!(read(".5"), Ok(TokenKind::Float(0.5)));
        assert_eq!(read("1e3"), Ok(TokenKind::Float(1000.0)));
        assert_eq!(read("1.5E-3"), Ok(TokenKind::Float(0.0015)));
        assert_eq!(read("1e999"), Err("`1e999` is too large".into()));
    }

    #[test]
    fn sizes_are_whole_bytes() {
        for word in ["4k", "4K", "4KiB", "4.0K"] {
            assert_eq!(read(word), Ok(TokenKind::Size(4096)), "{word}");
        }
        assert_eq!(read("1.5MiB"), Ok(TokenKind::Size(3 << 19)));
        assert_eq!(read("2G"), Ok(TokenKind::Size(2 << 30)));
        assert_eq!(read(".5T"), Ok(TokenKind::Size(1 << 39)));
        assert_eq!(read("0.0009765625k"), Ok(TokenKind::Size(1)));
        assert_eq!(read("1.3k"), Err("`1.3k` is not a whole number of bytes".into()));
        assert_eq!(read("16777215T"), Ok(TokenKind::Size(16_777_215 << 40)));
        assert_eq!(read("16777216T"), Err("`16777216T` is too large".into()));
        let long = format!("0.{}1k", "0".repeat(100_000));
        assert!(read(&long).unwrap_err().ends_with("is not a whole number of bytes"));
    }

    #[test]
    fn what_is_written_of_a_size_is_read_as_the_same() {
        assert_eq!(size_text(4096), "4KiB");
        assert_eq!(size_text(3 << 29), "1536MiB");
        for bytes in [0, 1, 1023, 1024, 1536, 1537, u64::MAX, 1 << 63, 1 << 40] {
            let text = size_text(bytes);
            assert_eq!(read(&text), Ok(TokenKind::Size(bytes)), "{text}");
        }
    }

    #[test]
    fn decimal_units_are_refused() {
        let help = |word: &str| number(word, Span::default()).unwrap_err().help;
        let both = "write `4KiB` for 4096 bytes, or `4000` for 4000 bytes";
        assert_eq!(help("4kB").as_deref(), Some(both));
        assert_eq!(help("4KB").as_deref(), Some(both));
        let fraction = "write `1.5MiB`, which uses powers of 1024";
        assert_eq!(help("1.5MB").as_deref(), Some(fraction));
        assert_eq!(help("2g").as_deref(), Some("did you mean `2G`?"));
    }

    #[test]
    fn durations() {
        assert_eq!(read("250ms"), Ok(TokenKind::Duration(Duration::from_millis(250))));
        assert_eq!(read("5m"), Ok(TokenKind::Duration(Duration::from_mins(5))));
        assert_eq!(read("1h"), Ok(TokenKind::Duration(Duration::from_hours(1))));
        let help = |word: &str| number(word, Span::default()).unwrap_err().help;
        for word in ["1us", "5sec", "1d", "2min"] {
            assert!(help(word).is_some_and(|help| help.contains("`5m`")), "{word}");
        }
        assert_eq!(read("1.5s"), Err("`1.5s` is not a whole number of its unit".into()));
    }
}
