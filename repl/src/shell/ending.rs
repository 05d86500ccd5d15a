//! What ends a query as in psql and mysql, instead of `;`: `\g`, `\gx`, `\G`, `\watch`.

use std::io::Write;

use super::command::ending::{Ending, Run, expanded, go, watched};
use super::command::{COMMANDS, find, unknown};
use super::session::Session;
use crate::report::error::Failure;

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
        return Err(unknown(COMMANDS, call));
    }
    let help = "a query ends with `;`, `\\g` or `\\G`, and a command stands on a line of its own";
    Err(Failure::command(format!("`{call}` ends no query"), Some(help)))
}
