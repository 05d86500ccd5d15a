//! Pinned iterators: files of bpffs that anybody who may read them reads, and which run the query each time.
//!
//! # Invariants
//!
//! A pin is made only where it is asked for, and is gone when it is taken away or the machine restarts. The folder of pins is
//! made for the first and goes with the last.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use query::output::{Output, OutputColumn};
use query::suggest;
use query::value::{Type, Unit, Value};
use rustix::fs::statfs;

use crate::kernel::iter::Attached;
use crate::report::error::Failure;
use crate::report::message;

/// Where the kernel keeps what is pinned.
const BPFFS: &str = "/sys/fs/bpf";
/// What tells that it does.
const MAGIC: u64 = 0xcafe_4a11;
/// The folder of slabql's pins.
const FOLDER: &str = "/sys/fs/bpf/slabql";

/// Pins the program of an object, and lets those read it whom `mode` lets.
pub fn pin(object: &[u8], name: &str, mode: u32) -> Result<PathBuf, Failure> {
    let path = path(name)?;
    if !statfs(BPFFS).is_ok_and(|found| u64::try_from(found.f_type) == Ok(MAGIC)) {
        let message = format!("the BPF file system is not mounted on {BPFFS}");
        return Err(Failure::environment(message, Some("`mount -t bpf bpf /sys/fs/bpf`")));
    }
    if fs::symlink_metadata(&path).is_ok() {
        let help = format!("`slabql unpin {name}` takes it away");
        return Err(Failure::command(format!("there is a pin `{name}` already"), Some(&help)));
    }
    let attached = Attached::load(object, &[])?;
    let begun = fs::create_dir(FOLDER);
    let folder = match begun {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(Failure::file("make", Path::new(FOLDER), &error));
        }
        _ => fs::metadata(FOLDER),
    };
    // Whoever may read the pin must come to it.
    let readers = mode & 0o044;
    let through = readers | (readers >> 2);
    let open = |folder: Metadata| {
        let before = if begun.is_ok() { 0o700 } else { folder.permissions().mode() & 0o777 };
        fs::set_permissions(FOLDER, Permissions::from_mode(before | through))
    };
    let opened =
        folder.and_then(open).map_err(|error| Failure::file("open", Path::new(FOLDER), &error));
    let pinned = opened.and_then(|()| attached.pin(&path)).and_then(|()| {
        let allowed = fs::set_permissions(&path, Permissions::from_mode(mode));
        allowed.map_err(|error| Failure::file("change", &path, &error))
    });
    if let Err(failure) = pinned {
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir(FOLDER);
        return Err(failure);
    }
    let above = fs::metadata(BPFFS).map_or(0, |found| found.permissions().mode());
    if above & (readers >> 2) != readers >> 2 {
        let mode = above & 0o777;
        message::note(&format!(
            "others cannot come to it: {BPFFS} has the mode {mode:o}; `chmod {:o} {BPFFS}` lets them",
            mode | (readers >> 2)
        ));
    }
    Ok(path)
}

/// Lists the pins.
pub fn list() -> Result<Output, Failure> {
    let mut rows = Vec::new();
    for (name, path) in names()? {
        let mode = fs::metadata(&path).map(|found| found.permissions().mode() & 0o777);
        let mode = mode.map_or(Value::Null, |mode| Value::text(format!("{mode:04o}")));
        rows.push(vec![Value::text(name), mode, Value::text(path.display().to_string())]);
    }
    let column = |name| OutputColumn::new(name, Type::Text, Unit::None);
    let columns = ["name", "mode", "file"].map(column).to_vec();
    Ok(Output { columns, rows, warnings: Vec::new() })
}

/// Takes a pin away.
pub fn unpin(name: &str) -> Result<(), Failure> {
    let path = path(name)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let names = names()?;
            let near = suggest::nearest(name, names.iter().map(|(name, _)| &**name));
            let help = near.map_or("`slabql pins` lists them".to_owned(), |near| {
                suggest::question(format_args!("{near}"))
            });
            Err(Failure::command(format!("there is no pin `{name}`"), Some(&help)))
        }
        Err(error) => Err(Failure::file("remove", &path, &error)),
        Ok(()) => {
            // Unless there are others.
            let _ = fs::remove_dir(FOLDER);
            Ok(())
        }
    }
}

/// The names of the pins, in their order, and their files.
fn names() -> Result<Vec<(String, PathBuf)>, Failure> {
    let read = |error| Failure::file("read", Path::new(FOLDER), &error);
    let entries = match fs::read_dir(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(read)?;
        names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    names.sort();
    Ok(names)
}

/// The file of a pin.
fn path(name: &str) -> Result<PathBuf, Failure> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
        let help = "letters, digits, `-` and `_` make a name: `large-caches`";
        return Err(Failure::command(format!("`{name}` cannot be the name of a pin"), Some(help)));
    }
    Ok(Path::new(FOLDER).join(name))
}
