//! Has signals minded, by the one function that may run in a handler.

use std::io;

use rustix::process::Signal;

use super::signal::{action_of, set};
use crate::kernel::situation;

/// As long as this lives a signal is minded: it runs `situation::arrived`, and a system call that waits comes back.
pub struct Handler {
    signal: Signal,
    before: libc::sigaction,
}

extern "C" fn handler(signal: libc::c_int) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        situation::arrived(signal);
    }
}

impl Handler {
    /// Minds a signal. None if whoever started the process wants it ignored, and `always` does not object.
    ///
    /// A handler may only do what signal-safety(7) lists, which `situation::arrived` vouches for: system calls,
    /// atomics and a lock that it does not wait for.
    pub fn install(signal: Signal, always: bool) -> io::Result<Option<Self>> {
        let ours: extern "C" fn(libc::c_int) = handler;
        let before = set(signal, &action_of(ours as libc::sighandler_t))?;
        let handler = Self { signal, before };
        Ok((always || handler.before.sa_sigaction != libc::SIG_IGN).then_some(handler))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // What was in force can be again.
        let _ = set(self.signal, &self.before);
    }
}
