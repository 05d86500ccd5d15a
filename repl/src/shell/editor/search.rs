//! Searches what was entered before: an entry is found by letters that it has in this order.
//!
//! ```text
//! history: memdes_  2 of 140
//! >  3m  select name, memory order by memory desc limit 10;
//!    2d  select name, rate(memory) as growth order by growth desc;
//! ```
//!
//! Entries with the whole pattern come first, then those with all of its words, then those with its letters; among equals
//! the newest is first. It draws on a screen of its own, so the line that is edited is untouched until an entry is taken.

use std::io;
use std::time::Duration;

use crossterm::style::{Attribute, SetAttribute};

use super::history::{Entry, now};
use crate::kernel::keys::{self, Typed};
use crate::kernel::signals;
use crate::report::escape::printable;
use crate::report::terminal::{self, cut, screen, wrapped};

/// How often the terminal's size and signals are looked at.
const NAP: Duration = Duration::from_millis(100);

/// The keys that are told below the entries.
const TOLD: &str = "Enter takes it  Esc leaves  ↑ ↓ Ctrl-R choose";

/// Lets somebody search, beginning with what is on the line. Gives the entry that was taken.
pub(super) fn run(entries: Vec<Entry>, line: &str) -> io::Result<Option<String>> {
    signals::over_line(|terminal| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut search = Search::new(entries, &words.join(" "), now());
        loop {
            let (columns, height) = terminal::size();
            let lines = search.lines(columns.into(), height.into());
            terminal.write_all(screen(&lines).as_bytes())?;
            let (first, sequence) = loop {
                match keys::next(NAP)? {
                    Typed::Bytes(first, sequence) => break (first, sequence),
                    Typed::Gone => return Ok(None),
                    Typed::Nothing if signals::happened() => return Ok(None),
                    Typed::Nothing
                        if signals::resumed() || terminal::size() != (columns, height) =>
                    {
                        break (0, Vec::new());
                    }
                    Typed::Nothing => {}
                }
            };
            match search.key(first, &sequence) {
                Next::Draw => {}
                Next::Leave => return Ok(None),
                Next::Take => return Ok(search.taken()),
            }
        }
    })
}

/// What a key leads to.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Draw,
    Take,
    Leave,
}

struct Search {
    /// The newest first.
    entries: Vec<Entry>,
    pattern: Vec<u8>,
    /// Those that are found, the best first, and which of them is chosen.
    found: Vec<usize>,
    at: usize,
    now: u64,
}

impl Search {
    fn new(entries: Vec<Entry>, pattern: &str, now: u64) -> Self {
        let pattern = pattern.as_bytes().to_vec();
        let mut search = Self { entries, pattern, found: Vec::new(), at: 0, now };
        search.find();
        search
    }

    fn pattern(&self) -> String {
        String::from_utf8_lossy(&self.pattern).into_owned()
    }

    fn find(&mut self) {
        let pattern = self.pattern().to_lowercase();
        let entries = self.entries.iter().enumerate();
        let ranks = entries
            .filter_map(|(at, entry)| Some((rank(&entry.text.to_lowercase(), &pattern)?, at)));
        let mut ranks: Vec<(u8, usize)> = ranks.collect();
        ranks.sort_unstable();
        self.found = ranks.into_iter().map(|(_, at)| at).collect();
        self.at = 0;
    }

    fn taken(&self) -> Option<String> {
        self.found.get(self.at).map(|at| self.entries[*at].text.clone())
    }

    fn key(&mut self, first: u8, sequence: &[u8]) -> Next {
        let last = self.found.len().saturating_sub(1);
        match (first, sequence) {
            (b'\r' | b'\n' | b'\t', _) if self.found.is_empty() => {}
            (b'\r' | b'\n' | b'\t', _) => return Next::Take,
            // Esc, Ctrl-C, Ctrl-D and Ctrl-G.
            (0x1b, []) | (0x03 | 0x04 | 0x07, _) => return Next::Leave,
            // Ctrl-R and Ctrl-N lead on, Ctrl-S and Ctrl-P back.
            (0x12 | 0x0e, _) | (0x1b, [b'[' | b'O', b'B']) => self.at = (self.at + 1).min(last),
            (0x13 | 0x10, _) | (0x1b, [b'[' | b'O', b'A']) => self.at = self.at.saturating_sub(1),
            (0x7f | 0x08, _) => {
                // A character may have several bytes.
                while self.pattern.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                self.find();
            }
            // Ctrl-U.
            (0x15, _) => {
                self.pattern.clear();
                self.find();
            }
            (b' '..=b'~' | 0x80.., _) => {
                self.pattern.push(first);
                self.find();
            }
            _ => {}
        }
        Next::Draw
    }

