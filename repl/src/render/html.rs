//! Writes a page that a browser shows without anything else: a table that can be sorted, with bars behind its numbers.
//!
//! The page loads nothing and may load nothing, by a policy of its own. Numbers are as in a table for people, and the
//! exact ones are shown where the pointer rests. Rows are sorted by ranks that are computed here, so integers of 64 bits
//! and names that are not UTF-8 are in the order of `order by`; NULL comes last.

use std::cmp::Ordering;
use std::io::{self, Write};

use query::value::Value;

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::scale::{Scaled, escaped};
use super::unit::plain;
use crate::report::escape::printable;

/// What `html` is.
pub static HTML: FormatRow = FormatRow {
    name: "html",
    endings: &["html", "htm"],
    help: "a page with a table to sort and bars",
    for_people: true,
    capacity: Capacity::One,
    stacks_only: false,
    begin: |frame, _| Ok(Box::new(Page(Scaled::new(frame)))),
};

const STYLE: &str = "\
:root{color-scheme:light dark;font:14px/1.5 system-ui,sans-serif}
body{margin:2em}
table{border-collapse:collapse}
th{position:sticky;top:0;background:Canvas;border-bottom:1px solid}
th button{all:unset;cursor:pointer;padding:.2em .6em}
th button:focus-visible{outline:2px solid}
th[aria-sort=ascending] button::after{content:\" \\2191\"}
th[aria-sort=descending] button::after{content:\" \\2193\"}
td{padding:.1em .6em;overflow-wrap:anywhere}
tfoot td{border-top:1px solid;font-weight:bold}
tr:hover td{background-color:#8882}
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.n[style]{background:linear-gradient(#48c6,#48c6) no-repeat left/var(--bar) 80%}
.null{opacity:.5}
";

const SCRIPT: &str = "\
for (const head of document.querySelectorAll('th')) head.firstChild.onclick = () => {
  const body = document.querySelector('tbody'), at = head.cellIndex;
  const up = head.getAttribute('aria-sort') === 'descending';
  document.querySelectorAll('th').forEach(other => other.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const rank = row => row.cells[at].dataset.rank;
  body.append(...[...body.rows].sort((a, b) =>
    rank(a) === undefined || rank(b) === undefined
      ? (rank(a) === undefined) - (rank(b) === undefined)
      : (rank(a) - rank(b)) * (up ? 1 : -1)));
};
";

/// The rows so far: how long a bar is, and what comes before what, only all of them tell.
struct Page(Scaled);

impl Rows for Page {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
        self.0.add(frame, rows);
        Ok(())
    }

    fn finish(self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        let Self(scaled) = *self;
        let table = frame.options.table.map(|table| format!(": {table}")).unwrap_or_default();
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
             <title>slabql{table}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<table>\n<thead>\n<tr>"
        )?;
        for (name, column) in frame.names().iter().zip(&frame.columns) {
            let class = if frame.is_right(column) { " class=\"n\"" } else { "" };
            write!(out, "<th scope=\"col\"{class}><button>{}</button></th>", escaped(name))?;
        }
        out.write_all(b"</tr>\n</thead>\n<tbody>\n")?;
        let ranks: Vec<_> = (0..frame.columns.len()).map(|at| ranks(&scaled.rows, at)).collect();
        let mut part_of_table = "tbody";
        for (number, row) in scaled.rows.iter().enumerate() {
            let is_totals = frame.is_totals(row);
            if is_totals {
                // It stays below, whatever rows are sorted by.
                part_of_table = "tfoot";
                out.write_all(b"</tbody>\n<tfoot>\n")?;
            }
            out.write_all(b"<tr>")?;
            for (at, (cell, value)) in frame.cells(row).into_iter().zip(row).enumerate() {
                let Some(cell) = cell else {
                    write!(out, "<td class=\"null\">{}</td>", escaped(&frame.options.null))?;
                    continue;
                };
                write!(out, "<td data-rank=\"{}\"", ranks[at][number])?;
                let column = &frame.columns[at];
                if frame.is_right(column) {
                    let exact = plain(value, column).unwrap_or_default();
                    write!(out, " class=\"n\" title=\"{}\"", escaped(&printable(&exact)))?;
                }
                if let Some(part) = scaled.part(at, value).filter(|_| !is_totals) {
                    write!(out, " style=\"--bar:{:.1}%\"", part.min(1.0) * 100.0)?;
                }
                write!(out, ">{}</td>", escaped(&cell))?;
            }
            out.write_all(b"</tr>\n")?;
        }
        write!(out, "</{part_of_table}>\n</table>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
    }
}

/// The rank of each row by a column: equal values have the same one.
fn ranks(rows: &[Vec<Value>], column: usize) -> Vec<usize> {
    let order =
        |a: usize, b: usize| rows[a][column].compare(&rows[b][column]).unwrap_or(Ordering::Equal);
    let mut sorted: Vec<usize> =
        (0..rows.len()).filter(|row| rows[*row][column] != Value::Null).collect();
    sorted.sort_by(|a, b| order(*a, *b));
    let mut ranks = vec![0; rows.len()];
    let mut rank = 0;
    for (at, row) in sorted.iter().enumerate() {
        if at > 0 && order(sorted[at - 1], *row) != Ordering::Equal {
            rank = at;
        }
        ranks[*row] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use query::value::{Type, Unit};

    use super::super::fixture::{answer, extremes, nasty_texts, rendered};
    use super::*;

    fn page(columns: Vec<(&str, Type, Unit, Vec<Value>)>) -> String {
        String::from_utf8(rendered(&HTML, &answer(columns))).unwrap()
    }

    #[test]
    fn a_row_has_ranks_bars_and_exact_numbers() {
        let page = page(vec![
            ("name", Type::Text, Unit::None, vec![Value::text("b"), Value::text("a"), Value::Null]),
            (
                "memory",
                Type::UInt,
                Unit::Bytes,
                vec![Value::UInt(4096), Value::UInt(1024), Value::Null],
            ),
        ]);
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("<tr><td")).collect();
        assert_eq!(
            rows,
            [
                "<tr><td data-rank=\"1\">b</td><td data-rank=\"1\" class=\"n\" title=\"4096\" style=\"--bar:100.0%\">4.0 KiB</td></tr>",
                "<tr><td data-rank=\"0\">a</td><td data-rank=\"0\" class=\"n\" title=\"1024\" style=\"--bar:25.0%\">1.0 KiB</td></tr>",
                "<tr><td class=\"null\">NULL</td><td class=\"null\">NULL</td></tr>",
            ]
        );
        assert!(page.contains("<th scope=\"col\"><button>name</button></th>"), "{page}");
    }

    #[test]
    fn no_name_is_markup() {
        let names = nasty_texts();
        let page = page(vec![("<i>", Type::Text, Unit::None, names.clone())]);
        let script = page.matches("<script>").count();
        assert_eq!((script, page.contains("<b>"), page.contains("<i>")), (1, false, false));
        assert!(page.contains("<button>&lt;i&gt;</button>"), "{page}");
        assert!(page.contains("*_`&lt;b&gt;&amp;amp;[x](y)~#</td>"), "{page}");
        // Nothing that steers a terminal, and a line a row.
        assert!(!page.chars().any(|c| c != '\n' && query::escape::is_hazard(c)));
        assert_eq!(page.matches("<tr><td").count(), names.len());
    }

    #[test]
    fn ranks_are_exact() {
        let page = page(vec![("n", Type::Int, Unit::Count, extremes())]);
        let ranks: Vec<&str> = page
            .split("data-rank=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert_eq!(ranks, ["5", "3", "2", "0", "1", "4"]);
        assert!(page.contains("title=\"18446744073709551615\""), "{page}");
        let same = vec![vec![Value::UInt(7)], vec![Value::Float(7.0)], vec![Value::UInt(9)]];
        assert_eq!(super::ranks(&same, 0), [0, 0, 2]);
    }
}
