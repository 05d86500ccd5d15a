//! What the source `proc` tells is what its files say, and what the kernel's memory says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common;
use crate::common::ask::{self, Answer, ask};
use crate::common::settle::{Round, enough, settle};
use crate::common::witness::{self, SLAB, Sysfs};
use query::availability::unavailable;
use query::catalog;
use query::value::Value;
use slabql::engine::Engine;
use slabql::source::Choice;
use slabql::source::proc::Proc;

/// What follows objects and slabs as they come and go.
const MOVING: [&str; 7] =
    ["slabs", "objects", "partial", "free_slabinfo", "active_slabinfo", "memory", "fragmentation"];

fn files() -> Engine {
    ask::session(Box::new(Proc::open().unwrap()), Choice::default())
}

/// A cache came or went while it was looked: another look is taken.
fn moved(round: &mut Round) {
    round.cell("lines", "all", ["before", "ours", "after"].map(str::to_owned));
}

#[test]
fn rows_are_the_lines_of_slabinfo() {
    let Some(_turn) = common::files() else { return };
    let mut session = files();
    let text = "select name, objects, size, objects_per_slab, pages_per_slab, slabs";
    let cells = |line: &witness::Line| {
        let numbers =
            [line.objects, line.size, line.objects_per_slab, line.pages_per_slab, line.slabs];
        [line.name.clone()]
            .into_iter()
            .chain(numbers.map(|number| number.to_string()))
            .collect::<Vec<_>>()
    };
    let counts = settle("slabinfo by proc", |round| {
        let before: Vec<_> = witness::slabinfo().iter().map(cells).collect();
        let answer = ask(&mut session, text);
        let after: Vec<_> = witness::slabinfo().iter().map(cells).collect();
        let names = answer.names();
        let columns: Vec<_> = names.iter().map(|name| answer.texts(name)).collect();
        if before.len() != after.len() || columns[0].len() != before.len() {
            return moved(round);
        }
        for (at, (before, after)) in before.into_iter().zip(after).enumerate() {
            let row = format!("{at} {}", before[0]);
            for ((name, column), (before, after)) in
                names.iter().zip(&columns).zip(before.into_iter().zip(after))
            {
                round.cell(name, &row, [before, column[at].clone(), after]);
            }
        }
    });
    enough(
        &counts,
        &["name", "objects", "size", "objects_per_slab", "pages_per_slab", "slabs"],
        100,
    );
}

#[test]
fn what_files_tell_is_what_the_memory_says() {
    let Some(_turn) = common::live() else { return };
    let (mut kernel, mut files) = (ask::live(Choice::default()), files());
    let table = catalog::TABLES[0];
    let given = |session: &mut Engine| {
        let there = table
            .columns
            .iter()
            .filter(|column| unavailable(table, column, session.source().capabilities()).is_none());
        there.map(|column| column.name).collect::<Vec<_>>()
    };
    let by_memory = given(&mut kernel);
    let names: Vec<_> =
        given(&mut files).into_iter().filter(|name| by_memory.contains(name)).collect();
    // What the files give whatever the kernel.
    for name in [
        "aliases",
        "active_slabinfo",
        "memory",
        "partial",
        "fragmentation",
        "unreclaimable",
        "debugged",
        "ctor",
    ] {
        let of_flags = ["unreclaimable", "debugged"].contains(&name);
        assert_eq!(names.contains(&name), !of_flags || ask::names_flags(&kernel), "{name}");
    }
    for name in
        ["addr", "active", "cached", "free_partial", "flags", "complete", "waste", "utilization"]
    {
        assert!(!names.contains(&name), "{name}");
    }
    // What moves is compared with little between the looks.
    let (moving, fixed): (Vec<_>, Vec<_>) =
        names.iter().copied().partition(|name| MOVING.contains(name));
    for names in [fixed, moving] {
        let text = format!("select sysfs_id, {}", names.join(", "));
        let rows = |session: &mut Engine| -> BTreeMap<String, Vec<String>> {
            let answer = ask(session, &text);
            let columns: Vec<_> = names.iter().map(|name| answer.texts(name)).collect();
            let ids = answer.texts("sysfs_id").into_iter().enumerate();
            ids.map(|(at, id)| (id, columns.iter().map(|column| column[at].clone()).collect()))
                .collect()
        };
        let _open = Sysfs::open(&["partial"]);
        let counts = settle("memory by proc", |round| {
            let (before, ours, after) = (rows(&mut kernel), rows(&mut files), rows(&mut kernel));
            for (id, before) in &before {
                let (Some(ours), Some(after)) = (ours.get(id), after.get(id)) else { continue };
                for (((name, before), ours), after) in names.iter().zip(before).zip(ours).zip(after)
                {
                    round.cell(name, id, [before.clone(), ours.clone(), after.clone()]);
                }
            }
        });
        enough(&counts, &names, 100);
    }
    // None is left out: every line has its folder.
    let answer = ask(&mut files, "select count(*) as lost where sysfs_id is null");
    assert_eq!(answer.column("lost"), [&Value::UInt(0)]);
}

