//! The rows that both are asked about: the demo's, and made-up ones with all that a recording can hold and SQLite can
//! take.
//!
//! SQLite's integers are signed. So `addr`, the one column here that goes beyond them, is a text of twenty digits
//! there, which sorts and compares as the number does.

use query::catalog;
use query::value::Value;
use repl::session::Session;
use repl::source::Choice;
use repl::source::recording::file::Readers;
use repl::source::recording::{Recording, stored};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::common::ask;
use crate::common::child::TempFile;
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
    pub slabql: Session,
    pub sqlite: Connection,
}

impl Sides {
    /// The rows of the demo.
    pub fn demo() -> Self {
        let slabql = session(Recording::demo().unwrap());
        let names: Vec<&str> = COLUMNS.iter().map(|column| column.0).collect();
        let rows = ask::ask(&slabql, &format!("select {}", names.join(", "))).0.rows;
        Self { slabql, sqlite: filled(&rows) }
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
        let recording = Recording::new(table, demo.source.offer(), "made up", None, all.collect());
        let file = TempFile::new("sqlite.slab");
        recording.save(&file.0, Readers::Usual).unwrap();
        Self { slabql: session(Recording::open(&file.0).unwrap()), sqlite: filled(&rows) }
    }
}

fn session(recording: Recording) -> Session {
    ask::session(Box::new(recording), Choice::default())
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
