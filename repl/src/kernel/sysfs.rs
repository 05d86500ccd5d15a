//! Reads the names that no program can tell: aliases of merged caches, and what lies at an address.
//!
//! Both are extras of an answer: where they cannot be read there is a reason, and the rest of the row stands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::report::error::errno;

/// Where the kernel lists its caches.
const SLAB: &str = "/sys/kernel/slab";
/// Where the kernel lists its CPUs.
const CPUS: &str = "/sys/devices/system/cpu";
/// Where the kernel lists its symbols.
pub const SYMBOLS: &str = "/proc/kallsyms";
/// Where the kernel prints figures of its own.
pub const SLABINFO: &str = "/proc/slabinfo";
/// Where the kernel prints what each line of code allocates.
pub const ALLOCINFO: &str = "/proc/allocinfo";
/// What is said where that is not.
const UNPROFILED: &str = "there is no /proc/allocinfo: the kernel is older than 6.10, built without \
    CONFIG_MEM_ALLOC_PROFILING, or booted without `sysctl.vm.mem_profiling=1`";
/// The most that is read of the symbols, in bytes. A large kernel has some 10 MiB.
const SYMBOLS_MAX: u64 = 256 << 20;

/// Where the kernel tells which boot this is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The id of this boot. None where it cannot be read.
#[must_use]
pub fn boot() -> Option<String> {
    let text = fs::read_to_string(BOOT).ok()?;
    Some(text.trim().to_owned())
}

/// The names of caches that were merged.
///
/// A merged cache has a folder with a made-up name such as `:0000064`, and a link to it for each of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases(BTreeMap<String, Vec<String>>);

impl Aliases {
    /// The names that link to the folder `folder`, which is `s->kobj.name`; sorted.
    #[must_use]
    pub fn of(&self, folder: &str) -> &[String] {
        self.0.get(folder).map_or(&[], Vec::as_slice)
    }
}

/// Whether a cache has this name: a folder, or a link to one.
#[must_use]
pub fn has_cache(name: &str) -> bool {
    // A folder with a made-up name is no name.
    let is_name = !name.starts_with([':', '.']) && !name.contains('/');
    is_name && Path::new(SLAB).join(name).is_dir()
}

/// Reads all aliases. The error says why there are none.
pub fn aliases() -> Result<Aliases, String> {
    aliases_in(Path::new(SLAB))
}

fn aliases_in(folder: &Path) -> Result<Aliases, String> {
    let entries =
        fs::read_dir(folder).map_err(|error| format!("{}: {}", folder.display(), errno(&error)))?;
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for entry in entries.flatten() {
        // A folder is no link, and a cache may go while we look: both have no target.
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let Some(target) = target.file_name() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        found.entry(target.to_string_lossy().into_owned()).or_default().push(name);
    }
    for names in found.values_mut() {
        names.sort_unstable();
    }
    Ok(Aliases(found))
}

/// Whether a cache keeps records of who allocated its objects; or why none does. Where it cannot be told, one may.
pub fn records() -> Result<(), String> {
    let Ok(entries) = fs::read_dir(SLAB) else { return Ok(()) };
    let mut files = entries.flatten().map(|entry| fs::read(entry.path().join("store_user")));
    if files.any(|file| file.is_ok_and(|text| text.starts_with(b"1"))) {
        return Ok(());
    }
    Err("no cache records who allocates its objects: the kernel was booted without `slub_debug=U`, \
         or `slub_debug=U,NAME` for the cache of this name"
        .to_owned())
}

/// The numbers of the CPUs of a kind: `online` or `possible`. The error says why they are not known.
pub fn cpus(kind: &str) -> Result<BTreeSet<u64>, String> {
    let path = format!("{CPUS}/{kind}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {}", errno(&error)))?;
    numbers(&text).ok_or_else(|| format!("{path} is not a list of numbers"))
}

/// The numbers of a list such as `0-3,8`.
#[must_use]
pub fn numbers(text: &str) -> Option<BTreeSet<u64>> {
    /// More than a kernel is ever built for.
    const MAX: u64 = 1 << 16;
    let mut found = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
        if to >= MAX {
            return None;
        }
        found.extend(from..=to);
    }
    Some(found)
}

/// Opens `/proc/slabinfo`. The error says why it cannot be.
pub fn slabinfo() -> Result<File, String> {
    File::open(SLABINFO).map_err(|error| format!("{SLABINFO}: {}", errno(&error)))
}

/// Opens `/proc/allocinfo`. The error says why it cannot be.
pub fn allocinfo() -> Result<File, String> {
    File::open(ALLOCINFO).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UNPROFILED.to_owned(),
        _ => format!("{ALLOCINFO}: {}", errno(&error)),
    })
}

/// Whether the kernel profiles allocations, or did since it was booted; or why it does not.
pub fn profiling() -> Result<(), String> {
    if Path::new(ALLOCINFO).exists() { Ok(()) } else { Err(UNPROFILED.to_owned()) }
}

