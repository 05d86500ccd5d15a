//! What a watch shows on a screen, as a function of ticks and keys: no clock, no terminal.
//!
//! Which row was which in the tick before the tick says. A row that was not there is marked as new; one that is there no
//! more is shown for one more tick, without its figures, and marked as gone.

use std::time::{Duration, SystemTime};

use query::exec::identity::Before;
use query::output::OutputColumn;
use query::value::Value;

use super::entry::{Entry, Mark, order};
use super::interval;
use super::keys::Key;
use super::ticks::Tick;
use crate::render::{Frame, Hidden, Options, Seen};

/// What a key asks of whoever drives the watch; the screen is drawn anew in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Draw,
    /// Ends the watch.
    Quit,
    /// Opens the cache that [`State::opened`] names.
    Open,
    /// Begins to wait anew, for the state's interval.
    Restart,
    /// Takes a tick at once and goes on from there, or takes none.
    Resume,
    Pause,
}

/// What there is to show.
#[expect(clippy::struct_excessive_bools, reason = "switches, each with a key of its own")]
pub struct State {
    /// The columns, and how values are shown.
    pub frame: Frame,
    /// Which of them are changes.
    pub changes: Vec<bool>,
    /// Which of them tell rows apart.
    pub identifies: Vec<bool>,
    /// The columns that the query sorts by.
    pub sorted: Vec<usize>,
    /// Whether what grew and what shrank has a colour.
    pub colored: bool,
    /// The text of the query, on one line.
    pub query: String,
    pub interval: Duration,
    /// The shortest one that is gone to.
    pub least: Duration,
    pub paused: bool,
    /// Whether numbers are shown with what they changed by.
    pub deltas: bool,
    /// The column that is sorted by; none is the order of the query.
    pub sort: Option<usize>,
    pub reversed: bool,
    /// Columns and lines of the terminal.
    pub size: (usize, usize),
    /// The rows in the order in which they are shown.
    pub entries: Vec<Entry>,
    /// The first of them that is on the screen.
    pub top: usize,
    pub ticks: u64,
    /// Ticks that were left out.
    pub missed: u64,
    pub time: SystemTime,
    pub took: Duration,
    pub notes: Vec<String>,
    /// The text that a row that is shown has in it, and whether it is being typed.
    pub filter: String,
    pub typing: bool,
    /// The column that has the names of caches, if rows can be opened.
    pub names: Option<usize>,
    /// The cache that is chosen, and how many rows before it have the same name.
    chosen: Option<(Value, usize)>,
    /// Whether the keys are shown in the place of the rows.
    pub help: bool,
    /// The columns that there is no room for.
    pub hidden: Vec<Hidden>,
    /// How many lines the names of columns take.
    pub head: usize,
    /// What columns have held so far, so that they do not jump.
    pub seen: Seen,
    /// The rows as the query orders them.
    rows: Vec<Entry>,
}

impl State {
    pub fn new(
        columns: Vec<OutputColumn>,
        options: Options,
        query: &str,
        interval: Duration,
        size: (u16, u16),
    ) -> Self {
        Self {
            seen: Seen::new(columns.len()),
            changes: vec![false; columns.len()],
            identifies: vec![true; columns.len()],
            sorted: options.sorted.clone(),
            colored: options.color,
            // A screen is a table however little of it there is room for, and knows all styles.
            frame: Frame::for_people(columns, Options { fields: None, color: true, ..options }),
            query: query.split_whitespace().collect::<Vec<_>>().join(" "),
            interval,
            least: Duration::ZERO,
            paused: false,
            deltas: false,
            sort: None,
            reversed: false,
            size: (size.0.into(), size.1.into()),
            entries: Vec::new(),
            top: 0,
            ticks: 0,
            missed: 0,
            time: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            notes: Vec::new(),
            filter: String::new(),
            typing: false,
            names: None,
            chosen: None,
            help: false,
            hidden: Vec::new(),
            head: 1,
            rows: Vec::new(),
        }
    }

