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

use comfy_table::{Attribute, Cell};
use crossterm::style::{Attribute as Look, SetAttribute};
use humantime::format_rfc3339_seconds;
use query::delta::TICKS;
use query::output::OutputColumn;
use query::value::{Unit, Value};

use super::entry::{Entry, Mark};
use super::interval;
use super::keys::KEYS;
use super::state::State;
use crate::render::{self, Layout, duration, growth, shown};
use crate::report::escape::printable;
use crate::report::terminal::{ascii, cut, wrapped};

/// The room before the first column.
const MARGIN: usize = 2;

/// What a sparkline leaves of the screen to the columns beside it, and the ticks that it shows all the same.
const AROUND: usize = 70;
const LEAST_TICKS: usize = 10;

/// The keys that are told below the rows.
const TOLD: &str =
    "q quit  ? help  / filter  space pause  ← → sort  r reverse  + - every  d deltas";

/// The same where a row can be opened.
const TOLD_OF_CACHES: &str =
    "q quit  ? help  / filter  ↑ ↓ Enter open  space pause  ← → sort  + - every";

/// The lines of the screen, with the sequences of their styles.
pub fn lines(state: &mut State) -> Vec<String> {
    let height = state.size.1;
    let mut lines = if state.help { help(state) } else { rows(state) };
    if height > lines.len() {
        let below = 1 + usize::from(!state.notes.is_empty());
        lines.resize(height.saturating_sub(below).max(lines.len()), String::new());
        if let [first, rest @ ..] = state.notes.as_slice() {
            let more =
                if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            let note = format!("note: {}{more}", printable(first.as_bytes()));
            lines.push(plain(state, &note, Look::NormalIntensity));
        }
        let told = if state.names.is_some() { TOLD_OF_CACHES } else { TOLD };
        lines.push(plain(state, told, Look::Dim));
    }
    lines.truncate(height);
    lines
}

/// What the screen says of the last tick: its head and its rows.
pub fn rows(state: &mut State) -> Vec<String> {
    let ticks = state.size.0.saturating_sub(AROUND).clamp(LEAST_TICKS, TICKS);
    state.frame.options.ticks = ticks;
    let cells: Vec<Vec<String>> = state.entries.iter().map(|entry| cells(state, entry)).collect();
    for row in &cells {
        state.seen.add(row.iter().map(String::as_str));
    }
    let (columns, height) = state.size;
    state.frame.options.width = u16::try_from(columns.saturating_sub(MARGIN).max(1)).ok();
    state.frame.options.sorted.clone_from(&state.sorted);
    state.frame.options.sorted.extend(state.sort);
    // The arrow has its room when it is not there too.
    let names: Vec<String> =
        (0..state.frame.columns.len()).map(|at| name(state, at, true)).collect();
    let layout =
        if columns > MARGIN { Layout::new(&state.frame, &names, &state.seen) } else { None };
    let mut table = Vec::new();
    state.hidden.clear();
    if let Some(layout) = layout {
        state.hidden = layout.hidden(&state.frame, &state.seen);
        let shown: Vec<String> =
            (0..names.len()).map(|at| name(state, at, state.sort == Some(at))).collect();
        let look = |at| if state.sort == Some(at) { Attribute::Reverse } else { Attribute::Bold };
        let (header, lines) = layout.header(&shown, look);
        state.head = lines;
        state.clamp();
        let seen = state.entries.iter().zip(&cells).skip(state.top).take(state.page());
        let marks: Vec<Mark> = seen.clone().map(|(entry, _)| entry.mark).collect();
        let rows = seen.map(|(entry, cells)| {
            let cell = |at: &usize| styled(state, entry, &cells[*at], *at);
            layout.columns.iter().map(cell).collect()
        });
        let drawn = layout.table(&state.frame, Some(header), rows);
        let cursor = state.cursor().map(|row| row + lines - state.top);
        let marks = (0..lines).map(|_| Mark::Same).chain(marks).enumerate();
        let marked = render::lines(&drawn).zip(marks);
        table.extend(marked.map(|(line, (at, mark))| marked_as(mark, cursor == Some(at), &line)));
    }
    let mut lines = vec![
        plain(state, &status(state), Look::Bold),
        plain(state, &printable(state.query.as_bytes()), Look::Dim),
    ];
    lines.extend(table);
    lines.truncate(height);
    lines
}

