//! Holds every column against what the kernel's own files say of the same caches: `/proc/slabinfo` and
//! `/sys/kernel/slab`. Each way to the caches that the kernel has is asked: its iterator, and its list.
//!
//! Figures move while they are compared. Each comparison reads the witness before and after, and is repeated until
//! every cell was equal once between two equal witnesses; see `common/settle.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, Folders, Line, Sysfs};
use query::availability::unavailable;
use query::catalog::TABLES;
use slabql::engine::Engine;

/// What a row is called in a comparison: names are not unique.
fn keys(answer: &Answer) -> Vec<String> {
    let names = answer.texts("name");
    names
        .iter()
        .zip(answer.numbers("addr"))
        .map(|(name, addr)| format!("{name} {addr:x}"))
        .collect()
}

/// A column, and what a line of `/proc/slabinfo` says of it.
type Column = (&'static str, fn(&Line) -> u64);

#[test]
fn slabinfo_has_the_same_rows_in_the_same_order() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let text = "select addr, name, objects, size, objects_per_slab, pages_per_slab, slabs";
        let columns: [Column; 5] = [
            ("objects", |line| line.objects),
            ("size", |line| line.size),
            ("objects_per_slab", |line| line.objects_per_slab),
            ("pages_per_slab", |line| line.pages_per_slab),
            ("slabs", |line| line.slabs),
        ];
        let counts = settle(&ask::by(&session, "slabinfo"), |round| {
            let before = witness::slabinfo();
            let answer = ask::ask(&mut session, text);
            let after = witness::slabinfo();
            let names =
                |lines: &[Line]| lines.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
            let order = [names(&before), answer.texts("name"), names(&after)];
            let same = order[0] == order[1] && order[1] == order[2];
            round.cell("order", "all names", order.map(|names| names.join(" ")));
            // Rows are told apart by their place, which means nothing in lists of different caches.
            if !same {
                return;
            }
            let keys = keys(&answer);
            for key in &keys {
                round.cell("name", key, [key.clone(), key.clone(), key.clone()]);
            }
            for (column, of) in columns {
                let ours = answer.numbers(column);
                for (index, key) in keys.iter().enumerate() {
                    let cell = [of(&before[index]), ours[index], of(&after[index])];
                    round.cell(column, key, cell.map(|number| number.to_string()));
                }
            }
        });
        enough(&counts, &columns.map(|(column, _)| column), 100);
        assert_eq!(counts["order"], 1);
    }
}

/// The files of a cache's folder whose figures stay, and the expression that says the same.
const FIXED: [(&str, &str); 21] = [
    ("slab_size", "size"),
    ("object_size", "object_size"),
    ("align", "align"),
    ("usersize", "usersize"),
    ("objs_per_slab", "objects_per_slab"),
    ("order", "page_order"),
    ("min_partial", "min_partial"),
    // From 7.0 on the file is there without the member, and says 0.
    ("cpu_partial", "coalesce(cpu_partial, 0)"),
    ("sheaf_capacity", "sheaf_capacity"),
    ("aliases", "alias_count"),
    ("ctor", "ctor"),
    ("remote_node_defrag_ratio", "remote_defrag"),
    ("hwcache_align", "flags has HWCACHE_ALIGN"),
    ("reclaim_account", "not unreclaimable"),
    ("destroy_by_rcu", "rcu"),
    ("cache_dma", "flags has CACHE_DMA"),
    ("sanity_checks", "flags has CONSISTENCY_CHECKS"),
    ("trace", "flags has TRACE"),
    ("red_zone", "flags has RED_ZONE"),
    ("poison", "flags has POISON"),
    ("store_user", "flags has STORE_USER"),
];

/// Those whose figures move.
const MOVING: [(&str, &str); 3] =
    [("slabs", "slabs"), ("total_objects", "objects"), ("partial", "partial")];

