//! Completes at the cursor: statements by [`query::complete`], commands by their table and by what each one takes.

use std::rc::Rc;

use query::complete::{Candidate, Completion, Known, complete};
use query::value::Value;
use rustyline::completion::{Completer, Pair};
use rustyline::{Context, Result};

use super::{Helper, argument};
use crate::command::COMMANDS;
use crate::report::escape::printable;
use crate::report::terminal;
use crate::script::{self, Piece};
use crate::session::Session;

/// What stands between a candidate and what it is.
pub(super) const DOC: &str = "   ";

/// The most candidates that are shown with what they are, a line each.
const TOLD: usize = 12;

impl Completer for Helper<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let Completion { start, candidates } = self.completed(line, pos);
        Ok((start, listed(candidates)))
    }
}

impl Helper<'_> {
    /// What could stand at `cursor`.
    pub(super) fn completed(&self, line: &str, cursor: usize) -> Completion {
        // Whatever runs has the session, and then nobody types.
        let Ok(session) = self.session.try_borrow() else { return Completion::default() };
        let piece = script::pieces(line).into_iter().rev().find(|piece| piece.start() <= cursor);
        let (start, command) = match piece {
            Some(Piece::Command(at)) if !line[at.start..cursor].contains('\n') => (at.start, true),
            Some(Piece::Command(at)) => (at.end, false),
            Some(Piece::Statements(at)) => (at.start, false),
            None => (0, false),
        };
        let (text, cursor) = (&line[start..], cursor - start);
        let mut completion = if command {
            self.command(&session, &text[..cursor])
        } else {
            self.statement(&session, text, cursor)
        };
        completion.start += start;
        completion
    }

    /// What could stand at the byte `cursor` of statements.
    pub(super) fn statement(&self, session: &Session, text: &str, cursor: usize) -> Completion {
        let names = |which| self.names(session, which);
        let parameters = session.parameters.keys().cloned().collect();
        complete(
            text,
            cursor,
            &Known { capabilities: session.source.capabilities(), names: &names, parameters },
        )
    }

    /// What could stand at the end of the command `text`.
    fn command(&self, session: &Session, text: &str) -> Completion {
        if text.contains(char::is_whitespace) {
            return argument::complete(self, session, text);
        }
        let begun = COMMANDS.iter().filter(|command| command.name.starts_with(text));
        let candidate = |command: &crate::command::Command| Candidate {
            label: command.call(),
            ..Candidate::new(command.name, command.doc)
        };
        Completion { start: 0, candidates: begun.map(candidate).collect() }
    }
}

/// Candidates as a list shows them: a few with what they are, many as words.
fn listed(candidates: Vec<Candidate>) -> Vec<Pair> {
    let told = candidates.len() <= TOLD;
    let widest = candidates.iter().map(|c| c.label.chars().count()).max().unwrap_or(0);
    let columns = terminal::columns();
    let pair = |Candidate { text, label, doc }: Candidate| {
        let mut display = printable(label.as_bytes());
        if told && !doc.is_empty() {
            let line = format!("{display:widest$}{DOC}{doc}");
            display = cut(&line, columns.saturating_sub(1));
        }
        Pair { display, replacement: text }
    };
    candidates.into_iter().map(pair).collect()
}

/// The start of a text that fits `columns`, with a mark where something is missing.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let start: String = text.chars().take(columns.saturating_sub(1)).collect();
    start + "…"
}

/// The names that a query of slabql's own gives.
pub(super) fn names(session: &Session, query: &str) -> Rc<[String]> {
    let Ok(output) = session.ask(query) else { return Rc::default() };
    let name = |row: &Vec<Value>| match row.first() {
        Some(Value::Text(name)) => str::from_utf8(name).ok().map(str::to_owned),
        _ => None,
    };
    let printable = |name: &String| !name.contains(char::is_control);
    output.rows.iter().filter_map(name).filter(printable).collect()
}
