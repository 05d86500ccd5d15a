//! What the tests on a kernel share.
#![allow(dead_code, missing_docs, clippy::unwrap_used)] // each test file uses a part

pub mod ask;
pub mod child;
pub mod files;
pub mod kmsg;
pub mod settle;
pub mod witness;
pub mod zram;

use std::fs;

/// Whether this process may use the live kernel. Says so if not; with `SLABQL_REQUIRE_LIVE=1` that is a failure.
pub fn live() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|line| line.starts_with("Uid:\t0\t0"));
    if !root {
        skip("needs root");
    }
    root
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

/// Says why a part of a test does not run; with `SLABQL_REQUIRE_LIVE=1` that is a failure.
pub fn skip(reason: &str) {
    let required = std::env::var("SLABQL_REQUIRE_LIVE").is_ok_and(|value| value == "1");
    assert!(!required, "SLABQL_REQUIRE_LIVE=1, but: {reason}");
    eprintln!("skipped: {reason}");
}