/// What follows from the files: the expression, and how a folder gives the same.
type Derived = (&'static str, fn(&Folder, u64) -> String);
const FIXED_DERIVED: [Derived; 7] = [
    ("slab_size", |folder, page| folder.slab(page).to_string()),
    ("pages_per_slab", |folder, _| (1_u64 << folder.number("order")).to_string()),
    ("padding", |folder, _| {
        (folder.number("slab_size") - folder.number("object_size")).to_string()
    }),
    ("tail", |folder, page| {
        let taken = folder.number("objs_per_slab") * folder.number("slab_size");
        (folder.slab(page) - taken).to_string()
    }),
    ("debugged", |folder, _| {
        let options = ["sanity_checks", "trace", "red_zone", "poison", "store_user"];
        u8::from(options.iter().any(|option| folder.number(option) == 1)).to_string()
    }),
    ("refcount", |folder, _| {
        // A boot cache shows 0 aliases for its negative count, and before there was SLAB_NO_MERGE, in Linux 6.5, so
        // did the kmalloc caches that are not to be merged.
        let boot = ["kmem_cache", "kmem_cache_node"].contains(&folder.name);
        let kmalloc =
            folder.name.starts_with("kmalloc-") && kmalloc(folder.name).unwrap().0 == "normal";
        if boot || (kmalloc && ask::version() < (6, 5)) {
            "-1".to_owned()
        } else {
            (folder.number("aliases") + 1).to_string()
        }
    }),
    ("unreclaimable", |folder, _| (1 - folder.number("reclaim_account")).to_string()),
];
const MOVING_DERIVED: [Derived; 2] = [
    ("memory", |folder, page| (folder.number("slabs") * folder.slab(page)).to_string()),
    ("fragmentation", |folder, _| {
        let (partial, slabs) = (folder.number("partial"), folder.number("slabs"));
        // Both are far below 2^32.
        let [partial, slabs] = [partial, slabs].map(|n| f64::from(u32::try_from(n).unwrap()));
        if slabs == 0.0 { "NULL".to_owned() } else { format!("{:.6}", 100.0 * partial / slabs) }
    }),
];

/// What the files of a folder say.
struct Folder<'a> {
    name: &'a str,
    files: &'a BTreeMap<&'static str, String>,
}

impl Folder<'_> {
    fn number(&self, file: &str) -> u64 {
        self.files[file].parse().unwrap_or_else(|_| panic!("{file}: {}", self.files[file]))
    }

    /// The size of a slab.
    fn slab(&self, page: u64) -> u64 {
        page << self.number("order")
    }
}

/// Whether every cache here has the file: some depend on the kernel's version and options.
fn exists(file: &str) -> bool {
    let found = Path::new(witness::SLAB).join("dentry").join(file).exists();
    if !found {
        eprintln!("this kernel has no file `{file}`");
    }
    found
}

/// What follows from flags.
const OF_FLAGS: [&str; 8] = [
    "flags",
    "allocflags",
    "kmalloc_type",
    "size_class",
    "unreclaimable",
    "rcu",
    "accounted",
    "debugged",
];

/// Whether a comparison needs the names of flags.
fn is_of_flags(expr: &str) -> bool {
    OF_FLAGS.iter().any(|column| expr.split(' ').any(|word| word == *column))
}

/// Sessions over a kernel whose types name the flags, as from Linux 6.9 on. Where they do not, what follows from flags
/// is NULL, and there is a reason for it.
fn with_flags() -> Vec<Engine> {
    let (named, mut nameless) = ask::sources().into_iter().partition::<Vec<_>, _>(ask::names_flags);
    for session in &mut nameless {
        let table = TABLES[0];
        let answer = ask::ask(session, &format!("select {}", OF_FLAGS.join(", ")));
        for name in OF_FLAGS {
            let reason =
                unavailable(table, table.column(name).unwrap(), session.source().capabilities())
                    .unwrap();
            assert!(reason.contains(" has no enum "), "{name}: {reason}");
            assert!(answer.texts(name).iter().all(|text| text == "NULL"), "{name}");
        }
        eprintln!("{}", ask::by(session, "flags have no names: what follows from them is NULL"));
    }
    named
}

