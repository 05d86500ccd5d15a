//! Says where answers go: standard output, a file, a command.
//!
//! ```text
//!   .output FILE ─► all answers that follow ┐
//!   .once FILE   ─► the answer that follows ┼─► Target ─► close: the file takes its place, the command is waited for
//!   .pipe COMMAND ► the answer that follows ┘
//! ```
//!
//! An answer is what one statement writes, or what a command such as `.tables` says. A command that says nothing leaves
//! the place of the next answer to what follows.
//!
//! # Invariants
//!
//! A file takes its place when the answer is whole ([`whole`](crate::file::whole)); one that
//! failed leaves what was there. slabql starts no other program where its file gives it rights that whoever runs it has not.

mod browser;
mod child;
mod pager;

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Path, PathBuf};

use crate::file::path::RECORDING;
use crate::file::whole::{Readers, WholeFile};
use crate::kernel::{signals, sys};
use crate::render::{self, Capacity, Format};
use crate::report::error::{Failure, refusal};
use crate::report::escape::{printable, printable_lines};
use crate::report::terminal::{ascii, is_plain};
use child::Child;
pub use child::refused;
use pager::Paged;

/// Where answers go.
#[derive(Debug, Default)]
pub struct Sink {
    /// The file of `.output`, and what it has by now.
    all: Option<(PathBuf, Written)>,
    /// What standard output has by now.
    given: Written,
    /// The format of the answer that is written now, where it has one.
    format: Option<Format>,
    /// The place of the next answer.
    once: Option<Place>,
    /// What the answer that is written now goes to.
    now: Option<Place>,
    /// Whether somebody sits at the terminal, who may be shown a pager.
    pub interactive: bool,
}

/// What a place has that takes one answer behind the other.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    any: bool,
    /// The format that it is complete in.
    complete: Option<Format>,
}

impl Written {
    /// An answer was written.
    fn add(&mut self, format: Option<Format>) {
        self.any = true;
        self.complete = format.filter(|format| format.capacity != Capacity::Many);
    }
}

/// Where an answer goes that does not go where the others do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A command of the shell.
    Command(String),
    /// Standard output.
    Standard,
}

impl Sink {
    /// Lets all answers that follow go to a file, or to standard output again.
    pub fn set_all(&mut self, path: Option<PathBuf>) {
        self.once = None;
        self.all = path.map(|path| (path, Written::default()));
    }

    /// Whether the next answer has a place of its own.
    #[must_use]
    pub fn has_once(&self) -> bool {
        self.once.is_some()
    }

    /// Lets the answer that follows go to a place.
    pub fn set_once(&mut self, place: Place) {
        self.once = Some(place);
    }

    /// Where the next answer is to go.
    fn place(&self) -> Option<Place> {
        self.once.clone().or_else(|| self.all.as_ref().map(|(path, _)| Place::File(path.clone())))
    }

    /// Begins an answer in a format, unless its place would have two of which one stands alone.
    pub fn begin(&mut self, format: Format, medium: Medium) -> Result<(), Failure> {
        refuse_binary(format, medium)?;
        self.format = Some(format);
        let written = match (&self.now, &self.all) {
            _ if medium == Medium::Terminal => return Ok(()),
            (None, _) => self.given,
            (Some(Place::File(path)), Some((all, written))) if path == all => *written,
            (Some(_), _) => return Ok(()),
        };
        let alone = (format.capacity != Capacity::Many).then_some(format);
        match written.complete.or(alone) {
            Some(alone) if written.any => {
                let message =
                    format!("`{}` holds one answer, and there is one already", alone.name);
                let help = "`.once FILE` writes the next answer to a file of its own";
                Err(Failure::command(message, Some(help)))
            }
            _ => Ok(()),
        }
    }

    /// Begins what a command says, which may be nothing.
    pub fn expect(&mut self) {
        self.now = self.place();
    }

    /// Ends what a command said.
    pub fn give(&mut self, text: &[u8], given: &mut dyn Write, pager: bool) -> Result<(), Failure> {
        self.now = None;
        if text.is_empty() {
            return Ok(());
        }
        let mut target = self.open(given, pager)?;
        let written = target.write_all(text).map_err(Failure::Write);
        self.close(target, written)
    }

