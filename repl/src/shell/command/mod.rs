//! Dot commands: one table, from which `.help`, completion and the book's page are made.

mod catalog;
pub mod ending;
pub mod features;
mod help;
pub mod library;
mod log;
mod queries;
mod settings;
mod sink;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use crossterm::cursor::MoveTo;
use crossterm::terminal::{Clear, ClearType};
use query::catalog::TABLES;
use query::{foreign, suggest};

use crate::features::library::REPORTS;
use crate::file;
use crate::render::width;
use crate::report::error::Failure;
use crate::report::terminal;
use crate::shell::editor::{external, is_plain};
use crate::shell::foreign::COMMANDS as COMMANDS_OF_OTHERS;
use crate::shell::session::Session;
use crate::shell::setting::{self, AUTO, SETTINGS, Setting};
use crate::shell::{parameters, script};
use crate::sink::{Medium, draw};

/// A command.
pub struct Command {
    /// What is typed, with its dot; a row of its own has a backslash where psql's word means something else than
    /// ours.
    pub name: &'static str,
    /// What else is understood: psql's words, and bare words that begin no query.
    pub aliases: &'static [&'static str],
    /// Its arguments, as `.help` shows them; none if empty.
    pub arguments: &'static str,
    /// What its first argument is.
    pub takes: Takes,
    /// A sentence.
    pub doc: &'static str,
    run: Run,
}

impl Command {
    /// Its name and its arguments.
    #[must_use]
    pub fn call(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

/// What an argument is, for whoever completes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or nothing that can be completed.
    Nothing,
    /// The path of a file.
    File,
    /// A table, or a member's path.
    Table,
    /// A column, or `TABLE.COLUMN`.
    Column,
    /// A format, or `auto`.
    Format,
    /// `on` or `off`.
    Switch,
    /// A command.
    Command,
    /// A setting.
    Setting,
    /// A parameter of queries that has a value.
    Parameter,
    /// A report.
    Report,
    /// A saved query, or a report.
    Query,
    /// What is done with a snapshot, and which one.
    Snapshot,
    /// Moments: snapshots by name, the running kernel, or the paths of recordings.
    Moments,
    /// A query.
    Statement,
    /// One of these.
    Words(&'static [&'static str]),
}

impl Takes {
    /// The words that can be typed, where they are always the same.
    #[must_use]
    pub fn words(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Table => Some(TABLES.iter().map(|table| table.name).collect()),
            Self::Format => setting::find("format").ok().and_then(Setting::names),
            Self::Setting => Some(SETTINGS.iter().map(|setting| setting.name).collect()),
            Self::Switch => Some(vec!["on", "off"]),
            Self::Report => Some(REPORTS.iter().map(|(name, _)| *name).collect()),
            Self::Command => Some(COMMANDS.iter().map(|command| command.name).collect()),
            Self::Words(words) => Some(words.to_vec()),
            Self::Snapshot => Some(vec!["save", "drop", "list"]),
            Self::Nothing
            | Self::File
            | Self::Moments
            | Self::Column
            | Self::Parameter
            | Self::Query
            | Self::Statement => None,
        }
    }
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