/// Compares the files that exist here and what follows from them. `witness` gives what files say.
fn compare(
    what: &str,
    expressions: &[(&'static str, &str)],
    derived: &[Derived],
    mut witness: impl FnMut() -> Folders,
) {
    for mut session in ask::sources() {
        let told = |expr: &str| ask::names_flags(&session) || !is_of_flags(expr);
        let mut expressions = expressions.to_vec();
        expressions.retain(|(_, expr)| told(expr));
        let mut derived = derived.to_vec();
        derived.retain(|(expr, _)| told(expr));
        let direct = expressions.iter().map(|(file, expr)| format!("({expr}) as {file}_"));
        let follows = derived.iter().map(|(expr, _)| format!("{expr} as {expr}_derived"));
        let items: Vec<String> = direct.chain(follows).collect();
        let text =
            format!("select name, addr, sysfs_id, page_size() as page, {}", items.join(", "));
        let counts = settle(&ask::by(&session, what), |round| {
            let before = witness();
            let answer = ask::ask(&mut session, &text);
            let after = witness();
            let (keys, folders) = (keys(&answer), answer.texts("sysfs_id"));
            let page = answer.numbers("page")[0];
            let columns: BTreeMap<&str, Vec<String>> =
                answer.names().into_iter().map(|name| (name, answer.texts(name))).collect();
            for (index, folder) in folders.iter().enumerate() {
                let (Some(first), Some(last)) = (before.get(folder), after.get(folder)) else {
                    // Only a cache that comes or goes has no folder.
                    let witness = || format!("a folder {folder}");
                    round.cell("folder", &keys[index], [witness(), "a row".to_owned(), witness()]);
                    continue;
                };
                for (file, _) in &expressions {
                    let ours = columns[&*format!("{file}_")][index].clone();
                    round.cell(file, &keys[index], [first[file].clone(), ours, last[file].clone()]);
                }
                for (expr, of) in &derived {
                    let ours = columns[&*format!("{expr}_derived")][index].clone();
                    let [first, last] =
                        [first, last].map(|files| of(&Folder { name: folder, files }, page));
                    round.cell(&format!("={expr}"), &keys[index], [first, ours, last]);
                }
            }
        });
        for (file, _) in expressions {
            enough(&counts, &[file], 100);
        }
        for (expr, _) in derived {
            enough(&counts, &[&format!("={expr}")], 100);
        }
    }
}

#[test]
fn fixed_figures_equal_sysfs() {
    let Some(_turn) = common::live() else { return };
    let there: Vec<_> = FIXED.into_iter().filter(|(file, _)| exists(file)).collect();
    let files: Vec<&str> = there.iter().map(|(file, _)| *file).collect();
    compare("fixed figures", &there, &FIXED_DERIVED, || witness::sysfs(&files));
}

#[test]
fn moving_figures_equal_sysfs() {
    let Some(_turn) = common::live() else { return };
    let files = MOVING.map(|(file, _)| file);
    let mut orders = witness::sysfs(&["order"]);
    let mut open = Some(Sysfs::open(&files));
    compare("moving figures", &MOVING, &MOVING_DERIVED, || {
        // A cache that came since has no open file, and of one that is gone the files tell nothing.
        if witness::folders() != orders.keys().cloned().collect::<Vec<_>>() {
            drop(open.take());
            orders = witness::sysfs(&["order"]);
        }
        let mut folders = open.get_or_insert_with(|| Sysfs::open(&files)).read();
        folders.retain(|folder, words| {
            let order = orders.get(folder);
            words.extend(order.into_iter().flatten().map(|(file, word)| (*file, word.clone())));
            order.is_some()
        });
        folders
    });
}

/// A flag that a file shows is one that the kernel names.
#[test]
fn flags_that_few_kernels_have_equal_sysfs() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        for (file, flag) in [("failslab", "FAILSLAB"), ("skip_kfence", "SKIP_KFENCE")] {
            if !exists(file) {
                continue;
            }
            let text = format!("select name, addr, sysfs_id, flags has {flag} as it");
            let counts = settle(file, |round| {
                let before = witness::sysfs(&[file]);
                let answer = ask::ask(&mut session, &text);
                for (index, folder) in answer.texts("sysfs_id").iter().enumerate() {
                    let Some(files) = before.get(folder) else { continue };
                    let witness = || files[file].clone();
                    let cell = [witness(), answer.texts("it")[index].clone(), witness()];
                    round.cell(file, &keys(&answer)[index], cell);
                }
            });
            enough(&counts, &[file], 100);
        }
    }
}

