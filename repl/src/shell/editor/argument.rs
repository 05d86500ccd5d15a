//! Completes the arguments of commands, by what the table of commands says that each one takes.

use std::fs;

use query::catalog::TABLES;
use query::complete::{Candidate, Completion};
use query::path::Base;
use query::syntax::parameter;

use super::helper::Helper;
use crate::features::library::{self, REPORTS};
use crate::features::members;
use crate::file::path::{QUOTES, at_home};
use crate::shell::command::{COMMANDS, Takes, find};
use crate::shell::session::Session;
use crate::source::recording::named::{self, LIVE};

/// What makes a statement of a member's path.
const SELECT: &str = "select ";

/// What makes one of a cache's name.
const NAMED: &str = "select name where alias_of('";

/// What could stand at the end of `text`, a command with a part of its arguments.
pub(super) fn complete(helper: &Helper<'_>, session: &mut Session, text: &str) -> Completion {
    let (call, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let Some(command) = find(call) else { return Completion::default() };
    let rest = rest.trim_start();
    let first = text.len() - rest.len();
    let start = text.rfind(char::is_whitespace).map_or(first, |blank| blank + 1);
    let word = &text[start..];
    let candidates = match command.takes {
        Takes::File => return files(first, rest),
        Takes::Statement => {
            let mut completion = helper.statement(session, rest, rest.len());
            completion.start += first;
            return completion;
        }
        Takes::Table if members::is_path(rest) && rest.contains(['-', '.', '[']) => {
            let query = format!("{SELECT}{rest}");
            let mut completion = helper.statement(session, &query, query.len());
            completion.start = first + completion.start.saturating_sub(SELECT.len());
            return completion;
        }
        Takes::Cache => {
            let query = format!("{NAMED}{rest}");
            let mut completion = helper.statement(session, &query, query.len());
            completion.start = first + completion.start.saturating_sub(NAMED.len());
            // A name that a command takes needs no quote at its end.
            for candidate in &mut completion.candidates {
                candidate.text = candidate.label.clone();
            }
            return completion;
        }
        Takes::Query | Takes::Report if start > first => parameters(rest, word),
        Takes::Moments if word.contains(['/', '\'', '"']) => return files(start, word),
        Takes::Moments => {
            let mut found = moments();
            found.extend(files(start, word).candidates);
            found
        }
        Takes::Snapshot if rest.starts_with("drop ") => {
            named::names().unwrap_or_default().iter().map(|name| Candidate::new(name, "")).collect()
        }
        // Only the first argument is one of these.
        _ if start > first => Vec::new(),
        takes => words(takes, session, word),
    };
    let begun = candidates.into_iter().filter(|candidate| candidate.text.starts_with(word));
    Completion { start, candidates: begun.collect() }
}

/// What the first argument could be.
fn words(takes: Takes, session: &Session, word: &str) -> Vec<Candidate> {
    let plain = |name: &str| Candidate::new(name, "");
    let reports = || REPORTS.iter().map(|(name, text)| Candidate::new(*name, library::title(text)));
    match takes {
        Takes::Table => {
            let structs = Base::ALL.iter().map(|base| {
                let doc = format!("the members of {}", base.described());
                Candidate::new(format!("{}->", base.name()), doc)
            });
            let tables = TABLES.iter().map(|table| Candidate::new(table.name, table.doc));
            tables.chain(structs).collect()
        }
        Takes::Column => columns(),
        Takes::Command => {
            // With its dot or without it.
            let bare = !word.starts_with(['.', '\\']) && !word.is_empty();
            let name = |name: &'static str| if bare { name.trim_start_matches('.') } else { name };
            COMMANDS.iter().map(|command| Candidate::new(name(command.name), command.doc)).collect()
        }
        Takes::Parameter => {
            let mut names = parameter::names(&session.last);
            names.extend(session.parameters.keys().cloned());
            names.iter().map(|name| plain(name)).collect()
        }
        Takes::Report => reports().collect(),
        Takes::Query => {
            let saved = library::saved_names();
            saved.iter().map(|name| Candidate::new(name, "saved")).chain(reports()).collect()
        }
        takes => takes.words(COMMANDS).unwrap_or_default().into_iter().map(plain).collect(),
    }
}

/// The moments that have names.
fn moments() -> Vec<Candidate> {
    let doc = |name: &str| if name == LIVE { "the running kernel" } else { "snapshot" };
    let names = named::moments();
    names.iter().map(|name| Candidate::new(name, doc(name))).collect()
}

/// The columns of the first table by their names, those of others behind the names of these.
fn columns() -> Vec<Candidate> {
    let mut all = Vec::new();
    for (index, table) in TABLES.iter().enumerate() {
        all.extend(table.shown().map(|column| {
            let name = column.name;
            let text = if index == 0 { name.to_owned() } else { format!("{}.{name}", table.name) };
            Candidate::new(text, column.doc)
        }));
    }
    all
}

/// The parameters of the query that is to run, ready for a value.
fn parameters(rest: &str, word: &str) -> Vec<Candidate> {
    if word.contains('=') {
        return Vec::new();
    }
    let name = rest.split_whitespace().next().unwrap_or_default();
    let text = library::text(name).unwrap_or_default();
    parameter::names(&text)
        .iter()
        .map(|name| Candidate::new(format!("{name}="), "parameter"))
        .collect()
}

/// The files that the path `typed`, which begins at `start`, may lead to. Hidden ones only if that is what is typed.
fn files(start: usize, typed: &str) -> Completion {
    let quoted = usize::from(typed.starts_with(QUOTES));
    let typed = &typed[quoted..];
    let begin = typed.rfind('/').map_or(0, |slash| slash + 1);
    let (folder, name) = typed.split_at(begin);
    let folder = at_home(if folder.is_empty() { "." } else { folder }.into());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut candidates: Vec<Candidate> = entries
        .filter_map(|entry| {
            let found = entry.file_name().into_string().ok()?;
            let shown = found.starts_with('.') == name.starts_with('.');
            // A link to a folder is one.
            let end = if entry.path().is_dir() { "/" } else { "" };
            let fits = shown && found.starts_with(name) && !found.contains(char::is_control);
            fits.then(|| Candidate::new(format!("{found}{end}"), ""))
        })
        .collect();
    candidates.sort_by(|left, right| left.text.cmp(&right.text));
    Completion { start: start + quoted + begin, candidates }
}
