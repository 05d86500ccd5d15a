//! What differs between two moments: held against SQLite over random ones, and against known work on the running kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::common;
use crate::common::ask;
use crate::common::child::{TempFile, answer, slabql};
use crate::common::lacks;
use crate::common::start::{self, Start};
use crate::common::zram;
use proptest::prelude::*;
use query::capabilities::Capabilities;
use query::catalog::TABLES;
use query::value::Value;
use rusqlite::Connection;
use slabql::engine::Engine;
use slabql::render::{Capacity, FORMATS, Format};
use slabql::source::Choice;
use slabql::source::recording::{Recording, missing, stored};

/// A cache of a made-up moment.
#[derive(Clone, Debug)]
struct Cache {
    name: String,
    addr: u64,
    slabs: i64,
    objects: i64,
    free: Option<u64>,
}

const BOOT: &str = "11111111-1111-4111-8111-111111111111";
const OTHER: &str = "22222222-2222-4222-8222-222222222222";

fn over(recording: Recording) -> Engine {
    ask::session(Box::new(recording), Choice::default())
}

/// A recording of caches, in a file.
fn moment(name: &str, boot: Option<&str>, caches: &[Cache]) -> TempFile {
    let mut demo = over(Recording::demo().unwrap());
    let capabilities: &dyn Capabilities = demo.source().capabilities();
    let table = TABLES[0];
    let missing = missing(table, capabilities);
    let names = stored(table).map(|column| column.name);
    let names: Vec<&str> = names.filter(|name| !missing.contains_key(*name)).collect();
    let blank =
        ask::ask(&mut demo, &format!("select {} limit 1", names.join(", "))).0.rows.remove(0);
    let row = |cache: &Cache| {
        let mut row = blank.clone();
        for (at, name) in names.iter().enumerate() {
            row[at] = match *name {
                "name" => Value::text(&cache.name),
                "addr" => Value::UInt(cache.addr),
                "slabs" => Value::Int(cache.slabs),
                "objects" => Value::Int(cache.objects),
                "free_partial" => cache.free.map_or(Value::Null, Value::UInt),
                "cached_cpu" | "cached_sheaves" | "cached_barns" | "rcu_pending" => Value::UInt(0),
                _ => continue,
            };
        }
        row
    };
    let rows: Vec<_> = caches.iter().map(row).collect();
    let file = TempFile::new(name);
    let boot = boot.map(str::to_owned);
    Recording::new(table, missing, demo.source().capabilities(), "6.18.0", boot, &rows)
        .unwrap()
        .save(&file.0)
        .unwrap();
    file
}

/// The rows of an answer, each as one text; sorted, as SQLite has another order.
fn texts(rows: Vec<Vec<String>>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
    texts.sort();
    texts
}

/// What SQLite says of two recordings: a full join of their rows.
fn joined(before: &TempFile, after: &TempFile, by_addr: bool) -> Vec<String> {
    let sqlite = Connection::open_in_memory().unwrap();
    for (table, file) in [("b", before), ("a", after)] {
        let create = format!("create table {table} (name, addr, memory, active, objects)");
        sqlite.execute(&create, []).unwrap();
        let mut session = over(Recording::open(&file.0).unwrap());
        let all = ask::ask(&mut session, "select name, addr, memory, active, objects");
        for row in all.0.rows {
            let cell = |value: &Value| match value.integer() {
                Some(number) => number.to_string(),
                None if *value == Value::Null => "null".to_owned(),
                None => format!("'{}'", ask::text(value)),
            };
            // An address does not fit SQLite's integers.
            let mut cells: Vec<String> = row.iter().map(cell).collect();
            cells[1] = format!("'{}'", cells[1]);
            sqlite
                .execute(&format!("insert into {table} values ({})", cells.join(", ")), [])
                .unwrap();
        }
    }
    let on = if by_addr { "a.name = b.name and a.addr = b.addr" } else { "a.name = b.name" };
    let figures = ["memory", "active", "objects"].map(|figure| {
        let side = |table| format!("iif({table}.name is null, 0, {table}.{figure})");
        format!("b.{figure}, a.{figure}, {} - {}", side("a"), side("b"))
    });
    let text = format!(
        "select coalesce(a.name, b.name), coalesce(a.addr, b.addr), \
         case when b.name is null then 'new' when a.name is null then 'gone' else '-' end, {} \
         from a full join b on {on}",
        figures.join(", ")
    );
    let mut statement = sqlite.prepare(&text).unwrap();
    let rows = statement.query_map([], |row| {
        let cell = |at| {
            Ok(match row.get_ref(at)? {
                rusqlite::types::ValueRef::Null => "NULL".to_owned(),
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap().to_owned(),
            })
        };
        (0..12).map(cell).collect::<rusqlite::Result<Vec<String>>>()
    });
    texts(rows.unwrap().map(Result::unwrap).collect())
}

