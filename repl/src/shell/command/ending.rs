//! What ends a query as in psql and mysql, instead of `;`: `\g`, `\gx`, `\G`, `\watch`. Alone they run the last query.

use std::io::Write;

use super::{Next, find, sink, unknown, watch};
use crate::render::VERTICAL;
use crate::report::error::Failure;
use crate::shell::session::Session;

/// Runs the query before the ending.
type Run<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn Write) -> Result<(), Failure>;

/// What an ending does with the query before it.
type Ending = fn(&mut Session, &str, Run<'_>, &mut dyn Write) -> Result<(), Failure>;

/// The endings, by the names of their commands.
const ENDINGS: [(&str, Ending); 3] = [("\\g", go), ("\\gx", expanded), (".watch", watched)];

/// The ending that a line begins with, and its argument.
fn of(line: &str) -> Option<(Ending, &str)> {
    let (call, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = find(call)?.name;
    let (_, ending) = ENDINGS.iter().find(|(ending, _)| *ending == name)?;
    Some((*ending, argument.trim()))
}

/// Whether a line ends the query before it.
#[must_use]
pub fn is_ending(line: &str) -> bool {
    of(line.trim().trim_end_matches(';')).is_some()
}

/// Runs a query as the command behind it says.
pub fn end(
    session: &mut Session,
    line: &str,
    query: Run<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let line = line.trim().trim_end_matches(';');
    if let Some((ending, argument)) = of(line) {
        return ending(session, argument, query, out);
    }
    let call = line.split_whitespace().next().unwrap_or_default();
    if find(call).is_none() {
        return Err(unknown(call));
    }
    let help = "a query ends with `;`, `\\g` or `\\G`, and a command stands on a line of its own";
    Err(Failure::command(format!("`{call}` ends no query"), Some(help)))
}

/// `\g [FILE||COMMAND]`.
fn go(session: &mut Session, to: &str, query: Run<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    match to.strip_prefix('|') {
        Some(command) => sink::pipe(session, command.trim(), out)?,
        None if to.is_empty() => Next::Prompt,
        None => sink::once(session, to, out)?,
    };
    query(session, out)
}

/// `\gx [FILE||COMMAND]`.
fn expanded(
    session: &mut Session,
    to: &str,
    query: Run<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let before = session.settings.format.replace(&VERTICAL);
    let result = go(session, to, query, out);
    session.settings.format = before;
    result
}

/// `\watch [INTERVAL] [c=N]`.
fn watched(
    session: &mut Session,
    argument: &str,
    query: Run<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (options, rest) = watch::options(argument)?;
    if !rest.is_empty() {
        return Err(Failure::command(format!("`{rest}` is not an interval"), Some(watch::CALL)));
    }
    let before = session.watch.replace(options);
    let result = query(session, out);
    session.watch = before;
    result
}

/// `\g` alone.
pub fn go_again(session: &mut Session, to: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    again(session, go, to, out)
}

/// `\gx` alone.
pub fn expand_again(session: &mut Session, to: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    again(session, expanded, to, out)
}

fn again(
    session: &mut Session,
    ending: Ending,
    argument: &str,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    if session.last.is_empty() {
        return Err(Failure::command("there is no query yet that could be run again", None));
    }
    let last = session.last.clone();
    ending(session, argument, &mut |session, out| session.run(&last, None, out), out)?;
    Ok(Next::Prompt)
}
