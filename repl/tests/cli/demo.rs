//! The demo: every table answers, what is of one machine agrees, and its virtual machine moves.

use std::fs;
use std::path::Path;

use query::bound::Expr;
use query::catalog::TABLES;
use query::value::{Type, Value};
use slabql::source::Choice;
use slabql::source::recording::Recording;

use crate::common::ask;
use crate::common::program::{Folder, Ran, SLABQL, command, demo};
use crate::common::start::Start;

/// The answer of a recording.
fn rows(last: bool, query: &str) -> Vec<Vec<Value>> {
    let recording = Recording::moment(last).unwrap();
    ask::session(Box::new(recording), Choice::default()).ask(query).unwrap().rows
}

#[test]
fn every_table_answers() {
    for table in ["nodes", "cpus", "slabs", "slabinfo", "aliases", "flags", "columns"] {
        let ran = demo(["--format", "csv", &format!("select * from {table}")]);
        assert!(ran.code == Some(0) && ran.out.lines().count() > 10, "{table}: {}", ran.err);
        // What is not of the machine that the label names says so.
        let made = ["aliases", "flags", "columns"].contains(&table);
        let note = format!("\nnote: `{table}` in the demo comes from a virtual machine (Linux 6.");
        assert_eq!(ran.err.contains(&note), !made, "{}", ran.err);
        assert_eq!(demo([".why"]).out.contains(&note[7..]), !made, "{table}");
    }
    let ran = demo(["select count(*) from caches"]);
    assert_eq!((ran.out.as_str(), ran.err.lines().count()), ("count(*)\n235\n", 1), "{}", ran.err);
}

/// At both moments: the parts of a cache are what the cache says.
#[test]
fn the_virtual_machine_agrees_with_itself() {
    for last in [false, true] {
        let caches = "select addr, slabs, objects from caches where slabs > 0 order by addr";
        let caches = rows(last, caches);
        assert!(caches.len() > 80, "{}", caches.len());
        for parts in [
            "select cache, count(*), sum(objects) from slabs group by 1 order by 1",
            "select addr, sum(slabs), sum(objects) from nodes where slabs > 0 group by 1 order by 1",
        ] {
            let parts = rows(last, parts);
            let unlike = caches.iter().zip(&parts).find(|(cache, parts)| {
                cache.iter().zip(*parts).any(|(one, other)| one.integer() != other.integer())
            });
            assert_eq!((unlike, parts.len()), (None, caches.len()));
        }
        let named = |query| -> Vec<_> {
            let row = |row: Vec<Value>| (row[0].clone(), row[1].integer());
            rows(last, query).into_iter().map(row).collect()
        };
        let files = named("select name, num_objs from slabinfo order by name");
        assert!(named("select name, objects from caches order by name") == files);
        assert_eq!(rows(last, "select count(*) where not complete"), [[Value::UInt(0)]]);
    }
}

#[test]
fn a_watch_alternates_between_two_moments() {
    let ticks = |query: &str| -> Vec<String> {
        let ran = demo(["--format", "csv", "--watch", "1ms", "--count", "4", query]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let note = "a watch on the demo alternates between two moments of a virtual machine";
        // A subquery says so too.
        assert_eq!(ran.err.matches(note).count(), 1 + usize::from(query.contains("(select")));
        let tick = |line: &str| line.split_once(',').unwrap().1.to_owned();
        ran.out.lines().skip(1).map(tick).collect()
    };
    let folder = Folder::new();
    for query in [
        "select count(*), sum(memory)",
        "select count(*), sum(objects) from slabs",
        "select count(*), sum(memory) where memory > (select avg(memory) from caches)",
    ] {
        let ticks = ticks(query);
        let is_moving = ticks[0] != ticks[1];
        assert!(is_moving && ticks[..2] == ticks[2..], "{query}: {ticks:?}");
        let answer = |last| {
            let path = folder.path(if last { "last.slab" } else { "first.slab" });
            Recording::moment(last).unwrap().save(&path).unwrap();
            let mut command = command(SLABQL);
            let ran: Ran =
                command.arg("--from").arg(&path).args(["--format", "csv", query]).ran().into();
            ran.out.lines().last().unwrap().to_owned()
        };
        let mut moments = [answer(false), answer(true)];
        moments.sort();
        let mut seen = [ticks[0].clone(), ticks[1].clone()];
        seen.sort();
        assert_eq!(seen, moments, "{query}");
    }
    // The prompt is back at the first one then.
    let ran = demo(["select count(*); watch 1ms count 2 select count(*); select count(*)"]);
    let counts: Vec<&str> = ran.out.lines().filter(|line| *line == "235").collect();
    assert_eq!(counts.len(), 2, "{}", ran.out);
}

/// Kernels number flags differently, and the demo's machines are two.
#[test]
fn flags_of_either_machine_have_their_names() {
    let query = "select name, flags where name in ('dentry', 'filp', 'task_struct') order by name";
    let ran = demo(["--format", "ndjson", "--watch", "1ms", "--count", "1", query]);
    let folder = Folder::new();
    let path = folder.path("first.slab");
    Recording::moment(false).unwrap().save(&path).unwrap();
    let same: Ran =
        command(SLABQL).arg("--from").arg(&path).args(["--format", "ndjson", query]).ran().into();
    let row = |line: &str| line[line.find("\"name\"").unwrap()..].to_owned();
    let [found, same] = [&ran, &same].map(|ran| ran.out.lines().map(row).collect::<Vec<_>>());
    assert_eq!(found, same);
    assert!(found.len() == 3 && found[0].contains("RECLAIM_ACCOUNT"), "{found:?}");
    // A flag that the first machine does not have has no place, and nothing has it.
    let query = "select count(*) where flags has SKIP_KFENCE";
    assert_eq!([rows(false, query), rows(true, query)], [[[Value::UInt(0)]], [[Value::UInt(0)]]]);
}

#[test]
fn a_snapshot_of_the_demo_is_compared_with_its_last_moment() {
    let folder = Folder::new();
    let path = folder.path("before.slab");
    let before = path.to_str().unwrap();
    let ran = demo(["snapshot", before]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("\nsnapshot of 198 caches in "), "{}", ran.err);
    let ran = demo(["--format", "csv", "diff", before]);
    let states = |state: &str| ran.out.lines().filter(|line| line.contains(state)).count();
    assert_eq!((states(",new,"), states(",gone,")), (2, 1), "{}", ran.out);
    assert!(states(",grown,") > 20 && states(",shrunk,") > 5, "{}", ran.out);
    assert!(!ran.err.contains("backwards") && !ran.err.contains("by name only"), "{}", ran.err);
    let query = format!("select count(*), sum(delta_objects) from diff('{before}', 'live')");
    let [objects, then] = [false, true].map(|last| {
        let sum = rows(last, "select count(*), sum(objects)").remove(0).remove(1);
        sum.integer().unwrap()
    });
    let ran = demo([query.as_str()]);
    assert!(ran.out.ends_with(&format!(",{}\n", then - objects)), "{}{}", ran.out, ran.err);
    // Standard output gets the same, and no other recording moves.
    let ran = demo(["snapshot", "-"]);
    let (first, written) = (Recording::moment(false).unwrap(), Recording::read(ran.out.as_bytes()));
    assert_eq!(written.unwrap().time(), first.time());
    for words in [["snapshot", "b.slab"], ["diff", before]] {
        let ran: Ran = command(SLABQL).args(["--from", before]).args(words).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    }
}

/// It is part of every copy of the program.
#[test]
fn the_demo_is_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/source");
    let bytes = |name: &str| fs::metadata(folder.join(name)).unwrap().len();
    let added = bytes("demo-1.slab") + bytes("demo-2.slab");
    assert!(added <= 200 << 10, "{added} bytes");
    // What most ask first is not compressed.
    let caches = fs::read(folder.join("demo.slab")).unwrap();
    assert!(caches.starts_with(b"{\"format\":") && caches.len() < 64 << 10);
}

