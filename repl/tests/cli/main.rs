//! The program as a process: arguments, files, streams, exit codes.
#![allow(missing_docs, clippy::unwrap_used)] // tests

mod alerts;
mod arguments;
mod bounded;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod damage;
mod demo;
mod expectations;
mod export;
mod files;
mod formats;
mod habits;
mod hosts;
mod ladder;
mod made_up;
mod names;
mod output;
mod packaging;
mod parameters;
mod paths;
mod query_files;
mod recorded_tables;
mod recordings;
mod settings;
mod snapshots;
mod stamp;
mod starts;
