//! The command line: one table of options, from which `--help` is made.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{
    Arg, ArgAction, ArgMatches, ColorChoice, Command, CommandFactory, FromArgMatches, Parser,
    ValueEnum,
};
use query::foreign;
use query::plan::Template;

use crate::cli::verb::Verb;
use crate::features::watch::{self, Until};
use crate::file::path::{at_home, is_standard};
use crate::render::Color;
use crate::shell::alert::Condition;
use crate::shell::command;
use crate::shell::config::Options;
use crate::shell::foreign::OPTIONS;
use crate::shell::setting::{self, SETTINGS, Setting, Value};
use crate::source::kind::Kind;

/// How the program is called.
const USAGE: &str = "slabql [OPTIONS] [QUERY]\n       slabql [OPTIONS] COMMAND [ARGUMENT…]";

/// What the help of a subcommand says of the options that are not its own.
const GLOBAL: &str = "\
The options of `slabql --help` can be given too, before the subcommand or
behind it: --format and --output say how and where the answer is written,
--source, --from and --demo what is asked.";

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

Exit codes: 0 success, 1 invalid query, 2 unavailable on this machine, 3 a bug in slabql, 4 the condition of
--fail-if-rows or --fail-if-empty holds.

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

    /// Repeats the query every INTERVAL: `500ms`, `2s`, `5m`.
    #[arg(global = true, long, value_name = "INTERVAL", value_parser = interval)]
    pub watch: Option<Duration>,

    /// Ends the watch after N ticks.
    #[arg(global = true, long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Ends the watch with the first answer that has rows.
    #[arg(global = true, long, requires = "watch")]
    pub until_rows: bool,

    /// Ends the watch with the first answer that has no rows.
    #[arg(global = true, long, requires = "watch", conflicts_with = "until_rows")]
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

    /// Records this machine to FILE, and answers from the recording.
    #[arg(global = true, long, value_name = "FILE")]
    pub record: Option<PathBuf>,

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

    /// Prints only errors.
    #[arg(global = true, short, long)]
    pub quiet: bool,

    /// Shows this help.
    #[arg(global = true, short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

impl Args {
    /// What is said of settings.
    #[must_use]
    pub fn settings(&self) -> Options<'_> {
        let pager = self.no_pager.then(|| ("pager", false.shown()));
        let values = self.given.0.iter().cloned().chain(pager).collect();
        Options { values, output: self.output.as_deref(), no_config: self.no_config }
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
    #[must_use]
    pub fn watch(&self) -> Option<watch::Options> {
        let until = match (self.until_rows, self.until_empty) {
            (true, _) => Some(Until::Rows),
            (_, true) => Some(Until::Empty),
            _ => None,
        };
        self.watch.map(|interval| watch::Options { interval, count: self.count, until })
    }

    /// Parses a command line, of which the first word is the program.
    pub fn of(mut words: Vec<OsString>) -> Result<Self, clap::Error> {
        // Building the table of options takes longer than a scan of all caches, so a query alone goes without. What has
        // no blank may be a subcommand.
        if let [_, word] = words.as_slice()
            && let Some(text) = word.to_str()
            && (begins_with_comment(text) || !text.starts_with('-'))
            && text.contains(char::is_whitespace)
        {
            return Ok(Self { query: Some(text.to_owned()), ..Self::default() });
        }
        let options =
            words.iter().skip(1).map_while(|word| word.to_str().filter(|word| *word != "--"));
        for option in options {
            if let Some(help) = foreign::instead(OPTIONS, option) {
                return Err(unexpected(option, help));
            }
        }
        // With a blank before it, a comment is no option.
        let before = words.iter_mut().skip(1).take_while(|word| *word != "--");
        let found = before.into_iter().find(|word| word.to_str().is_some_and(begins_with_comment));
        let commented =
            found.map(|word| *word = [" ".as_ref(), word.as_os_str()].into_iter().collect());
        let command = brief(Self::command());
        subcommand_first(&command, &mut words);
        let parsed = command.try_get_matches_from(&words);
        let parsed = parsed.and_then(|matches| Self::from_arg_matches(&matches));
        let parsed = parsed.map(Self::with_paths).map(|mut args| {
            if let (Some(()), Some(query)) = (commented, &mut args.query) {
                *query = query.strip_prefix(' ').unwrap_or(query).to_owned();
            }
            args
        });
        parsed.or_else(|mut error| {
            let word = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            // The words of a command need no quotes.
            if let Some(word) = &word
                && error.kind() == ErrorKind::UnknownArgument
                && let Some(at) = words.windows(2).position(|pair| {
                    pair[1] == **word && pair[0].to_str().is_some_and(command::begins)
                })
            {
                let behind = words.remove(at + 1);
                words[at].push(" ");
                words[at].push(behind);
                return Self::of(words);
            }
            if word.is_some_and(|word| {
                error.kind() == ErrorKind::UnknownArgument && !word.starts_with('-')
            }) {
                suggest(&mut error, "a query is a single argument: put it in quotes");
            }
            Err(error)
        })
    }

