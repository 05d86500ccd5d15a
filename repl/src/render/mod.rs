//! Renders an answer: a table, CSV, TSV, JSON, Markdown, a line a field, a page, an image, metrics, stacks,
//! profiles, Parquet, Arrow.
//!
//! A [`Renderer`] is made from the columns, takes rows in batches and is finished. Tables, pages and images keep
//! rows, as they need their widths, and so do metrics, which are written column by column. The bytes go to one writer, which a caller gives
//! and gets back. That writer carries the answer and nothing else: row counts, warnings and times belong on standard
//! error.
//!
//! ```text
//! values ── unit ──▶ text for people    ──▶ table, markdown, vertical, html, svg
//!        ├─ unit ──▶ text for programs  ──▶ csv, tsv, json, ndjson, openmetrics, folded, pprof
//!        └─ columnar ─▶ typed columns   ──▶ parquet, arrow
//! ```
//!
//! # Invariants
//!
//! Formats for programs hold every value exactly: 64-bit integers to the last digit, texts to the last byte.
//! Formats for people never cut a number short. No format hands a control character to the terminal, be it at the price of the
//! byte that it is in a pipe.
//!
//! # Not done here
//!
//! Whether standard output is a terminal, how wide it is and whether it shows colours; [`Options`] says so. A closed
//! pipe is an error like any other here; what it means is for the caller.

mod arrow;
mod color;
mod columnar;
mod csv;
mod flame;
mod folded;
mod format;
mod grid;
mod html;
mod json;
mod layout;
mod markdown;
mod openmetrics;
mod options;
mod parquet;
mod pprof;
mod scale;
mod stacks;
mod svg;
mod table;
mod unit;
mod vertical;
mod wire;

use std::io::{self, Write};

use query::output::{Output, OutputColumn};
use query::value::Value;

use crate::kernel::signals;

pub use self::csv::CSV;
pub use color::Color;
pub(crate) use format::Frame;
use format::{BATCH, Rows};
pub use format::{Capacity, Format, FormatRow, Hidden};
pub(crate) use grid::{growth, lines, width};
pub use json::{text_from_json, text_to_json};
pub(crate) use layout::{Layout, Seen};
pub use openmetrics::OPENMETRICS;
pub use options::Options;
pub(crate) use scale::escaped;
pub use svg::SVG;
pub use table::TABLE;
pub use unit::{bar, duration, plain, shown, spark};
pub use vertical::VERTICAL;
pub use wire::{MARK, VERSION, WIRE, from_json, push_row};

/// The formats, in the order of help texts. One that is missing here is dead code.
pub static FORMATS: &[Format] = &[
    &TABLE,
    &CSV,
    &csv::TSV,
    &json::JSON,
    &json::NDJSON,
    &markdown::MARKDOWN,
    &VERTICAL,
    &html::HTML,
    &SVG,
    &OPENMETRICS,
    &folded::FOLDED,
    &pprof::PPROF,
    &parquet::PARQUET,
    &arrow::ARROW,
    &WIRE,
];

/// The format of a file whose name ends so, whatever the case.
#[must_use]
pub fn of_ending(ending: &str) -> Option<Format> {
    let ending = ending.to_ascii_lowercase();
    FORMATS.iter().copied().find(|format| format.endings.contains(&ending.as_str()))
}

/// The format of a name.
#[must_use]
pub fn of_name(name: &str) -> Option<Format> {
    FORMATS.iter().copied().find(|format| format.name == name)
}

/// Writes an answer, batch by batch.
pub struct Renderer<'a> {
    frame: Frame,
    rows: Box<dyn Rows>,
    out: &'a mut dyn Write,
}

impl<'a> Renderer<'a> {
    /// Starts an answer: writes the header, where the format can have one before it has seen rows.
    pub fn new(
        format: Format,
        columns: Vec<OutputColumn>,
        options: Options,
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let frame = if format.for_people { Frame::for_people } else { Frame::new };
        let frame = frame(columns, options);
        let rows = (format.begin)(&frame, out)?;
        Ok(Self { frame, rows, out })
    }

    /// Adds rows, each with a value for every column.
    pub fn rows(&mut self, rows: &[Vec<Value>]) -> io::Result<()> {
        for rows in rows.chunks(BATCH) {
            signals::check_io()?;
            self.rows.add(&self.frame, rows, self.out)?;
        }
        Ok(())
    }

    /// The columns that are hidden, by all rows that there are so far.
    #[must_use]
    pub fn hidden(&self) -> Vec<Hidden> {
        self.rows.hidden(&self.frame)
    }

    /// Hands on what is written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes what is left, and flushes.
    pub fn finish(self) -> io::Result<()> {
        self.rows.finish(&self.frame, self.out)?;
        self.out.flush()
    }
}

/// Fails if [`SVG`] cannot draw answers of these columns as flame graphs.
pub fn is_flame(columns: &[OutputColumn]) -> io::Result<()> {
    stacks::Stacks::of("a flame graph", columns).map(drop)
}

