//! Remembers files that must not outlive slabql, so that those of a process that was killed are removed at the next
//! start.
//!
//! While such a file has a name, a note in slabql's state folder holds its path, and the process holds the note's
//! lock. Whoever can take that lock finds the note of a process that is gone. A process that ends by itself removes
//! both. Where there is no state folder there are no notes: nothing but a kill leaves a file behind then.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::own::{self, Folder, Whose};

/// What the names of notes begin with.
const NOTE: &str = "part-";

/// A part of the name of every file that is noted; nothing else is ever removed.
pub const MARK: &str = "slabql";

/// The most bytes of a path.
const MAX_PATH: u64 = 4096;

/// A file that is removed when this is dropped.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    /// The note, whose lock is held as long as it is open.
    note: Option<(PathBuf, File)>,
}

impl Part {
    /// Notes a file that is to be made.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let note = note(&path);
        Self { path, note }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file up, because it has another name now.
    pub fn keep(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may never have been made, or be gone.
        if !self.path.as_os_str().is_empty() {
            let _ = fs::remove_file(&self.path);
        }
        if let Some((note, _)) = &self.note {
            let _ = fs::remove_file(note);
        }
    }
}

fn note(part: &Path) -> Option<(PathBuf, File)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = Folder::State.path().ok()?;
    own::make_folder(&folder).ok()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{NOTE}{}-{number}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).ok()?;
    let written = file.lock().and_then(|()| file.write_all(part.as_os_str().as_bytes()));
    // A note that is not whole names another file.
    if written.is_err() {
        let _ = fs::remove_file(path);
        return None;
    }
    Some((path, file))
}

/// Removes what processes that were killed have left.
pub fn sweep() {
    let Ok(entries) = Folder::State
        .path()
        .and_then(|folder| fs::read_dir(folder).map_err(|error| error.to_string()))
    else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().as_bytes().starts_with(NOTE.as_bytes()) {
            // Whatever fails here is tried again at the next start.
            let _ = take_away(&entry.path());
        }
    }
}

fn take_away(note: &Path) -> std::io::Result<()> {
    let file = own::open(note, Whose::Own)?;
    if file.try_lock().is_err() {
        return Ok(());
    }
    let mut path = Vec::new();
    file.take(MAX_PATH).read_to_end(&mut path)?;
    let part = PathBuf::from(std::ffi::OsString::from_vec(path));
    let name = part.file_name().unwrap_or_default().to_string_lossy().contains(MARK);
    if name && part.is_absolute() && part.symlink_metadata().is_ok_and(|there| there.is_file()) {
        fs::remove_file(&part)?;
    }
    fs::remove_file(note)
}
