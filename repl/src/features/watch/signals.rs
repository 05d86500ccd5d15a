//! Holds signals back that would end the process, so that the terminal is put in order first.
//!
//! A handler that is installed once stays; [`Held`] says whether it holds a signal back or does what the signal would do
//! without it. SIGHUP is not among them: where the terminal is gone there is nothing to put in order.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};

/// What handlers know.
struct Shared {
    /// Whether signals do what they do without a handler.
    open: Arc<AtomicBool>,
    /// The last signal that was held back; 0 if there was none.
    caught: Arc<AtomicUsize>,
}

static INSTALLED: AtomicBool = AtomicBool::new(false);
static SHARED: OnceLock<Shared> = OnceLock::new();

/// Signals are held back until this is dropped.
pub struct Held(&'static Shared);

impl Held {
    /// Begins to hold signals back.
    pub fn begin() -> io::Result<Self> {
        let shared = SHARED.get_or_init(|| Shared {
            open: Arc::new(AtomicBool::new(true)),
            caught: Arc::default(),
        });
        // Those of an earlier watch are there yet.
        if !INSTALLED.swap(true, Ordering::SeqCst) {
            for signal in [SIGINT, SIGQUIT, SIGTERM] {
                flag::register_conditional_default(signal, Arc::clone(&shared.open))?;
                let number = usize::try_from(signal).unwrap_or_default();
                flag::register_usize(signal, Arc::clone(&shared.caught), number)?;
            }
        }
        shared.caught.store(0, Ordering::SeqCst);
        shared.open.store(false, Ordering::SeqCst);
        Ok(Self(shared))
    }

    /// The signal that was held back.
    pub fn caught(&self) -> Option<i32> {
        match self.0.caught.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.open.store(true, Ordering::SeqCst);
    }
}

/// Does what a signal does to a process that does not mind it.
pub fn give_in(signal: i32) {
    // It fails for signals that cannot be sent only.
    let _ = low_level::emulate_default_handler(signal);
}

/// Ctrl-C.
pub const INTERRUPT: i32 = SIGINT;
/// The terminal is gone.
pub const HANG_UP: i32 = SIGHUP;
