//! The three kinds of failure, which are never mixed, and how they are told.
//!
//! | kind | whose | exit code |
//! |---|---|---|
//! | [`WrongQuery`], or a [`Message`] about a command or an option | the user's text | 1 |
//! | [`Environment`] | the machine's | 2 |
//! | [`Bug`] | slabql's own | 3 |
//!
//! A fourth exit code says that a condition holds, which is no failure.
//!
//! Texts in here are what they are; they are escaped when they are told.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;

use query::diagnostic::Diagnostic;
use query::exec::Interrupted;

use super::escape::{printable, printable_lines, sentence};
use super::terminal;
use crate::file;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The query is wrong.
    Query(Box<WrongQuery>),
    /// A dot command, an argument or an option is wrong.
    Command(Message),
    /// The machine cannot answer.
    Environment(Environment),
    /// The machine refuses every source, the best one first.
    Refused(Vec<Refusal>),
    /// slabql is wrong.
    Bug(Bug),
    /// The answer could not be written.
    Write(io::Error),
    /// It was not wanted any more: Ctrl-C.
    Interrupted,
}

/// A query with what is wrong about it.
#[derive(Debug)]
pub struct WrongQuery {
    /// What is wrong.
    pub diagnostic: Diagnostic,
    /// The text that it speaks of.
    pub text: String,
    /// The file that the text came from.
    pub file: Option<String>,
}

/// A sentence that does not say whose fault it is: whoever passes it on knows whether it stands in a file, on the
/// command line or at the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One sentence in lower case, without a full stop.
    pub message: String,
    /// What would work.
    pub help: Option<String>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A format refuses an answer with one, by way of [`io::Error`].
impl Error for Message {}

/// What is wrong with the machine, not with the query and not with slabql.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// One sentence in lower case, without a full stop.
    pub message: String,
    /// What would work.
    pub help: Option<String>,
}

/// What is wrong with slabql.
#[derive(Debug)]
pub struct Bug {
    /// What happened.
    pub message: String,
    /// What a report should hold.
    pub details: String,
}

/// Why a source cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub source: &'static str,
    /// Why.
    pub reason: Environment,
}

impl Environment {
    /// A sentence without a remedy.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// Adds what would work.
    #[must_use]
    pub fn help(self, help: &str) -> Self {
        Self { help: Some(help.to_owned()), ..self }
    }

    /// A system call failed for a reason that has nothing to do with what was asked of it.
    #[must_use]
    pub fn failed(what: &str, error: &io::Error) -> Self {
        Self::new(format!("{what}: {}", errno(error)))
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, " (help: {help})"))
    }
}

impl Failure {
    /// A wrong query in `text`, which came from `file` if it came from one.
    #[must_use]
    pub fn query(diagnostic: Diagnostic, text: &str, file: Option<&str>) -> Self {
        let (text, file) = (text.to_owned(), file.map(str::to_owned));
        Self::Query(Box::new(WrongQuery { diagnostic, text, file }))
    }

    /// A failure of the machine with a sentence and, if there is one, a remedy.
    #[must_use]
    pub fn environment(message: impl Into<String>, help: Option<&str>) -> Self {
        Self::Environment(Environment { message: message.into(), help: help.map(str::to_owned) })
    }

    /// A wrong dot command with a sentence and, if there is one, a remedy.
    #[must_use]
    pub fn command(message: impl Into<String>, help: Option<&str>) -> Self {
        Self::Command(Message { message: message.into(), help: help.map(str::to_owned) })
    }

    /// A bug of slabql, with what a report of it should hold.
    #[must_use]
    pub fn bug(message: impl Into<String>, details: impl Into<String>) -> Self {
        Self::Bug(Bug { message: message.into(), details: details.into() })
    }

    /// A file that cannot be read or written.
    #[must_use]
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let path =
            if doing == "read" { file::path::shown(path) } else { path.display().to_string() };
        Environment::failed(&format!("cannot {doing} {path}"), error).into()
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Query(_) | Self::Command(_) => 1,
            Self::Write(error) if refusal(error).is_some() => 1,
            Self::Environment(_) | Self::Refused(_) | Self::Write(_) => 2,
            Self::Bug(_) => 3,
            Self::Interrupted => 130,
        }
    }

    /// Whether it is only that nobody reads the answer any more.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Its sentence and its help, whatever kind it is of.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            Self::Command(message) => message,
            Self::Environment(Environment { message, help }) => Message { message, help },
            failure => Message { message: failure.text().trim_end().to_owned(), help: None },
        }
    }

    /// What standard error shows; ends in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Query(wrong) => {
                let WrongQuery { diagnostic, text, file } = &**wrong;
                let from = file.as_ref().map_or_else(String::new, |file| {
                    format!("in {}:\n", printable(file.as_bytes()))
                });
                let snippet = diagnostic.render(text);
                if io::stderr().is_terminal() {
                    return format!("{from}{}", snippet.columns(terminal::columns()));
                }
                format!("{from}{snippet}")
            }
            Self::Command(Message { message, help })
            | Self::Environment(Environment { message, help }) => {
                let help = help.as_ref().map(|help| line("  = help", help)).unwrap_or_default();
                line("error", message) + &help
            }
            Self::Refused(refusals) => refused(refusals),
            Self::Bug(Bug { message, details }) => {
                let report =
                    "  = please report this with the query, the kernel's release and what follows";
                format!("{}{report}\n{}\n", line("bug", message), printable_lines(details))
            }
            Self::Interrupted => "interrupted\n".to_owned(),
            Self::Write(error) if let Some(refusal) = refusal(error) => {
                Self::Command(refusal.clone()).text()
            }
            Self::Write(error) => line("error: cannot write the answer", &errno(error)),
        }
    }
}

/// The failure to write an answer that the format cannot hold: the query is wrong for it, not the machine.
#[must_use]
pub fn refuse(message: impl Into<String>, help: &str) -> io::Error {
    io::Error::other(Message { message: message.into(), help: Some(help.to_owned()) })
}

/// Why a format refused an answer, if that is why it was not written.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<&Message> {
    error.get_ref()?.downcast_ref()
}

/// A line of a failure, whatever its text holds.
fn line(head: &str, text: &str) -> String {
    format!("{head}: {}\n", sentence(text))
}

/// Why the best source cannot be used, and behind it why the others cannot.
fn refused(refusals: &[Refusal]) -> String {
    let Some((Refusal { reason, .. }, others)) = refusals.split_first() else {
        return "error: there is no source\n".to_owned();
    };
    let mut text = Failure::Environment(reason.clone()).text();
    for Refusal { source, reason: other } in others.iter().filter(|other| other.reason != *reason) {
        let head = format!("  = note: `{source}` cannot be used either");
        text.push_str(&line(&head, &other.to_string()));
    }
    text
}

/// An I/O error without Rust's number.
#[must_use]
pub fn errno(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl From<Interrupted> for Failure {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<Environment> for Failure {
    fn from(environment: Environment) -> Self {
        Self::Environment(environment)
    }
}
