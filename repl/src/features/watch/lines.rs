//! Draws the state of a watch as lines of styled text.
//!
//! ```text
//!   every 1s  tick 12  05:53:41Z  37 rows, 2 new, 1 gone  48 µs
//!   select name, active, delta(active)
//!     name         active▼  delta(active)
//!   + dentry        226532             18
//!   …
//!   q quit  space pause  …
//! ```
//!
//! # Invariants
//!
//! No line is wider than the screen and there are no more than it has. What changed is reversed, what is new is bold
//! and has a `+` before it, what is gone is dim and has a `-`: nothing is told by colour alone.

use humantime::format_rfc3339_seconds;
use query::value::{Unit, Value};

use super::interval;
use super::state::{Entry, Mark, State};
use crate::render::{duration, shown, width};
use crate::report::escape::printable;

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Reverse,
    Dim,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
}

/// A line.
pub type Line = Vec<Span>;

/// The spaces between two columns.
const GAP: usize = 2;
/// The room before the first one.
const MARGIN: usize = 2;
/// What stands for a value that is not there.
const NULL: &str = "NULL";

const KEYS: &str = "q quit  space pause  ← → sort  r reverse  + - interval  d deltas  ↑ ↓ scroll";

/// The lines of the screen.
pub fn lines(state: &mut State) -> Vec<Line> {
    let cells: Vec<Vec<Cell>> = state.entries.iter().map(|entry| cells(state, entry)).collect();
    for (at, column) in state.columns.iter().enumerate() {
        // The arrow has its room when it is not there too.
        let header = width(&printable(column.name.as_bytes())) + 1;
        let widest = cells.iter().map(|row| width(&row[at].text)).max().unwrap_or(0);
        state.widths[at] = state.widths[at].max(header).max(widest);
    }
    let (columns, hidden) = visible(state);
    let (screen, height) = state.size;
    let mut lines = vec![
        plain(status(state, hidden), Style::Bold),
        plain(printable(state.query.as_bytes()), Style::Dim),
        header(state, &columns),
    ];
    let rows = state.entries.iter().zip(&cells).skip(state.top).take(state.page());
    lines.extend(rows.map(|(entry, cells)| row(state, entry, cells, &columns)));
    if height > lines.len() {
        let below = 1 + usize::from(!state.notes.is_empty());
        lines.resize(height.saturating_sub(below).max(lines.len()), Vec::new());
        if let [first, rest @ ..] = state.notes.as_slice() {
            let more =
                if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            lines.push(plain(format!("note: {}{more}", printable(first.as_bytes())), Style::Plain));
        }
        lines.push(plain(KEYS.to_owned(), Style::Dim));
    }
    lines.truncate(height);
    lines.into_iter().map(|line| cut(line, screen)).collect()
}

/// A value on the screen.
struct Cell {
    text: String,
    changed: bool,
}

fn plain(text: String, style: Style) -> Line {
    vec![Span { text, style }]
}

fn status(state: &State, hidden: usize) -> String {
    let (rows, new, gone) = state.counts();
    let last = state.entries.len().min(state.top + state.page());
    let seen = if state.top > 0 || last < state.entries.len() {
        format!("rows {}-{last} of {rows}", state.top + 1)
    } else {
        format!("{rows} row{}", if rows == 1 { "" } else { "s" })
    };
    // The time without its date.
    let time = format_rfc3339_seconds(state.time).to_string();
    let mut parts = vec![
        format!("every {}", interval::text(state.interval)),
        format!("tick {}", state.ticks),
        time.split_once('T').map_or(time.clone(), |(_, time)| time.to_owned()),
        format!("{seen}, {new} new, {gone} gone"),
        duration(state.took),
    ];
    if state.paused {
        parts.insert(0, "PAUSED".to_owned());
    }
    if state.missed > 0 {
        parts.push(format!("{} skipped", state.missed));
    }
    if hidden > 0 {
        parts.push(format!("{hidden} columns hidden"));
    }
    parts.join("  ")
}

