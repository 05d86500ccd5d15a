//! Holds the tables of parts, names, flags and the catalog against the kernel's own files and against `caches`, by each
//! way to the caches that the kernel has.
//!
//! Figures move while they are compared. A comparison of two answers takes one of them before and after the other,
//! and is repeated until every cell was equal once between two equal ones; see `common/settle.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::{TempFile, answer, slabql};
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, SLAB, lines, list, parts_of};
use crate::walked;
use crate::walked::Prepared;
use query::catalog::TABLES;
use query::plan::Template;
use slabql::engine::Engine;
use slabql::source::Choice;

/// Asks as a user would: nodes, CPUs and tables of user space have targets of their own.
fn ask_of(session: &mut Engine, text: &str) -> Answer {
    let output = session.ask(text);
    Answer(output.unwrap_or_else(|failure| panic!("{text}: {}", failure.text())))
}

/// What a cache is called in a comparison: names are not unique.
fn keys(answer: &Answer) -> Vec<String> {
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
            let before = keys(&ask_of(&mut session, "select name, addr"));
            let parts = ask_of(&mut session, "select name, addr, node from nodes");
            let after = keys(&ask_of(&mut session, "select name, addr"));
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
            let caches = ask_of(session, "select addr, sysfs_id");
            caches.numbers("addr").into_iter().zip(caches.texts("sysfs_id")).collect()
        };
        let files = [("slabs", "slabs"), ("total_objects", "objects"), ("partial", "partial")];
        let counts = settle(&ask::by(&session, "nodes of sysfs"), |round| {
            let folders = folder(&mut session);
            for (file, column) in files {
                let before = lines(file);
                let rows = ask_of(&mut session, &format!("select addr, node, {column} from nodes"));
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
            let before = keys(&ask_of(&mut session, "select name, addr"));
            let parts = ask_of(&mut session, "select name, addr, cpu, online from cpus");
            let after = keys(&ask_of(&mut session, "select name, addr"));
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
        if ask_of(&mut session, "select partial_slabs from cpus limit 1").texts("partial_slabs")
            == ["NULL"]
        {
            eprintln!("the kernel has no CPU partial lists");
            return;
        }
        let mut equal: [BTreeSet<String>; 2] = Default::default();
        let mut unequal = BTreeMap::<String, u32>::new();
        let mut all = 0;
        for _ in 0..20 {
            let caches = ask_of(&mut session, "select name, addr, sysfs_id");
            let folders: BTreeMap<String, String> =
                keys(&caches).into_iter().zip(caches.texts("sysfs_id")).collect();
            all = folders.len();
            let read = || [lines("slabs_cpu_partial"), lines("cpu_slabs")];
            let before = read();
            let rows = ask_of(
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

#[test]
fn flags_are_counted() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let counts = settle(&ask::by(&session, "flags"), |round| {
            let flags = ask_of(&mut session, "select flag, bit, caches from flags");
            for (flag, count) in flags.texts("flag").iter().zip(flags.texts("caches")) {
                let text = format!("select name where flags has {flag}");
                let mut caches = || ask_of(&mut session, &text).len().to_string();
                round.cell("caches", flag, [caches(), count, caches()]);
            }
            let bits = flags.numbers("bit").into_iter().collect::<BTreeSet<_>>();
            assert_eq!(bits.len(), flags.len(), "a bit is named twice");
        });
        enough(&counts, &["caches"], 10);
        let unknown = ask_of(&mut session, "select flag from flags where meaning is null");
        assert_eq!(unknown.len(), 0, "{:?}", unknown.texts("flag"));
        let known = ask_of(&mut session, "select flag from flags where caches > 0");
        assert!(known.len() > 5);
    }
}

/// Every name leads to its cache. Links that lead nowhere, which a kernel leaves behind of a cache that is gone, are
/// of no cache, and so are left out.
#[test]
fn aliases_are_the_links() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let witness = || -> BTreeSet<(String, String)> {
            let there = |folder: &String| Path::new(SLAB).join(folder).is_dir();
            let links = witness::links().into_iter().filter(|(folder, _)| there(folder));
            links
                .flat_map(|(folder, names)| {
                    names.into_iter().map(move |name| (name, folder.clone()))
                })
                .collect()
        };
        let dangling =
            witness::links().keys().filter(|folder| !Path::new(SLAB).join(folder).is_dir()).count();
        let mut names = 0;
        let counts = settle(&ask::by(&session, "aliases"), |round| {
            let before = witness();
            let rows = ask_of(&mut session, "select alias, name, addr, sysfs_id from aliases");
            let after = witness();
            let caches = ask_of(&mut session, "select name, addr, alias_count");
            names = rows.len();
            let ours: BTreeSet<(String, String)> =
                rows.texts("alias").into_iter().zip(rows.texts("sysfs_id")).collect();
            for link in before.union(&after) {
                let said = [&before, &ours, &after].map(|names| names.contains(link).to_string());
                round.cell("link", &format!("{} {}", link.0, link.1), said);
            }
            // What is no link is the name of a folder, the cache's own.
            for (alias, folder) in
                ours.iter().filter(|name| !before.contains(*name) && !after.contains(*name))
            {
                let own = rows
                    .texts("alias")
                    .iter()
                    .zip(rows.texts("name"))
                    .any(|(found, name)| found == alias && *name == *alias);
                round.cell(
                    "folder",
                    folder,
                    [alias.clone(), if own { folder.clone() } else { "?".into() }, alias.clone()],
                );
            }
            let own: BTreeSet<String> = rows
                .texts("alias")
                .into_iter()
                .zip(rows.texts("name"))
                .zip(rows.numbers("addr"))
                .filter(|((alias, name), _)| alias == name)
                .map(|((_, name), addr)| format!("{name} {addr:x}"))
                .collect();
            for key in keys(&caches) {
                round.cell(
                    "own",
                    &key,
                    [
                        key.clone(),
                        if own.contains(&key) { key.clone() } else { String::new() },
                        key.clone(),
                    ],
                );
            }
        });
        eprintln!("{names} names; {dangling} folders that only links name are left out");
        enough(&counts, &["own"], 100);
        assert!(counts["link"] > 20);
    }
}

#[test]
fn slabinfo_is_the_file() {
    let Some(_turn) = common::live() else { return };
    let mut session = ask::live(Choice::default());
    let read = || fs::read_to_string("/proc/slabinfo").unwrap();
    let columns = [
        "active_objs",
        "num_objs",
        "objsize",
        "objperslab",
        "pagesperslab",
        "limit",
        "batchcount",
        "sharedfactor",
        "active_slabs",
        "num_slabs",
        "sharedavail",
    ];
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .filter(|word| ![":", "tunables", "slabdata"].contains(word))
            .map(str::to_owned)
            .collect()
    };
    let head = read().lines().nth(1).unwrap().replace(['<', '>', '#'], "");
    let head = words(&head);
    assert_eq!(head[0], "name");
    assert_eq!(head[1..], columns, "the file's own names");
    let counts = settle("slabinfo", |round| {
        let before = read();
        let rows = ask_of(&mut session, "select all from slabinfo");
        let after = read();
        let ours: Vec<Vec<String>> =
            rows.0.rows.iter().map(|row| row.iter().map(ask::text).collect()).collect();
        let [before, after] =
            [before, after].map(|text| text.lines().skip(2).map(words).collect::<Vec<_>>());
        round.cell(
            "rows",
            "count",
            [before.len(), ours.len(), after.len()].map(|count| count.to_string()),
        );
        if before.len() != ours.len() || after.len() != ours.len() {
            return;
        }
        for ((before, ours), after) in before.iter().zip(&ours).zip(&after) {
            for (index, column) in head.iter().enumerate() {
                let cell = [before, ours, after].map(|row| row[index].clone());
                round.cell(column, &before[0], cell);
            }
        }
    });
    enough(&counts, &columns, 100);
}

