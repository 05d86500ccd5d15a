//! Takes the snapshots that a query or a command names: a recording, or the running kernel now.

use std::rc::Rc;
use std::time::SystemTime;

use query::catalog::Rows;
use query::diagnostic::Diagnostic;
use query::plan::Plan;
use query::syntax::ast::Argument;

use super::snapshot::Snapshot;
use super::{Ask, Engine};
use crate::report::error::{Failure, Message};
use crate::source::kind::Kind;
use crate::source::recording::Recording;
use crate::source::recording::named::{self, LIVE};

impl Engine {
    /// Reads the recordings that a plan names, and looks for the caches, before it runs. The error marks the name of one
    /// that cannot be read or is not there.
    pub fn open(&mut self, plan: &Plan) -> Result<(), Diagnostic> {
        // Most queries name none, those that a query over `diff` asks in turn neither.
        if plan.arguments.is_empty() {
            return Ok(());
        }
        self.snapshots.clear();
        // Which struct objects are was asked by who named a member.
        let named = if plan.table.rows == Rows::Objects { 1 } else { plan.arguments.len() };
        for Argument { text, span } in plan.arguments.iter().take(named) {
            let opened = match text.as_str() {
                name if plan.table.rows == Rows::Objects => self.source.is_cache(name),
                LIVE => live_is_asked(self),
                word => recorded(word).map(|snapshot| {
                    self.snapshots.insert(word.to_owned(), Rc::new(snapshot));
                }),
            };
            opened.map_err(|failure| {
                let Message { message, help } = failure.into_message();
                Diagnostic { help, ..Diagnostic::new(*span, message) }
            })?;
        }
        Ok(())
    }

    /// The snapshots that a plan names: those that were opened, or the running kernel.
    pub(super) fn named(&mut self, arguments: &[Argument]) -> Result<Vec<Rc<Snapshot>>, Failure> {
        let named = |Argument { text, .. }: &Argument| match self.snapshots.get(text) {
            Some(opened) => Ok(Rc::clone(opened)),
            None => Snapshot::of(text, self).map(Rc::new),
        };
        arguments.iter().map(named).collect()
    }
}

impl Snapshot {
    /// The snapshot of a word: the running kernel now, or a recording.
    pub fn of(word: &str, ask: &mut dyn Ask) -> Result<Self, Failure> {
        if word != LIVE {
            return recorded(word);
        }
        live_is_asked(ask)?;
        if ask.source().kind() == Kind::Demo {
            return of(LIVE, Recording::moment(true)?);
        }
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self::taken(LIVE, ask, time)
    }
}

/// Fails where neither the running kernel is asked nor the demo, whose last moment stands for it.
fn live_is_asked(ask: &dyn Ask) -> Result<(), Failure> {
    let kind = ask.source().kind();
    if kind.is_here() || kind == Kind::Demo {
        return Ok(());
    }
    let help = "leave out `--from`, or name a second snapshot";
    Err(Failure::command(
        "`live` means the running kernel, but the source is a recording",
        Some(help),
    ))
}

fn recorded(word: &str) -> Result<Snapshot, Failure> {
    of(word, named::open(word)?)
}

fn of(word: &str, recording: Recording) -> Result<Snapshot, Failure> {
    let time = recording.time().to_owned();
    Snapshot::taken(word, &mut Engine::new(Box::new(recording)), time)
}
