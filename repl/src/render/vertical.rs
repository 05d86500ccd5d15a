//! Writes one field per line, for rows that are too wide for a table.
//!
//! ```text
//! ── row 1 ────────────────────
//! name         kmalloc-64
//! object_size  64 B
//! ```
//!
//! On a terminal long texts go on below their start, so nothing is cut: names too, where they leave less than 20 columns
//! to the values. Both get 20 columns, and lines are longer than a terminal that has less.

use std::io::{self, Write};

use comfy_table::Cell;
use query::value::Value;

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::grid::{self, set_column, styled_table, value_cell};

/// What `vertical` is.
pub static VERTICAL: FormatRow = FormatRow {
    name: "vertical",
    endings: &["vertical"],
    help: "one field per line",
    for_people: true,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, _| Ok(Box::new(Fields::new(frame))),
};

/// Columns of the line above a row, where the terminal has as many.
const RULE: usize = 40;
/// Columns that a value has at least, as for a 64-bit integer, and a name that is longer.
const VALUE: usize = 20;
/// Columns between a name and its value.
const GAP: usize = 2;

impl Rows for Fields {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        rows.iter()
            .try_for_each(|row| self.write(frame, frame.cells(row), frame.is_totals(row), out))
    }
}

/// The names of the fields and the number of rows so far.
pub struct Fields {
    names: Vec<String>,
    name_width: usize,
    row: u64,
}

impl Fields {
    pub fn new(frame: &Frame) -> Self {
        let names = frame.names();
        let name_width = names.iter().map(|name| grid::width(name)).max().unwrap_or_default();
        Self { names, name_width, row: 0 }
    }

    /// Writes a row whose texts are made; None is NULL.
    pub fn write(
        &mut self,
        frame: &Frame,
        cells: Vec<Option<String>>,
        is_totals: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        self.row += 1;
        let width = frame.width();
        let dash = frame.glyphs().rule;
        let row = if is_totals { "total".to_owned() } else { format!("row {}", self.row) };
        let title = format!("{dash}{dash} {row} ");
        let fill =
            width.map_or(RULE, |width| width.min(RULE)).saturating_sub(title.chars().count());
        let rule = format!("{title}{}", dash.to_string().repeat(fill));
        if frame.options.color {
            writeln!(out, "\x1b[2m{rule}\x1b[0m")?;
        } else {
            writeln!(out, "{rule}")?;
        }

        let mut table = styled_table(frame);
        for (at, (name, cell)) in self.names.iter().zip(cells).enumerate() {
            table.add_row([Cell::new(name), value_cell(frame, at, cell)]);
        }
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(GAP + VALUE));
        let name_width = self.name_width.min(room.max(VALUE)) + GAP;
        set_column(&mut table, 0, name_width, GAP);
        if let Some(width) = width {
            set_column(&mut table, 1, width.saturating_sub(name_width).max(VALUE), 0);
        } else if let Some(column) = table.column_mut(1) {
            column.set_padding((0, 0));
        }
        grid::write(&table, out)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use query::output::Output;
    use query::value::{Type, Unit};

    use super::super::Options;
    use super::super::fixture::{
        answer, extremes, nasty_texts, random_answer, rendered, rendered_with,
    };
    use super::*;

    fn at_width(output: &Output, width: u16) -> String {
        let options = Options { width: Some(width), ..Options::default() };
        String::from_utf8(rendered_with(&VERTICAL, output, options)).unwrap()
    }

    #[test]
    fn names_are_aligned() {
        let output = answer(vec![
            ("name", Type::Text, Unit::None, vec![Value::text("kmalloc-64"), Value::Null]),
            ("object_size", Type::UInt, Unit::Bytes, vec![Value::UInt(64), Value::UInt(4096)]),
        ]);
        let expected = "\
── row 1 ───────────────────────────────
name         kmalloc-64
object_size  64 B
── row 2 ───────────────────────────────
name         NULL
object_size  4.0 KiB
";
        assert_eq!(String::from_utf8(rendered(&VERTICAL, &output)).unwrap(), expected);
        assert_eq!(at_width(&output, 80), expected);
    }

    #[test]
    fn long_texts_go_on_below() {
        let text = Value::text("one two three four five six seven");
        let output = answer(vec![("x", Type::Text, Unit::None, vec![text])]);
        let expected = "── row 1 ──────────────\nx  one two three four\n   five six seven\n";
        assert_eq!(at_width(&output, 23), expected);
    }

    #[test]
    fn long_names_go_on_below() {
        let name = "sum(objects) filter (where size > 4096)";
        let output = answer(vec![(name, Type::UInt, Unit::None, vec![Value::UInt(7)])]);
        let text = at_width(&output, 48);
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "7").collect();
        assert!(words.join(" ").ends_with(name), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().all(|line| grid::width(line) <= 48), "{text}");
    }

    #[test]
    fn nothing_is_cut_in_a_file() {
        let output = answer(vec![("name", Type::Text, Unit::None, nasty_texts())]);
        let text = String::from_utf8(rendered(&VERTICAL, &output)).unwrap();
        assert_eq!(text.lines().count(), 2 * nasty_texts().len());
        assert!(text.contains(&"kmalloc-".repeat(25)));
        let output = answer(vec![("n", Type::Int, Unit::Count, extremes())]);
        let text = String::from_utf8(rendered(&VERTICAL, &output)).unwrap();
        assert!(text.contains("n  18,446,744,073,709,551,615\n"), "{text}");
        assert!(text.contains("n  -9,223,372,036,854,775,808\n"), "{text}");
    }

    proptest! {
        #[test]
        fn lines_fit_the_terminal(output in random_answer(), width in 34_u16..120) {
            for line in at_width(&output, width).lines() {
                prop_assert!(grid::width(line) <= width.into(), "{}", line);
            }
        }
    }
}
