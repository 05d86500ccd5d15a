//! The settings: one table, from which `.config`, `config.toml` and the dot commands of single settings are made.
//!
//! A setting's name is the key of the file and the option of the command line: `exact = true`, `--exact`. The
//! command line is stronger than the file, and what is typed at the prompt than both.

use query::suggest;

use crate::render::Color;
use crate::render::{Format, Options};
use crate::report::error::Failure;
use crate::report::error::Message;
use crate::report::escape::printable;
use crate::shell::command::{AUTO, Takes};
use crate::shell::settings::Settings;

/// A setting.
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What it can be.
    pub takes: Takes,
    /// What its value is called in `--help`.
    pub value: &'static str,
    /// A sentence.
    pub doc: &'static str,
    /// Its value, as it is written.
    pub shown: fn(&Settings) -> String,
    /// Takes a value; false of one that it cannot have.
    pub set: fn(&mut Settings, &str) -> bool,
}

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// It is what it is without being set.
    #[default]
    Default,
    /// A line of the file of settings.
    File(String),
    /// The command line.
    Option,
    /// A dot command.
    Command,
}

/// The settings, in the order of `.config`.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    Setting { name: "format", takes: Takes::Format, value: "FORMAT", doc: "How answers are written; `auto` is a table on a terminal and CSV elsewhere.", shown: |settings| settings.format.map_or(AUTO, Format::name).to_owned(), set: |settings, value| {
        let format = value.parse().ok();
        settings.format = format;
        format.is_some() || value == AUTO
    } },
    Setting { name: "exact", takes: Takes::Switch, value: "on|off", doc: "Plain integers instead of `4.0 KiB`.", shown: |settings| switch_shown(settings.exact), set: |settings, value| switch(&mut settings.exact, value) },
    Setting { name: "color", takes: Takes::Color, value: "WHEN", doc: "When there are colours; `NO_COLOR` is honoured.", shown: |settings| settings.color.name().to_owned(), set: |settings, value| {
        let color = Color::of_name(value);
        settings.color = color.unwrap_or_default();
        color.is_some()
    } },
    Setting { name: "timer", takes: Takes::Switch, value: "on|off", doc: "Rows and time below every answer; on at the prompt.", shown: |settings| switch_shown(settings.timer), set: |settings, value| switch(&mut settings.timer, value) },
    Setting { name: "width", takes: Takes::Nothing, value: "N", doc: "Columns of a table: a number, 0 for as many as it takes, `auto` for the terminal's.", shown: |settings| settings.width.map_or(AUTO.to_owned(), |width| width.to_string()), set: |settings, value| {
        let width = value.parse().ok();
        settings.width = width;
        width.is_some() || value == AUTO
    } },
    Setting { name: "null", takes: Takes::Nothing, value: "TEXT", doc: "What stands for NULL in formats for people.", shown: |settings| settings.null.clone().unwrap_or_else(|| Options::default().null), set: |settings, value| {
        settings.null = Some(printable(value.as_bytes()));
        true
    } },
    Setting { name: "pager", takes: Takes::Switch, value: "on|off", doc: "Long answers of the prompt are shown in `$PAGER`, or `less -FRSX`.", shown: |settings| switch_shown(!settings.no_pager), set: |settings, value| {
        let mut pager = !settings.no_pager;
        let known = switch(&mut pager, value);
        settings.no_pager = !pager;
        known
    } },
];

/// A switch, as it is written.
#[must_use]
pub fn switch_shown(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// Turns a switch; false if `value` is not one of its words.
pub fn switch(place: &mut bool, value: &str) -> bool {
    match value {
        "on" | "true" => *place = true,
        "off" | "false" => *place = false,
        _ => return false,
    }
    true
}

/// The setting of a name.
pub fn find(name: &str) -> Result<&'static Setting, Message> {
    SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| {
        // What `.mode` sets goes by the name of its option.
        let meant = match name {
            "mode" => Some(suggest::question("format")),
            name => suggest::meant(name, SETTINGS.iter().map(|setting| setting.name)),
        };
        let help = meant.unwrap_or_else(|| "`.config` lists the settings".to_owned());
        Message { message: format!("unknown setting `{name}`"), help: Some(help) }
    })
}

/// Gives a setting a value.
pub fn set(
    settings: &mut Settings,
    name: &str,
    value: &str,
    origin: Origin,
) -> Result<(), Message> {
    let setting = find(name)?;
    let mut changed = settings.clone();
    if !(setting.set)(&mut changed, value) {
        let message = format!("`{name}` cannot be `{value}`");
        let help = setting.takes.words().and_then(|words| suggest::help(value, words));
        return Err(Message { message, help: help.or_else(|| Some(setting.doc.to_owned())) });
    }
    *settings = changed;
    settings.origins.insert(setting.name, origin);
    Ok(())
}

/// What a dot command for the setting `name` does: sets it, or gives the line to show if there is no value.
pub fn command(
    settings: &mut Settings,
    name: &str,
    value: &str,
) -> Result<Option<String>, Failure> {
    if value.is_empty() {
        let setting = find(name).map_err(Failure::Command)?;
        return Ok(Some(format!("{}\n", (setting.shown)(settings))));
    }
    set(settings, name, value, Origin::Command).map_err(Failure::Command)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_takes_what_it_shows() {
        for setting in SETTINGS {
            let mut settings = Settings::default();
            let shown = (setting.shown)(&settings);
            assert!((setting.set)(&mut settings, &shown), "{} = {shown}", setting.name);
            // Any text can stand for NULL.
            let refused = !(setting.set)(&mut settings, "no such value");
            assert!(refused || setting.name == "null", "{}", setting.name);
            assert!(setting.doc.ends_with('.'), "{}", setting.name);
            for word in setting.takes.words().unwrap_or_default() {
                assert!((setting.set)(&mut settings, word), "{} = {word}", setting.name);
                assert_eq!((setting.shown)(&settings), word);
            }
        }
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let mut settings = Settings { exact: true, ..Settings::default() };
        let wrong = set(&mut settings, "exact", "maybe", Origin::Command).unwrap_err();
        assert_eq!(wrong.message, "`exact` cannot be `maybe`");
        assert_eq!(wrong.help.as_deref(), Some("there are `on`, `off`"));
        let wrong = set(&mut settings, "format", "jason", Origin::Command).unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("did you mean `json`?"));
        let wrong = set(&mut settings, "colour", "never", Origin::Option).unwrap_err();
        assert_eq!(wrong.help.as_deref(), Some("did you mean `color`?"));
        assert!(settings.exact && settings.origins.is_empty());
    }
}
