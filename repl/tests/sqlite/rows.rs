//! The rows that both are asked about: the demo's, those that the source `proc` makes of files that tell what the demo
//! does, and made-up ones with all that a recording can hold and SQLite can take.
//!
//! SQLite's integers are signed. So `addr`, the one column here that goes beyond them, is a text of twenty digits
//! there, which sorts and compares as the number does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use query::catalog;
use query::value::Value;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use slabql::engine::Engine;
use slabql::source::Choice;
use slabql::source::proc::Proc;
use slabql::source::recording::{Recording, stored};

use crate::common::ask;
use crate::common::child::TempFile;
use crate::common::program::Folder;
use crate::random::Random;

/// What a column is to the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Float,
    Bool,
    /// A text that patterns may meet: UTF-8, without NUL.
    Text,
    /// A text of any bytes but NUL.
    Bytes,
    Flags,
    /// An integer that SQLite has no room for.
    Addr,
}

/// The columns that both have: name, kind, and of an integer the greatest amount.
#[rustfmt::skip]
pub const COLUMNS: &[(&str, Kind, u128)] = &[
    ("name",        Kind::Text,  0),
    ("sysfs_id",    Kind::Bytes, 0),
    ("ctor",        Kind::Text,  0),
    ("addr",        Kind::Addr,  0),
    ("refcount",    Kind::Int,   1 << 31),
    ("object_size", Kind::Int,   1 << 32),
    ("size",        Kind::Int,   1 << 32),
    ("align",       Kind::Int,   1 << 32),
    ("oo",          Kind::Int,   1 << 32),
    ("slabs",       Kind::Int,   1 << 20),
    ("objects",     Kind::Int,   1 << 63),
    ("partial",     Kind::Int,   1 << 32),
    ("min_partial", Kind::Int,   1 << 63),
    ("usersize",    Kind::Int,   1 << 32),
    ("complete",    Kind::Bool,  0),
    ("flags",       Kind::Flags, 1 << 32),
];

/// More rows than there are of either kind.
pub const ROWS_MAX: u128 = 512;

/// How many made-up rows there are.
const ROWS: usize = 60;

/// The same rows on both sides.
pub struct Sides {
    pub slabql: RefCell<Engine>,
    pub sqlite: Connection,
    /// What slabql reads.
    _files: Option<Folder>,
}

/// The columns of both that files tell; any other is NULL by them.
const TOLD: [&str; 12] = [
    "name",
    "sysfs_id",
    "ctor",
    "object_size",
    "size",
    "align",
    "oo",
    "slabs",
    "objects",
    "partial",
    "min_partial",
    "usersize",
];

impl Sides {
    /// The rows of the demo.
    pub fn demo() -> Self {
        let mut slabql = session(Recording::demo().unwrap());
        let rows = all(&mut slabql);
        Self { slabql: RefCell::new(slabql), sqlite: filled(&rows), _files: None }
    }

    /// The rows that the source `proc` makes of files that tell what the demo does.
    pub fn proc() -> Self {
        let mut demo = session(Recording::demo().unwrap());
        let files = Folder::new();
        write_files(&mut demo, &files.0);
        let mut slabql =
            ask::session(Box::new(Proc::open_in(&files.0).unwrap()), Choice::default());
        let rows = all(&mut slabql);
        // What they tell is the demo's, and nothing else is known.
        let expected = all(&mut demo).into_iter().map(|row| {
            let told = |(value, column): (Value, &(&str, Kind, u128))| {
                if TOLD.contains(&column.0) { value } else { Value::Null }
            };
            row.into_iter().zip(COLUMNS).map(told).collect::<Vec<_>>()
        });
        assert_eq!(rows, expected.collect::<Vec<_>>());
        Self { slabql: RefCell::new(slabql), sqlite: filled(&rows), _files: Some(files) }
    }

    /// Made-up rows, through a recording in a file.
    pub fn random(random: &mut Random) -> Self {
        let rows: Vec<Vec<Value>> = (0..ROWS).map(|number| row(random, number)).collect();
        let table = catalog::TABLES[0];
        let place = |name| COLUMNS.iter().position(|column| column.0 == name);
        let all = rows.iter().map(|row| {
            let value = |column: &catalog::Column| place(column.name).map(|at| row[at].clone());
            stored(table).map(|column| value(column).unwrap_or(Value::Null)).collect()
        });
        let demo = session(Recording::demo().unwrap());
        let recording = Recording::new(
            table,
            BTreeMap::new(),
            demo.source().capabilities(),
            "made up",
            None,
            &all.collect::<Vec<_>>(),
        )
        .unwrap();
        let file = TempFile::new("sqlite.slab");
        recording.save(&file.0).unwrap();
        let slabql = session(Recording::open(&file.0).unwrap());
        Self { slabql: RefCell::new(slabql), sqlite: filled(&rows), _files: None }
    }
}

fn session(recording: Recording) -> Engine {
    ask::session(Box::new(recording), Choice::default())
}

/// The columns of both, of all rows.
fn all(session: &mut Engine) -> Vec<Vec<Value>> {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
    ask::ask(session, &format!("select {}", names.join(", "))).0.rows
}