/// What the keys do, and which columns are hidden.
fn help(state: &State) -> Vec<String> {
    let mut text = String::from("Keys of a watch; any of them leads back to it\n\n");
    for (keys, does) in KEYS {
        text.push_str(&format!("  {keys:22}  {does}\n"));
    }
    if !state.hidden.is_empty() {
        let names: Vec<&str> = state.hidden.iter().map(|column| column.name.as_str()).collect();
        text.push_str(&format!("\nhidden columns: {}\n", names.join(", ")));
    }
    let text = wrapped(&text, state.size.0.max(1));
    text.lines().map(|line| plain(state, line, Look::NormalIntensity)).collect()
}

/// A line in one style, cut to the screen.
pub fn plain(state: &State, text: &str, look: Look) -> String {
    let ascii_only = state.frame.options.ascii;
    let text = if ascii_only { ascii(text) } else { text.to_owned() };
    let mut text = cut(&text, state.size.0);
    if ascii_only && text.ends_with('…') {
        text = text.replace('…', ">").into();
    }
    if look == Look::NormalIntensity || text.is_empty() {
        return text.into_owned();
    }
    format!("{}{text}{}", SetAttribute(look), SetAttribute(Look::Reset))
}

/// A line of the table with its row's mark before it, and a sign where it is chosen.
fn marked_as(mark: Mark, is_chosen: bool, line: &str) -> String {
    let (sign, look) = match mark {
        Mark::Same if !is_chosen => return format!("  {line}").trim_end().to_owned(),
        Mark::Same => (' ', Look::Bold),
        Mark::New => ('+', Look::Bold),
        Mark::Gone => ('-', Look::Dim),
    };
    let signs = if is_chosen { format!(">{sign}") } else { format!("{sign} ") };
    format!("{}{signs}{}{line}", SetAttribute(look), SetAttribute(Look::Reset))
}

/// A cell: reversed if it says something else than in the tick before. A change has a colour where its sign is shown.
fn styled(state: &State, entry: &Entry, text: &str, at: usize) -> Cell {
    let mut cell = Cell::new(text);
    if let Some(grew) = grew(state, entry, at).filter(|_| state.colored) {
        cell = cell.fg(growth(grew));
    }
    match entry.mark {
        _ if is_changed(state, entry, at) => cell.add_attribute(Attribute::Reverse),
        Mark::Same if entry.values[at] == Value::Null => cell.add_attribute(Attribute::Dim),
        Mark::Same => cell,
        Mark::New => cell.add_attribute(Attribute::Bold),
        Mark::Gone => cell.add_attribute(Attribute::Dim),
    }
}

/// Whether what a cell says by a sign is that something grew or shrank; none if it says neither.
fn grew(state: &State, entry: &Entry, at: usize) -> Option<bool> {
    if entry.mark == Mark::Gone {
        return None;
    }
    let column = &state.frame.columns[at];
    if column.change {
        return entry.values[at].float().filter(|by| *by != 0.0).map(|by| by > 0.0);
    }
    let signed = state.deltas && column.unit != Unit::Hex && !state.changes[at];
    let before = &entry.before.as_ref().filter(|_| signed)?[at];
    difference(before, &entry.values[at]).map(|(sign, _)| sign == '+')
}

/// Whether what a cell says changed. A change is no text that changes: it is there or is 0.
fn is_changed(state: &State, entry: &Entry, at: usize) -> bool {
    let Some(before) = &entry.before else { return false };
    let (before, now) = (&before[at], &entry.values[at]);
    if state.changes[at] {
        return *now != Value::Null && now.float() != Some(0.0);
    }
    let text = |value| shown(value, &state.frame.columns[at], &state.frame.options);
    before != now && (state.deltas || text(before) != text(now))
}

