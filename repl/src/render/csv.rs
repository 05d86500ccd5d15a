//! Writes CSV and TSV: a header, then a line a row, every digit and every byte.
//!
//! # Layout
//!
//! CSV follows RFC 4180 with one exception: lines end in `\n` alone, as the tools around a pipe expect, and not in
//! `\r\n`. Fields with commas, quotes or line ends stand in quotes, and so does the empty text: NULL is an empty field
//! without quotes, also where it is the only one of its line. The csv crate cannot tell these two apart.
//!
//! TSV has no quotes. It follows the text format of Postgres' `COPY`: `\t`, `\n`, `\r`, `\b`, `\f` and `\v` for
//! these characters, `\\` for a backslash, `\N` for NULL.
//!
//! In both, texts are the bytes of the kernel, UTF-8 or not; addresses are `0x…`; lists have commas between their
//! texts, and a comma inside of a text is not marked. On a terminal, which would obey them, characters that control it are
//! escaped as in tables.

use std::borrow::Cow;
use std::io::{self, Write};

use query::value::Value;

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::unit::{Digits, plain};
use crate::report::escape::printable;

/// What `csv` is.
pub static CSV: FormatRow = FormatRow {
    name: "csv",
    endings: &["csv"],
    help: "comma-separated values (RFC 4180)",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, out| Separated::begin(frame, out, b',', b"", push_quoted),
};

/// What `tsv` is.
pub static TSV: FormatRow = FormatRow {
    name: "tsv",
    endings: &["tsv"],
    help: "tab-separated values, with backslash escapes and \\N for NULL",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, out| Separated::begin(frame, out, b'\t', b"\\N", push_escaped),
};

/// Values with a character between them.
struct Separated {
    line: Vec<u8>,
    separator: u8,
    null: &'static [u8],
    push: fn(&mut Vec<u8>, &[u8]),
}

impl Rows for Separated {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        let mut digits = Digits::new();
        for row in rows {
            for (value, column) in row.iter().zip(&frame.columns) {
                match digits.plain(value, column) {
                    Some(digits) => self.line.extend_from_slice(digits),
                    None => self.push_field(frame, plain(value, column)),
                }
                self.line.push(self.separator);
            }
            self.write_line(out)?;
        }
        Ok(())
    }
}

impl Separated {
    fn begin(
        frame: &Frame,
        out: &mut dyn Write,
        separator: u8,
        null: &'static [u8],
        push: fn(&mut Vec<u8>, &[u8]),
    ) -> io::Result<Box<dyn Rows>> {
        let mut rows = Self { line: Vec::new(), separator, null, push };
        for column in &frame.columns {
            rows.push_field(frame, Some(column.name.as_bytes().into()));
            rows.line.push(separator);
        }
        rows.write_line(out)?;
        Ok(Box::new(rows))
    }

    fn push_field(&mut self, frame: &Frame, field: Option<Cow<'_, [u8]>>) {
        match field {
            Some(field) => (self.push)(&mut self.line, &drawn(frame, field)),
            None => self.line.extend(self.null),
        }
    }

    /// Writes the line, whose fields have a separator behind them each.
    fn write_line(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(last) = self.line.last_mut() {
            *last = b'\n';
            out.write_all(&self.line)?;
            self.line.clear();
        }
        Ok(())
    }
}

/// A field as it may be written where the answer goes.
fn drawn<'a>(frame: &Frame, field: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
    if frame.options.terminal { printable(&field).into_bytes().into() } else { field }
}

/// Whether a byte has a meaning of its own in CSV.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    special[b',' as usize] = true;
    special[b'"' as usize] = true;
    special[b'\r' as usize] = true;
    special[b'\n' as usize] = true;
    special
};