    /// Takes a tick.
    pub fn tick(&mut self, tick: Tick) {
        // Those that are gone already stand behind the others.
        let mut before = std::mem::take(&mut self.rows);
        for (of, values) in tick.before.into_iter().zip(tick.rows) {
            let mark = if of == Before::New { Mark::New } else { Mark::Same };
            let before = match of {
                Before::Row(row) => Some(std::mem::take(&mut before[row].values)),
                Before::New | Before::Unknown => None,
            };
            self.rows.push(Entry { values, before, mark });
        }
        let gone = tick.left.iter().map(|row| std::mem::take(&mut before[*row].values));
        self.rows.extend(gone.map(|values| Entry { values, before: None, mark: Mark::Gone }));
        self.ticks += 1;
        (self.time, self.took, self.notes) = (tick.time, tick.took, tick.notes);
        self.arrange();
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key) -> Action {
        if std::mem::take(&mut self.help) {
            return if key == Key::Quit { Action::Quit } else { Action::Draw };
        }
        match key {
            Key::Quit => return Action::Quit,
            Key::Help => self.help = true,
            Key::Filter => self.typing = true,
            Key::Letter(letter) => {
                self.filter.push(letter);
                self.top = 0;
            }
            Key::Erase => self.typing = self.filter.pop().is_some(),
            Key::Enter if self.typing => self.typing = false,
            Key::Enter => {
                return if self.opened().is_some() { Action::Open } else { Action::Draw };
            }
            Key::Escape if self.typing || !self.filter.is_empty() => {
                self.filter.clear();
                self.typing = false;
            }
            Key::Escape => self.chosen = None,
            Key::Sort(name) => {
                let at = self.frame.columns.iter().position(|column| column.name == name);
                if let Some(at) = at {
                    (self.sort, self.reversed) = (Some(at), false);
                    self.sorted_anew();
                }
            }
            Key::Pause => {
                self.paused = !self.paused;
                return if self.paused { Action::Pause } else { Action::Resume };
            }
            Key::Longer | Key::Shorter => {
                let now = self.interval;
                let next = interval::next(now, key == Key::Longer);
                let next = next.filter(|next| *next >= self.least);
                self.interval = next.unwrap_or(now);
                return if next.is_some() { Action::Restart } else { Action::Draw };
            }
            Key::Left => {
                let last = self.frame.columns.len().checked_sub(1);
                self.sort = self.sort.map_or(last, |at| at.checked_sub(1));
                self.sorted_anew();
            }
            Key::Right => {
                let next = self.sort.map_or(0, |at| at + 1);
                self.sort = (next < self.frame.columns.len()).then_some(next);
                self.sorted_anew();
            }
            Key::Reverse => {
                self.reversed = !self.reversed;
                self.sorted_anew();
            }
            Key::Deltas => {
                self.deltas = !self.deltas;
                self.seen = Seen::new(self.frame.columns.len());
            }
            Key::Rows(rows) if self.names.is_some() => self.choose(rows),
            Key::Rows(rows) => self.scroll(rows),
            Key::Pages(pages) => {
                let page = i32::try_from(self.page()).unwrap_or(i32::MAX);
                let rows = pages.saturating_mul(page);
                if self.cursor().is_some() { self.choose(rows) } else { self.scroll(rows) }
            }
            Key::Home | Key::End if self.cursor().is_some() => {
                self.choose(if key == Key::Home { i32::MIN } else { i32::MAX });
            }
            Key::Home => self.top = 0,
            Key::End => self.top = self.entries.len(),
        }
        self.arrange();
        Action::Draw
    }

