//! Writes JSON: one array of objects, or one object per line.
//!
//! # Layout
//!
//! | value | JSON |
//! |---|---|
//! | NULL | `null` |
//! | integer | a number with every digit, up to 2^64 - 1; some readers keep 53 bits only |
//! | double | the shortest number that reads back as the same double |
//! | address | `"0xffff888000001000"` |
//! | flag set | an array of names; bits without a name are one last `"0x8000"` |
//! | list | an array of texts |
//! | text | a string, see below |
//!
//! A JSON string is Unicode, a name is bytes. A text that is UTF-8 and does not hold the two characters `\x` is
//! itself. Any other has each backslash doubled and each byte that is not UTF-8 as `\xNN`. So a reader can tell: a
//! string that holds `\x` was written the second way, and undoing it gives the bytes back. These backslashes are
//! part of the string; in the file JSON doubles them once more.
//!
//! Control characters and characters that reorder text are `\uNNNN` escapes of JSON, so a terminal may show the
//! output.
//!
//! Columns that share a name become `name`, `name_2` and so on, as readers keep one of two equal keys.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write};

use query::escape;
use query::output::OutputColumn;
use query::value::{Unit, Value, digits};

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::unit;

/// What `json` is.
pub static JSON: FormatRow = FormatRow {
    name: "json",
    endings: &["json"],
    help: "one array of objects",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, out| {
        out.write_all(b"[")?;
        Ok(Box::new(Json::new(frame, true)?))
    },
};

/// What `ndjson` is.
pub static NDJSON: FormatRow = FormatRow {
    name: "ndjson",
    endings: &["ndjson", "jsonl"],
    help: "one object per line",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, _| Ok(Box::new(Json::new(frame, false)?)),
};

/// Objects, in an array or on lines.
struct Json {
    /// The key of each column with its quotes and colon.
    keys: Vec<String>,
    array: bool,
    empty: bool,
    row: String,
}

impl Json {
    fn new(frame: &Frame, array: bool) -> io::Result<Self> {
        let mut keys = Vec::new();
        for name in unique_names(frame.columns.iter().map(|column| column.name.as_str())) {
            let mut key = String::new();
            push_string(&mut key, &name)?;
            key.push(':');
            keys.push(key);
        }
        Ok(Self { keys, array, empty: true, row: String::new() })
    }
}

impl Rows for Json {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            self.row.clear();
            if self.array {
                self.row.push_str(if self.empty { "\n" } else { ",\n" });
            }
            self.empty = false;
            let separators = std::iter::once('{').chain(std::iter::repeat(','));
            for (((value, column), key), separator) in
                row.iter().zip(&frame.columns).zip(&self.keys).zip(separators)
            {
                self.row.push(separator);
                self.row.push_str(key);
                push_value(&mut self.row, value, column)?;
            }
            self.row.push_str(match (row.is_empty(), self.array) {
                (true, true) => "{}",
                (true, false) => "{}\n",
                (false, true) => "}",
                (false, false) => "}\n",
            });
            out.write_all(self.row.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Frame, out: &mut dyn Write) -> io::Result<()> {
        match (self.array, self.empty) {
            (true, true) => out.write_all(b"]\n"),
            (true, false) => out.write_all(b"\n]\n"),
            (false, _) => Ok(()),
        }
    }
}

fn push_value(row: &mut String, value: &Value, column: &OutputColumn) -> io::Result<()> {
    match value {
        Value::Null => row.push_str("null"),
        Value::Bool(value) => row.push_str(if *value { "true" } else { "false" }),
        Value::UInt(bits) if column.ty.is_flags() => {
            push_array(row, &unit::flags(*bits, column), |row, flag| push_string(row, flag))?;
        }
        Value::Int(_) | Value::UInt(_) => {
            match unit::decimal(value, column, &mut itoa::Buffer::new()) {
                Some(digits) => row.push_str(digits),
                None => push_string(row, &unit::hex(value.integer().unwrap_or_default()))?,
            }
        }
        // A double without end has no JSON.
        Value::Float(number) if !number.is_finite() => row.push_str("null"),
        Value::Float(number) => row.push_str(&digits(*number)),
        Value::Text(bytes) => push_string(row, &text_to_json(bytes))?,
        Value::List(items) if column.unit == Unit::Spark => {
            push_array(row, items, |row, tick| {
                push_tick(row, tick);
                Ok(())
            })?;
        }
        Value::List(items) => {
            push_array(row, items, |row, item| push_string(row, &text_to_json(item)))?;
        }
    }
    Ok(())
}

/// Appends a tick of a sparkline, which is a number or unknown.
fn push_tick(row: &mut String, tick: &[u8]) {
    let text = str::from_utf8(tick).ok();
    let is_number = |text: &&str| text.parse().is_ok_and(f64::is_finite);
    row.push_str(text.filter(is_number).unwrap_or("null"));
}

