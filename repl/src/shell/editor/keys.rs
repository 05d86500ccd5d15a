//! What the keys do that the line editor's own table does not say: Enter, Tab in a paste, Ctrl-C behind a hint, Ctrl-R.
//!
//! Tab completes, but is text where more input waits behind it, as in a paste that the terminal does not mark. Part of that
//! input rustyline has read already, and tells nobody how much. But the kernel counts what the process reads, so what
//! was read between the time that a line was shown and a key came from the terminal.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// rustyline draws a whole text anew when a letter fills a row. A paste at the end of a longer text than this is put
/// together first, until the text would be twice as long, so that all that is drawn stays linear in the paste.
const LONG: usize = 4096;

/// What rustyline has read ahead.
#[derive(Default)]
pub(super) struct Ahead {
    /// The bytes that the process had read when it was looked last.
    seen: AtomicUsize,
    /// The bytes that no key was made of yet.
    rest: AtomicUsize,
    /// What was pasted at the end of a long text and is not in it yet.
    end: Mutex<String>,
    /// Whether the line was ended by Ctrl-C.
    interrupted: AtomicBool,
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

    /// Keeps a letter for later, where a long paste goes on. Gives whether it did.
    fn keeps(&self, key: KeyEvent, context: &EventContext) -> bool {
        let KeyEvent(KeyCode::Char(letter), Modifiers::NONE) = key else { return false };
        let length = context.line().len();
        if length < LONG || context.pos() < length || !self.is_pasting() {
            return false;
        }
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let keeps = end.len() < length;
        if keeps {
            end.push(letter);
        }
        keeps
    }

    /// What was kept for later.
    pub(super) fn take_end(&self) -> String {
        mem::take(&mut self.end.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the line was ended by Ctrl-C, and no longer.
    pub(super) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }

    /// What was read ahead is gone.
    pub(super) fn forget(&self) {
        self.rest.store(0, Ordering::Relaxed);
        self.take_end();
    }
}

/// What a key does behind the end of a long paste, which is not in the text yet. A key that moves or deletes puts the
/// end there and does no more: nobody pastes it.
fn behind(end: String, key: KeyEvent, context: &EventContext, ahead: &Ahead) -> Option<Cmd> {
    let more = match key {
        KeyEvent(KeyCode::Char(letter), Modifiers::NONE) => letter.to_string(),
        KeyEvent(KeyCode::Tab, Modifiers::NONE) => "\t".to_owned(),
        _ if is_enter(key) => {
            if is_done(&(context.line().to_owned() + &end)) {
                // It cannot be put there and run at once, so the reader of the text adds it.
                *ahead.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
                return None;
            }
            "\n\t".to_owned()
        }
        _ => String::new(),
    };
    Some(Cmd::Insert(1, end + &more))
}

/// Whether a key ends a line.
fn is_enter(key: KeyEvent) -> bool {
    matches!(
        key,
        KeyEvent(KeyCode::Enter, Modifiers::NONE)
            | KeyEvent(KeyCode::Char('J' | 'M'), Modifiers::CTRL)
    )
}

/// Whether a text as it is edited runs.
fn is_done(text: &str) -> bool {
    let text = meant(text);
    piece::is_complete(&text) || piece::lone_command(&text).is_some()
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
        if self.ahead.keeps(key, context) {
            return Some(Cmd::Noop);
        }
        let end = self.ahead.take_end();
        let is_interrupt = key == KeyEvent(KeyCode::Char('C'), Modifiers::CTRL);
        if !end.is_empty() && !is_interrupt {
            return behind(end, key, context, &self.ahead);
        }
        let another = || Cmd::Insert(1, "\n\t".to_owned());
        match key {
            // Runs what is complete, and goes on in another line where it is not.
            _ if is_enter(key) => (!is_done(context.line())).then(another),
            // A hint was never typed, so it does not stay behind with what was. What was typed behind the key is for the
            // next line, which rustyline would drop.
            _ if is_interrupt => {
                if context.has_hint() {
                    clear_below();
                }
                self.ahead.interrupted.store(more, Ordering::Relaxed);
                more.then_some(Cmd::AcceptLine)
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