/// The columns that there is room for: the first one, and those up to the one that is sorted by. And how many there is no
/// room for.
fn visible(state: &State) -> (Vec<usize>, usize) {
    let count = state.columns.len();
    if count == 0 {
        return (Vec::new(), 0);
    }
    let room = state.size.0.saturating_sub(MARGIN + state.widths[0]);
    let takes = |range: std::ops::RangeInclusive<usize>| -> usize {
        state.widths[range].iter().map(|width| width + GAP).sum()
    };
    let wanted = state.sort.unwrap_or(0);
    let mut first = 1;
    while first < wanted && takes(first..=wanted) > room {
        first += 1;
    }
    let mut columns = vec![0];
    columns.extend((first..count).take_while(|last| takes(first..=*last) <= room));
    let hidden = count - columns.len();
    (columns, hidden)
}

fn header(state: &State, columns: &[usize]) -> Line {
    let mut line = vec![Span { text: " ".repeat(MARGIN), style: Style::Plain }];
    for (place, at) in columns.iter().enumerate() {
        let name = printable(state.columns[*at].name.as_bytes());
        let (arrow, style) = match state.sort {
            Some(sort) if sort == *at && state.is_descending(*at) => ("▼", Style::Reverse),
            Some(sort) if sort == *at => ("▲", Style::Reverse),
            _ => ("", Style::Bold),
        };
        push(&mut line, state, place, *at, format!("{name}{arrow}"), style);
    }
    line
}

fn row(state: &State, entry: &Entry, cells: &[Cell], columns: &[usize]) -> Line {
    let (mark, all) = match entry.mark {
        Mark::Same => ("  ", Style::Plain),
        Mark::New => ("+ ", Style::Bold),
        Mark::Gone => ("- ", Style::Dim),
    };
    let mut line = vec![Span { text: mark.to_owned(), style: all }];
    for (place, at) in columns.iter().enumerate() {
        let cell = &cells[*at];
        let style = if cell.changed { Style::Reverse } else { all };
        push(&mut line, state, place, *at, cell.text.clone(), style);
    }
    line
}

/// Adds a cell: numbers end below each other, the spaces around it are plain.
fn push(line: &mut Line, state: &State, place: usize, at: usize, text: String, style: Style) {
    let fill = state.widths[at].saturating_sub(width(&text));
    let gap = if place == 0 { 0 } else { GAP };
    let right = state.columns[at].ty.is_number() && state.columns[at].unit != Unit::Bar;
    let (before, after) = if right { (gap + fill, 0) } else { (gap, fill) };
    let blank = |count: usize| Span { text: " ".repeat(count), style: Style::Plain };
    line.extend([blank(before), Span { text, style }, blank(after)]);
}

/// The values of a row as they are shown.
fn cells(state: &State, entry: &Entry) -> Vec<Cell> {
    let columns = state.columns.iter().enumerate();
    columns
        .map(|(at, column)| {
            let value = &entry.values[at];
            let before = entry.before.as_ref().map(|before| &before[at]);
            // The figures of a row that is gone are of another time than those beside them.
            if entry.mark == Mark::Gone && !state.identifies[at] {
                return Cell { text: String::new(), changed: false };
            }
            let text = shown(value, column, state.exact).unwrap_or_else(|| NULL.to_owned());
            let changed = before.is_some_and(|before| before != value);
            // Of what is a change already its own change tells nothing.
            let plain = column.unit != Unit::Hex && !state.changes[at];
            let change = before.filter(|_| changed && state.deltas && plain);
            match change.and_then(|before| difference(before, value)) {
                Some((sign, by)) => {
                    let by = shown(&by, column, state.exact).unwrap_or_default();
                    Cell { text: format!("{text} {sign}{by}"), changed }
                }
                None => Cell { text, changed },
            }
        })
        .collect()
}

/// The sign and the size of what a number changed by.
fn difference(before: &Value, now: &Value) -> Option<(char, Value)> {
    if let (Some(before), Some(now)) = (before.integer(), now.integer()) {
        let by = u64::try_from(before.abs_diff(now)).ok()?;
        return Some((if now < before { '-' } else { '+' }, Value::UInt(by)));
    }
    let (before, now) = (before.float()?, now.float()?);
    Some((if now < before { '-' } else { '+' }, Value::Float((now - before).abs())))
}

