//! Hands an answer that is longer than the screen to a pager.
//!
//! The answer is held until it is certain that it is longer: a short one is written as it is. Meanwhile what is told of
//! it is held back too, as the screen is the pager's ([`message::hold`](crate::report::message::hold)). A pager that ends early has shown enough.

use std::env;
use std::io::{self, Write};
use std::mem;

use super::browser::Browser;
use super::child::Child;
use crate::report::error::Failure;
use crate::report::log;
use crate::report::terminal;

/// What shows long answers if `PAGER` says nothing: colours are kept, lines are not broken, the screen is left as it is.
const LESS: &str = "less -FRSX";

/// The terminals that no pager can draw on.
const PLAIN: [&str; 3] = ["", "dumb", "emacs"];

/// Lines of the screen that are not the answer's: the time and the prompt.
const AROUND: usize = 2;

/// An answer on its way to the screen.
pub struct Paged<'a> {
    out: &'a mut dyn Write,
    lines: usize,
    height: usize,
    state: State,
}

enum State {
    /// It may fit.
    Held(Vec<u8>),
    /// It does not.
    Pager(Box<Child>),
    /// It does not, and no program can show it.
    Browser(Box<Browser>),
    /// There is no pager.
    Straight,
}

/// Whether there can be a pager.
pub fn is_there() -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| PLAIN.iter().any(|plain| term == *plain));
    let unwanted = env::var_os("PAGER").is_some_and(|pager| pager.is_empty());
    !dumb && !unwanted
}

/// A pager that is left early has shown enough.
fn left(answered: Result<(), Failure>) -> Result<(), Failure> {
    match answered {
        Err(failure) if failure.is_closed_pipe() => Ok(()),
        answered => answered,
    }
}

impl<'a> Paged<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        let height = terminal::size().1.into();
        Self { out, lines: 0, height, state: State::Held(Vec::new()) }
    }

    /// Ends the answer, which was written or not.
    pub fn close(mut self, answered: Result<(), Failure>) -> Result<(), Failure> {
        match mem::replace(&mut self.state, State::Straight) {
            State::Held(held) => {
                self.out.write_all(&held).map_err(Failure::Write)?;
                answered
            }
            State::Straight => answered,
            State::Pager(child) => {
                // Whatever a pager ends with, it was there to look at what it showed.
                let _ = child.end();
                left(answered)
            }
            State::Browser(browser) => {
                browser.end(self.out).map_err(Failure::Write)?;
                left(answered)
            }
        }
    }

    /// Starts the pager with what is held.
    fn start(&mut self, held: &[u8]) -> io::Result<()> {
        let pager = env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
        // What was written before is above it.
        self.out.flush()?;
        self.state = match Child::pager(&pager.unwrap_or_else(|| LESS.to_owned())) {
            Ok(child) => State::Pager(Box::new(child)),
            Err(_) => match Browser::new() {
                Ok(browser) => State::Browser(Box::new(browser)),
                Err(_) => State::Straight,
            },
        };
        self.write_all(held)
    }
}

impl Write for Paged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Pager(child) => {
                let count = child.write(bytes)?;
                log::write(&bytes[..count]);
                Ok(count)
            }
            State::Browser(browser) => {
                let count = browser.write(bytes)?;
                log::write(&bytes[..count]);
                Ok(count)
            }
            State::Straight => self.out.write(bytes),
            State::Held(held) => {
                held.extend(bytes);
                self.lines += bytes.split(|byte| *byte == b'\n').count() - 1;
                if self.lines + AROUND > self.height {
                    let held = mem::take(held);
                    self.start(&held)?;
                }
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::Pager(child) => child.flush(),
            State::Browser(browser) => browser.flush(),
            State::Straight => self.out.flush(),
            // An answer is flushed at its end: it fits, and what is told next belongs behind it.
            State::Held(held) => {
                self.out.write_all(held)?;
                self.state = State::Straight;
                self.out.flush()
            }
        }
    }
}
