//! Tables of user space, and what is computed from them: they agree with the files that tell the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common;
use crate::common::ask::{self};
use crate::common::child::slabql;
use crate::common::settle::{enough, settle};
use crate::common::witness::{self, SLAB};
use crate::tables::keys;
use query::catalog::{Needs, Rows, TABLES};
use query::value::Value;
use slabql::source::Choice;

#[test]
fn flags_are_counted() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let counts = settle(&ask::by(&session, "flags"), |round| {
            let flags = ask::whole(&mut session, "select flag, bit, caches from flags");
            for (flag, count) in flags.texts("flag").iter().zip(flags.texts("caches")) {
                let text = format!("select name where flags has {flag}");
                let mut caches = || ask::whole(&mut session, &text).len().to_string();
                round.cell("caches", flag, [caches(), count, caches()]);
            }
            let bits = flags.numbers("bit").into_iter().collect::<BTreeSet<_>>();
            assert_eq!(bits.len(), flags.len(), "a bit is named twice");
        });
        enough(&counts, &["caches"], 10);
        let unknown = ask::whole(&mut session, "select flag from flags where meaning is null");
        assert_eq!(unknown.len(), 0, "{:?}", unknown.texts("flag"));
        let known = ask::whole(&mut session, "select flag from flags where caches > 0");
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
            let rows = ask::whole(&mut session, "select alias, name, addr, sysfs_id from aliases");
            let after = witness();
            let caches = ask::whole(&mut session, "select name, addr, alias_count");
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
        let rows = ask::whole(&mut session, "select all from slabinfo");
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
    let rows = ask::whole(&mut session, "select all from columns");
    let shown: usize = TABLES.iter().map(|table| table.shown().count()).sum();
    assert_eq!(rows.len(), shown);
    // What is said to be there is never NULL for a reason, and the other way round.
    for table in TABLES.iter() {
        // Rows of these are there during a trace alone.
        if matches!(table.rows, Rows::Host(made) if matches!(made.needs, Needs::Tracepoints | Needs::Looks))
        {
            continue;
        }
        if matches!(table.rows, Rows::Host(made) if made.needs == Needs::Profiling)
            && !Path::new("/proc/allocinfo").exists()
        {
            let text = "select count(*) from columns where \"table\" = 'callsites' and available";
            assert_eq!(ask::whole(&mut session, text).0.rows, [[Value::UInt(0)]]);
            continue;
        }
        for column in table.shown() {
            let text = format!(
                "select available, reason from columns where \"table\" = '{}' and \"column\" = '{}'",
                table.name, column.name
            );
            let row = ask::whole(&mut session, &text);
            // The objects of one cache, if not two times the running kernel.
            let texts = match table.rows {
                Rows::Objects => vec!["'kmem_cache'"],
                _ => vec!["'live'"; table.takes().len()],
            };
            let texts =
                if texts.is_empty() { String::new() } else { format!("({})", texts.join(", ")) };
            let answer = ask::whole(
                &mut session,
                &format!("select \"{}\" from {}{texts} limit 1", column.name, table.name),
            );
            let warned = answer.0.warnings.iter().any(|note| note.contains("is NULL: "));
            assert_eq!(row.texts("available"), [u8::from(!warned).to_string()], "{text}");
            assert_eq!(row.texts("reason") == ["NULL"], !warned, "{text}");
        }
    }
    let missing = ask::whole(
        &mut session,
        "select \"table\", \"column\", reason from columns where not available",
    );
    eprintln!("not available: {:?}", missing.0.rows);
    // The one kernel that has CPU slabs and sheaves; its optional parts are for its configuration to say.
    if matches!(ask::version(), (6, 18 | 19)) {
        let optional = |reason: &String| {
            reason.contains("built without")
                || reason.contains("booted without")
                || reason.contains("version 1 of cgroups")
                || reason.contains("no hierarchy of cgroups")
        };
        assert!(missing.texts("reason").iter().all(optional), "{:?}", missing.0.rows);
    }
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

/// Of a name that no cache has the answer says whose it is now.
#[test]
fn a_merged_name_is_told() {
    let Some(_turn) = common::iterated() else { return };
    let mut session = ask::live(Choice::default());
    let merged = ask::whole(&mut session, "select alias, name from aliases where alias <> name");
    // A cache may have had the name before or after.
    let names = ask::whole(&mut session, "select name").texts("name");
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
