//! Runs a text of queries and dot commands: what was typed, the query of the command line, a query file.
//!
//! ```text
//! #!/usr/bin/env -S slabql -f
//! -- The largest caches                        the title: the first comment
//! -- param min: size = 1MiB  The least memory.
//! .mode csv                                    a command, where a statement could begin
//! select name, memory where memory > $min;
//! .read others.slabql                          relative to this file
//! ```
//!
//! The text falls into pieces (`shell/piece.rs`), which run in their order. A piece is parsed when its turn comes, because a
//! command before it may have given a parameter its value.
//!
//! # Invariants
//!
//! A piece is parsed where it stands in the text: so errors name the right line, and `-- param` lines hold for all that
//! follows them.

use std::io::Write;
use std::ops::{ControlFlow, Range};

use query::diagnostic::{Diagnostic, Span};
use query::foreign::{STATEMENTS, instead};
use query::suggest;
use query::syntax::Declarations;

use crate::features::input::Text;
use crate::features::library;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::log::{self, Logged};
use crate::report::message;
use crate::shell::command::row::Script;
use crate::shell::command::{self, Next};
use crate::shell::ending;
use crate::shell::latest::Latest;
use crate::shell::piece::{Piece, pieces_unless};
use crate::shell::session::{BEHIND, Session};

/// Runs a text, which came from `file` if it came from one. It breaks off at `.quit`.
pub fn run(
    session: &mut Session,
    text: &str,
    file: Option<&str>,
    out: &mut dyn Write,
) -> Result<ControlFlow<()>, Failure> {
    session.note_parameters(text);
    // What a text runs in turn is a part of it in the log.
    if std::mem::replace(&mut session.running, true) {
        return run_pieces(session, text, file, false, out);
    }
    let result = run_pieces(session, text, file, true, &mut Logged(out));
    session.running = false;
    result
}

fn run_pieces(
    session: &mut Session,
    text: &str,
    file: Option<&str>,
    logged: bool,
    out: &mut dyn Write,
) -> Result<ControlFlow<()>, Failure> {
    let mut declared = Declarations::default();
    signals::check()?;
    let pieces = pieces_unless(text, &signals::happened);
    session.keeps |= pieces.iter().any(|piece| matches!(piece, Piece::Command(_)));
    let mut rest = pieces.into_iter();
    while let Some(piece) = rest.next() {
        signals::check()?;
        let (Piece::Command(at) | Piece::Statements(at) | Piece::Ended(at, _)) = &piece;
        if logged {
            log::typed(&text[at.clone()]);
        }
        let next = run_piece(session, piece, (text, file), &mut declared, out);
        if next.is_err() && rest.len() > 0 {
            session.unrun = Some(BEHIND);
        }
        if next?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn run_piece(
    session: &mut Session,
    piece: Piece,
    (text, file): (&str, Option<&str>),
    declared: &mut Declarations,
    out: &mut dyn Write,
) -> Result<ControlFlow<()>, Failure> {
    match piece {
        Piece::Command(at) => {
            let line = &text[at.clone()];
            return command::run(session, line, out)
                .and_then(|next| follow(session, next, out))
                .map_err(|failure| in_file(failure, text, &at, file));
        }
        Piece::Statements(at) => {
            let before = (at.start, declared);
            session
                .run_from(&text[..at.end], before, file, out)
                .map_err(|failure| misplaced(failure, at.start))?;
            text[at].trim().clone_into(&mut session.last);
        }
        Piece::Ended(at, ending) => {
            let mut query = |session: &mut Session, out: &mut dyn Write| {
                let before = (at.start, &mut *declared);
                session.run_from(&text[..ending], before, file, out)
            };
            ending::end(session, &text[ending..at.end], &mut query, out)
                .map_err(|failure| in_file(failure, text, &(ending..at.end), file))
                .map_err(|failure| misplaced(failure, at.start))?;
            text[at.start..ending].trim().clone_into(&mut session.last);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Does what is next after a command: goes on, runs the text that the command has run, or breaks off.
pub fn follow(
    session: &mut Session,
    next: Next,
    out: &mut dyn Write,
) -> Result<ControlFlow<()>, Failure> {
    let Script { text, given, aside, report } = match next {
        Next::Prompt => return Ok(ControlFlow::Continue(())),
        Next::Quit => return Ok(ControlFlow::Break(())),
        Next::Run(script) => *script,
    };
    let before = (session.last.clone(), session.parameters.clone());
    let restores = given.is_some();
    if report {
        session.keeps = true;
        session.latest = None;
    }
    session.parameters.extend(given.into_iter().flatten());
    let result = run_file(session, &text, out);
    if aside {
        session.last = before.0;
    }
    if restores {
        session.parameters = before.1;
    }
    let next = result?;
    out.flush().map_err(Failure::Write)?;
    if report
        && session.format().for_people
        && let Some(Latest { output, .. }) = &session.latest
        && let Some(next) = library::next(&text.text, output, &session.options())
    {
        message::line(&format!("next: {next}"));
    }
    Ok(next)
}

/// Runs a text that was read from a file, so that what it reads is found beside it.
pub fn run_file(
    session: &mut Session,
    text: &Text,
    out: &mut dyn Write,
) -> Result<ControlFlow<()>, Failure> {
    session.reading.extend(text.path.clone());
    let result = run(session, &text.text, text.file.as_deref(), out);
    if text.path.is_some() {
        session.reading.pop();
    }
    result
}

/// A wrong command of a file, with its line marked; where the machine fails, the line is named.
fn in_file(failure: Failure, text: &str, at: &Range<usize>, file: Option<&str>) -> Failure {
    match (failure, file) {
        (Failure::Command(wrong), Some(_)) => {
            let end = at.start + text[at.clone()].trim_end().len();
            let mut diagnostic = Diagnostic::new(Span { start: at.start, end }, wrong.message);
            diagnostic.help = wrong.help;
            Failure::query(diagnostic, text, file)
        }
        (Failure::Environment(mut failed), Some(file)) => {
            let line = text[..at.start].matches('\n').count() + 1;
            failed.help.get_or_insert_with(|| format!("requested in line {line} of {file}"));
            Failure::Environment(failed)
        }
        (failure, _) => failure,
    }
}

/// Says of a command that stands where none can where it would be one.
fn misplaced(mut failure: Failure, piece: usize) -> Failure {
    if let Failure::Query(wrong) = &mut failure {
        let Span { start, end } = wrong.diagnostic.span;
        let before = wrong.text.get(piece..start).unwrap_or_default();
        let found = wrong.text.get(start..).unwrap_or_default();
        // A dot behind a name is taken for a part of it, on the next line too.
        let marked = wrong.text.get(start..end).unwrap_or_default();
        let next_line = marked.split('\n').skip(1).any(|line| line.trim_start().starts_with('.'));
        let own_line = before.rsplit('\n').next().is_some_and(|line| line.trim().is_empty());
        let dot = found.starts_with('.');
        let end = found.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(found.len());
        let begins = before.trim_end().is_empty() || before.trim_end().ends_with(';');
        if begins
            && let Some(command) = command::find(&format!(".{}", &found[..end]))
            && instead(STATEMENTS, &found[..end]).is_none()
        {
            wrong.diagnostic.help = Some(suggest::question(command.name));
            return failure;
        }
        let help = if dot && before.trim_end().ends_with(';') {
            "put a command such as `.tables` on a line of its own"
        } else if next_line || (dot && own_line) {
            "end the query before a command with `;`"
        } else {
            return failure;
        };
        wrong.diagnostic.help = Some(help.to_owned());
    }
    failure
}
