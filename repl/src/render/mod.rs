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
mod markdown;
mod table;
mod unit;
mod vertical;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use query::output::{Output, OutputColumn};
use query::value::{Unit, Value};

use crate::kernel::signals;
use crate::report::escape::printable;
use crate::report::terminal::ascii;

pub use color::Color;
pub(crate) use grid::width;
pub use json::{text_from_json, text_to_json};
pub use unit::{duration, plain, shown};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Aligned columns under a header, for a terminal.
    #[default]
    Table,
    /// Comma-separated values after RFC 4180.
    Csv,
    /// Tab-separated values with backslash escapes.
    Tsv,
    /// One array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// A table of GitHub's Markdown.
    Markdown,
    /// A field a line.
    Vertical,
}

impl Format {
    /// All formats, in the order of help texts.
    pub const ALL: [Self; 7] = [
        Self::Table,
        Self::Csv,
        Self::Tsv,
        Self::Json,
        Self::Ndjson,
        Self::Markdown,
        Self::Vertical,
    ];

    /// What it is, as its own file says.
    fn about(self) -> &'static About {
        match self {
            Self::Table => &table::ABOUT,
            Self::Csv => &csv::CSV,
            Self::Tsv => &csv::TSV,
            Self::Json => &json::ARRAY,
            Self::Ndjson => &json::LINES,
            Self::Markdown => &markdown::ABOUT,
            Self::Vertical => &vertical::ABOUT,
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// What it is, for help texts.
    #[must_use]
    pub fn help(self) -> &'static str {
        self.about().help
    }

    /// Whether it is for people, not for programs.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        self.about().for_people
    }

    /// The format of a file whose name ends so, whatever the case.
    #[must_use]
    pub fn of_ending(ending: &str) -> Option<Self> {
        let ending = ending.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.about().endings.contains(&ending.as_str()))
    }
}

/// A format, as its file registers it.
pub struct About {
    /// Its name on the command line.
    name: &'static str,
    /// How the names of files end that ask for it.
    endings: &'static [&'static str],
    /// What it is, for help texts.
    help: &'static str,
    /// Whether it is for people, not for programs.
    for_people: bool,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error for a name that is no format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Format::ALL.map(Format::name);
        let (last, others) = names.split_last().expect("there are formats");
        let name = printable(self.0.as_bytes());
        write!(f, "unknown format `{name}`, expected {} or {last}", others.join(", "))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What formats for people depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Shows numbers with every digit and without a unit.
    pub exact: bool,
    /// Columns of the terminal; none for a file, where lines may be long. 0 is a terminal that does not tell,
    /// and means 80.
    pub width: Option<u16>,
    /// Whether the terminal shows bold and dim text.
    pub color: bool,
    /// What stands for NULL.
    pub null: String,
    /// Where a table that does not fit may be written a field a line instead: the lines of the screen.
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
            width: None,
            color: false,
            null: "NULL".to_owned(),
            fields: None,
            sorted: Vec::new(),
            ascii: false,
        }
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

/// What a format knows besides the rows.
struct Frame {
    columns: Vec<OutputColumn>,
    options: Options,
}

impl Frame {
    /// The texts of a row for people; None is NULL.
    fn cells(&self, row: &[Value]) -> Vec<Option<String>> {
        let pairs = row.iter().zip(&self.columns);
        let exact = self.options.exact;
        pairs.map(|(value, column)| Some(self.fit(shown(value, column, exact)?))).collect()
    }

    /// A text in the characters of the terminal.
    fn fit(&self, text: String) -> String {
        if self.options.ascii { ascii(&text) } else { text }
    }

    /// What tables are drawn with.
    fn glyphs(&self) -> Glyphs {
        if self.options.ascii { ASCII } else { UNICODE }
    }

    /// The names of the columns for people.
    fn names(&self) -> Vec<String> {
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
pub struct Renderer<W: Write> {
    frame: Frame,
    format: Writer<W>,
}

enum Writer<W: Write> {
    Table(table::Table<W>),
    Separated(csv::Separated<W>),
    Json(json::Json<W>),
    Markdown(markdown::Markdown<W>),
    Vertical(vertical::Vertical<W>),
}

impl<W: Write> Renderer<W> {
    /// Starts an answer: writes the header, where the format can have one before it has seen rows.
    pub fn new(
        format: Format,
        columns: Vec<OutputColumn>,
        options: Options,
        out: W,
    ) -> io::Result<Self> {
        let frame = Frame { columns, options };
        let format = match format {
            Format::Table => Writer::Table(table::Table::new(&frame, out)),
            Format::Csv => Writer::Separated(csv::Separated::commas(&frame, out)?),
            Format::Tsv => Writer::Separated(csv::Separated::tabs(&frame, out)?),
            Format::Json => Writer::Json(json::Json::array(&frame, out)?),
            Format::Ndjson => Writer::Json(json::Json::lines(&frame, out)?),
            Format::Markdown => Writer::Markdown(markdown::Markdown::new(&frame, out)?),
            Format::Vertical => Writer::Vertical(vertical::Vertical::new(&frame, out)),
        };
        Ok(Self { frame, format })
    }

    /// Adds rows, each with a value for every column.
    pub fn rows(&mut self, rows: &[Vec<Value>]) -> io::Result<()> {
        let frame = &self.frame;
        for rows in rows.chunks(BATCH) {
            signals::check_io()?;
            match &mut self.format {
                Writer::Table(table) => table.rows(frame, rows),
                Writer::Separated(separated) => separated.rows(frame, rows)?,
                Writer::Json(json) => json.rows(frame, rows)?,
                Writer::Markdown(markdown) => markdown.rows(frame, rows)?,
                Writer::Vertical(vertical) => vertical.rows(frame, rows)?,
            }
        }
        Ok(())
    }

    /// The names of the columns that are hidden, by all rows that there are so far.
    pub fn hidden(&self) -> Vec<String> {
        match &self.format {
            Writer::Table(table) => table.hidden(&self.frame),
            _ => Vec::new(),
        }
    }

    /// Hands on what is written so far, in formats that write row by row for programs.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.format {
            Writer::Separated(separated) => separated.flush(),
            Writer::Json(json) => json.flush(),
            Writer::Table(_) | Writer::Markdown(_) | Writer::Vertical(_) => Ok(()),
        }
    }

