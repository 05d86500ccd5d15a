//! Holds the tables of parts against the kernel's own files and against `caches`, by each
//! way to the caches that the kernel has.
//!
//! Figures move while they are compared. A comparison of two answers takes one of them before and after the other,
//! and is repeated until every cell was equal once between two equal ones; see `common/settle.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::{answer, slabql};
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, SLAB, lines, list, parts_of};
use crate::walked;
use crate::walked::Prepared;
use query::plan::Template;
use slabql::engine::Engine;

/// What a cache is called in a comparison: names are not unique.
pub fn keys(answer: &Answer) -> Vec<String> {
    let addrs = answer.numbers("addr");
    answer.texts("name").iter().zip(addrs).map(|(name, addr)| format!("{name} {addr:x}")).collect()
}

const OF_NODES: [&str; 5] = ["slabs", "objects", "partial", "free_partial", "cached_barns"];
const OF_CPUS: [&str; 3] = ["cached_cpu", "cached_sheaves", "rcu_pending"];

/// Compares figures of caches with the sums of what says the same of their parts in `table`. What a kernel lacks is 0
/// on both sides.
///
/// Both programs stay loaded: to load one makes and undoes objects of just the caches that are compared.
fn add_up(table: &str, columns: &[&str], parts: &[&str]) {
    for template in walked::templates() {
        add_up_by(template, table, columns, parts);
    }
}

fn add_up_by(template: Template, table: &str, columns: &[&str], parts: &[&str]) {
    let prepare = |figures: &[&str], table: &str| {
        let figures: Vec<_> =
            figures.iter().map(|figure| format!("coalesce({figure}, 0)")).collect();
        let text = format!("select name, addr, {} from {table}", figures.join(", "));
        Prepared::by(template, &text)
    };
    let (caches, parts) = (prepare(columns, "caches"), prepare(parts, table));
    let sums = |prepared: &Prepared| {
        let (rows, flags) = prepared.run();
        let mut sums = BTreeMap::<String, Vec<i64>>::new();
        for row in rows {
            let key = format!("{} {:x}", walked::text(&row[0]), walked::number(&row[1]));
            let sum = sums.entry(key).or_insert_with(|| vec![0; columns.len()]);
            for (sum, figure) in sum.iter_mut().zip(&row[2..]) {
                *sum += walked::number(figure);
            }
        }
        (!walked::failed(flags)).then_some(sums)
    };
    let counts = settle(&format!("{table} by {}", template.name()), |round| {
        let [Some(before), Some(ours), Some(after)] = [&caches, &parts, &caches].map(sums) else {
            // A list changed while it was walked.
            round.cell("walks", "all", ["whole", "torn", "whole"].map(str::to_owned));
            return;
        };
        for (key, before) in &before {
            // A cache that went or came is none that rests.
            let (Some(ours), Some(after)) = (ours.get(key), after.get(key)) else { continue };
            for (index, column) in columns.iter().enumerate() {
                round.cell(column, key, [before, ours, after].map(|sums| sums[index].to_string()));
            }
        }
    });
    enough(&counts, columns, 100);
}

#[test]
fn nodes_add_up_to_caches() {
    if let Some(_turn) = common::live() {
        add_up("nodes", &OF_NODES, &OF_NODES);
    }
}

#[test]
fn cpus_add_up_to_caches() {
    if let Some(_turn) = common::live() {
        add_up("cpus", &OF_CPUS, &["cpu_free + partial_free", "main + spare", "rcu_free"]);
    }
}

#[test]
fn every_cache_has_every_node() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let nodes = witness::nodes();
        let counts = settle(&ask::by(&session, "rows of nodes"), |round| {
            let before = keys(&ask::whole(&mut session, "select name, addr"));
            let parts = ask::whole(&mut session, "select name, addr, node from nodes");
            let after = keys(&ask::whole(&mut session, "select name, addr"));
            let expected = |caches: &Vec<String>| (caches.len() * nodes.len()).to_string();
            round.cell(
                "rows",
                "all",
                [expected(&before), parts.len().to_string(), expected(&after)],
            );
            let mut found = BTreeMap::<String, BTreeSet<u64>>::new();
            for (key, node) in keys(&parts).into_iter().zip(parts.numbers("node")) {
                assert!(found.entry(key).or_default().insert(node), "a node is shown twice");
            }
            assert!(found.values().all(|found| *found == nodes));
        });
        assert_eq!(counts["rows"], 1);
    }
}

#[test]
fn lines_of_sysfs_are_read() {
    assert_eq!(
        parts_of("12 N0=8 N12=4\n", 'N'),
        BTreeMap::from([(0, "8".into()), (12, "4".into())])
    );
    assert_eq!(parts_of("105(10) C0=73(7) C1=31(3)", 'C')[&1], "3");
    assert!(parts_of("0(0)\n", 'C').is_empty());
}

