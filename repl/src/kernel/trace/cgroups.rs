//! Finds the paths of cgroups by their numbers, which are those of their folders in the hierarchy of version 2.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};

use super::super::mounts::{Hierarchy, Mount};

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
        let mut mounts = Mount::all().into_iter();
        if let Some(mount) = mounts.find(|mount| mount.hierarchy == Hierarchy::Unified) {
            self.walk(&mount);
        }
    }

    /// The path of a cgroup.
    #[must_use]
    pub fn path(&self, number: u64) -> Option<&[u8]> {
        self.0.get(&number).map(Vec::as_slice)
    }

    fn walk(&mut self, mount: &Mount) {
        let Ok(root) = fs::metadata(&mount.at) else { return };
        self.0.entry(root.ino()).or_insert_with(|| mount.root.clone());
        let mut folders = vec![(mount.at.clone(), mount.root.clone())];
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn cgroups_are_folders_by_their_numbers() {
        let folder = std::env::temp_dir().join(format!("slabql-cgroups-{}", std::process::id()));
        let hostile = OsString::from_vec(b"a\x1b[2J\xff".to_vec());
        let inner = folder.join("outer").join(&hostile);
        fs::create_dir_all(&inner).unwrap();
        fs::write(folder.join("cgroup.procs"), "").unwrap();
        let mut cgroups = Cgroups::default();
        let (hierarchy, at) = (Hierarchy::Unified, folder.clone());
        cgroups.walk(&Mount { hierarchy, at, root: b"/".to_vec() });
        let path = |of: &Path| cgroups.path(fs::metadata(of).unwrap().ino()).map(<[u8]>::to_vec);
        assert_eq!(path(&folder), Some(b"/".to_vec()));
        assert_eq!(path(&inner), Some(b"/outer/a\x1b[2J\xff".to_vec()));
        assert_eq!(path(&folder.join("cgroup.procs")), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
