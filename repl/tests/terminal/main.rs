//! The program at a terminal: the prompt, its editor, the pager, a watch.
#![allow(missing_docs, clippy::unwrap_used)] // tests

#[path = "../common/mod.rs"]
mod common;
mod editor;
mod fit;
mod hostile;
mod prompt;
mod signals;
mod watch;
mod watch_screen;
