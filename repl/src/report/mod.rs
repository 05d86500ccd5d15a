//! What is told: failures and their exit codes, messages on standard error, the log, and how any text is made fit to be
//! drawn on a terminal.
//!
//! # Invariants
//!
//! This is the lowest floor of the program: nothing here knows a kernel, a source, a session or a command.

pub mod error;
pub mod log;
pub mod message;
mod stderr;
pub mod terminal;

pub use query::escape;