    /// The terminal has another size.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.size = (width.into(), height.into());
        self.seen = Seen::new(self.frame.columns.len());
        self.arrange();
    }

    /// Whether a column is sorted from its greatest value on: numbers are at first, texts are not.
    pub fn is_descending(&self, column: usize) -> bool {
        self.frame.columns[column].ty.is_number() != self.reversed
    }

    /// How many rows were not there before, and are there no more.
    pub fn counts(&self) -> (usize, usize, usize) {
        let of = |mark| self.entries.iter().filter(|entry| entry.mark == mark).count();
        (self.entries.len() - of(Mark::Gone), of(Mark::New), of(Mark::Gone))
    }

    /// The rows of the last tick, as an answer has them.
    pub fn answer(&self) -> Vec<Vec<Value>> {
        let there = self.entries.iter().filter(|entry| entry.mark != Mark::Gone);
        there.map(|entry| entry.values.clone()).collect()
    }

    /// How many rows the screen has.
    pub fn page(&self) -> usize {
        self.size.1.saturating_sub(3 + self.head + usize::from(!self.notes.is_empty())).max(1)
    }

    /// Where rows can be chosen, another order is looked at from its beginning, with none of them chosen.
    fn sorted_anew(&mut self) {
        if self.names.is_some() {
            (self.chosen, self.top) = (None, 0);
        }
    }

    /// The row that is chosen, if it is there.
    pub fn cursor(&self) -> Option<usize> {
        let (at, (name, before)) = (self.names?, self.chosen.as_ref()?);
        let same = |(_, entry): &(usize, &Entry)| entry.values[at] == *name;
        let mut same = self.entries.iter().enumerate().filter(same).map(|(row, _)| row);
        let first = same.next()?;
        Some(same.take(*before).last().unwrap_or(first))
    }

    /// Chooses the row that is so many down from the one that is chosen; at first the uppermost on the screen.
    fn choose(&mut self, rows: i32) {
        let (Some(at), Some(last)) = (self.names, self.entries.len().checked_sub(1)) else {
            return;
        };
        let rows = isize::try_from(rows).unwrap_or_default();
        let row = self.cursor().map_or(self.top, |row| row.saturating_add_signed(rows)).min(last);
        let name = &self.entries[row].values[at];
        let before = self.entries[..row].iter().filter(|entry| entry.values[at] == *name).count();
        self.chosen = Some((name.clone(), before));
    }

    /// The cache that is opened: the one that is chosen, or the uppermost on the screen.
    pub fn opened(&self) -> Option<String> {
        match self.entries.get(self.cursor().unwrap_or(self.top))?.values.get(self.names?)? {
            Value::Text(name) => Some(String::from_utf8_lossy(name).into_owned()),
            _ => None,
        }
    }

    fn scroll(&mut self, rows: i32) {
        let by = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
        self.top = if rows < 0 { self.top.saturating_sub(by) } else { self.top.saturating_add(by) };
    }

    /// Puts the rows into the order that is asked for.
    fn arrange(&mut self) {
        self.entries.clone_from(&self.rows);
        if !self.filter.is_empty() {
            let wanted = self.filter.to_ascii_lowercase();
            self.entries.retain(|entry| entry.values.iter().any(|value| has(value, &wanted)));
        }
        if let Some(column) = self.sort {
            let descending = self.is_descending(column);
            self.entries.sort_by(|left, right| {
                order(&left.values[column], &right.values[column], descending)
            });
        } else if self.reversed {
            self.entries.reverse();
        }
        // Whatever is sorted by, what all rows come to stands below them.
        self.entries.sort_by_key(|entry| self.frame.is_totals(&entry.values));
        self.clamp();
    }

    /// Leaves no lines empty while there are rows above, and the chosen row on the screen.
    pub fn clamp(&mut self) {
        if let Some(row) = self.cursor() {
            self.top = self.top.clamp((row + 1).saturating_sub(self.page()), row);
        }
        self.top = self.top.min(self.entries.len().saturating_sub(self.page()));
    }
}

/// Whether a value is a text with another in it, which is in lower case.
fn has(value: &Value, wanted: &str) -> bool {
    let Value::Text(text) = value else { return false };
    String::from_utf8_lossy(text).to_ascii_lowercase().contains(wanted)
}

#[cfg(test)]
pub(super) mod tests {
    use query::exec::identity::{self, Matched};
    use query::value::{Type, Unit};

    use super::*;

    pub fn state() -> State {
        let columns = vec![
            OutputColumn::new("name", Type::Text, Unit::None),
            OutputColumn::new("active", Type::UInt, Unit::Count),
            OutputColumn::new("memory", Type::UInt, Unit::Bytes),
        ];
        let query = "select  name,\n active, memory";
        let state =
            State::new(columns, Options::default(), query, Duration::from_secs(1), (80, 24));
        State { identifies: vec![true, false, false], ..state }
    }

    /// Takes the next tick, which has these rows.
    pub fn tick(state: &mut State, rows: &[(&str, u64, u64)]) {
        let values = |(name, active, memory): &(&str, u64, u64)| {
            vec![Value::text(name), Value::UInt(*active), Value::UInt(*memory)]
        };
        take(state, rows.iter().map(values).collect());
    }

    /// The same of rows whose first value tells them apart.
    pub fn take(state: &mut State, rows: Vec<Vec<Value>>) {
        let key = |values: &Vec<Value>| identity::key(&values[..1]);
        let known = state.rows.iter().filter(|row| row.mark != Mark::Gone);
        let known: Vec<_> = known.map(|row| key(&row.values)).collect();
        let keys: Vec<_> = rows.iter().map(key).collect();
        let Matched { before, gone } = identity::matched(&known, &keys);
        state.tick(Tick {
            time: SystemTime::UNIX_EPOCH,
            before: if state.ticks == 0 { vec![Before::Unknown; rows.len()] } else { before },
            left: gone,
            rows,
            notes: Vec::new(),
            news: Vec::new(),
            came: Vec::new(),
            gone: Vec::new(),
            took: Duration::from_micros(50),
        });
    }