/// The name of a column, with an arrow that says how it is sorted.
fn name(state: &State, at: usize, arrow: bool) -> String {
    let arrow = match arrow {
        true if state.is_descending(at) => "▼",
        true => "▲",
        false => "",
    };
    let name = printable(state.frame.columns[at].name.as_bytes());
    state.frame.fit(format!("{name}{arrow}"))
}

fn status(state: &State) -> String {
    let (rows, new, gone) = state.counts();
    let last = state.entries.len().min(state.top + state.page());
    let mut seen = if state.top > 0 || last < state.entries.len() {
        format!("rows {}-{last} of {rows}", state.top + 1)
    } else {
        format!("{rows} row{}", if rows == 1 { "" } else { "s" })
    };
    for (count, what) in [(new, "new"), (gone, "gone")] {
        if count > 0 {
            seen.push_str(&format!(", {count} {what}"));
        }
    }
    // The time without its date.
    let time = format_rfc3339_seconds(state.time).to_string();
    let mut parts = vec![
        format!("every {}", interval::text(state.interval)),
        format!("tick {}", state.ticks),
        time.split_once('T').map_or(time.clone(), |(_, time)| time.to_owned()),
        seen,
        duration(state.took),
    ];
    if state.typing || !state.filter.is_empty() {
        parts.insert(0, format!("/{}{}", state.filter, if state.typing { "_" } else { "" }));
    }
    if state.paused {
        parts.insert(0, "PAUSED".to_owned());
    }
    if state.missed > 0 {
        parts.push(format!("{} skipped", state.missed));
    }
    if !state.hidden.is_empty() {
        parts.push(format!("{} hidden", state.hidden.len()));
    }
    parts.join("  ")
}

/// The values of a row as they are shown.
fn cells(state: &State, entry: &Entry) -> Vec<String> {
    let columns = state.frame.columns.iter().enumerate();
    let options = &state.frame.options;
    let mut texts = state.frame.cells(&entry.values);
    let text = |(at, column): (usize, &OutputColumn)| {
        let value: &Value = &entry.values[at];
        // The figures of a row that is gone are of another time than those beside them.
        if entry.mark == Mark::Gone && !state.identifies[at] {
            return String::new();
        }
        let mut text = texts[at].take().unwrap_or_else(|| options.null.clone());
        // Of what is a change already its own change tells nothing.
        let plain = state.deltas && column.unit != Unit::Hex && !state.changes[at];
        let before = entry.before.as_ref().map(|before| &before[at]).filter(|_| plain);
        if let Some((sign, by)) = before.and_then(|before| difference(before, value)) {
            text.push_str(&format!(" {sign}{}", shown(&by, column, options).unwrap_or_default()));
        }
        state.frame.fit(text)
    };
    columns.map(text).collect()
}

