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
pub struct Frame {
    pub columns: Vec<OutputColumn>,
    pub options: Options,
}

impl Frame {
    /// The texts of a row for people; None is NULL.
    pub fn cells(&self, row: &[Value]) -> Vec<Option<String>> {
        let pairs = row.iter().zip(&self.columns);
        let options = &self.options;
        pairs.map(|(value, column)| Some(self.fit(shown(value, column, options)?))).collect()
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
