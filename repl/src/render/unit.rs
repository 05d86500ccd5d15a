//! Turns values into text by the type and the unit of their column.
//!
//! Two ways: [`shown`] is for people, with prefixes and signs; [`plain`] is for programs, with every digit.
//!
//! # Units
//!
//! | unit | value | shown | plain |
//! |---|---|---|---|
//! | none, count | 4096 | `4,096` | `4096` |
//! | bytes | 4096 | `4.0 KiB` | `4096` |
//! | percent | 12.5 | `12.5 %` | `12.5` |
//! | bar | 0.25 | a bar of a quarter of its length | `0.25` |
//! | ticks, buckets | a list | small bars | its texts |
//! | hex | 255 | `0xff` | `0xff` |
//! | a flag set | 5 | `A\|B\|0x4` | `A\|B\|0x4` |
//!
//! Addresses stay hexadecimal in both: their decimal digits serve nobody. Bytes change the prefix at 1024, with one
//! decimal, rounded; below 1024 they are whole, or have one decimal where the value does.

use std::borrow::Cow;
use std::time::Duration;

use query::aggregate;
use query::output::OutputColumn;
use query::value::{Unit, Value, digits};

use super::options::{Options, grouped};
use crate::report::escape::printable;

/// Returns a value as a person reads it, safe for a terminal; None for NULL.
#[must_use]
pub fn shown(value: &Value, column: &OutputColumn, options: &Options) -> Option<String> {
    let exact = options.exact;
    let digits = |text: String| if options.thousands { grouped(&text) } else { text };
    let per_second = if column.per_second && !exact { "/s" } else { "" };
    let text = match value {
        Value::Null => return None,
        Value::Text(text) => printable(text),
        Value::List(items) => match column.unit {
            Unit::Spark if !exact && !options.plain => {
                ticks_shown(&items[items.len().saturating_sub(options.ticks)..])
            }
            Unit::Buckets if !exact && !options.plain => buckets_shown(items),
            _ => items.iter().map(|item| printable(item)).collect::<Vec<_>>().join(", "),
        },
        Value::UInt(0) if column.ty.is_flags() => "-".to_owned(),
        Value::UInt(bits) if column.ty.is_flags() => flags(*bits, column).join("|"),
        Value::Bool(_) => plain_text(value, column),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) if exact => plain_text(value, column),
        Value::Int(_) | Value::UInt(_) => match column.unit {
            Unit::Hex => plain_text(value, column),
            Unit::None | Unit::Count | Unit::Spark | Unit::Buckets | Unit::Stack => {
                digits(plain_text(value, column))
            }
            Unit::Bytes => bytes(value.float().unwrap_or_default()),
            Unit::Percent => format!("{} %", digits(plain_text(value, column))),
            Unit::Bar => part(value.float().unwrap_or_default(), options),
        },
        Value::Float(number) => match column.unit {
            Unit::Bar => part(*number, options),
            Unit::None | Unit::Count | Unit::Hex | Unit::Spark | Unit::Buckets | Unit::Stack => {
                digits(float(*number))
            }
            Unit::Bytes => bytes(*number),
            Unit::Percent => format!("{} %", digits(rounded(*number, 1))),
        },
    };
    Some(text + per_second)
}

/// Returns a value with every digit and every byte; None for NULL. Lists have a comma between their texts.
#[must_use]
pub fn plain<'a>(value: &'a Value, column: &OutputColumn) -> Option<Cow<'a, [u8]>> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::List(items) => Some(Cow::Owned(items.join(&b','))),
        _ => Some(Cow::Owned(plain_text(value, column).into_bytes())),
    }
}

/// Returns the digits of an integer that is plain in decimal; None for any other value.
pub fn decimal<'a>(
    value: &Value,
    column: &OutputColumn,
    digits: &'a mut itoa::Buffer,
) -> Option<&'a str> {
    match value {
        _ if column.unit == Unit::Hex || column.ty.is_flags() => None,
        Value::UInt(integer) => Some(digits.format(*integer)),
        Value::Int(integer) => Some(digits.format(*integer)),
        _ => None,
    }
}

/// Room for the digits of an integer.
pub struct Digits {
    decimal: itoa::Buffer,
    /// `0x` and the digits of 64 bits.
    hex: [u8; 18],
}

impl Digits {
    pub fn new() -> Self {
        Self { decimal: itoa::Buffer::new(), hex: [0; 18] }
    }

