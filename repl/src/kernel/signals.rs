//! Signals: what each one does while the terminal is not as it was found, while something runs at the prompt, and while
//! another program has the terminal.
//!
//! | | at the prompt, something runs | a line is edited | a watch draws | a pager or an editor |
//! |---|---|---|---|---|
//! | INT | ends what runs | drops the line | ends the watch | is that program's |
//! | HUP, TERM, QUIT | ends slabql | ends it, the terminal as found | the same | the same, the program first; QUIT is its |
//! | TSTP | stops slabql | stops it, the terminal as found meanwhile | the same | stops it, the program first |
//!
//! Everywhere else a signal does what it does by default. What the process was started to ignore stays ignored.
//!
//! # Invariants
//!
//! A signal is minded only while a [`Handler`] for it lives. What `arrived` does is safe in a handler: it makes system
//! calls, reads atomics, and tries a lock without waiting for it.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::panic;
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use rustix::fs::unlink;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpgrp, getpid, kill_process, waitid,
};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use super::sys::{Handler, is_stdout_closed, suffer};
use crate::file::own;
use crate::report::error::Failure;

/// The signals that end or stop a process, and that the terminal or a person sends.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::QUIT, Signal::TERM, Signal::TSTP];

/// What a watch and the pager draw on: another screen, without a cursor and without wrapping.
const DRAW: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?7l";
/// Takes [`DRAW`] back.
const DRAWN: &[u8] = b"\x1b[?7h\x1b[?25h\x1b[?1049l";
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
static NOTED: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether the process was stopped and goes on.
static RESUMED: AtomicBool = AtomicBool::new(false);
/// What is to be put in order before a signal takes effect.
static HELD: Mutex<Option<Situation>> = Mutex::new(None);

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

struct Situation {
    holder: Holder,
    /// The terminal and its mode as it was found, if there is one.
    terminal: Option<(File, Termios)>,
    /// A file that is removed at the end.
    file: Option<CString>,
}

/// Signals find the terminal in order as long as this lives.
pub struct Held(Vec<Handler>);

impl Held {
    /// Begins to mind the signals that end or stop slabql; those that end it remove `file`.
    pub fn begin(holder: Holder, file: Option<&Path>) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
            }));
        });
        let file = file.map(|file| CString::new(file.as_os_str().as_bytes())).transpose()?;
        set(Some(Situation { holder, terminal: terminal(), file }));
        let mut held = Self(Vec::new());
        for signal in ENDING {
            held.0.extend(Handler::install(signal, false)?);
        }
        held.0.extend(Handler::install(Signal::INT, true)?);
        Ok(held)
    }

    /// Says that another has the terminal now.
    pub fn hand_to(&self, holder: Holder) {
        if let Some(situation) = &mut *HELD.lock().unwrap_or_else(PoisonError::into_inner) {
            situation.holder = holder;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(situation: Option<Situation>) {
    *HELD.lock().unwrap_or_else(PoisonError::into_inner) = situation;
}

/// The terminal that is drawn on and typed into, and its mode.
fn terminal() -> Option<(File, Termios)> {
    let stdout = io::stdout();
    let file = if stdout.is_terminal() {
        stdout.as_fd().try_clone_to_owned().ok()?.into()
    } else {
        OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?
    };
    let mode = tcgetattr(&file).ok()?;
    Some((file, mode))
}

/// Lets a watch or the pager draw on the terminal.
pub fn draw() -> io::Result<()> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Situation { terminal: Some((file, found)), .. }) = &*held else {
        return Err(io::ErrorKind::NotConnected.into());
    };
    let mut raw = found.clone();
    raw.make_raw();
    tcsetattr(file, OptionalActions::Now, &raw)?;
    (&*file).write_all(DRAW)
}

/// Gives the terminal back as it was found.
pub fn give_back() {
    if let Ok(held) = HELD.try_lock()
        && let Some(situation) = &*held
    {
        situation.give_back();
    }
}

impl Situation {
    fn give_back(&self) {
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

/// As long as this lives SIGINT ends what runs and not slabql.
pub struct Interrupts(#[expect(dead_code, reason = "kept for its drop")] Option<Handler>);

impl Interrupts {
    /// Notes SIGINT from now on.
    pub fn note() -> io::Result<Self> {
        let handler = Handler::install(Signal::INT, true)?;
        NOTED.store(true, Ordering::Relaxed);
        Ok(Self(handler))
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        NOTED.store(false, Ordering::Relaxed);
        forget();
    }
}

/// Whether SIGINT came since it was forgotten last.
#[must_use]
pub fn happened() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets that SIGINT came.
pub fn forget() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// Whether the process was stopped and goes on, since this was asked last.
pub fn resumed() -> bool {
    RESUMED.swap(false, Ordering::Relaxed)
}

/// Fails if what runs is to end.
pub fn check() -> Result<(), Failure> {
    if happened() { Err(Failure::Interrupted) } else { Ok(()) }
}

/// The same for what reads or writes: whoever began it asks [`check`] when it has failed.
pub fn check_io() -> io::Result<()> {
    check().map_err(|_| io::Error::other("interrupted"))
}

/// Standard output, whose writes end when what runs does. Rust's own goes on with a write that a signal has ended.
pub struct Stdout(File);

impl Stdout {
    /// Standard output as it is.
    pub fn new() -> io::Result<Self> {
        if is_stdout_closed() {
            return Err(Errno::BADF.into());
        }
        own::standard_output().map(Self)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        check_io()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