#[test]
fn aliases_are_the_links() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let counts = settle(&ask::by(&session, "links"), |round| {
            let before = witness::links();
            let answer =
                ask::ask(&mut session, "select name, addr, sysfs_id, aliases, alias_count");
            let after = witness::links();
            let keys = keys(&answer);
            let (names, folders) = (answer.texts("name"), answer.texts("sysfs_id"));
            let ours = answer.texts("aliases");
            for (index, key) in keys.iter().enumerate() {
                let links = |witness: &BTreeMap<String, Vec<String>>| {
                    let links = witness.get(&folders[index]).into_iter().flatten();
                    links
                        .filter(|link| **link != names[index])
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(",")
                };
                let column = if links(&before).is_empty() { "no aliases" } else { "aliases" };
                round.cell(column, key, [links(&before), ours[index].clone(), links(&after)]);
            }
        });
        if common::merges() {
            enough(&counts, &["aliases"], 10);
        } else {
            assert!(!counts.contains_key("aliases"), "{counts:?}");
        }
        enough(&counts, &["no aliases"], 50);
    }
}

/// A cache that may be merged has a folder with a made-up name such as `:0000064`, and one that may not has its
/// own. There are no exceptions but those of boot parameters: with `slab_nomerge` no cache may be merged, and with
/// `slab_debug` the kernel names the folder after what the options would be without it.
#[test]
fn mergeable_caches_have_made_up_folders() {
    let Some(_turn) = common::live() else { return };
    if !common::merges() {
        return;
    }
    for mut session in with_flags() {
        let answer = ask::ask(&mut session, "select name, sysfs_id, mergeable");
        let (names, folders) = (answer.texts("name"), answer.texts("sysfs_id"));
        let mut wrong = Vec::new();
        let mut counts = [0, 0];
        for (index, mergeable) in answer.texts("mergeable").iter().enumerate() {
            let made_up = folders[index].starts_with(':');
            counts[usize::from(made_up)] += 1;
            if *mergeable != u8::from(made_up).to_string() {
                wrong.push(format!("{}: {mergeable} in {}", names[index], folders[index]));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        eprintln!("mergeable: {} no, {} yes", counts[0], counts[1]);
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    }
}

/// What the kernel's `calculate_sizes` makes of the flags.
#[test]
fn allocflags_follow_from_flags() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        let list = |set: &str, names: &[&str]| {
            let names = names.iter().map(|name| format!("{set} has {name} as \"{set}_{name}\""));
            names.collect::<Vec<_>>().join(", ")
        };
        let pairs =
            [("CACHE_DMA", "DMA"), ("CACHE_DMA32", "DMA32"), ("RECLAIM_ACCOUNT", "RECLAIMABLE")];
        let flags = list("flags", &pairs.map(|pair| pair.0));
        let allocflags = list("allocflags", &pairs.map(|pair| pair.1));
        let text = format!(
            "select name, page_order, allocflags has COMP as comp, {flags}, {allocflags}, \
             cast(allocflags as int) as bits"
        );
        let answer = ask::ask(&mut session, &text);
        let names = answer.texts("name");
        for (flag, allocflag) in pairs {
            let flag = answer.texts(&format!("flags_{flag}"));
            let allocflag = answer.texts(&format!("allocflags_{allocflag}"));
            assert_eq!(
                names.iter().zip(&flag).collect::<Vec<_>>(),
                names.iter().zip(&allocflag).collect::<Vec<_>>()
            );
        }
        let (orders, comp) = (answer.numbers("page_order"), answer.texts("comp"));
        for (index, bits) in answer.numbers("bits").into_iter().enumerate() {
            // Compound pages and at most two of the pairs.
            assert!(bits.count_ones() <= 3, "{}: {bits:x}", names[index]);
            assert!(orders[index] == 0 || comp[index] == "1", "{}: {bits:x}", names[index]);
        }
        assert!(answer.len() > 100);
    }
}

