//! Writes aligned columns under a header.
//!
//! ```text
//! name        object_size  objects  flags
//! ────────────────────────────────────────────
//! kmalloc-64         64 B     8192  -
//! dentry            192 B    51934  PANIC|ACCO…
//! ```
//!
//! The totals of `with totals` stand below a line of their own. Of more rows than are wanted the first and the last ones are
//! shown, with a line of dots between them and a line that says how many there are. The others are never made text.
//!
//! [`Layout`] decides which columns there is room for. Rows are kept as text until the end, because the last row may be
//! the widest. On a terminal that would let people wait for the first of a million rows: there a table of more than
//! [`EARLY`] rows is laid out by those, and where a later value is wider its column is wider from its batch on. Rows are
//! laid out in batches, so that the copies of comfy-table do not add up.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;

use comfy_table::{Attribute, Cell, Row};
use query::value::Value;

use super::format::{BATCH, Capacity, FormatRow, Frame, Hidden, Rows};
use super::grid::{self, value_cell};
use super::layout::{self, Layout, Seen};
use super::vertical::Fields;
use crate::kernel::signals;

/// What `table` is.
pub static TABLE: FormatRow = FormatRow {
    name: "table",
    endings: &["table", "txt"],
    help: "aligned columns, for a terminal",
    for_people: true,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, _| {
        let seen = Seen::new(frame.columns.len());
        let (rows, last, totals) = (Vec::new(), VecDeque::new(), None);
        Ok(Box::new(Table { rows, last, count: 0, totals, seen, layout: None }))
    },
};

/// The rows that a table is laid out by where it cannot wait for all of them.
const EARLY: usize = 10 * BATCH;

/// The texts of a row.
type Cells = Vec<Option<String>>;

/// A table, of which nothing or its first part is written.
struct Table {
    /// The first rows, as far as they are not written.
    rows: Vec<Cells>,
    /// The last rows, as long as more may come than are shown.
    last: VecDeque<Cells>,
    count: usize,
    totals: Option<Cells>,
    /// What the first rows and the totals hold.
    seen: Seen,
    /// Where the columns of what is written are.
    layout: Option<Layout>,
}

impl Table {
    /// How many rows are shown from the first one on, and how many up to the last one.
    fn shown(frame: &Frame) -> (usize, usize) {
        let most = frame.options.rows.map_or(usize::MAX, usize::from);
        (most.div_ceil(2), most / 2)
    }

    /// Where the columns of the rows go that are not written yet, and their names unless those are written; no layout
    /// where one field per line is better.
    fn laid_out(&mut self, frame: &Frame, names: &[String]) -> (Option<Row>, Option<Layout>) {
        let seen = self.seen(frame);
        if let Some(layout) = self.layout.take() {
            return (None, Some(layout.grown(frame, names, &seen)));
        }
        let layout = Layout::new(frame, names, &seen);
        let header = layout.as_ref().map(|layout| layout.header(names, |_| Attribute::Bold).0);
        (header, layout)
    }

    /// Writes the first rows before all are there.
    fn write(&mut self, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        if frame.options.plain || (self.layout.is_some() && self.rows.is_empty()) {
            return Ok(());
        }
        let (header, layout) = self.laid_out(frame, &frame.names());
        let Some(layout) = layout else { return Ok(()) };
        write(frame, &layout, header, mem::take(&mut self.rows).into_iter(), out)?;
        self.layout = Some(layout);
        out.flush()
    }

    /// What all rows hold that are shown.
    fn seen(&self, frame: &Frame) -> Seen {
        let mut seen = self.seen.clone();
        self.last.iter().for_each(|cells| seen.add(texts(frame, cells)));
        seen
    }
}

/// Writes rows, below the names of their columns if there is a `header`.
fn write(
    frame: &Frame,
    layout: &Layout,
    mut header: Option<Row>,
    rows: impl Iterator<Item = Cells>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rows = rows.peekable();
    let cells = |mut cells: Cells| -> Vec<Cell> {
        let cell = |at: &usize| value_cell(frame, *at, cells[*at].take());
        layout.columns.iter().map(cell).collect()
    };
    while header.is_some() || rows.peek().is_some() {
        signals::check_io()?;
        let cells = rows.by_ref().take(BATCH).map(cells);
        let first = header.is_some();
        let mut table = layout.table(frame, header.take(), cells);
        if first {
            layout::rule(frame, &mut table);
        }
        grid::write(&table, out)?;
    }
    Ok(())
}

