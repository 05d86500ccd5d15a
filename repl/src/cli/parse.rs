//! Parses a command line: subcommands behind global options, queries that begin with a comment, words of other programs.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use query::foreign;

use super::args::Args;
use crate::file::path::{at_home, is_standard};
use crate::shell::command;
use crate::shell::foreign::OPTIONS;

/// What the help of a subcommand says of the options that are not its own.
const GLOBAL: &str = "\
The options of `slabql --help` can be given too, before the subcommand or
behind it: --format and --output say how and where the answer is written,
--source, --from and --demo what is asked.";

impl Args {
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
        // The first of several words: `kmem -s`.
        let first = words.get(1).filter(|_| words.len() > 2).and_then(|word| word.to_str());
        let other = first.and_then(|word| foreign::instead(foreign::STATEMENTS, word));
        for option in options {
            // Its value may be a part of the word: `--delay=1`, `-d1`.
            let name = option.split('=').next().unwrap_or(option);
            let letter = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let mut names = [name, letter].into_iter();
            if let Some(help) = names.find_map(|name| foreign::instead(OPTIONS, name))
                && !is_of_subcommand(name, &words)
            {
                return Err(unexpected(name, other.unwrap_or(help)));
            }
        }
        // With a blank before it, a comment is no option.
        let before = words.iter_mut().skip(1).take_while(|word| *word != "--");
        let found = before.into_iter().find(|word| word.to_str().is_some_and(begins_with_comment));
        let commented =
            found.map(|word| *word = [" ".as_ref(), word.as_os_str()].into_iter().collect());
        // The options are copied into every subcommand, which takes longer than a query: only where there is one.
        let mut command = Self::command();
        // `help verify`, as of git and cargo.
        let first =
            words.iter().skip(1).position(|word| !word.as_encoded_bytes().starts_with(b"-"));
        if let Some([help, verb, ..]) = first.map(|at| &words[at + 1..])
            && help == "help"
            && command.find_subcommand(verb).is_some()
        {
            words = vec![words[0].clone(), verb.clone(), "--help".into()];
        }
        if words.iter().skip(1).any(|word| command.find_subcommand(word).is_some()) {
            command = brief(command);
            subcommand_first(&command, &mut words);
        } else {
            command = command.mut_args(|arg| arg.global(false));
        }
        let parsed = command.try_get_matches_from(&words);
        let parsed = parsed.and_then(|matches| Self::from_arg_matches(&matches));
        let parsed = parsed.map(Self::with_paths).map(|mut args| {
            if let (Some(()), Some(query)) = (commented, &mut args.query) {
                *query = query.strip_prefix(' ').unwrap_or(query).to_owned();
            }
            args
        });
        let one = |args: Self| match (&args.verb, args.asks_too()) {
            (Some(_), Some(asks)) => Err(unexpected(&asks, "ask a query and run a command apart")),
            _ => Ok(args),
        };
        let parsed = parsed.or_else(|mut error| {
            // A word that resembles a subcommand is one that is misspelt, for clap.
            let context = match error.kind() {
                ErrorKind::UnknownArgument => Some(ContextKind::InvalidArg),
                ErrorKind::InvalidSubcommand => Some(ContextKind::InvalidSubcommand),
                _ => None,
            };
            let word = context.and_then(|kind| error.get(kind)).map(ToString::to_string);
            // The words of a command need no quotes.
            if let Some(word) = &word
                && let Some(at) = words.windows(2).position(|pair| {
                    pair[1] == **word && pair[0].to_str().is_some_and(command::begins)
                })
            {
                let behind = words.remove(at + 1);
                words[at].push(" ");
                words[at].push(behind);
                return Self::of(words);
            }
            if word.is_some_and(|word| !word.starts_with('-')) {
                let quotes = "a query is a single argument: put it in quotes";
                suggest(&mut error, other.unwrap_or(quotes));
            }
            Err(error)
        });
        parsed.and_then(one)
    }

    /// What asks a query, as it was written.
    fn asks_too(&self) -> Option<String> {
        let option = |name: &str| Some(name.to_owned());
        match self {
            Self { query: Some(query), .. } => Some(query.clone()),
            Self { file, .. } if !file.is_empty() => option("--file"),
            Self { command, .. } if !command.is_empty() => option("--command"),
            _ => None,
        }
    }

    /// The paths of options as they are meant: `~` may be left of `--output=~/x`, and `-` is a standard stream.
    fn with_paths(mut self) -> Self {
        let options =
            [&mut self.output, &mut self.from, &mut self.btf, &mut self.hosts, &mut self.record];
        for path in self.file.iter_mut().chain(options.into_iter().flatten()) {
            *path = at_home(std::mem::take(path));
        }
        self.output = self.output.filter(|path| !is_standard(path));
        self
    }
}

/// Whether a subcommand among the words has an option of its own that is called so.
fn is_of_subcommand(option: &str, words: &[OsString]) -> bool {
    let has = |verb: &Command| {
        words.iter().any(|word| word == verb.get_name())
            && verb.get_arguments().any(|arg| arg.get_long() == option.strip_prefix("--"))
    };
    Args::command().get_subcommands().any(has)
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
    let Some(comment) = word.strip_prefix("--") else { return false };
    // The text of a comment may stand next to its dashes, but an option's name has no blank, nor is its value another line.
    let name = comment.split(|c: char| c.is_whitespace() || c == '=').next().unwrap_or_default();
    comment.starts_with(char::is_whitespace)
        || (comment.contains('\n') && !comment[name.len()..].starts_with('='))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::super::values::Given;
    use super::*;
    use crate::cli::verb::Verb;
    use crate::render::Color;

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

    #[test]
    fn a_query_may_begin_with_a_comment() {
        let of = |words: &[&str]| Args::of(words.iter().map(OsString::from).collect());
        let query = "-- the largest\nselect name limit 1";
        assert_eq!(of(&["slabql", query]).unwrap().query.as_deref(), Some(query));
        let args = of(&["slabql", "--demo", query]).unwrap();
        assert_eq!(args.query.as_deref(), Some(query));
        assert_eq!(of(&["slabql", "--demo", "--", query]).unwrap().query.as_deref(), Some(query));
        for query in ["--the largest\nselect name limit 1", "--x\nselect 1", "---\nselect 1"] {
            assert_eq!(of(&["slabql", query]).unwrap().query.as_deref(), Some(query));
            assert_eq!(of(&["slabql", "--demo", query]).unwrap().query.as_deref(), Some(query));
        }
        let command = of(&["slabql", "--command=select 1\nfrom caches"]).unwrap().command;
        assert_eq!(command, ["select 1\nfrom caches"]);
        assert!(of(&["slabql", "--no such option"]).is_err());
        assert!(of(&["slabql", "--"]).unwrap().query.is_none());
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
            let watch = of(&words).unwrap().watch().ok().flatten().unwrap();
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
        for (option, help) in [
            ("-csv", "--format csv"),
            ("-l", ".tables"),
            ("--delay", "--watch"),
            ("--delay=1", "--watch"),
            ("-d1", "--watch"),
            ("--sort=c", "order by"),
            ("-qAt", "--format csv"),
            ("-version", "--version"),
        ] {
            let error = of(&["slabql", option, "select 1"]).unwrap_err().to_string();
            let name = option.split('=').next().unwrap();
            assert!(error.contains(name) && error.contains(help), "{error}");
        }
        assert!(of(&["slabql", "--", "-csv"]).is_ok());
        // Its own are its own.
        for option in ["-V", "--version"] {
            assert_eq!(of(&["slabql", option]).unwrap_err().kind(), ErrorKind::DisplayVersion);
        }
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
