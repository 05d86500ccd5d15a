//! The settings: one table, from which the fields of [`Settings`], `.config`, `config.toml`, the options of the command
//! line and their help are made.
//!
//! A setting's name is the key of the file, the option of the command line and, in capitals behind [`PREFIX`], a variable
//! of the environment: `exact = true`, `--exact`, `SLABQL_EXACT=on`. The environment overrides the file, the command line
//! overrides both, and what is typed at the prompt overrides all three.

use std::collections::BTreeMap;
use std::env;

use query::syntax::{TokenKind, lex};
use query::{foreign, suggest};

use crate::features::trace::{DEFAULT_MEMORY, DEPTH};
use crate::render::{self, Color, FORMATS, Format, Options};
use crate::report::error::{Failure, Message};
use crate::report::escape::printable;
use crate::shell::foreign::FORMATS as FORMATS_OF_OTHERS;
use crate::sink::Medium;

/// A setting.
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What `--help` calls its value.
    pub value: &'static str,
    /// A sentence.
    pub doc: &'static str,
    /// The words that it can be, each with a phrase; none where it can be others too.
    pub words: fn() -> Option<Words>,
    /// Whether its option means `on` when it stands alone.
    pub switch: bool,
    /// Its value, as it is written.
    pub shown: fn(&Settings) -> String,
    /// Takes a value; false of one that it cannot have.
    pub set: fn(&mut Settings, &str) -> bool,
}

/// Words, each with a phrase of help, or none.
pub type Words = Vec<(&'static str, &'static str)>;

/// What a setting can hold.
pub trait Value: Sized {
    /// Whether its option means `on` when it stands alone.
    const SWITCH: bool = false;

    /// Reads it.
    fn read(word: &str) -> Option<Self>;

    /// Its text, which [`Value::read`] reads.
    fn shown(&self) -> String;

    /// The words that there are, unless there are others too.
    #[must_use]
    fn words() -> Option<Words> {
        None
    }
}

/// Makes [`Settings`] and [`SETTINGS`] of rows: name, type, default, the value in `--help`, a sentence.
macro_rules! settings {
    ($($name:ident: $type:ty = $default:expr, $value:literal, $doc:literal;)*) => {
        /// How answers are made and shown.
        #[derive(Clone, Debug)]
        pub struct Settings {
            /// Where answers go that are not sent elsewhere.
            pub standard: Medium,
            $(#[doc = $doc] pub $name: $type,)*
            /// Where the settings come from that are not as they are by themselves.
            pub origins: BTreeMap<&'static str, Origin>,
        }

        impl Default for Settings {
            fn default() -> Self {
                let (standard, origins) = Default::default();
                Self { standard, $($name: $default,)* origins }
            }
        }

        /// The settings, in the order of `.config` and `--help`.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            value: $value,
            doc: $doc,
            words: <$type as Value>::words,
            switch: <$type as Value>::SWITCH,
            shown: |settings| Value::shown(&settings.$name),
            set: |settings, word| {
                <$type as Value>::read(word).map(|value| settings.$name = value).is_some()
            },
        }),*];
    };
}

settings! {
    format: Option<Format> = None, "FORMAT", "The output format; `auto` is a table on a terminal, for a file by its ending, otherwise CSV.";
    exact: bool = false, "on|off", "Shows plain integers instead of `4.0 KiB`.";
    thousands: bool = true, "on|off", "Shows counts as `1,605,942`, unless they are exact.";
    color: Color = Color::Auto, "WHEN", "When to use colours; `NO_COLOR` is respected.";
    plain: bool = false, "on|off", "Writes for screen readers: in ASCII, one row a line, no colours.";
    timer: Timer = Timer::Off, "on|off|stages", "Shows the number of rows and the time after every answer, or the time of each stage; on at the prompt.";
    width: Option<u16> = None, "N", "The width of tables in columns; 0 for unlimited, `auto` for the terminal's.";
    rows: Option<u16> = None, "N", "The most rows of a table on a terminal, the first and the last ones; 0 for all, `auto` for 40 where no pager shows all.";
    null: String = Options::default().null, "TEXT", "The text shown for NULL in formats for people.";
    memory: Size = Size(DEFAULT_MEMORY), "SIZE", "The most memory of the kernel that the maps of a trace may take, such as `64M`.";
    depth: Depth = Depth(DEPTH), "N", "The most functions of a stack that a trace keeps, the allocator's own among them: 1 to 48.";
    pager: bool = true, "on|off", "Shows long answers at the prompt in `$PAGER`, or `less -FRSX`; `--no-pager` is short for `--pager=off`.";
}

