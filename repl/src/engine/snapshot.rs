//! What caches were at a moment, and what differs between two: the table `diff`.
//!
//! A moment is a recording, or `live`: the running kernel now. Within one boot a cache is its address and its name;
//! between boots addresses say nothing, so there it is its name, and several caches of one name are one row, with what
//! they have together.

use std::collections::HashMap;

use query::exec::identity::{self, Before, Key, Matched};
use query::value::Value;

use super::Ask;
use crate::report::error::Failure;
use crate::report::escape::printable;

/// What is asked of a moment.
const FIGURES: &str = "select name, addr, memory, active, objects, complete from caches";

/// The figures of a moment that are compared, in the order of the table's columns, the first of which decides what
/// the state is.
const COMPARED: usize = 3;

/// What the caches were at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What the user calls it.
    word: String,
    boot: Option<String>,
    /// RFC 3339 in UTC, so texts are sorted as moments are.
    time: String,
    caches: Vec<Cache>,
    /// What there is to say of its figures.
    notes: Vec<String>,
}

/// A cache at a moment.
#[derive(Clone, Debug, PartialEq)]
struct Cache {
    name: Value,
    addr: Value,
    compared: [Value; COMPARED],
    complete: Value,
}

impl Snapshot {
    /// What the caches are that `ask` gives, called `word`.
    pub(super) fn taken(word: &str, ask: &mut dyn Ask, time: String) -> Result<Self, Failure> {
        let answer = ask.ask(FIGURES)?;
        let mut caches = Vec::new();
        for row in answer.rows {
            if let Ok([name, addr, memory, active, objects, complete]) =
                <[Value; 3 + COMPARED]>::try_from(row)
            {
                caches.push(Cache { name, addr, compared: [memory, active, objects], complete });
            }
        }
        let word = printable(word.as_bytes());
        let notes = answer.warnings.into_iter().map(|note| format!("`{word}`: {note}")).collect();
        Ok(Self { word, boot: ask.source().boot(), time, caches, notes })
    }
}

/// A row for each cache of either moment: those of the second, then those that are gone.
pub fn compare(before: &Snapshot, after: &Snapshot, notes: &mut Vec<String>) -> Vec<Vec<Value>> {
    notes.extend(before.notes.iter().chain(&after.notes).cloned());
    let moments = [before, after];
    let one_boot = before.boot.is_some() && before.boot == after.boot;
    let has_no_address =
        |moment: &&Snapshot| moment.caches.iter().any(|cache| cache.addr == Value::Null);
    let by_name = match moments.into_iter().find(|moment| moment.boot.is_none()) {
        Some(moment) => Some(format!("`{}` does not record its boot", moment.word)),
        None if !one_boot => {
            Some(format!("`{}` and `{}` are from different boots", before.word, after.word))
        }
        None => moments
            .into_iter()
            .find(has_no_address)
            .map(|moment| format!("`{}` has no addresses of caches", moment.word)),
    };
    if let Some(reason) = &by_name {
        notes.push(format!("{reason}: caches are matched by name only"));
    }
    if before.time > after.time {
        notes.push(format!(
            "`{}` is later than `{}`: changes are shown backwards",
            before.word, after.word
        ));
    }
    let key = |cache: &Cache| {
        let addr = if by_name.is_some() { &Value::Null } else { &cache.addr };
        identity::key([&cache.name, addr])
    };
    let [known, now] = moments.map(|moment| moment.caches.iter().map(key).collect::<Vec<Key>>());
    let Matched { before: was, gone } = identity::matched(&known, &now);
    let (mut known, mut several) =
        (together(&before.caches, &known), together(&after.caches, &now));
    let (mut rows, mut names) = (Vec::new(), Vec::new());
    for ((cache, key), was) in after.caches.iter().zip(&now).zip(was) {
        rows.push(match was {
            Before::Row(at) => row(Some(&before.caches[at]), Some(cache)),
            Before::New => row(None, Some(cache)),
            // Those of one name are a row where the first of them stands.
            Before::Unknown => match (known.remove(key), several.remove(key)) {
                (Some(before), Some(after)) => {
                    names.push(format!("`{}`", printable(&bytes(&cache.name))));
                    row(Some(&before), Some(&after))
                }
                _ => continue,
            },
        });
    }
    rows.extend(gone.into_iter().map(|at| row(Some(&before.caches[at]), None)));
    let is_lost = |row: &Vec<Value>| {
        let figures = row[FIRST..].chunks_exact(3);
        figures.into_iter().any(|of| {
            let [before, after, delta] =
                [&of[0], &of[1], &of[2]].map(|value| *value != Value::Null);
            before && after && !delta
        })
    };
    if rows.iter().any(is_lost) {
        notes.push("changes that 64 bits do not hold are NULL".to_owned());
    }
    if !names.is_empty() {
        let names = names.join(", ");
        notes.push(format!("caches with the same name are summed into one row: {names}"));
    }
    rows
}

