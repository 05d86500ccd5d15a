//! A recording of every table with made-up rows.

use std::collections::BTreeMap;

use query::catalog::{Column, TABLES, Table};
use query::value::{Type, Value};
use slabql::source::Source as _;
use slabql::source::recording::{Header, Part, Recording, Writer, is_recorded, stored};

/// The tables that recordings hold.
pub fn tables() -> Vec<&'static Table> {
    TABLES.iter().copied().filter(|table| is_recorded(table)).collect()
}

/// The value of a column in a row: texts tell the row, numbers row and column, and every fifth of those that can be is
/// NULL.
fn value(table: &Table, column: &Column, at: usize, row: usize) -> Value {
    if !["name", "path", "function", "addr", "cache"].contains(&column.name)
        && (at + row).is_multiple_of(5)
    {
        return Value::Null;
    }
    let number = u64::try_from(row * 40 + at).unwrap();
    match (column.name, column.ty) {
        // The key of a cache in each table.
        ("addr", _) if table.name == "caches" => Value::UInt(0xffff_8880_0000_0000 + row as u64),
        ("cache", _) => Value::UInt(0xffff_8880_0000_0000 + row as u64),
        (_, Type::Bool) => Value::Bool(row.is_multiple_of(2)),
        (_, Type::Int) => Value::Int(i64::try_from(number).unwrap() - 20),
        (_, Type::UInt | Type::SlabFlags | Type::GfpFlags) => {
            let (_, most) = column.range();
            Value::UInt(number & u64::try_from(most).unwrap())
        }
        (_, Type::Float) => Value::Float(0.5),
        (_, Type::Text | Type::Null) => Value::text(format!("a{row}")),
        (_, Type::List) => Value::List([format!("alias{row}").into_bytes().into()].into()),
    }
}

/// A row as a recording stores it.
pub fn row(table: &'static Table, number: usize) -> Vec<Value> {
    let columns = stored(table).enumerate();
    columns.map(|(at, column)| value(table, column, at, number)).collect()
}

/// The recording, with so many rows a table.
pub fn recording(rows: usize) -> Recording {
    let demo = Recording::demo().unwrap();
    let boot = Some("00000000-0000-4000-8000-000000000000".to_owned());
    let time = "2026-01-01T00:00:00Z".to_owned();
    let mut header = Header::new(demo.capabilities(), "made up", boot, time);
    header.parts = tables().into_iter().map(|table| Part::new(table, BTreeMap::new())).collect();
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    for table in tables() {
        for number in 0..rows {
            writer.row(&row(table, number)).unwrap();
        }
        writer.end(table.name, &[format!("made up: {}", table.name)]).unwrap();
    }
    Recording::read(&writer.finish().unwrap()).unwrap()
}