fn push_quoted(line: &mut Vec<u8>, field: &[u8]) {
    if !field.is_empty() && !field.iter().any(|byte| SPECIAL[usize::from(*byte)]) {
        line.extend_from_slice(field);
        return;
    }
    line.push(b'"');
    for &byte in field {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

fn push_escaped(line: &mut Vec<u8>, field: &[u8]) {
    for &byte in field {
        let escape = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0x08 => b'b',
            0x0b => b'v',
            0x0c => b'f',
            _ => {
                line.push(byte);
                continue;
            }
        };
        line.extend([b'\\', escape]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use query::output::{Output, OutputColumn};
    use query::value::{Type, Unit};

    use super::super::Format;
    use super::super::fixture::{answer, extremes, nasty_texts, random_answer, rendered};
    use super::*;

    fn text(format: Format, output: &Output) -> String {
        String::from_utf8(rendered(format, output)).unwrap()
    }

    #[test]
    fn a_terminal_gets_no_character_that_controls_it() {
        let name = "a\u{1b}[31m\u{202e}\n";
        let columns = vec![OutputColumn::new(name, Type::Text, Unit::None)];
        let rows = vec![vec![Value::text(name)], vec![Value::Text((*b"\xff,").into())]];
        let output = Output { columns, rows, warnings: vec![] };
        let written = |format: Format, terminal| {
            let mut bytes = Vec::new();
            let options = super::super::Options { terminal, ..Default::default() };
            super::super::render(format, &output, options, &mut bytes).unwrap();
            bytes
        };
        assert_eq!(
            String::from_utf8(written(&CSV, true)).unwrap(),
            "a\\x1b[31m\\u{202e}\\n\n".repeat(2) + "\"\\xff,\"\n"
        );
        assert!(!written(&TSV, true).contains(&0x1b));
        for format in [&CSV, &TSV] {
            assert!(written(format, false).windows(4).any(|bytes| bytes == b"\x1b[31"));
        }
    }

    /// The records of a CSV, header first; None is NULL.
    fn parse_csv(bytes: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
        let (mut records, mut record, mut field, mut quoted) = (vec![], vec![], None, false);
        for &byte in bytes {
            match byte {
                // A quote in quotes is two, of which the first ends them and the second begins them again.
                b'"' if quoted => quoted = false,
                b'"' => {
                    quoted = true;
                    match &mut field {
                        Some(text) => Vec::push(text, b'"'),
                        none => *none = Some(Vec::new()),
                    }
                }
                b',' if !quoted => record.push(field.take()),
                b'\n' if !quoted => {
                    record.push(field.take());
                    records.push(std::mem::take(&mut record));
                }
                byte => field.get_or_insert_default().push(byte),
            }
        }
        records
    }

    /// The records of a CSV of several columns as another reader sees them.
    fn parse_by_crate(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
        let records = reader.byte_records().map(Result::unwrap);
        records.map(|record| record.iter().map(<[u8]>::to_vec).collect()).collect()
    }

    /// The records of a TSV, header first; None is NULL.
    fn parse_tsv(bytes: &[u8]) -> Vec<Vec<Option<Vec<u8>>>> {
        let body = bytes.strip_suffix(b"\n").unwrap();
        let lines = body.split(|byte| *byte == b'\n');
        lines.map(|line| line.split(|byte| *byte == b'\t').map(unescape).collect()).collect()
    }

    fn unescape(field: &[u8]) -> Option<Vec<u8>> {
        if field == b"\\N" {
            return None;
        }
        let mut bytes = field.iter();
        let mut text = Vec::new();
        while let Some(byte) = bytes.next() {
            text.push(match byte {
                b'\\' => match bytes.next().unwrap() {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b'b' => 8,
                    b'v' => 11,
                    b'f' => 12,
                    b'\\' => b'\\',
                    other => panic!("unknown escape {other}"),
                },
                byte => *byte,
            });
        }
        Some(text)
    }

    /// Whether a field says the same as a value.
    fn same(field: &[u8], value: &Value, column: &OutputColumn) -> bool {
        let text = || std::str::from_utf8(field).unwrap();
        match value {
            Value::Null => field.is_empty(),
            Value::Bool(value) => text().parse() == Ok(*value),
            Value::Float(value) => text().parse() == Ok(*value),
            Value::Text(value) => field == value.as_ref(),
            Value::List(items) => field == items.join(&b','),
            Value::UInt(0) if column.ty.is_flags() => field.is_empty(),
            Value::Int(_) | Value::UInt(_) if column.ty.is_flags() || column.unit == Unit::Hex => {
                let (sign, digits) =
                    text().strip_prefix('-').map_or((1, text()), |rest| (-1, rest));
                let digits = digits.strip_prefix("0x").unwrap();
                value.integer() == Some(sign * i128::from_str_radix(digits, 16).unwrap())
            }
            Value::Int(value) => text().parse() == Ok(*value),
            Value::UInt(value) => text().parse() == Ok(*value),
        }
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let output = answer(vec![
            ("na,me", Type::Text, Unit::None, vec![Value::text("a \"b\", c\nd"), Value::text("x")]),
            ("size", Type::UInt, Unit::Bytes, vec![Value::UInt(4096), Value::Null]),
            ("address", Type::UInt, Unit::Hex, vec![Value::UInt(255), Value::UInt(0)]),
        ]);
        let expected = "\"na,me\",size,address\n\"a \"\"b\"\", c\nd\",4096,0xff\nx,,0x0\n";
        assert_eq!(text(&CSV, &output), expected);
    }

    #[test]
    fn null_is_told_from_text() {
        let values =
            vec![Value::Null, Value::text(""), Value::text("\\N"), Value::text("a\tb\nc\\")];
        let output = answer(vec![("x", Type::Text, Unit::None, values.clone())]);
        assert_eq!(text(&TSV, &output), "x\n\\N\n\n\\\\N\na\\tb\\nc\\\\\n");
        assert_eq!(text(&CSV, &output), "x\n\n\"\"\n\\N\n\"a\tb\nc\\\"\n");
        let columns = ["x", "y"].map(|name| (name, Type::Text, Unit::None, values[..2].to_vec()));
        assert_eq!(text(&CSV, &answer(columns.into())), "x,y\n,\n\"\",\"\"\n");
    }

    #[test]
    fn every_byte_of_a_name_survives() {
        let output = answer(vec![
            ("name", Type::Text, Unit::None, nasty_texts()),
            ("again", Type::Text, Unit::None, nasty_texts()),
        ]);
        let csv = parse_csv(&rendered(&CSV, &output));
        let tsv = parse_tsv(&rendered(&TSV, &output));
        for (index, name) in nasty_texts().into_iter().enumerate() {
            let Value::Text(name) = name else { panic!("not a text") };
            assert_eq!(csv[index + 1], [Some(name.to_vec()), Some(name.to_vec())]);
            assert_eq!(tsv[index + 1], [Some(name.to_vec()), Some(name.to_vec())]);
        }
    }

    #[test]
    fn every_digit_survives() {
        let output = answer(vec![("n", Type::Int, Unit::Bytes, extremes())]);
        let expected = "n\n18446744073709551615\n9007199254740993\n0\n-9223372036854775808\n-1\n\
                        9223372036854775807\n";
        assert_eq!(text(&CSV, &output), expected);
        assert_eq!(text(&TSV, &output), expected);
    }

    proptest! {
        #[test]
        fn rows_parse_back(output in random_answer()) {
            let csv = parse_csv(&rendered(&CSV, &output));
            let tsv = parse_tsv(&rendered(&TSV, &output));
            if output.columns.len() > 1 {
                let texts = |record: &Vec<Option<Vec<u8>>>| -> Vec<Vec<u8>> {
                    record.iter().map(|field| field.clone().unwrap_or_default()).collect()
                };
                let same: Vec<_> = csv.iter().map(texts).collect();
                prop_assert_eq!(parse_by_crate(&rendered(&CSV, &output)), same);
            }
            prop_assert_eq!(csv.len(), output.rows.len() + 1);
            prop_assert_eq!(tsv.len(), output.rows.len() + 1);
            for (index, row) in output.rows.iter().enumerate() {
                for (place, (value, column)) in row.iter().zip(&output.columns).enumerate() {
                    for field in [&csv[index + 1][place], &tsv[index + 1][place]] {
                        prop_assert_eq!(field.is_none(), *value == Value::Null);
                        if let Some(field) = field {
                            prop_assert!(same(field, value, column), "{:?} {:?}", field, value);
                        }
                    }
                }
            }
        }
    }
}