fn caches() -> impl Strategy<Value = Vec<Cache>> {
    let name = prop::sample::select(vec!["dentry", "filp", "a b", "kmalloc-64", "é", "x"]);
    let amount = prop_oneof![2 => 0_i64..4, 2 => 0_i64..100_000];
    // Of unknown figures the difference is unknown.
    let free = prop::option::weighted(0.9, 0_u64..50);
    let cache = (name, 0_u64..3, amount.clone(), amount, free).prop_map(
        |(name, addr, slabs, objects, free)| {
            let addr = 0xffff_8880_0000_1000 + 0x100 * addr;
            Cache { name: name.to_owned(), addr, slabs, objects, free }
        },
    );
    prop::collection::vec(cache, 0..12)
}

/// The caches without those that another is not told from.
fn apart(caches: Vec<Cache>, by_addr: bool) -> Vec<Cache> {
    let mut seen = BTreeSet::new();
    let key = |cache: &Cache| (cache.name.clone(), by_addr.then_some(cache.addr));
    caches.into_iter().filter(|cache| seen.insert(key(cache))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn differences_are_those_of_a_join(before in caches(), after in caches(), by_addr in any::<bool>()) {
        let [before, after] = [before, after].map(|caches| apart(caches, by_addr));
        let before = moment("join-before.slab", Some(BOOT), &before);
        let after = moment("join-after.slab", Some(if by_addr { BOOT } else { OTHER }), &after);
        let text = format!(
            "select name, cast(cast(addr as int) as text) as addr, iif(state in ('new', 'gone'), state, '-') as state, \
             memory_before, memory_after, delta_memory, active_before, active_after, delta_active, \
             objects_before, objects_after, delta_objects from diff('{}', '{}')",
            before.path(), after.path()
        );
        let found = over(Recording::demo().unwrap()).ask(&text).map_err(|failure| failure.text()).unwrap();
        let rows = found.rows.iter().map(|row| row.iter().map(ask::text).collect());
        prop_assert_eq!(texts(rows.collect()), joined(&before, &after, by_addr));
        prop_assert_eq!(found.warnings.len(), usize::from(!by_addr), "{:?}", found.warnings);
    }
}

fn cache(name: &str, addr: u64, slabs: i64, objects: i64) -> Cache {
    Cache { name: name.to_owned(), addr, slabs, objects, free: Some(0) }
}

/// Name and state of each cache.
fn states(before: &TempFile, after: &TempFile) -> Vec<String> {
    let text = format!(
        "select name, addr - 0 as addr, state from diff('{}', '{}') order by 1, 2",
        before.path(),
        after.path()
    );
    let found = over(Recording::demo().unwrap()).ask(&text).map_err(|failure| failure.text());
    let row = |row: &Vec<Value>| row.iter().map(ask::text).collect::<Vec<_>>().join(" ");
    found.unwrap().rows.iter().map(row).collect()
}

#[test]
fn states_say_what_became_of_a_cache() {
    let before = moment(
        "states-before.slab",
        Some(BOOT),
        &[
            cache("less memory", 1, 2, 10),
            cache("more memory", 2, 2, 10),
            cache("moved", 3, 1, 1),
            cache("more active", 4, 2, 10),
            cache("same", 5, 2, 10),
        ],
    );
    let after = [
        // Memory decides, whatever the rest does.
        cache("less memory", 1, 1, 20),
        cache("more memory", 2, 3, 5),
        // At another address it is another cache.
        cache("moved", 9, 1, 1),
        cache("more active", 4, 2, 11),
        cache("same", 5, 2, 10),
    ];
    let one_boot = moment("states-after.slab", Some(BOOT), &after);
    let expected = [
        "less memory 1 shrunk",
        "more active 4 grown",
        "more memory 2 grown",
        "moved 3 gone",
        "moved 9 new",
        "same 5 same",
    ];
    assert_eq!(states(&before, &one_boot), expected);
    for boot in [Some(OTHER), None] {
        let other = moment("states-other.slab", boot, &after);
        let mut expected = expected.to_vec();
        expected.splice(3..5, ["moved 9 same"]);
        assert_eq!(states(&before, &other), expected, "{boot:?}");
    }
}

#[test]
fn caches_of_one_name_are_one_row_between_boots() {
    let [a, b, other] = [cache("twin", 1, 1, 1), cache("twin", 2, 5, 5), cache("other", 3, 2, 2)];
    let [a, b, other] = [&a, &b, &other];
    let moment = |name, boot, caches: &[&Cache]| {
        moment(name, Some(boot), &caches.iter().copied().cloned().collect::<Vec<_>>())
    };
    let before = moment("twins-before.slab", BOOT, &[a, other, b]);
    let turned = moment("twins-turned.slab", OTHER, &[b, other, a]);
    assert_eq!(states(&before, &turned), ["other 3 same", "twin NULL same"]);
    let (code, out, error) = said(&["--fail-if-rows", "diff", before.path(), turned.path()]);
    assert_eq!(code, Some(0), "{out}{error}");
    let note = "note: caches with the same name are summed into one row: `twin`\n";
    assert!(error.contains(note), "{error}");
    assert!(error.contains("of 2 caches: memory 0 B, active 0, objects 0"), "{error}");
    // Of several the one that came or went is not told from the others.
    let one = moment("twins-one.slab", OTHER, &[a, other]);
    assert_eq!(states(&before, &one), ["other 3 same", "twin NULL shrunk"]);
    assert_eq!(states(&one, &before), ["other 3 same", "twin NULL grown"]);
    let without = moment("twins-none.slab", OTHER, &[other]);
    assert_eq!(states(&before, &without), ["other 3 same", "twin 1 gone", "twin 2 gone"]);
    // Within one boot their addresses tell them apart.
    let again = moment("twins-again.slab", BOOT, &[b, other, a]);
    assert_eq!(states(&before, &again), ["other 3 same", "twin 1 same", "twin 2 same"]);
}

/// What a run says on standard error, and its exit code.
fn said(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = slabql(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_format_shows_what_differs() {
    let before = [cache("a", 1, 1, 10), cache("b", 2, 4, 10), cache("c", 3, 1, 1)];
    let after = [cache("a", 1, 3, 12), cache("b", 2, 1, 10), cache("d", 4, 9, 9)];
    let before = moment("formats-before.slab", Some(BOOT), &before);
    let after = moment("formats-after.slab", Some(BOOT), &after);
    let is_text = |format: &&Format| format.capacity != Capacity::Binary && !format.stacks_only;
    for format in FORMATS.iter().filter(is_text) {
        let arguments = ["diff", before.path(), after.path(), "--format", format.name];
        let (code, out, error) = said(&arguments);
        assert_eq!(code, Some(0), "{error}");
        let at = |name: &str| out.find(name).unwrap_or_else(|| panic!("no {name}: {out}"));
        assert!(at("grown") < at("shrunk") && at("new") < at("grown") && at("gone") > at("grown"));
        assert_eq!(
            error,
            "1 grown, 1 shrunk, 1 new, 1 gone, of 4 caches: memory +28.0 KiB, active +10, objects +10\n"
        );
    }
    let (code, out, _) = said(&["--fail-if-rows", "--quiet", "diff", before.path(), after.path()]);
    assert_eq!((code, out.as_str()), (Some(4), ""));
    let (code, out, error) = said(&["diff", before.path(), before.path(), "--format", "json"]);
    assert_eq!((code, out.as_str()), (Some(0), "[]\n"));
    assert!(
        error.starts_with("0 grown, 0 shrunk, 0 new, 0 gone, of 3 caches: memory 0 B"),
        "{error}"
    );
}

#[test]
fn what_64_bits_do_not_hold_is_told() {
    let all = |name, objects| {
        moment(name, Some(BOOT), &[cache("a", 1, 1, objects), cache("b", 2, 1, objects)])
    };
    let (much, little) = (all("much.slab", 1 << 62), all("little.slab", -(1 << 62)));
    let (_, out, error) = said(&["diff", much.path(), little.path(), "--format", "json"]);
    assert_eq!(out.matches("\"delta_objects\":-9223372036854775808,").count(), 2, "{out}");
    assert!(error.contains("objects beyond 64 bits"), "{error}");
    let (_, out, error) = said(&["diff", little.path(), much.path(), "--format", "json"]);
    assert_eq!(out.matches("\"delta_objects\":9223372036854775808,").count(), 2, "{out}");
    assert!(error.contains("objects beyond 64 bits"), "{error}");
    let (low, high) = (all("low.slab", i64::MIN), all("high.slab", i64::MAX));
    let (_, _, error) = said(&["diff", high.path(), low.path()]);
    assert!(error.contains("note: changes that 64 bits do not hold are NULL"), "{error}");
    assert!(error.contains("objects unknown"), "{error}");
}

#[test]
fn a_snapshot_that_cannot_be_read_is_marked() {
    let good = moment("good.slab", Some(BOOT), &[cache("a", 1, 1, 1)]);
    let cut = TempFile::new("cut.slab");
    let text = fs::read_to_string(&good.0).unwrap();
    fs::write(&cut.0, &text[..text.len() - 2]).unwrap();
    let newer = TempFile::new("newer.slab");
    fs::write(&newer.0, text.replace("\"version\":2", "\"version\":7")).unwrap();
    for (file, says) in [
        (cut.path(), "is not a recording: the rows of `caches` have no end"),
        (newer.path(), "is not a recording: it has version 7"),
        ("/no/such.slab", "cannot read /no/such.slab: No such file"),
        ("no-such-name", "there is no snapshot `no-such-name`"),
        ("/", "cannot read /: Is a directory"),
        ("", "cannot read : No such file"),
    ] {
        for (first, second) in [(file, good.path()), (good.path(), file)] {
            for explain in ["", "explain "] {
                let text = format!("{explain}select name from diff('{first}', '{second}')");
                let (code, out, error) = said(&["--demo", &text]);
                assert_eq!((code, out.as_str()), (Some(1), ""), "{text}: {error}");
                assert!(error.contains(says), "{text}: {error}");
                let marks = format!(" {}", "^".repeat(file.chars().count() + 2));
                assert!(error.lines().any(|line| line.ends_with(&marks)), "{text}: {error}");
            }
            let (code, out, error) = said(&["diff", first, second]);
            assert!(matches!(code, Some(1 | 2)) && out.is_empty(), "{error}");
            assert!(error.contains(says) && !error.contains('^'), "{error}");
        }
    }
    let (code, _, error) = said(&[
        "--from",
        good.path(),
        &format!("select name from diff('{}', 'live')", good.path()),
    ]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("error: `live` means the running kernel") && error.contains("^^^^^^"),
        "{error}"
    );
    assert_eq!(said(&["diff"]).0, Some(1));
    assert_eq!(said(&["diff", "a", "b", "c"]).0, Some(1));
}

/// The rows of `slabql diff`, by the names of their caches.
fn rows_of_diff(words: &[&str]) -> BTreeMap<String, serde_json::Value> {
    let all = answer(&[&["--format", "ndjson", "diff"], words].concat());
    let rows = all.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
}

/// Sockets are seldom made by others, and each is one object of the cache.
#[test]
fn a_workload_is_what_differs() {
    let Some(_turn) = common::live() else { return };
    let file = TempFile::new("workload.slab");
    let name = "sock_inode_cache";
    let mut found = Vec::new();
    for _ in 0..10 {
        assert!(slabql(&["snapshot", file.path()]).status.success());
        let sockets: Vec<_> = (0..900).map(|_| UnixDatagram::unbound().unwrap()).collect();
        let rows = rows_of_diff(&[file.path()]);
        let where_ = format!(
            "select delta_active from diff('{}', 'live') where name = '{name}'",
            file.path()
        );
        let asked = answer(&["--format", "tsv", &where_]);
        drop(sockets);
        let row = &rows[name];
        assert_eq!(row["state"], "grown");
        let [before, after] =
            ["active_before", "active_after"].map(|key| row[key].as_i64().unwrap());
        assert_eq!(after - before, row["delta_active"].as_i64().unwrap());
        let delta = row["delta_active"].as_i64().unwrap();
        found.push((delta, asked.lines().last().unwrap().to_owned()));
        if found.last().unwrap() == &(900, "900".to_owned()) {
            eprintln!("{}", serde_json::to_string(row).unwrap());
            return;
        }
    }
    panic!("never 900: {found:?}");
}

#[test]
fn new_and_gone_caches_are_told() {
    let Some(_turn) = common::live() else { return };
    let Some(device) = zram::zram() else { return };
    let [without, with] = ["without.slab", "with.slab"].map(TempFile::new);
    assert!(slabql(&["snapshot", without.path()]).status.success());
    device.with_cache(|| {
        assert!(slabql(&["snapshot", with.path()]).status.success());
        let row = &rows_of_diff(&[without.path(), "live"])[zram::CACHE];
        assert_eq!(
            (&row["state"], &row["memory_before"]),
            (&"new".into(), &serde_json::Value::Null)
        );
        assert_eq!(row["memory_after"], row["delta_memory"]);
    });
    let row = &rows_of_diff(&[with.path(), without.path()])[zram::CACHE];
    assert_eq!((&row["state"], &row["memory_after"]), (&"gone".into(), &serde_json::Value::Null));
    let backwards = said(&["diff", with.path(), without.path()]).2;
    assert!(!backwards.contains("matched by name only"), "{backwards}");
}

/// Who may not ask the kernel may compare snapshots.
#[test]
fn two_snapshots_need_no_rights() {
    if lacks(&["setpriv", "sh", "cat"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let before = moment("rights-before.slab", Some(BOOT), &[cache("a", 1, 1, 10)]);
    let after = moment("rights-after.slab", Some(BOOT), &[cache("a", 1, 2, 10)]);
    let folder = before.0.parent().unwrap();
    // The build may lie where only its owner comes to.
    let script = "cat \"$1\" >/dev/null 2>&1 || exit 77; shift; exec \"$@\"";
    let program = Path::new(env!("CARGO_BIN_EXE_slabql"));
    let mut command = start::command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script, "sh"]);
    command.arg(&before.0).arg(program).args(["diff", before.path(), after.path()]);
    let output = command.current_dir(folder).ran();
    if output.status.code() == Some(77) {
        eprintln!("skipped: nobody else can come to {}", folder.display());
        return;
    }
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.starts_with("1 grown, 0 shrunk"), "{error}");
}
