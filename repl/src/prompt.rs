//! The prompt: reads statements and dot commands from a terminal, until Ctrl-D.
//!
//! A statement may take several lines and ends with `;`. An error of whatever kind is told and the prompt goes on.
//! The history lies in the XDG state folder, readable by its owner alone; where that cannot be written the prompt
//! works without one and says so once.

use std::io::{self, Write};
use std::path::PathBuf;

use etcetera::BaseStrategy;
use query::syntax::is_complete;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use crate::command::{self, Next};
use crate::error::Failure;
use crate::session::Session;

const FIRST: &str = "slabql> ";
const MORE: &str = "   ...> ";

/// The most entries of the history.
const HISTORY: usize = 10_000;

/// Runs the prompt until it is left.
pub fn run(session: &mut Session) -> Result<(), Failure> {
    let config = Config::builder().auto_add_history(false).max_history_size(HISTORY);
    let config = config
        .and_then(|config| config.history_ignore_dups(true))
        .map(rustyline::config::Builder::build);
    let editor = config.and_then(Editor::<(), DefaultHistory>::with_config);
    let mut editor = editor.map_err(|error| terminal(&error))?;
    let history = history_file();
    match &history {
        Ok(path) if path.exists() => {
            if let Err(error) = editor.load_history(path) {
                eprintln!("note: the history cannot be read: {error}");
            }
        }
        Ok(_) => {}
        Err(reason) => eprintln!("note: there is no history: {reason}"),
    }
    if let Some(label) = session.source.label() {
        eprintln!("{label}");
    }
    eprintln!(
        "slabql {}, Linux {}. `.help` for help.",
        env!("CARGO_PKG_VERSION"),
        session.source.release()
    );
    let mut text = String::new();
    loop {
        let line = match editor.readline(if text.is_empty() { FIRST } else { MORE }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(terminal(&error)),
        };
        if text.is_empty() && line.trim().is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        let is_command = text.trim_start().starts_with('.');
        if !is_command && !is_complete(&text) {
            continue;
        }
        let statement = std::mem::take(&mut text);
        remember(&mut editor, &statement, history.as_ref().ok());
        match step(session, &statement, is_command) {
            Ok(Next::Prompt) => {}
            Ok(Next::Quit) => return Ok(()),
            Err(failure) if failure.is_closed_pipe() => return Ok(()),
            Err(failure) => eprint!("{}", failure.text()),
        }
    }
}

fn step(session: &mut Session, text: &str, is_command: bool) -> Result<Next, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    if is_command {
        return command::run(session, text, &mut out);
    }
    session.run(text, None, &mut out)?;
    out.flush().map_err(Failure::Write)?;
    Ok(Next::Prompt)
}

/// Adds a statement to the history, in memory and in its file.
fn remember(editor: &mut Editor<(), DefaultHistory>, statement: &str, file: Option<&PathBuf>) {
    let added = editor.add_history_entry(statement.trim());
    if let (Ok(true), Some(file)) = (added, file)
        && let Err(error) = editor.append_history(file)
    {
        eprintln!("note: the history cannot be written: {error}");
    }
}

/// The file of the history, its folder made.
fn history_file() -> Result<PathBuf, String> {
    let folders = etcetera::choose_base_strategy().map_err(|error| error.to_string())?;
    let state = folders.state_dir().ok_or("this system has no state folder")?;
    let folder = state.join("slabql");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join("history"))
}

fn terminal(error: &ReadlineError) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}
