//! Opens files to read, and those that slabql owns: the history, the settings, named snapshots, saved queries, the log.
//!
//! # Invariants
//!
//! What slabql owns is a regular file of the user's, or one that root put there. It is opened without waiting, so that
//! a FIFO or a device in its place is an error and no hang, and by `open(2)` itself, so that links are followed
//! exactly where the kernel follows them. How much of it is read is for the caller to bound.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;

use super::path::is_standard;

/// Whose a file is that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// slabql's, in a folder of its own.
    Own,
    /// Whatever the user names: a pipe is as good as a file, and `-` is standard input.
    Any,
}

/// A folder of slabql.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The settings.
    Config,
    /// What is kept for its user: queries, snapshots.
    Data,
    /// What slabql remembers: the history.
    State,
}

impl Folder {
    /// Where it is, whether it is there or not. The error is in words.
    pub fn path(self) -> Result<PathBuf, String> {
        let folders = etcetera::choose_base_strategy().map_err(|error| error.to_string())?;
        let base = match self {
            Self::Config => folders.config_dir(),
            Self::Data => folders.data_dir(),
            Self::State => folders.state_dir().ok_or("this system has no state directory")?,
        };
        Ok(base.join("slabql"))
    }
}

/// Makes a folder that only its owner may enter, with those above it.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file to read it.
pub fn open(path: &Path, whose: Whose) -> io::Result<File> {
    match whose {
        Whose::Any if is_standard(path) => Ok(io::stdin().as_fd().try_clone_to_owned()?.into()),
        Whose::Any => waiting(path, OFlags::RDONLY),
        Whose::Own => checked(path, OpenOptions::new().read(true)),
    }
}

/// Opens a file as it is. Somebody at the other end, as of a FIFO, is waited for until a signal comes: the standard library
/// would wait on.
pub fn waiting(path: &Path, flags: OFlags) -> io::Result<File> {
    Ok(rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// Opens a file of slabql's own to read it and to add to it. A new one is for its owner's eyes.
pub fn append(path: &Path) -> io::Result<File> {
    checked(path, OpenOptions::new().read(true).append(true).create(true).mode(0o600))
}

/// Standard output, as a file of its own.
pub fn standard_output() -> io::Result<File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

fn checked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Before it is opened, because to open a device may do something, and again, because it may be another one by then.
    match fs::metadata(path) {
        Ok(there) => check(&there)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(there: &Metadata) -> io::Result<()> {
    let kind = there.file_type();
    if there.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !there.is_file() {
        let what = if kind.is_fifo() { "a FIFO" } else { "a device or a socket" };
        return Err(io::Error::other(format!("it is {what}, not a regular file")));
    }
    if is_mine(there.uid()) { Ok(()) } else { Err(io::Error::other("it belongs to another user")) }
}

/// Whether a file of this user is the user's own. Root may put files in place for everybody, and under sudo the files
/// of whoever called it are meant.
fn is_mine(uid: u32) -> bool {
    let me = geteuid();
    let caller = || std::env::var("SUDO_UID").ok()?.parse::<u32>().ok();
    uid == 0 || uid == me.as_raw() || (me.is_root() && caller() == Some(uid))
}
