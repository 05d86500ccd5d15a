//! Snapshots: recordings that are kept, to be asked later and compared.
//!
//! A word of letters, digits, `-` and `_` that begins with one of the first two is the name of a snapshot, whose file is `slabql/snapshots/NAME.slab` in the
//! XDG data folder. Any other word is the path of a file. `live` is no name: it is the running kernel.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use query::output::{Output, OutputColumn};
use query::suggest;
use query::value::{Type, Unit, Value};

use crate::args::Args;
use crate::command::{Next, path};
use crate::file::own::{self, Folder, Whose};
use crate::file::path::{at_home, is_standard};
use crate::kernel::sysfs;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::report::message;
use crate::session::Session;
use crate::source::Source;
use crate::source::recording::Recording;

/// How the name of a snapshot's file ends.
const ENDING: &str = ".slab";

/// What stands for the running kernel.
pub const LIVE: &str = "live";

/// Where a snapshot is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In the folder of snapshots, under a name.
    Named(PathBuf),
    /// Where a path says.
    Path(PathBuf),
}

fn place(word: &str) -> Result<Place, Failure> {
    if is_name(word) {
        return Ok(Place::Named(folder()?.join(format!("{word}{ENDING}"))));
    }
    Ok(Place::Path(at_home(word.into())))
}

fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_".contains(c);
    word.starts_with(char::is_alphanumeric) && word.chars().all(plain)
}

/// The folder of snapshots.
fn folder() -> Result<PathBuf, Failure> {
    let folder = Folder::Data.path().map_err(|error| {
        Failure::environment(format!("there is no folder for snapshots: {error}"), None)
    })?;
    Ok(folder.join("snapshots"))
}

/// The names of the snapshots, sorted.
pub fn names() -> Result<Vec<String>, Failure> {
    let folder = folder()?;
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::file("read", &folder, &error)),
    };
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.strip_suffix(ENDING)?.to_owned()))
        .filter(|name| is_name(name))
        .collect();
    names.sort();
    Ok(names)
}

/// What can be named as a moment: the snapshots, and the running kernel.
#[must_use]
pub fn moments() -> Vec<String> {
    let mut moments = names().unwrap_or_default();
    moments.push(LIVE.to_owned());
    moments
}

/// Opens the snapshot of a name, or the recording at a path; `-` is standard input.
pub fn open(word: &str) -> Result<Recording, Failure> {
    match place(word)? {
        Place::Path(path) => Recording::open(&path),
        Place::Named(path) if path.exists() => Recording::open_of(&path, Whose::Own),
        Place::Named(_) => Err(unknown(word)),
    }
}

/// The failure for a name that no snapshot has.
fn unknown(word: &str) -> Failure {
    let names = names().unwrap_or_default();
    let help = match suggest::meant(word, names.iter().map(String::as_str)) {
        _ if Path::new(word).is_file() => format!("`./{word}` is the file here"),
        Some(question) => question,
        None if names.is_empty() => "`.snapshot save NAME` makes one".to_owned(),
        None => "`.snapshot list` lists them".to_owned(),
    };
    Failure::command(format!("there is no snapshot `{word}`"), Some(&help))
}

/// `slabql snapshot FILE`.
pub fn verb(session: &mut Session, args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let [word] = args.arguments.as_slice() else {
        let help = "`slabql snapshot before.slab`, or `-` for standard output";
        return Err(Failure::command("`snapshot` takes a file", Some(help)));
    };
    save(session, word, out)?;
    Ok(0)
}

/// `.snapshot save NAME`, `.snapshot list`, `.snapshot drop NAME`.
pub fn command(
    session: &mut Session,
    argument: &str,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let (action, word) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let word = path(word)?.to_string_lossy().into_owned();
    match (action, word.as_str()) {
        ("save", word) if !word.is_empty() => save(session, word, out)?,
        ("drop", word) if !word.is_empty() => remove(word)?,
        ("list" | "", "") => list(session, out)?,
        _ => {
            let help = "`.snapshot save before`, `.snapshot drop before`, `.snapshot list`";
            return Err(Failure::command("`.snapshot` saves, drops or lists", Some(help)));
        }
    }
    Ok(Next::Prompt)
}

/// Reads the running kernel.
fn record(session: &Session) -> Result<Recording, Failure> {
    if !session.source.kind().is_here() {
        let help = "leave `--from` and `--demo` out; a recording is copied as any file is";
        return Err(Failure::command("a snapshot is of the running kernel", Some(help)));
    }
    session.record()
}

fn save(session: &Session, word: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if is_standard(Path::new(word)) {
        let text = record(session)?.text();
        return out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Write);
    }
    if word == LIVE {
        let help = "name it after the moment: `before`";
        return Err(Failure::command("`live` is the running kernel, and no name", Some(help)));
    }
    let path = match place(word)? {
        Place::Path(path) => path,
        Place::Named(path) => {
            let folder = folder()?;
            own::make_folder(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
            path
        }
    };
    let recording = record(session)?;
    recording.save(&path)?;
    let path = printable(path.as_os_str().as_encoded_bytes());
    message::line(&format!("snapshot of {} caches in {path}", recording.len()));
    Ok(())
}

fn remove(word: &str) -> Result<(), Failure> {
    match place(word)? {
        Place::Named(path) if path.exists() => {
            fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))
        }
        Place::Named(_) => Err(unknown(word)),
        Place::Path(_) => {
            let help = "files elsewhere are yours: `.snapshot list` lists the names";
            Err(Failure::command("`.snapshot drop` takes the name of a snapshot", Some(help)))
        }
    }
}

/// Lists the snapshots that have names.
fn list(session: &Session, out: &mut dyn Write) -> Result<(), Failure> {
    let boot = sysfs::boot();
    let mut rows = Vec::new();
    for name in names()? {
        let mut row = vec![Value::text(&name)];
        match open(&name) {
            Ok(recording) => row.extend([
                Value::text(recording.time()),
                Value::text(recording.release()),
                recording.boot().map_or(Value::Null, |its| Value::Bool(Some(its) == boot)),
                Value::UInt(recording.len() as u64),
            ]),
            Err(failure) => {
                message::failure(&failure);
                row.resize(5, Value::Null);
            }
        }
        rows.push(row);
    }
    if rows.is_empty() && io::stdout().is_terminal() {
        message::line("none; `.snapshot save NAME` makes one");
    }
    let columns = vec![
        OutputColumn::new("name", Type::Text, Unit::None),
        OutputColumn::new("time", Type::Text, Unit::None),
        OutputColumn::new("kernel", Type::Text, Unit::None),
        OutputColumn::new("this_boot", Type::Bool, Unit::None),
        OutputColumn::new("caches", Type::UInt, Unit::Count),
    ];
    session.answer(&Output { columns, rows, warnings: Vec::new() }, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_word_is_a_name() {
        for word in ["before", "2026-11-26", "a_b", "Größe"] {
            assert!(is_name(word), "{word}");
        }
        for word in ["", "-", "_a", "a.slab", "./a", "/a", "a b", "..", "a/b", "a\0"] {
            assert!(!is_name(word), "{word}");
        }
    }
}
