//! What the process does with a signal, by sigaction(2).

use std::io;
use std::mem;
use std::ptr;

use rustix::process::Signal;

/// Sets what a signal does; gives what it did before.
pub(super) fn set(signal: Signal, action: &libc::sigaction) -> io::Result<libc::sigaction> {
    // SAFETY: a `sigaction` is integers, a mask of bits and pointers that may be NULL, for which zeros are valid.
    let mut before: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: both are of the type that sigaction(2) reads and writes. The action is one of `action_of`, or was in
    // force before. The kernel refuses signals that cannot be caught.
    if unsafe { libc::sigaction(signal.as_raw(), action, &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(before)
}

/// An action without flags: waiting system calls are not restarted, and the signal is blocked in its handler alone.
pub(super) fn action_of(handler: libc::sighandler_t) -> libc::sigaction {
    // SAFETY: as in `set`.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler;
    action
}

/// Does what a signal does to a process that does not mind it. Returns if the process is continued, or if the signal
/// did nothing, as one that stops does where nobody could continue the process.
pub fn suffer(signal: Signal) {
    let Ok(before) = set(signal, &action_of(libc::SIG_DFL)) else { return };
    // SAFETY: a `sigset_t` is a mask of bits, for which zeros are valid; each call gets one that it may read or write,
    // and a signal that `set` took. What these signals do by default leaves memory alone.
    unsafe {
        let (mut only, mut mask): (libc::sigset_t, libc::sigset_t) = (mem::zeroed(), mem::zeroed());
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal.as_raw());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, &raw mut mask);
        libc::raise(signal.as_raw());
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
    }
    let _ = set(signal, &before);
}
