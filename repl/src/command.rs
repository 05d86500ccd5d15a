//! Dot commands: one table, from which `.help` is made.

use std::io::Write;
use std::str::FromStr;

use query::availability::unavailable;
use query::catalog::{self, Column, Source, Table};
use query::suggest;
use query::{aggregate, function};

use crate::error::Failure;
use crate::members;
use crate::render::{Format, printable};
use crate::session::Session;
use crate::{library, parameters, script};

/// A dot command.
struct Command {
    name: &'static str,
    arguments: &'static str,
    doc: &'static str,
    run: Run,
}

/// Runs a command with its argument.
type Run = fn(&mut Session, &str, &mut dyn Write) -> Result<Next, Failure>;

/// What the prompt does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Asks for more.
    Prompt,
    /// Ends.
    Quit,
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { name: "help",   arguments: "",         doc: "Shows this.", run: help },
    Command { name: "tables", arguments: "",         doc: "Lists the tables.", run: tables },
    Command { name: "schema", arguments: "[TABLE|s->…]",  doc: "Lists the columns of a table, or the members of a struct of the kernel.", run: schema },
    Command { name: "functions", arguments: "",      doc: "Lists functions and aggregates.", run: functions },
    Command { name: "why",    arguments: "[COLUMN]", doc: "Says why a column is NULL here, or what it is; alone: all that are NULL.", run: why },
    Command { name: "verify", arguments: "",         doc: "Holds the figures against /proc/slabinfo and /sys/kernel/slab.", run: verify },
    Command { name: "set",    arguments: "[NAME [VALUE]]", doc: "Gives the parameter $NAME a value, or shows those that are given.", run: parameters::set },
    Command { name: "unset",  arguments: "NAME",     doc: "Takes the value of a parameter back.", run: parameters::unset },
    Command { name: "read",   arguments: "FILE",     doc: "Runs a query file; in a file, relative to it.", run: script::read },
    Command { name: "queries", arguments: "",        doc: "Lists the saved queries and the reports.", run: library::queries },
    Command { name: "save",   arguments: "NAME",     doc: "Saves the last query.", run: library::save },
    Command { name: "run",    arguments: "NAME [X=VALUE…]", doc: "Runs a saved query or a report.", run: library::run },
    Command { name: "report", arguments: "[NAME] [--sql] [X=VALUE…]", doc: "Runs a report, or shows its text; alone: lists them.", run: library::report },
    Command { name: "mode",   arguments: "[FORMAT]", doc: "Sets how answers are shown, or says how.", run: mode },
    Command { name: "timer",  arguments: "[on|off]", doc: "Tells the rows and the time of every answer.", run: timer },
    Command { name: "quit",   arguments: "",         doc: "Ends slabql; so does Ctrl-D.", run: quit },
];

/// Whether a line is a command. No query begins like one.
#[must_use]
pub fn is_command(line: &str) -> bool {
    let line = line.trim();
    // What people type who know other prompts; `\\` is only there to be answered.
    line.starts_with(['.', '\\'])
        || line.split_whitespace().next() == Some("report")
        || ["help", "quit", "exit", "verify"].contains(&line.trim_end_matches(';').trim_end())
}