/// What the caches of each key have together.
fn together<'a>(caches: &[Cache], keys: &'a [Key]) -> HashMap<&'a Key, Cache> {
    let mut found: HashMap<&Key, Cache> = HashMap::new();
    for (cache, key) in caches.iter().zip(keys) {
        let Some(sum) = found.get_mut(key) else {
            found.insert(key, Cache { addr: Value::Null, ..cache.clone() });
            continue;
        };
        for (sum, figure) in sum.compared.iter_mut().zip(&cache.compared) {
            let added = sum.integer().zip(figure.integer()).map(|(sum, figure)| sum + figure);
            *sum = match added.map(u64::try_from) {
                Some(Ok(added)) => Value::UInt(added),
                _ => Value::Null,
            };
        }
        if sum.complete == Value::Bool(true) {
            sum.complete = cache.complete.clone();
        }
    }
    found
}

/// The bytes of a text; none of anything else.
#[must_use]
pub fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => text.to_vec(),
        _ => Vec::new(),
    }
}

/// Where the figures are in a row: behind the name, the address and the state.
const FIRST: usize = 3;

/// The row of a cache, which is there at one of the moments at least.
fn row(before: Option<&Cache>, after: Option<&Cache>) -> Vec<Value> {
    let Some(cache) = after.or(before) else { return Vec::new() };
    let figure =
        |of: Option<&Cache>, at: usize| of.map_or(Value::Null, |of| of.compared[at].clone());
    // A cache that is not there has nothing; of one whose figure is not known the difference is not either.
    let amount = |of: Option<&Cache>, at: usize| of.map_or(Some(0), |of| of.compared[at].integer());
    let delta = |at| Some(amount(after, at)? - amount(before, at)?);
    let first = (0..COMPARED).filter_map(delta).find(|delta| *delta != 0);
    let state = match (before, after, first) {
        (None, _, _) => "new",
        (_, None, _) => "gone",
        (_, _, None) => "same",
        (_, _, Some(delta)) if delta > 0 => "grown",
        _ => "shrunk",
    };
    let mut row = vec![cache.name.clone(), cache.addr.clone(), Value::text(state)];
    for at in 0..COMPARED {
        let delta = delta(at).map_or(Value::Null, |delta| match i64::try_from(delta) {
            Ok(delta) => Value::Int(delta),
            Err(_) => u64::try_from(delta).map_or(Value::Null, Value::UInt),
        });
        row.extend([figure(before, at), figure(after, at), delta]);
    }
    let of = [before, after].into_iter().flatten();
    let known: Option<Vec<bool>> = of
        .map(|cache| match cache.complete {
            Value::Bool(complete) => Some(complete),
            _ => None,
        })
        .collect();
    row.push(known.map_or(Value::Null, |all| Value::Bool(all.iter().all(|complete| *complete))));
    row
}
