//! Reads what the kernel itself says of its caches: the witnesses that answers are held against.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the kernel lists its caches.
pub const SLAB: &str = "/sys/kernel/slab";

/// A line of `/proc/slabinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub name: String,
    pub active: u64,
    pub objects: u64,
    pub size: u64,
    pub objects_per_slab: u64,
    pub pages_per_slab: u64,
    pub slabs: u64,
}

/// `/proc/slabinfo`, in its order.
pub fn slabinfo() -> Vec<Line> {
    let text = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        Line {
            name: words[0].to_owned(),
            active: number(1),
            objects: number(2),
            size: number(3),
            objects_per_slab: number(4),
            pages_per_slab: number(5),
            slabs: number(14),
        }
    };
    text.lines().skip(2).map(line).collect()
}

/// The parts of a line such as `12 N0=8 N1=4`, by the numbers behind `letter`: the second number in parentheses, if
/// there is one, as in `105(10) C0=73(7)`.
pub fn parts_of(line: &str, letter: char) -> BTreeMap<u64, String> {
    let part = |word: &str| {
        let (number, figure) = word.strip_prefix(letter)?.split_once('=')?;
        let figure =
            figure.split_once('(').map_or(figure, |(_, inner)| inner.trim_end_matches(')'));
        Some((number.parse().unwrap(), figure.to_owned()))
    };
    line.split_whitespace().filter_map(part).collect()
}

/// The line of a file of every folder under `/sys/kernel/slab`.
pub fn lines(file: &str) -> BTreeMap<String, String> {
    let line = |folder: String| {
        let text = fs::read_to_string(Path::new(SLAB).join(&folder).join(file)).ok()?;
        Some((folder, text))
    };
    folders().into_iter().filter_map(line).collect()
}

/// The numbers of a file such as `0-3,8`.
pub fn list(path: &str) -> Option<BTreeSet<u64>> {
    let text = fs::read_to_string(path).ok()?;
    let part = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap()
    };
    Some(text.trim().split(',').flat_map(part).collect())
}

/// The NUMA nodes that have memory.
pub fn nodes() -> BTreeSet<u64> {
    list("/sys/devices/system/node/has_memory").unwrap_or(BTreeSet::from([0]))
}

/// What files say: folder, file, first word.
pub type Folders = BTreeMap<String, BTreeMap<&'static str, String>>;

/// Attributes of every folder under `/sys/kernel/slab`, their files held open.
///
/// Opening a file takes an object that the kernel frees some time later: enough of them move the very figures that
/// are read. Reading an open file again moves nothing, and nor does it if somebody else opens a file that is held open:
/// an attribute has one `kernfs_open_node`, of `kmalloc-96`, for all that have it open.
pub struct Sysfs {
    files: BTreeMap<String, BTreeMap<&'static str, File>>,
}

impl Sysfs {
    /// Opens the files of all caches that there are now.
    pub fn open(files: &[&'static str]) -> Self {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(SLAB).unwrap().flatten() {
            // Links are the names of merged caches.
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let open = |file: &&'static str| match File::open(entry.path().join(file)) {
                Ok(open) => Some((*file, open)),
                // The cache is gone.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => panic!("{}/{file}: {error}", entry.path().display()),
            };
            if let Some(open) = files.iter().map(open).collect() {
                found.insert(entry.file_name().into_string().unwrap(), open);
            }
        }
        Self { files: found }
    }

    /// Reads them. A cache that is gone is left out.
    pub fn read(&self) -> Folders {
        let mut found = Folders::new();
        for (folder, files) in &self.files {
            let words = files.iter().map(|(file, open)| Some((*file, first_word(open)?)));
            if let Some(words) = words.collect() {
                found.insert(folder.clone(), words);
            }
        }
        found
    }
}

/// The first word of a file; `12 N0=12` is the sum over nodes and its parts. An empty file is `NULL`.
fn first_word(file: &File) -> Option<String> {
    let mut bytes = [0; 4096];
    let count = file.read_at(&mut bytes, 0).ok()?;
    let text = str::from_utf8(&bytes[..count]).unwrap();
    let word = text.split_whitespace().next().unwrap_or("NULL");
    // A symbol stands with its offset and size.
    Some(word.split('+').next().unwrap_or(word).to_owned())
}

/// Reads attributes of every folder once.
pub fn sysfs(files: &[&'static str]) -> Folders {
    let mut found = Folders::new();
    for file in files {
        for (folder, words) in Sysfs::open(&[file]).read() {
            found.entry(folder).or_default().extend(words);
        }
    }
    found.retain(|_, words| words.len() == files.len());
    found
}

/// The names of the folders, sorted.
pub fn folders() -> Vec<String> {
    let folders = fs::read_dir(SLAB).unwrap().flatten();
    let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The links that lead to each folder, sorted.
pub fn links() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for entry in fs::read_dir(SLAB).unwrap().flatten() {
        if let Ok(target) = fs::read_link(entry.path()) {
            let target = target.to_str().unwrap().to_owned();
            found.entry(target).or_default().push(entry.file_name().into_string().unwrap());
        }
    }
    for names in found.values_mut() {
        names.sort_unstable();
    }
    found
}
