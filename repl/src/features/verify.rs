//! Holds the figures of `caches` against the kernel's own, `/proc/slabinfo` and `/sys/kernel/slab`, and what a walk over all
//! slabs finds against both.
//!
//! Each witness is read before and after the figures. A figure that one of the readings shows is equal; one that
//! neither shows has moved, if the readings differ, and is wrong if they agree. What looks wrong is looked at again,
//! as a cache may have gone up and down in between, and is wrong if it looks so every time.
//!
//! Reading all files moves figures too: for each file that is opened the kernel allocates an object that it frees in
//! batches behind an RCU grace period (a `struct kernfs_open_node`), thousands of them in a look, and so the cache has
//! no partial slab while files are read and many between the readings. So only the files of what looks wrong are read
//! again.
//!
//! Looking takes objects too: a program, open files and their buffers. Where no freed object is held ready, as with
//! `slub_debug`, each reading counts its own. So one program is kept all the time, and whichever is read, the others'
//! files are open meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use query::output::{Output, OutputColumn};
use query::plan::Plan;
use query::value::{Type, Unit, Value};

use crate::engine::Engine;
use crate::engine::tables::read_slabinfo;
use crate::kernel::signals;
use crate::kernel::sysfs::SLABINFO;
use crate::report::error::Failure;
use crate::source::Prepared;
use crate::source::bitmaps::{Cache, Walk};

/// How often what looks wrong is looked at.
const ROUNDS: u32 = 6;
/// How long the kernel is given, once and twice and so on, to free what loading and the look before took: it waits for
/// an RCU grace period first.
const PAUSE: Duration = Duration::from_millis(20);
/// Where the kernel has a folder for each cache.
const SLAB: &str = "/sys/kernel/slab";
/// The file there that says how many objects are not on a partial list.
const OBJECTS: &str = "objects";

/// Where the kernel says a figure.
#[derive(Clone, Copy)]
enum Witness {
    /// A field of a line of `/proc/slabinfo`, counted from the name.
    Slabinfo(usize),
    /// The first number in a file of the cache's folder.
    Sysfs(&'static str),
    /// The column `active` of `caches`.
    Active,
}

/// What is compared: the column, as an expression that is an integer, and where the kernel says it.
#[rustfmt::skip]
const CHECKS: &[(&str, &str, Witness)] = &[
    ("active_slabinfo",        "active_slabinfo",                           Witness::Slabinfo(1)),
    ("objects",                "objects",                                   Witness::Slabinfo(2)),
    ("size",                   "size",                                      Witness::Slabinfo(3)),
    ("objects_per_slab",       "objects_per_slab",                          Witness::Slabinfo(4)),
    ("pages_per_slab",         "pages_per_slab",                            Witness::Slabinfo(5)),
    ("slabs",                  "slabs",                                     Witness::Slabinfo(10)),
    ("objects - free_partial", "objects - free_partial",                    Witness::Sysfs(OBJECTS)),
    ("objects",                "objects",                                   Witness::Sysfs("total_objects")),
    ("slabs",                  "slabs",                                     Witness::Sysfs("slabs")),
    ("partial",                "partial",                                   Witness::Sysfs("partial")),
    ("object_size",            "object_size",                               Witness::Sysfs("object_size")),
    ("size",                   "size",                                      Witness::Sysfs("slab_size")),
    ("align",                  "align",                                     Witness::Sysfs("align")),
    ("objects_per_slab",       "objects_per_slab",                          Witness::Sysfs("objs_per_slab")),
    ("page_order",             "page_order",                                Witness::Sysfs("order")),
    ("min_partial",            "min_partial",                               Witness::Sysfs("min_partial")),
    ("cpu_partial",            "cpu_partial",                               Witness::Sysfs("cpu_partial")),
    ("sheaf_capacity",         "sheaf_capacity",                            Witness::Sysfs("sheaf_capacity")),
    ("usersize",               "usersize",                                  Witness::Sysfs("usersize")),
    ("alias_count",            "alias_count",                               Witness::Sysfs("aliases")),
    ("remote_defrag",          "remote_defrag",                             Witness::Sysfs("remote_node_defrag_ratio")),
    ("unreclaimable",          "cast(not unreclaimable as int)",            Witness::Sysfs("reclaim_account")),
    ("rcu",                    "cast(rcu as int)",                          Witness::Sysfs("destroy_by_rcu")),
    ("flags",                  "cast(flags has HWCACHE_ALIGN as int)",      Witness::Sysfs("hwcache_align")),
    ("flags",                  "cast(flags has CACHE_DMA as int)",          Witness::Sysfs("cache_dma")),
    ("flags",                  "cast(flags has CONSISTENCY_CHECKS as int)", Witness::Sysfs("sanity_checks")),
    ("flags",                  "cast(flags has RED_ZONE as int)",           Witness::Sysfs("red_zone")),
    ("flags",                  "cast(flags has POISON as int)",             Witness::Sysfs("poison")),
    ("flags",                  "cast(flags has STORE_USER as int)",         Witness::Sysfs("store_user")),
    ("flags",                  "cast(flags has TRACE as int)",              Witness::Sysfs("trace")),
];

/// What a walk over all slabs found of a cache.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    slabs: u64,
    objects: u64,
    /// Unknown where an object was made ready, or taken, while slabs were walked.
    used: Option<u64>,
}

