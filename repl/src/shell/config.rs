//! Reads the files of a person's habits: settings, and what a prompt begins with.
//!
//! Both lie in the folder `slabql` of the XDG config folder, and neither needs to be there.
//!
//! | file | holds | is read |
//! |---|---|---|
//! | `config.toml` | a setting a line, such as `exact = true` | at every start |
//! | `init.slabql` | statements and dot commands | by the prompt |
//!
//! A wrong line ends slabql with its place marked, as a wrong query does: habits that are half followed surprise.
//! `--no-config` leaves both files alone, and the environment's settings too.

use std::path::{Path, PathBuf};

use query::diagnostic::{Diagnostic, Span};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::features::input;
use crate::file::own::Folder;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::shell::setting::{self, Origin, SETTINGS, Settings, Timer, Value};
use crate::sink::Medium;

/// The file of settings.
const FILE: &str = "config.toml";
/// The file of statements.
const START: &str = "init.slabql";

/// What the command line says of settings.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Settings and their values.
    pub values: Vec<(&'static str, String)>,
    /// The file that answers go to.
    pub output: Option<&'a Path>,
    /// Whether the files and the environment are left alone.
    pub no_config: bool,
}

/// The file of what a prompt begins with, if there is one.
#[must_use]
pub fn start() -> Option<PathBuf> {
    path(START).filter(|path| path.exists())
}

/// The settings: those of the file, over them those of the environment, and over both those of the command line.
pub fn settings(options: &Options<'_>, prompt: bool) -> Result<Settings, Failure> {
    let standard = options.output.map_or_else(Medium::default, Medium::file);
    let timer = if prompt { Timer::On } else { Timer::Off };
    let mut settings = Settings { standard, timer, ..Settings::default() };
    if !options.no_config {
        read(&mut settings)?;
        let variables = SETTINGS.iter().filter_map(|row| Some((row.name, row.from_environment()?)));
        for (name, value) in variables {
            setting::set(&mut settings, name, &value, Origin::Variable)
                .map_err(Failure::Command)?;
        }
    }
    for (name, value) in &options.values {
        setting::set(&mut settings, name, value, Origin::Option).map_err(Failure::Command)?;
    }
    Ok(settings)
}

/// Where a file of habits is, if there is a folder for it.
fn path(name: &str) -> Option<PathBuf> {
    Some(Folder::Config.path().ok()?.join(name))
}

/// A line for each file: where it is, or would be.
#[must_use]
pub fn places() -> String {
    let line = |(what, name): (&str, &str)| {
        let Some(path) = path(name) else {
            return format!("{what}: this system has no directory for it\n");
        };
        let shown = printable(path.as_os_str().as_encoded_bytes());
        let missing = if path.exists() { "" } else { ", which does not exist" };
        format!("{what}: {shown}{missing}\n")
    };
    [("settings", FILE), ("startup statements", START)].map(line).concat()
}

/// Takes the settings of the file, if there is one.
fn read(settings: &mut Settings) -> Result<(), Failure> {
    let Some(path) = path(FILE).filter(|path| path.exists()) else { return Ok(()) };
    let text = input::own(&path).map_err(with_remedy)?.text;
    apply(settings, &text, &path)
}

/// Takes the settings of a text, which is that of the file `path`.
fn apply(settings: &mut Settings, text: &str, path: &Path) -> Result<(), Failure> {
    let place = |at: usize| {
        let line = text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        format!("{}:{line}", printable(path.as_os_str().as_encoded_bytes()))
    };
    let wrong = |span: std::ops::Range<usize>, message: &str, help: Option<String>| {
        let mut diagnostic = Diagnostic::new(Span { start: span.start, end: span.end }, message);
        diagnostic.help = help;
        Failure::query(diagnostic, text, Some(&place(span.start)))
    };
    let table = DeTable::parse(text).map_err(|error| {
        wrong(error.span().unwrap_or_default(), error.message(), Some(SYNTAX.to_owned()))
    })?;
    // In the order of the file, so that the first mistake is told.
    let mut lines: Vec<_> = table.get_ref().iter().collect();
    lines.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in lines {
        let name = key.get_ref();
        let setting =
            setting::find(name).map_err(|found| wrong(key.span(), &found.message, found.help))?;
        let Some(word) = word(value) else {
            let example = setting.names().and_then(|words| words.first().copied());
            let help = format!("for example `{name} = \"{}\"`", example.unwrap_or("…"));
            return Err(wrong(value.span(), &format!("`{name}` takes a single value"), Some(help)));
        };
        let origin = Origin::File(place(key.span().start));
        setting::set(settings, name, &word, origin)
            .map_err(|found| wrong(value.span(), &found.message, found.help))?;
    }
    Ok(())
}