fn push_array<T>(
    row: &mut String,
    items: &[T],
    push: impl Fn(&mut String, &T) -> io::Result<()>,
) -> io::Result<()> {
    row.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            row.push(',');
        }
        push(row, item)?;
    }
    row.push(']');
    Ok(())
}

/// Appends a string with its quotes.
fn push_string(row: &mut String, string: &str) -> io::Result<()> {
    let quoted = serde_json::to_string(string)?;
    if !quoted.chars().any(escape::is_hazard) {
        row.push_str(&quoted);
        return Ok(());
    }
    for character in quoted.chars() {
        if escape::is_hazard(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(row, "\\u{unit:04x}").expect("a String takes all text");
            }
        } else {
            row.push(character);
        }
    }
    Ok(())
}

/// The Unicode string for the bytes of a text, by the rule in the header of this module.
#[must_use]
pub fn text_to_json(bytes: &[u8]) -> String {
    text_without(bytes, |_| false)
}

/// The same where some characters must not be in the string: their bytes are written as if they were not UTF-8.
pub(super) fn text_without(bytes: &[u8], refused: fn(char) -> bool) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains("\\x")
        && !text.contains(refused)
    {
        return text.to_owned();
    }
    let mut string = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => string.push_str("\\\\"),
                _ if refused(character) => {
                    escape::push_bytes(&mut string, character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => string.push(character),
            }
        }
        escape::push_bytes(&mut string, chunk.invalid());
    }
    string
}

