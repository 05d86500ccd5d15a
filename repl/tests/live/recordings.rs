//! Recordings answer as the kernel did that they were taken of; files that are none are refused with a sentence.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::{TempFile, answer, slabql};
use crate::common::settle::{enough, settle};
use proptest::prelude::*;
use query::catalog::{Source, TABLES};
use slabql::engine::Engine;
use slabql::features::snapshot::{self, Tables};
use slabql::report::error::Failure;
use slabql::source::recording::Recording;
use slabql::source::{Choice, Source as _};

/// Columns that stay as long as the cache does, and what is computed from them.
const STABLE: &str = "select addr, name, sysfs_id, aliases, alias_count, object_size, size, align, oo, \
     page_order, objects_per_slab, slab_size, padding, tail, min_partial, sheaf_capacity, usersize, flags, \
     allocflags, kmalloc_type, size_class, mergeable, rcu, accounted, ctor, size * 2 as twice, \
     flags has any (PANIC, ACCOUNT) as it";

fn over(recording: Recording) -> Engine {
    ask::session(Box::new(recording), Choice::default())
}

/// The rows of an answer, each as one text.
fn rows(answer: &Answer) -> Vec<String> {
    let row = |row: &Vec<_>| row.iter().map(ask::text).collect::<Vec<_>>().join(" | ");
    answer.0.rows.iter().map(row).collect()
}

#[test]
fn a_recording_answers_as_the_kernel_did() {
    let Some(_turn) = common::live() else { return };
    let mut live = ask::live(Choice::default());
    let file = TempFile::new("live.slab");
    let counts = settle("recording", |round| {
        let before = ask::ask(&mut live, STABLE);
        let recorded = snapshot::record(&mut live, &Tables::Usual).unwrap().0;
        let after = ask::ask(&mut live, STABLE);
        recorded.save(&file.0).unwrap();
        let read = ask::ask(&mut over(Recording::open(&file.0).unwrap()), STABLE);
        assert_eq!(read.0.columns, before.0.columns, "types, units and flag names");
        let all = [&before, &read, &after].map(rows);
        round.cell("order", "rows", all.each_ref().map(|rows| rows.len().to_string()));
        if all.iter().all(|rows| rows.len() == all[0].len()) {
            let [before, read, after] = all;
            for ((before, read), after) in before.into_iter().zip(read).zip(after) {
                let key = before.clone();
                round.cell("row", &key, [before, read, after]);
            }
        }
    });
    enough(&counts, &["row"], 100);
}

/// The rows of the other tables too, figures of nodes among them.
#[test]
fn every_recorded_table_answers_as_the_kernel_did() {
    let Some(_turn) = common::iterated() else { return };
    let mut live = ask::live(Choice::default());
    live.source().keep();
    let file = TempFile::new("tables.slab");
    let texts = [
        "select name, addr, node, slabs, objects from nodes",
        "select name, addr, cpu, online, capacity from cpus",
        "select name, objsize, objperslab, pagesperslab, sharedavail from slabinfo",
        "select all from aliases",
        "select flag, bit, meaning from flags",
    ];
    let counts = settle("recorded tables", |round| {
        let before = texts.map(|text| ask::ask(&mut live, text));
        snapshot::record_to(&mut live, &Tables::Usual, &file.0).unwrap();
        let after = texts.map(|text| ask::ask(&mut live, text));
        let mut recorded = over(Recording::open(&file.0).unwrap());
        for ((text, before), after) in texts.iter().zip(before).zip(after) {
            let read = ask::ask(&mut recorded, text);
            assert_eq!(read.0.columns, before.0.columns, "{text}: types and units");
            let all = [&before, &read, &after].map(rows);
            let table = text.rsplit(' ').next().unwrap();
            round.cell(table, "rows", all.each_ref().map(|rows| rows.len().to_string()));
            let [before, read, after] = all;
            for (at, ((before, read), after)) in before.into_iter().zip(read).zip(after).enumerate()
            {
                round.cell(table, &at.to_string(), [before, read, after]);
            }
        }
    });
    enough(&counts, &["nodes", "cpus", "slabinfo", "aliases"], 100);
    enough(&counts, &["flags"], 10);

    // Slabs of a cache that hardly moves: those that were there before and after.
    let text =
        "select name, cache, addr, pfn, page_order, objects from slabs where name = 'inode_cache'";
    let before = rows(&ask::ask(&mut live, text));
    snapshot::record_to(&mut live, &Tables::parse("slabs").unwrap(), &file.0).unwrap();
    let after = rows(&ask::ask(&mut live, text));
    let read = rows(&ask::ask(&mut over(Recording::open(&file.0).unwrap()), text));
    let stayed: Vec<_> = before.iter().filter(|row| after.contains(row)).collect();
    assert!(stayed.len() > 10, "{} of {}", stayed.len(), before.len());
    assert!(stayed.iter().all(|row| read.contains(row)));
}