/// What of a line fits on the screen.
fn cut(line: Line, screen: usize) -> Line {
    let mut room = screen;
    let mut short = Vec::new();
    for mut span in line {
        let wide = width(&span.text);
        if wide > room {
            while width(&span.text) >= room.max(1) && span.text.pop().is_some() {}
            if room > 0 {
                span.text.push('…');
                short.push(span);
            }
            break;
        }
        room -= wide;
        short.push(span);
    }
    // Nothing ends a line but blanks.
    while short.last().is_some_and(|span| span.style == Style::Plain && span.text.trim().is_empty())
    {
        short.pop();
    }
    short
}

#[cfg(test)]
mod tests {
    use super::super::state::Key;
    use super::super::state::tests::{state, tick};
    use super::*;

    /// What the screen shows, with `[ ]` around what is reversed and `* *` around what is bold.
    fn screen(state: &mut State) -> Vec<String> {
        let text = |line: Line| -> String {
            let spans = line.into_iter().map(|Span { text, style }| match style {
                Style::Reverse => format!("[{text}]"),
                Style::Bold => format!("*{text}*"),
                Style::Plain | Style::Dim => text,
            });
            spans.collect()
        };
        lines(state).into_iter().map(text).collect()
    }

    #[test]
    fn a_screen() {
        let mut state = state();
        state.resize(80, 9);
        tick(&mut state, &[("dentry", 10, 4096), ("filp", 7, 100)]);
        tick(&mut state, &[("dentry", 12, 4096), ("inode", 1, 1)]);
        let expected = [
            "*every 1s  tick 2  00:00:00Z  2 rows, 1 new, 1 gone  50 µs*",
            "select name, active, memory",
            "  *name*     *active*  *memory*",
            "  dentry       [12]  4.0 KiB",
            "*+ **inode*         *1*      *1 B*",
            "- filp",
            "",
            "",
            "q quit  space pause  ← → sort  r reverse  + - interval  d deltas  ↑ ↓ scroll",
        ];
        // Bold and reversed cells keep their places: only the signs here take room.
        let shown: Vec<String> = screen(&mut state)
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let wanted: Vec<String> = expected
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(shown, wanted);
        state.key(Key::Deltas);
        state.key(Key::Right);
        state.key(Key::Right);
        let shown = screen(&mut state);
        assert!(shown[2].contains("[active▼]"), "{}", shown[2]);
        assert!(shown[3].contains("[12 +2]"), "{}", shown[3]);
        state.changes[1] = true;
        assert!(screen(&mut state)[3].contains("[12]"));
        state.key(Key::Pause);
        assert!(screen(&mut state)[0].starts_with("*PAUSED  every 1s"));
    }

    #[test]
    fn columns_stay_where_they_are() {
        let mut state = state();
        tick(&mut state, &[("dentry", 1_000_000, 4096)]);
        let place = |state: &mut State| screen(state)[2].find("*active*");
        let before = place(&mut state);
        tick(&mut state, &[("dentry", 1, 4096)]);
        assert_eq!(place(&mut state), before);
    }

    #[test]
    fn every_screen_fits_its_terminal() {
        let mut state = state();
        let names: Vec<String> = (0..50).map(|row| format!("cäche-日本-{row}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 1, u64::MAX)).collect();
        tick(&mut state, &rows);
        state.notes = vec!["a note".to_owned(), "another\x1b".to_owned()];
        for (columns, rows) in
            [(0, 0), (1, 1), (5, 2), (12, 3), (20, 4), (30, 5), (80, 24), (200, 50)]
        {
            state.resize(columns, rows);
            for _ in 0..4 {
                state.key(Key::Right);
                let lines = lines(&mut state);
                assert!(lines.len() <= rows.into(), "{columns} × {rows}");
                for line in &lines {
                    let wide: usize = line.iter().map(|span| width(&span.text)).sum();
                    assert!(wide <= columns.into(), "{columns} × {rows}: {line:?}");
                    assert!(!line.iter().any(|span| span.text.contains('\x1b')));
                }
            }
        }
    }

    #[test]
    fn the_sorted_column_is_always_there() {
        let mut state = state();
        tick(&mut state, &[("dentry", 10, 4096)]);
        state.resize(20, 24);
        let shown = screen(&mut state);
        assert!(shown[2].contains("*active*") && !shown[2].contains("memory"), "{}", shown[2]);
        state.sort = Some(2);
        let shown = screen(&mut state);
        assert!(shown[2].contains("[memory▼]") && !shown[2].contains("active"), "{}", shown[2]);
        assert!(shown[2].contains("*name*"));
    }
}
