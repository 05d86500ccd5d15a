//! The commands `\g` and `\gx`. Behind a query they end it; alone they run the last one.

use std::io::Write;

use super::row::Next;
use super::{sink, watch};
use crate::render::VERTICAL;
use crate::report::error::Failure;
use crate::shell::session::Session;

/// Runs the query before the ending.
pub type Run<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn Write) -> Result<(), Failure>;

/// What an ending does with the query before it.
pub type Ending = fn(&mut Session, &str, Run<'_>, &mut dyn Write) -> Result<(), Failure>;

/// `\g [FILE||COMMAND]`.
pub fn go(
    session: &mut Session,
    to: &str,
    query: Run<'_>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match to.strip_prefix('|') {
        Some(command) => sink::pipe(session, command.trim(), out)?,
        None if to.is_empty() => Next::Prompt,
        None => sink::once(session, to, out)?,
    };
    query(session, out)
}

/// `\gx [FILE||COMMAND]`.
pub fn expanded(
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
pub fn watched(
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
