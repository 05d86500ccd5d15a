//! Makes one answer of those of several machines.

use std::sync::Arc;

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use super::Reply;
use crate::report::error::Failure;

/// The answer of all machines to the query of a number, with a column `host` in front. A machine whose answer has other
/// columns gives none.
pub fn merged(replies: &mut [Reply], query: usize) -> Option<Output> {
    let mut all: Option<Output> = None;
    for reply in replies {
        let Ok(answers) = &mut reply.answers else { continue };
        let Some(answer) = answers.get_mut(query).map(std::mem::take) else { continue };
        let all = all.get_or_insert_with(|| {
            let host = OutputColumn {
                identifies: true,
                ..OutputColumn::new("host", Type::Text, Unit::None)
            };
            let columns = std::iter::once(host).chain(answer.columns.iter().cloned()).collect();
            Output { columns, ..Output::default() }
        });
        let Some(bits) = bits(&mut all.columns[1..], &answer.columns) else {
            let names = |columns: &[OutputColumn]| {
                let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                names.join(", ")
            };
            let (found, wanted) = (names(&answer.columns), names(&all.columns[1..]));
            let message = format!("{}: its columns are {found}; others have {wanted}", reply.host);
            let help = "the hosts have different versions of slabql: `--send` sends this one";
            reply.answers = Err(Failure::environment(message, Some(help)));
            continue;
        };
        let host = Value::text(&reply.host);
        all.rows.extend(answer.rows.into_iter().map(|row| {
            let pairs = row.into_iter().zip(&bits);
            let values = pairs.map(|(value, bits)| moved(value, bits.as_deref()));
            std::iter::once(host.clone()).chain(values).collect::<Vec<_>>()
        }));
    }
    all
}

/// Where the bits of each column's flags go; none of columns that are no flags, or whose flags have the same numbers.
/// Nothing where the columns are others.
fn bits(all: &mut [OutputColumn], columns: &[OutputColumn]) -> Option<Vec<Option<Vec<u32>>>> {
    let same = |(one, other): (&OutputColumn, &OutputColumn)| {
        // What is NULL on one machine may have a type on another.
        let ty = one.ty == other.ty || one.ty == Type::Null || other.ty == Type::Null;
        one.name == other.name && ty
    };
    if all.len() != columns.len() || !all.iter().zip(columns).all(same) {
        return None;
    }
    let moved = all.iter_mut().zip(columns).map(|(all, column)| {
        if all.ty == Type::Null {
            *all = column.clone();
        }
        let (known, names) = (all.flag_names.clone()?, column.flag_names.as_ref()?);
        if known == *names {
            return None;
        }
        let mut known = known.to_vec();
        let mut to: Vec<u32> = (0..64).collect();
        for (name, bit) in names.iter() {
            let found = known.iter().find(|(known, _)| known == name).map(|(_, bit)| *bit);
            let free = || (0..64).rev().find(|bit| known.iter().all(|(_, taken)| taken != bit));
            let Some(place) = found.or_else(free) else { continue };
            if found.is_none() {
                known.push((name.clone(), place));
            }
            to[*bit as usize] = place;
        }
        all.flag_names = Some(Arc::from(known));
        Some(to)
    });
    Some(moved.collect())
}

/// Flags by the numbers of another machine.
fn moved(value: Value, bits: Option<&[u32]>) -> Value {
    match (value, bits) {
        (Value::UInt(flags), Some(bits)) => {
            let set = bits.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1);
            Value::UInt(set.fold(0, |all, (_, place)| all | 1 << place))
        }
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(host: &str, columns: &[OutputColumn], rows: Vec<Vec<Value>>) -> Reply {
        let answer = Output { columns: columns.to_vec(), rows, warnings: Vec::new() };
        Reply { host: host.to_owned(), answers: Ok(vec![answer]), said: Vec::new() }
    }

    fn flags(names: &[(&str, u32)]) -> OutputColumn {
        let names = names.iter().map(|(name, bit)| ((*name).to_owned(), *bit)).collect();
        OutputColumn::new("flags", Type::SlabFlags, Unit::Hex).with_flag_names(names)
    }

    #[test]
    fn rows_have_their_host_in_front() {
        let size = OutputColumn::new("size", Type::UInt, Unit::Bytes);
        let null = OutputColumn::new("size", Type::Null, Unit::None);
        let other = OutputColumn::new("objects", Type::UInt, Unit::Count);
        let mut replies = [
            Reply {
                host: "dead".to_owned(),
                answers: Err(Failure::environment("dead: ssh failed", None)),
                said: Vec::new(),
            },
            reply("a", &[null], vec![vec![Value::Null]]),
            reply("b", std::slice::from_ref(&size), vec![vec![Value::UInt(8)]]),
            reply("c", &[other], vec![vec![Value::UInt(9)]]),
        ];
        let all = merged(&mut replies, 0).unwrap();
        let rows = [[Value::text("a"), Value::Null], [Value::text("b"), Value::UInt(8)]];
        assert_eq!(all.rows, rows);
        assert_eq!(all.columns[1], size);
        let reason = replies[3].answers.as_ref().unwrap_err().text();
        assert!(reason.contains("c: its columns are objects; others have size"), "{reason}");
        assert!(merged(&mut replies[..1], 0).is_none());
    }

    #[test]
    fn flags_keep_their_names() {
        let mut replies = [
            reply(
                "a",
                &[flags(&[("ACCOUNT", 13), ("PANIC", 8)])],
                vec![vec![Value::UInt(1 << 13)]],
            ),
            reply(
                "b",
                &[flags(&[("ACCOUNT", 2), ("NEW", 13)])],
                vec![vec![Value::UInt(1 << 2 | 1 << 13)]],
            ),
        ];
        let all = merged(&mut replies, 0).unwrap();
        let names = all.columns[1].flag_names.clone().unwrap();
        let shown = |row: &[Value]| {
            let Value::UInt(flags) = row[1] else { panic!("no flags") };
            let set = names.iter().filter(|(_, bit)| flags >> bit & 1 == 1);
            set.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("|")
        };
        let shown: Vec<String> = all.rows.iter().map(|row| shown(row)).collect();
        assert_eq!(shown, ["ACCOUNT", "ACCOUNT|NEW"]);
    }
}
