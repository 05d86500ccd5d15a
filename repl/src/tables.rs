//! Puts together the rows of tables that no program of the kernel gives: names, flags, the witness, the catalog.
//!
//! Where such a table needs caches it asks for them as a user would, so it works on recordings too.

use std::fs::File;
use std::path::Path;

use query::availability::unavailable;
use query::catalog::host::FLAG_MEANINGS;
use query::catalog::{self, HostTable};
use query::syntax::ast::Argument;
use query::value::Value;

use crate::diff;
use crate::report::error::Failure;
use crate::session::Session;
use crate::source::proc::slabinfo::{self, Line, SLABINFO};

/// The rows of a table that is handed `arguments`, a value for each of its columns in their order. What the caches behind them have to say goes
/// to `notes`.
pub fn rows(
    table: HostTable,
    arguments: &[Argument],
    session: &Session,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Value>>, Failure> {
    match table {
        HostTable::Aliases => aliases(session, notes),
        HostTable::Flags => flags(session, notes),
        HostTable::Slabinfo => slabinfo(session),
        HostTable::Columns => Ok(columns(session)),
        HostTable::Diff => diff::rows(arguments, session, notes),
    }
}

fn aliases(session: &Session, notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    let mut caches = session.ask("select name, addr, sysfs_id, aliases")?;
    notes.append(&mut caches.warnings);
    let mut rows = Vec::new();
    for cache in caches.rows {
        let [name, addr, id, aliases] = cache.as_slice() else { continue };
        let merged = match aliases {
            Value::List(names) => names.iter().map(Value::text).collect(),
            _ => Vec::new(),
        };
        for alias in [name.clone()].into_iter().chain(merged) {
            rows.push(vec![alias, name.clone(), addr.clone(), id.clone()]);
        }
    }
    Ok(rows)
}

fn flags(session: &Session, notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    if session.source.capabilities().slab_flags().is_empty() {
        return Err(session.source.kind().lacks("flags"));
    }
    let mut caches = session.ask("select cast(flags as int) from caches")?;
    notes.append(&mut caches.warnings);
    let sets: Vec<u64> = caches
        .rows
        .iter()
        .filter_map(|row| match row.first() {
            Some(Value::UInt(bits)) => Some(*bits),
            _ => None,
        })
        .collect();
    let row = |(name, bit): &(String, u32)| {
        let meaning = FLAG_MEANINGS.iter().find(|(flag, _)| flag == name);
        let caches = sets.iter().filter(|bits| *bits >> bit & 1 == 1).count();
        vec![
            Value::text(name),
            Value::UInt(u64::from(*bit)),
            meaning.map_or(Value::Null, |(_, meaning)| Value::text(meaning)),
            Value::UInt(caches as u64),
        ]
    };
    Ok(session.source.capabilities().slab_flags().iter().map(row).collect())
}

fn slabinfo(session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    if !session.source.kind().is_here() {
        let message = format!("a recording has no {SLABINFO}");
        return Err(Failure::environment(
            message,
            Some("`slabinfo` is a table of the running kernel"),
        ));
    }
    read_slabinfo()
}

/// Reads `/proc/slabinfo`.
pub fn read_slabinfo() -> Result<Vec<Vec<Value>>, Failure> {
    let path = Path::new(SLABINFO);
    let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(slabinfo::read(&file, path)?.iter().map(Line::row).collect())
}

fn columns(session: &Session) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in catalog::TABLES {
        for column in table.shown() {
            let reason = unavailable(table, column, session.source.capabilities());
            rows.push(vec![
                Value::text(table.name),
                Value::text(column.name),
                Value::text(column.ty.name()),
                match column.unit.name() {
                    "" => Value::Null,
                    unit => Value::text(unit),
                },
                Value::Bool(reason.is_none()),
                reason.map_or(Value::Null, Value::text),
                Value::text(column.doc),
            ]);
        }
    }
    rows
}