/// What is to be said where the kernel can profile allocations and does not now.
#[must_use]
pub fn unprofiled_now() -> Option<String> {
    let value = fs::read_to_string("/proc/sys/vm/mem_profiling").ok()?;
    let is_off = value.starts_with('0') && Path::new(ALLOCINFO).exists();
    is_off.then(|| {
        "allocations are not profiled now, as `vm.mem_profiling` is 0: what was allocated since is not known"
            .to_owned()
    })
}

/// Whether a list of symbols hides their addresses.
pub fn hides_addresses(symbols: &Path) -> io::Result<bool> {
    /// More than a kernel has per-CPU symbols, which come first and whose addresses may be 0.
    const LINES: usize = 4096;
    let lines = BufReader::new(File::open(symbols)?).split(b'\n').take(LINES);
    for line in lines {
        let line = line?;
        let address = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        if address.iter().any(|digit| *digit != b'0') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says why the kernel's symbols cannot be found by their addresses.
pub fn visible_symbols() -> Result<(), String> {
    match hides_addresses(Path::new(SYMBOLS)) {
        Ok(false) => Ok(()),
        Ok(true) => Err(without_addresses()),
        Err(error) => Err(format!("{SYMBOLS}: {}", errno(&error))),
    }
}

fn without_addresses() -> String {
    format!("{SYMBOLS} hides addresses (kernel.kptr_restrict)")
}

/// Finds the symbols that begin exactly at `addresses`; an address without one is left out. The error says why
/// there are none at all.
pub fn symbols(addresses: &[u64]) -> Result<BTreeMap<u64, String>, String> {
    if addresses.iter().all(|address| *address == 0) {
        return Ok(BTreeMap::new());
    }
    let file = File::open(SYMBOLS).map_err(|error| format!("{SYMBOLS}: {}", errno(&error)))?;
    symbols_of(BufReader::new(file.take(SYMBOLS_MAX)), addresses)
}

fn symbols_of(mut lines: impl BufRead, addresses: &[u64]) -> Result<BTreeMap<u64, String>, String> {
    let mut wanted: Vec<u64> = addresses.iter().copied().filter(|address| *address != 0).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    let mut hidden = true;
    let mut line = Vec::new();
    while found.len() < wanted.len() {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(format!("{SYMBOLS}: {}", errno(&error))),
        }
        let Ok(text) = str::from_utf8(&line) else { continue };
        let mut words = text.split_ascii_whitespace();
        let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        hidden &= address == 0;
        if wanted.binary_search(&address).is_ok() {
            found.entry(address).or_insert_with(|| name.to_owned());
        }
    }
    if hidden && !wanted.is_empty() {
        return Err(without_addresses());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_grouped_by_target() {
        let folder = std::env::temp_dir().join(format!("slabql-aliases-{}", std::process::id()));
        fs::create_dir_all(folder.join(":0000064")).unwrap();
        for (name, target) in
            [("pid", ":0000064"), ("cred", "../slab/:0000064"), ("gone", ":0000008")]
        {
            std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        }
        let found = aliases_in(&folder);
        fs::remove_dir_all(&folder).unwrap();
        let found = found.unwrap();
        assert_eq!(found.of(":0000064"), ["cred", "pid"]);
        assert_eq!(found.of(":0000008"), ["gone"]);
        assert!(found.of("pid").is_empty());
        assert!(aliases_in(&folder).is_err_and(|reason| reason.contains("No such file")));
    }

    #[test]
    fn lists_of_numbers() {
        assert_eq!(numbers("0-2,5\n"), Some(BTreeSet::from([0, 1, 2, 5])));
        assert_eq!(numbers("\n"), Some(BTreeSet::new()));
        assert_eq!(numbers("0-"), None);
        assert_eq!(numbers("0-99999999999"), None);
    }

    #[test]
    fn symbols_are_exact() {
        let text = "ffffffff81000000 T start\nnonsense\nffffffff81000010 t init_once [ext4]\n\
                    ffffffff81000010 t other\nffffffff81000020 t end\n";
        let found = symbols_of(text.as_bytes(), &[0, 0xffff_ffff_8100_0010, 0xffff_ffff_8100_0011]);
        assert_eq!(found, Ok(BTreeMap::from([(0xffff_ffff_8100_0010, "init_once".to_owned())])));
    }

    #[test]
    fn hidden_addresses_have_a_reason() {
        let text = "0000000000000000 T start\n0000000000000000 t end\n";
        assert!(
            symbols_of(text.as_bytes(), &[1]).is_err_and(|reason| reason.contains("kptr_restrict"))
        );
        assert!(symbols_of(&b"\xff\n"[..], &[1]).is_err());
        assert_eq!(symbols(&[0, 0]), Ok(BTreeMap::new()));
        assert_eq!(symbols(&[]), Ok(BTreeMap::new()));
    }
}