/// A figure of what was found.
type Count = fn(&Found) -> Option<u64>;

/// What is compared of that. The numbers of these follow those of the others.
const FOUND: &[(&str, Count, Witness)] = &[
    ("slabs found", |found| Some(found.slabs), Witness::Sysfs("slabs")),
    ("objects found", |found| Some(found.objects), Witness::Sysfs("total_objects")),
    ("objects used", |found| found.used, Witness::Active),
];

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The witness says it too.
    Equal,
    /// It changed meanwhile.
    Moved,
    /// The witness says otherwise.
    Wrong,
}

/// What all checks came to, by the number of the check and the cache's address and name.
type Verdicts = BTreeMap<(usize, u64, String), (Verdict, String)>;

/// Compares everything. Gives the table of what was found, and the wrong figures in words.
pub fn verify(engine: &mut Engine) -> Result<(Output, Vec<String>), Failure> {
    let message = match engine.source().kind() {
        kind if kind.reads_memory() => "",
        kind if kind.is_here() => "the source `proc` is what figures are checked against",
        _ => "a recording cannot be checked against this machine",
    };
    if !message.is_empty() {
        return Err(Failure::environment(message, None));
    }
    let figures: Vec<&str> = CHECKS.iter().map(|(_, figure, _)| *figure).collect();
    let text = format!("select name, addr, sysfs_id, active, {}", figures.join(", "));
    let folders = engine.ask("select sysfs_id, addr")?;
    let plan = engine.own_plan(&text)?;
    let mut figures = Figures {
        engine,
        scan: engine.source().prepare(&plan)?,
        // Where slabs cannot be walked there is nothing to compare.
        walk: engine.source().kernel().and_then(|schema| Walk::open(schema, None).ok()),
        plan: &plan,
        folders,
    };
    let mut verdicts = figures.round(0, None)?;
    for number in 1..ROUNDS {
        if verdicts.values().all(|(verdict, _)| *verdict != Verdict::Wrong) {
            break;
        }
        let files = files_of_wrong(&verdicts);
        look_again(&mut verdicts, figures.round(number, Some(&files))?);
    }
    let wrong: Vec<String> = verdicts
        .values()
        .filter(|(verdict, _)| *verdict == Verdict::Wrong)
        .map(|(_, text)| text.clone())
        .collect();
    Ok((summary(&verdicts), wrong))
}

/// What a witness that said `first` before and `second` after makes of a figure.
fn verdict(first: i128, figure: i128, second: i128) -> Verdict {
    if figure == first || figure == second {
        Verdict::Equal
    } else if first == second {
        Verdict::Wrong
    } else {
        Verdict::Moved
    }
}

/// Adds another look: the better of two counts. What only one of them shows is of a cache that came or went
/// meanwhile, which is no proof of a wrong figure.
fn look_again(verdicts: &mut Verdicts, again: Verdicts) {
    for (key, (verdict, _)) in verdicts.iter_mut() {
        if *verdict == Verdict::Wrong && !again.contains_key(key) {
            *verdict = Verdict::Moved;
        }
    }
    for (key, mut again) in again {
        match verdicts.get_mut(&key) {
            Some(first) if again.0 < first.0 => *first = again,
            Some(_) => {}
            None => {
                again.0 = again.0.min(Verdict::Moved);
                verdicts.insert(key, again);
            }
        }
    }
}