    /// The lines of the screen: the pattern, the entries, below them the chosen one whole.
    fn lines(&self, columns: usize, height: usize) -> Vec<String> {
        let (columns, height) = (columns.max(1), height.max(1));
        let styled = |text: &str, look: Attribute| {
            format!(
                "{}{}{}",
                SetAttribute(look),
                cut(text, columns),
                SetAttribute(Attribute::Reset)
            )
        };
        let (found, all) = (self.found.len(), self.entries.len());
        let title = format!("history: {}_  {found} of {all}", printable(self.pattern().as_bytes()));
        let whole = self.taken().map(|text| {
            let text: Vec<String> =
                text.lines().map(|line| printable(line.as_bytes()) + "\n").collect();
            wrapped(&text.concat(), columns)
        });
        let mut whole: Vec<&str> = whole.as_deref().unwrap_or_default().lines().collect();
        whole.truncate((height / 3).max(1));
        // The title, a line above the whole entry, the keys.
        let room = height.saturating_sub(whole.len() + 3).max(1);
        let top = (self.at + 1).saturating_sub(room);
        let mut lines = vec![styled(&title, Attribute::Bold)];
        for (row, at) in self.found.iter().enumerate().skip(top).take(room) {
            let Entry { text, time } = &self.entries[*at];
            let age = time.map_or(String::new(), |time| age(self.now.saturating_sub(time)));
            let mut parts = text.lines();
            let first = printable(parts.next().unwrap_or_default().as_bytes());
            let more = if parts.next().is_some() { " …" } else { "" };
            let sign = if row == self.at { '>' } else { ' ' };
            let line = format!("{sign}{age:>5}  {first}{more}");
            let look = if row == self.at { Attribute::Bold } else { Attribute::NormalIntensity };
            lines.push(styled(&line, look));
        }
        lines.resize((room + 1).max(lines.len()), String::new());
        lines.push(String::new());
        lines.extend(whole.into_iter().map(str::to_owned));
        lines.push(styled(TOLD, Attribute::Dim));
        lines.truncate(height);
        lines
    }
}

/// How well a text fits a pattern, both in lower case: the less the better; none if it does not.
fn rank(text: &str, pattern: &str) -> Option<u8> {
    if text.contains(pattern) {
        return Some(0);
    }
    if pattern.split_whitespace().all(|word| text.contains(word)) {
        return Some(1);
    }
    let mut letters = text.chars();
    let mut wanted = pattern.chars().filter(|letter| !letter.is_whitespace());
    wanted.all(|letter| letters.any(|other| other == letter)).then_some(2)
}

/// So many seconds, in two or three characters.
fn age(seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    const UNITS: [(u64, char); 4] = [(365 * DAY, 'y'), (DAY, 'd'), (60 * 60, 'h'), (60, 'm')];
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = unit.unwrap_or((1, 's'));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str) -> Search {
        let entry = |text: &str, time| Entry { text: text.to_owned(), time };
        let entries = vec![
            entry("select name, memory\norder by memory desc;", Some(940)),
            entry("select memory;", Some(100)),
            entry("select name from nodes;", None),
        ];
        Search::new(entries, pattern, 1000)
    }

    #[test]
    fn the_best_come_first_and_then_the_newest() {
        let found = |pattern: &str| search(pattern).found;
        assert_eq!(found(""), [0, 1, 2]);
        assert_eq!(found("MEMORY"), [0, 1]);
        assert_eq!(found("desc name"), [0]);
        assert_eq!(found("smemry"), [0, 1]);
        assert_eq!(found("select m"), [1, 0, 2]);
        assert_eq!(found("xyz"), [0; 0]);
    }

    #[test]
    fn keys_narrow_choose_and_take() {
        let mut search = search("");
        for (keys, found, at) in [
            ("nodesé", 0, 0),
            ("\x7f", 2, 0),
            ("\x15", 3, 0),
            ("\x12\x12\x12", 3, 2),
            ("\x10", 3, 1),
        ] {
            for key in keys.bytes() {
                assert_eq!(search.key(key, b""), Next::Draw);
            }
            assert_eq!((search.found.len(), search.at), (found, at), "{keys:?}");
        }
        assert_eq!(search.key(0x1b, b"[A"), Next::Draw);
        assert_eq!(search.key(0x1b, b"[B"), Next::Draw);
        assert_eq!(search.key(b'\r', b""), Next::Take);
        assert_eq!(search.taken().as_deref(), Some("select memory;"));
        assert_eq!(search.key(0x1b, b""), Next::Leave);
        for key in "nothing like it".bytes() {
            search.key(key, b"");
        }
        assert_eq!((search.key(b'\r', b""), search.taken()), (Next::Draw, None));
    }

    #[test]
    fn entries_have_their_age_and_the_chosen_one_is_whole() {
        let shown = |columns, height| -> Vec<String> {
            let plain = |line: &String| {
                let (start, styled) = line.split_once('\u{1b}').unwrap_or((line, "m"));
                let parts = styled.split('\u{1b}').map(|part| part.split_once('m').unwrap().1);
                start.to_owned() + &parts.collect::<String>()
            };
            let mut search = search("");
            search.key(0x1b, b"");
            search.lines(columns, height).iter().map(plain).collect()
        };
        let lines = shown(40, 10);
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[0], "history: _  3 of 3");
        assert_eq!(lines[1], ">   1m  select name, memory …");
        assert_eq!(lines[2], "   15m  select memory;");
        assert_eq!(lines[3], "        select name from nodes;");
        assert_eq!(lines[7..9], ["select name, memory", "order by memory desc;"]);
        assert_eq!(shown(7, 3).len(), 3);
        assert_eq!(
            [59, 3599, 7200, 200_000, 40_000_000].map(age),
            ["59s", "59m", "2h", "2d", "1y"]
        );
    }
}
