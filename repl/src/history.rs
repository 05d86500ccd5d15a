//! Keeps what was typed at the prompt, from one session to the next.
//!
//! The file is `slabql/history` in the XDG state folder. Names of caches may say what a machine is for, so the file
//! and its folder are their owner's alone. Every statement is appended when it is entered: a session that is
//! killed loses nothing, and several at once do not overwrite each other. Where the file cannot be used the
//! prompt says so once and works without.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;

use crate::error::plain;
use crate::message;

/// The history of a prompt.
pub struct History {
    /// None after a failure.
    file: Option<PathBuf>,
}

impl History {
    /// Opens the history and gives its statements to `editor`.
    pub fn open(editor: &mut Editor<(), DefaultHistory>) -> Self {
        let file = match folder().and_then(|folder| prepare(&folder)) {
            Ok(file) => file,
            Err(reason) => {
                message::note(&format!("there is no history: {reason}"));
                return Self { file: None };
            }
        };
        if let Err(error) = editor.load_history(&file) {
            let reason = told(&error);
            message::note(&format!("the history {} cannot be read: {reason}", file.display()));
            // What cannot be read is not written over.
            return Self { file: None };
        }
        Self { file: Some(file) }
    }

    /// Adds a statement, in memory and in the file.
    pub fn add(&mut self, editor: &mut Editor<(), DefaultHistory>, statement: &str) {
        let added = editor.add_history_entry(statement.trim());
        if let (Ok(true), Some(file)) = (added, &self.file)
            && let Err(error) = editor.append_history(file)
        {
            let reason = told(&error);
            message::note(&format!("the history {} cannot be written: {reason}", file.display()));
            self.file = None;
        }
    }
}

/// The folder of slabql in the XDG state folder.
fn folder() -> Result<PathBuf, String> {
    let folders = etcetera::choose_base_strategy().map_err(|error| error.to_string())?;
    let state = folders.state_dir().ok_or("this system has no state folder")?;
    Ok(state.join("slabql"))
}

/// Makes the folder and the file where they are not there.
fn prepare(folder: &Path) -> Result<PathBuf, String> {
    let file = folder.join("history");
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", path.display(), plain(error));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed(folder, &error))?;
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&file)
        .map_err(|error| failed(&file, &error))?;
    Ok(file)
}

fn told(error: &ReadlineError) -> String {
    match error {
        ReadlineError::Io(error) => plain(error),
        error => error.to_string(),
    }
}