/// The files to read again, each with the address of its cache.
type Files = BTreeSet<(u64, &'static str)>;

/// The files that say otherwise than a figure that looks wrong.
fn files_of_wrong(verdicts: &Verdicts) -> Files {
    let witnesses: Vec<Witness> = CHECKS
        .iter()
        .map(|(_, _, witness)| *witness)
        .chain(FOUND.iter().map(|(_, _, witness)| *witness))
        .collect();
    let wrong = verdicts.iter().filter(|(_, (verdict, _))| *verdict == Verdict::Wrong);
    wrong
        .filter_map(|((check, addr, _), _)| match witnesses[*check] {
            Witness::Sysfs(file) => Some((*addr, file)),
            Witness::Slabinfo(_) | Witness::Active => None,
        })
        .collect()
}

/// What is looked at, with all programs loaded before the first look and kept until the last.
struct Figures<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    scan: Prepared<'a>,
    walk: Option<Walk<'a>>,
    /// The caches' folders and addresses.
    folders: Output,
}

impl Figures<'_> {
    /// One look at all caches, after a pause, which reads `only` these files of their folders. Each look holds a buffer more than the one before it: whether a slab has
    /// room for one more may depend on which of two files has its buffer there.
    fn round(&mut self, number: u32, only: Option<&Files>) -> Result<Verdicts, Failure> {
        let Self { engine, plan, folders, .. } = self;
        let in_slabinfo = PathBuf::from(SLABINFO);
        let in_sysfs = match folders.rows.first().and_then(|row| row.first()) {
            Some(Value::Text(id)) => {
                Path::new(SLAB).join(&*String::from_utf8_lossy(id)).join(OBJECTS)
            }
            _ => PathBuf::new(),
        };
        let read = || -> Result<_, Failure> {
            let slabinfo = holding(&[&in_sysfs], slabinfo)?;
            Ok((slabinfo, holding(&[&in_slabinfo], || sysfs(folders, CHECKS, only))?))
        };
        sleep(number * PAUSE);
        let _more: Vec<_> = (0..number).map(|_| buffered(&in_sysfs)).collect();
        let before = read()?;
        let scanned = holding(&[&in_slabinfo, &in_sysfs], &self.scan)?;
        let after = read()?;
        let found = match &mut self.walk {
            Some(walk) => {
                let found = holding(&[&in_slabinfo, &in_sysfs], || found(walk))?;
                let again = holding(&[&in_slabinfo, &in_sysfs], &self.scan)?;
                let last = holding(&[&in_slabinfo], || sysfs(folders, FOUND, only))?;
                Some((found, active(&engine.finish(plan, again)?), last))
            }
            None => None,
        };
        let answer = engine.finish(plan, scanned)?;
        let mut verdicts = Verdicts::new();
        let mut seen = BTreeMap::new();
        for row in &answer.rows {
            let [Value::Text(name), Value::UInt(addr), Value::Text(id), active, figures @ ..] =
                row.as_slice()
            else {
                continue;
            };
            let name = String::from_utf8_lossy(name).into_owned();
            let id = String::from_utf8_lossy(id).into_owned();
            // Names repeat: the first of a name is the first of it in the file too, as both are in the list's order.
            let count = seen.entry(name.clone()).or_insert(0_usize);
            let nth = *count;
            *count += 1;
            let mut judge =
                |check: usize, column: &str, witness: Witness, said: [Option<i128>; 3]| {
                    let [Some(first), Some(figure), Some(second)] = said else { return };
                    let verdict = match verdict(first, figure, second) {
                        Verdict::Wrong if witness.counts_itself(&name) && figure + 1 == first => {
                            Verdict::Moved
                        }
                        verdict => verdict,
                    };
                    let text =
                        format!("{name}: {column} is {figure}, {} says {first}", witness.name());
                    verdicts.insert((check, *addr, name.clone()), (verdict, text));
                };
            for (check, ((column, _, witness), figure)) in CHECKS.iter().zip(figures).enumerate() {
                let says = |(slabinfo, sysfs): &(Slabinfo, Sysfs)| match witness {
                    Witness::Slabinfo(field) => {
                        slabinfo.get(&name)?.get(nth)?.get(*field)?.integer()
                    }
                    Witness::Sysfs(file) => sysfs.get(&id)?.get(file).copied(),
                    Witness::Active => None,
                };
                judge(check, column, *witness, [says(&before), figure.integer(), says(&after)]);
            }
            let Some((found, active_after, last)) = &found else { continue };
            // One that was created behind the opening of the walk is not in it.
            let Some(found) = found.get(addr) else { continue };
            for (check, (column, count, witness)) in (CHECKS.len()..).zip(FOUND) {
                let says = |sysfs: &Sysfs, active: Option<i128>| match witness {
                    Witness::Sysfs(file) => sysfs.get(&id)?.get(file).copied(),
                    Witness::Active => active,
                    Witness::Slabinfo(_) => None,
                };
                let first = says(&after.1, active.integer());
                let second = says(last, active_after.get(addr).copied());
                judge(check, column, *witness, [first, count(found).map(i128::from), second]);
            }
        }
        Ok(verdicts)
    }
}

