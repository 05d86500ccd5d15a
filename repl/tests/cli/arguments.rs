//! The command line: options, files, exit codes, and what goes to which stream.
//!
//! The tests lie beside this file, by what a call is given and what it gives.

mod commands;
mod kernel;
mod options;
mod streams;
mod texts;

pub const QUERY: &str = "select name, size where name = 'dentry'";
