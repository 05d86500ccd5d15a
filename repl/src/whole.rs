//! Writes a file that is there as a whole or not at all.
//!
//! What is written has no name until it is whole (`O_TMPFILE`), so nothing is left behind however slabql ends. Then it
//! gets a name beside its place and is moved there. Where the file system has no such files, it has that name from the
//! start, and is removed when it fails.
//!
//! What is no ordinary file, such as a pipe or a device, is written to as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, linkat};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Those of the file whose place it takes, or as of any other file that the process makes.
    Usual,
    /// Its owner.
    Owner,
}

/// A file on its way to its place.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    /// Where it goes; none for what is written to as it is.
    place: Option<PathBuf>,
    /// Its name meanwhile, if it has one.
    part: Option<PathBuf>,
}

impl WholeFile {
    /// Begins a file that takes the place of `path`.
    pub fn create(path: &Path, readers: Readers) -> io::Result<Self> {
        let there = fs::metadata(path);
        if there.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if there.as_ref().is_ok_and(|there| !there.is_file()) {
            let file = OpenOptions::new().write(true).open(path)?;
            return Ok(Self { file, place: None, part: None });
        }
        // A link stays one: the file that it leads to is replaced.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let whole = Self::nameless(&place, readers).or_else(|_| Self::named(&place, readers))?;
        if let (Ok(there), Readers::Usual) = (there, readers) {
            whole.file.set_permissions(there.permissions())?;
        }
        Ok(whole)
    }

    /// The same, beginning with what is there.
    pub fn append(path: &Path) -> io::Result<Self> {
        let mut whole = Self::create(path, Readers::Usual)?;
        if whole.place.is_some() {
            match File::open(path) {
                Ok(mut there) => io::copy(&mut there, &mut whole.file).map(drop)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(whole)
    }

    fn nameless(place: &Path, readers: Readers) -> io::Result<Self> {
        let file = readers.options().custom_flags(libc::O_TMPFILE).open(folder(place))?;
        Ok(Self { file, place: Some(place.to_owned()), part: None })
    }

    fn named(place: &Path, readers: Readers) -> io::Result<Self> {
        let part = part(place)?;
        // In a folder that others write to, a link may be put where the part is to be: then it is not made.
        let file = readers.options().create_new(true).open(&part)?;
        Ok(Self { file, place: Some(place.to_owned()), part: Some(part) })
    }

    /// Puts the file in its place.
    pub fn commit(mut self) -> io::Result<()> {
        let Some(place) = self.place.take() else { return self.file.flush() };
        // A disk may be full, or gone, without a write that says so.
        self.file.sync_all()?;
        if self.part.is_none() {
            let part = part(&place)?;
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linkat(CWD, own, CWD, &part, AtFlags::SYMLINK_FOLLOW)?;
            self.part = Some(part);
        }
        let part = self.part.as_ref().map_or(place.as_path(), PathBuf::as_path);
        fs::rename(part, &place)?;
        self.part = None;
        // The name itself is on the disk when its folder is. Not every file system can be asked for that.
        let _ = File::open(folder(&place)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Readers {
    fn options(self) -> OpenOptions {
        let mode = if self == Self::Owner { 0o600 } else { 0o666 };
        let mut options = OpenOptions::new();
        options.write(true).mode(mode);
        options
    }
}

/// The folder of a file.
fn folder(place: &Path) -> &Path {
    match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A free name beside a file's. What an earlier process of this number has left there is removed.
fn part(place: &Path) -> io::Result<PathBuf> {
    let mut name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = place.with_file_name(name);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(part),
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // What failed before is what counts.
            let _ = fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Make = fn(&Path) -> io::Result<WholeFile>;
    const CREATE: Make = |path| WholeFile::create(path, Readers::Usual);
    const NAMED: Make = |path| WholeFile::named(path, Readers::Usual);

    /// A folder of a test's own.
    fn temporary(name: &str) -> PathBuf {
        let name = format!("slabql-whole-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_is_there_when_it_is_whole() {
        let folder = temporary("commit");
        let path = folder.join("f");
        let steps: [(Make, &str, &str); 4] = [
            (CREATE, "one", "one"),
            (CREATE, "two", "two"),
            (WholeFile::append, "three", "twothree"),
            (NAMED, "four", "four"),
        ];
        for (make, text, expected) in steps {
            let before = fs::read(&path).ok();
            let mut file = make(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(fs::read(&path).ok(), before);
            file.commit().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
        assert_eq!(names(&folder), ["f"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let folder = temporary("drop");
        let path = folder.join("f");
        fs::write(&path, "old").unwrap();
        for make in [CREATE, WholeFile::append, NAMED] {
            let mut file = make(&path).unwrap();
            file.write_all(b"new").unwrap();
            drop(file);
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
            assert_eq!(names(&folder), ["f"]);
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