    /// The paths of options as they are meant: `~` may be left of `--output=~/x`, and `-` is a standard stream.
    fn with_paths(mut self) -> Self {
        let options = [&mut self.output, &mut self.from, &mut self.btf, &mut self.record];
        for path in self.file.iter_mut().chain(options.into_iter().flatten()) {
            *path = at_home(std::mem::take(path));
        }
        self.output = self.output.filter(|path| !is_standard(path));
        self
    }

    /// When an answer is an alert.
    #[must_use]
    pub fn alert(&self) -> Option<Condition> {
        let conditions =
            [(self.fail_if_rows, Condition::Rows), (self.fail_if_empty, Condition::Empty)];
        conditions.into_iter().find_map(|(asked, condition)| asked.then_some(condition))
    }
}

/// The error for an option of another program.
fn unexpected(option: &str, help: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(&Args::command());
    error.insert(ContextKind::InvalidArg, ContextValue::String(option.to_owned()));
    suggest(&mut error, help);
    error
}

/// Says what would work, in place of what clap says.
fn suggest(error: &mut clap::Error, help: &str) {
    let help = ContextValue::StyledStrs(vec![help.to_owned().into()]);
    error.insert(ContextKind::Suggested, help);
}

/// A command line whose subcommands take the global options, and say so in a sentence.
fn brief(command: Command) -> Command {
    let global: Vec<Arg> = global(&command).filter(|arg| arg.get_id() != "help").cloned().collect();
    let (global, words) = (global.into_iter().map(|arg| arg.hide(true)), GLOBAL);
    command.mut_subcommands(|verb| verb.args(global.clone()).after_help(words))
}

/// The options that subcommands have too.
fn global(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.is_global_set())
}

/// Puts the subcommand before the global options that precede it: one parser then sees all that goes together or not.
fn subcommand_first(command: &Command, words: &mut [OsString]) {
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        if command.find_subcommand(word).is_some() {
            words[1..=at].rotate_right(1);
            return;
        }
        let (name, value) =
            word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let is_it = |arg: &&Arg| match name.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|short| name == format!("-{short}")),
        };
        let Some(arg) = global(command).find(is_it) else { return };
        let alone = value.is_some() || arg.is_require_equals_set();
        at += if arg.get_action().takes_values() && !alone { 2 } else { 1 };
    }
}

