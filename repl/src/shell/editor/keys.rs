//! What the keys do that the line editor's own table does not say: Enter, Tab in a paste, Ctrl-C behind a hint, Ctrl-R.
//!
//! Tab completes, but is text where more input waits behind it, as in a paste that the terminal does not mark. Part of that
//! input rustyline has read already, and tells nobody how much. But the kernel counts what the process reads, so what
//! was read between the time that a line was shown and a key came from the terminal.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossterm::terminal::{Clear, ClearType};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustyline::{
    Cmd, ConditionalEventHandler, Event, EventContext, KeyCode, KeyEvent, Modifiers, Movement,
    RepeatCount,
};

use super::history::Past;
use super::search;
use super::text::{meant, shown};
use crate::report::{message, terminal};
use crate::shell::piece;

/// More bytes than these are not typed by hand before the first of them becomes a key.
const PASTED: u64 = 256;

/// What rustyline has read ahead.
#[derive(Default)]
pub(super) struct Ahead {
    /// The bytes that the process had read when it was looked last.
    seen: AtomicUsize,
    /// The bytes that no key was made of yet.
    rest: AtomicUsize,
}

impl Ahead {
    /// How many bytes the process has read since this was called last; 0 where the kernel does not tell.
    pub(super) fn read(&self) -> usize {
        let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("rchar: ")?.parse::<usize>().ok());
        let Some(count) = count else { return 0 };
        // This reading is counted with the next one.
        let seen = self.seen.swap(count + text.len(), Ordering::Relaxed);
        count.saturating_sub(seen)
    }

    /// Counts a key. Gives whether more is there.
    fn key(&self, key: KeyEvent) -> bool {
        let bytes = match key {
            KeyEvent(KeyCode::Char(c), Modifiers::NONE) => c.len_utf8(),
            KeyEvent(KeyCode::Char(_), Modifiers::CTRL)
            | KeyEvent(KeyCode::Tab | KeyCode::Enter | KeyCode::Backspace, Modifiers::NONE) => 1,
            // Nobody pastes those.
            _ => usize::MAX,
        };
        // rustyline reads when nothing is left.
        let before = match self.read() {
            0 => self.rest.load(Ordering::Relaxed),
            more => more,
        };
        let rest = before.saturating_sub(bytes);
        self.rest.store(rest, Ordering::Relaxed);
        let stdin = io::stdin();
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        rest > 0 || poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    /// Whether something was read that no key was made of yet.
    fn is_behind(&self) -> bool {
        self.rest.load(Ordering::Relaxed) > 0
    }

    /// Whether far more was typed than keys were made of: a terminal pastes that does not mark it.
    pub(super) fn is_pasting(&self) -> bool {
        let stdin = io::stdin();
        let waiting = if stdin.is_terminal() { ioctl_fionread(&stdin).unwrap_or(0) } else { 0 };
        let rest = self.rest.load(Ordering::Relaxed);
        waiting.saturating_add(rest as u64) > PASTED
    }

    /// What was read ahead is gone.
    pub(super) fn forget(&self) {
        self.rest.store(0, Ordering::Relaxed);
    }
}

/// Clears the screen from the cursor on.
fn clear_below() {
    let clear = Clear(ClearType::FromCursorDown).to_string();
    let mut stdout = io::stdout();
    if stdout.is_terminal() {
        // What cannot be cleared stays.
        let _ = stdout.write_all(clear.as_bytes()).and_then(|()| stdout.flush());
    } else {
        message::prompt(&clear);
    }
}

/// What each key does, where it is not what rustyline says.
pub(super) struct Keys {
    pub ahead: Arc<Ahead>,
    /// What Ctrl-R searches.
    pub past: Arc<Past>,
}

impl ConditionalEventHandler for Keys {
    fn handle(&self, key: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let key = *key.get(0)?;
        let more = self.ahead.key(key);
        let another = || Cmd::Insert(1, "\n\t".to_owned());
        match key {
            // Runs what is complete, and goes on in another line where it is not.
            KeyEvent(KeyCode::Enter, Modifiers::NONE)
            | KeyEvent(KeyCode::Char('J' | 'M'), Modifiers::CTRL) => {
                let text = meant(context.line());
                (!piece::is_complete(&text) && piece::lone_command(&text).is_none()).then(another)
            }
            // A hint was never typed, so it does not stay behind with what was.
            KeyEvent(KeyCode::Char('C'), Modifiers::CTRL) => {
                if context.has_hint() {
                    clear_below();
                }
                None
            }
            // The search reads the terminal itself, so nothing may have been read ahead of it.
            KeyEvent(KeyCode::Char('R'), Modifiers::CTRL)
                if io::stdout().is_terminal()
                    && !self.ahead.is_behind()
                    && !terminal::is_plain() =>
            {
                let taken = search::run(self.past.newest(), context.line());
                let whole = |text| Cmd::Replace(Movement::WholeBuffer, Some(shown(text)));
                // Where it cannot draw, rustyline searches.
                let taken = taken.ok()?;
                Some(taken.as_deref().map_or(Cmd::Noop, whole))
            }
            KeyEvent(KeyCode::Enter, Modifiers::ALT) => Some(another()),
            KeyEvent(KeyCode::Tab, Modifiers::NONE)
            | KeyEvent(KeyCode::Char('I'), Modifiers::CTRL) => {
                more.then(|| Cmd::Insert(1, "\t".to_owned()))
            }
            _ => None,
        }
    }
}