/// The commands, in the order of `.help`.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    Command { name: ".help", aliases: &["help", "?", "\\?", "\\h"], arguments: "[COMMAND]", takes: Takes::Command, doc: "Lists the commands, or describes one.", run: help::help },
    Command { name: ".tables", aliases: &["show tables", "\\dt"], arguments: "", takes: Takes::Nothing, doc: "Lists the tables.", run: catalog::tables },
    Command { name: ".schema", aliases: &["describe", "desc", "show columns from", "show create table"], arguments: "[TABLE|s->…]", takes: Takes::Table, doc: "Lists the columns of a table, or the members of a kernel struct.", run: catalog::schema },
    Command { name: ".functions", aliases: &["\\df"], arguments: "", takes: Takes::Nothing, doc: "Lists the functions and aggregates.", run: catalog::functions },
    Command { name: ".why", aliases: &[], arguments: "[COLUMN]", takes: Takes::Column, doc: "Explains why a column is NULL, or describes it; alone, lists all NULL ones.", run: catalog::why },
    Command { name: ".verify", aliases: &["verify"], arguments: "", takes: Takes::Nothing, doc: "Checks the figures against /proc/slabinfo and /sys/kernel/slab.", run: features::verify },
    Command { name: ".doctor", aliases: &["doctor"], arguments: "", takes: Takes::Nothing, doc: "Checks what slabql can use on this machine, what is missing, and how to fix it.", run: features::doctor },
    Command { name: ".whatis", aliases: &[], arguments: "ADDRESS…", takes: Takes::Nothing, doc: "Says what lies at addresses, as the statement `whatis` does.", run: features::whatis },
    Command { name: ".set", aliases: &["\\set"], arguments: "[NAME [VALUE]]", takes: Takes::Parameter, doc: "Sets the parameter $NAME; without a value, shows it; without a name, shows all.", run: parameters::set },
    Command { name: ".unset", aliases: &["\\unset"], arguments: "NAME", takes: Takes::Parameter, doc: "Unsets a parameter.", run: parameters::unset },
    Command { name: ".params", aliases: &[], arguments: "[NAME]", takes: Takes::Query, doc: "Lists the parameters of the last query, a saved query or a report.", run: queries::params },
    Command { name: ".watch", aliases: &["\\watch"], arguments: "[INTERVAL] [QUERY]", takes: Takes::Statement, doc: "Repeats a query, or the last one, at an interval.", run: watch::run },
    Command { name: ".read", aliases: &["\\i", "\\ir"], arguments: "FILE", takes: Takes::File, doc: "Runs a query file; in a file, paths are relative to that file.", run: script::read },
    Command { name: ".queries", aliases: &[], arguments: "", takes: Takes::Nothing, doc: "Lists the saved queries and the reports.", run: library::queries },
    Command { name: ".save", aliases: &[], arguments: "NAME", takes: Takes::Query, doc: "Saves the last query.", run: library::save },
    Command { name: ".edit", aliases: &["\\e"], arguments: "", takes: Takes::Nothing, doc: "Edits the last query in $VISUAL or $EDITOR; the result appears at the prompt.", run: external::edit },
    Command { name: ".run", aliases: &[], arguments: "NAME [X=VALUE…]", takes: Takes::Query, doc: "Runs a saved query or a report.", run: library::run },
    Command { name: ".report", aliases: &["report"], arguments: "[NAME] [--sql] [X=VALUE…]", takes: Takes::Report, doc: "Runs a report, or shows its query; without a name, lists the reports.", run: library::report },
    Command { name: ".snapshot", aliases: &[], arguments: "[save NAME|drop NAME|list]", takes: Takes::Snapshot, doc: "Saves the current state of all caches, to compare with later.", run: features::snapshot },
    Command { name: ".diff", aliases: &[], arguments: "A [B]", takes: Takes::Moments, doc: "Shows what changed between two snapshots, or since one.", run: features::diff },
    Command { name: ".explain", aliases: &[], arguments: "[analyze] [QUERY]", takes: Takes::Statement, doc: "Shows the plan of a query, or of the last one.", run: queries::explain },
    Command { name: ".source", aliases: &["\\conninfo"], arguments: "[SOURCE]", takes: Takes::Words(&["live", "walk", "proc", "demo"]), doc: "Shows the source in use and why no better one is; or switches to another.", run: queries::source },
    Command { name: ".mode", aliases: &[], arguments: "[FORMAT]", takes: Takes::Format, doc: "Sets or shows the output format.", run: settings::mode },
    Command { name: ".output", aliases: &["\\o"], arguments: "[FILE]", takes: Takes::File, doc: "Writes all further answers to a file; without one, to standard output again.", run: sink::output },
    Command { name: ".once", aliases: &[], arguments: "FILE", takes: Takes::File, doc: "Writes the next answer to a file.", run: sink::once },
    Command { name: ".pipe", aliases: &[], arguments: "COMMAND", takes: Takes::Nothing, doc: "Sends the next answer to a shell command.", run: sink::pipe },
    Command { name: ".timer", aliases: &[], arguments: "[on|off]", takes: Takes::Switch, doc: "Shows the number of rows and the time after every answer.", run: settings::timer },
    Command { name: ".log", aliases: &[], arguments: "[FILE|on|off]", takes: Takes::File, doc: "Appends all input, answers and messages to a file.", run: log::command },
    Command { name: ".config", aliases: &["\\pset"], arguments: "[NAME [VALUE]]", takes: Takes::Setting, doc: "Shows all settings and where each comes from; or shows or sets one.", run: settings::config },
    Command { name: ".width", aliases: &[], arguments: "[N|auto]", takes: Takes::Words(&[AUTO]), doc: "Sets the width of tables in columns: 0 for unlimited, `auto` for the terminal's.", run: settings::width },
    Command { name: ".null", aliases: &[".nullvalue"], arguments: "[TEXT]", takes: Takes::Nothing, doc: "Sets the text shown for NULL in formats for people.", run: settings::null },
    Command { name: ".units", aliases: &[], arguments: "[on|off]", takes: Takes::Switch, doc: "Shows sizes as `4.0 KiB` or, when off, as plain integers; the opposite of `exact`.", run: settings::units },
    Command { name: ".pager", aliases: &[], arguments: "[on|off]", takes: Takes::Switch, doc: "Turns the pager `$PAGER` for answers longer than the screen on or off.", run: settings::pager },
    Command { name: ".clear", aliases: &["clear", "cls"], arguments: "", takes: Takes::Nothing, doc: "Clears the screen; so does Ctrl-L.", run: clear },
    Command { name: ".quit", aliases: &["quit", "exit", "\\q", ".exit", ".q"], arguments: "", takes: Takes::Nothing, doc: "Exits slabql, as Ctrl-D does.", run: quit },
    Command { name: "\\d", aliases: &["\\d+"], arguments: "[TABLE]", takes: Takes::Table, doc: "Lists the tables, or the columns of one.", run: catalog::described },
    Command { name: "\\g", aliases: &[], arguments: "[FILE|\"|\"COMMAND]", takes: Takes::File, doc: "Ends a query as `;` does, or runs the last one; its answer may go to a file or a command.", run: ending::go_again },
    Command { name: "\\gx", aliases: &["\\G"], arguments: "[FILE|\"|\"COMMAND]", takes: Takes::File, doc: "The same, and shows one field per line.", run: ending::expand_again },
    Command { name: "\\x", aliases: &[], arguments: "[on|off]", takes: Takes::Switch, doc: "Turns the vertical format, one field per line, on or off.", run: settings::expanded },
    Command { name: "\\timing", aliases: &[], arguments: "[on|off]", takes: Takes::Switch, doc: "Turns `.timer` on or off.", run: settings::timing },
];

