//! Renders an answer as text: a table, CSV, TSV, JSON, Markdown or a line a field.
//!
//! A [`Renderer`] is made from the columns, takes rows in batches and is finished; only the table keeps rows, as it
//! needs their widths. The bytes go to one writer, which a caller gives and gets back. That writer carries the
//! answer and nothing else: row counts, warnings and times belong on standard error.
//!
//! ```text
//! values ── unit ──▶ text for people    ──▶ table, markdown, vertical
//!        └─ unit ──▶ text for programs  ──▶ csv, tsv, json, ndjson
//! ```
//!
//! # Invariants
//!
//! Formats for programs hold every value exactly: 64-bit integers to the last digit, texts to the last byte.
//! Formats for people never cut a number short, and never hand a control character to the terminal.
//!
//! # Not done here
//!
//! Whether standard output is a terminal, how wide it is and whether it shows colours; [`Options`] says so. A closed
//! pipe is an error like any other here; what it means is for the caller.

mod color;
mod csv;
mod grid;
mod json;
mod layout;
mod markdown;
mod table;
mod unit;
mod vertical;

use std::fmt;
use std::io::{self, Write};

use query::output::{Output, OutputColumn};
use query::value::{Unit, Value};

use crate::kernel::signals;
use crate::report::escape::printable;
use crate::report::terminal::ascii;

pub use self::csv::CSV;
pub use color::Color;
pub(crate) use grid::{lines, width};
pub use json::{text_from_json, text_to_json};
pub(crate) use layout::{Layout, Seen};
pub use table::TABLE;
pub use unit::{duration, plain, shown};
pub use vertical::VERTICAL;

/// The formats, in the order of help texts. One that is missing here is dead code.
pub static FORMATS: &[Format] =
    &[&TABLE, &CSV, &csv::TSV, &json::JSON, &json::NDJSON, &markdown::MARKDOWN, &VERTICAL];

/// How an answer is written.
pub type Format = &'static FormatRow;

/// A format, as its own file registers it.
pub struct FormatRow {
    /// Its name on the command line.
    pub name: &'static str,
    /// How the names of files end that ask for it.
    endings: &'static [&'static str],
    /// What it is, for help texts.
    pub help: &'static str,
    /// Whether it is for people, not for programs.
    pub for_people: bool,
    /// Starts an answer: writes the header, where the format can have one before it has seen rows.
    begin: fn(&Frame, &mut dyn Write) -> io::Result<Box<dyn Rows>>,
}

/// The rows of an answer in one format. It is called once for a batch.
trait Rows {
    /// Adds rows, each with a value for every column.
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()>;

    /// The columns that are hidden, by all rows that there are so far.
    fn hidden(&self, _: &Frame) -> Vec<Hidden> {
        Vec::new()
    }

    /// Writes what is left.
    fn finish(self: Box<Self>, _: &Frame, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

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

impl PartialEq for FormatRow {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FormatRow {}

impl fmt::Debug for FormatRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What formats for people depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// Shows numbers with every digit and without a unit.
    pub exact: bool,
    /// Whether numbers that are not exact have a comma before every third digit.
    pub thousands: bool,
    /// Columns of the terminal; none for a file, where lines may be long. 0 is a terminal that does not tell,
    /// and means 80.
    pub width: Option<u16>,
    /// Whether the terminal shows bold and dim text.
    pub color: bool,
    /// What stands for NULL.
    pub null: String,
    /// Where a table that does not fit may be written one field per line instead: the lines of the screen.
    pub fields: Option<u16>,
    /// The columns that a table hides last: those that the answer is sorted by.
    pub sorted: Vec<usize>,
    /// Whether only ASCII is shown.
    pub ascii: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            exact: false,
            thousands: true,
            width: None,
            color: false,
            null: "NULL".to_owned(),
            fields: None,
            sorted: Vec::new(),
            ascii: false,
        }
    }
}

impl Options {
    /// A number of things, as a table would show it.
    #[must_use]
    pub fn count(&self, count: usize) -> String {
        let text = count.to_string();
        if self.thousands && !self.exact { unit::grouped(&text) } else { text }
    }
}

/// What tables are drawn with.
#[derive(Clone, Copy)]
struct Glyphs {
    /// What lines are made of.
    rule: char,
    /// What stands at the end of a text that is cut.
    cut: &'static str,
}

const UNICODE: Glyphs = Glyphs { rule: '─', cut: "…" };
const ASCII: Glyphs = Glyphs { rule: '-', cut: "..." };

/// A column that is not shown, for lack of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its name, as it would be shown.
    pub name: String,
    /// What all rows say, if they say the same.
    pub same: Option<String>,
}

/// What a format knows besides the rows.
pub(crate) struct Frame {
    pub columns: Vec<OutputColumn>,
    pub options: Options,
}

impl Frame {
    /// The texts of a row for people; None is NULL.
    fn cells(&self, row: &[Value]) -> Vec<Option<String>> {
        let pairs = row.iter().zip(&self.columns);
        let options = &self.options;
        pairs.map(|(value, column)| Some(self.fit(shown(value, column, options)?))).collect()
    }

    /// A text in the characters of the terminal.
    pub fn fit(&self, text: String) -> String {
        if self.options.ascii { ascii(&text) } else { text }
    }

    /// What tables are drawn with.
    fn glyphs(&self) -> Glyphs {
        if self.options.ascii { ASCII } else { UNICODE }
    }

    /// The names of the columns for people.
    pub fn names(&self) -> Vec<String> {
        let names = self.columns.iter().map(|column| printable(column.name.as_bytes()));
        names.map(|name| self.fit(name)).collect()
    }

    /// Whether a column's values end below each other: those of numbers do, and bars begin there.
    fn is_right(&self, column: &OutputColumn) -> bool {
        column.ty.is_number() && (column.unit != Unit::Bar || self.options.exact)
    }

    /// The columns of the terminal.
    fn width(&self) -> Option<usize> {
        self.options.width.map(|width| if width == 0 { 80 } else { width.into() })
    }
}

/// Rows that are written at once: between them writing may end.
const BATCH: usize = 1024;

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
        let frame = Frame { columns, options };
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
                let rows = vec![vec![Value::UInt(1)]; rows];
                let output = Output { columns: vec![column("x")], rows, warnings: vec![] };
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
                Unit::None,
                vec![Value::text("a"), Value::text("longer"), Value::Null],
            ),
            (
                "n",
                Type::UInt,
                Unit::Count,
                vec![Value::UInt(1), Value::Null, Value::UInt(u64::MAX)],
            ),
        ]);
        for &format in FORMATS {
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
            assert!(whole.ends_with(b"\n"), "{format:?}");
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
        for &format in FORMATS {
            let empty = text(format, vec![]);
            assert!(empty.trim_matches(['[', ']', '\n']).is_empty(), "{format:?}: {empty:?}");
        }
    }

    #[test]
    fn no_format_for_people_lets_control_characters_through() {
        let output = answer(vec![("na\x1bme", Type::Text, Unit::None, fixture::nasty_texts())]);
        for format in [&TABLE, &MARKDOWN, &VERTICAL, &JSON, &NDJSON] {
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