/// The sign and the size of what a number changed by.
fn difference(before: &Value, now: &Value) -> Option<(char, Value)> {
    if before == now {
        return None;
    }
    if let (Some(before), Some(now)) = (before.integer(), now.integer()) {
        let by = u64::try_from(before.abs_diff(now)).ok()?;
        return Some((if now < before { '-' } else { '+' }, Value::UInt(by)));
    }
    let (before, now) = (before.float()?, now.float()?);
    Some((if now < before { '-' } else { '+' }, Value::Float((now - before).abs())))
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::super::state::tests::{state, tick};
    use super::*;

    /// What the screen shows, with `[ ]` around what is reversed and `* *` around what is bold.
    fn screen(state: &mut State) -> Vec<String> {
        let text = |line: String| {
            let mut parts = line.split("\x1b[");
            let mut text = parts.next().unwrap_or_default().to_owned();
            let mut close = "";
            for (code, rest) in parts.filter_map(|part| part.split_once('m')) {
                let (open, end) = match code {
                    "7" => ("[", "]"),
                    "1" => ("*", "*"),
                    _ => ("", ""),
                };
                text.extend([close, open, rest]);
                close = end;
            }
            text + close
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
            "q quit ? help / filter space pause ← → sort r reverse + - every d deltas",
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
    fn what_grew_has_a_colour_where_it_has_a_sign() {
        let mut state = state();
        state.colored = true;
        tick(&mut state, &[("dentry", 10, 4096), ("filp", 7, 100)]);
        tick(&mut state, &[("dentry", 12, 4096), ("filp", 5, 100)]);
        let colors = |state: &mut State| {
            let text = lines(state).join("\n");
            [text.matches("38;5;1m").count(), text.matches("38;5;2m").count()]
        };
        assert_eq!(colors(&mut state), [0, 0]);
        state.key(Key::Deltas);
        assert_eq!(colors(&mut state), [1, 1]);
        state.key(Key::Deltas);
        (state.frame.columns[1].change, state.changes[1]) = (true, true);
        assert_eq!(colors(&mut state), [2, 0]);
        state.colored = false;
        assert_eq!(colors(&mut state), [0, 0]);
    }

    #[test]
    fn only_what_is_shown_to_have_changed_is_marked() {
        let mut state = state();
        tick(&mut state, &[("dentry", 0, 1 << 30)]);
        tick(&mut state, &[("dentry", 0, (1 << 30) + 1)]);
        assert!(screen(&mut state)[3].ends_with(" 1.0 GiB"));
        state.key(Key::Deltas);
        assert!(screen(&mut state)[3].ends_with("[1.0 GiB +1 B]"));
        // A change that is over is none.
        state.changes[1] = true;
        tick(&mut state, &[("dentry", 5, 1)]);
        assert!(screen(&mut state)[3].contains("[5]"));
        tick(&mut state, &[("dentry", 5, 1)]);
        assert!(screen(&mut state)[3].contains("[5]"));
        tick(&mut state, &[("dentry", 0, 1)]);
        assert!(!screen(&mut state)[3].contains('['));
    }

    #[test]
    fn totals_stand_below_whatever_is_sorted_by() {
        let mut columns = state().frame.columns;
        let mut total = OutputColumn::new("total", query::value::Type::Bool, Unit::None);
        (columns[0].identifies, total.totals) = (true, true);
        columns.push(total);
        let options = render::Options::default();
        let mut state =
            State::new(columns, options, "", std::time::Duration::from_secs(1), (80, 9));
        let row = |name, active: u64, totals| {
            vec![name, Value::UInt(active), Value::UInt(0), Value::Bool(totals)]
        };
        let rows = vec![
            row(Value::text("dentry"), 2, false),
            row(Value::text("filp"), 10, false),
            row(Value::Null, 12, true),
        ];
        super::super::state::tests::take(&mut state, rows);
        for keys in [&[][..], &[Key::Reverse], &[Key::Right, Key::Right], &[Key::Reverse]] {
            for key in keys {
                state.key(*key);
            }
            let shown = screen(&mut state);
            assert!(!shown[2].contains("total"), "{}", shown[2]);
            assert!(shown[5].starts_with("  total") && shown[5].contains("12"), "{shown:?}");
        }
    }

    #[test]
    fn the_keys_are_shown_until_one_is_pressed() {
        let mut state = state();
        tick(&mut state, &[("dentry", 10, 4096)]);
        state.resize(22, 120);
        screen(&mut state);
        state.key(Key::Help);
        let shown = screen(&mut state).join("\n");
        assert!(shown.contains("hidden columns: memory\n") && !shown.contains("dentry"), "{shown}");
        state.resize(80, 24);
        let shown = screen(&mut state).join("\n");
        for (keys, does) in KEYS {
            assert!(shown.contains(&format!("  {keys:22}  {does}\n")), "{shown}");
        }
        let page = state.top;
        state.key(Key::Rows(1));
        assert!(screen(&mut state)[3].contains("dentry") && state.top == page);
        state.key(Key::Help);
        assert_eq!(state.key(Key::Quit), crate::features::watch::state::Action::Quit);
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
                    let wide = textwrap::core::display_width(line);
                    assert!(wide <= columns.into(), "{columns} × {rows}: {line:?}");
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
