//! Puts together the rows of tables that no program of the kernel gives: names, flags, the witness, the catalog.
//!
//! Where such a table needs caches it asks for them as a user would, so it works on recordings too.

use std::fs::File;
use std::path::Path;
use std::rc::Rc;

use query::catalog::host::{self, FLAG_MEANINGS};
use query::catalog::{self, HostTable};
use query::diagnostic::{Diagnostic, Span};
use query::traced;
use query::value::Value;

use super::snapshot::{Snapshot, compare};
use super::{Ask, callsites, cgroups};
use crate::kernel::sysfs::SLABINFO;
use crate::report::error::Failure;
use crate::source::proc::slabinfo::{self, Line};

/// Makes the rows of a table, a value for each of its columns in their order: by queries of its own, and of the
/// snapshots that are its arguments. What there is to say of the rows goes to the notes.
pub type Make =
    fn(&mut dyn Ask, &[Rc<Snapshot>], &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure>;

/// What makes the rows of a table.
#[must_use]
pub fn rows(table: HostTable) -> Make {
    match table {
        HostTable::Aliases => |ask, _, notes| aliases(ask, notes),
        HostTable::Flags => |ask, _, notes| flags(ask, notes),
        HostTable::Slabinfo => |_, _, _| read_slabinfo(),
        HostTable::Columns => |ask, _, _| Ok(columns(ask)),
        HostTable::Callsites => |_, _, notes| callsites::rows(notes),
        HostTable::Cgroups => |ask, _, notes| cgroups::rows(ask, notes),
        HostTable::Allocations => |_, _, _| Err(untraced(&host::ALLOCATIONS)),
        HostTable::Frees => |_, _, _| Err(untraced(&host::FREES)),
        HostTable::Audit => |_, _, _| Err(untraced(&host::AUDIT)),
        HostTable::Contention => |_, _, _| Err(untraced(&host::CONTENTION)),
        HostTable::Diff => |_, snapshots, notes| match snapshots {
            [before, after] => Ok(compare(before, after, notes)),
            _ => Ok(Vec::new()),
        },
    }
}

/// What no statement asks is refused as it would be there.
fn untraced(table: &catalog::Table) -> Failure {
    let Diagnostic { message, help, .. } = traced::untraced(table, Span::default());
    Failure::command(message, help.as_deref())
}

fn aliases(ask: &mut dyn Ask, notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    let mut caches = ask.ask("select name, addr, sysfs_id, aliases")?;
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

fn flags(ask: &mut dyn Ask, notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    if ask.source().capabilities().slab_flags().is_empty() {
        return Err(Failure::Environment(ask.source().kind().lacking("flags")));
    }
    let mut caches = ask.ask("select cast(flags as int) from caches")?;
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
    Ok(ask.source().capabilities().slab_flags().iter().map(row).collect())
}

/// Reads `/proc/slabinfo`.
pub fn read_slabinfo() -> Result<Vec<Vec<Value>>, Failure> {
    let path = Path::new(SLABINFO);
    let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(slabinfo::read(&file, path)?.iter().map(Line::row).collect())
}

fn columns(ask: &dyn Ask) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in catalog::TABLES.iter() {
        for column in table.shown() {
            let reason = ask.unavailable(table, column);
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