#[test]
fn a_recording_keeps_every_figure_through_its_file() {
    let Some(_turn) = common::live() else { return };
    let file = TempFile::new("figures.slab");
    let (recorded, _) =
        snapshot::record(&mut ask::live(Choice::default()), &Tables::Usual).unwrap();
    recorded.save(&file.0).unwrap();
    assert!(recorded.count(TABLES[0]).unwrap() > 50);
    let missing: Vec<Option<String>> =
        TABLES[0].columns.iter().map(|column| ask_missing(&recorded, column.name)).collect();
    let read = Recording::open(&file.0).unwrap();
    assert_eq!(read.count(TABLES[0]).unwrap(), recorded.count(TABLES[0]).unwrap());
    assert_eq!(read.release(), recorded.release());
    for (column, reason) in TABLES[0].columns.iter().zip(missing) {
        assert_eq!(ask_missing(&read, column.name), reason, "{}", column.name);
    }
    let [mut recorded, mut read] = [over(recorded), over(read)];
    let hidden = TABLES[0].columns.iter().filter(|column| column.hidden);
    let hidden: String = hidden.map(|column| format!(", {}", column.name)).collect();
    for text in [
        format!("select all{hidden}"),
        "select name, objects * 2, memory where slabs > 10 and name ~ '^[k-z]' order by 2 desc"
            .into(),
        "select distinct flags, ctor where objects between 1 and 100000 limit 20 offset 3".into(),
    ] {
        let [first, second] = [ask::ask(&mut recorded, &text), ask::ask(&mut read, &text)];
        assert!(!first.0.rows.is_empty(), "{text}");
        assert_eq!(first, second, "{text}");
    }
}

/// Why a column is missing from a recording.
fn ask_missing(recording: &Recording, column: &str) -> Option<String> {
    let column = TABLES[0].column(column).unwrap();
    recording.capabilities().missing(TABLES[0], column)
}