/// What a walk over all slabs finds, by the caches' addresses.
fn found(walk: &mut Walk<'_>) -> Result<BTreeMap<u64, Found>, Failure> {
    let held = walk.held()?;
    let caches = walk.caches.clone();
    let mut found = vec![(0, 0, 0); caches.len()];
    let _ = walk.run(&mut |slab, cache| {
        let (slabs, objects, free) = &mut found[cache];
        *slabs += 1;
        *objects += slab.objects;
        *free += slab.free() + slab.held(&held, &caches[cache]).count() as u64;
        Ok(ControlFlow::Continue(()))
    })?;
    let moved = held.moved(&walk.held()?);
    let count = |(cache, (slabs, objects, free)): (&Cache, (u64, u64, u64))| {
        let used = (!moved.contains(&cache.addr)).then(|| objects.saturating_sub(free));
        (cache.addr, Found { slabs, objects, used })
    };
    Ok(caches.iter().zip(found).map(count).collect())
}

/// The column `active`, by the caches' addresses.
fn active(answer: &Output) -> BTreeMap<u64, i128> {
    let active = |row: &Vec<Value>| match row.as_slice() {
        [_, Value::UInt(addr), _, active, ..] => Some((*addr, active.integer()?)),
        _ => None,
    };
    answer.rows.iter().filter_map(active).collect()
}

/// Runs `look` while the files are open and have the buffers that reading gives them.
fn holding<T>(paths: &[&Path], look: impl FnOnce() -> T) -> T {
    let _files: Vec<Option<File>> = paths.iter().map(|path| buffered(path)).collect();
    look()
}

/// A file with its buffer; none if it cannot be read, which takes nothing.
fn buffered(path: &Path) -> Option<File> {
    let mut file = File::open(path).ok()?;
    file.read(&mut [0]).ok().map(|_| file)
}

/// The lines of `/proc/slabinfo` by name, in the order of the file.
type Slabinfo = BTreeMap<String, Vec<Vec<Value>>>;
/// The numbers in a cache's files, by folder and file.
type Sysfs = BTreeMap<String, BTreeMap<&'static str, i128>>;

fn slabinfo() -> Result<Slabinfo, Failure> {
    let mut lines = Slabinfo::new();
    for row in read_slabinfo()? {
        if let Some(Value::Text(name)) = row.first() {
            lines.entry(String::from_utf8_lossy(name).into_owned()).or_default().push(row);
        }
    }
    Ok(lines)
}

/// Reads the files of every folder that `checks` name, or `only` some of them. One that is not there, as its option is
/// not built in, says nothing.
fn sysfs<T>(
    folders: &Output,
    checks: &[(&str, T, Witness)],
    only: Option<&Files>,
) -> Result<Sysfs, Failure> {
    let mut found = Sysfs::new();
    for row in &folders.rows {
        signals::check()?;
        let [Value::Text(id), Value::UInt(addr)] = row.as_slice() else { continue };
        let id = String::from_utf8_lossy(id).into_owned();
        let files = checks.iter().filter_map(|(_, _, witness)| match witness {
            Witness::Sysfs(file) => Some(*file),
            Witness::Slabinfo(_) | Witness::Active => None,
        });
        let files = files.filter(|file| only.is_none_or(|only| only.contains(&(*addr, *file))));
        let number = |file: &'static str| {
            let text = fs::read_to_string(Path::new(SLAB).join(&id).join(file)).ok()?;
            Some((file, text.split_whitespace().next()?.parse().ok()?))
        };
        let numbers = files.filter_map(number).collect();
        found.insert(id, numbers);
    }
    Ok(found)
}