/// The bytes that [`text_to_json`] made this string of; none if it made it of no bytes.
#[must_use]
pub fn text_from_json(string: &str) -> Option<Vec<u8>> {
    if !string.contains("\\x") {
        return Some(string.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    let mut parts = string.split('\\');
    bytes.extend(parts.next()?.as_bytes());
    while let Some(part) = parts.next() {
        match part.strip_prefix('x') {
            // Between two backslashes lies nothing: they are one.
            None if part.is_empty() => {
                bytes.push(b'\\');
                bytes.extend(parts.next()?.as_bytes());
            }
            None => return None,
            Some(rest) => {
                bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
                bytes.extend(rest.get(2..)?.as_bytes());
            }
        }
    }
    Some(bytes)
}

/// The names of columns, made different by numbers from 2. A name that one column has from the query is not given
/// to another.
pub(super) fn unique_names<'a>(all: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let mut taken: HashSet<String> = all.clone().map(str::to_owned).collect();
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for name in all {
        let mut unique = name.to_owned();
        if !seen.insert(name) {
            let mut number = 2_u32;
            loop {
                unique = format!("{name}_{number}");
                if taken.insert(unique.clone()) {
                    break;
                }
                number += 1;
            }
        }
        names.push(unique);
    }
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use query::output::Output;
    use query::value::{Type, Unit};
    use serde_json::Value as Parsed;

    use super::super::fixture::{answer, extremes, nasty_texts, random_answer, rendered};
    use super::*;

    fn parse(output: &Output) -> Vec<Parsed> {
        let array: Vec<Parsed> = serde_json::from_slice(&rendered(&JSON, output)).unwrap();
        let lines = String::from_utf8(rendered(&NDJSON, output)).unwrap();
        assert_eq!(lines.lines().count(), output.rows.len());
        let lines: Vec<Parsed> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, array);
        array
    }

    /// Undoes `string`, by what its documentation promises.
    fn bytes_of(string: &str) -> Vec<u8> {
        text_from_json(string).unwrap()
    }

    fn same(parsed: &Parsed, value: &Value, column: &OutputColumn) -> bool {
        let hex = |parsed: &Parsed| {
            let text = parsed.as_str().unwrap();
            let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
            sign * i128::from_str_radix(digits.strip_prefix("0x").unwrap(), 16).unwrap()
        };
        match value {
            Value::Null => parsed.is_null(),
            Value::Bool(value) => parsed.as_bool() == Some(*value),
            Value::UInt(bits) if column.ty.is_flags() => {
                let names = parsed.as_array().unwrap();
                names.iter().map(hex).sum::<i128>() == i128::from(*bits)
            }
            Value::Int(_) | Value::UInt(_) if column.unit == Unit::Hex => {
                Some(hex(parsed)) == value.integer()
            }
            Value::Int(value) => parsed.as_i64() == Some(*value),
            Value::UInt(value) => parsed.as_u64() == Some(*value),
            // The reader of serde_json is off by a bit at times; `doubles_read_back` looks at the digits.
            Value::Float(value) => {
                parsed.as_f64().is_some_and(|parsed| (parsed / value - 1.0).abs() < 1e-15)
            }
            Value::Text(text) => bytes_of(parsed.as_str().unwrap()) == text.as_ref(),
            Value::List(items) => {
                let parsed = parsed.as_array().unwrap();
                parsed.len() == items.len()
                    && parsed
                        .iter()
                        .zip(items.iter())
                        .all(|(a, b)| bytes_of(a.as_str().unwrap()) == b.as_ref())
            }
        }
    }

    #[test]
    fn ticks_are_numbers() {
        let ticks = ["7", "-0.5", "", "1e300"].map(|tick| tick.as_bytes().into());
        let ticks = vec![Value::List(ticks.into()), Value::List([].into())];
        let output = answer(vec![("x", Type::List, Unit::Spark, ticks)]);
        let text = String::from_utf8(rendered(&NDJSON, &output)).unwrap();
        assert_eq!(text, "{\"x\":[7,-0.5,null,1e300]}\n{\"x\":[]}\n");
    }

    #[test]
    fn an_array_has_an_object_a_line() {
        let output = answer(vec![
            ("name", Type::Text, Unit::None, vec![Value::text("a\"b"), Value::Null]),
            ("at", Type::UInt, Unit::Hex, vec![Value::UInt(255), Value::UInt(0)]),
        ]);
        let array =
            "[\n{\"name\":\"a\\\"b\",\"at\":\"0xff\"},\n{\"name\":null,\"at\":\"0x0\"}\n]\n";
        assert_eq!(String::from_utf8(rendered(&JSON, &output)).unwrap(), array);
        let lines = "{\"name\":\"a\\\"b\",\"at\":\"0xff\"}\n{\"name\":null,\"at\":\"0x0\"}\n";
        assert_eq!(String::from_utf8(rendered(&NDJSON, &output)).unwrap(), lines);
    }

    #[test]
    fn every_digit_survives() {
        let output = answer(vec![("n", Type::Int, Unit::Bytes, extremes())]);
        let parsed = parse(&output);
        assert_eq!(parsed[0]["n"].as_u64(), Some(u64::MAX));
        assert_eq!(parsed[1]["n"].as_u64(), Some((1 << 53) + 1));
        assert_eq!(parsed[3]["n"].as_i64(), Some(i64::MIN));
    }

    #[test]
    fn every_byte_of_a_name_survives() {
        let output = answer(vec![("name", Type::Text, Unit::None, nasty_texts())]);
        for (parsed, name) in parse(&output).iter().zip(nasty_texts()) {
            let Value::Text(name) = name else { panic!("not a text") };
            assert_eq!(bytes_of(parsed["name"].as_str().unwrap()), name.as_ref());
        }
        assert_eq!(text_to_json(b"a\\b"), "a\\b");
        assert_eq!(text_to_json(b"a\\xff"), "a\\\\xff");
        assert_eq!(text_to_json(b"a\xff\\"), "a\\xff\\\\");
    }

    #[test]
    fn flag_sets_are_arrays_of_names() {
        let names: Arc<[_]> = Arc::new([("A".to_owned(), 0), ("B".to_owned(), 3)]);
        let column = OutputColumn::new("flags", Type::SlabFlags, Unit::None).with_flag_names(names);
        let mut row = String::new();
        for bits in [0x8009, 0, 1] {
            push_value(&mut row, &Value::UInt(bits), &column).unwrap();
        }
        assert_eq!(row, r#"["A","B","0x8000"][]["A"]"#);
    }

    #[test]
    fn equal_names_get_numbers() {
        let names = |names: &[&str]| unique_names(names.iter().copied());
        assert_eq!(names(&["a", "b", "a", "a"]), ["a", "b", "a_2", "a_3"]);
        assert_eq!(names(&["a", "a", "a_2"]), ["a", "a_3", "a_2"]);
    }

    proptest! {
        #[test]
        fn doubles_read_back(number in prop::num::f64::NORMAL | prop::num::f64::ZERO) {
            let column = OutputColumn::new("x", Type::Float, Unit::None);
            let mut row = String::new();
            push_value(&mut row, &Value::Float(number), &column).unwrap();
            prop_assert_eq!(row.parse::<f64>().unwrap().to_bits(), number.to_bits());
        }

        #[test]
        fn rows_parse_back(output in random_answer()) {
            let parsed = parse(&output);
            prop_assert_eq!(parsed.len(), output.rows.len());
            let names = unique_names(output.columns.iter().map(|column| column.name.as_str()));
            for (object, row) in parsed.iter().zip(&output.rows) {
                prop_assert_eq!(object.as_object().unwrap().len(), row.len());
                for ((value, column), name) in row.iter().zip(&output.columns).zip(&names) {
                    prop_assert!(same(&object[name], value, column), "{:?} {:?}", object, value);
                }
            }
        }
    }
}
