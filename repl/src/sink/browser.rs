//! The pager that is a part of slabql: it serves where `$PAGER` is not installed, and where slabql starts no program.
//!
//! It takes an answer as a program would, a part at a time, and lets the writer wait until more is asked for. The heading
//! of a table stays where it is while its rows move on. What was on the screen at the end is left behind, as `less -X`
//! does.
//!
//! | keys | |
//! |---|---|
//! | space, `f`, page down; `b`, page up | a page on; back |
//! | arrows, `j`, `k`, Enter | a line on, back; half a screen to the right, to the left |
//! | `g`, Home; `G`, End | the beginning; the end |
//! | `/text`, `n` | the next line with `text`; again |
//! | `q`, Ctrl-C | ends it |

use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_current_process_group};

use crate::kernel::keys::{self, Typed};
use crate::kernel::signals::{self, Held, Holder};
use crate::report::escape::printable;
use crate::report::{message, terminal};

/// How often the terminal's size is looked at, and the keys while an answer is made.
const NAP: Duration = Duration::from_millis(100);

/// The lines of a table's heading: the names and the rule.
const HEADING: usize = 2;

/// What is to be there before the next key counts.
#[derive(Clone, Copy)]
enum Goal {
    /// So many lines.
    Lines(usize),
    /// A line from this one on that has the pattern.
    Match(usize),
    /// All of it.
    End,
}

/// An answer that is looked at.
pub struct Browser {
    text: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
    /// Where each table begins.
    tables: Vec<usize>,
    /// The first line on the screen, and how many characters of each are left of it.
    top: usize,
    left: usize,
    goal: Goal,
    pattern: String,
    /// Where it was found, unless the lines moved on since.
    matched: Option<usize>,
    /// What the last line says instead of the place.
    says: &'static str,
    looked: Instant,
    over: bool,
    /// None when the terminal was given back.
    held: Option<Held>,
}

impl Browser {
    /// Takes the terminal.
    pub fn new() -> io::Result<Self> {
        let held = Held::begin(Holder::Screen, None)?;
        signals::draw()?;
        message::hold();
        Ok(Self {
            text: Vec::new(),
            ends: Vec::new(),
            tables: Vec::new(),
            top: 0,
            left: 0,
            goal: Goal::Lines(page()),
            pattern: String::new(),
            matched: None,
            says: "",
            looked: Instant::now(),
            over: false,
            held: Some(held),
        })
    }

    /// Shows what there is until it is left, and leaves behind what is on the screen then.
    pub fn end(mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.over {
            // It ends with the key that leaves it, or with the terminal.
            let _ = self.serve(true);
        }
        self.give_back();
        for line in self.lines() {
            out.write_all(&self.text[self.start(line)..self.ends[line]])?;
        }
        out.flush()
    }

    fn give_back(&mut self) {
        if let Some(_held) = self.held.take() {
            signals::give_back();
        }
    }

