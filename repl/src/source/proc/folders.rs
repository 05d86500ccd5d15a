//! Finds the folder under `/sys/kernel/slab` that is a line's of `/proc/slabinfo`.
//!
//! A cache that can be merged has a folder with a made-up name, such as `:A-0000192`, and links to it by each of its
//! names. Any other has a folder by its own name. Names are not unique, and of two caches of one name the later takes
//! the link. So a folder is a line's only if
//!
//! - no other line has the name, and no other line leads to the folder;
//! - the size in a made-up name, which ends in it, is the line's.
//!
//! What is not found is not guessed: the figures in such a folder are NULL.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::slabinfo::Line;

/// The entries of `/sys/kernel/slab`.
pub struct Folders {
    path: PathBuf,
    /// To the folder that a name leads to.
    by_name: HashMap<Vec<u8>, Vec<u8>>,
}

impl Folders {
    /// Reads the names, not what is behind them. The error says why there are none.
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| {
            format!("{}: {}", path.display(), crate::report::error::errno(&error))
        };
        let mut by_name = HashMap::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_encoded_bytes();
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let folder = if is_link {
                // A cache may go while we look.
                let Ok(target) = fs::read_link(entry.path()) else { continue };
                let Some(folder) = target.file_name() else { continue };
                folder.as_bytes().to_vec()
            } else {
                name.clone()
            };
            by_name.insert(name, folder);
        }
        Ok(Self { path: path.to_owned(), by_name })
    }

    /// The folder of each line, as far as it is certain.
    #[must_use]
    pub fn of(&self, lines: &[Line]) -> Vec<Option<Vec<u8>>> {
        let found: Vec<Option<&Vec<u8>>> = lines
            .iter()
            .map(|line| self.by_name.get(&line.name).filter(|folder| fits(folder, line.size())))
            .collect();
        let (mut names, mut folders) = (HashMap::new(), HashMap::new());
        for (line, folder) in lines.iter().zip(&found) {
            *names.entry(&line.name).or_insert(0_u32) += 1;
            *folders.entry(*folder).or_insert(0_u32) += 1;
        }
        let alone = |(line, folder): (&Line, Option<&Vec<u8>>)| {
            let alone = names.get(&line.name) == Some(&1) && folders.get(&folder) == Some(&1);
            folder.filter(|_| alone).cloned()
        };
        lines.iter().zip(found).map(alone).collect()
    }

    /// The links that lead to a folder, sorted, `own` left out.
    #[must_use]
    pub fn links(&self, folder: &[u8], own: &[u8]) -> Vec<Vec<u8>> {
        let leads = |(name, target): &(&Vec<u8>, &Vec<u8>)| {
            *target == folder && *name != folder && *name != own
        };
        let mut links: Vec<_> =
            self.by_name.iter().filter(leads).map(|(name, _)| name.clone()).collect();
        links.sort_unstable();
        links
    }

    /// The path of a folder.
    #[must_use]
    pub fn path(&self, folder: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(folder))
    }

    /// The folders themselves.
    pub fn all(&self) -> impl Iterator<Item = PathBuf> {
        self.by_name.iter().filter(|(name, folder)| name == folder).map(|(name, _)| self.path(name))
    }
}

/// Whether a folder can be that of a cache whose objects are `size` bytes apart.
fn fits(folder: &[u8], size: u64) -> bool {
    if !folder.starts_with(b":") {
        return true;
    }
    let digits = folder.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = str::from_utf8(&folder[folder.len() - digits..]);
    digits.is_ok_and(|digits| digits.parse() == Ok(size))
}
