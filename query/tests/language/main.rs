//! The language: what is parsed, completed, printed, and what is too long or too deep.
#![allow(missing_docs, clippy::unwrap_used)] // tests

mod bounded;
#[path = "../common/mod.rs"]
mod common;
mod completion;
mod grammar;
mod interrupted;
mod limits;
mod paths;
mod productions;
mod properties;
mod round_trip;
mod tables;
mod units;