/// `--record` answers from what it wrote, so `--from` gives the same to the byte.
#[test]
fn the_program_records_and_answers() {
    let Some(_turn) = common::live() else { return };
    let file = TempFile::new("program.slab");
    for (index, text) in [
        "select all",
        STABLE,
        "select name, objects, slabs, partial, memory, fragmentation where objects > 0 order by objects desc, name",
    ]
    .into_iter()
    .enumerate()
    {
        let recorded = answer(&["--record", file.path(), text]);
        assert!(recorded.lines().count() > 50, "{recorded}");
        for format in ["csv", "json"] {
            let [first, again] =
                [0, 1].map(|_| answer(&["--from", file.path(), "--format", format, text]));
            assert_eq!(first, again);
            assert!(format != "csv" || first == recorded, "query {index} by {format}");
        }
    }
    let folder = file.0.parent().unwrap();
    let part = file.0.file_name().unwrap().to_str().unwrap();
    let left = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> =
        left.filter(|name| name.to_string_lossy().starts_with(&format!("{part}."))).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(answer(&["--record", file.path()]).is_empty());
    let refused = slabql(&["--from", "/no/such/file", "select name"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
}

/// Opens a file of these bytes.
fn open(file: &TempFile, bytes: &[u8]) -> Result<Recording, Failure> {
    fs::write(&file.0, bytes).unwrap();
    let path = file.0.clone();
    catch_unwind(move || Recording::open(Path::new(&path))).unwrap_or_else(|_| {
        panic!("a panic on {:?}…", String::from_utf8_lossy(&bytes[..bytes.len().min(200)]))
    })
}

/// Fails unless these bytes are refused as the machine's fault, in one sentence.
fn refused(file: &TempFile, bytes: &[u8], what: &str) {
    match open(file, bytes) {
        Err(failure @ Failure::Environment(_)) => {
            let text = failure.text();
            assert!(text.starts_with("error: ") && text.contains("is not a recording: "), "{text}");
            assert_eq!(text.lines().count(), 1, "{what}: {text}");
        }
        Err(other) => panic!("{what}: {}", other.text()),
        Ok(_) => panic!("{what}: it was read"),
    }
}

/// The demo as a file.
fn demo(name: &str) -> (TempFile, Vec<u8>) {
    let file = TempFile::new(name);
    Recording::demo().unwrap().save(&file.0).unwrap();
    let bytes = fs::read(&file.0).unwrap();
    (file, bytes)
}

#[test]
fn a_file_that_was_cut_is_refused() {
    let (file, bytes) = demo("cut.slab");
    let mut lines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let (third, _) = lines.nth(2).unwrap();
    for cut in 0..=third {
        refused(&file, &bytes[..cut], &format!("cut at byte {cut}"));
    }
    let mut at = third;
    let mut cuts = 0;
    while at < bytes.len() {
        refused(&file, &bytes[..at], &format!("cut at byte {at}"));
        at += 1 + at * 7919 % 331;
        cuts += 1;
    }
    eprintln!("cut at {} and {cuts} places", third + 1);
    assert!(third > 1000 && cuts > 100);
    refused(&file, &bytes[..bytes.len() - 1], "without its last line break");
    assert!(open(&file, &bytes).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Some bytes may be changed and leave a recording; then it answers.
    #[test]
    fn damage_is_refused_or_harmless(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        header in any::<bool>(),
    ) {
        let (file, mut bytes) = demo("damaged.slab");
        let header_end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let end = if header { header_end } else { bytes.len() };
        for (place, byte) in places {
            bytes[place.index(end)] = byte;
        }
        match open(&file, &bytes) {
            Ok(recording) => {
                let answer = ask::ask(&mut over(recording), "select all");
                prop_assert!(answer.len() > 50);
            }
            Err(failure) => prop_assert!(matches!(failure, Failure::Environment(_)), "{}", failure.text()),
        }
    }
}

#[test]
fn the_demo_answers() {
    let columns = TABLES[0].shown().count();
    let all = answer(&["--demo", "--format", "csv", "select all"]);
    let mut lines = all.lines();
    assert_eq!(lines.next().unwrap().split(',').count(), columns);
    assert!(lines.count() > 100);
    let mut session = over(Recording::demo().unwrap());
    let dentry =
        ask::ask(&mut session, "select size, objects, slabs, memory where name = 'dentry'");
    assert_eq!(dentry.len(), 1);
    assert!(dentry.numbers("objects")[0] > 0 && dentry.numbers("memory")[0] > 0);
    // Each stored column has a value somewhere, or a reason to have none.
    let recording = Recording::demo().unwrap();
    for column in TABLES[0].columns {
        let stored = !matches!(column.source, Source::Derived(_));
        if stored && ask_missing(&recording, column.name).is_none() {
            let text = format!("select {} where {0} is not null", column.name);
            assert!(!ask::ask(&mut session, &text).0.rows.is_empty(), "{}", column.name);
        }
    }
    let label = slabql(&["--demo", "select name limit 1"]);
    assert!(String::from_utf8_lossy(&label.stderr).contains("not this machine"));
}
