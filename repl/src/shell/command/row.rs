//! What a command is, what it says, and what the prompt does next.

use std::io::Write;
use std::path::PathBuf;

use query::catalog::TABLES;
use query::syntax::ParameterValues;
use query::{foreign, suggest};

use crate::features::input::Text;
use crate::features::library::REPORTS;
use crate::file;
use crate::render::width;
use crate::report::error::Failure;
use crate::report::terminal;
use crate::shell::foreign::COMMANDS as COMMANDS_OF_OTHERS;
use crate::shell::session::Session;
use crate::shell::setting::{self, SETTINGS, Setting};
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
    /// What runs it.
    pub run: Run,
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
    /// The name of a cache.
    Cache,
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
    pub fn words(self, commands: &[Command]) -> Option<Vec<&'static str>> {
        match self {
            Self::Table => Some(TABLES.iter().map(|table| table.name).collect()),
            Self::Format => setting::find("format").ok().and_then(Setting::names),
            Self::Setting => Some(SETTINGS.iter().map(|setting| setting.name).collect()),
            Self::Switch => Some(vec!["on", "off"]),
            Self::Report => Some(REPORTS.iter().map(|(name, _)| *name).collect()),
            Self::Command => Some(commands.iter().map(|command| command.name).collect()),
            Self::Words(words) => Some(words.to_vec()),
            Self::Snapshot => Some(vec!["save", "drop", "list"]),
            Self::Nothing
            | Self::File
            | Self::Moments
            | Self::Column
            | Self::Cache
            | Self::Parameter
            | Self::Query
            | Self::Statement => None,
        }
    }
}

/// Runs a command with its argument.
type Run = fn(&mut Session, &str, &mut dyn Write) -> Result<Next, Failure>;

/// What the prompt does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Asks for more.
    Prompt,
    /// Runs a text first.
    Run(Box<Script>),
    /// Ends.
    Quit,
}

/// A text that a command has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The text.
    pub text: Text,
    /// Values of parameters that hold for this run, as what the text sets itself then does.
    pub given: Option<ParameterValues>,
    /// Whether the query before it stays the last one.
    pub aside: bool,
    /// Whether it is a report, which says what to look at next.
    pub report: bool,
}

/// The command of a name or an alias.
#[must_use]
pub fn found(commands: &'static [Command], call: &str) -> Option<&'static Command> {
    // Bare words are in either case, as SQL is; psql's letters are not.
    let is_bare = !call.starts_with(['.', '\\']);
    let same = |name: &&str| *name == call || (is_bare && name.eq_ignore_ascii_case(call));
    commands.iter().find(|command| same(&command.name) || command.aliases.iter().any(same))
}

/// Runs a command that says something, which goes where answers go.
pub fn said(
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
pub fn path(argument: &str) -> Result<PathBuf, Failure> {
    file::path::argument(argument).map_err(|message| Failure::command(message, None))
}

/// Says that there is no such command, and which is near.
#[must_use]
pub fn unknown(commands: &[Command], call: &str) -> Failure {
    Failure::command(format!("unknown command `{call}`"), Some(&instead_of(commands, call)))
}

/// What to write instead of a command that there is not.
#[must_use]
pub fn instead_of(commands: &[Command], call: &str) -> String {
    // psql's words are short: nearly all are near to some of them.
    let dotted = |name: &&str| name.starts_with('.');
    let names = commands.iter().map(|command| command.name).filter(dotted);
    let name = call.strip_prefix(['.', '\\']).unwrap_or(call);
    let near = suggest::nearest(name, names.map(|name| &name[1..]));
    // psql says more of the same with a `+`.
    foreign::instead(COMMANDS_OF_OTHERS, call.trim_end_matches('+'))
        .map(str::to_owned)
        .or_else(|| near.map(|near| suggest::question(format_args!(".{near}"))))
        .unwrap_or_else(|| "`.help` lists the commands".to_owned())
}

/// A name and what it is, which begins behind `columns`; a longer name has a line of its own, as in `--help`.
#[must_use]
pub fn listed(name: &str, columns: usize, indent: usize, doc: &str) -> String {
    let wide = width(name);
    let start = columns + indent + 2;
    let gap =
        if wide > columns { format!("\n{:start$}", "") } else { " ".repeat(columns + 2 - wide) };
    format!("{name}{gap}{doc}")
}

/// Writes what a command has to say.
pub fn write(out: &mut dyn Write, text: &str) -> Result<Next, Failure> {
    draw(out, text)?;
    Ok(Next::Prompt)
}
