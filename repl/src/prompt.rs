//! The prompt: reads statements and dot commands from a terminal, until Ctrl-D.
//!
//! A statement may take several lines and ends with `;`. An error of whatever kind is told and the prompt goes on.
//! Ctrl-C drops what was typed. While a query runs the terminal is in its ordinary mode, so Ctrl-C ends the
//! program then and leaves the terminal as it was.
//!
//! Standard output has rows only: where it is no terminal, the prompt is shown on the terminal that is there.

use std::io::{self, BufWriter, IsTerminal};

use query::syntax::{Symbol, TokenKind, is_complete, lex};
use rustyline::config::Behavior;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use crate::command::{self, Next};
use crate::error::Failure;
use crate::history::History;
use crate::message;
use crate::script;
use crate::session::Session;

const FIRST: &str = "slabql> ";
const MORE: &str = "   ...> ";

/// The terminals that rustyline does not edit on.
const PLAIN: [&str; 3] = ["dumb", "cons25", "emacs"];

/// The most entries of the history.
const HISTORY: usize = 10_000;

/// Runs the prompt until it is left.
pub fn run(session: &mut Session) -> Result<(), Failure> {
    let mut editor = editor().map_err(|error| terminal(&error))?;
    let mut history = History::open(&mut editor);
    if let Some(label) = session.source.label() {
        message::line(&label);
    }
    let release = session.source.release();
    let version = env!("CARGO_PKG_VERSION");
    message::line(&format!("slabql {version}, Linux {release}. `.help` for help."));
    session.source.keep();
    let mut text = String::new();
    loop {
        let line = match ask(&mut editor, if text.is_empty() { FIRST } else { MORE }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                text.clear();
                message::failure(&Failure::command("what was typed is not UTF-8", None));
                continue;
            }
            Err(error) => return Err(terminal(&error)),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        if is_empty(&text) {
            text.clear();
            continue;
        }
        if !command::is_command(&text) && !is_complete(&text) {
            continue;
        }
        let statement = std::mem::take(&mut text);
        history.add(&mut editor, &statement);
        let mut out = BufWriter::new(io::stdout().lock());
        let result = script::run(session, &statement, None, &mut out);
        // What is written goes before what is told.
        drop(out);
        match result {
            Ok(Next::Prompt) => {}
            Ok(Next::Quit) => return Ok(()),
            Err(failure) if failure.is_closed_pipe() => return Ok(()),
            Err(failure) => message::failure(&failure),
        }
    }
}

/// Asks for a line. On a terminal that cannot edit, rustyline writes the prompt to standard output, whatever that is.
fn ask(editor: &mut Editor<(), DefaultHistory>, prompt: &str) -> rustyline::Result<String> {
    let plain =
        std::env::var_os("TERM").is_some_and(|term| PLAIN.iter().any(|plain| term == *plain));
    if plain && !io::stdout().is_terminal() {
        message::prompt(prompt);
        return editor.readline("");
    }
    editor.readline(prompt)
}

fn editor() -> rustyline::Result<Editor<(), DefaultHistory>> {
    let behavior = if io::stdout().is_terminal() { Behavior::Stdio } else { Behavior::PreferTerm };
    let config = Config::builder()
        .auto_add_history(false)
        .behavior(behavior)
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .build();
    Editor::with_config(config)
}

/// Whether a text has nothing but blanks, comments and `;`.
fn is_empty(text: &str) -> bool {
    let semicolon = TokenKind::Symbol(Symbol::Semicolon);
    lex(text).is_ok_and(|tokens| tokens.iter().all(|token| token.kind == semicolon))
}

fn terminal(error: &ReadlineError) -> Failure {
    Failure::environment(format!("the terminal cannot be used: {error}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_are_no_statement() {
        for text in ["", "  ", ";", "-- x", "# x\n;", "/* x */"] {
            assert!(is_empty(text), "{text}");
        }
        for text in ["select", "/* x", "'", "x;"] {
            assert!(!is_empty(text), "{text}");
        }
    }
}