    fn names(state: &State) -> Vec<String> {
        let name = |entry: &Entry| match &entry.values[0] {
            Value::Text(name) => String::from_utf8(name.to_vec()).unwrap(),
            _ => String::new(),
        };
        state.entries.iter().map(name).collect()
    }

    #[test]
    fn rows_that_come_and_go_are_marked() {
        let mut state = state();
        tick(&mut state, &[("a", 1, 0), ("b", 2, 0)]);
        assert_eq!(state.counts(), (2, 0, 0));
        tick(&mut state, &[("b", 3, 0), ("c", 1, 0)]);
        let marks: Vec<Mark> = state.entries.iter().map(|entry| entry.mark).collect();
        assert_eq!(names(&state), ["b", "c", "a"]);
        assert_eq!(marks, [Mark::Same, Mark::New, Mark::Gone]);
        assert_eq!(state.entries[0].before.as_ref().unwrap()[1], Value::UInt(2));
        assert_eq!(state.counts(), (2, 1, 1));
        assert_eq!(state.answer().len(), 2);
        // What is gone is shown once, and new again when it comes back.
        tick(&mut state, &[("b", 3, 0), ("c", 1, 0)]);
        assert_eq!(names(&state), ["b", "c"]);
        tick(&mut state, &[("a", 3, 0)]);
        assert_eq!(names(&state), ["a", "b", "c"]);
        assert_eq!(state.counts(), (1, 1, 2));
    }

    #[test]
    fn arrows_choose_the_sort_column() {
        let mut state = state();
        tick(&mut state, &[("b", 1, 9), ("c", 3, 8), ("a", 2, 7)]);
        let mut after = |keys: &[Key]| {
            for key in keys {
                assert_eq!(state.key(*key), Action::Draw);
            }
            names(&state).concat()
        };
        assert_eq!(after(&[]), "bca");
        assert_eq!(after(&[Key::Reverse]), "acb");
        assert_eq!(after(&[Key::Reverse, Key::Right]), "abc");
        assert_eq!(after(&[Key::Right]), "cab");
        assert_eq!(after(&[Key::Reverse]), "bac");
        assert_eq!(after(&[Key::Left]), "cba");
        assert_eq!(after(&[Key::Left]), "acb");
        assert_eq!(after(&[Key::Reverse, Key::Left]), "bca");
        assert_eq!(after(&[Key::Right]), "bca");
        state.rows[1].values[1] = Value::Null;
        state.sort = Some(1);
        for _ in 0..2 {
            state.key(Key::Reverse);
            assert_eq!(names(&state)[2], "c", "NULL comes last");
        }
    }

    #[test]
    fn a_filter_leaves_rows_with_its_text() {
        let mut state = state();
        tick(&mut state, &[("dentry", 1, 9), ("Inode", 3, 8), ("ext4_inode", 2, 7)]);
        let mut after = |keys: &[Key]| {
            for key in keys {
                assert_eq!(state.key(*key), Action::Draw);
            }
            (names(&state).join(" "), state.typing)
        };
        assert_eq!(after(&[Key::Filter]), ("dentry Inode ext4_inode".into(), true));
        assert_eq!(after(&[Key::Letter('I'), Key::Letter('n')]), ("Inode ext4_inode".into(), true));
        assert_eq!(after(&[Key::Enter, Key::Sort("memory")]), ("Inode ext4_inode".into(), false));
        assert_eq!(after(&[Key::Sort("name"), Key::Reverse]), ("ext4_inode Inode".into(), false));
        assert_eq!(after(&[Key::Sort("active"), Key::Sort("nothing")]).0, "Inode ext4_inode");
        assert_eq!(after(&[Key::Filter, Key::Letter('x')]), (String::new(), true));
        assert_eq!(after(&[Key::Erase]).0, "Inode ext4_inode");
        assert!(!after(&[Key::Escape]).1);
        assert!(!after(&[Key::Filter, Key::Erase]).1);
        tick(&mut state, &[("dentry", 1, 9)]);
        state.filter = "dent".to_owned();
        tick(&mut state, &[("dentry", 1, 9), ("filp", 1, 9)]);
        assert_eq!((names(&state).concat(), state.counts().0), ("dentry".to_owned(), 1));
    }

