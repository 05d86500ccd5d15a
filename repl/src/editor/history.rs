//! Keeps what was typed at the prompt, from one session to the next.
//!
//! The file is `slabql/history` in the XDG state folder. Names of caches may say what a machine is for, so the file
//! and its folder are their owner's alone. A statement is appended when it is entered, as one line, by one write and
//! under a lock: a session that is killed loses nothing, and several at once keep each other's. The file is replaced
//! only when it has grown to twice what is kept, by a whole new one. Where it cannot be used the prompt says so once
//! and works without.
//!
//! The lines are rustyline's: after a first line `#V2` an entry each, with `\n` and `\\` for a line break and a
//! backslash.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use rustyline::history::MemHistory;
use rustyline::{Editor, Helper};

use super::shown;
use crate::report::error::errno;
use crate::report::message;

/// The most entries of the history.
pub(super) const MOST: usize = 10_000;

/// The most bytes of an entry: what is pasted may be any text.
const LONGEST: usize = 64 << 10;

/// What the file begins with.
const VERSION: &str = "#V2\n";

/// The history of a prompt.
pub(super) struct History {
    /// None after a failure.
    file: Option<PathBuf>,
}

impl History {
    /// Opens the history and gives its entries to `editor`.
    pub fn open<H: Helper>(editor: &mut Editor<H, MemHistory>) -> Self {
        let file = match folder().and_then(|folder| prepare(&folder)) {
            Ok(file) => file,
            Err(reason) => {
                message::note(&format!("there is no history: {reason}"));
                return Self { file: None };
            }
        };
        match load(&file) {
            Ok(entries) => {
                for entry in entries {
                    // It fails for nothing that is in memory only.
                    let _ = editor.add_history_entry(shown(&entry));
                }
                Self { file: Some(file) }
            }
            Err(error) => {
                let reason = errno(&error);
                message::note(&format!("the history {} cannot be read: {reason}", file.display()));
                // What cannot be read is not written over.
                Self { file: None }
            }
        }
    }

    /// Adds an entry, in memory and in the file. What equals it moves to the end in memory; in the file it stays
    /// until that is read again.
    pub fn add<H: Helper>(&mut self, editor: &mut Editor<H, MemHistory>, entry: &str) {
        if entry.is_empty() || entry.len() > LONGEST {
            return;
        }
        let line = shown(entry);
        let last = editor.history().into_iter().next_back() == Some(&line);
        if !last && editor.history().into_iter().any(|other| *other == line) {
            let rest: Vec<String> =
                editor.history().into_iter().filter(|other| **other != line).cloned().collect();
            let _ = editor.clear_history();
            for entry in rest {
                let _ = editor.add_history_entry(entry);
            }
        }
        let _ = editor.add_history_entry(line);
        if let (false, Some(file)) = (last, &self.file)
            && let Err(error) = append(file, entry)
        {
            let reason = errno(&error);
            message::note(&format!("the history {} cannot be written: {reason}", file.display()));
            self.file = None;
        }
    }
}

/// The folder of slabql in the XDG state folder.
fn folder() -> Result<PathBuf, String> {
    let folders = etcetera::choose_base_strategy().map_err(|error| error.to_string())?;
    let state = folders.state_dir().ok_or("this system has no state folder")?;
    Ok(state.join("slabql"))
}

/// Makes the folder and the file where they are not there, and the file its owner's.
fn prepare(folder: &Path) -> Result<PathBuf, String> {
    let file = folder.join("history");
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", path.display(), errno(error));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| failed(folder, &error))?;
    let opened = open(&file).map_err(|error| failed(&file, &error))?;
    let mode = opened.metadata().map_err(|error| failed(&file, &error))?.mode();
    if mode & 0o077 != 0 {
        let private = opened.set_permissions(Permissions::from_mode(0o600));
        private.map_err(|error| failed(&file, &error))?;
    }
    Ok(file)
}

fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)
}

/// Opens the file and locks it. Who held the lock before may have put another in its place.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = open(path)?;
        file.lock()?;
        let place = |meta: &fs::Metadata| (meta.dev(), meta.ino());
        if fs::metadata(path)
            .is_ok_and(|now| file.metadata().is_ok_and(|own| place(&own) == place(&now)))
        {
            return Ok(file);
        }
    }
}

/// The entries of the file, each once, where it stands last; the newest of them.
fn load(path: &Path) -> io::Result<Vec<String>> {
    let mut file = locked(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    let lines: Vec<&str> = text.strip_prefix(VERSION).unwrap_or(&text).lines().collect();
    let mut seen = HashSet::new();
    let newest = lines.iter().rev().filter(|line| !line.is_empty() && seen.insert(**line));
    let mut entries: Vec<&str> = newest.take(MOST).copied().collect();
    entries.reverse();
    if lines.len() > 2 * MOST {
        replace(path, &entries)?;
    }
    Ok(entries.into_iter().map(unescaped).collect())
}

/// Puts a file with these lines in the place of the file, whose lock is held.
fn replace(path: &Path, lines: &[&str]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(format!("{VERSION}{}\n", lines.join("\n")).as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// Appends an entry.
fn append(path: &Path, entry: &str) -> io::Result<()> {
    let mut file = locked(path)?;
    let mut line = String::new();
    let end = file.seek(SeekFrom::End(0))?;
    if end == 0 {
        line.push_str(VERSION);
    } else {
        // Where a disk was full a line may have lost its end.
        let mut last = [0];
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)?;
        line.extend((last != *b"\n").then_some('\n'));
    }
    line.push_str(&entry.replace('\\', "\\\\").replace('\n', "\\n"));
    line.push('\n');
    file.write_all(line.as_bytes())
}

/// The entry of a line.
fn unescaped(line: &str) -> String {
    let mut entry = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => entry.push('\n'),
                other => entry.extend(other),
            },
            (c, false) => entry.push(c),
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A file in a folder of its own, which is deleted at the end.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let name = format!("slabql-history-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("history")
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn entries_come_back_once_and_as_they_were() {
        let folder = Temporary::new("entries");
        let file = folder.file();
        let lines = ["select 1;", "select\n 'a\\nb';", "\\d", "select 1;"];
        for line in lines {
            append(&file, line).unwrap();
        }
        assert_eq!(load(&file).unwrap(), &lines[1..]);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        // A line that lost its end takes no other with it.
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"select 2").unwrap();
        append(&file, "select 3;").unwrap();
        assert_eq!(load(&file).unwrap()[3..], ["select 2", "select 3;"]);
    }

    #[test]
    fn a_file_that_grew_is_replaced_while_others_append() {
        let folder = Temporary::new("grown");
        let file = folder.file();
        let old: String = (0..=2 * MOST).map(|n| format!("old {n}\n")).collect();
        fs::write(&file, format!("{VERSION}{old}")).unwrap();
        thread::scope(|scope| {
            for writer in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for n in 0..50 {
                        append(file, &format!("new {writer} {n}")).unwrap();
                        if n == 10 {
                            load(file).unwrap();
                        }
                    }
                });
            }
        });
        let entries = load(&file).unwrap();
        assert_eq!(entries.iter().filter(|entry| entry.starts_with("new ")).count(), 200);
        assert!(
            entries.len() <= MOST && fs::read_to_string(&file).unwrap().lines().count() < 2 * MOST
        );
    }
}