    /// Whether a pager would show the next answer if it is long.
    #[must_use]
    pub fn is_paged(&self) -> bool {
        self.interactive && io::stdout().is_terminal() && pager::is_there()
    }

    /// Opens the place of an answer; `given` is standard output. A `pager` is asked for where it is of use.
    pub fn open<'a>(
        &mut self,
        given: &'a mut dyn Write,
        pager: bool,
    ) -> Result<Target<'a>, Failure> {
        // An answer that fails before it is written is asked for again elsewhere, so the place is kept until there is one.
        let place = self.place();
        let append = !self.has_once() && self.all.as_ref().is_some_and(|(_, written)| written.any);
        let to = match &place {
            None if pager && self.is_paged() => To::Paged(Paged::new(given)),
            None | Some(Place::Standard) => To::Given(given),
            Some(Place::File(path)) => To::File(self.opened(AnswerFile::open(path, append))?),
            Some(Place::Command(command)) => To::Command(self.opened(Child::shell(command))?),
        };
        self.now = place;
        Ok(Target(to))
    }

    /// A place that was opened; one that cannot be is not tried again.
    fn opened<T>(&mut self, opened: Result<T, Failure>) -> Result<T, Failure> {
        opened.inspect_err(|_| self.once = None)
    }

    /// Ends the answer, which was written or not.
    pub fn close(
        &mut self,
        target: Target<'_>,
        answered: Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.now = None;
        let format = self.format.take();
        if matches!(answered, Ok(()) | Err(Failure::Write(_))) {
            self.once = None;
        }
        match target.0 {
            To::Given(_) => {
                answered?;
                self.given.add(format);
                Ok(())
            }
            To::Paged(out) => out.close(answered),
            To::File(file) => {
                let path = file.path.clone();
                file.close(answered)?;
                if let Some((all, written)) = &mut self.all
                    && *all == path
                {
                    written.add(format);
                }
                Ok(())
            }
            To::Command(child) => {
                let ended = child.end();
                match answered {
                    // It has read enough.
                    Err(failure) if failure.is_closed_pipe() => ended,
                    answered => answered.and(ended),
                }
            }
        }
    }

    /// What the answer that is written now goes to, if not to where the command line says.
    #[must_use]
    pub fn medium(&self) -> Option<Medium> {
        self.now.as_ref().and_then(|place| match place {
            Place::File(path) => Some(Medium::file(path)),
            Place::Command(_) => Some(Medium::Pipe),
            Place::Standard => None,
        })
    }
}

/// Refuses bytes that a terminal cannot show.
pub fn refuse_binary(format: Format, medium: Medium) -> Result<(), Failure> {
    if format.capacity != Capacity::Binary || medium != Medium::Terminal {
        return Ok(());
    }
    let help = "write it to a file with `--output FILE` or `.once FILE`, or to a pipe";
    Err(Failure::command(format!("a terminal cannot show `{}`", format.name), Some(help)))
}

/// What an answer is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A terminal.
    Terminal,
    /// A file, with the format that its name asks for.
    File(Option<Format>),
    /// Whatever else there is.
    Pipe,
}

impl Default for Medium {
    /// Standard output.
    fn default() -> Self {
        if io::stdout().is_terminal() { Self::Terminal } else { Self::Pipe }
    }
}

impl Medium {
    /// The file of a path.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File(of_name(path))
    }

    /// The format of an answer for which none is asked.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Terminal => &render::TABLE,
            Self::File(named) => named.unwrap_or(&render::CSV),
            Self::Pipe => &render::CSV,
        }
    }
}

/// The format that a file's name asks for.
fn of_name(path: &Path) -> Option<Format> {
    render::of_ending(path.extension()?.to_str()?)
}

/// The place of one answer, open.
pub struct Target<'a>(To<'a>);