/// Runs the command of a line.
pub(crate) fn run(session: &mut Session, line: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let line = line.trim().trim_end_matches(';');
    let (call, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = call.strip_prefix('.').unwrap_or(call);
    let found = COMMANDS.iter().find(|command| command.name == name);
    let Some(command) =
        found.or_else(|| matches!(name, "exit" | "q").then(|| &COMMANDS[COMMANDS.len() - 1]))
    else {
        let names = COMMANDS.iter().map(|command| command.name);
        let near = suggest::nearest(name, names).map(|near| format!("did you mean `.{near}`?"));
        let help = near.unwrap_or_else(|| "`.help` lists the commands".to_owned());
        let call = printable(call.as_bytes());
        return Err(Failure::command(format!("unknown command `{call}`"), Some(&help)));
    };
    let argument = argument.trim();
    if command.arguments.is_empty() && !argument.is_empty() {
        let message = format!("`.{}` takes no argument", command.name);
        return Err(Failure::command(message, None));
    }
    let next = (command.run)(session, argument, out)?;
    out.flush().map_err(Failure::Write)?;
    Ok(next)
}

/// Writes what a command has to say.
pub(crate) fn write(out: &mut dyn Write, text: &str) -> Result<Next, Failure> {
    out.write_all(text.as_bytes()).map_err(Failure::Write)?;
    Ok(Next::Prompt)
}

fn help(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let mut text = String::from("A query ends with `;`. Commands are a line each:\n");
    for Command { name, arguments, doc, .. } in COMMANDS {
        let call = format!(".{name} {arguments}");
        text.push_str(&format!("  {call:34} {doc}\n"));
    }
    text.push_str("Try: select name, size, objects where objects > 1000 order by objects desc;\n");
    write(out, &text)
}

fn tables(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let lines: String =
        catalog::TABLES.iter().map(|table| format!("{:10} {}\n", table.name, table.doc)).collect();
    write(out, &lines)
}

fn schema(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if members::is_path(name) {
        return write(out, &members::describe(session.source.offer(), name)?);
    }
    let table = if name.is_empty() { Some(catalog::TABLES[0]) } else { catalog::table(name) };
    let Some(table) = table else {
        return Err(unknown_table(name));
    };
    let mut text = format!("{}: {}\n", table.name, table.doc);
    for column in table.shown() {
        text.push_str(&describe(session, table, column));
    }
    write(out, &text)
}

fn unknown_table(name: &str) -> Failure {
    let help = suggest::help(name, catalog::TABLES.iter().map(|table| table.name));
    let message = format!("unknown table `{}`", printable(name.as_bytes()));
    Failure::command(message, help.as_deref())
}

/// The lines of `.schema` for a column.
fn describe(session: &Session, table: &'static Table, column: &'static Column) -> String {
    let Column { name, ty, unit, doc, .. } = column;
    let mut text = format!("  {name:18} {:6} {:6} {doc}\n", ty.name(), unit.name());
    if let Source::Derived(definition) = column.source {
        let definition = definition.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push_str(&format!("  {:32} = {definition}\n", ""));
    }
    if let Some(reason) = unavailable(table, column, session.source.offer()) {
        text.push_str(&format!("  {:32} NULL here: {reason}\n", ""));
    }
    text
}

fn why(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let name = name.to_lowercase();
    let (table, column) = name.rsplit_once('.').unwrap_or(("", &name));
    if !table.is_empty() && catalog::table(table).is_none() {
        return Err(unknown_table(table));
    }
    let tables = catalog::TABLES.iter().filter(|found| table.is_empty() || found.name == table);
    let all = tables.flat_map(|table| table.columns.iter().map(move |column| (*table, column)));
    let found: Vec<_> = all.clone().filter(|(_, found)| found.name == column).collect();
    if !name.is_empty() && found.is_empty() {
        let near = suggest::help(column, all.map(|(_, column)| column.name));
        let help = near.unwrap_or_else(|| "`select * from columns` lists the columns".to_owned());
        let message = format!("unknown column `{}`", printable(name.as_bytes()));
        return Err(Failure::command(message, Some(&help)));
    }
    if name.is_empty() {
        return write(out, &all_missing(session));
    }
    let mut text = String::new();
    for (table, column) in found {
        let says = match unavailable(table, column, session.source.offer()) {
            Some(reason) => format!("is NULL: {reason}"),
            None => format!("is there: {}", column.doc),
        };
        text.push_str(&format!("{}.{} {says}\n", table.name, column.name));
    }
    write(out, &text)
}

/// A line for each column that is NULL here; one for a table of which all are for one reason.
fn all_missing(session: &Session) -> String {
    let mut text = String::new();
    for table in catalog::TABLES {
        let reason = |column| unavailable(table, column, session.source.offer());
        let reasons: Vec<Option<String>> = table.columns.iter().map(reason).collect();
        if let [Some(first), rest @ ..] = reasons.as_slice()
            && rest.iter().all(|reason| reason.as_ref() == Some(first))
        {
            text.push_str(&format!("{}.* is NULL: {first}\n", table.name));
            continue;
        }
        for (column, reason) in table.columns.iter().zip(reasons) {
            if let Some(reason) = reason {
                text.push_str(&format!("{}.{} is NULL: {reason}\n", table.name, column.name));
            }
        }
    }
    if text.is_empty() { "every column is there\n".to_owned() } else { text }
}

fn verify(session: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    crate::verify::run(session, out)?;
    Ok(Next::Prompt)
}

fn functions(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let functions = function::FUNCTIONS.iter().map(|row| (row.call, row.doc));
    let aggregates = aggregate::AGGREGATES.iter().map(|row| (row.call, row.doc));
    let lines = functions.chain([("", "")]).chain(aggregates);
    let lines: String =
        lines.map(|(call, doc)| format!("{call:30} {doc}").trim_end().to_owned() + "\n").collect();
    write(out, &lines)
}

fn mode(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        let mode = session.settings.format.map_or("auto", Format::name);
        return write(out, &format!("{mode}\n"));
    }
    session.settings.format = match name {
        "auto" => None,
        name => Some(
            Format::from_str(name).map_err(|error| Failure::command(error.to_string(), None))?,
        ),
    };
    Ok(Next::Prompt)
}

fn timer(session: &mut Session, switch: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    match switch {
        "on" => session.settings.timer = true,
        "off" => session.settings.timer = false,
        "" => return write(out, if session.settings.timer { "on\n" } else { "off\n" }),
        other => {
            let other = printable(other.as_bytes());
            let message = format!("`.timer` is on or off, not `{other}`");
            return Err(Failure::command(message, None));
        }
    }
    Ok(Next::Prompt)
}

#[expect(clippy::unnecessary_wraps, reason = "commands have one signature")]
fn quit(_: &mut Session, _: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    Ok(Next::Quit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_queries() {
        for line in [".tables", "  .x", "\\q", "quit", " exit; ", "help", "report", "report waste"]
        {
            assert!(is_command(line), "{line}");
        }
        for line in ["select 1", "helpful", "reports", "quit now", "", "-- .tables", "'.'"] {
            assert!(!is_command(line), "{line}");
        }
    }

    #[test]
    fn rows_are_well_formed() {
        for command in COMMANDS {
            assert!(command.doc.ends_with('.'), "{}", command.name);
        }
        assert_eq!(COMMANDS.last().map(|command| command.name), Some("quit"));
    }
}