#[test]
fn a_stamp_names_the_kernel_of_the_table() {
    let kernel = |table: &str| {
        let query = format!("select name from {table} limit 1");
        let Ran { out, err, .. } = demo(["--format", "csv", "--stamp", &query]);
        let row = out.lines().nth(1).unwrap_or_else(|| panic!("{err}"));
        row.split(',').nth(2).unwrap().to_owned()
    };
    assert_eq!(kernel("caches"), "6.18.44");
    assert!(kernel("slabs").starts_with("6.18.15"), "{}", kernel("slabs"));
}

/// Whether a value is one that its expression can have.
fn fits(value: &Value, expr: &Expr) -> bool {
    match (value, expr.ty) {
        (Value::Null, _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Text(_), Type::Text)
        | (Value::List(_), Type::List)
        | (Value::Float(_), Type::Float) => true,
        (Value::UInt(_) | Value::Int(_), ty) if ty.is_integer() || ty.is_flags() => {
            let number = value.integer().unwrap();
            (expr.range.low..=expr.range.high).contains(&number)
        }
        _ => false,
    }
}

/// Of all columns of all tables, and of what chooses between a column and the next ones or a constant.
#[test]
fn every_value_is_one_of_its_type() {
    let recording = Recording::moment(true).unwrap();
    let mut session = ask::session(Box::new(recording), Choice::default());
    let (mut tables, mut mixed) = (0, 0);
    for table in TABLES.iter() {
        let columns: Vec<String> =
            table.shown().map(|column| format!("\"{}\"", column.name)).collect();
        let from = format!("from \"{}\"", table.name);
        for (at, column) in columns.iter().enumerate() {
            let mut items = vec![column.clone(), format!("(select max({column}) {from})")];
            let next = columns[at + 1..].iter().take(3).map(String::as_str);
            for other in next.chain(["-1", "18446744073709551615", "1.5", "'x'", "true"]) {
                items.extend([
                    format!("coalesce({column}, {other})"),
                    format!("greatest({other}, {column})"),
                    format!("iif({column} is null, {other}, {column})"),
                    format!("case when {column} = {other} then {other} else {column} end"),
                    format!("nullif({column}, {other})"),
                ]);
            }
            items.retain(|item| {
                ask::planned(&mut session, &format!("select {item} {from}")).is_ok()
            });
            if items.is_empty() {
                continue;
            }
            let text = format!("select {} {from}", items.join(", "));
            let plan = ask::planned(&mut session, &text).unwrap();
            let Ok(answer) = session.execute(&plan) else { continue };
            tables += usize::from(at == 0);
            mixed += items.len() - 1;
            for row in answer.rows {
                for ((value, item), text) in row.iter().zip(plan.items()).zip(&items) {
                    let expr = &item.expr;
                    assert!(
                        fits(value, expr),
                        "{text} {from}: {value:?} {:?} {:?}",
                        expr.ty,
                        expr.range
                    );
                }
            }
        }
    }
    assert!(tables >= 8 && mixed > 1000, "{tables} tables, {mixed} expressions");
}
