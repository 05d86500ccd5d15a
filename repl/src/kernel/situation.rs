//! What slabql puts in order before a signal takes effect, and what then happens: the table is in
//! [`signals`](super::signals).
//!
//! # Invariants
//!
//! What [`arrived`] does is safe in a handler: it makes system calls, reads atomics, and tries a lock without waiting for
//! it.

use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::unlink;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpgrp, getpid, kill_process, waitid,
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use super::sys::suffer;

/// What a watch and the pager draw on: another screen, without a cursor and without wrapping.
pub(super) const DRAW: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
/// Takes [`DRAW`] back.
pub(super) const DRAWN: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";
/// What the line editor asks a terminal for, the marks of a paste; and that taken back.
const EDIT: &[u8] = b"\x1b[?2004h";
const EDITED: &[u8] = b"\x1b[?2004l\r\n";
/// Takes back what a program may have done that was killed.
const KILLED: &[u8] = b"\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l\x1b[0m\r\n";

/// How often a program that got a signal is looked at, and for how long in all.
const NAP: Duration = Duration::from_millis(5);
const NAPS: usize = 400;
/// How long a program may take to stop by itself.
const NAPS_ALONE: usize = 100;

/// Whether SIGINT is noted, and whether it came.
pub(super) static NOTED: AtomicBool = AtomicBool::new(false);
pub(super) static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether the process was stopped and goes on.
pub(super) static RESUMED: AtomicBool = AtomicBool::new(false);
/// What is to be put in order before a signal takes effect.
pub(super) static HELD: Mutex<Option<Situation>> = Mutex::new(None);

/// Who has changed the terminal, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody yet.
    Nobody,
    /// The line editor.
    Editor,
    /// A watch, or the pager that is a part of slabql.
    Screen,
    /// A program that slabql started and waits for.
    Program(Pid),
}

impl Holder {
    /// A program that was started.
    #[must_use]
    pub fn of(program: &Child) -> Self {
        Self::Program(Pid::from_child(program))
    }
}

pub(super) struct Situation {
    pub(super) holder: Holder,
    /// The terminal and its mode as it was found, if there is one.
    pub(super) terminal: Option<(File, Termios)>,
    /// A file that is removed at the end.
    pub(super) file: Option<CString>,
}

impl Situation {
    pub(super) fn give_back(&self) {
        self.restore(match self.holder {
            Holder::Nobody => return,
            Holder::Editor => EDITED,
            Holder::Screen => DRAWN,
            Holder::Program(_) => KILLED,
        });
    }

    /// Writes `text` to the terminal, and restores its mode.
    fn restore(&self, text: &[u8]) {
        if let Some((file, found)) = &self.terminal
            // In the background it is another's.
            && tcgetpgrp(file).is_ok_and(|group| group == getpgrp())
        {
            let _ = (&*file).write_all(text);
            let _ = tcsetattr(file, OptionalActions::Now, found);
        }
    }

    /// Ends what has the terminal, and gives it back.
    fn end(&self, signal: Signal) {
        if let Some(file) = &self.file {
            let _ = unlink(file.as_c_str());
        }
        match self.holder {
            Holder::Program(program) => {
                let _ = kill_process(program, signal);
                let ended = wait(program, WaitIdOptions::EXITED, NAPS);
                // One that ended by itself has put in order what it can; the mode is slabql's to know.
                let tidy = ended.is_some_and(|how| how.exited());
                self.restore(if tidy { b"" } else { KILLED });
            }
            _ => self.give_back(),
        }
    }

    /// Stops the process, with the terminal as it was found meanwhile.
    fn stop(&self, signal: Signal) {
        if let Holder::Program(program) = self.holder {
            // The terminal's key stops it too. A second signal, come before the first took effect, would stop it again
            // once it goes on, and nobody would continue it then.
            let stopped = WaitIdOptions::STOPPED | WaitIdOptions::EXITED;
            if wait(program, stopped, NAPS_ALONE).is_none() {
                let _ = kill_process(program, signal);
                wait(program, stopped, NAPS);
            }
            suffer(signal);
            let _ = kill_process(program, Signal::CONT);
            return;
        }
        let terminal = self.terminal.as_ref();
        let taken = terminal.and_then(|(file, _)| Some((file, tcgetattr(file).ok()?)));
        self.give_back();
        suffer(signal);
        // In the background this stops the process again, until it has the terminal.
        if let Some((file, mode)) = taken {
            let _ = tcsetattr(file, OptionalActions::Now, &mode);
            // The line editor that stops by itself takes the terminal by itself.
            if mode.local_modes.contains(LocalModes::ICANON) {
                return;
            }
            RESUMED.store(true, Ordering::Relaxed);
            if self.holder == Holder::Screen {
                let _ = (&*file).write_all(DRAW);
            } else {
                let _ = (&*file).write_all(EDIT);
                // The line editor's own handler makes it come back, to begin anew with what it had.
                let _ = kill_process(getpid(), Signal::INT);
            }
        }
    }
}

/// Waits until a program has done something, for a while; leaves its status to whoever waits for its end.
fn wait(program: Pid, what: WaitIdOptions, naps: usize) -> Option<WaitIdStatus> {
    let options = what | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    for _ in 0..naps {
        match waitid(WaitId::Pid(program), options) {
            Ok(Some(status)) => return Some(status),
            Ok(None) => sleep(NAP),
            Err(_) => return None,
        }
    }
    None
}

fn sleep(time: Duration) {
    let Ok(mut rest) = Timespec::try_from(time) else { return };
    while let NanosleepRelativeResult::Interrupted(left) = nanosleep(&rest) {
        rest = left;
    }
}

/// Does what a signal is for; runs in the handler.
pub(super) fn arrived(signal: Signal) {
    let held = HELD.try_lock().ok();
    let held = held.as_deref().and_then(Option::as_ref);
    match (signal, held) {
        (Signal::INT | Signal::QUIT, Some(Situation { holder: Holder::Program(_), .. })) => {}
        (Signal::INT, _) if NOTED.load(Ordering::Relaxed) => {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
        (Signal::TSTP, Some(held)) => held.stop(signal),
        (Signal::TSTP, None) => suffer(signal),
        (_, held) => {
            if let Some(held) = held {
                held.end(signal);
            }
            suffer(signal);
        }
    }
}
