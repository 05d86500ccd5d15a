//! Writes aligned columns under a header.
//!
//! ```text
//! name        object_size  objects  flags
//! ────────────────────────────────────────────
//! kmalloc-64         64 B     8192  -
//! dentry            192 B    51934  PANIC|ACCO…
//! ```
//!
//! Columns are as wide as what is in them. Where that is wider than the terminal, each step that follows is taken
//! only if the one before did not do:
//!
//! 1. names of columns go on in further lines, broken after underscores;
//! 2. where [`Options::fields`](super::Options) allows it and the answer is one row, or is on the screen whole that way, it
//!    is written a field a line, as the format `vertical` does;
//! 3. texts are cut with `…`, the widest first, to no less than ten columns;
//! 4. columns are hidden: the last first, but none that the answer is sorted by, and never the first, which keeps 20
//!    columns;
//! 5. where not even the first has room, a field a line after all.
//!
//! Numbers are never cut. In a file, lines are as long as they need be.
//!
//! Rows are kept as text until the end, because the last row may be the widest. They are laid out in batches, so
//! that the copies of comfy-table do not add up.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, LineStyle, Row};
use query::output::OutputColumn;
use query::value::{Type, Value};

use super::grid::{self, set_column, styled_table, value_cell};
use super::vertical::Fields;
use super::{BATCH, FormatRow, Frame, Rows};
use crate::kernel::signals;

/// What `table` is.
pub static TABLE: FormatRow = FormatRow {
    name: "table",
    endings: &["table", "txt"],
    help: "aligned columns, for a terminal",
    for_people: true,
    begin: |frame, _| {
        Ok(Box::new(Table { rows: Vec::new(), widths: vec![0; frame.columns.len()] }))
    },
};

/// Columns between two columns.
const GAP: usize = 2;
/// Columns that a text keeps when it is cut.
const MIN_TEXT: usize = 10;
/// Columns that the first column keeps when others are hidden.
const MIN_FIRST: usize = 20;
/// Lines of a screen that are not the answer's: what was typed, the time, the prompt.
const AROUND: usize = 3;

/// A table, kept until its end.
struct Table {
    rows: Vec<Vec<Option<String>>>,
    /// Of each column the columns on screen of its widest value.
    widths: Vec<usize>,
}

impl Rows for Table {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            let cells = frame.cells(row);
            for (width, cell) in self.widths.iter_mut().zip(&cells) {
                *width = grid::width(cell.as_ref().unwrap_or(&frame.options.null)).max(*width);
            }
            self.rows.push(cells);
        }
        Ok(())
    }

    fn hidden(&self, frame: &Frame) -> Vec<String> {
        let Some(layout) = Layout::new(frame, &self.widths, self.rows.len()) else {
            return Vec::new();
        };
        let names = frame.names().into_iter().enumerate();
        names.filter(|(at, _)| !layout.columns.contains(at)).map(|(_, name)| name).collect()
    }

    fn finish(self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        if frame.columns.is_empty() {
            return Ok(());
        }
        if let Some(layout) = Layout::new(frame, &self.widths, self.rows.len()) {
            let mut rows = self.rows.into_iter();
            layout.write(frame, Some(header(frame, &layout)), rows.by_ref().take(BATCH), out)?;
            while rows.len() > 0 {
                signals::check_io()?;
                layout.write(frame, None, rows.by_ref().take(BATCH), out)?;
            }
        } else {
            let mut fields = Fields::new(frame);
            for row in self.rows {
                signals::check_io()?;
                fields.write(frame, row, out)?;
            }
        }
        Ok(())
    }
}