/// The size of a page, by what the kernel prints of this process's memory.
fn page() -> u64 {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let kib = smaps.lines().find_map(|line| line.strip_prefix("KernelPageSize:")).unwrap();
    kib.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// A cache as its files tell of it.
struct Cache {
    line: witness::Line,
    page: u64,
    folder: String,
    links: Vec<String>,
    /// The files that were asked for.
    files: BTreeMap<&'static str, String>,
}

impl Cache {
    /// The first word of a file; an empty one has none.
    fn word(&self, file: &str) -> &str {
        self.files[file].split_whitespace().next().unwrap_or("NULL")
    }

    fn number(&self, file: &str) -> u64 {
        self.word(file).parse().unwrap_or_else(|_| panic!("{file}: {}", self.files[file]))
    }

    /// The size of a slab.
    fn slab(&self) -> u64 {
        self.page * self.line.pages_per_slab
    }
}

/// A column that the files tell: which files of the folder, and what follows from them and from the line.
type Told = (&'static str, &'static [&'static str], fn(&Cache) -> String);

#[rustfmt::skip]
const TOLD: &[Told] = &[
    ("name", &[], |cache| cache.line.name.clone()),
    ("aliases", &[], |cache| cache.links.join(",")),
    ("alias_count", &["aliases"], |cache| cache.word("aliases").to_owned()),
    ("sysfs_id", &[], |cache| cache.folder.clone()),
    ("object_size", &["object_size"], |cache| cache.word("object_size").to_owned()),
    ("size", &["slab_size"], |cache| cache.word("slab_size").to_owned()),
    ("align", &["align"], |cache| cache.word("align").to_owned()),
    ("oo", &["order", "objs_per_slab"], |cache| (cache.number("order") << 16 | cache.number("objs_per_slab")).to_string()),
    ("page_order", &["order"], |cache| cache.word("order").to_owned()),
    ("pages_per_slab", &[], |cache| cache.line.pages_per_slab.to_string()),
    ("objects_per_slab", &[], |cache| cache.line.objects_per_slab.to_string()),
    ("slab_size", &[], |cache| cache.slab().to_string()),
    ("padding", &["slab_size", "object_size"], |cache| (cache.number("slab_size") - cache.number("object_size")).to_string()),
    ("tail", &[], |cache| (cache.slab() - cache.line.objects_per_slab * cache.line.size).to_string()),
    ("slabs", &[], |cache| cache.line.slabs.to_string()),
    ("objects", &[], |cache| cache.line.objects.to_string()),
    ("partial", &["partial"], |cache| cache.word("partial").to_owned()),
    ("free_slabinfo", &[], |cache| (cache.line.objects - cache.line.active).to_string()),
    ("active_slabinfo", &[], |cache| cache.line.active.to_string()),
    ("memory", &[], |cache| (cache.line.slabs * cache.slab()).to_string()),
    ("fragmentation", &["partial"], |cache| {
        // Both are far below 2^32.
        let [partial, slabs] = [cache.number("partial"), cache.line.slabs].map(|n| f64::from(u32::try_from(n).unwrap()));
        if slabs == 0.0 { "NULL".to_owned() } else { format!("{:.6}", 100.0 * partial / slabs) }
    }),
    ("min_partial", &["min_partial"], |cache| cache.word("min_partial").to_owned()),
    ("cpu_partial", &["cpu_partial"], |cache| cache.word("cpu_partial").to_owned()),
    ("sheaf_capacity", &["sheaf_capacity"], |cache| cache.word("sheaf_capacity").to_owned()),
    ("remote_defrag", &["remote_node_defrag_ratio"], |cache| cache.word("remote_node_defrag_ratio").to_owned()),
    ("usersize", &["usersize"], |cache| cache.word("usersize").to_owned()),
    ("unreclaimable", &["reclaim_account"], |cache| (1 - cache.number("reclaim_account")).to_string()),
    ("rcu", &["destroy_by_rcu"], |cache| cache.word("destroy_by_rcu").to_owned()),
    ("debugged", &["sanity_checks", "trace", "red_zone", "poison", "store_user"],
        |cache| u8::from(["sanity_checks", "trace", "red_zone", "poison", "store_user"].iter().any(|file| cache.number(file) == 1)).to_string()),
    ("ctor", &["ctor"], |cache| cache.word("ctor").split('+').next().unwrap().to_owned()),
];

/// All caches in the order of `/proc/slabinfo`, with these files of their folders. None while one comes or goes.
fn caches(files: &[&'static str]) -> Option<Vec<Cache>> {
    let (mut links, page) = (witness::links(), page());
    let cache = |line: witness::Line| {
        let path = Path::new(SLAB).join(&line.name);
        let folder = fs::read_link(&path).map_or(line.name.clone(), |target| {
            target.file_name().unwrap().to_str().unwrap().to_owned()
        });
        let mut links = links.remove(&folder).unwrap_or_default();
        links.retain(|link| *link != line.name);
        let read = |file: &&'static str| {
            Some((*file, fs::read_to_string(Path::new(SLAB).join(&folder).join(file)).ok()?))
        };
        let files = files.iter().map(read).collect::<Option<_>>()?;
        Some(Cache { line, page, folder, links, files })
    };
    witness::slabinfo().into_iter().map(cache).collect()
}

#[test]
fn every_column_is_what_its_files_say_or_null_with_a_reason() {
    let Some(_turn) = common::files() else { return };
    let mut session = files();
    let table = catalog::TABLES[0];
    // Of a kernel without CPU partial lists the file says 0.
    let limits = witness::lines("cpu_partial");
    let limited = limits.values().any(|line| line.trim() != "0");
    let exists = |file: &&str| {
        Path::new(SLAB).join("dentry").join(file).exists() && (*file != "cpu_partial" || limited)
    };
    let told = |name: &str| TOLD.iter().find(|told| told.0 == name && told.1.iter().all(exists));
    for column in table.columns {
        let Some(reason) = unavailable(table, column, session.source().capabilities()) else {
            assert!(told(column.name).is_some(), "{} is given, and no file tells it", column.name);
            continue;
        };
        assert!(told(column.name).is_none(), "{} is not given: {reason}", column.name);
        let answer = ask(&mut session, &format!("select name, {} as it", column.name));
        assert!(answer.len() > 100);
        assert!(answer.column("it").iter().all(|value| **value == Value::Null), "{}", column.name);
        let notes = &answer.0.warnings;
        assert!(notes.iter().any(|note| note.contains(&reason)), "{}: {notes:?}", column.name);
        if !column.hidden {
            let text = format!(
                "select available, reason from columns where \"table\" = 'caches' and \"column\" = '{}'",
                column.name
            );
            let row = Answer(session.ask(&text).unwrap());
            assert_eq!(row.texts("available"), ["0"], "{}", column.name);
            assert_eq!(row.texts("reason"), [reason.as_str()], "{}", column.name);
        }
    }
    let capabilities = session.source().capabilities();
    let given = |name| unavailable(table, table.column(name).unwrap(), capabilities).is_none();
    let there = TOLD.iter().filter(|told| given(told.0));
    let (moving, fixed): (Vec<&Told>, Vec<&Told>) =
        there.partition(|told| MOVING.contains(&told.0));
    for told in [fixed, moving] {
        let columns: Vec<&str> = told.iter().map(|told| told.0).collect();
        let read: BTreeSet<&str> = told.iter().flat_map(|told| told.1).copied().collect();
        let read: Vec<&str> = read.into_iter().collect();
        let text = format!("select {}", columns.join(", "));
        let _open = told.iter().any(|told| MOVING.contains(&told.0)).then(|| Sysfs::open(&read));
        let counts = settle("every column by proc", |round| {
            let witness = || {
                let caches = caches(&read)?;
                let column = |told: &&Told| caches.iter().map(told.2).collect();
                Some(told.iter().map(column).collect::<Vec<Vec<String>>>())
            };
            let (before, answer, after) = (witness(), ask(&mut session, &text), witness());
            let lines =
                |columns: &[Vec<String>]| columns.iter().map(Vec::len).collect::<BTreeSet<_>>();
            let (Some(before), Some(after)) = (before, after) else { return moved(round) };
            if lines(&before) != lines(&after) || lines(&before) != BTreeSet::from([answer.len()]) {
                return moved(round);
            }
            let names = witness::slabinfo();
            for ((column, before), after) in columns.iter().zip(before).zip(after) {
                let cells = before.into_iter().zip(answer.texts(column)).zip(after);
                for (at, ((before, ours), after)) in cells.enumerate() {
                    let row = format!("{at} {}", names[at].name);
                    round.cell(column, &row, [before, ours, after]);
                }
            }
        });
        enough(&counts, &columns, 100);
    }
}

#[test]
fn every_node_is_what_its_files_say() {
    let Some(_turn) = common::files() else { return };
    let mut session = files();
    let table = catalog::table("nodes").unwrap();
    let given = |name: &str| {
        unavailable(table, table.column(name).unwrap(), session.source().capabilities()).is_none()
    };
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let there: Vec<&str> = names.iter().copied().filter(|name| given(name)).collect();
    assert_eq!(there, ["name", "node", "slabs", "objects", "partial"]);
    let nodes = witness::nodes();
    let files = [("slabs", "slabs"), ("total_objects", "objects"), ("partial", "partial")];
    for (file, column) in files {
        let _open = Sysfs::open(&[file]);
        let text = format!("select name, node, {column} from nodes");
        let counts = settle("nodes by proc", |round| {
            let (before, answer, after) =
                (caches(&[file]), Answer(session.ask(&text).unwrap()), caches(&[file]));
            let (Some(before), Some(after)) = (before, after) else { return moved(round) };
            let lines = [before.len(), answer.len() / nodes.len(), after.len()];
            if lines.iter().any(|count| *count != lines[0]) {
                return moved(round);
            }
            let says = |cache: &Cache, node: u64| {
                let line = &cache.files[file];
                let parts = witness::parts_of(line, 'N');
                // Without NUMA the sum is the only node's.
                let alone = parts.is_empty() && nodes.len() == 1;
                let none = if alone { cache.word(file).to_owned() } else { "0".to_owned() };
                parts.get(&node).cloned().unwrap_or(none)
            };
            let mut ours = answer
                .texts("name")
                .into_iter()
                .zip(answer.numbers("node"))
                .zip(answer.texts(column));
            for (before, after) in before.iter().zip(&after) {
                for node in &nodes {
                    let ((name, number), ours) = ours.next().unwrap();
                    assert_eq!((name.as_str(), number), (before.line.name.as_str(), *node));
                    let key = format!("{name} {node}");
                    round.cell(column, &key, [says(before, *node), ours, says(after, *node)]);
                }
            }
        });
        enough(&counts, &[column], 100);
    }
}