    fn start(&self, line: usize) -> usize {
        line.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn line(&self, line: usize) -> &[u8] {
        let text = &self.text[self.start(line)..self.ends[line]];
        text.strip_suffix(b"\n").unwrap_or(text)
    }

    fn found(&self, from: usize) -> Option<usize> {
        let pattern = self.pattern.to_lowercase();
        (from..self.ends.len()).find(|line| {
            String::from_utf8_lossy(self.line(*line)).to_lowercase().contains(&pattern)
        })
    }

    /// Lets keys count as long as there is what they ask for. `whole`: nothing more comes.
    fn serve(&mut self, whole: bool) -> io::Result<()> {
        loop {
            match self.goal {
                Goal::Lines(lines) if lines > self.ends.len() && !whole => return Ok(()),
                Goal::End if !whole => return Ok(()),
                Goal::End => self.top = self.ends.len(),
                Goal::Match(from) => match self.found(from) {
                    Some(line) => {
                        // In the first line, or below the heading. What follows it is shown, too.
                        self.go(line);
                        self.go(line.saturating_sub(self.held_lines()));
                        self.matched = Some(line);
                        continue;
                    }
                    None if !whole => {
                        self.goal = Goal::Match(self.ends.len());
                        return Ok(());
                    }
                    None => self.says = "not found",
                },
                Goal::Lines(_) => {}
            }
            self.top = self.top.min(self.ends.len().saturating_sub(page()));
            self.goal = Goal::Lines(0);
            self.draw(whole)?;
            self.says = "";
            self.key()?;
        }
    }

    /// Waits for a key, and does what it asks.
    fn key(&mut self) -> io::Result<()> {
        let size = terminal::size();
        let (first, sequence) = loop {
            match keys::next(NAP)? {
                Typed::Bytes(first, sequence) => break (first, sequence),
                Typed::Gone => return self.leave(),
                Typed::Nothing if signals::resumed() || terminal::size() != size => return Ok(()),
                Typed::Nothing => {}
            }
        };
        let half = usize::from(size.0 / 2).max(1);
        match (first, sequence.as_slice()) {
            (b'q' | b'Q' | 0x03, _) => return self.leave(),
            (0x1a, _) => kill_current_process_group(Signal::TSTP)?,
            (b' ' | b'f', _) | (0x1b, [b'[', b'6', ..]) => self.go(self.top + self.part()),
            (b'b', _) | (0x1b, [b'[', b'5', ..]) => self.go(self.top.saturating_sub(self.part())),
            (b'j' | b'\r' | b'\n', _) | (0x1b, [_, .., b'B']) => self.go(self.top + 1),
            (b'k', _) | (0x1b, [_, .., b'A']) => self.go(self.top.saturating_sub(1)),
            (0x1b, [_, .., b'C']) => self.left += half,
            (0x1b, [_, .., b'D']) => self.left = self.left.saturating_sub(half),
            (b'g', _) | (0x1b, [_, .., b'H'] | [b'[', b'1' | b'7', b'~']) => self.go(0),
            (b'G', _) | (0x1b, [_, .., b'F'] | [b'[', b'4' | b'8', b'~']) => self.goal = Goal::End,
            (b'/', _) => self.ask()?,
            (b'n', _) if !self.pattern.is_empty() => self.search(),
            _ => self.says = "space, b: a page on, back; arrows; /text, n: search; q: quit",
        }
        Ok(())
    }

    fn go(&mut self, top: usize) {
        self.top = top;
        self.matched = None;
        self.goal = Goal::Lines(top + page());
    }

    fn search(&mut self) {
        let from = self.matched.map_or(self.top + self.held_lines(), |line| line + 1);
        self.goal = Goal::Match(from);
    }

    /// Where the table begins whose heading is above the screen, unless the next heading would stand beside it.
    fn heading(&self) -> Option<usize> {
        let begins = self.tables.partition_point(|table| *table < self.top + HEADING);
        self.tables[..begins]
            .last()
            .copied()
            .filter(|table| *table < self.top && page() > 2 * HEADING)
    }

    /// How many lines of the screen a heading takes that is above it.
    fn held_lines(&self) -> usize {
        self.heading().map_or(0, |_| HEADING)
    }

    /// How far a page is: the lines that are new on the next one.
    fn part(&self) -> usize {
        let before = self.tables.first().is_some_and(|table| *table < self.top + page());
        page() - if before && page() > 2 * HEADING { HEADING } else { 0 }
    }

    /// The lines on the screen.
    fn lines(&self) -> impl Iterator<Item = usize> {
        let last = (self.top + page()).min(self.ends.len());
        let held = self.heading().map_or(0..0, |table| table..table + HEADING);
        held.chain((self.top + self.held_lines()).min(last)..last)
    }

    /// Reads what to look for.
    fn ask(&mut self) -> io::Result<()> {
        let mut typed = Vec::new();
        loop {
            let mut out = io::stdout();
            write!(out, "\r\x1b[K/{}", printable(&typed))?;
            out.flush()?;
            match keys::next(NAP)? {
                Typed::Bytes(b'\r' | b'\n', _) => break,
                Typed::Bytes(0x03 | 0x1b, _) => return Ok(()),
                Typed::Bytes(0x08 | 0x7f, _) => {
                    let text = String::from_utf8_lossy(&typed).into_owned();
                    let Some((last, _)) = text.char_indices().next_back() else { return Ok(()) };
                    typed = text.into_bytes();
                    typed.truncate(last);
                }
                Typed::Bytes(byte, _) => typed.push(byte),
                Typed::Nothing => {}
                Typed::Gone => return self.leave(),
            }
        }
        if !typed.is_empty() {
            self.pattern = String::from_utf8_lossy(&typed).into_owned();
        }
        if !self.pattern.is_empty() {
            self.search();
        }
        Ok(())
    }

    /// Ends it, and what writes with it.
    fn leave(&mut self) -> io::Result<()> {
        self.over = true;
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn draw(&self, whole: bool) -> io::Result<()> {
        let mut screen = b"\x1b[H".to_vec();
        for line in self.lines() {
            // Behind a line as wide as the screen the cursor is on its last character, which clearing would take.
            screen.extend(b"\x1b[K");
            screen.extend(shifted(&String::from_utf8_lossy(self.line(line)), self.left).bytes());
            screen.extend(b"\x1b[0m\r\n");
        }
        let last = (self.top + page()).min(self.ends.len());
        let more = if whole { format!(" of {}", self.ends.len()) } else { String::new() };
        let end = if whole && last == self.ends.len() { " (END)" } else { "" };
        let place = format!("lines {}-{last}{more}{end}", self.top + self.held_lines() + 1);
        let says = if self.says.is_empty() { &place } else { self.says };
        screen.extend(format!("\x1b[J\x1b[7m{says}\x1b[0m").bytes());
        let mut out = io::stdout();
        out.write_all(&screen)?;
        out.flush()
    }
}

/// The lines of an answer that the screen has room for.
fn page() -> usize {
    usize::from(terminal::size().1).saturating_sub(1).max(1)
}

/// Whether a line is the one between the names of columns and the rows.
fn is_rule(line: &[u8]) -> bool {
    !line.is_empty() && String::from_utf8_lossy(line).chars().all(|it| matches!(it, '─' | '-'))
}

/// A line without its first characters, but with its colours.
fn shifted(line: &str, mut left: usize) -> String {
    let (mut shown, mut in_colour) = (String::with_capacity(line.len()), false);
    for character in line.chars() {
        in_colour |= character == '\x1b';
        if in_colour || left == 0 {
            shown.push(character);
        } else {
            left -= 1;
        }
        in_colour &= !character.is_ascii_alphabetic();
    }
    shown
}

impl Write for Browser {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.over {
            return self.leave().map(|()| 0);
        }
        let from = self.text.len();
        self.text.extend(bytes);
        for (_, end) in bytes.iter().zip(from + 1..).filter(|(byte, _)| **byte == b'\n') {
            self.ends.push(end);
            let line = self.ends.len() - 1;
            // The names are bold; those of a first table that has no colours are known by their place.
            if line > 0
                && is_rule(self.line(line))
                && (line == 1 || self.line(line - 1).starts_with(b"\x1b[1m"))
            {
                self.tables.push(line - 1);
            }
        }
        // In raw mode Ctrl-C is a key.
        if self.looked.elapsed() > NAP {
            self.looked = Instant::now();
            if keys::next(Duration::ZERO)? == Typed::Bytes(0x03, Vec::new()) {
                self.leave()?;
            }
        }
        self.serve(false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.give_back();
        message::release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_colours_when_it_is_shifted() {
        assert_eq!(shifted("ab\x1b[2mcd\x1b[0m", 0), "ab\x1b[2mcd\x1b[0m");
        assert_eq!(shifted("ab\x1b[2mcd\x1b[0m", 3), "\x1b[2md\x1b[0m");
        assert_eq!(shifted("ab\x1b[2mcd\x1b[0m", 9), "\x1b[2m\x1b[0m");
    }
}