fn header(frame: &Frame, layout: &Layout) -> Row {
    let names = frame.names();
    let names = layout.columns.iter().map(|at| &names[*at]).zip(&layout.widths);
    let names: Vec<_> = names.map(|(name, width)| wrap_name(name, *width)).collect();
    let height = names.iter().map(Vec::len).max().unwrap_or_default();
    let cells = names.into_iter().map(|lines| {
        // Names that take fewer lines stand on the rule.
        let above = "\n".repeat(height - lines.len());
        Cell::new_owned(above + &lines.join("\n")).add_attribute(Attribute::Bold)
    });
    Row::from(cells.collect::<Vec<_>>())
}

/// Where columns go.
struct Layout {
    /// The columns that are shown, in their order.
    columns: Vec<usize>,
    /// Columns on screen of each, without the gap.
    widths: Vec<usize>,
}

/// What a column asks of the terminal, in columns on screen.
struct Needs {
    /// Name and values on a line each.
    natural: usize,
    /// The name in as many lines as it has pieces.
    wrapped: usize,
    /// The same with texts cut.
    least: usize,
}

impl Needs {
    fn new(name: &str, value: usize, column: &OutputColumn) -> Self {
        let piece = name_pieces(name).map(grid::width).max().unwrap_or_default();
        let wrapped = piece.max(value);
        let least = if is_text(column) { wrapped.min(piece.max(MIN_TEXT)) } else { wrapped };
        Self { natural: grid::width(name).max(value), wrapped, least }
    }
}

/// The columns on screen of columns with these widths, gaps included.
fn taken(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    let gaps = GAP * widths.len().saturating_sub(1);
    widths.sum::<usize>() + gaps
}

impl Layout {
    /// Fits columns with values of these widths into the terminal; None where a field a line is better.
    fn new(frame: &Frame, values: &[usize], rows: usize) -> Option<Self> {
        let names = frame.names();
        let needs = names.iter().zip(values).zip(&frame.columns);
        let mut needs: Vec<Needs> =
            needs.map(|((name, value), column)| Needs::new(name, *value, column)).collect();
        let all = |need: fn(&Needs) -> usize| taken(needs.iter().map(need));
        let every = (0..needs.len()).collect();
        let Some(width) = frame.width() else { return Some(Self::natural(every, &needs)) };
        if all(|column| column.natural) <= width {
            return Some(Self::natural(every, &needs));
        }
        if all(|column| column.wrapped) > width {
            let lines = rows.saturating_mul(needs.len() + 1).saturating_add(AROUND);
            if frame.options.fields.is_some_and(|height| rows == 1 || lines <= height.into()) {
                return None;
            }
        }
        if all(|column| column.least) <= width {
            return Self::fit(every, &needs, width);
        }
        let first = needs.first_mut()?;
        first.least = first.wrapped.min(first.least.max(MIN_FIRST));
        let columns = kept(frame, &needs, width)?;
        Self::fit(columns, &needs, width)
    }

    fn natural(columns: Vec<usize>, needs: &[Needs]) -> Self {
        let widths = columns.iter().map(|at| needs[*at].natural).collect();
        Self { columns, widths }
    }

    /// Gives columns whose least widths have room what there is.
    fn fit(columns: Vec<usize>, needs: &[Needs], width: usize) -> Option<Self> {
        let needs = || columns.iter().map(|at| &needs[*at]);
        let capped =
            |cap: usize| needs().map(move |column| column.wrapped.min(column.least.max(cap)));
        let cap = (0..=width).rev().find(|cap| taken(capped(*cap)) <= width)?;
        let mut widths: Vec<usize> = capped(cap).collect();
        // Room that is left gives names their lines back.
        let mut spare = width - taken(widths.iter().copied());
        for (width, column) in widths.iter_mut().zip(needs()) {
            if column.natural > *width && column.natural - *width <= spare {
                spare -= column.natural - *width;
                *width = column.natural;
            }
        }
        Some(Self { columns, widths })
    }

