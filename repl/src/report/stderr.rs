//! Writes to standard error, for [`message`](super::message) and the log: nothing while it is held, little if it is
//! quiet, and what fits its columns if it is a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::terminal::{self, ascii};

/// Whether only errors are told.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Switches all off but errors.
pub fn be_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether only errors are told.
#[must_use]
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// What is held back while somebody else has the screen; none if nobody has.
static HELD: Mutex<Option<String>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<String>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds back all that is told until [`release`](super::message::release).
pub fn hold() {
    held().get_or_insert_default();
}

/// Ends the holding; gives what was held back.
pub(super) fn released() -> String {
    held().take().unwrap_or_default()
}

/// Writes a text in one call, so that those of several processes do not mix; on a terminal it fits its columns. Whether
/// it is written, and not held back.
pub(super) fn write(text: &str) -> bool {
    if let Some(held) = &mut *held() {
        held.push_str(text);
        return false;
    }
    let mut stderr = io::stderr();
    // Standard error may be closed or full: see `message`.
    let _ = if stderr.is_terminal() {
        let plain = !text.is_ascii() && terminal::is_plain();
        let drawn = if plain { ascii(text).into() } else { Cow::Borrowed(text) };
        stderr.write_all(terminal::wrapped(&drawn, terminal::columns()).as_bytes())
    } else {
        stderr.write_all(text.as_bytes())
    };
    true
}