#[test]
fn columns_are_the_catalog() {
    let Some(_turn) = common::live() else { return };
    let mut session = ask::live(Choice::default());
    let rows = ask_of(&mut session, "select all from columns");
    let shown: usize = TABLES.iter().map(|table| table.shown().count()).sum();
    assert_eq!(rows.len(), shown);
    // What is said to be there is never NULL for a reason, and the other way round.
    for table in TABLES.iter() {
        for column in table.shown() {
            let text = format!(
                "select available, reason from columns where \"table\" = '{}' and \"column\" = '{}'",
                table.name, column.name
            );
            let row = ask_of(&mut session, &text);
            let texts: Vec<&str> = table.takes().iter().map(|_| "'live'").collect();
            let texts =
                if texts.is_empty() { String::new() } else { format!("({})", texts.join(", ")) };
            let answer = ask_of(
                &mut session,
                &format!("select \"{}\" from {}{texts} limit 1", column.name, table.name),
            );
            let warned = answer.0.warnings.iter().any(|note| note.contains("is NULL: "));
            assert_eq!(row.texts("available"), [u8::from(!warned).to_string()], "{text}");
            assert_eq!(row.texts("reason") == ["NULL"], !warned, "{text}");
        }
    }
    let missing = ask_of(
        &mut session,
        "select \"table\", \"column\", reason from columns where not available",
    );
    eprintln!("not available: {:?}", missing.0.rows);
    // The one kernel that has CPU slabs and sheaves; its optional parts are for its configuration to say.
    if matches!(ask::version(), (6, 18 | 19)) {
        let optional = |reason: &String| reason.contains("is built without");
        assert!(missing.texts("reason").iter().all(optional), "{:?}", missing.0.rows);
    }
}

