//! Keeps what was typed at the prompt, from one session to the next.
//!
//! The file is `slabql/history` in the XDG state folder. Names of caches may say what a machine is for, so the file
//! and its folder are their owner's alone. A statement is appended when it is entered, as one line, by one write and
//! under a lock: a session that is killed loses nothing, and several at once keep each other's. The file is replaced
//! only when it has grown to twice what is kept, by a whole new one. Where it cannot be used the prompt says so once
//! and works without.
//!
//! The lines are rustyline's: after a first line `#V2` an entry each, with `\n` and `\\` for a line break and a
//! backslash. Before an entry stands when it was entered, as bash has it: `#` and the seconds since 1970.
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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

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

/// What was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub text: String,
    /// When, in seconds since 1970, if that is known.
    pub time: Option<u64>,
}

/// The entries, the newest last, for a search among them while a line is edited.
#[derive(Default)]
pub(super) struct Past(Mutex<Vec<Entry>>);

impl Past {
    /// All of them, the newest first.
    pub fn newest(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Takes these entries, each of which is there once.
    fn fill(&self, entries: Vec<Entry>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = entries;
    }

    fn add(&self, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|other| other.text != entry.text);
        entries.push(entry);
    }
}

/// The history of a prompt.
pub(super) struct History {
    /// None after a failure.
    file: Option<PathBuf>,
    past: Arc<Past>,
}

/// The seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl History {
    /// Opens the history and gives its entries to `editor` and to the `past`.
    pub fn open<H: Helper>(editor: &mut Editor<H, MemHistory>, past: Arc<Past>) -> Self {
        let file = match prepare() {
            Ok(file) => file,
            Err(reason) => {
                message::note(&format!("no history: {reason}"));
                return Self { file: None, past };
            }
        };
        match load(&file) {
            Ok(entries) => {
                for entry in &entries {
                    // It fails for nothing that is in memory only.
                    let _ = editor.add_history_entry(shown(&entry.text));
                }
                past.fill(entries);
                Self { file: Some(file), past }
            }
            Err(error) => {
                let reason = errno(&error);
                message::note(&format!("the history {} cannot be read: {reason}", file.display()));
                // What cannot be read is not written over.
                Self { file: None, past }
            }
        }
    }

    /// Adds an entry, in memory and in the file. What equals it moves to the end in memory; in the file it stays
    /// until that is read again.
    pub fn add<H: Helper>(&mut self, editor: &mut Editor<H, MemHistory>, entry: &str) {
        if entry.is_empty() || entry.len() > LONGEST {
            return;
        }
        self.past.add(Entry { text: entry.to_owned(), time: Some(now()) });
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
fn load(path: &Path) -> io::Result<Vec<Entry>> {
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
    let mut timed: Vec<(&str, Option<u64>)> = Vec::new();
    let mut time = None;
    for line in lines.iter().filter_map(|line| str::from_utf8(line).ok()) {
        match time_of(line) {
            Some(found) => time = Some(found),
            None => timed.push((line, time.take())),
        }
    }
    let mut seen = HashSet::new();
    let newest = timed.iter().rev().filter(|(line, _)| !line.is_empty() && seen.insert(*line));
    let mut entries: Vec<(&str, Option<u64>)> = newest.take(MOST).copied().collect();
    entries.reverse();
    // A file that does not begin as one of ours is added to, but not replaced.
    if (start > 0 || timed.len() > 2 * MOST) && first == VERSION.as_bytes() {
        replace(path, &entries)?;
    }
    Ok(entries.into_iter().map(|(line, time)| Entry { text: unescaped(line), time }).collect())
}

/// The time that a line says, if it is one of a time.
fn time_of(line: &str) -> Option<u64> {
    let digits = line.strip_prefix('#')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Puts a file with these lines in the place of the file, whose lock is held.
fn replace(path: &Path, lines: &[(&str, Option<u64>)]) -> io::Result<()> {
    let mut file = WholeFile::create(path, Readers::Usual)?;
    let mut text = VERSION.to_owned();
    for (line, time) in lines {
        if let Some(time) = time {
            text.push_str(&format!("#{time}\n"));
        }
        text.push_str(line);
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
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
    let escaped = entry.replace('\\', "\\\\").replace('\n', "\\n");
    line.push_str(&format!("#{}\n{escaped}\n", now()));
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
    use crate::kernel::sys::assert_linear;

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

    fn texts(file: &Path) -> Vec<String> {
        load(file).unwrap().into_iter().map(|entry| entry.text).collect()
    }

    #[test]
    fn times_stand_before_their_entries() {
        let folder = Temporary::new("times");
        let file = folder.file();
        fs::write(&file, "#V2\nold\n#17\none\n#x\n#\n#18\n#19\none\n#20\n").unwrap();
        let entry = |text: &str, time| Entry { text: text.to_owned(), time };
        let all = [entry("old", None), entry("#x", None), entry("#", None), entry("one", Some(19))];
        assert_eq!(load(&file).unwrap(), all);
        let lines: Vec<_> = all.iter().map(|entry| (entry.text.as_str(), entry.time)).collect();
        replace(&file, &lines).unwrap();
        assert_eq!(load(&file).unwrap(), all);
        let past = Past::default();
        for entry in all {
            past.add(entry);
        }
        past.add(entry("old", Some(30)));
        assert_eq!((past.newest().len(), past.newest()[0].clone()), (4, entry("old", Some(30))));
    }

    #[test]
    fn a_history_takes_what_its_text_takes() {
        let folder = Temporary::new("linear");
        let file = folder.file();
        for same in [1, 7, usize::MAX] {
            assert_linear(1000, |count| {
                let line = |n: usize| format!("#{n}\nselect {} where a = 'b\\\\n';\n", n % same);
                fs::write(&file, VERSION.to_owned() + &(0..count).map(line).collect::<String>())
                    .unwrap();
                let past = Past::default();
                past.fill(load(&file).unwrap());
                assert_eq!(past.newest().len(), count.min(same));
            });
        }
        assert_linear(10_000, |length| {
            fs::write(&file, format!("{VERSION}{}\n", "\\n".repeat(length / 2))).unwrap();
            assert_eq!(load(&file).unwrap()[0].text.len(), length / 2);
        });
    }

    #[test]
    fn entries_come_back_once_and_as_they_were() {
        let folder = Temporary::new("entries");
        let file = folder.file();
        let lines = ["select 1;", "select\n 'a\\nb';", "\\d", "select 1;"];
        for line in lines {
            append(&file, line).unwrap();
        }
        assert_eq!(texts(&file), &lines[1..]);
        assert!(load(&file).unwrap().iter().all(|entry| entry.time.is_some()));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        // A line that lost its end takes no other with it.
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"select 2").unwrap();
        append(&file, "select 3;").unwrap();
        assert_eq!(texts(&file)[3..], ["select 2", "select 3;"]);
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
        let entries = texts(&file);
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
        assert_eq!(texts(&file), ["one", "two"]);
        append(&file, "three").unwrap();
        assert_eq!(texts(&file), ["one", "two", "three"]);
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
        assert_eq!(texts(&file).last().unwrap(), "last");
        assert!(fs::metadata(&file).unwrap().len() <= MOST_BYTES);
        // Somebody else's text is not cut.
        let other = line.repeat(3 * 8192);
        fs::write(&file, &other).unwrap();
        load(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), other.len() as u64);
    }
}