/// Whether a word is a query that begins with a comment, and no option.
fn begins_with_comment(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// The settings that are given as options, and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given(Vec<(&'static str, String)>);

impl Given {
    /// The option of a setting.
    fn option(setting: &'static Setting) -> Arg {
        let help = setting.doc.trim_end_matches('.');
        let option = Arg::new(setting.name).long(setting.name).value_name(setting.value).help(help);
        let option = option.global(true).action(ArgAction::Set);
        let option = match (setting.words)() {
            Some(words) => {
                let value = |(word, help): (&'static str, &'static str)| {
                    let value = PossibleValue::new(word);
                    if help.is_empty() { value } else { value.help(help) }
                };
                option.value_parser(PossibleValuesParser::new(words.into_iter().map(value)))
            }
            None => option,
        };
        if setting.switch {
            let option = option.hide_possible_values(true).require_equals(true);
            return option.num_args(0..=1).default_missing_value("on");
        }
        option
    }
}

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(Self::option))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value =
            |setting: &Setting| Some((setting.name, matches.get_one(setting.name).cloned()?));
        Ok(Self(SETTINGS.iter().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads an interval.
fn interval(word: &str) -> Result<Duration, String> {
    watch::interval::parse(word).map_err(|_| "expected `500ms`, `2s` or `5m`".to_owned())
}

/// A template by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateName(pub Template);

impl ValueEnum for TemplateName {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Template::OpenCoded), Self(Template::Iter)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Template::OpenCoded => "a single run of a syscall program",
            Template::Iter => "an iter/kmem_cache iterator file",
            Template::List => "a single run that walks the list of caches",
            Template::Vmemmap => "runs over the descriptors of all pages",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

/// A source by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceName(pub Kind);

impl ValueEnum for SourceName {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(Kind::Live), Self(Kind::Walk), Self(Kind::Proc), Self(Kind::Demo)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()).help(self.0.help()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_alone_is_parsed_as_clap_does() {
        for query in ["select name", "", "a b", "Größe", "help", "doctor ", "\n-- a\nselect"] {
            let words = ["slabql", query];
            let own = Args::of(words.map(OsString::from).to_vec()).unwrap();
            let clap = Args::try_parse_from(words).unwrap();
            assert_eq!(format!("{own:?}"), format!("{clap:?}"), "{query:?}");
        }
    }

    #[test]
    fn settings_are_options() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect()).unwrap();
        let args = of(&["slabql", "--exact", "--timer=off", "--color", "never", "select name"]);
        let given = |name, word: &str| (name, word.to_owned());
        let expected = vec![given("exact", "on"), given("color", "never"), given("timer", "off")];
        assert_eq!(args.settings().values, expected);
        assert_eq!(args.color(), Color::Never);
        let args = of(&["slabql", "--no-pager", "verify", "--width", "auto"]);
        assert_eq!(args.settings().values, [given("width", "auto"), given("pager", "off")]);
    }

    /// A setting is its row: what it is as an option needs nothing else.
    #[test]
    fn a_row_is_an_option() {
        static MADE_UP: Setting = Setting {
            name: "made-up",
            value: "on|off",
            doc: "Is made up.",
            words: bool::words,
            switch: true,
            shown: |_| String::new(),
            set: |_, _| true,
        };
        let command = || Command::new("x").arg(Given::option(&MADE_UP));
        let value = |words: &[&str]| {
            let matches = command().try_get_matches_from(words)?;
            Ok::<_, clap::Error>(matches.get_one::<String>("made-up").cloned())
        };
        assert_eq!(value(&["x", "--made-up"]).unwrap().as_deref(), Some("on"));
        assert_eq!(value(&["x", "--made-up=off"]).unwrap().as_deref(), Some("off"));
        assert_eq!(value(&["x"]).unwrap(), None);
        assert!(value(&["x", "--made-up=perhaps"]).is_err());
        assert!(command().render_help().to_string().contains("--made-up[=<on|off>]  Is made up\n"));
    }

    #[test]
    fn a_query_may_begin_with_a_comment() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        let query = "-- the largest\nselect name limit 1";
        assert_eq!(of(&["slabql", query]).unwrap().query.as_deref(), Some(query));
        let args = of(&["slabql", "--demo", query]).unwrap();
        assert_eq!(args.query.as_deref(), Some(query));
        assert_eq!(of(&["slabql", "--demo", "--", query]).unwrap().query.as_deref(), Some(query));
        assert!(of(&["slabql", "--no such option"]).is_err());
    }

    #[test]
    fn subcommands_take_options_on_both_sides() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        let args =
            of(&["slabql", "--demo", "report", "waste", "--format", "csv", "--sql"]).unwrap();
        assert!(args.demo && args.query.is_none());
        assert_eq!(args.settings().values, [("format", "csv".to_owned())]);
        assert!(matches!(args.verb, Some(Verb::Report { sql: true, .. })));
        for command in Args::command().get_subcommands() {
            let name = command.get_name();
            let help = of(&["slabql", name, "--help"]).unwrap_err();
            assert_eq!(help.kind(), ErrorKind::DisplayHelp, "{name}");
            assert!(help.to_string().contains(&format!("Usage: slabql {name}")), "{name}");
        }
        // What needs or excludes another option does so on both sides.
        for words in [
            ["slabql", "--watch", "1s", "report", "waste", "--count", "3"],
            ["slabql", "--count=3", "report", "waste", "--quiet", "--watch", "1s"],
        ] {
            let watch = of(&words).unwrap().watch().unwrap();
            assert_eq!((watch.interval, watch.count), (Duration::from_secs(1), Some(3)));
        }
        assert!(of(&["slabql", "--demo", "report", "waste", "--from", "a.slab"]).is_err());
        assert_eq!(
            of(&["slabql", "-o", "report", "verify"]).unwrap().output,
            Some("report".into())
        );
        // Its own arguments come first, and fit on a narrow terminal.
        let help = of(&["slabql", "report", "--help"]).unwrap_err().to_string();
        assert!(help.contains("--sql") && !help.contains("--no-pushdown") && help.contains(GLOBAL));
        assert!(GLOBAL.lines().all(|line| line.len() <= 80));
        // The words of a command are one query, with options on both sides; those of a query are not.
        let query = |words: &[&str]| of(words).ok().and_then(|args| args.query);
        for (words, expected) in [
            (&["slabql", "describe", "caches", "--demo"][..], "describe caches"),
            (&["slabql", "--demo", "show", "tables"], "show tables"),
            (&["slabql", "show", "columns", "from", "nodes"], "show columns from nodes"),
            (&["slabql", ".schema", "caches"], ".schema caches"),
        ] {
            assert_eq!(query(words).as_deref(), Some(expected));
        }
        assert!(of(&["slabql", "select", "name"]).is_err());
        // A query of one word is one.
        assert_eq!(of(&["slabql", "quit"]).unwrap().query.as_deref(), Some("quit"));
    }

    #[test]
    fn a_query_may_be_an_option() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        let args = of(&["slabql", "--demo", "-c", "-- a\nselect 1", "-e", ".tables"]).unwrap();
        assert_eq!(args.command.len(), 2);
        assert_eq!(args.command[0].trim_start(), "-- a\nselect 1");
        assert!(of(&["slabql", "-c", "select 1", "select 2"]).is_err());
        assert!(of(&["slabql", "-c", "select 1", "-f", "x"]).is_err());
    }

    #[test]
    fn options_of_others_are_answered() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        for (option, help) in [("-csv", "--format csv"), ("-l", ".tables"), ("--delay", "--watch")]
        {
            let error = of(&["slabql", option, "select 1"]).unwrap_err().to_string();
            assert!(error.contains(option) && error.contains(help), "{error}");
        }
        assert!(of(&["slabql", "--", "-csv"]).is_ok());
    }

    #[test]
    fn the_rest_is_left_to_clap() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        assert!(of(&["slabql"]).unwrap().query.is_none());
        assert!(of(&[]).unwrap().query.is_none());
        assert!(of(&["slabql", "--demo"]).unwrap().demo);
        assert!(of(&["slabql", "--nonsense"]).is_err());
        assert!(of(&["slabql", "select name", "--exact"]).unwrap().given != Given::default());
        let not_utf8 = std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]);
        assert!(Args::of(vec!["slabql".into(), not_utf8]).is_err());
    }
}