/// The commands that run statements, whose answers find their own way.
const STATEMENTS: [&str; 10] =
    [".clear", ".explain", ".edit", ".read", ".report", ".run", ".watch", ".whatis", "\\g", "\\gx"];

/// The command of a name or an alias.
#[must_use]
pub fn find(call: &str) -> Option<&'static Command> {
    // Bare words are in either case, as SQL is; psql's letters are not.
    let is_bare = !call.starts_with(['.', '\\']);
    let same = |name: &&str| *name == call || (is_bare && name.eq_ignore_ascii_case(call));
    COMMANDS.iter().find(|command| same(&command.name) || command.aliases.iter().any(same))
}

/// The command that a line calls, how it is called, and its argument.
#[must_use]
pub fn called(line: &str) -> Option<(&'static Command, &str, &str)> {
    let line = line.trim().trim_end_matches(';');
    let ends = line.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    // No name has more words than three.
    let ends = ends.take(3).chain([line.len()]);
    ends.into_iter().find_map(|end| {
        let (call, argument) = line.split_at(end);
        Some((find(call)?, call, argument.trim()))
    })
}

/// Whether a text begins with the first word of a command's name.
#[must_use]
pub fn begins(text: &str) -> bool {
    let first = |text: &str| text.split(' ').next().unwrap_or_default().to_lowercase();
    let names = COMMANDS.iter().flat_map(|command| command.aliases.iter().chain([&command.name]));
    names.into_iter().any(|name| first(name) == first(text))
}

/// Whether a line is a command. No query begins like one.
#[must_use]
pub fn is_command(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(['.', '\\']) || called(line).is_some()
}

