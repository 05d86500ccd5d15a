//! Dot commands: one table, from which `.help`, completion and the book's page are made.

mod answers;
mod catalog;
pub mod ending;
pub mod export;
pub mod features;
mod help;
pub mod library;
mod log;
mod queries;
mod read;
pub mod row;
mod settings;
mod sink;
pub mod watch;

use std::io::{self, IsTerminal, Write};

use crossterm::cursor::MoveTo;
use crossterm::terminal::{Clear, ClearType};

use crate::report::error::Failure;
use crate::shell::editor::external;
use crate::shell::editor::text::is_plain;
use crate::shell::parameters;
use crate::shell::session::Session;
use crate::shell::setting::AUTO;
pub use row::{Command, Next, Takes, unknown};
use row::{found, said};

/// The commands, in the order of `.help`.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    Command { name: ".help", aliases: &["help", "?", "\\?", "\\h"], arguments: "[WORD]", takes: Takes::Command, doc: "Lists the commands; or describes one, a function, table, column, clause, flag or setting.", run: help },
    Command { name: ".tables", aliases: &["show tables", "\\dt", "\\dt+"], arguments: "", takes: Takes::Nothing, doc: "Lists the tables.", run: catalog::tables },
    Command { name: ".schema", aliases: &["describe", "desc", "show columns from", "show create table"], arguments: "[TABLE|s->…]", takes: Takes::Table, doc: "Lists the columns of a table, or the members of a kernel struct.", run: catalog::schema },
    Command { name: ".functions", aliases: &["\\df", "\\df+"], arguments: "", takes: Takes::Nothing, doc: "Lists the functions and aggregates.", run: catalog::functions },
    Command { name: ".why", aliases: &[], arguments: "[COLUMN]", takes: Takes::Column, doc: "Explains why a column is NULL, or describes it; alone, lists all NULL ones.", run: catalog::why },
    Command { name: ".verify", aliases: &["verify"], arguments: "", takes: Takes::Nothing, doc: "Checks the figures against /proc/slabinfo and /sys/kernel/slab.", run: features::verify },
    Command { name: ".check", aliases: &["check"], arguments: "[CACHE]", takes: Takes::Cache, doc: "Checks the freelists and counters of all slabs, or of one cache's, for corruption.", run: features::check },
    Command { name: ".doctor", aliases: &["doctor"], arguments: "", takes: Takes::Nothing, doc: "Checks what slabql can use on this machine, what is missing, and how to fix it.", run: features::doctor },
    Command { name: ".leak", aliases: &[], arguments: "[CACHE] [DURATION]", takes: Takes::Nothing, doc: "Shows what is allocated for a while and still in use at its end, by cache and caller; ten seconds by default. `sample 16` at the end follows one object of 16.", run: features::leak },
    Command { name: ".whatis", aliases: &[], arguments: "ADDRESS…", takes: Takes::Nothing, doc: "Says what lies at addresses, as the statement `whatis` does.", run: features::whatis },
    Command { name: ".set", aliases: &["\\set"], arguments: "[NAME [VALUE]]", takes: Takes::Parameter, doc: "Sets the parameter $NAME; without a value, shows it; without a name, shows all.", run: parameters::set },
    Command { name: ".unset", aliases: &["\\unset"], arguments: "NAME", takes: Takes::Parameter, doc: "Unsets a parameter.", run: parameters::unset },
    Command { name: ".params", aliases: &[], arguments: "[NAME]", takes: Takes::Query, doc: "Lists the parameters of the last query, a saved query or a report.", run: queries::params },
    Command { name: ".watch", aliases: &["\\watch"], arguments: "[INTERVAL] [QUERY]", takes: Takes::Statement, doc: "Repeats a query, or the last one, at an interval.", run: watch::run },
    Command { name: ".top", aliases: &["top", "slabtop"], arguments: "[INTERVAL]", takes: Takes::Nothing, doc: "Watches the largest caches, with the keys of slabtop.", run: watch::top },
    Command { name: ".read", aliases: &["\\i", "\\ir"], arguments: "FILE", takes: Takes::File, doc: "Runs a query file; in a file, paths are relative to that file.", run: read::read },
    Command { name: ".queries", aliases: &[], arguments: "", takes: Takes::Nothing, doc: "Lists the saved queries and the reports.", run: library::queries },
    Command { name: ".save", aliases: &[], arguments: "NAME", takes: Takes::Query, doc: "Saves the last query.", run: library::save },
    Command { name: ".edit", aliases: &["\\e"], arguments: "", takes: Takes::Nothing, doc: "Edits the last query in $VISUAL or $EDITOR; the result appears at the prompt.", run: external::edit },
    Command { name: ".run", aliases: &[], arguments: "NAME [X=VALUE…]", takes: Takes::Query, doc: "Runs a saved query or a report.", run: library::run },
    Command { name: ".report", aliases: &["report"], arguments: "[NAME] [--sql] [X=VALUE…]", takes: Takes::Report, doc: "Runs a report, or shows its query; without a name, lists the reports.", run: library::report },
    Command { name: ".snapshot", aliases: &[], arguments: "[save NAME|drop NAME|list]", takes: Takes::Snapshot, doc: "Saves the current state of all caches, to compare with later.", run: features::snapshot },
    Command { name: ".diff", aliases: &[], arguments: "A [B]", takes: Takes::Moments, doc: "Shows what changed between two snapshots, or since one.", run: features::diff },
    Command { name: ".last", aliases: &[], arguments: "[FORMAT]", takes: Takes::Format, doc: "Shows the last answer again, whole; or in another format.", run: answers::last },
    Command { name: ".chart", aliases: &[], arguments: "bar|line|hist [COLUMN] [FILE]", takes: Takes::Words(&["bar", "line", "hist"]), doc: "Draws the last answer: a bar a row, a line through its rows, or how its values are distributed; or writes the picture to `FILE.svg` or `FILE.html`.", run: answers::chart },
    Command { name: ".flame", aliases: &[], arguments: "FILE.svg", takes: Takes::File, doc: "Draws the stacks of the last answer as a flame graph.", run: answers::flame },
    Command { name: ".summarize", aliases: &["summarize"], arguments: "[QUERY|TABLE]", takes: Takes::Statement, doc: "Sums up each column of a query's answer, or of the last one: how many values, the least, quartiles, the greatest, a histogram.", run: answers::summarize },
    Command { name: ".freq", aliases: &[], arguments: "COLUMN [from …] [where …]", takes: Takes::Column, doc: "Counts how often each value of a column occurs.", run: answers::freq },
    Command { name: ".open", aliases: &[], arguments: "NAME", takes: Takes::Cache, doc: "Shows all there is of a cache: its columns, its other names, its nodes and CPUs.", run: answers::open },
    Command { name: ".explain", aliases: &[], arguments: "[analyze] [QUERY]", takes: Takes::Statement, doc: "Shows the plan of a query, or of the last one.", run: queries::explain },
    Command { name: ".export", aliases: &[], arguments: "FILE QUERY", takes: Takes::File, doc: "Writes a query as an object that bpftool, libbpf and aya load: its file prints the rows as CSV. To FILE.c goes its source.", run: export::export },
    Command { name: ".source", aliases: &["\\conninfo"], arguments: "[SOURCE]", takes: Takes::Words(&["live", "walk", "proc", "demo"]), doc: "Shows the source in use and why no better one is; or switches to another.", run: queries::source },
    Command { name: ".mode", aliases: &[], arguments: "[FORMAT]", takes: Takes::Format, doc: "Sets or shows the output format.", run: settings::mode },
    Command { name: ".output", aliases: &["\\o"], arguments: "[FILE]", takes: Takes::File, doc: "Writes all further answers to a file; without one, to standard output again.", run: sink::output },
    Command { name: ".once", aliases: &[], arguments: "FILE", takes: Takes::File, doc: "Writes the next answer to a file.", run: sink::once },
    Command { name: ".pipe", aliases: &[], arguments: "COMMAND", takes: Takes::Nothing, doc: "Sends the next answer to a shell command.", run: sink::pipe },
    Command { name: ".timer", aliases: &[], arguments: "[on|off|stages]", takes: Takes::Words(&["on", "off", "stages"]), doc: "Shows the number of rows and the time after every answer, or the time of each stage.", run: settings::timer },
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
const STATEMENTS: [&str; 15] = [
    ".clear", ".explain", ".edit", ".freq", ".last", ".leak", ".open", ".read", ".report", ".run",
    ".top", ".watch", ".whatis", "\\g", "\\gx",
];

/// The command of a name or an alias.
#[must_use]
pub fn find(call: &str) -> Option<&'static Command> {
    found(COMMANDS, call)
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
    let (command, call, argument) = called(line).ok_or_else(|| {
        unknown(COMMANDS, line.trim().split([' ', '\t', ';']).next().unwrap_or_default())
    })?;
    if command.arguments.is_empty() && !argument.is_empty() {
        let message = format!("`{call}` takes no argument");
        let help = help::knows(argument).then(|| format!("`.help {argument}` describes it"));
        return Err(Failure::command(message, help.as_deref()));
    }
    let next = if STATEMENTS.contains(&command.name) {
        (command.run)(session, argument, out)?
    } else {
        said(session, out, |session, out| (command.run)(session, argument, out))?
    };
    out.flush().map_err(Failure::Write)?;
    Ok(next)
}

/// `.help`, which knows the commands.
fn help(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    help::help(COMMANDS, session, name, out)
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