    /// Writes what is left, flushes and returns the writer.
    pub fn finish(self) -> io::Result<W> {
        let mut out = match self.format {
            Writer::Table(table) => table.finish(&self.frame)?,
            Writer::Separated(separated) => separated.finish(),
            Writer::Json(json) => json.finish()?,
            Writer::Markdown(markdown) => markdown.finish(),
            Writer::Vertical(vertical) => vertical.finish(),
        };
        out.flush()?;
        Ok(out)
    }
}

/// Writes a whole answer; its warnings are the caller's.
pub fn render<W: Write>(
    format: Format,
    output: &Output,
    options: Options,
    out: W,
) -> io::Result<W> {
    let mut renderer = Renderer::new(format, output.columns.clone(), options, out)?;
    renderer.rows(&output.rows)?;
    renderer.finish()
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{answer, column};
    use super::*;
    use query::value::{Type, Unit};

    #[test]
    fn formats_have_names() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert!(!format.help().is_empty());
        }
        let error = "xml\x1b".parse::<Format>().unwrap_err().to_string();
        let names = "table, csv, tsv, json, ndjson, markdown or vertical";
        assert_eq!(error, format!("unknown format `xml\\x1b`, expected {names}"));
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
        for format in Format::ALL {
            for rows in [1, 5000] {
                let rows = vec![vec![Value::UInt(1)]; rows];
                let output = Output { columns: vec![column("x")], rows, warnings: vec![] };
                let error = render(format, &output, Options::default(), Closed).err().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{format}");
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
        for format in Format::ALL {
            let whole = render(format, &output, Options::default(), Vec::new()).unwrap();
            let mut renderer =
                Renderer::new(format, output.columns.clone(), Options::default(), Vec::new())
                    .unwrap();
            for row in &output.rows {
                renderer.rows(std::slice::from_ref(row)).unwrap();
                renderer.rows(&[]).unwrap();
            }
            assert_eq!(renderer.finish().unwrap(), whole, "{format}");
            assert!(whole.ends_with(b"\n"), "{format}");
        }
    }

    #[test]
    fn answers_without_rows_or_columns() {
        let text = |format, columns: Vec<OutputColumn>| {
            let output = Output { columns, ..Output::default() };
            String::from_utf8(render(format, &output, Options::default(), Vec::new()).unwrap())
                .unwrap()
        };
        let columns = || vec![column("a"), column("b")];
        assert_eq!(text(Format::Table, columns()), "a  b\n────\n");
        assert_eq!(text(Format::Csv, columns()), "a,b\n");
        assert_eq!(text(Format::Tsv, columns()), "a\tb\n");
        assert_eq!(text(Format::Json, columns()), "[]\n");
        assert_eq!(text(Format::Ndjson, columns()), "");
        assert_eq!(text(Format::Markdown, columns()), "| a | b |\n| ---: | ---: |\n");
        assert_eq!(text(Format::Vertical, columns()), "");
        for format in Format::ALL {
            let empty = text(format, vec![]);
            assert!(empty.trim_matches(['[', ']', '\n']).is_empty(), "{format}: {empty:?}");
        }
    }

    #[test]
    fn no_format_for_people_lets_control_characters_through() {
        let output = answer(vec![("na\x1bme", Type::Text, Unit::None, fixture::nasty_texts())]);
        for format in
            [Format::Table, Format::Markdown, Format::Vertical, Format::Json, Format::Ndjson]
        {
            for width in [None, Some(0), Some(30), Some(200)] {
                let options = Options { width, ..Options::default() };
                let bytes = render(format, &output, options, Vec::new()).unwrap();
                let text = String::from_utf8(bytes).unwrap();
                assert!(
                    !text.chars().any(|c| c != '\n' && query::escape::is_hazard(c)),
                    "{format}: {text:?}"
                );
            }
        }
    }
}
