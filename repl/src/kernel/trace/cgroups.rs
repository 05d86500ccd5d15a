//! Finds the paths of cgroups by their numbers, which are those of their folders in the hierarchy of version 2.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;

/// The most folders that are looked at.
const MAX: usize = 1 << 17;

/// The cgroups by number.
#[derive(Debug, Default)]
pub struct Cgroups(HashMap<u64, Vec<u8>>);

impl Cgroups {
    /// Those there are; none where the hierarchy cannot be seen.
    #[must_use]
    pub fn read() -> Self {
        let mut cgroups = Self::default();
        cgroups.learn();
        cgroups
    }

    /// Adds those that are new. One whose number was another's before is told by its path of then.
    pub fn learn(&mut self) {
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        if let Some(mount) = mounts.split(|byte| *byte == b'\n').find_map(Mount::of_line) {
            self.walk(&mount);
        }
    }

    /// The path of a cgroup.
    #[must_use]
    pub fn path(&self, number: u64) -> Option<&[u8]> {
        self.0.get(&number).map(Vec::as_slice)
    }

    fn walk(&mut self, mount: &Mount) {
        let Ok(root) = fs::metadata(&mount.folder) else { return };
        self.0.entry(root.ino()).or_insert_with(|| mount.root.clone());
        let mut folders = vec![(mount.folder.clone(), mount.root.clone())];
        let mut seen = HashSet::new();
        while let Some((folder, path)) = folders.pop() {
            // A folder that is gone has no cgroups.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if !is_folder || seen.len() >= MAX || !seen.insert(entry.ino()) {
                    continue;
                }
                let parent: &[u8] = if path == b"/" { b"" } else { &path };
                let path = [parent, entry.file_name().as_bytes()].join(&b'/');
                self.0.entry(entry.ino()).or_insert_with(|| path.clone());
                folders.push((entry.path(), path));
            }
        }
    }
}

/// Where the hierarchy is to be seen.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    folder: PathBuf,
    /// The cgroup that the folder is.
    root: Vec<u8>,
}

impl Mount {
    /// What a line of `/proc/self/mountinfo` tells: number, parent, device, root, folder, options, …, `-`, kind.
    fn of_line(line: &[u8]) -> Option<Self> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = words.iter().position(|word| *word == b"-")?;
        if words.get(dash + 1) != Some(&b"cgroup2".as_slice()) {
            return None;
        }
        let folder = PathBuf::from(OsString::from_vec(plain(words.get(4)?)));
        Some(Self { folder, root: plain(words.get(3)?) })
    }
}

/// The text of a word in which `\040` is a blank.
fn plain(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).filter(|_| *first == b'\\');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(byte);
            rest = &behind[3..];
        } else {
            plain.push(*first);
            rest = behind;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_hierarchy_is_found_where_it_is_mounted() {
        let of = |line: &str| Mount::of_line(line.as_bytes());
        let line =
            "31 22 0:27 / /sys/fs/cgroup/my\\040own rw,relatime shared:9 - cgroup2 cgroup2 rw";
        let (folder, root) = (PathBuf::from("/sys/fs/cgroup/my own"), b"/".to_vec());
        assert_eq!(of(line), Some(Mount { folder, root }));
        let line = "31 22 0:27 /a /cg rw - cgroup2 none rw";
        let (folder, root) = (PathBuf::from("/cg"), b"/a".to_vec());
        assert_eq!(of(line), Some(Mount { folder, root }));
        for line in ["", "31 22 0:27 / /x rw - cgroup cgroup2 rw", "31 22 - cgroup2", "- cgroup2"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn cgroups_are_folders_by_their_numbers() {
        let folder = std::env::temp_dir().join(format!("slabql-cgroups-{}", std::process::id()));
        let hostile = OsString::from_vec(b"a\x1b[2J\xff".to_vec());
        let inner = folder.join("outer").join(&hostile);
        fs::create_dir_all(&inner).unwrap();
        fs::write(folder.join("cgroup.procs"), "").unwrap();
        let mut cgroups = Cgroups::default();
        cgroups.walk(&Mount { folder: folder.clone(), root: b"/".to_vec() });
        let path = |of: &Path| cgroups.path(fs::metadata(of).unwrap().ino()).map(<[u8]>::to_vec);
        assert_eq!(path(&folder), Some(b"/".to_vec()));
        assert_eq!(path(&inner), Some(b"/outer/a\x1b[2J\xff".to_vec()));
        assert_eq!(path(&folder.join("cgroup.procs")), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
