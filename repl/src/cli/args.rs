//! The command line: one table of options, from which `--help` is made.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ColorChoice, Parser};
use query::syntax::ParameterValues;

use super::values::{Given, SourceName, TemplateName, interval};
use crate::cli::verb::Verb;
use crate::features::snapshot::Tables;
use crate::features::watch::{self, Until};
use crate::file::path::is_standard;
use crate::render::Color;
use crate::report::error::Failure;
use crate::shell::alert::Condition;
use crate::shell::config::Options;
use crate::shell::parameters::assignment;
use crate::shell::setting::{self, Value};

/// How the program is called.
const USAGE: &str = "slabql [OPTIONS] [QUERY]\n       slabql [OPTIONS] COMMAND [ARGUMENT…]";

/// What can be asked, for `--help` and the man page.
pub const EXAMPLES: &str = "\
Examples:
  slabql 'select name, size, objects where objects > 1000'
  slabql 'select name, memory order by memory desc limit 10'
  slabql --format json 'select * where size > 1k' | jq .
  slabql --set min=1MiB -f examples/largest.slabql
  slabql report waste
  slabql 'explain select name where objects > 1000'
  slabql --watch 1s 'select name, delta(active) where delta(active) != 0'
  slabql whatis ffff888100bea600
  slabql doctor
  slabql --record now.slab && slabql --from now.slab 'select name, objects'
  slabql --fail-if-rows --quiet 'select name where memory > 1GiB' || mail-somebody

Exit codes: 0 success, 1 invalid query, 2 unavailable on this machine, 3 a bug in slabql, 4 the
condition of --fail-if-rows or --fail-if-empty holds.

Settings can also come from the environment: SLABQL_FORMAT=json is --format json, SLABQL_EXACT=on is --exact.";

/// Queries the Linux slab allocator in SQL.
#[derive(Parser, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line are no state")]
#[command(name = "slabql", bin_name = "slabql", version, override_usage = USAGE, after_help = EXAMPLES, color = ColorChoice::Auto, disable_help_flag = true, disable_help_subcommand = true)]
pub struct Args {
    /// The query, or several separated by `;`. Without a query, slabql starts a prompt on a terminal.
    pub query: Option<String>,

    /// Reads queries from FILE; `-` is standard input. May be given several times.
    #[arg(short, long, value_name = "FILE", conflicts_with = "query")]
    pub file: Vec<PathBuf>,

    /// Runs QUERY, as the query alone does. May be given several times.
    #[arg(short, long, short_alias = 'e', alias = "execute", value_name = "QUERY", allow_hyphen_values = true, conflicts_with_all = ["query", "file"])]
    pub command: Vec<String>,

    /// The subcommand to run instead of a query.
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// Sets the query parameter `$NAME`. May be given several times.
    #[arg(global = true, long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,

    /// Writes all answers to FILE, atomically.
    #[arg(global = true, short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The settings.
    #[command(flatten)]
    pub given: Given,

    /// The short form of `--pager=off`.
    #[arg(global = true, long, hide = true, conflicts_with = "pager")]
    pub no_pager: bool,

    /// Ignores the configuration file, the startup statements and the settings of the environment.
    #[arg(global = true, long)]
    pub no_config: bool,

    /// The source of the rows. Default: the best source available on this machine.
    #[arg(global = true, long, value_enum, value_name = "SOURCE", conflicts_with_all = ["from", "demo"])]
    pub source: Option<SourceName>,

    /// Fails unless SOURCE or a better one is available.
    #[arg(global = true, long, value_enum, value_name = "SOURCE")]
    pub require: Option<SourceName>,

    /// Repeats the query every INTERVAL: `500ms`, `2s`, `5m`, `1h`.
    #[arg(global = true, long, value_name = "INTERVAL", value_parser = interval)]
    pub watch: Option<Duration>,

    /// Ends the watch after N ticks.
    #[arg(global = true, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Ends the watch with the first answer that has rows.
    #[arg(global = true, long)]
    pub until_rows: bool,

    /// Ends the watch with the first answer that has no rows.
    #[arg(global = true, long, conflicts_with = "until_rows")]
    pub until_empty: bool,

    /// Queries a recording instead of this machine.
    #[arg(global = true, long, value_name = "FILE", conflicts_with_all = ["demo", "record"])]
    pub from: Option<PathBuf>,

    /// Queries a built-in recording of Linux 6.18.
    #[arg(global = true, long, conflicts_with = "record")]
    pub demo: bool,

    /// Reads the kernel's types from a BTF file. With those of another kernel, `explain` shows what would run there.
    #[arg(global = true, long, value_name = "FILE", conflicts_with_all = ["from", "demo", "record", "source"])]
    pub btf: Option<PathBuf>,

    /// Asks HOST over ssh instead of this machine, such as `root@web1`. May be given several times.
    #[arg(long, value_name = "HOST", conflicts_with_all = ["from", "demo", "btf", "record", "watch", "stamp"])]
    pub host: Vec<String>,

