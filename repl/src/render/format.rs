//! What a format is: the row that registers it, what it makes of rows, and what it knows besides them.

use std::fmt;
use std::io::{self, Write};

use query::output::OutputColumn;
use query::value::{Unit, Value};

use super::options::Options;
use super::unit::shown;
use crate::report::escape::printable;
use crate::report::terminal::ascii;

/// How an answer is written.
pub type Format = &'static FormatRow;

/// A format, as its own file registers it.
pub struct FormatRow {
    /// Its name on the command line.
    pub name: &'static str,
    /// How the names of files end that ask for it.
    pub endings: &'static [&'static str],
    /// What it is, for help texts.
    pub help: &'static str,
    /// Whether it is for people, not for programs.
    pub for_people: bool,
    /// How many answers a file of it can have.
    pub capacity: Capacity,
    /// Whether it refuses an answer without a stack and a number.
    pub stacks_only: bool,
    /// Starts an answer: writes the header, where the format can have one before it has seen rows.
    pub begin: fn(&Frame, &mut dyn Write) -> io::Result<Box<dyn Rows>>,
}

/// How many answers a file or a stream of a format can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// Any number, one behind the other.
    Many,
    /// One, which is complete when it is written: a watch has no use for it.
    One,
    /// One, of bytes that no terminal shows; a watch makes it longer, tick by tick.
    Binary,
}

/// The rows of an answer in one format. It is called once for a batch.
pub trait Rows {
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

/// What tables are drawn with.
#[derive(Clone, Copy)]
pub struct Glyphs {
    /// What lines are made of.
    pub rule: char,
    /// What stands at the end of a text that is cut.
    pub cut: &'static str,
    /// What stands for rows that are left out.
    pub gap: &'static str,
}

const UNICODE: Glyphs = Glyphs { rule: '─', cut: "…", gap: "·" };
const ASCII: Glyphs = Glyphs { rule: '-', cut: "...", gap: ":" };

/// A column that is not shown, for lack of room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Its name, as it would be shown.
    pub name: String,
    /// What all rows say, if they say the same.
    pub same: Option<String>,
}

/// What a format knows besides the rows.
pub struct Frame {
    /// The columns that are shown.
    pub columns: Vec<OutputColumn>,
    pub options: Options,
    /// Whether a row says behind these columns if it is the totals.
    totals: bool,
}

impl Frame {
    /// For programs, which read all columns.
    pub fn new(columns: Vec<OutputColumn>, options: Options) -> Self {
        Self { columns, options, totals: false }
    }

    /// For people, to whom the row with the totals is shown as such, in place of a column that says which one it is.
    pub fn for_people(mut columns: Vec<OutputColumn>, options: Options) -> Self {
        let totals = columns.pop_if(|column| column.totals).is_some();
        Self { columns, options, totals }
    }

    /// Whether a row is the totals, for people.
    pub fn is_totals(&self, row: &[Value]) -> bool {
        self.totals && row.get(self.columns.len()) == Some(&Value::Bool(true))
    }

    /// The texts of a row for people; None is NULL.
    pub fn cells(&self, row: &[Value]) -> Vec<Option<String>> {
        let pairs = row.iter().zip(&self.columns);
        let options = &self.options;
        let mut cells: Vec<_> =
            pairs.map(|(value, column)| Some(self.fit(shown(value, column, options)?))).collect();
        if self.is_totals(row) {
            // What tells groups apart is NULL in it.
            let mut label = "total";
            for (cell, column) in cells.iter_mut().zip(&self.columns) {
                if column.identifies && cell.is_none() {
                    *cell = Some(std::mem::take(&mut label).to_owned());
                }
            }
        }
        cells
    }

    /// A text in the characters of the terminal.
    pub fn fit(&self, text: String) -> String {
        if self.options.ascii { ascii(&text) } else { text }
    }

    /// What tables are drawn with.
    pub fn glyphs(&self) -> Glyphs {
        if self.options.ascii { ASCII } else { UNICODE }
    }

    /// The names of the columns for people.
    pub fn names(&self) -> Vec<String> {
        let names = self.columns.iter().map(|column| printable(column.name.as_bytes()));
        names.map(|name| self.fit(name)).collect()
    }

    /// Whether a column's values end below each other: those of numbers do, and bars begin there.
    pub fn is_right(&self, column: &OutputColumn) -> bool {
        column.ty.is_number() && (column.unit != Unit::Bar || self.options.exact)
    }

    /// The columns of the terminal.
    pub fn width(&self) -> Option<usize> {
        self.options.width.map(|width| if width == 0 { 80 } else { width.into() })
    }
}

/// Rows that are written at once: between them writing may end.
pub const BATCH: usize = 1024;

#[cfg(test)]
mod tests {
    use query::output::Output;
    use query::value::Type;

    use super::super::fixture::rendered;
    use super::super::{FORMATS, of_name};
    use super::*;

    /// Two groups, one of them of NULL, and their totals.
    fn grouped() -> Output {
        let mut kind = OutputColumn::new("kind", Type::Text, Unit::None);
        let mut total = OutputColumn::new("total", Type::Bool, Unit::None);
        kind.identifies = true;
        (total.identifies, total.totals) = (true, true);
        let row = |kind, n, total| vec![kind, Value::UInt(n), Value::Bool(total)];
        Output {
            columns: vec![kind, OutputColumn::new("n", Type::UInt, Unit::Count), total],
            rows: vec![
                row(Value::text("dma"), 3, false),
                row(Value::Null, 12, false),
                row(Value::Null, 15, true),
            ],
            warnings: vec![],
        }
    }

    fn text(format: &str) -> String {
        String::from_utf8(rendered(of_name(format).unwrap(), &grouped())).unwrap()
    }

    #[test]
    fn totals_are_marked_for_people() {
        assert_eq!(
            text("table"),
            "kind    n\n─────────\ndma     3\nNULL   12\n─────────\ntotal  15\n"
        );
        assert!(text("vertical").ends_with(
            "── row 2 ───────────────────────────────\nkind  NULL\nn     12\n\
             ── total ───────────────────────────────\nkind  total\nn     15\n"
        ));
        assert!(text("markdown").ends_with("| NULL | 12 |\n| **total** | **15** |\n"));
        let page = text("html");
        // The totals are no measure of bars, and have none.
        assert!(
            page.contains("title=\"12\" style=\"--bar:100.0%\">12</td></tr>\n</tbody>\n<tfoot>\n")
        );
        assert!(page.contains("title=\"15\">15</td></tr>\n</tfoot>\n"), "{page}");
        let image = text("svg");
        assert!(image.contains("font-weight=\"bold\">total</text>"), "{image}");
        assert_eq!(image.matches("fill=\"#48c\"").count(), 2, "{image}");
    }

    #[test]
    fn programs_read_a_column() {
        for format in FORMATS.iter().filter(|format| !format.for_people && !format.stacks_only) {
            let bytes = rendered(format, &grouped());
            assert!(bytes.windows(5).any(|some| some == b"total"), "{format:?}");
        }
        assert_eq!(text("csv"), "kind,n,total\ndma,3,false\n,12,false\n,15,true\n");
        assert!(text("ndjson").ends_with("{\"kind\":null,\"n\":15,\"total\":true}\n"));
        assert!(text("openmetrics").contains("slabql_n{total=\"true\"} 15\n"));
    }
}
