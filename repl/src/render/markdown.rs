//! Writes a GitHub Markdown table, for reports and issues.
//!
//! Cells are not padded to one width: a page shows them aligned, and rows can be written as they come. Characters
//! that Markdown would take for markup have a backslash before them; underscores inside of words are no markup, and
//! stay as they are, since most names have some.

use std::io::{self, Write};

use query::value::Value;

use super::format::{Capacity, FormatRow, Frame, Rows};

/// What `markdown` is.
pub static MARKDOWN: FormatRow = FormatRow {
    name: "markdown",
    endings: &["markdown", "md"],
    help: "a GitHub Markdown table",
    for_people: true,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, out| {
        if !frame.columns.is_empty() {
            write_line(frame.names().iter().map(|name| escape(name)), out)?;
            let rules = frame.columns.iter();
            let rules = rules.map(|column| if frame.is_right(column) { "---:" } else { ":---" });
            write_line(rules.map(str::to_owned), out)?;
        }
        Ok(Box::new(Markdown))
    },
};

/// A Markdown table.
struct Markdown;

impl Rows for Markdown {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        if frame.columns.is_empty() {
            return Ok(());
        }
        for row in rows {
            let bold = frame.is_totals(row);
            let cells = frame.cells(row).into_iter();
            let cells = cells.map(|cell| escape(cell.as_ref().unwrap_or(&frame.options.null)));
            let cells = cells
                .map(|cell| if bold && !cell.is_empty() { format!("**{cell}**") } else { cell });
            write_line(cells, out)?;
        }
        Ok(())
    }
}

fn write_line(cells: impl Iterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::from("|");
    for cell in cells {
        line.push(' ');
        line.push_str(&cell);
        line.push_str(" |");
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

/// A printable text with its markup disarmed.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let in_word = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        let markup = match character {
            '\\' | '|' | '`' | '*' | '<' | '&' | '[' | ']' | '~' => true,
            '_' => !(in_word(before) && in_word(characters.peek().copied())),
            _ => false,
        };
        if markup {
            escaped.push('\\');
        }
        escaped.push(character);
        before = Some(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use query::value::{Type, Unit};

    use super::super::fixture::{answer, extremes, nasty_texts, rendered};
    use super::*;

    #[test]
    fn numbers_are_aligned_right() {
        let output = answer(vec![
            ("name", Type::Text, Unit::None, vec![Value::text("task_struct"), Value::Null]),
            ("size", Type::UInt, Unit::Bytes, vec![Value::UInt(4096), Value::UInt(u64::MAX)]),
        ]);
        let text = String::from_utf8(rendered(&MARKDOWN, &output)).unwrap();
        let expected =
            "| name | size |\n| :--- | ---: |\n| task_struct | 4.0 KiB |\n| NULL | 16.0 EiB |\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn markup_is_disarmed() {
        assert_eq!(escape("a|b"), "a\\|b");
        assert_eq!(escape("task_struct"), "task_struct");
        assert_eq!(escape("_a_ __"), "\\_a\\_ \\_\\_");
        assert_eq!(escape("*<b>&amp;`x`"), "\\*\\<b>\\&amp;\\`x\\`");
        assert_eq!(escape("\\|"), "\\\\\\|");
    }

    #[test]
    fn every_row_is_a_line_of_as_many_cells() {
        let output = answer(vec![
            ("a|b", Type::Text, Unit::None, nasty_texts()),
            ("again", Type::Text, Unit::None, nasty_texts()),
        ]);
        let text = String::from_utf8(rendered(&MARKDOWN, &output)).unwrap();
        assert_eq!(text.lines().count(), 2 + nasty_texts().len());
        for line in text.lines() {
            // Bars that are not escaped end cells.
            let bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            assert_eq!(bars, 3, "{line}");
        }
    }

    #[test]
    fn integers_at_the_ends() {
        let output = answer(vec![("n", Type::Int, Unit::Count, extremes())]);
        let text = String::from_utf8(rendered(&MARKDOWN, &output)).unwrap();
        assert!(text.contains("| 18,446,744,073,709,551,615 |"), "{text}");
        assert!(text.contains("| -9,223,372,036,854,775,808 |"), "{text}");
    }
}
