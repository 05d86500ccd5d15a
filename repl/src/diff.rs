//! Two moments held against each other: the table `diff`, `.diff` and `slabql diff`.
//!
//! A moment is a snapshot, or `live`: the running kernel now. Within one boot a cache is its address and its name;
//! between boots addresses say nothing, so there it is its name, and of several caches of one name the first is held
//! against the first, by size.
//!
//! # Invariants
//!
//! The recordings that a query names are read when it is planned, so what is wrong with one is told at its place in
//! the text. The running kernel is read when the query runs.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::rc::Rc;
use std::time::SystemTime;

use query::catalog::host::DIFF;
use query::diagnostic::Diagnostic;
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
const FIGURES: &str = "select name, addr, size, memory, active, objects, complete from caches";

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
    size: Value,
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
        if let Ok([name, addr, size, memory, active, objects, complete]) =
            <[Value; 4 + COMPARED]>::try_from(row)
        {
            caches.push(Cache { name, addr, size, compared: [memory, active, objects], complete });
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
    let one_boot = before.boot.is_some() && before.boot == after.boot;
    if !one_boot {
        let which = match [before, after].into_iter().find(|moment| moment.boot.is_none()) {
            Some(moment) => format!("`{}` does not say of which boot it is", moment.word),
            None => format!("`{}` and `{}` are of two boots", before.word, after.word),
        };
        notes.push(format!("{which}: caches are told apart by their names alone"));
    }
    if before.time > after.time {
        notes
            .push(format!("`{}` is later than `{}`: growth is backwards", before.word, after.word));
    }
    // What tells a cache from others; of several that it does not, the next is taken.
    let key = |cache: &Cache| {
        let addr = if one_boot { cache.addr.integer() } else { None };
        (bytes(&cache.name), addr)
    };
    let mut left: BTreeMap<_, VecDeque<&Cache>> = BTreeMap::new();
    for cache in by_size(before) {
        left.entry(key(cache)).or_default().push_back(cache);
    }
    let mut rows = Vec::new();
    for cache in by_size(after) {
        let found = left.get_mut(&key(cache)).and_then(VecDeque::pop_front);
        rows.push(row(found, Some(cache)));
    }
    rows.extend(left.into_values().flatten().map(|cache| row(Some(cache), None)));
    rows
}

/// The caches of a moment, by size where that tells those of one name apart.
fn by_size(moment: &Moment) -> Vec<&Cache> {
    let mut caches: Vec<&Cache> = moment.caches.iter().collect();
    caches.sort_by_key(|cache| cache.size.integer());
    caches
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
