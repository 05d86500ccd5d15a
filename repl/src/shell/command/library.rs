//! The commands of saved queries and reports.

use std::io::Write;

use query::syntax::ParameterValues;

use super::row::{Next, Script, said, write};
use crate::features::input::Text;
use crate::features::library::{self, REPORTS, title};
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::message;
use crate::shell::parameters::{all_known, assignments};
use crate::shell::session::Session;

/// `.queries`: lists all.
pub fn queries(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (folder, saved) = library::titles()?;
    let mut text = format!("saved in {}:\n", printable(folder.as_os_str().as_encoded_bytes()));
    text.extend(saved.iter().map(|(name, title)| line(name, title)));
    if saved.is_empty() {
        text.push_str("  none; `.save NAME` saves the query before it\n");
    }
    text.push_str("reports:\n");
    text.extend(REPORTS.iter().map(|(name, text)| line(name, title(text))));
    write(out, &text)
}

fn line(name: &str, title: &str) -> String {
    format!("  {:18} {}\n", printable(name.as_bytes()), printable(title.as_bytes()))
}

/// `.save NAME`: saves the last query.
pub fn save(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let (file, before) = library::save(name, &session.last)?;
    let replaced = before.map(|before| format!("; what it was is in {}", before.display()));
    message::line(&format!("saved in {}{}", file.display(), replaced.unwrap_or_default()));
    Ok(Next::Prompt)
}

/// `.run NAME [name=value…]`: runs a saved query, or a report.
pub fn run(_: &mut Session, argument: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let (name, rest) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let text = library::text_of(name, ".run")?;
    run_with(name, text, assignments(rest)?, false)
}

/// `.report [NAME] [--sql] [name=value…]`: lists the reports, runs one or shows its text.
pub fn report(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (sql, rest) = match argument.split_once("--sql") {
        Some((before, behind)) => (true, format!("{before}{behind}")),
        None => (false, argument.to_owned()),
    };
    let (name, rest) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    run_report(session, name, sql, assignments(rest)?, out)
}

/// Runs a report, shows its text, or lists all if none is named.
pub fn run_report(
    session: &mut Session,
    name: &str,
    sql: bool,
    given: ParameterValues,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    if name.is_empty() {
        let lines = REPORTS.iter().map(|(name, text)| format!("{name:18} {}\n", title(text)));
        return said(session, out, |_, out| write(out, &lines.collect::<String>()));
    }
    let text = library::report(name)?;
    if sql {
        return said(session, out, |_, out| write(out, &text.text));
    }
    if let Some(lasts) = library::traced(&text.text) {
        message::note(&format!("`{name}` traces the kernel for {lasts}; Ctrl-C ends it early"));
    }
    run_with(name, text, given, true)
}

/// Has a query file run with values that hold for this run alone.
fn run_with(name: &str, text: Text, given: ParameterValues, report: bool) -> Result<Next, Failure> {
    all_known(&given, &text.text, &format!("`{name}`"))?;
    Ok(Next::Run(Box::new(Script { text, given: Some(given), aside: false, report })))
}