/// The value that a setting finds out by itself.
pub const AUTO: &str = "auto";

impl Value for Option<Format> {
    fn read(word: &str) -> Option<Self> {
        if word == AUTO { Some(None) } else { render::of_name(word).map(Some) }
    }

    fn shown(&self) -> String {
        self.map_or(AUTO, |format| format.name).to_owned()
    }

    fn words() -> Option<Words> {
        let auto = (AUTO, "depends on where the answer goes");
        let formats = FORMATS.iter().map(|format| (format.name, format.help));
        Some([auto].into_iter().chain(formats).collect())
    }
}

impl Value for bool {
    const SWITCH: bool = true;

    fn read(word: &str) -> Option<Self> {
        match word {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        }
    }

    fn shown(&self) -> String {
        if *self { "on" } else { "off" }.to_owned()
    }

    fn words() -> Option<Words> {
        Some(vec![("on", ""), ("off", "")])
    }
}

/// What is told behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Nothing.
    Off,
    /// How many rows it has, and what it took.
    On,
    /// What each stage took, too.
    Stages,
}

impl Value for Timer {
    const SWITCH: bool = true;

    fn read(word: &str) -> Option<Self> {
        match word {
            "stages" => Some(Self::Stages),
            word => bool::read(word).map(|on| if on { Self::On } else { Self::Off }),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Stages => "stages",
        }
        .to_owned()
    }

    fn words() -> Option<Words> {
        Some(vec![("on", ""), ("off", ""), ("stages", "")])
    }
}

impl Value for Color {
    fn read(word: &str) -> Option<Self> {
        Self::of_name(word)
    }

    fn shown(&self) -> String {
        self.name().to_owned()
    }

    fn words() -> Option<Words> {
        Some(Self::ALL.map(|color| (color.name(), color.help())).to_vec())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Value for Size {
    fn read(word: &str) -> Option<Self> {
        match lex(word).ok()?.as_slice() {
            [token] => match token.kind {
                TokenKind::Size(bytes) | TokenKind::Int(bytes) => Some(Self(bytes)),
                _ => None,
            },
            _ => None,
        }
    }

    fn shown(&self) -> String {
        let unit = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("", 0)];
        let whole = unit.into_iter().find(|(_, shift)| self.0.trailing_zeros() >= *shift);
        let (name, shift) = whole.filter(|_| self.0 > 0).unwrap_or(("", 0));
        format!("{}{name}", self.0 >> shift)
    }
}

/// A number of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth(pub usize);

impl Value for Depth {
    fn read(word: &str) -> Option<Self> {
        word.parse().ok().filter(|depth| (1..=DEPTH).contains(depth)).map(Self)
    }

    fn shown(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Option<u16> {
    fn read(word: &str) -> Option<Self> {
        if word == AUTO { Some(None) } else { word.parse().ok().map(Some) }
    }

    fn shown(&self) -> String {
        self.map_or(AUTO.to_owned(), |number| number.to_string())
    }
}

impl Value for String {
    fn read(word: &str) -> Option<Self> {
        Some(printable(word.as_bytes()))
    }

    fn shown(&self) -> String {
        self.clone()
    }
}

impl Setting {
    /// The variable of the environment that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        PREFIX.to_owned() + &self.name.to_uppercase()
    }

    /// The value of that variable; an empty one sets nothing.
    #[must_use]
    pub fn from_environment(&self) -> Option<String> {
        let value = env::var_os(self.variable()).filter(|value| !value.is_empty())?;
        Some(value.to_string_lossy().into_owned())
    }

    /// The words that it can be, where there are no others.
    #[must_use]
    pub fn names(&self) -> Option<Vec<&'static str>> {
        Some((self.words)()?.into_iter().map(|(word, _)| word).collect())
    }
}

/// What the names of variables of the environment begin with.
pub const PREFIX: &str = "SLABQL_";

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// It is what it is without being set.
    #[default]
    Default,
    /// A line of the file of settings.
    File(String),
    /// Its variable of the environment.
    Variable,
    /// The command line.
    Option,
    /// A dot command.
    Command,
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
        let called = match origin {
            Origin::Variable => setting.variable(),
            _ => name.to_owned(),
        };
        let message = format!("`{called}` cannot be `{}`", printable(value.as_bytes()));
        let foreign = foreign::instead(FORMATS_OF_OTHERS, value).filter(|_| name == "format");
        let help = || setting.names().and_then(|words| suggest::help(value, words));
        let help = foreign.map(str::to_owned).or_else(help);
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
            for word in setting.names().unwrap_or_default() {
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