enum To<'a> {
    Given(&'a mut dyn Write),
    Paged(Paged<'a>),
    File(AnswerFile),
    Command(Child),
}

/// Refuses the name of a recording for `what`, which is something else: it would take the place of one.
pub fn refuse_recording(path: &Path, what: &str) -> Result<(), Failure> {
    let is_recording = path.file_name().is_some_and(|name| {
        name.to_ascii_lowercase().as_encoded_bytes().ends_with(RECORDING.as_bytes())
    });
    if !is_recording {
        return Ok(());
    }
    let path = printable(path.as_os_str().as_encoded_bytes());
    let message = format!("`{path}` is the name of a recording, not of {what}");
    let help = "`slabql snapshot FILE` or `.snapshot save NAME` makes a recording; anything else takes another ending, as in `--output x.csv`";
    Err(Failure::command(message, Some(help)))
}

/// A file that is to have an answer.
struct AnswerFile {
    path: PathBuf,
    file: BufWriter<WholeFile>,
}

impl AnswerFile {
    fn open(path: &Path, append: bool) -> Result<Self, Failure> {
        refuse_recording(path, "an answer")?;
        let file =
            if append { WholeFile::append(path) } else { WholeFile::create(path, Readers::Usual) };
        let file =
            file.or_else(|error| signals::check().and(Err(Failure::file("write", path, &error))))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Puts the file in its place if there is an answer.
    fn close<T>(self, answered: Result<T, Failure>) -> Result<T, Failure> {
        let failed = |error: io::Error| Failure::file("write", &self.path, &error);
        let answer = answered.map_err(|failure| match failure {
            Failure::Write(error)
                if error.kind() != io::ErrorKind::BrokenPipe && refusal(&error).is_none() =>
            {
                failed(error)
            }
            other => other,
        })?;
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.commit().map_err(failed)?;
        Ok(answer)
    }
}

impl Write for Target<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            To::Given(out) => out.write(bytes),
            To::Paged(out) => out.write(bytes),
            To::File(to) => to.file.write(bytes),
            To::Command(child) => child.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            To::Given(out) => out.flush(),
            To::Paged(out) => out.flush(),
            To::File(to) => to.file.flush(),
            To::Command(child) => child.flush(),
        }
    }
}

/// What the answers of a command line go to.
pub struct Answers(Option<AnswersTo>);

enum AnswersTo {
    Standard(BufWriter<StdoutLock<'static>>),
    File(AnswerFile),
}

impl Answers {
    /// To a file, which all of them make together, or to standard output, or if they are not wanted to nothing.
    pub fn open(file: Option<&Path>, quiet: bool) -> Result<Self, Failure> {
        Ok(Self(match file {
            Some(path) => Some(AnswersTo::File(AnswerFile::open(path, false)?)),
            None if quiet => None,
            None => Some(AnswersTo::Standard(BufWriter::new(io::stdout().lock()))),
        }))
    }

    /// Ends them. The file takes its place if nothing failed.
    pub fn close<T>(self, answered: Result<T, Failure>) -> Result<T, Failure> {
        match self.0 {
            Some(AnswersTo::File(file)) => file.close(answered),
            Some(AnswersTo::Standard(mut out)) => {
                let answer = answered?;
                out.flush().map_err(Failure::Write)?;
                Ok(answer)
            }
            None => answered,
        }
    }
}

/// What the kernel says of a descriptor that is not there.
fn closed() -> io::Error {
    rustix::io::Errno::BADF.into()
}

impl Write for Answers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(AnswersTo::Standard(_)) if sys::is_stdout_closed() => Err(closed()),
            Some(AnswersTo::Standard(out)) => out.write(bytes),
            Some(AnswersTo::File(to)) => to.file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Some(AnswersTo::Standard(out)) => out.flush(),
            Some(AnswersTo::File(to)) => to.file.flush(),
            None => Ok(()),
        }
    }
}

/// Writes a text of several lines for people to where answers go.
pub fn draw(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    let text = printable_lines(text);
    let plain = !text.is_ascii() && io::stdout().is_terminal() && is_plain();
    let text = if plain { ascii(&text) } else { text };
    out.write_all(text.as_bytes()).map_err(Failure::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_asks_for_a_format() {
        for (name, format) in [
            ("a.csv", Some(&render::CSV)),
            ("a.json", render::of_name("json")),
            ("A.JSON", render::of_name("json")),
            ("a.b.jsonl", render::of_name("ndjson")),
            ("a.md", render::of_name("markdown")),
            ("a.txt", Some(&render::TABLE)),
            ("a", None),
            (".csv", None),
            ("a.gz", None),
        ] {
            assert_eq!(of_name(Path::new(name)), format, "{name}");
        }
    }
}
