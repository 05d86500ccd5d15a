//! What options take: settings, an interval, a template, a source.

use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches, ValueEnum};
use query::plan::Template;

use crate::features::watch;
use crate::shell::setting::{SETTINGS, Setting};
use crate::source::kind::Kind;

/// The settings that are given as options, and their values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given(pub Vec<(&'static str, String)>);

impl Given {
    /// The option of a setting.
    pub fn option(setting: &'static Setting) -> Arg {
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
pub fn interval(word: &str) -> Result<Duration, String> {
    watch::interval::parse(word).map_err(|_| "expected `500ms`, `2s`, `5m` or `1h`".to_owned())
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
    use crate::shell::setting::Value as _;

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
}