#[test]
fn nodes_are_those_of_sysfs() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let folder = |session: &mut Engine| -> BTreeMap<u64, String> {
            let caches = ask::whole(session, "select addr, sysfs_id");
            caches.numbers("addr").into_iter().zip(caches.texts("sysfs_id")).collect()
        };
        let files = [("slabs", "slabs"), ("total_objects", "objects"), ("partial", "partial")];
        let counts = settle(&ask::by(&session, "nodes of sysfs"), |round| {
            let folders = folder(&mut session);
            for (file, column) in files {
                let before = lines(file);
                let rows =
                    ask::whole(&mut session, &format!("select addr, node, {column} from nodes"));
                let after = lines(file);
                let cells = rows.numbers("addr").into_iter().zip(rows.numbers("node"));
                for ((addr, node), ours) in cells.zip(rows.texts(column)) {
                    let Some(folder) = folders.get(&addr) else { continue };
                    let (Some(before), Some(after)) = (before.get(folder), after.get(folder))
                    else {
                        continue;
                    };
                    // A node that has none is left out.
                    let says = |line: &str| {
                        parts_of(line, 'N').remove(&node).unwrap_or_else(|| "0".to_owned())
                    };
                    round.cell(
                        column,
                        &format!("{folder} {node}"),
                        [says(before), ours, says(after)],
                    );
                }
            }
        });
        enough(&counts, &files.map(|(_, column)| column), 100);
    }
}

#[test]
fn every_cache_has_every_possible_cpu() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let possible = list("/sys/devices/system/cpu/possible").unwrap();
        let online = list("/sys/devices/system/cpu/online").unwrap();
        let counts = settle(&ask::by(&session, "rows of CPUs"), |round| {
            let before = keys(&ask::whole(&mut session, "select name, addr"));
            let parts = ask::whole(&mut session, "select name, addr, cpu, online from cpus");
            let after = keys(&ask::whole(&mut session, "select name, addr"));
            let expected = |caches: &Vec<String>| (caches.len() * possible.len()).to_string();
            round.cell(
                "rows",
                "all",
                [expected(&before), parts.len().to_string(), expected(&after)],
            );
            let mut cpus = BTreeMap::<String, BTreeSet<u64>>::new();
            for (key, cpu) in keys(&parts).into_iter().zip(parts.numbers("cpu")) {
                assert!(cpus.entry(key).or_default().insert(cpu), "a CPU is shown twice");
            }
            assert!(cpus.values().all(|cpus| *cpus == possible));
            for (cpu, shown) in parts.numbers("cpu").into_iter().zip(parts.texts("online")) {
                assert_eq!(shown, u8::from(online.contains(&cpu)).to_string(), "CPU {cpu}");
            }
        });
        assert_eq!(counts["rows"], 1);
    }
}

/// `cpu_slabs` counts a CPU slab and the slabs behind it; `slabs_cpu_partial` says the latter of each CPU.
#[test]
fn cpus_are_those_of_sysfs() {
    let Some(_turn) = common::live() else { return };
    if !Path::new(SLAB).join("dentry/slabs_cpu_partial").exists() {
        common::skip("the kernel has no CPU partial lists");
        return;
    }
    for mut session in ask::sources() {
        // From 7.0 on the file is there without the lists, and says nothing.
        if ask::whole(&mut session, "select partial_slabs from cpus limit 1").texts("partial_slabs")
            == ["NULL"]
        {
            eprintln!("the kernel has no CPU partial lists");
            return;
        }
        let mut equal: [BTreeSet<String>; 2] = Default::default();
        let mut unequal = BTreeMap::<String, u32>::new();
        let mut all = 0;
        for _ in 0..20 {
            let caches = ask::whole(&mut session, "select name, addr, sysfs_id");
            let folders: BTreeMap<String, String> =
                keys(&caches).into_iter().zip(caches.texts("sysfs_id")).collect();
            all = folders.len();
            let read = || [lines("slabs_cpu_partial"), lines("cpu_slabs")];
            let before = read();
            let rows = ask::whole(
                &mut session,
                "select name, addr, cpu, partial_slabs, slab is not null as there from cpus where online",
            );
            let after = read();
            let mut ours = BTreeMap::<String, (BTreeMap<u64, String>, u64)>::new();
            let cells = rows.numbers("cpu").into_iter().zip(rows.numbers("partial_slabs"));
            for ((key, (cpu, slabs)), there) in
                keys(&rows).into_iter().zip(cells).zip(rows.texts("there"))
            {
                let (partial, held) = ours.entry(key).or_default();
                if slabs > 0 {
                    partial.insert(cpu, slabs.to_string());
                }
                if there == "1" {
                    *held += 1 + slabs;
                }
            }
            for (key, (partial, held)) in ours {
                let Some(folder) = folders.get(&key) else { continue };
                let quiet = |index: usize| {
                    let line = before[index].get(folder)?;
                    (after[index].get(folder) == Some(line)).then_some(line)
                };
                // Not every cache that is quiet at both ends was so in between: what is unequal must become equal.
                let mut look = |index: usize, same: bool| {
                    if same {
                        equal[index].insert(key.clone());
                    } else {
                        *unequal.entry(format!("{index} {key}")).or_default() += 1;
                    }
                };
                if let Some(line) = quiet(0) {
                    let mut says = parts_of(line, 'C');
                    says.retain(|_, slabs| slabs != "0");
                    look(0, says == partial);
                }
                if let Some(line) = quiet(1) {
                    let says: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
                    look(1, says == held);
                }
            }
            if equal.iter().all(|equal| equal.len() >= all) {
                break;
            }
        }
        let [partial, held] = equal.each_ref().map(BTreeSet::len);
        unequal.retain(|key, _| {
            let (index, key) = key.split_once(' ').unwrap();
            // Reading the files moves their own cache.
            !equal[usize::from(index == "1")].contains(key) && !key.starts_with("filp ")
        });
        eprintln!(
            "of {all} caches {partial} equal slabs_cpu_partial and {held} cpu_slabs; never: {unequal:?}"
        );
        assert!(partial > 100 && held > 100);
        assert!(unequal.values().all(|times| *times < 10), "{unequal:?}");
    }
}

