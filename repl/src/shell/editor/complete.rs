//! Completes at the cursor: statements by [`query::complete`], commands by their table and by what each one takes.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;

use query::complete::{Candidate, Completion, Known, complete};
use rustyline::completion::{Completer, Pair};
use rustyline::{Context, Result};

use super::argument;
use super::helper::Helper;
use crate::render::{FORMATS, width};
use crate::report::escape::printable;
use crate::report::terminal::{self, cut};
use crate::shell::command::COMMANDS;
use crate::shell::piece::{Piece, pieces};
use crate::shell::session::Session;

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
        let Ok(mut session) = self.session.try_borrow_mut() else { return Completion::default() };
        let piece = pieces(line).into_iter().rev().find(|piece| piece.start() <= cursor);
        let (start, command) = match piece {
            Some(Piece::Command(at)) if !line[at.start..cursor].contains('\n') => (at.start, true),
            Some(Piece::Command(at)) => (at.end, false),
            Some(Piece::Ended(_, ending)) if ending < cursor => (ending, true),
            Some(Piece::Statements(at) | Piece::Ended(at, _)) => (at.start, false),
            None => (0, false),
        };
        let (text, cursor) = (&line[start..], cursor - start);
        let mut completion = if command {
            self.command(&mut session, &text[..cursor])
        } else {
            self.statement(&mut session, text, cursor)
        };
        completion.start += start;
        completion
    }

    /// What could stand at the byte `cursor` of statements.
    pub(super) fn statement(&self, session: &mut Session, text: &str, cursor: usize) -> Completion {
        loop {
            let unknown = Cell::new(None);
            let names = |which| {
                self.known(which).unwrap_or_else(|| {
                    unknown.set(Some(which));
                    Rc::default()
                })
            };
            let parameters = session.parameters.keys().cloned().collect();
            let capabilities = session.engine.source().capabilities();
            let formats: Vec<_> = FORMATS.iter().map(|format| (format.name, format.help)).collect();
            let known = Known { capabilities, names: &names, parameters, formats: &formats };
            let completion = complete(text, cursor, &known);
            match unknown.get() {
                Some(which) => self.learn(session, which),
                None => return completion,
            }
        }
    }

    /// What could stand at the end of the command `text`.
    fn command(&self, session: &mut Session, text: &str) -> Completion {
        if text.contains(char::is_whitespace) {
            return argument::complete(self, session, text);
        }
        let begun = COMMANDS.iter().filter(|command| command.name.starts_with(text));
        let candidate = |command: &crate::shell::command::Command| Candidate {
            label: command.call(),
            ..Candidate::new(command.name, command.doc)
        };
        Completion { start: 0, candidates: begun.map(candidate).collect() }
    }
}

/// Candidates as a list shows them: a few with what they are, many as words.
fn listed(candidates: Vec<Candidate>) -> Vec<Pair> {
    let told = candidates.len() <= TOLD;
    let labels = candidates.iter().map(|c| width(&printable(c.label.as_bytes())));
    let widest = labels.max().unwrap_or(0);
    let columns = terminal::columns();
    let pair = |Candidate { text, label, doc }: Candidate| {
        let mut display = printable(label.as_bytes());
        if told && !doc.is_empty() {
            display.extend(iter::repeat_n(' ', widest - width(&display)));
            display = cut(&(display + DOC + &doc), columns.saturating_sub(1)).into_owned();
        }
        Pair { display, replacement: text }
    };
    candidates.into_iter().map(pair).collect()
}