impl Witness {
    /// Whether the witness takes an object of the cache to count: the kernel fills an array of the nodes' objects.
    fn counts_itself(self, cache: &str) -> bool {
        matches!(self, Self::Sysfs(OBJECTS)) && cache.starts_with("kmalloc-")
    }

    fn name(self) -> String {
        match self {
            Self::Slabinfo(_) => SLABINFO.to_owned(),
            Self::Sysfs(file) => format!("{SLAB}/…/{file}"),
            Self::Active => "`active` of the table `caches`".to_owned(),
        }
    }
}

/// A row for each check.
fn summary(verdicts: &Verdicts) -> Output {
    let text = |name| OutputColumn::new(name, Type::Text, Unit::None);
    let number = |name| OutputColumn::new(name, Type::UInt, Unit::Count);
    let columns = vec![
        text("column"),
        text("witness"),
        number("rows"),
        number("equal"),
        number("moved"),
        number("wrong"),
    ];
    let checks = CHECKS.iter().map(|(column, _, witness)| (column, witness));
    let found = FOUND.iter().map(|(column, _, witness)| (column, witness));
    let row = |(check, (column, witness)): (usize, (&&str, &Witness))| {
        let count = |wanted: Option<Verdict>| {
            let of_check = verdicts.iter().filter(|((number, _, _), _)| *number == check);
            let counted =
                of_check.filter(|(_, (verdict, _))| wanted.is_none_or(|wanted| wanted == *verdict));
            Value::UInt(counted.count() as u64)
        };
        vec![
            Value::text(column),
            Value::text(witness.name()),
            count(None),
            count(Some(Verdict::Equal)),
            count(Some(Verdict::Moved)),
            count(Some(Verdict::Wrong)),
        ]
    };
    let rows = checks.chain(found).enumerate().map(row).collect();
    Output { columns, rows, warnings: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_equal_moved_or_wrong() {
        for (first, figure, second, expected) in [
            (7, 7, 7, Verdict::Equal),
            (7, 7, 9, Verdict::Equal),
            (7, 9, 9, Verdict::Equal),
            (7, 8, 9, Verdict::Moved),
            (7, 100, 9, Verdict::Moved),
            (7, 8, 7, Verdict::Wrong),
            (0, -1, 0, Verdict::Wrong),
        ] {
            assert_eq!(verdict(first, figure, second), expected, "{first} {figure} {second}");
        }
    }

    fn look(verdicts: &[(u64, Verdict)]) -> Verdicts {
        let row = |(addr, verdict): &(u64, Verdict)| {
            ((1, *addr, "a".to_owned()), (*verdict, format!("{addr}")))
        };
        verdicts.iter().map(row).collect()
    }

    #[test]
    fn what_is_wrong_each_time_is_wrong() {
        use Verdict::{Equal, Moved, Wrong};
        let mut verdicts = look(&[(1, Wrong), (2, Wrong), (3, Wrong), (4, Equal), (5, Wrong)]);
        // The fifth cache is gone, and a sixth and a seventh came.
        let again = [(1, Wrong), (2, Moved), (3, Equal), (4, Wrong), (6, Wrong), (7, Equal)];
        look_again(&mut verdicts, look(&again));
        let expected =
            [(1, Wrong), (2, Moved), (3, Equal), (4, Equal), (5, Moved), (6, Moved), (7, Equal)];
        assert_eq!(verdicts, look(&expected));
        assert_eq!(files_of_wrong(&verdicts), Files::new(), "its witness is /proc/slabinfo");
        let partial = CHECKS.iter().position(|(column, ..)| *column == "partial").unwrap();
        for (check, addr) in [(partial, 8), (CHECKS.len(), 9)] {
            verdicts.insert((check, addr, "a".to_owned()), (Wrong, String::new()));
        }
        assert_eq!(files_of_wrong(&verdicts), Files::from([(8, "partial"), (9, "slabs")]));
        verdicts.retain(|(check, ..), _| *check == 1);
        let rows = summary(&verdicts).rows;
        assert_eq!(rows.len(), CHECKS.len() + FOUND.len());
        assert_eq!(rows[1][2..], [7, 3, 3, 1].map(Value::UInt));
        assert_eq!(rows[0][2..], [0; 4].map(Value::UInt));
    }
}
