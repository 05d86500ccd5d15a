//! How a release is linked. These are no flags of the target, because tests and proc macros are built for it as well.
//!
//! - A static one has no tables that only unwinding reads: it aborts where it panics, and they are half a megabyte. Tests
//!   unwind, also those that are linked for other kernels.
//! - One with glibc is linked for a fixed address, as a static one is (`.cargo/config.toml`): to relocate itself takes 7 % of a
//!   cold query.

#![forbid(unsafe_code)]

use std::env::var;

fn main() {
    const SCRIPT: &str = "packaging/no-unwinding.ld";
    println!("cargo::rerun-if-changed={SCRIPT}");
    if var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let is_static =
        var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|features| features.contains("crt-static"));
    match (var("CARGO_CFG_TARGET_ENV").as_deref(), var("CARGO_MANIFEST_DIR")) {
        (Ok("musl"), Ok(folder)) => {
            println!("cargo::rustc-link-arg-bin=slabql=-Wl,--no-eh-frame-hdr");
            println!("cargo::rustc-link-arg-bin=slabql=-Wl,-T,{folder}/{SCRIPT}");
        }
        (Ok("gnu"), _) if !is_static => println!("cargo::rustc-link-arg-bin=slabql=-no-pie"),
        _ => {}
    }
}