    /// Asks the hosts that FILE names, one a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "demo", "btf", "record", "watch", "stamp"])]
    pub hosts: Option<PathBuf>,

    /// Sends this slabql to the hosts, and removes it there afterwards.
    #[arg(long)]
    pub send: bool,

    /// Runs slabql as root on the hosts, by `sudo -n`.
    #[arg(long)]
    pub sudo: bool,

    /// What to call for ssh, with options of its own: `ssh -J gate`.
    #[arg(long, value_name = "COMMAND")]
    pub ssh: Option<String>,

    /// Records this machine to FILE, and answers from the recording.
    #[arg(global = true, long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// The tables that `--record` records besides `caches`, such as `slabs,objects`, or `all`. Default: all but `slabs`
    /// and `objects`, which can have millions of rows, and `cgroups`.
    #[arg(global = true, long, value_name = "TABLE,…", value_parser = Tables::parse)]
    pub tables: Option<Tables>,

    /// How to drive the kernel's iterator. Default: the faster one available.
    #[arg(global = true, long, value_enum, value_name = "TEMPLATE")]
    pub template: Option<TemplateName>,

    /// Evaluates all conditions in user space. The answer is the same.
    #[arg(global = true, long)]
    pub no_pushdown: bool,

    /// Exits with code 4 if an answer has rows.
    #[arg(global = true, long, conflicts_with = "fail_if_empty")]
    pub fail_if_rows: bool,

    /// Exits with code 4 if an answer has no rows.
    #[arg(global = true, long)]
    pub fail_if_empty: bool,

    /// Puts the columns `host`, `time` and `kernel` in front of the rows of every query.
    #[arg(global = true, long, conflicts_with = "watch")]
    pub stamp: bool,

    /// Prints only errors.
    #[arg(global = true, short, long)]
    pub quiet: bool,

    /// Shows this help.
    #[arg(global = true, short, long, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

impl Args {
    /// What is said of settings.
    #[must_use]
    pub fn settings(&self) -> Options<'_> {
        let pager = self.no_pager.then(|| ("pager", false.shown()));
        let values = self.given.0.iter().cloned().chain(pager).collect();
        Options { values, output: self.output.as_deref(), no_config: self.no_config }
    }

    /// The parameters that are set.
    pub fn parameters(&self) -> Result<ParameterValues, Failure> {
        self.set.iter().map(|word| assignment(word)).collect()
    }

    /// How often standard input is named, by `-` or for want of a query.
    #[must_use]
    pub fn standard_inputs(&self) -> usize {
        let options = [&self.from, &self.btf, &self.hosts].into_iter().flatten();
        let files = self.file.iter().chain(options).filter(|path| is_standard(path)).count();
        let words = match &self.verb {
            Some(Verb::Diff { before, after }) => [Some(before), after.as_ref()]
                .into_iter()
                .flatten()
                .filter(|word| *word == "-")
                .count(),
            Some(Verb::Load { file, .. }) => is_standard(file).into(),
            _ => 0,
        };
        let named = self.query.is_some() || !self.command.is_empty() || !self.file.is_empty();
        let wanted = files + words > 0 && !named && self.record.is_none() && self.verb.is_none();
        files + words + usize::from(wanted && !io::stdin().is_terminal())
    }

    /// When messages are coloured, before the file of settings is read.
    #[must_use]
    pub fn color(&self) -> Color {
        let given = self.given.0.iter().find(|(name, _)| *name == "color");
        let variable = || {
            let color = setting::find("color").ok().filter(|_| !self.no_config)?;
            color.from_environment()
        };
        let word = given.map(|(_, word)| word.clone()).or_else(variable);
        word.and_then(|word| Color::read(&word)).unwrap_or_default()
    }

    /// How the query is to be watched, if it is.
    pub fn watch(&self) -> Result<Option<watch::Options>, Failure> {
        let until = match (self.until_rows, self.until_empty) {
            (true, _) => Some(Until::Rows),
            (_, true) => Some(Until::Empty),
            _ => None,
        };
        let top = matches!(self.verb, Some(Verb::Top { .. })).then_some(watch::interval::DEFAULT);
        let watched = self.watch.or(top);
        if watched.is_none() && (self.count.is_some() || until.is_some()) {
            let help = "`--watch 1s` repeats a query, and `slabql top` watches the largest caches; a statement says it itself: `watch 1s count 5 select …`";
            let message = "`--count`, `--until-rows` and `--until-empty` end a watch";
            return Err(Failure::command(message, Some(help)));
        }
        Ok(watched.map(|interval| watch::Options { interval, count: self.count, until }))
    }

    /// When an answer is an alert.
    #[must_use]
    pub fn alert(&self) -> Option<Condition> {
        let conditions =
            [(self.fail_if_rows, Condition::Rows), (self.fail_if_empty, Condition::Empty)];
        conditions.into_iter().find_map(|(asked, condition)| asked.then_some(condition))
    }
}