    #[test]
    fn a_row_is_chosen_and_opened() {
        let mut state = state();
        tick(&mut state, &[("a", 1, 9), ("b", 2, 8), ("b", 3, 7), ("c", 4, 6)]);
        assert_eq!(state.key(Key::Enter), Action::Draw);
        state.names = Some(0);
        assert_eq!((state.key(Key::Enter), state.opened().as_deref()), (Action::Open, Some("a")));
        let mut after = |key| {
            assert_eq!(state.key(key), Action::Draw);
            (state.cursor(), state.opened())
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(after(Key::Rows(1)), (Some(0), name("a")));
        for (key, row, named) in [
            (Key::Rows(1), 1, "b"),
            (Key::Rows(1), 2, "b"),
            (Key::Rows(1), 3, "c"),
            (Key::Rows(1), 3, "c"),
            (Key::Home, 0, "a"),
            (Key::Pages(1), 3, "c"),
            (Key::Rows(-1), 2, "b"),
        ] {
            assert_eq!(after(key), (Some(row), name(named)), "{key:?}");
        }
        // Another order begins anew. A row that is not shown is not chosen.
        assert_eq!(after(Key::Sort("active")), (None, name("c")));
        assert_eq!(after(Key::Rows(1)), (Some(0), name("c")));
        assert_eq!(after(Key::End), (Some(3), name("a")));
        assert_eq!(after(Key::Sort("memory")), (None, name("a")));
        assert_eq!(after(Key::Rows(1)), (Some(0), name("a")));
        after(Key::Filter);
        assert_eq!(after(Key::Letter('c')), (None, name("c")));
        assert_eq!(after(Key::Escape), (Some(0), name("a")));
        assert_eq!(after(Key::Escape), (None, name("a")));
        state.resize(80, 5);
        for _ in 0..4 {
            state.key(Key::Rows(1));
        }
        assert_eq!((state.cursor(), state.page(), state.top), (Some(3), 1, 3));
        // It is followed where it goes.
        state.resize(80, 24);
        state.key(Key::Sort("active"));
        state.key(Key::End);
        state.key(Key::Rows(1));
        assert_eq!((state.cursor(), state.opened()), (Some(0), Some("c".to_owned())));
        tick(&mut state, &[("a", 9, 9), ("b", 8, 8), ("b", 7, 7), ("c", 4, 6)]);
        assert_eq!((state.cursor(), state.opened()), (Some(3), Some("c".to_owned())));
        tick(&mut state, &[]);
        tick(&mut state, &[]);
        assert_eq!(
            (state.cursor(), state.opened(), state.key(Key::Rows(1))),
            (None, None, Action::Draw)
        );
    }

    #[test]
    fn keys_ask_the_driver() {
        let mut state = state();
        assert_eq!(state.key(Key::Quit), Action::Quit);
        assert_eq!((state.key(Key::Pause), state.paused), (Action::Pause, true));
        assert_eq!((state.key(Key::Pause), state.paused), (Action::Resume, false));
        assert_eq!(state.key(Key::Longer), Action::Restart);
        assert_eq!(state.interval, Duration::from_secs(2));
        for _ in 0..20 {
            state.key(Key::Longer);
        }
        assert_eq!(
            (state.key(Key::Longer), state.interval),
            (Action::Draw, Duration::from_mins(10))
        );
        state.least = state.interval;
        assert_eq!(state.key(Key::Shorter), Action::Draw);
        state.least = Duration::ZERO;
        state.interval = Duration::from_millis(70);
        assert_eq!(state.key(Key::Shorter), Action::Restart);
        assert_eq!(state.key(Key::Shorter), Action::Draw);
        assert_eq!(state.interval, Duration::from_millis(50));
        // Shorter than the shortest step is left as it is.
        state.interval = Duration::from_millis(1);
        assert_eq!(
            (state.key(Key::Shorter), state.interval),
            (Action::Draw, Duration::from_millis(1))
        );
    }

    #[test]
    fn rows_scroll_within_their_bounds() {
        let mut state = state();
        let names: Vec<String> = (0..100).map(|row| format!("{row:02}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
        tick(&mut state, &rows);
        assert_eq!(state.page(), 20);
        let mut top = |key| {
            state.key(key);
            state.top
        };
        assert_eq!(top(Key::Rows(-1)), 0);
        assert_eq!(top(Key::Rows(3)), 3);
        assert_eq!(top(Key::Pages(1)), 23);
        assert_eq!(top(Key::End), 80);
        assert_eq!(top(Key::Pages(9)), 80);
        assert_eq!(top(Key::Pages(-1)), 60);
        state.resize(80, 94);
        assert_eq!(state.top, 10);
        tick(&mut state, &rows[..5]);
        // Those that are gone have their lines yet.
        assert_eq!(state.top, 10);
        tick(&mut state, &rows[..5]);
        assert_eq!(state.top, 0);
        state.resize(0, 0);
        assert_eq!(state.page(), 1);
    }
}