    fn write(
        &self,
        frame: &Frame,
        header: Option<Row>,
        rows: impl Iterator<Item = Vec<Option<String>>>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut table = styled_table(frame);
        // No space to break at: a text that is cut keeps as many characters as fit.
        table.set_delimiter('\0').set_truncation_indicator(frame.glyphs().cut);
        if let Some(header) = header {
            table.style_mut().header_separator = LineStyle::none().fill(frame.glyphs().rule);
            table.set_header(header);
        }
        for mut cells in rows {
            let cells = self.columns.iter().map(|at| value_cell(frame, cells[*at].take()));
            let mut row = Row::from(cells.collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for (index, (width, column)) in self.widths.iter().zip(&self.columns).enumerate() {
            let gap = if index + 1 < self.widths.len() { GAP } else { 0 };
            set_column(&mut table, index, width + gap, gap);
            if frame.is_right(&frame.columns[*column])
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        grid::write(&table, out)
    }
}

/// The columns that have room: the first, those that are sorted by, the others in their order. None without room for
/// the first.
fn kept(frame: &Frame, needs: &[Needs], width: usize) -> Option<Vec<usize>> {
    let sorted = frame.options.sorted.iter().copied().filter(|at| *at < needs.len());
    let mut kept: Vec<usize> = Vec::new();
    for at in [0].into_iter().chain(sorted).chain(0..needs.len()) {
        if kept.contains(&at) {
            continue;
        }
        kept.push(at);
        if taken(kept.iter().map(|at| needs[*at].least)) > width {
            kept.pop();
        }
    }
    kept.sort_unstable();
    kept.contains(&0).then_some(kept)
}

/// Whether a column's values may be cut.
fn is_text(column: &OutputColumn) -> bool {
    !column.ty.is_number() && column.ty != Type::Bool
}

/// The parts of a name that stay on one line: up to an underscore or a space.
fn name_pieces(name: &str) -> impl Iterator<Item = &str> {
    name.split_inclusive(['_', ' '])
}

/// The lines of a name at a width that its longest piece has.
fn wrap_name(name: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in name_pieces(name) {
        let line = lines.last_mut().expect("starts with one");
        if line.is_empty() || grid::width(line) + grid::width(piece) <= width {
            line.push_str(piece);
        } else {
            lines.push(piece.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use query::output::Output;
    use query::value::Unit;

    use super::super::fixture::{
        answer, extremes, nasty_texts, random_answer, rendered, rendered_with,
    };
    use super::super::{Options, Renderer};
    use super::*;

    fn with(output: &Output, options: Options) -> String {
        String::from_utf8(rendered_with(&TABLE, output, options)).unwrap()
    }

    fn at_width(output: &Output, width: u16) -> String {
        with(output, Options { width: Some(width), ..Options::default() })
    }

    fn caches() -> Output {
        let names = ["kmalloc-64", "dentry", "a_cache_with_quite_a_long_name"].map(Value::text);
        let mut output = answer(vec![
            ("name", Type::Text, Unit::None, names.to_vec()),
            ("object_size", Type::UInt, Unit::Bytes, [64, 192, 4096].map(Value::UInt).to_vec()),
            (
                "used",
                Type::Float,
                Unit::Percent,
                vec![Value::Float(99.25), Value::Float(7.0), Value::Null],
            ),
            ("flags", Type::SlabFlags, Unit::None, [0, 3, 0x8001].map(Value::UInt).to_vec()),
        ]);
        output.columns[3].flag_names = Some(Arc::new([("PANIC".into(), 0), ("ACCOUNT".into(), 1)]));
        output
    }

    #[test]
    fn columns_are_aligned() {
        let expected = "\
name                            object_size    used  flags
──────────────────────────────────────────────────────────────────
kmalloc-64                             64 B  99.2 %  -
dentry                                192 B   7.0 %  PANIC|ACCOUNT
a_cache_with_quite_a_long_name      4.0 KiB    NULL  PANIC|0x8000
";
        assert_eq!(at_width(&caches(), 80), expected);
        assert_eq!(at_width(&caches(), 66), expected);
        assert_eq!(at_width(&caches(), 0), expected);
        assert_eq!(with(&caches(), Options::default()), expected);
    }

    #[test]
    fn names_go_on_in_further_lines_first() {
        let expected = "\x20                               object_
name                               size    used  flags
──────────────────────────────────────────────────────────────
kmalloc-64                         64 B  99.2 %  -
dentry                            192 B   7.0 %  PANIC|ACCOUNT
a_cache_with_quite_a_long_name  4.0 KiB    NULL  PANIC|0x8000
";
        assert_eq!(at_width(&caches(), 65), expected);
        assert_eq!(at_width(&caches(), 62), expected);
    }

    #[test]
    fn texts_are_cut_before_numbers() {
        let expected = "\x20                object_
name                size    used  flags
───────────────────────────────────────────────
kmalloc-64          64 B  99.2 %  -
dentry             192 B   7.0 %  PANIC|ACCOUNT
a_cache_with_q…  4.0 KiB    NULL  PANIC|0x8000
";
        assert_eq!(at_width(&caches(), 47), expected);
        assert!(at_width(&caches(), 39).contains("\na_cache_w…  4.0 KiB    NULL  PANIC|0x8…\n"));
    }

    /// The names of the columns that are hidden at a width.
    fn hidden(output: &Output, options: Options) -> Vec<String> {
        let columns = output.columns.clone();
        let mut out = Vec::new();
        let mut renderer = Renderer::new(&TABLE, columns, options, &mut out).unwrap();
        renderer.rows(&output.rows).unwrap();
        renderer.hidden()
    }

    #[test]
    fn the_last_columns_are_hidden_when_texts_cannot_be_cut_further() {
        let expected = "\x20                      object_
name                      size    used
──────────────────────────────────────
kmalloc-64                64 B  99.2 %
dentry                   192 B   7.0 %
a_cache_with_quite_a…  4.0 KiB    NULL
";
        assert_eq!(at_width(&caches(), 38), expected);
        let options = |width, sorted: &[usize]| Options {
            width: Some(width),
            sorted: sorted.to_vec(),
            ..Options::default()
        };
        let none: [&str; 0] = [];
        assert_eq!(hidden(&caches(), options(39, &[])), none);
        assert_eq!(hidden(&caches(), options(38, &[])), ["flags"]);
        assert_eq!(hidden(&caches(), options(30, &[])), ["used", "flags"]);
        // What the answer is sorted by stays.
        assert_eq!(hidden(&caches(), options(30, &[2])), ["object_size", "flags"]);
        assert_eq!(hidden(&caches(), options(20, &[2, 9])), ["object_size", "used", "flags"]);
        // In a file nothing is.
        assert_eq!(hidden(&caches(), Options::default()), none);
    }

    #[test]
    fn ascii_is_enough() {
        let mut output = caches();
        output.rows.truncate(1);
        output.rows[0][0] = Value::text("größe");
        let options = Options { ascii: true, width: Some(40), ..Options::default() };
        let text = with(&output, options.clone());
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("\n-----"), "{text}");
        assert!(text.contains("\ngr\\u{f6}\\u{df}e  "), "{text}");
        let fields = Options { fields: Some(24), width: Some(20), ..options };
        assert!(with(&output, fields).starts_with("-- row 1 -----"));
    }

    #[test]
    fn a_narrow_terminal_gets_a_field_a_line_where_that_is_kinder() {
        let narrow = |width, height| {
            let options = Options { width: Some(width), fields: height, ..Options::default() };
            with(&caches(), options).starts_with("── row 1 ─")
        };
        // 3 rows of 4 fields and a line above each, and 3 lines around them.
        assert!(narrow(38, Some(18)) && !narrow(38, Some(17)) && !narrow(38, None));
        // Before texts are cut.
        assert!(narrow(61, Some(18)) && !narrow(62, Some(18)));
        // Where nothing else is left.
        assert!(narrow(19, None));
        let mut one = caches();
        one.rows.truncate(1);
        let options = Options { width: Some(30), fields: Some(3), ..Options::default() };
        assert!(with(&one, options).starts_with("── row 1 ─"));

        let options = Options { width: Some(38), fields: Some(24), ..Options::default() };
        let text = with(&caches(), options);
        assert!(text.starts_with("── row 1 ─────"), "{text}");
        assert!(text.contains("\nname         kmalloc-64\nobject_size  64 B\n"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("── row ")).count(), 3);
    }

    #[test]
    fn exact_has_no_units() {
        let text = with(&caches(), Options { exact: true, ..Options::default() });
        assert!(text.contains("         4096   NULL  PANIC|0x8000\n"), "{text}");
        assert!(text.contains("           64  99.25  -\n"), "{text}");
    }

    #[test]
    fn colors_only_on_request() {
        let options = Options { color: true, null: "-".to_owned(), ..Options::default() };
        let text = with(&caches(), options);
        assert!(text.starts_with("\x1b[1mname\x1b[0m "), "{text:?}");
        assert!(text.contains("  \x1b[2m-\x1b[0m  PANIC|0x8000\n"), "{text:?}");
        assert!(!with(&caches(), Options::default()).contains('\x1b'));
    }

    #[test]
    fn integers_at_the_ends() {
        let output = answer(vec![("n", Type::Int, Unit::Count, extremes())]);
        let expected = "                   n\n────────────────────\n18446744073709551615\n";
        let text = at_width(&output, 20);
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\n-9223372036854775808\n"), "{text}");
        let output = answer(vec![("n", Type::Int, Unit::Bytes, extremes())]);
        assert!(at_width(&output, 80).contains("16.0 EiB\n"));
    }

    #[test]
    fn nasty_names_take_a_line_each() {
        let output = answer(vec![
            ("na\nme", Type::Text, Unit::None, nasty_texts()),
            ("n", Type::UInt, Unit::Count, vec![Value::UInt(7); nasty_texts().len()]),
        ]);
        for width in [20, 40, 80, 300] {
            let text = at_width(&output, width);
            assert_eq!(text.lines().count(), 2 + nasty_texts().len());
            let right = grid::width(text.lines().nth(1).unwrap());
            assert!(right <= width.into());
            for line in text.lines().skip(2) {
                assert!(line.ends_with("  7"), "{line}");
                assert_eq!(grid::width(line), right, "{line}");
            }
        }
    }

    #[test]
    fn batches_have_one_header_and_one_width() {
        let mut values = vec![Value::UInt(1); 3 * BATCH];
        values.push(Value::UInt(1_000_000));
        let output = answer(vec![("n", Type::UInt, Unit::None, values)]);
        let text = String::from_utf8(rendered(&TABLE, &output)).unwrap();
        assert_eq!(text.lines().count(), 3 * BATCH + 3);
        assert!(text.lines().all(|line| grid::width(line) == 7));
        assert_eq!(text.matches('n').count(), 1);
    }

    proptest! {
        #[test]
        fn lines_fit_the_terminal(output in random_answer(), width in 34_u16..160) {
            for line in at_width(&output, width).lines() {
                prop_assert!(grid::width(line) <= width.into(), "{}", line);
            }
        }

        #[test]
        fn numbers_are_never_cut(output in random_answer(), width in 34_u16..160) {
            let options = Options { width: Some(width), exact: true, ..Options::default() };
            let hidden = hidden(&output, options.clone());
            let text = with(&output, options);
            for (index, column) in output.columns.iter().enumerate() {
                for row in output.rows.iter().filter(|_| column.ty.is_number()) {
                    if let Some(number) = super::super::shown(&row[index], column, true)
                        && number.len() <= 20
                        && !hidden.contains(&column.name)
                    {
                        prop_assert!(text.contains(&number), "{} in {}", number, text);
                    }
                }
            }
        }
    }
}
