//! The program `slabql`, in floors: each knows those below it.
//!
//! ```text
//!   cli       options and subcommands
//!   shell     session, script, prompt, commands, settings
//!   features  verify, diff, snapshot, doctor, whatis, watch, reports
//!   engine    plans and answers, over the best source that there is
//!   source    the running kernel, its files, recordings
//!   sink      files, pager, commands          render  a format a file
//!   kernel    types, programs, memory
//!   report    failures, messages, the log              file      paths, whole files
//! ```
//!
//! # Invariants
//!
//! `kernel::sys` is the only module with `unsafe` code.
#![deny(unsafe_code)]

/// It counts for the tests.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: kernel::sys::Allocator = kernel::sys::Allocator;

pub mod cli;
pub mod engine;
pub mod features;
pub mod file;
pub mod kernel;
pub mod render;
pub mod report;
pub mod shell;
pub mod sink;
pub mod source;
