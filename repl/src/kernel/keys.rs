//! Reads the keys of a terminal in raw mode, a byte at a time: what is typed behind the key that ends a watch or the pager is
//! the next reader's.
//!
//! crossterm reads ahead, and what it has read nobody else gets.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};

/// How long the rest of a sequence may take that a key sends.
const REST: Duration = Duration::from_millis(50);

/// What came from a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A byte, and what came behind it if it is ESC.
    Bytes(u8, Vec<u8>),
    /// Nothing within the time, or a signal.
    Nothing,
    /// There is no terminal any more.
    Gone,
}

/// What comes next, if it does within `wait`; a signal ends the wait.
pub fn next(wait: Duration) -> io::Result<Typed> {
    let Some(first) = byte(wait)? else { return Ok(Typed::Nothing) };
    let Ok(first) = first else { return Ok(Typed::Gone) };
    let mut sequence = Vec::new();
    if first == 0x1b {
        // ESC [ or ESC O, parameters, and a letter or `~` at the end.
        while let Some(Ok(next)) = byte(REST)? {
            sequence.push(next);
            let intro = sequence.len() == 1 && matches!(next, b'[' | b'O');
            if !intro && (sequence.len() == 1 || !matches!(next, b'0'..=b'?')) {
                break;
            }
        }
    }
    Ok(Typed::Bytes(first, sequence))
}

/// A byte, if one comes within `wait`; an error in it is the end of the terminal.
fn byte(wait: Duration) -> io::Result<Option<Result<u8, ()>>> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Timespec::try_from(wait).ok().as_ref()) {
        Ok(0) | Err(Errno::INTR) => return Ok(None),
        Ok(_) => {}
        Err(error) => return Err(error.into()),
    }
    if fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Ok(Some(Err(())));
    }
    let mut byte = [0];
    match read(&stdin, &mut byte) {
        Ok(1..) => Ok(Some(Ok(byte[0]))),
        Ok(0) | Err(Errno::IO) => Ok(Some(Err(()))),
        Err(Errno::INTR | Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
