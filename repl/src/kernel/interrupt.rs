//! Ctrl-C while something runs: it ends what runs, and not slabql.
//!
//! The prompt catches the signal; elsewhere it ends slabql, as usual. What may take long asks [`check`] between its steps, and
//! [`Stdout`] between its writes; a write that waits for its reader comes back when the signal does.

use std::fs::File;
use std::io::{self, Write};

use crate::file::own;
use crate::report::error::Failure;

use crate::kernel::sys::is_stdout_closed;
pub use crate::kernel::sys::{Interrupts, forget_interrupt as forget, is_interrupted as happened};

/// Fails if the running text is to end.
pub fn check() -> Result<(), Failure> {
    if happened() { Err(Failure::Interrupted) } else { Ok(()) }
}

/// Standard output, whose writes end when the running text does. Rust's own goes on with a write that a signal has
/// ended.
pub struct Stdout(File);

impl Stdout {
    /// Standard output as it is.
    pub fn new() -> io::Result<Self> {
        if is_stdout_closed() {
            return Err(rustix::io::Errno::BADF.into());
        }
        own::standard_output().map(Self)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if happened() {
            return Err(io::Error::other("interrupted"));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
