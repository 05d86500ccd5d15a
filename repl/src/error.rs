//! The three kinds of failure, which are never mixed, and how they are told.
//!
//! | kind | whose | exit code |
//! |---|---|---|
//! | query, command | the user's text | 1 |
//! | environment | the machine's | 2 |
//! | bug | slabql's own | 3 |
//!
//! A fourth exit code says that a condition holds, which is no failure: [`alert`](crate::alert).

use std::io;
use std::path::Path;

use query::diagnostic::Diagnostic;

use crate::kernel::load::LoadError;
use crate::kernel::read::ReadError;
use crate::kernel::rights::Environment;
use crate::render::printable;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The query is wrong.
    Query(Box<WrongQuery>),
    /// A dot command is wrong.
    Command(Environment),
    /// The machine cannot answer.
    Environment(Environment),
    /// The machine refuses every source, the best one first.
    Refused(Vec<Refusal>),
    /// slabql is wrong.
    Bug {
        /// What happened.
        message: String,
        /// What a report should hold.
        details: String,
    },
    /// The answer could not be written.
    Write(io::Error),
    /// It was not wanted any more: Ctrl-C.
    Interrupted,
}

/// Why a source cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its name.
    pub source: &'static str,
    /// Why.
    pub reason: Environment,
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

impl Failure {
    /// A wrong query in `text`, which came from `file` if it came from one.
    #[must_use]
    pub fn query(diagnostic: Diagnostic, text: &str, file: Option<&str>) -> Self {
        let (text, file) = (text.to_owned(), file.map(str::to_owned));
        Self::Query(Box::new(WrongQuery { diagnostic, text, file }))
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Query(_) | Self::Command(_) => 1,
            Self::Environment(_) | Self::Refused(_) | Self::Write(_) => 2,
            Self::Bug { .. } => 3,
            Self::Interrupted => 130,
        }
    }

    /// Whether it is only that nobody reads the answer any more.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// A failure of the machine with a sentence and, if there is one, a remedy.
    #[must_use]
    pub fn environment(message: impl Into<String>, help: Option<&str>) -> Self {
        Self::Environment(Environment { message: message.into(), help: help.map(str::to_owned) })
    }

    /// A wrong dot command with a sentence and, if there is one, a remedy.
    #[must_use]
    pub fn command(message: impl Into<String>, help: Option<&str>) -> Self {
        Self::Command(Environment { message: message.into(), help: help.map(str::to_owned) })
    }

    /// A file that cannot be read or written.
    #[must_use]
    pub fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let path = printable(path.as_os_str().as_encoded_bytes());
        Self::environment(format!("cannot {doing} {path}: {}", plain(error)), None)
    }

    /// What standard error shows; ends in a newline.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Query(wrong) => {
                let WrongQuery { diagnostic, text, file } = &**wrong;
                let from = file.as_ref().map_or_else(String::new, |file| format!("in {file}:\n"));
                format!("{from}{}", diagnostic.render(text))
            }
            Self::Command(Environment { message, help })
            | Self::Environment(Environment { message, help }) => {
                let help =
                    help.as_ref().map_or_else(String::new, |help| format!("  = help: {help}\n"));
                format!("error: {message}\n{help}")
            }
            Self::Refused(refusals) => refused(refusals),
            Self::Bug { message, details } => format!(
                "bug: {message}\n  = please report this with the query, the kernel's release and what follows\n{details}\n"
            ),
            Self::Interrupted => "interrupted\n".to_owned(),
            Self::Write(error) => format!("error: cannot write the answer: {}\n", plain(error)),
        }
    }
}

/// Why the best source cannot be used, and behind it why the others cannot.
fn refused(refusals: &[Refusal]) -> String {
    let Some((Refusal { reason, .. }, others)) = refusals.split_first() else {
        return "error: there is no source\n".to_owned();
    };
    let mut text = Failure::Environment(reason.clone()).text();
    for Refusal { source, reason: other } in others.iter().filter(|other| other.reason != *reason) {
        text.push_str(&format!("  = note: `{source}` cannot be used either: {other}\n"));
    }
    text
}

/// An I/O error without Rust's number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

impl From<Environment> for Failure {
    fn from(environment: Environment) -> Self {
        Self::Environment(environment)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Environment(environment) => Self::Environment(environment),
            LoadError::Rejected(rejected) => Self::Bug {
                message: format!(
                    "the kernel rejected the program that slabql generated: {}",
                    plain(&rejected.error)
                ),
                details: format!("{}\n{}", rejected.listing, rejected.log),
            },
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Failed(what, error) => {
                Self::environment(format!("{what}: {}", plain(&error)), None)
            }
            ReadError::Malformed(what) => Self::Bug {
                message: format!("the kernel's rows cannot be read: {what}"),
                details: String::new(),
            },
        }
    }
}