/// A value as a command would have it.
fn word(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(on) => Some(on.shown()),
        DeValue::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

const REMEDY: &str = "start with `--no-config` to ignore it";
const SYNTAX: &str =
    "write lines such as `exact = true` and `format = \"csv\"`; `--no-config` ignores the file";

fn with_remedy(mut failure: Failure) -> Failure {
    if let Failure::Environment(found) = &mut failure {
        found.help.get_or_insert_with(|| REMEDY.to_owned());
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::sys::assert_linear;
    use crate::render;

    fn read(text: &str) -> Result<Settings, String> {
        let mut settings = Settings::default();
        apply(&mut settings, text, Path::new("/c.toml")).map_err(|failure| failure.text())?;
        Ok(settings)
    }

    #[test]
    fn lines_are_settings() {
        let settings =
            read("# habits\nexact = true\n\nformat = 'json'\ntimer = \"off\"\n").unwrap();
        assert!(settings.exact && settings.timer == Timer::Off);
        assert_eq!(settings.format, render::of_name("json"));
        assert_eq!(settings.origins["format"], Origin::File("/c.toml:4".to_owned()));
        assert!(read("").unwrap().origins.is_empty());
    }

    #[test]
    fn settings_take_what_their_text_takes() {
        let long = |size: usize| "x".repeat(10 * size);
        for text in [
            &|size: usize| "# a comment\n\n".repeat(size) + "exact = true\n",
            &|size: usize| format!("null = \"{}\"\n", long(size)),
            &|size: usize| format!("null = [{}]\n", "1, ".repeat(size)),
            &|size: usize| format!("{} = 1\n", long(size)),
            &|size: usize| (0..size).map(|n| format!("x{n} = {n}\n")).collect(),
            &|size: usize| "[".repeat(size),
        ] as [&dyn Fn(usize) -> String; 6]
        {
            assert_linear(1000, |size| {
                let _ = read(&text(size));
            });
        }
    }

    #[test]
    fn wrong_lines_are_marked() {
        for (text, expected) in [
            (
                "exact = true\nformt = 'csv'",
                "in /c.toml:2:\nerror: unknown setting `formt`\n  |\n2 | formt = 'csv'\n  | ^^^^^\n  = help: did you mean `format`?\n",
            ),
            (
                "format = 'cvs'",
                "in /c.toml:1:\nerror: `format` cannot be `cvs`\n  |\n1 | format = 'cvs'\n  |          ^^^^^\n  = help: did you mean `csv`?\n",
            ),
            (
                "exact = [1]",
                "in /c.toml:1:\nerror: `exact` takes a single value\n  |\n1 | exact = [1]\n  |         ^^^\n  = help: for example `exact = \"on\"`\n",
            ),
            (
                "exact = true\nexact = false",
                "in /c.toml:2:\nerror: duplicate key\n  |\n2 | exact = false\n  | ^^^^^\n  = help: write lines such as `exact = true` and `format = \"csv\"`; `--no-config` ignores the file\n",
            ),
            (
                "[exact]\n",
                "in /c.toml:1:\nerror: `exact` takes a single value\n  |\n1 | [exact]\n  | ^^^^^^^\n  = help: for example `exact = \"on\"`\n",
            ),
        ] {
            let found = read(text).unwrap_err();
            assert_eq!(found, expected, "{text}");
        }
    }
}