/// Runs the command of a line.
pub(crate) fn run(session: &mut Session, line: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (command, call, argument) = called(line)
        .ok_or_else(|| unknown(line.trim().split([' ', '\t', ';']).next().unwrap_or_default()))?;
    if command.arguments.is_empty() && !argument.is_empty() {
        let message = format!("`{call}` takes no argument");
        return Err(Failure::command(message, None));
    }
    let next = if STATEMENTS.contains(&command.name) {
        (command.run)(session, argument, out)?
    } else {
        said(session, out, |session, out| (command.run)(session, argument, out))?
    };
    out.flush().map_err(Failure::Write)?;
    Ok(next)
}

/// Runs a command that says something, which goes where answers go.
pub(crate) fn said(
    session: &mut Session,
    out: &mut dyn Write,
    run: impl FnOnce(&mut Session, &mut dyn Write) -> Result<Next, Failure>,
) -> Result<Next, Failure> {
    let mut text = Vec::new();
    session.sink.expect();
    let result = run(session, &mut text);
    let pager = session.settings.pager;
    // What it said before it failed counts.
    if session.sink.medium().unwrap_or(session.settings.standard) == Medium::Terminal {
        let lines = terminal::wrapped(&String::from_utf8_lossy(&text), terminal::columns());
        text = lines.into_bytes();
    }
    session.sink.give(&text, out, pager)?;
    result
}

/// The path that is a command's argument.
pub(crate) fn path(argument: &str) -> Result<PathBuf, Failure> {
    file::path::argument(argument).map_err(|message| Failure::command(message, None))
}

/// Says that there is no such command, and which is near.
fn unknown(call: &str) -> Failure {
    // psql's words are short: nearly all are near to some of them.
    let dotted = |name: &&str| name.starts_with('.');
    let names = COMMANDS.iter().map(|command| command.name).filter(dotted);
    let name = call.strip_prefix(['.', '\\']).unwrap_or(call);
    let near = suggest::nearest(name, names.map(|name| &name[1..]));
    let help = foreign::instead(COMMANDS_OF_OTHERS, call)
        .map(str::to_owned)
        .or_else(|| near.map(|near| suggest::question(format_args!(".{near}"))))
        .unwrap_or_else(|| "`.help` lists the commands".to_owned());
    Failure::command(format!("unknown command `{call}`"), Some(&help))
}

/// A name and what it is, which begins behind `columns`; a longer name has a line of its own, as in `--help`.
fn listed(name: &str, columns: usize, indent: usize, doc: &str) -> String {
    let wide = width(name);
    let start = columns + indent + 2;
    let gap =
        if wide > columns { format!("\n{:start$}", "") } else { " ".repeat(columns + 2 - wide) };
    format!("{name}{gap}{doc}")
}

/// Writes what a command has to say.
pub(crate) fn write(out: &mut dyn Write, text: &str) -> Result<Next, Failure> {
    draw(out, text)?;
    Ok(Next::Prompt)
}

/// `.clear`.
fn clear(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if io::stdout().is_terminal() && !is_plain() {
        write!(out, "{}{}", Clear(ClearType::All), MoveTo(0, 0)).map_err(Failure::Write)?;
    }
    Ok(Next::Prompt)
}

#[expect(clippy::unnecessary_wraps, reason = "commands have one signature")]
fn quit(_: &mut Session, _: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    Ok(Next::Quit)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::iter;

    use super::*;

    #[test]
    fn commands_are_told_from_queries() {
        for line in [
            ".tables",
            "  .x",
            "\\q",
            "\\?",
            "quit",
            " exit; ",
            "quit now",
            "help",
            "report",
            "report waste",
            "?",
            "DESCRIBE caches;",
            "show tables",
            "Show Columns From caches",
        ] {
            assert!(is_command(line), "{line}");
        }
        for line in
            ["select 1", "helpful", "reports", "", ";", "show", "show columns", "-- .tables", "'.'"]
        {
            assert!(!is_command(line), "{line}");
        }
    }

    #[test]
    fn rows_are_well_formed() {
        let mut names = HashSet::new();
        for command in COMMANDS {
            assert!(command.name.starts_with(['.', '\\']), "{}", command.name);
            assert!(command.doc.ends_with('.'), "{}", command.name);
            for name in iter::once(&command.name).chain(command.aliases) {
                assert!(names.insert(name), "{name} is there twice");
            }
        }
    }
}
