//! What the tests on a kernel share.
#![allow(dead_code, unused_imports, missing_docs, clippy::unwrap_used)] // each test program uses a part

pub mod ask;
pub mod child;
pub mod files;
pub mod kmsg;
pub mod program;
pub mod settle;
mod skip;
pub mod start;
pub mod tmux;
pub mod witness;
pub mod zram;

pub use skip::{lacks, skip};

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use slabql::kernel::schema::KernelSchema;
use slabql::kernel::sys::VMLINUX_BTF;

/// The running kernel, for one test alone: the others wait until this is dropped.
///
/// Figures rest for a test only if no other moves them, in whatever module, program or checkout it is.
pub struct Turn {
    _lock: File,
}

/// As [`files`], for a test of programs, which take a kernel that tells of its types.
pub fn live() -> Option<Turn> {
    let turn = files()?;
    if !fs::metadata(VMLINUX_BTF).is_ok_and(|file| file.len() > 0) {
        skip(&format!("needs {VMLINUX_BTF}, of a kernel with CONFIG_DEBUG_INFO_BTF"));
        return None;
    }
    Some(turn)
}

/// The running kernel, once it is this test's turn. None if it may not be used, and says so; with
/// `SLABQL_REQUIRE_LIVE=1` that is a failure. Not to be asked for twice in one test.
pub fn files() -> Option<Turn> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t0")) {
        skip("needs root");
        return None;
    }
    // A folder that is there once on a machine, and which nobody can take away.
    let lock = File::open("/sys/kernel").unwrap();
    wait("the test that has the kernel", Duration::from_mins(30), || match lock.try_lock() {
        Ok(()) => Some(()),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => panic!("/sys/kernel cannot be locked: {error}"),
    });
    Some(Turn { _lock: lock })
}

/// As [`live`], for a test of programs that only a kernel with an iterator over its caches takes.
pub fn iterated() -> Option<Turn> {
    let turn = live()?;
    let types = KernelSchema::any().unwrap_or_else(|error| panic!("{VMLINUX_BTF}: {error:?}"));
    if !types.has_iterator() {
        skip("needs Linux 6.13, whose iterator gives the caches");
        return None;
    }
    Some(turn)
}

/// Looks until `look` gives something. Fails after `patience`, and says what it waited for.
pub fn wait<T>(what: impl Display, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let (start, mut pause) = (Instant::now(), Duration::from_micros(50));
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// What a thread gives once it has ended, which it does within a minute.
pub fn joined<T>(what: &str, thread: JoinHandle<T>) -> T {
    wait(what, Duration::from_mins(1), || thread.is_finished().then_some(()));
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whether this kernel merges caches as it likes; says so if its parameters forbid it.
pub fn merges() -> bool {
    let parameters = fs::read_to_string("/proc/cmdline").unwrap();
    let told = ["nomerge", "slab_debug", "slub_debug"].iter().any(|word| parameters.contains(word));
    if told {
        eprintln!("the kernel's parameters say how caches are merged");
    }
    !told
}