    /// Returns an integer as [`plain`] does, without memory of its own; None for any other value, and for those below zero
    /// in hexadecimal.
    pub fn plain(&mut self, value: &Value, column: &OutputColumn) -> Option<&[u8]> {
        match value {
            Value::UInt(integer) if column.unit == Unit::Hex && !column.ty.is_flags() => {
                Some(self.hex(*integer))
            }
            _ => decimal(value, column, &mut self.decimal).map(str::as_bytes),
        }
    }

    fn hex(&mut self, mut integer: u64) -> &[u8] {
        let mut start = self.hex.len();
        loop {
            start -= 1;
            self.hex[start] = b"0123456789abcdef"[(integer & 15) as usize];
            integer >>= 4;
            if integer == 0 {
                break;
            }
        }
        start -= 2;
        self.hex[start..start + 2].copy_from_slice(b"0x");
        &self.hex[start..]
    }
}

/// A value that is neither NULL nor text.
fn plain_text(value: &Value, column: &OutputColumn) -> String {
    match (value, value.integer()) {
        (Value::UInt(bits), _) if column.ty.is_flags() => flags(*bits, column).join("|"),
        (_, Some(integer)) if column.unit == Unit::Hex => hex(integer),
        (Value::UInt(integer), _) => integer.to_string(),
        (Value::Int(integer), _) => integer.to_string(),
        (Value::Bool(value), _) => value.to_string(),
        (Value::Float(number), _) => digits(*number),
        _ => String::new(),
    }
}

/// Returns an integer in hexadecimal. One below zero keeps its sign: the answer to a subtraction is no address.
pub(super) fn hex(integer: i128) -> String {
    let Ok(integer) = u64::try_from(integer) else {
        let sign = if integer < 0 { "-" } else { "" };
        return format!("{sign}{:#x}", integer.unsigned_abs());
    };
    String::from_utf8_lossy(Digits::new().hex(integer)).into_owned()
}

