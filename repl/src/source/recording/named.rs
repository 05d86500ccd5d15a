//! Recordings by the names of snapshots.
//!
//! A word of letters, digits, `-` and `_` that begins with one of the first two is the name of a snapshot, whose file is
//! `slabql/snapshots/NAME.slab` in the XDG data folder. Any other word is the path of a file. `live` is no name: it is the
//! running kernel.

use std::path::{Path, PathBuf};
use std::{fs, io};

use query::suggest;

use super::Recording;
use crate::file::own::{Folder, Whose};
use crate::file::path::{RECORDING, at_home};
use crate::report::error::Failure;

/// What stands for the running kernel.
pub const LIVE: &str = "live";

/// Where a snapshot is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    /// In the folder of snapshots, under a name.
    Named(PathBuf),
    /// Where a path says.
    Path(PathBuf),
}

/// Where the snapshot of a word is.
pub fn place(word: &str) -> Result<Place, Failure> {
    if is_name(word) {
        return Ok(Place::Named(folder()?.join(format!("{word}{RECORDING}"))));
    }
    Ok(Place::Path(at_home(word.into())))
}

fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_".contains(c);
    word.starts_with(char::is_alphanumeric) && word.chars().all(plain)
}

/// The folder of snapshots.
pub fn folder() -> Result<PathBuf, Failure> {
    let folder = Folder::Data.path().map_err(|error| {
        Failure::environment(format!("there is no directory for snapshots: {error}"), None)
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
        .filter_map(|file| Some(file.strip_suffix(RECORDING)?.to_owned()))
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
pub fn unknown(word: &str) -> Failure {
    let names = names().unwrap_or_default();
    let help = match suggest::meant(word, names.iter().map(String::as_str)) {
        _ if Path::new(word).is_file() => format!("`./{word}` is the file in this directory"),
        Some(question) => question,
        None if names.is_empty() => "`.snapshot save NAME` makes one".to_owned(),
        None => "`.snapshot list` lists the snapshots".to_owned(),
    };
    Failure::command(format!("there is no snapshot `{word}`"), Some(&help))
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
