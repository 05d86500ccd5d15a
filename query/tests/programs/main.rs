//! The programs that queries become, run in the interpreter over a made-up kernel: they give what the kernel holds.
#![allow(missing_docs, clippy::unwrap_used)] // tests

mod batches;
#[path = "../common/mod.rs"]
mod common;
mod equivalence;
mod groups;
mod integers;
mod list;
mod objects;
mod pages;
mod parts;
mod slabs;
mod torn_walks;
mod types;
mod walks;
