//! The log of a session: keeps what is typed, answered and told in a file.
//!
//! A process has one standard error and one log, so that whatever tells something need not know of it. The file is its
//! owner's alone, as the history is, and only ever grows.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::{Failure, errno};
use super::escape::printable;
use super::stderr;
use crate::file::own;
use crate::file::path::is_standard;

/// The log of a process.
#[derive(Default)]
struct Log {
    /// The file that is written, if one is.
    file: Option<File>,
    /// The file that was named last.
    path: Option<PathBuf>,
}

static LOG: Mutex<Log> = Mutex::new(Log { file: None, path: None });

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to the file that was named last.
pub fn resume() -> Result<(), Failure> {
    let path = log().path.clone();
    let missing = || Failure::command("no log file is set", Some("`.log FILE` sets one"));
    open(&path.ok_or_else(missing)?)
}

/// Writes no longer.
pub fn stop() {
    log().file = None;
}

/// The file that is written, if one is.
#[must_use]
pub fn place() -> Option<PathBuf> {
    let log = log();
    log.file.as_ref().and(log.path.clone())
}

/// Writes to a file from now on.
pub fn open(path: &Path) -> Result<(), Failure> {
    let file = if is_standard(path) { own::standard_output() } else { own::append(path) };
    let file = file.map_err(|error| Failure::file("write", path, &error))?;
    *log() = Log { file: Some(file), path: Some(path.to_owned()) };
    Ok(())
}

/// Adds what is typed.
pub fn typed(text: &str) {
    if log().file.is_some() {
        let lines = text.trim().replace('\n', "\n   ...> ");
        write(format!("slabql> {lines}\n").as_bytes());
    }
}

/// Adds what is written or told. A log that cannot be written ends, and says so once.
pub fn write(bytes: &[u8]) {
    let mut log = log();
    let Some(file) = &mut log.file else { return };
    let Err(error) = file.write_all(&uncolored(bytes)) else { return };
    log.file = None;
    let path = log.path.clone().unwrap_or_default();
    drop(log);
    if !stderr::is_quiet() {
        let note = format!("note: logging to {} stopped: {}", path.display(), errno(&error));
        stderr::write(&format!("{}\n", printable(note.as_bytes())));
    }
}

/// The bytes without the colours of a terminal.
fn uncolored(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        kept.extend(&rest[..at]);
        let sequence = &rest[at + 2..];
        let end = sequence.iter().position(|byte| (0x40..=0x7e).contains(byte));
        rest = end.map_or(&[][..], |end| &sequence[end + 1..]);
    }
    kept.extend(rest);
    kept
}

/// Writes to a writer, and to the log.
pub struct Logged<'a>(pub &'a mut dyn Write);

impl Write for Logged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.0.write(bytes)?;
        write(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out() {
        assert_eq!(uncolored(b"\x1b[1;31mred\x1b[0m and\x1bnot\x1b["), b"red and\x1bnot");
        assert_eq!(uncolored(b""), b"");
    }
}
