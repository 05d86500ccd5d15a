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
//!
//! rustyline's own `FileHistory` does not serve here. It opens whatever the path leads to, waits for ever on a FIFO and sets
//! the mode of a link's target; it reads a file of any size; one line that is not UTF-8 makes it give up all that follow;
//! and an entry goes to the file only when the editor is told to append, after reading again what others wrote. A test
//! below holds the two against each other.

use std::collections::HashSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustyline::history::MemHistory;
use rustyline::{Editor, Helper};

use super::text::shown;
use crate::file::own::{self, Folder};
use crate::file::whole::{Readers, WholeFile};
use crate::report::error::errno;
use crate::report::message;

/// The most entries of the history.
pub(super) const MOST: usize = 10_000;

/// The most bytes of an entry: what is pasted may be any text.
const LONGEST: usize = 64 << 10;

/// The most bytes that are read, from the end of the file. One that is longer is replaced.
const MOST_BYTES: u64 = 8 << 20;

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
        let file = match prepare() {
            Ok(file) => file,
            Err(reason) => {
                message::note(&format!("no history: {reason}"));
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

/// Makes the folder and the file where they are not there, and the file its owner's. What a link leads to keeps its
/// mode: somebody put it there on purpose.
fn prepare() -> Result<PathBuf, String> {
    let folder = Folder::State.path()?;
    let file = folder.join("history");
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", path.display(), errno(error));
    own::make_folder(&folder).map_err(|error| failed(&folder, &error))?;
    let private = || {
        let opened = own::append(&file)?;
        if opened.metadata()?.mode() & 0o077 != 0 && !file.is_symlink() {
            opened.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(())
    };
    private().map_err(|error| failed(&file, &error))?;
    Ok(file)
}

/// Opens the file and locks it. Who held the lock before may have put another in its place.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = own::append(path)?;
        file.lock()?;
        let place = |meta: &fs::Metadata| (meta.dev(), meta.ino());
        if fs::metadata(path)
            .is_ok_and(|now| file.metadata().is_ok_and(|own| place(&own) == place(&now)))
        {
            return Ok(file);
        }
    }
}

/// The entries of the file, each once, where it stands last; the newest of them. Lines that are not UTF-8 are passed
/// over.
fn load(path: &Path) -> io::Result<Vec<String>> {
    let mut file = locked(path)?;
    let mut first = Vec::new();
    Read::by_ref(&mut file).take(VERSION.len() as u64).read_to_end(&mut first)?;
    let start = file.metadata()?.len().saturating_sub(MOST_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(MOST_BYTES).read_to_end(&mut bytes)?;
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // What stands before it is no entry, or not the whole of one.
    if start > 0 || first == VERSION.as_bytes() {
        lines.remove(0);
    }
    let mut seen = HashSet::new();
    let texts = lines.iter().rev().filter_map(|line| str::from_utf8(line).ok());
    let newest = texts.filter(|line| !line.is_empty() && seen.insert(*line));
    let mut entries: Vec<&str> = newest.take(MOST).collect();
    entries.reverse();
    // A file that does not begin as one of ours is added to, but not replaced.
    if (start > 0 || lines.len() > 2 * MOST) && first == VERSION.as_bytes() {
        replace(path, &entries)?;
    }
    Ok(entries.into_iter().map(unescaped).collect())
}

/// Puts a file with these lines in the place of the file, whose lock is held.
fn replace(path: &Path, lines: &[&str]) -> io::Result<()> {
    let mut file = WholeFile::create(path, Readers::Usual)?;
    file.write_all(format!("{VERSION}{}\n", lines.join("\n")).as_bytes())?;
    file.commit()
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
    use std::fs::OpenOptions;
    use std::os::unix::fs::symlink;
    use std::thread;

    use rustyline::history::{FileHistory, History as _};

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

    #[test]
    fn bad_lines_are_passed_over() {
        let folder = Temporary::new("bad");
        let file = folder.file();
        fs::write(&file, b"#V2\none\n\xff\xfe\ntwo\n").unwrap();
        assert_eq!(load(&file).unwrap(), ["one", "two"]);
        append(&file, "three").unwrap();
        assert_eq!(load(&file).unwrap(), ["one", "two", "three"]);
        // What rustyline does is why this module is here.
        assert!(FileHistory::new().load(&file).is_err());
    }

    #[test]
    fn the_target_of_a_link_keeps_its_mode() {
        let folder = Temporary::new("link");
        let target = folder.0.join("target");
        fs::write(&target, "#V2\none\n").unwrap();
        let mode = || fs::metadata(&target).unwrap().mode() & 0o777;
        fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
        symlink("target", folder.file()).unwrap();
        append(&folder.file(), "two").unwrap();
        assert_eq!((load(&folder.file()).unwrap().len(), mode()), (2, 0o644));
        let mut theirs = FileHistory::new();
        theirs.load(&folder.file()).unwrap();
        theirs.add("three").unwrap();
        theirs.append(&folder.file()).unwrap();
        assert_eq!(mode(), 0o600, "rustyline changes it");
    }

    #[test]
    fn the_end_of_a_long_file_is_read_and_kept() {
        let folder = Temporary::new("long");
        let file = folder.file();
        let line = format!("{}\n", "x".repeat(1023));
        fs::write(&file, format!("{VERSION}{}last\n", line.repeat(3 * 8192))).unwrap();
        assert_eq!(load(&file).unwrap().last().unwrap(), "last");
        assert!(fs::metadata(&file).unwrap().len() <= MOST_BYTES);
        // Somebody else's text is not cut.
        let other = line.repeat(3 * 8192);
        fs::write(&file, &other).unwrap();
        load(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), other.len() as u64);
    }
}