/// Returns the names of the bits that are set, by bit number, and last the bits without a name as one number.
pub(super) fn flags(bits: u64, column: &OutputColumn) -> Vec<String> {
    let mut table: Vec<_> = column.flag_names.iter().flat_map(|names| names.iter()).collect();
    table.sort_by_key(|(_, bit)| *bit);
    let mut rest = bits;
    let mut names = Vec::new();
    for (name, bit) in table {
        let mask = 1_u64.checked_shl(*bit).unwrap_or_default();
        if bits & mask != 0 {
            names.push(printable(name.as_bytes()));
            rest &= !mask;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names
}

/// Returns a part of a whole as a bar, or where nobody sees it as a percentage.
fn part(number: f64, options: &Options) -> String {
    if options.plain { format!("{} %", rounded(100.0 * number, 1)) } else { bar(number, BAR) }
}

/// The blocks of the longest bar in a table.
const BAR: usize = 20;

/// Returns a bar as long as the part of a whole: from nothing up to so many blocks, the last in eighths. What is more
/// than the whole has a mark behind the bar.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // columns on screen
#[must_use]
pub fn bar(part: f64, blocks: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (part.clamp(0.0, 1.0) * (8 * blocks) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    if part > 1.0 {
        bar.push('+');
    }
    bar
}

/// Returns a character for each tick, the taller the nearer its number is to the greatest of them, the least being the
/// lowest; a blank where there was none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 and 7
fn ticks_shown(ticks: &[Box<[u8]>]) -> String {
    let number = |tick: &[u8]| std::str::from_utf8(tick).ok()?.parse::<f64>().ok();
    let numbers: Vec<Option<f64>> = ticks.iter().map(|tick| number(tick)).collect();
    let all = || numbers.iter().flatten().copied();
    let (low, high) =
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let level = |number: &f64| {
        // All the same are a low line.
        let part = if high > low { (number - low) / (high - low) } else { 0.0 };
        LEVELS[((part * 7.0).round() as usize).min(7)]
    };
    numbers.iter().map(|number| number.as_ref().map_or(' ', level)).collect()
}

/// Returns a small bar for each bucket of a histogram, between the first and the last of its bounds: `[1K, 2K) ▂█ ▁ [16K, 32K)`.
#[allow(clippy::cast_precision_loss)] // the height of a bar
fn buckets_shown(items: &[Box<[u8]>]) -> String {
    let buckets = aggregate::buckets_of(items);
    let counts: Vec<f64> = buckets.iter().map(|(_, count)| *count as f64).collect();
    match buckets.as_slice() {
        [] => String::new(),
        [(only, _)] => format!("{only} {}", spark(&counts)),
        [(first, _), .., (last, _)] => format!("{first} {} {last}", spark(&counts)),
    }
}

/// Small bars, from the lowest on.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns a character for each number, the taller the nearer it is to the greatest; a blank for 0 and for what is below.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0 and 7
#[must_use]
pub fn spark(numbers: &[f64]) -> String {
    let top = numbers.iter().copied().fold(0.0, f64::max);
    let level = |number: &f64| match number / top * 8.0 {
        part if part > 0.0 => LEVELS[(part.ceil() as usize).clamp(1, 8) - 1],
        _ => ' ',
    };
    numbers.iter().map(level).collect()
}

/// Returns a number of bytes with a binary prefix.
fn bytes(number: f64) -> String {
    const PREFIXES: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut scaled = number / 1024.0;
    // 1023.95 would be rounded to `1024 B`.
    if number.abs() < 1023.95 {
        let text = rounded(number, 1);
        return format!("{} B", text.strip_suffix(".0").unwrap_or(&text));
    }
    let mut prefix = 0;
    while scaled.abs() >= 1023.95 && prefix + 1 < PREFIXES.len() {
        scaled /= 1024.0;
        prefix += 1;
    }
    let text = if scaled.abs() < 1e15 { rounded(scaled, 1) } else { format!("{scaled:.3e}") };
    format!("{text} {}B", PREFIXES[prefix])
}

/// Returns a number with so many decimals. What is rounded to zero has no sign.
fn rounded(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let is_zero = !text.contains(|c: char| matches!(c, '1'..='9' | 'a'..='z'));
    text.strip_prefix('-').filter(|_| is_zero).map_or_else(|| text.clone(), str::to_owned)
}

/// Returns a number with three decimals at most, or with an exponent where these would hide it.
fn float(number: f64) -> String {
    let size = number.abs();
    if size >= 1e15 || (size > 0.0 && size < 0.0005) {
        return format!("{number:.3e}");
    }
    // No digits are shown that it does not have.
    let text = digits(number + 0.0);
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let text = if decimals > 3 { rounded(number, 3) } else { text };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time in three digits: `850 µs`, `1.24 ms`, `2.0 s`.
#[must_use]
pub fn duration(took: Duration) -> String {
    let micros = took.as_secs_f64() * 1e6;
    match micros {
        ..1000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use query::value::Type;

    use super::*;

    const EXACT: Options = Options {
        exact: true,
        thousands: true,
        width: None,
        terminal: false,
        color: false,
        null: String::new(),
        fields: None,
        plain: false,
        ticks: 40,
        rows: None,
        early: false,
        sorted: Vec::new(),
        ascii: false,
        table: None,
    };

    #[test]
    fn digits_are_those_of_the_plain_text() {
        let integers = [0, 1, 9, 10, 15, 16, 255, 4096, u64::MAX - 1, u64::MAX];
        let integers = integers.into_iter().flat_map(|integer| {
            [Value::UInt(integer), Value::Int(integer.cast_signed().wrapping_neg())]
        });
        for value in integers.chain([Value::Null, Value::Bool(true), Value::Float(0.5)]) {
            for (ty, unit) in [
                (Type::UInt, Unit::Hex),
                (Type::Int, Unit::Hex),
                (Type::UInt, Unit::Bytes),
                (Type::SlabFlags, Unit::None),
            ] {
                let column = OutputColumn::new("x", ty, unit);
                let mut digits = Digits::new();
                let Some(found) = digits.plain(&value, &column) else { continue };
                assert_eq!(Some(found), plain(&value, &column).as_deref(), "{value:?}");
            }
        }
    }

    fn show(value: &Value, unit: Unit) -> String {
        shown(value, &OutputColumn::new("x", Type::UInt, unit), &Options::default()).unwrap()
    }

    fn exact(value: &Value, unit: Unit) -> String {
        shown(value, &OutputColumn::new("x", Type::UInt, unit), &EXACT).unwrap()
    }

    #[test]
    fn thousands_are_told_apart() {
        for (number, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-999", "-999"),
            ("-123456", "-123,456"),
            ("1605942", "1,605,942"),
            ("18446744073709551615", "18,446,744,073,709,551,615"),
            ("1234.5678", "1,234.5678"),
            ("0.00125", "0.00125"),
            ("1.500e20", "1.500e20"),
            ("inf", "inf"),
        ] {
            assert_eq!(grouped(number), text);
        }
        let plain = Options { thousands: false, ..Options::default() };
        let column = |unit| OutputColumn::new("x", Type::UInt, unit);
        for (value, unit, with, without) in [
            (Value::UInt(1_605_942), Unit::Count, "1,605,942", "1605942"),
            (Value::Int(-16_059), Unit::None, "-16,059", "-16059"),
            (Value::Float(2500.5), Unit::None, "2,500.5", "2500.5"),
            (Value::UInt(1200), Unit::Percent, "1,200 %", "1200 %"),
            (Value::Float(1200.0), Unit::Percent, "1,200.0 %", "1200.0 %"),
            (Value::UInt(65_535), Unit::Hex, "0xffff", "0xffff"),
            (Value::UInt(1023), Unit::Bytes, "1023 B", "1023 B"),
        ] {
            assert_eq!(shown(&value, &column(unit), &Options::default()).as_deref(), Some(with));
            assert_eq!(shown(&value, &column(unit), &plain).as_deref(), Some(without));
            let exact = shown(&value, &column(unit), &EXACT).unwrap();
            assert!(!exact.contains(','), "{exact}");
        }
    }

    #[test]
    fn bytes_have_binary_prefixes() {
        for (value, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (4096, "4.0 KiB"),
            (1_048_524, "1023.9 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(show(&Value::UInt(value), Unit::Bytes), text);
        }
        assert_eq!(show(&Value::Int(-1), Unit::Bytes), "-1 B");
        assert_eq!(show(&Value::Int(-4096), Unit::Bytes), "-4.0 KiB");
        assert_eq!(show(&Value::Int(i64::MIN), Unit::Bytes), "-8.0 EiB");
        assert_eq!(show(&Value::Float(85.25), Unit::Bytes), "85.2 B");
        assert_eq!(show(&Value::Float(-0.049), Unit::Bytes), "0 B");
        assert_eq!(show(&Value::Float(-0.05), Unit::Bytes), "-0.1 B");
        assert_eq!(show(&Value::Float(1023.99), Unit::Bytes), "1.0 KiB");
        assert_eq!(show(&Value::Float(-0.04), Unit::Percent), "0.0 %");
        assert_eq!(show(&Value::Float(1e300), Unit::Bytes), "8.674e281 EiB");
        assert_eq!(show(&Value::Float(2048.0), Unit::Bytes), "2.0 KiB");
    }

    #[test]
    fn rates_are_per_second() {
        let column =
            OutputColumn { per_second: true, ..OutputColumn::new("x", Type::Float, Unit::Bytes) };
        assert_eq!(
            shown(&Value::Float(2048.0), &column, &Options::default()).unwrap(),
            "2.0 KiB/s"
        );
        assert_eq!(shown(&Value::Float(2048.0), &column, &EXACT).unwrap(), "2048.0");
        assert_eq!(shown(&Value::Null, &column, &Options::default()), None);
    }

    #[test]
    fn exact_shows_every_digit() {
        assert_eq!(exact(&Value::UInt(u64::MAX), Unit::Bytes), "18446744073709551615");
        assert_eq!(exact(&Value::Int(i64::MIN), Unit::Bytes), "-9223372036854775808");
        assert_eq!(exact(&Value::Float(0.1), Unit::Percent), "0.1");
        assert_eq!(exact(&Value::UInt(255), Unit::Hex), "0xff");
    }

    #[test]
    fn other_units() {
        assert_eq!(show(&Value::UInt(1_234_567), Unit::Count), "1,234,567");
        assert_eq!(show(&Value::Float(12.5), Unit::Percent), "12.5 %");
        assert_eq!(show(&Value::UInt(7), Unit::Percent), "7 %");
        assert_eq!(show(&Value::UInt(0xffff_8880_0000_1000), Unit::Hex), "0xffff888000001000");
        assert_eq!(show(&Value::UInt(0), Unit::Hex), "0x0");
        assert_eq!(show(&Value::Int(-16), Unit::Hex), "-0x10");
        assert_eq!(show(&Value::Bool(true), Unit::None), "true");
    }

    #[test]
    fn ticks_are_small_bars() {
        let ticks = |ticks: &[&str]| {
            let ticks = ticks.iter().map(|tick| tick.as_bytes().into()).collect();
            show(&Value::List(ticks), Unit::Spark)
        };
        assert_eq!(ticks(&["10", "", "17", "-4", "3.0"]), "▆ █▁▃");
        assert_eq!(ticks(&["7", "7"]), "▁▁");
        assert_eq!(ticks(&[]), "");
        let (column, list) = (OutputColumn::new("x", Type::List, Unit::Spark), ["9", "1", "2"]);
        let list = Value::List(list.map(|tick| tick.as_bytes().into()).into());
        let two = Options { ticks: 2, ..Options::default() };
        assert_eq!(shown(&list, &column, &two).as_deref(), Some("▁█"));
        assert_eq!(spark(&[0.0, 1.0, 4.0, 8.0, -1.0]), " ▁▄█ ");
        assert_eq!(
            exact(&Value::List([(*b"1").into(), (*b"2").into()].into()), Unit::Spark),
            "1, 2"
        );
    }

    #[test]
    fn a_histogram_is_a_bar_a_bucket() {
        let list =
            |items: &[&str]| Value::List(items.iter().map(|item| item.as_bytes().into()).collect());
        let both = list(&["[4, 8): 2", "[16, 32): 1"]);
        assert_eq!(show(&both, Unit::Buckets), "[4, 8) █ ▄ [16, 32)");
        assert_eq!(show(&list(&["[0]: 7"]), Unit::Buckets), "[0] █");
        assert_eq!(show(&list(&["(…, 0): 1", "[0]: 8"]), Unit::Buckets), "(…, 0) ▁█ [0]");
        assert_eq!(exact(&both, Unit::Buckets), "[4, 8): 2, [16, 32): 1");
    }

    #[test]
    fn bars_are_parts_of_a_whole() {
        let bar = |part: f64| show(&Value::Float(part), Unit::Bar);
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(0.25), "█████");
        assert_eq!(bar(0.27), "█████▍");
        assert_eq!(bar(1.0), "█".repeat(20));
        assert_eq!(bar(2.5), "█".repeat(20) + "+");
        assert_eq!(bar(-1.0), "");
        assert_eq!(show(&Value::UInt(1), Unit::Bar), "█".repeat(20));
        let column = OutputColumn::new("x", Type::Float, Unit::Bar);
        assert_eq!(plain(&Value::Float(0.25), &column).unwrap().as_ref(), b"0.25");
        assert_eq!(shown(&Value::Float(0.25), &column, &EXACT).unwrap(), "0.25");
    }

    #[test]
    fn floats_have_three_decimals_at_most() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (2.0 / 3.0, "0.667"),
            (100.0, "100"),
            (1e-9, "1.000e-9"),
            (1e300, "1.000e300"),
            (-2.25, "-2.25"),
            (30_210_303_042_648.1, "30,210,303,042,648.1"),
            (-0.000_499_9, "-4.999e-4"),
        ] {
            assert_eq!(show(&Value::Float(value), Unit::None), text);
        }
    }

    #[test]
    fn flag_sets_name_their_bits() {
        let names: Arc<[_]> =
            Arc::new([("B".to_owned(), 3), ("A".to_owned(), 0), ("Z".to_owned(), 64)]);
        let column = OutputColumn::new("flags", Type::SlabFlags, Unit::None).with_flag_names(names);
        let text = |bits, column: &OutputColumn| {
            shown(&Value::UInt(bits), column, &Options::default()).unwrap()
        };
        assert_eq!(text(0b1001, &column), "A|B");
        assert_eq!(text(0x8009, &column), "A|B|0x8000");
        assert_eq!(text(0, &column), "-");
        assert_eq!(text(u64::MAX, &column), "A|B|0xfffffffffffffff6");
        assert_eq!(plain(&Value::UInt(0), &column).unwrap().as_ref(), b"");
        let unnamed = OutputColumn::new("flags", Type::GfpFlags, Unit::None);
        assert_eq!(text(6, &unnamed), "0x6");
    }

    #[test]
    fn lists_are_joined() {
        let column = OutputColumn::new("x", Type::List, Unit::None);
        let list = Value::List([b"a".as_slice().into(), b"b\n".as_slice().into()].into());
        assert_eq!(shown(&list, &column, &Options::default()).unwrap(), "a, b\\n");
        assert_eq!(plain(&list, &column).unwrap().as_ref(), b"a,b\n");
        assert_eq!(shown(&Value::List([].into()), &column, &Options::default()).unwrap(), "");
        assert_eq!(shown(&Value::Null, &column, &Options::default()), None);
        assert_eq!(plain(&Value::Null, &column), None);
    }
}
