//! What the source `proc` tells is what its files say, and what the kernel's memory says.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::ask::{self, ask};
use common::live;
use common::settle::{enough, settle};
use common::witness;
use query::availability::unavailable;
use query::catalog;
use query::value::Value;
use repl::session::Session;
use repl::source::Choice;
use repl::source::proc::Proc;

/// What follows objects and slabs as they come and go.
const MOVING: [&str; 7] =
    ["slabs", "objects", "partial", "free_slabinfo", "active_slabinfo", "memory", "fragmentation"];

fn files() -> Session {
    ask::session(Box::new(Proc::open().unwrap()), Choice::default())
}

#[test]
fn rows_are_the_lines_of_slabinfo() {
    if !live() {
        return;
    }
    let session = files();
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
        let answer = ask(&session, text);
        let after: Vec<_> = witness::slabinfo().iter().map(cells).collect();
        let names = answer.names();
        let columns: Vec<_> = names.iter().map(|name| answer.texts(name)).collect();
        // Where a cache came or went the lines are others: another look is taken.
        if before.len() != after.len() || columns[0].len() != before.len() {
            return round.cell("lines", "all", ["before", "ours", "after"].map(str::to_owned));
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
    if !live() {
        return;
    }
    let (kernel, files) = (ask::live(Choice::default()), files());
    let table = catalog::TABLES[0];
    let given = |session: &Session| {
        let there = table
            .columns
            .iter()
            .filter(|column| unavailable(table, column, session.source.offer()).is_none());
        there.map(|column| column.name).collect::<Vec<_>>()
    };
    let by_memory = given(&kernel);
    let names: Vec<_> = given(&files).into_iter().filter(|name| by_memory.contains(name)).collect();
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
        assert!(names.contains(&name), "{name}");
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
        let rows = |session: &Session| -> BTreeMap<String, Vec<String>> {
            let answer = ask(session, &text);
            let columns: Vec<_> = names.iter().map(|name| answer.texts(name)).collect();
            let ids = answer.texts("sysfs_id").into_iter().enumerate();
            ids.map(|(at, id)| (id, columns.iter().map(|column| column[at].clone()).collect()))
                .collect()
        };
        let counts = settle("memory by proc", |round| {
            let (before, ours, after) = (rows(&kernel), rows(&files), rows(&kernel));
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
    let answer = ask(&files, "select count(*) as lost where sysfs_id is null");
    assert_eq!(answer.column("lost"), [&Value::UInt(0)]);
}
