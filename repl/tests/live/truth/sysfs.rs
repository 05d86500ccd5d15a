//! The files of `/sys/kernel/slab`: figures that stay, figures that move, what follows from them, and links.

use std::collections::BTreeMap;

use super::{exists, is_of_flags, keys, kmalloc, with_flags};
use crate::common;
use crate::common::ask;
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, Folders, Sysfs};

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