/// The texts of cells as they are shown.
fn texts<'a>(frame: &'a Frame, cells: &'a Cells) -> impl Iterator<Item = &'a str> {
    cells.iter().map(|cell| cell.as_deref().unwrap_or(&frame.options.null))
}

impl Rows for Table {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        let (first, last) = Self::shown(frame);
        // They come behind all rows.
        let (rows, totals) = match rows.split_last() {
            Some((totals, rows)) if frame.is_totals(totals) => (rows, Some(frame.cells(totals))),
            _ => (rows, None),
        };
        if let Some(cells) = totals {
            self.seen.add(texts(frame, &cells));
            self.totals = Some(cells);
        }
        let wanted = first.saturating_sub(self.count);
        self.count += rows.len();
        let (begin, rest) = rows.split_at(rows.len().min(wanted));
        for row in begin {
            let cells = frame.cells(row);
            self.seen.add(texts(frame, &cells));
            self.rows.push(cells);
        }
        let rest = &rest[rest.len().saturating_sub(last)..];
        self.last.drain(..(self.last.len() + rest.len()).saturating_sub(last));
        self.last.extend(rest.iter().map(|row| frame.cells(row)));
        if frame.options.early && self.count > EARLY { self.write(frame, out) } else { Ok(()) }
    }

    fn hidden(&self, frame: &Frame) -> Vec<Hidden> {
        if frame.options.plain {
            return Vec::new();
        }
        let seen = self.seen(frame);
        if let Some(layout) = &self.layout {
            return layout.hidden(frame, &seen);
        }
        let layout = Layout::new(frame, &frame.names(), &seen);
        layout.map(|layout| layout.hidden(frame, &seen)).unwrap_or_default()
    }

    fn finish(mut self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        if frame.columns.is_empty() {
            return Ok(());
        }
        let names = frame.names();
        let shown = self.count.min(Self::shown(frame).0) + self.last.len();
        let more = self.count > shown;
        let gap = (more && !frame.options.plain)
            .then(|| vec![Some(frame.glyphs().gap.to_owned()); names.len()]);
        let (header, layout) = self.laid_out(frame, &names);
        let rows = self.rows.into_iter().chain(gap).chain(self.last);
        if frame.options.plain {
            // Its label tells the row of the totals.
            for row in rows.chain(self.totals) {
                signals::check_io()?;
                let cells = names.iter().zip(texts(frame, &row));
                let cells: Vec<String> =
                    cells.map(|(name, text)| format!("{name} {text}")).collect();
                writeln!(out, "{}", cells.join(", "))?;
            }
        } else if let Some(layout) = layout {
            write(frame, &layout, header, rows, out)?;
            if let Some(totals) = self.totals {
                writeln!(out, "{}", frame.glyphs().rule.to_string().repeat(layout.width()))?;
                write(frame, &layout, None, [totals].into_iter(), out)?;
            }
        } else {
            let mut fields = Fields::new(frame);
            for row in rows {
                signals::check_io()?;
                fields.write(frame, row, false, out)?;
            }
            if let Some(totals) = self.totals {
                fields.write(frame, totals, true, out)?;
            }
        }
        if more {
            let count = |rows| frame.options.count(rows);
            let all = "`.last` or `--rows 0` shows all";
            writeln!(out, "{} rows ({} shown; {all})", count(self.count), count(shown))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use query::output::{Output, OutputColumn};
    use query::value::{Type, Unit};

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
    fn a_plain_table_is_lines_of_names_and_values() {
        let options = |rows| Options {
            plain: true,
            ascii: true,
            width: Some(20),
            rows,
            ..Options::default()
        };
        let mut output = caches();
        output.columns[2].unit = Unit::Bar;
        output.rows.iter_mut().for_each(|row| row[2] = Value::Float(0.25));
        assert_eq!(
            with(&output, options(Some(2))),
            "name kmalloc-64, object_size 64 B, used 25.0 %, flags -\n\
             name a_cache_with_quite_a_long_name, object_size 4.0 KiB, used 25.0 %, flags PANIC|0x8000\n\
             3 rows (2 shown; `.last` or `--rows 0` shows all)\n"
        );
        assert_eq!(hidden(&output, options(None)), [""; 0]);
        let mut total = OutputColumn::new("total", Type::Bool, Unit::None);
        total.totals = true;
        let mut output = answer(vec![("n", Type::UInt, Unit::Count, vec![Value::UInt(3); 2])]);
        output.columns.push(total);
        for (row, is_total) in output.rows.iter_mut().zip([false, true]) {
            row.push(Value::Bool(is_total));
        }
        output.rows[1][0] = Value::UInt(5);
        assert_eq!(with(&output, options(None)), "n 3\nn 5\n");
    }

    #[test]
    fn of_many_rows_the_first_and_the_last_are_shown() {
        let numbers = |count: u64| {
            let rows = (1..=count).map(Value::UInt).collect();
            answer(vec![("n", Type::UInt, Unit::Count, rows)])
        };
        let most = |count, rows| {
            let rows = Some(rows);
            with(&numbers(count), Options { rows, ..Options::default() })
        };
        let all = with(&numbers(5), Options::default());
        assert_eq!(most(5, 5), all);
        assert_eq!(most(5, 6), all);
        // As wide as what is shown.
        let text = most(12_345, 3);
        let (table, told) = text.split_once("12,345 rows").unwrap();
        assert_eq!(told, " (3 shown; `.last` or `--rows 0` shows all)\n");
        let rows: Vec<&str> = table.lines().skip(2).map(str::trim).collect();
        assert_eq!(rows, ["1", "2", "·", "12,345"]);
        let exact = Options { rows: Some(2), exact: true, ascii: true, ..Options::default() };
        assert_eq!(
            with(&numbers(1000), exact),
            "   n\n----\n   1\n   :\n1000\n1000 rows (2 shown; `.last` or `--rows 0` shows all)\n"
        );
    }

    #[test]
    fn the_first_rows_of_a_long_answer_are_shown_early() {
        let columns = || {
            let text = |name| OutputColumn::new(name, Type::Text, Unit::None);
            vec![text("name"), OutputColumn::new("n", Type::UInt, Unit::Count), text("same")]
        };
        let row = |n: usize| {
            vec![Value::text(format!("cache-{n}")), Value::UInt(n as u64), Value::text("as all")]
        };
        let options = |rows, width| Options { early: true, rows, width, ..Options::default() };
        // What there is before the rest comes, and at the end.
        let written = |count: usize, options: Options| {
            let mut out = Vec::new();
            let frame = Frame::for_people(columns(), options);
            let mut table = (TABLE.begin)(&frame, &mut out).unwrap();
            let rows: Vec<_> = (0..count).map(row).collect();
            let (begin, rest) = rows.split_at(count.min(EARLY + 1));
            begin.chunks(BATCH).for_each(|rows| table.add(&frame, rows, &mut out).unwrap());
            let early = out.len();
            rest.chunks(BATCH).for_each(|rows| table.add(&frame, rows, &mut out).unwrap());
            let hidden: Vec<_> =
                table.hidden(&frame).into_iter().map(|column| column.name).collect();
            table.finish(&frame, &mut out).unwrap();
            (early, String::from_utf8(out).unwrap(), hidden)
        };
        let (early, text, hidden) = written(EARLY, options(None, Some(80)));
        assert_eq!((early, hidden.len()), (0, 0));
        assert!(text.ends_with("cache-10239  10,239  as all\n"), "{text}");

        let count = 100_002;
        let (early, text, _) = written(count, options(None, Some(80)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(text[..early].lines().count(), 2 + EARLY + 1);
        assert_eq!(lines.len(), 2 + count);
        assert_eq!(lines[0], "name              n  same");
        assert_eq!(lines[2], "cache-0           0  as all");
        // Values that are wider than those before them have room from their batch on.
        assert_eq!(lines[2 + count - 1], "cache-100001  100,001  as all");
        for (at, line) in lines[2..].iter().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[0], format!("cache-{at}"));
            assert_eq!(words[1].replace(',', ""), at.to_string());
        }

        let (early, text, hidden) = written(count, options(Some(3), Some(20)));
        assert_eq!(hidden, ["same"]);
        assert_eq!(
            &text[..early],
            "name              n\n───────────────────\ncache-0           0\ncache-1           1\n"
        );
        // Names are not cut this far, and numbers never.
        assert_eq!(
            &text[early..],
            "·                   ·\ncache-100001  100,001\n100,002 rows (3 shown; `.last` or `--rows 0` shows all)\n"
        );
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
    fn texts_are_cut_the_name_last_and_numbers_never() {
        let flags = at_width(&caches(), 60);
        assert!(
            flags.contains("\na_cache_with_quite_a_long_name  4.0 KiB    NULL  PANIC|0x80…\n"),
            "{flags}"
        );
        // The name of a row comes last.
        let expected = "\x20                       object_
name                       size    used  flags
───────────────────────────────────────────────────
kmalloc-64                 64 B  99.2 %  -
dentry                    192 B   7.0 %  PANIC|ACC…
a_cache_with_quite_a_…  4.0 KiB    NULL  PANIC|0x8…
";
        assert_eq!(at_width(&caches(), 51), expected);
    }

    /// The names of the columns that are hidden at a width.
    fn hidden(output: &Output, options: Options) -> Vec<String> {
        let columns = output.columns.clone();
        let mut out = Vec::new();
        let mut renderer = Renderer::new(&TABLE, columns, options, &mut out).unwrap();
        renderer.rows(&output.rows).unwrap();
        renderer.hidden().into_iter().map(|column| column.name).collect()
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
        assert_eq!(hidden(&caches(), options(49, &[])), none);
        assert_eq!(hidden(&caches(), options(48, &[])), ["flags"]);
        assert_eq!(hidden(&caches(), options(30, &[])), ["used", "flags"]);
        // What the answer is sorted by stays.
        assert_eq!(hidden(&caches(), options(30, &[2])), ["object_size", "flags"]);
        assert_eq!(hidden(&caches(), options(20, &[2, 9])), ["object_size", "used", "flags"]);
        // In a file nothing is.
        assert_eq!(hidden(&caches(), Options::default()), none);
    }

    #[test]
    fn columns_that_say_the_same_are_hidden_first() {
        let mut output = caches();
        for row in &mut output.rows {
            row[2] = Value::Float(50.0);
        }
        let hidden = |output: &Output, width, sorted: &[usize]| {
            let options =
                Options { width: Some(width), sorted: sorted.to_vec(), ..Options::default() };
            let columns = output.columns.clone();
            let mut out = Vec::new();
            let mut renderer = Renderer::new(&TABLE, columns, options, &mut out).unwrap();
            renderer.rows(&output.rows).unwrap();
            let hidden = renderer.hidden().into_iter();
            hidden.map(|column| (column.name, column.same)).collect::<Vec<_>>()
        };
        let used = ("used".to_owned(), Some("50.0 %".to_owned()));
        assert_eq!(hidden(&output, 62, &[]), []);
        for width in [61, 54] {
            assert_eq!(hidden(&output, width, &[]), std::slice::from_ref(&used));
        }
        // Not what the answer is sorted by; and what one row says is no reason.
        assert_eq!(hidden(&output, 61, &[2]), []);
        output.rows.truncate(1);
        assert_eq!(hidden(&output, 44, &[]), []);
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
    fn growth_has_a_colour_and_a_sign() {
        let by = [5, -5, 0].map(Value::Int).to_vec();
        let mut output = answer(vec![("delta_memory", Type::Int, Unit::Bytes, by)]);
        output.columns[0].change = true;
        let colored = Options { color: true, ..Options::default() };
        let text = with(&output, colored.clone());
        for part in ["\x1b[38;5;1m5 B\x1b", "\x1b[38;5;2m-5 B\x1b"] {
            assert!(text.contains(part), "{text:?}");
        }
        assert_eq!(text.matches("38;5;").count(), 2, "{text:?}");
        assert!(!with(&output, Options::default()).contains('\x1b'));
        output.columns[0].change = false;
        assert!(!with(&output, colored).contains("38;5;"));
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
        let expected =
            "                         n\n──────────────────────────\n18,446,744,073,709,551,615\n";
        let text = at_width(&output, 26);
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\n-9,223,372,036,854,775,808\n"), "{text}");
        let output = answer(vec![("n", Type::Int, Unit::Bytes, extremes())]);
        assert!(at_width(&output, 80).contains("16.0 EiB\n"));
    }

    #[test]
    fn nasty_names_take_a_line_each() {
        let output = answer(vec![
            ("na\nme", Type::Text, Unit::None, nasty_texts()),
            ("n", Type::UInt, Unit::Count, (0..22).map(|row| Value::UInt(row % 10)).collect()),
        ]);
        for width in [23, 40, 80, 300] {
            let text = at_width(&output, width);
            assert_eq!(text.lines().count(), 2 + nasty_texts().len());
            let right = grid::width(text.lines().nth(1).unwrap());
            assert!(right <= width.into());
            for (row, line) in text.lines().skip(2).enumerate() {
                assert!(line.ends_with(&format!("  {}", row % 10)), "{line}");
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
        assert!(text.lines().all(|line| grid::width(line) == 9));
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
            let text = with(&output, options.clone());
            for (index, column) in output.columns.iter().enumerate() {
                for row in output.rows.iter().filter(|_| column.ty.is_number()) {
                    if let Some(number) = super::super::shown(&row[index], column, &options)
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
