//! Two moments held against each other: the table `diff`, `.diff` and `slabql diff`.
//!
//! A moment is a snapshot, or `live`: the running kernel now. Within one boot a cache is its address and its name;
//! between boots addresses say nothing, so there it is its name, and several caches of one name are one row, with what
//! they have together.
//!
//! # Invariants
//!
//! The recordings that a query names are read when it is planned, so what is wrong with one is told at its place in
//! the text. The running kernel is read when the query runs.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::rc::Rc;
use std::time::SystemTime;

use query::catalog::host::DIFF;
use query::diagnostic::Diagnostic;
use query::exec::identity::{self, Before, Key, Matched};
use query::output::{Output, OutputColumn};
use query::syntax::ast::Argument;
use query::value::{Type, Unit, Value};

use crate::args::Args;
use crate::command::Next;
use crate::file::path::words as words_of;
use crate::render::shown;
use crate::report::error::{Failure, Message};
use crate::report::escape::printable;
use crate::report::message;
use crate::session::{Session, Settings};
use crate::snapshot::{self, LIVE};

/// What is asked of a moment.
const FIGURES: &str = "select name, addr, memory, active, objects, complete from caches";

/// The figures of a moment that are compared, in the order of the table's columns, the first of which decides what
/// the state is.
const COMPARED: usize = 3;

/// What the caches were at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
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

/// The recordings that a plan named.
#[derive(Debug, Default)]
pub struct Opened(RefCell<BTreeMap<String, Rc<Moment>>>);

impl Opened {
    /// Reads the recordings that a query names. The error marks the name of one that cannot be read.
    pub fn read(&self, arguments: &[Argument], session: &Session) -> Result<(), Diagnostic> {
        // Most queries name none, those that a query over `diff` asks in turn neither.
        if arguments.is_empty() {
            return Ok(());
        }
        let mut opened = BTreeMap::new();
        for Argument { text, span } in arguments {
            let moment = match text.as_str() {
                LIVE => live_is_asked(session),
                word => recorded(word).map(|moment| {
                    opened.insert(word.to_owned(), Rc::new(moment));
                }),
            };
            moment.map_err(|failure| {
                let Message { message, help } = failure.into_message();
                Diagnostic { help, ..Diagnostic::new(*span, message) }
            })?;
        }
        self.0.replace(opened);
        Ok(())
    }

    /// A moment: one that was read, or the running kernel.
    fn moment(&self, word: &str, session: &Session) -> Result<Rc<Moment>, Failure> {
        let read = self.0.borrow().get(word).cloned();
        read.map_or_else(|| moment(word, session).map(Rc::new), Ok)
    }
}

fn moment(word: &str, session: &Session) -> Result<Moment, Failure> {
    if word == LIVE { live(session) } else { recorded(word) }
}

/// Fails where the session does not ask the running kernel.
fn live_is_asked(session: &Session) -> Result<(), Failure> {
    if session.source.kind().is_here() {
        return Ok(());
    }
    let help = "leave `--from` and `--demo` out, or name a second snapshot";
    Err(Failure::command("`live` is the running kernel, and a recording is asked", Some(help)))
}

fn live(session: &Session) -> Result<Moment, Failure> {
    live_is_asked(session)?;
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    taken(LIVE, session, time)
}

fn recorded(word: &str) -> Result<Moment, Failure> {
    let recording = snapshot::open(word)?;
    let time = recording.time().to_owned();
    let session = Session::new(Box::new(recording), Settings::default()).unannounced();
    taken(word, &session, time)
}

fn taken(word: &str, session: &Session, time: String) -> Result<Moment, Failure> {
    let answer = session.ask(FIGURES)?;
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
    Ok(Moment { word, boot: session.source.boot(), time, caches, notes })
}

/// The rows of the table. What is to be said of them goes to `notes`.
pub fn rows(
    arguments: &[Argument],
    session: &Session,
    notes: &mut Vec<String>,
) -> Result<Vec<Vec<Value>>, Failure> {
    let [before, after] = arguments else { return Ok(Vec::new()) };
    let before = session.opened.moment(&before.text, session)?;
    let after = session.opened.moment(&after.text, session)?;
    Ok(compare(&before, &after, notes))
}

