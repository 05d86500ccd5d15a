//! Scans while modules come and go, and their caches with them.

#[allow(dead_code)] // each user has a part
#[path = "../../common/ask.rs"]
pub mod ask;

use super::audit;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::CString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::system::{delete_module, init_module};
use slabql::source::Choice;

/// The modules of `/modules` in the order in which they are loaded, each with its name.
pub fn modules() -> Vec<(CString, Vec<u8>)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir("/modules").unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "ko"));
    paths.sort();
    let module = |path: &PathBuf| {
        // As in `06-xfs.ko`.
        let stem = path.file_stem().unwrap().to_string_lossy();
        let name = stem.split_once('-').unwrap().1.replace('-', "_");
        (CString::new(name).unwrap(), fs::read(path).unwrap())
    };
    paths.iter().map(module).collect()
}

fn load(modules: &[(CString, Vec<u8>)]) {
    for (name, bytes) in modules {
        init_module(bytes, c"").unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
}

fn unload(modules: &[(CString, Vec<u8>)]) {
    for (name, _) in modules.iter().rev() {
        while let Err(error) = delete_module(name, 0) {
            assert_eq!(error, Errno::AGAIN, "{name:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The caches that `/proc/slabinfo` has: names with the sizes of objects.
fn slabinfo() -> BTreeSet<(String, u64)> {
    let text = fs::read_to_string("/proc/slabinfo").unwrap();
    let line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        (words[0].to_owned(), words[3].parse().unwrap())
    };
    text.lines().skip(2).map(line).collect()
}

/// What the scans were.
#[derive(Debug, Default)]
struct Seen {
    scans: usize,
    /// Scans with caches of modules, and without.
    with: usize,
    without: usize,
    /// Scans that say that rows may be missing.
    labelled: usize,
    /// Rows of which a walk did not reach its end.
    incomplete: usize,
}

/// An audit tells of the caches of modules that come and go.
pub fn audited() {
    let modules = modules();
    audit::told(|| load(&modules), || unload(&modules));
    audit::probed(|| {
        load(&modules);
        unload(&modules);
    });
}

/// Scans `rounds` times of loading and removing. A scan has all caches that stay, each once and as it is; besides them
/// nothing but caches of the modules; or it says that rows may be missing.
pub fn come_and_go(rounds: usize) {
    let modules = modules();
    assert!(!modules.is_empty());
    let mut session = ask::live(Choice::default());
    let text = "select addr, name, size, objects, active, complete";
    let mut ask = || {
        let answer = ask::ask(&mut session, text);
        let (addresses, sizes) = (answer.numbers("addr"), answer.numbers("size"));
        let caches = answer.texts("name").into_iter().zip(sizes);
        (addresses.into_iter().zip(caches).collect::<Vec<_>>(), answer)
    };
    // What the first time builds once, and stays.
    let mut known = BTreeSet::new();
    let begin = || {
        load(&modules);
        known = slabinfo();
    };
    audit::told(begin, || unload(&modules));
    // One comes with the first PID namespace of its depth, and stays.
    known.extend(slabinfo());
    let stay: BTreeMap<u64, (String, u64)> = ask().0.into_iter().collect();
    assert!(known.len() > stay.len() + 5, "{} with modules, {} without", known.len(), stay.len());

    let stop = AtomicBool::new(false);
    let mut seen = Seen::default();
    thread::scope(|scope| {
        let churn = scope.spawn(|| {
            for _ in 0..rounds {
                load(&modules);
                thread::sleep(Duration::from_millis(100));
                unload(&modules);
            }
            stop.store(true, Ordering::Relaxed);
        });
        while !stop.load(Ordering::Relaxed) && !churn.is_finished() {
            let (rows, answer) = ask();
            seen.scans += 1;
            let labelled = !answer.0.warnings.is_empty();
            seen.labelled += usize::from(labelled);
            let mut addresses = HashSet::new();
            for (address, cache) in &rows {
                assert!(addresses.insert(*address), "{cache:?} is there twice");
                assert!(known.contains(cache), "there is no cache {cache:?} at {address:x}");
            }
            for (address, cache) in &stay {
                let found = rows.iter().find(|row| row.0 == *address);
                assert!(found.is_some() || labelled, "{cache:?} is missing");
                assert!(found.is_none_or(|row| row.1 == *cache), "{cache:?} is {found:?}");
            }
            let (objects, complete) = (answer.numbers("objects"), answer.texts("complete"));
            for (index, active) in answer.texts("active").iter().enumerate() {
                if complete[index] == "1" {
                    let active: u64 =
                        active.parse().unwrap_or_else(|_| panic!("{:?}", rows[index]));
                    assert!(active <= objects[index], "{:?}: {active}", rows[index]);
                } else {
                    seen.incomplete += 1;
                }
            }
            let others = rows.len() > stay.len();
            seen.with += usize::from(others);
            seen.without += usize::from(!others);
        }
        churn.join().unwrap();
    });
    println!("{rounds} rounds of {} modules: {seen:?}", modules.len());
    assert!(seen.with > 0 && seen.without > 0, "{seen:?}");
    let left: BTreeMap<u64, (String, u64)> = ask().0.into_iter().collect();
    assert_eq!(left, stay);
}