/// A recording has what `caches` is; nodes, CPUs and the witness are of a running kernel.
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
        "nodes,a recording has no table `nodes`",
        "cpus,a recording has no table `cpus`",
        "slabs,a recording has no table `slabs`",
        "slabinfo,a recording has no table `slabinfo`",
    ];
    assert_eq!(count(&["--demo"], "not available"), missing);
    assert_eq!(
        count(&["--demo"], "available"),
        ["caches,", "aliases,", "flags,", "columns,", "diff,"]
    );
    for (table, message) in [
        (
            "nodes",
            "error: a recording has no table `nodes`\n  = help: recordings contain `caches`\n",
        ),
        ("cpus", "error: a recording has no table `cpus`\n  = help: recordings contain `caches`\n"),
        (
            "slabinfo",
            "error: a recording has no /proc/slabinfo\n  = help: `slabinfo` needs the running kernel\n",
        ),
    ] {
        let output = slabql(&["--demo", &format!("select * from {table}")]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(output.stdout.is_empty() && error.ends_with(message), "{error}");
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
fn verify_finds_nothing_wrong() {
    let Some(_turn) = common::live() else { return };
    for word in ["verify", ".verify"] {
        let output = slabql(&["--format", "csv", word]);
        let [out, error] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{out}{error}");
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("column,witness,rows,equal,moved,wrong"));
        let mut checks = 0;
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |index: usize| cells[index].parse::<usize>().unwrap();
            let file = cells[1].rsplit('/').next().unwrap();
            let there = file == "slabinfo" || Path::new(SLAB).join("dentry").join(file).exists();
            assert!(!there || number(3) > 100, "{line}");
            assert_eq!(number(5), 0, "{line}");
            assert_eq!(number(2), number(3) + number(4), "{line}");
            checks += usize::from(there);
        }
        eprintln!("{checks} checks");
        assert!(checks > 20);
    }
}

#[test]
fn parts_have_one_template_and_no_recording() {
    let Some(_turn) = common::iterated() else { return };
    let told = |args: &[&str]| -> (Option<i32>, String) {
        let output = slabql(args);
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let file = TempFile::new("tables.slab");
    assert!(slabql(&["--record", file.path()]).status.success());
    for table in ["nodes", "cpus"] {
        let text = format!("select * from {table} limit 1");
        let error = format!(
            "error: the template `iter` cannot give the table `{table}`\n  = help: leave `--template` out\n"
        );
        assert_eq!(told(&["--template", "iter", &text]), (Some(1), error));
        let (code, error) = told(&["--from", file.path(), &text]);
        let message = format!(
            "error: a recording has no table `{table}`\n  = help: recordings contain `caches`\n"
        );
        assert_eq!(code, Some(2));
        assert!(error.ends_with(&message), "{error}");
        assert_eq!(answer(&["--template", "open-coded", &text]).lines().count(), 2);
        // What is put together of caches goes by any template.
        assert!(answer(&["--template", "iter", "select * from aliases"]).lines().count() > 100);
    }
}

/// Of a name that no cache has the answer says whose it is now.
#[test]
fn a_merged_name_is_told() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = ask::live(Choice::default());
    let merged = ask_of(&mut session, "select alias, name from aliases where alias <> name");
    // A cache may have had the name before or after.
    let names = ask_of(&mut session, "select name").texts("name");
    let pairs = merged.texts("alias").into_iter().zip(merged.texts("name"));
    let Some((alias, cache)) = pairs.into_iter().find(|(alias, _)| !names.contains(alias)) else {
        common::skip("no cache is merged");
        return;
    };
    let told = |text: &str| {
        let output = slabql(&["--format", "csv", text]);
        let [out, error] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{error}");
        (out, error)
    };
    let note = format!(
        "note: `{alias}` was merged into `{cache}`; use `where '{alias}' in aliases` to find it\n"
    );
    let nothing = "name\n".to_owned();
    assert_eq!(
        told(&format!("select name where name = '{alias}'")),
        (nothing.clone(), note.clone())
    );
    assert_eq!(
        told(&format!("select name where name in ('nothing', '{alias}')")),
        (nothing.clone(), note)
    );
    let (found, error) = told(&format!("select name where '{alias}' in aliases"));
    assert!(found.lines().any(|line| line == cache) && error.is_empty(), "{found}{error}");
    // A cache that is there, and a name that is not asked for, are told nothing of.
    for text in [
        "select name where name = 'dentry' and size < 1".to_owned(),
        "select name where name = 'dentry' limit 0".to_owned(),
        format!("select name where not name = '{alias}' and size < 1"),
        format!("select name where name <> '{alias}' and size < 1"),
        "select name where name = 'no such cache'".to_owned(),
        format!("select alias from aliases where alias = '{alias}' and name = 'nothing'"),
    ] {
        let (_, error) = told(&text);
        assert_eq!(error, "", "{text}");
    }
}