/// A row for each cache of either moment: those of the second, then those that are gone.
fn compare(before: &Moment, after: &Moment, notes: &mut Vec<String>) -> Vec<Vec<Value>> {
    notes.extend(before.notes.iter().chain(&after.notes).cloned());
    let moments = [before, after];
    let one_boot = before.boot.is_some() && before.boot == after.boot;
    let has_no_address =
        |moment: &&Moment| moment.caches.iter().any(|cache| cache.addr == Value::Null);
    let by_name = match moments.into_iter().find(|moment| moment.boot.is_none()) {
        Some(moment) => Some(format!("`{}` does not say of which boot it is", moment.word)),
        None if !one_boot => {
            Some(format!("`{}` and `{}` are of two boots", before.word, after.word))
        }
        None => moments
            .into_iter()
            .find(has_no_address)
            .map(|moment| format!("`{}` has no addresses of caches", moment.word)),
    };
    if let Some(reason) = &by_name {
        notes.push(format!("{reason}: caches are told apart by their names alone"));
    }
    if before.time > after.time {
        notes
            .push(format!("`{}` is later than `{}`: growth is backwards", before.word, after.word));
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
    if !names.is_empty() {
        let names = names.join(", ");
        notes.push(format!("caches of one name are a row, with what they have together: {names}"));
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

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::Text(text) => text.to_vec(),
        _ => Vec::new(),
    }
}

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
        let delta = delta(at).and_then(|delta| i64::try_from(delta).ok());
        row.extend([figure(before, at), figure(after, at), delta.map_or(Value::Null, Value::Int)]);
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

/// `slabql diff A [B]`.
pub fn verb(session: &mut Session, args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let words: Vec<&str> = args.arguments.iter().map(String::as_str).collect();
    show(session, &words, out).map(|()| 0)
}

/// `.diff A [B]`.
pub fn command(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(words).map_err(|message| Failure::command(message, None))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    show(session, &words, out).map(|()| Next::Prompt)
}

/// Shows what differs between two moments, what grew most first, and what all of it comes to.
fn show(session: &Session, words: &[&str], out: &mut dyn Write) -> Result<(), Failure> {
    let (before, after) = match words {
        [before] => (*before, LIVE),
        [before, after] => (*before, *after),
        _ => {
            let help = "`diff before.slab after.slab`, or `diff before.slab` for what it is now";
            return Err(Failure::command("`diff` takes one snapshot or two", Some(help)));
        }
    };
    let (before, after) = (moment(before, session)?, moment(after, session)?);
    let mut notes = Vec::new();
    let mut rows = compare(&before, &after, &mut notes);
    let total = total(&rows, session.settings.exact);
    let at = |name: &str| DIFF.columns.iter().position(|column| column.name == name);
    let cell = |row: &Vec<Value>, name| at(name).and_then(|at| row[at].integer());
    rows.retain(|row| !at("state").is_some_and(|at| row[at] == Value::text("same")));
    rows.sort_by(|left, right| {
        let growth = |row| {
            (cell(row, "delta_memory"), cell(row, "delta_active"), cell(row, "delta_objects"))
        };
        growth(right).cmp(&growth(left)).then_with(|| bytes(&left[0]).cmp(&bytes(&right[0])))
    });
    let shown: Vec<usize> = DIFF.star.iter().filter_map(|name| at(name)).collect();
    let column = |at: &usize| {
        let column = &DIFF.columns[*at];
        OutputColumn::new(column.name, column.ty, column.unit)
    };
    let columns = shown.iter().map(column).collect();
    let pick = |row: &Vec<Value>| shown.iter().map(|at| row[*at].clone()).collect();
    let rows = rows.iter().map(pick).collect();
    for note in notes {
        message::note(&note);
    }
    session.answer(&Output { columns, rows, warnings: Vec::new() }, out)?;
    message::line(&total);
    Ok(())
}

/// What all rows come to, in a line.
fn total(rows: &[Vec<Value>], exact: bool) -> String {
    let at = |name: &str| DIFF.columns.iter().position(|column| column.name == name);
    let sum = |name| -> i128 {
        rows.iter().filter_map(|row| at(name).and_then(|at| row[at].integer())).sum()
    };
    let signed = |name, unit| {
        let sum = i64::try_from(sum(name)).unwrap_or(i64::MAX);
        let column = OutputColumn::new(name, Type::Int, unit);
        let text = shown(&Value::Int(sum), &column, exact).unwrap_or_default();
        if sum > 0 { format!("+{text}") } else { text }
    };
    let states = ["grown", "shrunk", "new", "gone"].map(|state| {
        let is = |row: &&Vec<Value>| at("state").is_some_and(|at| row[at] == Value::text(state));
        format!("{} {state}", rows.iter().filter(is).count())
    });
    format!(
        "{}, of {} caches: memory {}, active {}, objects {}",
        states.join(", "),
        rows.len(),
        signed("delta_memory", Unit::Bytes),
        signed("delta_active", Unit::Count),
        signed("delta_objects", Unit::Count)
    )
}
