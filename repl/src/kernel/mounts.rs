//! Where cgroups are to be seen: the mounts of their hierarchies.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Which hierarchy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// That of version 2.
    Unified,
    /// That of memory, in version 1.
    Memory,
}

/// Where a hierarchy is to be seen.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// Which one.
    pub hierarchy: Hierarchy,
    /// Where.
    pub at: PathBuf,
    /// The cgroup that the folder is.
    pub root: Vec<u8>,
}

/// Why no cgroup has a value in one of the columns of `cgroups` that files give, if none has.
#[must_use]
pub fn uncounted(column: &str) -> Option<String> {
    let of_slabs = ["slab_reclaimable", "slab_unreclaimable"].contains(&column);
    if !of_slabs && column != "kernel_memory" {
        return None;
    }
    let mounts = Mount::all();
    let by_memory = mounts.iter().any(|mount| mount.hierarchy == Hierarchy::Memory);
    let counts = |mount: &Mount| {
        let controllers = mount.folder(OsStr::new("/"))?.join("cgroup.controllers");
        let controllers = fs::read_to_string(controllers).ok()?;
        controllers.split_whitespace().any(|name| name == "memory").then_some(())
    };
    let mut unified = mounts.iter().filter(|mount| mount.hierarchy == Hierarchy::Unified);
    let reason = match unified.find_map(counts) {
        Some(()) => return None,
        None if by_memory && of_slabs => "version 1 of cgroups does not count slab memory",
        None if by_memory => return None,
        None => "no hierarchy of cgroups with the memory controller is mounted",
    };
    Some(reason.to_owned())
}

impl Mount {
    /// All of them; none where that cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        mounts.split(|byte| *byte == b'\n').filter_map(Self::of_line).collect()
    }

    /// What a line of `/proc/self/mountinfo` tells: number, parent, device, root, folder, options, …, `-`, kind, source,
    /// options.
    fn of_line(line: &[u8]) -> Option<Self> {
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let dash = words.iter().position(|word| *word == b"-")?;
        let mut options = words.get(dash + 3).into_iter().flat_map(|it| it.split(|it| *it == b','));
        let hierarchy = match *words.get(dash + 1)? {
            b"cgroup2" => Hierarchy::Unified,
            b"cgroup" if options.any(|option| option == b"memory") => Hierarchy::Memory,
            _ => return None,
        };
        let at = PathBuf::from(OsString::from_vec(plain(words.get(4)?)));
        Some(Self { hierarchy, at, root: plain(words.get(3)?) })
    }

    /// The folder of a cgroup, if it is below this mount.
    #[must_use]
    pub fn folder(&self, path: &OsStr) -> Option<PathBuf> {
        let root = if self.root == b"/" { b"" } else { self.root.as_slice() };
        let below = path.as_bytes().strip_prefix(root)?;
        match below {
            [] => Some(self.at.clone()),
            [b'/', below @ ..] => Some(self.at.join(OsStr::from_bytes(below))),
            _ => None,
        }
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
    use super::*;

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let of = |line: &str| Mount::of_line(line.as_bytes());
        let line =
            "31 22 0:27 / /sys/fs/cgroup/my\\040own rw,relatime shared:9 - cgroup2 cgroup2 rw";
        let mount = |hierarchy, at: &str, root: &[u8]| Mount {
            hierarchy,
            at: PathBuf::from(at),
            root: root.to_vec(),
        };
        let own = mount(Hierarchy::Unified, "/sys/fs/cgroup/my own", b"/");
        assert_eq!(of(line).as_ref(), Some(&own));
        let line = "31 22 0:27 /a /cg rw - cgroup2 none rw";
        let below = mount(Hierarchy::Unified, "/cg", b"/a");
        assert_eq!(of(line).as_ref(), Some(&below));
        let line = "31 22 0:27 / /m rw - cgroup cgroup rw,hugetlb,memory";
        assert_eq!(of(line), Some(mount(Hierarchy::Memory, "/m", b"/")));
        for line in [
            "",
            "31 22 0:27 / /x rw - cgroup cgroup2 rw",
            "31 22 0:27 / /x rw - cgroup memory rw,cpu",
            "31 22 - cgroup2",
            "- cgroup2",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        let folder = |mount: &Mount, path: &str| mount.folder(OsStr::new(path));
        assert_eq!(folder(&own, "/"), Some(PathBuf::from("/sys/fs/cgroup/my own")));
        assert_eq!(folder(&own, "/a/b"), Some(PathBuf::from("/sys/fs/cgroup/my own/a/b")));
        assert_eq!(folder(&below, "/a/b"), Some(PathBuf::from("/cg/b")));
        assert_eq!(folder(&below, "/a"), Some(PathBuf::from("/cg")));
        assert_eq!(folder(&below, "/ab"), None);
        assert_eq!(folder(&below, "/"), None);
    }
}