/// A recording has the tables that were recorded, and those that are made of them.
#[test]
fn a_recording_says_what_it_has_not() {
    let count = |args: &[&str], condition: &str| -> Vec<String> {
        let text = format!("select distinct \"table\", reason from columns where {condition}");
        answer(&[args, &["--format", "csv", &text]].concat())
            .lines()
            .skip(1)
            .map(str::to_owned)
            .collect()
    };
    let missing = [
        "caches,the recording has no column `type`",
        "objects,the demo has no table `objects`",
        "cgroups,the demo has no table `cgroups`",
        "callsites,the demo has no table `callsites`",
        "allocations,a recording has no table `allocations`",
        "frees,a recording has no table `frees`",
        "audit,a recording has no table `audit`",
        "contention,a recording has no table `contention`",
    ];
    assert_eq!(count(&["--demo"], "not available"), missing);
    assert_eq!(
        count(&["--demo"], "available"),
        [
            "caches,",
            "nodes,",
            "cpus,",
            "slabs,",
            "aliases,",
            "flags,",
            "slabinfo,",
            "columns,",
            "diff,"
        ]
    );
    for table in ["objects", "cgroups"] {
        let output = slabql(&["--demo", &format!("select * from {table}")]);
        let error = String::from_utf8(output.stderr).unwrap();
        let message = format!(
            "error: the demo has no table `{table}`\n  = help: `slabql --record FILE --tables {table}` records it\n"
        );
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty() && error.ends_with(&message), "{error}");
    }
    for (table, least) in [("aliases", 100), ("flags", 10), ("columns", 100)] {
        let rows = answer(&["--demo", "--format", "csv", &format!("select all from {table}")]);
        assert!(rows.lines().count() > least, "{table}: {rows}");
    }
    // Each cache has its name and the names of those merged into it.
    let merged = answer(&["--demo", "--format", "csv", "select name, length(aliases) from caches"]);
    let merged: usize = merged
        .lines()
        .skip(1)
        .map(|line| line.rsplit_once(',').unwrap().1.parse::<usize>().unwrap() + 1)
        .sum();
    assert_eq!(
        answer(&["--demo", "--format", "csv", "select alias from aliases"]).lines().count() - 1,
        merged
    );
    let counted =
        answer(&["--demo", "--format", "csv", "select caches from flags where flag = 'ACCOUNT'"]);
    let caches = answer(&["--demo", "--format", "csv", "select name where flags has ACCOUNT"]);
    assert_eq!(counted, format!("caches\n{}\n", caches.lines().count() - 1));
}

#[test]
fn parts_have_one_template() {
    let Some(_turn) = common::iterated() else { return };
    for table in ["nodes", "cpus"] {
        let text = format!("select * from {table} limit 1");
        let error = format!(
            "error: the template `iter` cannot give the table `{table}`\n  = help: leave `--template` out\n"
        );
        let output = slabql(&["--template", "iter", &text]);
        assert!(output.stdout.is_empty());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told), (Some(1), error));
        assert_eq!(answer(&["--template", "open-coded", &text]).lines().count(), 2);
        // What is put together of caches goes by any template.
        assert!(answer(&["--template", "iter", "select * from aliases"]).lines().count() > 100);
    }
}
