//! Instructions and programs: how they are put together, encoded and run.

// What a test's helper cannot do fails the test.
#![allow(clippy::unwrap_used)]

mod assembler;
mod encoding;
mod interpreter;