/// Writes `/proc/slabinfo` and `/sys/kernel/slab` under `root`, as a kernel with the caches of a recording prints them.
/// There is no file of `rcu`, which is a flag to SQLite.
fn write_files(session: &mut Engine, root: &Path) {
    let slab = root.join("sys/kernel/slab");
    fs::create_dir_all(root.join("proc")).unwrap();
    let columns = ["aliases", "object_size", "align", "partial", "min_partial", "usersize", "ctor"];
    let figures = "active_slabinfo, objects, size, objects_per_slab, pages_per_slab, slabs";
    let text =
        format!("select name, sysfs_id, {figures}, alias_count, {}", columns[1..].join(", "));
    let mut lines = "slabinfo - version: 2.1\n# name <active_objs>\n".to_owned();
    for row in ask::ask(session, &text).0.rows {
        let cells: Vec<String> = row.iter().map(ask::text).collect();
        let (name, folder) = (&cells[0], slab.join(&cells[1]));
        let [active, objects, size, each, pages, slabs] = [2, 3, 4, 5, 6, 7].map(|at| &cells[at]);
        lines.push_str(&format!(
            "{name:17} {active} {objects} {size} {each} {pages} : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n"
        ));
        fs::create_dir_all(&folder).unwrap();
        for (file, cell) in columns.iter().zip(&cells[8..]) {
            let line = match (*file, cell.as_str()) {
                (_, "NULL") => String::new(),
                ("ctor", symbol) => format!("{symbol}+0x0/0x10\n"),
                // A sum and its parts.
                ("partial", count) => format!("{count} N0={count}\n"),
                (_, word) => format!("{word}\n"),
            };
            fs::write(folder.join(file), line).unwrap();
        }
        if *name != cells[1] {
            symlink(&cells[1], slab.join(name)).unwrap();
        }
    }
    fs::write(root.join("proc/slabinfo"), lines).unwrap();
}

/// A made-up row. Few different values, so that rows have some in common.
fn row(random: &mut Random, number: usize) -> Vec<Value> {
    let value = |(name, _, _): &(&str, Kind, u128)| {
        if *name != "addr" && random.chance(12) {
            return Value::Null;
        }
        match *name {
            "name" | "ctor" => Value::text(random.pick(&[
                "kmalloc-8",
                "kmalloc-64",
                "KMALLOC-64",
                "dentry",
                "",
                "a",
                "a b",
                "it's",
                "\"q\"",
                "50%",
                "a_b",
                "a\\b",
                "line\nbreak",
                "naïve",
                "日本",
                "🦀",
                "ä%",
                "-- x",
                "NULL",
                "12",
            ])),
            "sysfs_id" => Value::text(random.pick(&[
                &b":0000064"[..],
                b":a-0000064",
                b"\xff\xfe",
                b"\xc3",
                b"k\x80",
                b"k",
                b"",
                b"\x01\x1b[0m",
            ])),
            // Two of three are above what has a sign.
            "addr" => {
                Value::UInt((number as u64 + 1) * (u64::MAX / 100 * 3 / 2) + random.below(99))
            }
            "refcount" => {
                Value::Int(random.pick(&[-1, 0, 1, 2, 7, i32::MIN.into(), i32::MAX.into()]))
            }
            "slabs" => Value::Int(random.below(20).cast_signed() - 3),
            "objects" => Value::Int(random.pick(&[
                0,
                1,
                -1,
                1000,
                1 << 53,
                (1 << 53) + 1,
                i64::MIN,
                i64::MIN + 1,
                i64::MAX,
            ])),
            "partial" => Value::UInt(random.below(6)),
            "min_partial" => Value::UInt(random.pick(&[
                5,
                6,
                10,
                (1 << 53) + 1,
                i64::MAX.cast_unsigned(),
                i64::MAX.cast_unsigned() - 1,
            ])),
            "align" => Value::UInt(random.pick(&[0, 8, 64, u32::MAX.into()])),
            "oo" => Value::UInt(random.below(5) << 16 | random.below(40)),
            "flags" => Value::UInt(u64::from(u32::try_from(random.next() >> 32).unwrap())),
            "complete" => Value::Bool(random.chance(70)),
            _ => Value::UInt(8 * random.below(12)),
        }
    };
    COLUMNS.iter().map(value).collect()
}

/// A database in memory with these rows.
fn filled(rows: &[Vec<Value>]) -> Connection {
    let sqlite = Connection::open_in_memory().unwrap();
    sqlite.execute_batch("pragma case_sensitive_like = on").unwrap();
    let declared = COLUMNS.iter().map(|(name, kind, _)| {
        let ty = match kind {
            Kind::Text | Kind::Bytes | Kind::Addr => "text",
            Kind::Float => "real",
            Kind::Int | Kind::Bool | Kind::Flags => "integer",
        };
        format!("{name} {ty}")
    });
    let declared: Vec<String> = declared.collect();
    sqlite.execute_batch(&format!("create table caches ({})", declared.join(", "))).unwrap();
    let marks = vec!["?"; COLUMNS.len()].join(", ");
    let mut insert = sqlite.prepare(&format!("insert into caches values ({marks})")).unwrap();
    for row in rows {
        let values = row.iter().zip(COLUMNS).map(|(value, column)| parameter(value, column.1));
        insert.execute(rusqlite::params_from_iter(values)).unwrap();
    }
    drop(insert);
    sqlite
}

/// A value as SQLite takes it.
fn parameter(value: &Value, kind: Kind) -> ToSqlOutput<'_> {
    match value {
        Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        Value::Bool(value) => i64::from(*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) if kind == Kind::Addr => digits(*value).into(),
        Value::UInt(value) => i64::try_from(*value).unwrap().into(),
        Value::Float(value) => (*value).into(),
        Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text)),
        Value::List(_) => unreachable!("no list is a column of both"),
    }
}

/// An address as a text that sorts as it does.
pub fn digits(address: u64) -> String {
    format!("{address:020}")
}
