//! Hints, dimly behind the cursor, how a line may go on: as it did before, or to the end of the word. The right arrow
//! takes a hint.

use query::complete::{Candidate, Completion};
use query::{aggregate, function};
use rustyline::Context;
use rustyline::hint::{Hint, Hinter};
use rustyline::history::SearchDirection;

use super::helper::Helper;
use super::text::{FIRST, meant};
use crate::render::width;
use crate::report::escape::printable;
use crate::report::terminal::{self, cut};

/// The fewest letters of a word that is hinted at.
const LETTERS: usize = 2;

/// The fewest columns that a hint needs.
const LEAST: usize = 8;

/// A hint.
#[derive(Debug, PartialEq, Eq)]
pub struct Ahead {
    /// What is shown.
    shown: String,
    /// What the arrow takes; nothing of what only explains.
    taken: Option<String>,
}

impl Hint for Ahead {
    fn display(&self) -> &str {
        &self.shown
    }

    fn completion(&self) -> Option<&str> {
        self.taken.as_deref()
    }
}

impl Hinter for Helper<'_> {
    type Hint = Ahead;

    fn hint(&self, line: &str, pos: usize, context: &Context<'_>) -> Option<Ahead> {
        // One that does not look different would be taken for what was typed.
        if !self.color || line.is_empty() || pos < line.len() || self.ahead.is_pasting() {
            return None;
        }
        let columns = terminal::columns();
        let last = line.rsplit('\n').next().unwrap_or(line).trim_start_matches('\t');
        let typed = FIRST.len() + width(last);
        // A hint that went on in the next row would move what is below it with every letter.
        let room = columns.saturating_sub(typed % columns.max(1) + 1);
        if room < LEAST {
            return None;
        }
        let hint = before(line, context)
            .or_else(|| arguments(line))
            .or_else(|| word(&self.completed(line, pos), line))?;
        Some(Ahead { shown: cut(&printable(hint.shown.as_bytes()), room).into_owned(), ..hint })
    }
}

/// The rest of the last entry of the history that began like this.
fn before(line: &str, context: &Context<'_>) -> Option<Ahead> {
    let last = context.history_index().min(context.history().len().checked_sub(1)?);
    let found = context.history().starts_with(line, last, SearchDirection::Reverse).ok()??;
    let rest = found.entry.get(line.len()..).filter(|rest| !rest.is_empty())?;
    let (first, more) = match rest.split_once('\n') {
        Some((first, _)) => (first, " …"),
        None => (rest, ""),
    };
    Some(Ahead { shown: format!("{}{more}", meant(first)), taken: Some(rest.to_owned()) })
}

/// The arguments of the function that has just been opened.
fn arguments(line: &str) -> Option<Ahead> {
    let before = line.strip_suffix('(')?;
    let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_lowercase();
    let call = function::find(&name).map(|found| found.call);
    let call = call.or_else(|| aggregate::find(&name).map(|found| found.call))?;
    Some(Ahead { shown: call.split_once('(')?.1.to_owned(), taken: None })
}

/// The end of the word, by the first candidate; the only one says what it is.
fn word(Completion { start, candidates }: &Completion, line: &str) -> Option<Ahead> {
    let typed = &line[*start..];
    let Candidate { text, doc, .. } = candidates.first()?;
    if typed.chars().count() < LETTERS || candidates.iter().any(|other| other.text == typed) {
        return None;
    }
    let rest = text.get(typed.len()..).filter(|rest| !rest.is_empty())?;
    let told = candidates.len() == 1 && !doc.is_empty();
    let shown = if told { format!("{rest}  {doc}") } else { rest.to_owned() };
    Some(Ahead { shown, taken: Some(rest.to_owned()) })
}
