//! Wraps comfy-table, which aligns, cuts and styles cells and knows how wide characters are.
//!
//! comfy-table decides some things by the terminal it finds. Here all widths and styles are given, so a table is the
//! same wherever it is made.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, Color, ColumnConstraint, Table, Width};
use unicode_width::UnicodeWidthStr;

use super::format::Frame;

/// A table without lines that asks the terminal nothing.
pub fn styled_table(frame: &Frame) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty();
    if frame.options.color {
        table.enforce_styling().style_text_only();
    }
    table
}

/// The colour of what grew or shrank, which its text says too: by a sign, or by how it is called.
#[must_use]
pub fn growth(grew: bool) -> Color {
    // The first of the sixteen, which whoever chose a background chose with it.
    if grew { Color::DarkRed } else { Color::DarkGreen }
}

/// A cell of column number `at`; NULL is dim, so it is not taken for a text.
pub fn value_cell(frame: &Frame, at: usize, cell: Option<String>) -> Cell {
    let is_change = frame.columns.get(at).is_some_and(|column| column.change);
    match cell {
        // Of the text of 0 there is no other digit.
        Some(text)
            if is_change && frame.options.color && text.contains(|c| ('1'..='9').contains(&c)) =>
        {
            let grew = !text.starts_with('-');
            Cell::new_owned(text).fg(growth(grew))
        }
        Some(text) => Cell::new_owned(text),
        None => Cell::new(&frame.options.null).add_attribute(Attribute::Dim),
    }
}

/// Gives a column its width, of which `gap` stays empty at the right.
pub fn set_column(table: &mut Table, index: usize, width: usize, gap: usize) {
    if let Some(column) = table.column_mut(index) {
        let [width, gap] = [width, gap].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
        column.set_padding((0, gap));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
    }
}

/// The lines of a table, without the spaces at their ends.
pub fn lines(table: &Table) -> impl Iterator<Item = String> {
    table.lines().map(|line| line.trim_end().to_owned())
}

/// Writes the lines of a table.
pub fn write(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    lines(table).try_for_each(|line| writeln!(out, "{line}"))
}

/// Returns the columns on screen that a printable text takes, as the table counts them.
pub fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_columns_on_screen() {
        assert_eq!(width(""), 0);
        assert_eq!(width("abc"), 3);
        assert_eq!(width("日本"), 4);
        assert_eq!(width("🦀"), 2);
        assert_eq!(width("e\u{301}"), 1);
    }
}
