//! Leaves the tables that only unwinding reads out of a static release: it aborts where it panics, and they are half a
//! megabyte. Tests unwind, also those that are linked for other kernels, so these are no flags of the target.

#![forbid(unsafe_code)]

use std::env::var;

fn main() {
    const SCRIPT: &str = "packaging/no-unwinding.ld";
    println!("cargo::rerun-if-changed={SCRIPT}");
    if var("PROFILE").as_deref() == Ok("release")
        && var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("musl")
        && let Ok(folder) = var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-arg-bin=slabql=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bin=slabql=-Wl,-T,{folder}/{SCRIPT}");
    }
}
