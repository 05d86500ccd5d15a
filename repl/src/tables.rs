//! Puts together the rows of tables that no program of the kernel gives: names, flags, the witness, the catalog.
//!
//! Where such a table needs caches it asks for them as a user would, so it works on recordings too.

use std::fs;
use std::path::Path;

use query::availability::unavailable;
use query::catalog::host::FLAG_MEANINGS;
use query::catalog::{self, HostTable};
use query::value::Value;

use crate::error::Failure;
use crate::session::Session;

/// Where the kernel prints its own figures.
pub const SLABINFO: &str = "/proc/slabinfo";

/// The rows of a table, a value for each of its columns in their order.
pub fn rows(table: HostTable, session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    match table {
        HostTable::Aliases => aliases(session),
        HostTable::Flags => flags(session),
        HostTable::Slabinfo => slabinfo(session),
        HostTable::Columns => Ok(columns(session)),
    }
}

fn aliases(session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    let caches = session.ask("select name, addr, sysfs_id, aliases")?;
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

fn flags(session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    let caches = session.ask("select cast(flags as int) from caches")?;
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
    Ok(session.source.offer().slab_flags().iter().map(row).collect())
}

fn slabinfo(session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    if session.source.label().is_some() {
        let message = format!("a recording has no {SLABINFO}");
        return Err(Failure::environment(
            message,
            Some("`slabinfo` is a table of the running kernel"),
        ));
    }
    let path = Path::new(SLABINFO);
    let text = fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    parse_slabinfo(&text)
        .ok_or_else(|| Failure::environment(format!("{SLABINFO} is not of version 2.1"), None))
}

/// The lines of `/proc/slabinfo`, version 2.1: a name and eleven numbers, with words between them.
#[must_use]
pub fn parse_slabinfo(text: &str) -> Option<Vec<Vec<Value>>> {
    let mut lines = text.lines();
    if lines.next()? != "slabinfo - version: 2.1" {
        return None;
    }
    lines.next()?;
    lines.map(slabinfo_line).collect()
}

fn slabinfo_line(line: &str) -> Option<Vec<Value>> {
    // A name may hold blanks; what follows it does not.
    let (figures, extra) = line.split_once(" : tunables ")?;
    let (tunables, slabs) = extra.split_once(" : slabdata ")?;
    let mut words: Vec<&str> = figures.split_whitespace().collect();
    let numbers = words.split_off(words.len().checked_sub(5)?);
    let name = figures.trim_end();
    let name = numbers
        .iter()
        .rev()
        .try_fold(name, |rest, number| Some(rest.strip_suffix(number)?.trim_end()))?;
    let all =
        numbers.into_iter().chain(tunables.split_whitespace()).chain(slabs.split_whitespace());
    let mut row = vec![Value::text(name)];
    for number in all {
        row.push(Value::UInt(number.parse().ok()?));
    }
    (row.len() == 12).then_some(row)
}

fn columns(session: &Session) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for table in catalog::TABLES {
        for column in table.shown() {
            let reason = unavailable(table, column, session.source.offer());
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

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "slabinfo - version: 2.1\n# name <active_objs> …\n";

    #[test]
    fn lines_have_a_name_and_eleven_numbers() {
        let line = "dentry  10 20  192 21 1 : tunables 0 0 0 : slabdata 3 4 5\n";
        let rows = parse_slabinfo(&format!("{HEAD}{line}")).unwrap();
        let numbers = [10, 20, 192, 21, 1, 0, 0, 0, 3, 4, 5].map(Value::UInt);
        assert_eq!(rows[0][0], Value::text("dentry"));
        assert_eq!(rows[0][1..], numbers);
    }

    #[test]
    fn a_name_may_hold_blanks() {
        let line = "my  cache 7 10 20  192 21 1 : tunables 0 0 0 : slabdata 3 4 5\n";
        let rows = parse_slabinfo(&format!("{HEAD}{line}")).unwrap();
        assert_eq!(rows[0][0], Value::text("my  cache 7"));
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(parse_slabinfo("slabinfo - version: 3.0\n#\n"), None);
        assert_eq!(parse_slabinfo(&format!("{HEAD}dentry 1 2\n")), None);
        assert_eq!(parse_slabinfo(""), None);
    }
}
