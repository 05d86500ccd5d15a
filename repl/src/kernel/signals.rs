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
//! A signal is minded only while a [`Handler`] for it lives.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::panic;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Once, PoisonError};

use rustix::io::Errno;
use rustix::process::Signal;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

pub use super::situation::Holder;
use super::situation::{DRAW, DRAWN, HELD, INTERRUPTED, NOTED, RESUMED, Situation};
use super::sys::{Handler, is_stdout_closed};
use crate::file::own;
use crate::report::error::Failure;

/// The signals that end or stop a process, and that the terminal or a person sends.
const ENDING: [Signal; 4] = [Signal::HUP, Signal::QUIT, Signal::TERM, Signal::TSTP];

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

/// Draws on another screen while a line is edited, and goes back to the line.
pub fn over_line<T>(show: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let hold = |holder| {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Situation { terminal: Some((file, _)), holder: holds, .. }) = &mut *held else {
            return Err(io::Error::from(io::ErrorKind::NotConnected));
        };
        *holds = holder;
        file.try_clone()
    };
    let mut terminal = hold(Holder::Screen)?;
    let shown = terminal.write_all(DRAW).and_then(|()| show(&mut terminal));
    let left = terminal.write_all(DRAWN);
    hold(Holder::Editor)?;
    left.and(shown)
}

/// Gives the terminal back as it was found.
pub fn give_back() {
    if let Ok(held) = HELD.try_lock()
        && let Some(situation) = &*held
    {
        situation.give_back();
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

#[cfg(test)]
thread_local! {
    /// How often this thread has looked whether SIGINT came.
    pub(crate) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Whether SIGINT came since it was forgotten last.
#[must_use]
pub fn happened() -> bool {
    #[cfg(test)]
    LOOKS.set(LOOKS.get() + 1);
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

/// Whether SIGINT is noted, as at the prompt.
#[must_use]
pub fn noted() -> bool {
    NOTED.load(Ordering::Relaxed)
}

/// Fails if what runs is to end.
pub fn check() -> Result<(), Failure> {
    if happened() { Err(Failure::Interrupted) } else { Ok(()) }
}

/// The same for what reads or writes: whoever began it asks [`check`] when it has failed.
pub fn check_io() -> io::Result<()> {
    check().map_err(|_| io::Error::other("interrupted"))
}

/// Reads a little at a time, and fails if what runs is to end.
pub struct Checked<R>(pub R);

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check_io()?;
        let most = buffer.len().min(1 << 16);
        self.0.read(&mut buffer[..most])
    }
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