/// Writes a whole answer; its warnings are the caller's.
pub fn render(
    format: Format,
    output: &Output,
    options: Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut renderer = Renderer::new(format, output.columns.clone(), options, out)?;
    renderer.rows(&output.rows)?;
    renderer.finish()
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::csv::TSV;
    use super::fixture::{answer, column};
    use super::json::{JSON, NDJSON};
    use super::markdown::MARKDOWN;
    use super::*;
    use query::value::{Type, Unit};

    #[test]
    fn names_and_endings_are_of_one_format() {
        for format in FORMATS {
            assert_eq!(of_name(format.name), Some(*format));
            assert!(!format.help.is_empty());
            assert!(!format.endings.is_empty());
            for ending in format.endings {
                assert_eq!(of_ending(&ending.to_uppercase()), Some(*format), "{ending}");
            }
        }
        assert_eq!((of_name("xml"), of_ending("xml")), (None, None));
    }

    /// A format is its row and what the row begins.
    #[test]
    fn a_format_is_one_row() {
        struct Count(usize);
        impl Rows for Count {
            fn add(&mut self, _: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
                self.0 += rows.len();
                Ok(())
            }
            fn finish(self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
                writeln!(out, "{} rows of {}", self.0, frame.names().join(", "))
            }
        }
        static COUNT: FormatRow = FormatRow {
            name: "count",
            endings: &["count"],
            help: "how many rows there are",
            for_people: true,
            capacity: Capacity::Many,
            stacks_only: false,
            begin: |_, _| Ok(Box::new(Count(0))),
        };
        let rows = vec![vec![Value::UInt(1)]; 3];
        let output = Output { columns: vec![column("x")], rows, warnings: vec![] };
        assert_eq!(fixture::rendered(&COUNT, &output), b"3 rows of x\n");
    }

    /// A reader that went away: `| head`.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_told_as_one() {
        for &format in FORMATS {
            for rows in [1, 5000] {
                let stack = |row: u64| Value::text(row.to_string());
                let rows = (0..rows).map(|row| vec![stack(row), Value::UInt(row)]).collect();
                let stack = OutputColumn::new("stack", Type::Text, Unit::Stack);
                let output = Output { columns: vec![stack, column("x")], rows, warnings: vec![] };
                let error = render(format, &output, Options::default(), &mut Closed).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{format:?}");
            }
        }
    }

    #[test]
    fn batches_do_not_show() {
        let output = answer(vec![
            (
                "name",
                Type::Text,
                Unit::Stack,
                vec![Value::text("a"), Value::text("longer"), Value::Null],
            ),
            (
                "n",
                Type::UInt,
                Unit::Count,
                vec![Value::UInt(1), Value::Null, Value::UInt(u64::MAX >> 1)],
            ),
        ]);
        // Arrow's batches are there to be seen.
        for &format in FORMATS.iter().filter(|format| format.name != "arrow") {
            let whole = fixture::rendered(format, &output);
            let mut out = Vec::new();
            let mut renderer =
                Renderer::new(format, output.columns.clone(), Options::default(), &mut out)
                    .unwrap();
            for row in &output.rows {
                renderer.rows(std::slice::from_ref(row)).unwrap();
                renderer.rows(&[]).unwrap();
            }
            renderer.finish().unwrap();
            assert_eq!(out, whole, "{format:?}");
            let is_text = format.capacity != Capacity::Binary;
            assert!(!is_text || whole.ends_with(b"\n"), "{format:?}");
        }
    }

    #[test]
    fn answers_without_rows_or_columns() {
        let text = |format, columns: Vec<OutputColumn>| {
            let output = Output { columns, ..Output::default() };
            String::from_utf8(fixture::rendered(format, &output)).unwrap()
        };
        let columns = || vec![column("a"), column("b")];
        assert_eq!(text(&TABLE, columns()), "a  b\n────\n");
        assert_eq!(text(&CSV, columns()), "a,b\n");
        assert_eq!(text(&TSV, columns()), "a\tb\n");
        assert_eq!(text(&JSON, columns()), "[]\n");
        assert_eq!(text(&NDJSON, columns()), "");
        assert_eq!(text(&MARKDOWN, columns()), "| a | b |\n| ---: | ---: |\n");
        assert_eq!(text(&VERTICAL, columns()), "");
        let wire = text(&WIRE, vec![]);
        assert!(wire.contains("\"columns\":[]") && wire.ends_with("}\n{\"rows\":0}\n"), "{wire}");
        let any = |format: &&Format| {
            format.capacity == Capacity::Many && !format.stacks_only && **format != &WIRE
        };
        for &format in FORMATS.iter().filter(any) {
            let empty = text(format, vec![]);
            assert!(empty.trim_matches(['[', ']', '\n']).is_empty(), "{format:?}: {empty:?}");
        }
    }

    #[test]
    fn no_format_for_people_lets_control_characters_through() {
        let output = answer(vec![("na\x1bme", Type::Text, Unit::None, fixture::nasty_texts())]);
        let for_people = FORMATS.iter().copied().filter(|format| format.for_people);
        for format in for_people.chain([&JSON, &NDJSON]) {
            for width in [None, Some(0), Some(30), Some(200)] {
                let options = Options { width, ..Options::default() };
                let text =
                    String::from_utf8(fixture::rendered_with(format, &output, options)).unwrap();
                assert!(
                    !text.chars().any(|c| c != '\n' && query::escape::is_hazard(c)),
                    "{format:?}: {text:?}"
                );
            }
        }
    }
}
