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

/// The rows of a table, a value for each of its columns in their order. What the caches behind them have to say goes
/// to `notes`.
pub fn rows(
    table: HostTable,
    session: &Session,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Value>>, Failure> {
    match table {
        HostTable::Aliases => aliases(session, notes),
        HostTable::Flags => flags(session, notes),
        HostTable::Slabinfo => slabinfo(session),
        HostTable::Columns => Ok(columns(session)),
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
    Ok(session.source.offer().slab_flags().iter().map(row).collect())
}

fn slabinfo(session: &Session) -> Result<Vec<Vec<Value>>, Failure> {
    if !session.source.is_here() {
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
    let text = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    parse_slabinfo(&text)
        .ok_or_else(|| Failure::environment(format!("{SLABINFO} is not of version 2.1"), None))
}

/// The lines of `/proc/slabinfo`, version 2.1: a name and eleven numbers, with words between them.
#[must_use]
pub fn parse_slabinfo(text: &[u8]) -> Option<Vec<Vec<Value>>> {
    // Names are bytes: each is a character here, and a byte again in a row.
    let text: String = text.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split_terminator('\n');
    if lines.next()? != "slabinfo - version: 2.1" {
        return None;
    }
    lines.next()?;
    let (mut rows, mut begun) = (Vec::new(), String::new());
    for line in lines {
        // A name may hold line ends too: then its line goes on.
        begun.push_str(line);
        if let Some(row) = slabinfo_line(&begun) {
            rows.push(row);
            begun.clear();
        } else {
            begun.push('\n');
        }
    }
    begun.is_empty().then_some(rows)
}

fn slabinfo_line(line: &str) -> Option<Vec<Value>> {
    // A name may hold anything, even what stands behind it; what follows it are numbers.
    let (figures, extra) = line.rsplit_once(" : tunables ")?;
    let (tunables, slabs) = extra.split_once(" : slabdata ")?;
    let words = |text: &'_ str| text.split(' ').filter(|word| !word.is_empty()).count();
    if words(tunables) != 3 || words(slabs) != 3 {
        return None;
    }
    let (mut name, mut numbers) = (figures, Vec::new());
    for _ in 0..5 {
        let (rest, number) = name.trim_end_matches(' ').rsplit_once(' ')?;
        numbers.insert(0, number);
        name = rest;
    }
    // Short names are filled up with blanks.
    let name: Option<Vec<u8>> =
        name.trim_end_matches(' ').chars().map(|byte| u8::try_from(byte).ok()).collect();
    let behind = tunables.split(' ').chain(slabs.split(' ')).filter(|word| !word.is_empty());
    let mut row = vec![Value::text(name?)];
    for number in numbers.into_iter().chain(behind) {
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

    fn parse(text: &str) -> Option<Vec<Vec<Value>>> {
        parse_slabinfo(text.as_bytes())
    }

    #[test]
    fn lines_have_a_name_and_eleven_numbers() {
        let line = "dentry  10 20  192 21 1 : tunables 0 0 0 : slabdata 3 4 5\n";
        let rows = parse(&format!("{HEAD}{line}")).unwrap();
        let numbers = [10, 20, 192, 21, 1, 0, 0, 0, 3, 4, 5].map(Value::UInt);
        assert_eq!(rows[0][0], Value::text("dentry"));
        assert_eq!(rows[0][1..], numbers);
    }

    #[test]
    fn a_name_may_hold_blanks() {
        let line = "my  cache 7 10 20  192 21 1 : tunables 0 0 0 : slabdata 3 4 5\n";
        let rows = parse(&format!("{HEAD}{line}")).unwrap();
        assert_eq!(rows[0][0], Value::text("my  cache 7"));
    }

    #[test]
    fn a_name_is_bytes() {
        let names: [&[u8]; 6] = [
            b"a\nb",
            b"\xff\xa0",
            "à\u{85}".as_bytes(),
            b"x : tunables 0 0 0 : slabdata 1 2 3",
            b"1 2 3 4 5 : tunables",
            b"\t\r",
        ];
        let mut text = HEAD.as_bytes().to_vec();
        for name in names {
            text.extend(name);
            text.extend(b"  10 20  192 21 1 : tunables 0 0 0 : slabdata 3 4 5\n");
        }
        let rows = parse_slabinfo(&text).unwrap();
        let found: Vec<&Value> = rows.iter().map(|row| &row[0]).collect();
        assert_eq!(found, names.map(Value::text).iter().collect::<Vec<_>>());
        assert!(rows.iter().all(|row| row[1..4] == [10, 20, 192].map(Value::UInt)));
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(parse("slabinfo - version: 3.0\n#\n"), None);
        assert_eq!(parse(&format!("{HEAD}dentry 1 2\n")), None);
        assert_eq!(parse(""), None);
    }
}
