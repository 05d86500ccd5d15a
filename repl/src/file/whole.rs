//! Writes a file that is there as a whole or not at all.
//!
//! What is written has no name until it is whole (`O_TMPFILE`), so nothing is left behind however slabql ends. If its
//! place is free, it gets its name there (`linkat`). What is there already can only be replaced by a rename, so the
//! file gets a name beside its place first; what is killed between the two has left a [`Part`], which the next start
//! removes. Where the file system has no nameless files, it has that name from the start.
//!
//! What is no regular file, such as a pipe or a device, is written to as it is.
//!
//! # Invariants
//!
//! A file is replaced only where `open(2)` would have opened it for writing, with what the kernel's `protected_symlinks`
//! and `protected_regular` forbid, and it stays its owner's: if that cannot be, it is not replaced.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open, openat, renameat};
use rustix::io::Errno;

use super::own;
use super::part::{MARK, Part};

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
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    /// The folder, which stays the same one wherever its path leads by then.
    folder: OwnedFd,
    name: OsString,
    /// Whether there is a file to replace.
    replaces: bool,
    /// Its name meanwhile, if it has one.
    part: Option<Part>,
}

impl WholeFile {
    /// Begins a file that takes the place of `path`.
    pub fn create(path: &Path, readers: Readers) -> io::Result<Self> {
        Self::begin(path, readers, nameless)
    }

    fn begin(
        path: &Path,
        readers: Readers,
        make: fn(&mut Place, Mode) -> io::Result<OwnedFd>,
    ) -> io::Result<Self> {
        // As the kernel has it: it is the name of a folder, also of one that is not there.
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let found = match fs::metadata(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            found => found,
        };
        match &found {
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                let file = own::waiting(path, OFlags::WRONLY | OFlags::NOCTTY)?;
                return Ok(Self { file, place: None });
            }
            _ => {}
        }
        let (path, there) = match (found, fs::symlink_metadata(path)) {
            (_, Err(_)) => (path.to_owned(), None),
            (Ok(_), Ok(_)) => replaced(path).map(|(path, there)| (path, Some(there)))?,
            // A link that leads nowhere: where that is the kernel says by making it.
            (Err(_), Ok(_)) => {
                let (path, there) = replaced(path)?;
                if there.len() == 0 {
                    fs::remove_file(&path)?;
                }
                (path, None)
            }
        };
        let mut place = Place::new(&path, there.is_some())?;
        let mode = if readers == Readers::Owner { 0o600 } else { 0o666 };
        let mode = Mode::from_raw_mode(mode);
        let file = File::from(make(&mut place, mode).or_else(|_| named(&mut place, mode))?);
        if let Some(there) = there {
            keep_owner(&file, &there, readers)?;
        }
        Ok(Self { file, place: Some(place) })
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

    /// The same file, to read back what was written; none for what is written to as it is.
    #[must_use]
    pub fn back(&self) -> Option<io::Result<File>> {
        self.place.as_ref().map(|_| self.file.try_clone())
    }

    /// Waits until all of it is on the disk, which may be full, or gone, without a write that says so.
    pub fn sync(&self) -> io::Result<()> {
        if self.place.is_some() { self.file.sync_all() } else { Ok(()) }
    }

    /// Puts the file in its place.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.flush()?;
        self.sync()?;
        let Some(mut place) = self.place.take() else { return Ok(()) };
        if place.part.is_none() {
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let link =
                |name: &Path| linkat(CWD, &own, &place.folder, name, AtFlags::SYMLINK_FOLLOW);
            match if place.replaces { Err(Errno::EXIST) } else { link(place.name.as_ref()) } {
                Ok(()) => {
                    place.sync();
                    return Ok(());
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let part = place.part()?;
            link(part.path().file_name().unwrap_or_default().as_ref())?;
            place.part = Some(part);
        }
        if let Some(part) = place.part.take() {
            let name = part.path().file_name().unwrap_or_default();
            renameat(&place.folder, name, &place.folder, &place.name)?;
            part.keep();
        }
        place.sync();
        Ok(())
    }
}

/// The file that is to be replaced, by the path that the kernel came to. The kernel opens it as it would to write to it,
/// so that links are followed, or not, and files touched, or not, by its rules.
fn replaced(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let there = file.metadata()?;
    let same = |now: Metadata| (now.dev(), now.ino()) == (there.dev(), there.ino());
    if !there.is_file() || !fs::symlink_metadata(&real).is_ok_and(same) {
        return Err(io::Error::other("it was moved in the meantime"));
    }
    Ok((real, there))
}

/// Gives a file the owner of the one that it replaces, and unless it is for its owner alone, its mode.
fn keep_owner(file: &File, there: &Metadata, readers: Readers) -> io::Result<()> {
    if readers == Readers::Usual {
        file.set_permissions(fs::Permissions::from_mode(there.mode() & 0o777))?;
    }
    let own = file.metadata()?;
    let uid = (own.uid() != there.uid()).then_some(there.uid());
    let gid = (own.gid() != there.gid()).then_some(there.gid());
    if uid.is_none() && gid.is_none() {
        return Ok(());
    }
    fchown(file, uid, gid).map_err(|_| {
        let whose = if uid.is_some() { "user" } else { "group" };
        io::Error::other(format!(
            "it belongs to another {whose}, and replacing it would change that"
        ))
    })
}

/// A file without a name.
fn nameless(place: &mut Place, mode: Mode) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(&place.folder, ".", flags, mode)?)
}

/// A file that never gets a name, in the folder of temporary ones.
pub fn temporary() -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::EXCL;
    Ok(open(std::env::temp_dir(), flags, Mode::from_raw_mode(0o600))?.into())
}

/// A file with a name beside its place.
fn named(place: &mut Place, mode: Mode) -> io::Result<OwnedFd> {
    let part = place.part()?;
    let name = part.path().file_name().unwrap_or_default();
    // In a folder that others write to, a link may be put where the part is to be: then it is not made.
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(&place.folder, name, flags, mode)?;
    place.part = Some(part);
    Ok(file)
}

impl Place {
    fn new(path: &Path, replaces: bool) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(folder, flags, Mode::empty())?;
        Ok(Self { folder, name, replaces, part: None })
    }

    /// A name beside the file's, noted.
    fn part(&self) -> io::Result<Part> {
        let folder = fs::read_link(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))?;
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(format!(".{}.{MARK}", std::process::id()));
        let part = Part::new(folder.join(name));
        // What an earlier process of this number has left there.
        let _ = fs::remove_file(part.path());
        Ok(part)
    }

    /// The name itself is on the disk when its folder is. Not every file system can be asked for that.
    fn sync(&self) {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = openat(self.folder.as_fd(), ".", flags, Mode::empty());
        let _ = folder.and_then(rustix::fs::fsync);
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

#[cfg(test)]
mod tests {
    use super::*;

    type Make = fn(&Path) -> io::Result<WholeFile>;
    const CREATE: Make = |path| WholeFile::create(path, Readers::Usual);
    const NAMED: Make = |path| WholeFile::begin(path, Readers::Usual, named);

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