/// The kind and the size that a kmalloc cache's name says.
fn kmalloc(name: &str) -> Option<(&'static str, u64)> {
    let (kind, rest) = [
        ("dma", "dma-kmalloc-"),
        ("reclaim", "kmalloc-rcl-"),
        ("cgroup", "kmalloc-cg-"),
        ("random", "kmalloc-rnd-"),
        ("no_objext", "kmalloc-no-objext-"),
        ("normal", "kmalloc-"),
    ]
    .into_iter()
    .find_map(|(kind, prefix)| Some((kind, name.strip_prefix(prefix)?)))?;
    // `kmalloc-rnd-01-64` has a number in front of its size.
    let size = rest.rsplit('-').next()?;
    let (digits, unit) = match size.strip_suffix(['k', 'M']) {
        Some(digits) if size.ends_with('k') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (size, 1),
    };
    Some((kind, digits.parse::<u64>().ok()? * unit))
}

#[test]
fn kmalloc_caches_are_what_their_names_say() {
    let Some(_turn) = common::live() else { return };
    assert_eq!(kmalloc("kmalloc-rnd-01-8k"), Some(("random", 8192)));
    assert_eq!(kmalloc("kmalloc-96"), Some(("normal", 96)));
    for mut session in with_flags() {
        let text =
            "select name, kmalloc_type, size_class, object_size, flags has KMALLOC as is_kmalloc";
        let answer = ask::ask(&mut session, text);
        let mut counts = BTreeMap::new();
        let (names, types) = (answer.texts("name"), answer.texts("kmalloc_type"));
        let (classes, is_kmalloc) = (answer.texts("size_class"), answer.texts("is_kmalloc"));
        for (index, name) in names.iter().enumerate() {
            let Some((kind, size)) = kmalloc(name) else {
                let bucket = ["msg_msg-", "memdup_user-"].iter().any(|set| name.starts_with(set));
                let cells = [&types[index], &classes[index], &is_kmalloc[index]];
                let kind = if bucket { "bucket" } else { "NULL" };
                assert_eq!(cells, [kind, "NULL", "0"], "{name}");
                continue;
            };
            assert_eq!(
                (types[index].as_str(), &classes[index]),
                (kind, &size.to_string()),
                "{name}"
            );
            *counts.entry(kind).or_insert(0) += 1;
        }
        eprintln!("kmalloc: {counts:?} of {}", names.len());
        assert!(counts["normal"] >= 10, "{counts:?}");
        assert!(names.len() > counts.values().sum::<usize>() + 50);
    }
}

/// Flag names are those of the kernel's headers, whatever their bits are here.
#[test]
fn flags_have_the_bits_that_files_show() {
    let Some(_turn) = common::live() else { return };
    for mut session in with_flags() {
        let capabilities = session.source().capabilities();
        let bit = |name: &str| {
            let found = capabilities.slab_flags().iter().find(|flag| flag.0 == name);
            1_u64 << found.unwrap_or_else(|| panic!("no flag {name}")).1
        };
        let files = [
            ("hwcache_align", bit("HWCACHE_ALIGN")),
            ("reclaim_account", bit("RECLAIM_ACCOUNT")),
            ("destroy_by_rcu", bit("TYPESAFE_BY_RCU")),
            ("cache_dma", bit("CACHE_DMA")),
            ("sanity_checks", bit("CONSISTENCY_CHECKS")),
            ("trace", bit("TRACE")),
            ("red_zone", bit("RED_ZONE")),
            ("poison", bit("POISON")),
            ("store_user", bit("STORE_USER")),
        ];
        let all: u64 = files.iter().map(|file| file.1).sum();
        let answer = ask::ask(&mut session, "select sysfs_id, flags");
        let witness = witness::sysfs(&files.map(|file| file.0));
        let mut compared = 0;
        for (folder, flags) in answer.texts("sysfs_id").iter().zip(answer.numbers("flags")) {
            let Some(folder) = witness.get(folder) else { continue };
            let set = files.iter().filter(|(file, _)| folder[file] == "1").map(|file| file.1);
            assert_eq!(flags & all, set.sum::<u64>(), "{folder:?}");
            compared += 1;
        }
        assert!(compared > 100, "{compared}");
    }
}
