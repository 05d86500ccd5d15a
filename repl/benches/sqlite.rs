//! Measures what user space does with rows beside SQLite: 100,000 rows sorted, grouped, and both, by the same query of
//! the same rows in memory; prepared, and the whole answer fetched. Says how often longer slabql takes.
#![allow(missing_docs, clippy::unwrap_used)] // a query that fails may panic

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use query::bind::bind;
use query::eval::Warnings;
use query::exec;
use query::layout::Row;
use query::plan::{Plan, Target, plan};
use query::syntax::ast::Statement;
use query::syntax::parse_text;
use query::value::Value;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use slabql::source::Source as _;
use slabql::source::recording::Recording;

const ROWS: u64 = 100_000;
/// How often each side is asked, by turns.
const RUNS: usize = 15;
const COLUMNS: [&str; 4] = ["name", "size", "objects", "refcount"];
/// What is asked, with NULLs where SQLite has them too.
const QUERIES: [(&str, &str); 5] = [
    ("sort by a number", "select name, size, objects from caches order by objects desc nulls last"),
    (
        "sort by several",
        "select name, size, objects from caches order by size desc nulls last, name nulls last",
    ),
    ("100 groups", "select size, count(*), sum(objects), max(name) from caches group by size"),
    ("10,000 groups", "select name, count(*), sum(objects), avg(size) from caches group by name"),
    (
        "10,000 groups, sorted",
        "select name, count(*), sum(objects) from caches group by name order by 3 desc nulls last, 1 nulls last",
    ),
];

/// A row of [`COLUMNS`]; the same in every run.
fn row(number: u64) -> [Value; 4] {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    [
        Value::text(format!("cache-{}", spread % 10_000)),
        Value::UInt(spread / 7 % 100 * 64),
        if spread.is_multiple_of(50) {
            Value::Null
        } else {
            Value::Int((spread % 1_000_003).cast_signed())
        },
        Value::Int(1),
    ]
}

fn planned(text: &str, demo: &Recording) -> Plan {
    let Statement::Query(query) = parse_text(text).unwrap().remove(0).0 else {
        panic!("{text} is no query")
    };
    plan(bind(&query, demo.capabilities()).unwrap(), Target::Rows("rows"), text)
}

/// The rows as a scan of the plan gives them.
fn scanned(plan: &Plan) -> Vec<Row> {
    let places: Vec<usize> = plan
        .inputs
        .iter()
        .map(|input| COLUMNS.iter().position(|column| *column == input.name()).unwrap())
        .collect();
    let values = |row: [Value; 4]| places.iter().map(|at| row[*at].clone()).collect();
    (0..ROWS).map(|number| Row { addr: number, values: values(row(number)) }).collect()
}

fn filled() -> Connection {
    let sqlite = Connection::open_in_memory().unwrap();
    sqlite
        .execute_batch("create table caches (name text, size integer, objects integer, refcount integer); begin")
        .unwrap();
    let mut insert = sqlite.prepare("insert into caches values (?, ?, ?, ?)").unwrap();
    for number in 0..ROWS {
        let row = row(number);
        let values = row.iter().map(|value| match value {
            Value::Int(value) => ToSqlOutput::from(*value),
            Value::UInt(value) => ToSqlOutput::from(value.cast_signed()),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text)),
            _ => ToSqlOutput::Borrowed(ValueRef::Null),
        });
        insert.execute(rusqlite::params_from_iter(values)).unwrap();
    }
    drop(insert);
    sqlite.execute_batch("commit").unwrap();
    sqlite
}

fn fetched(statement: &mut rusqlite::Statement<'_>) -> Vec<Vec<Value>> {
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut all = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let value = |at| match row.get_ref(at).unwrap() {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(value) => Value::Int(value),
            ValueRef::Real(value) => Value::Float(value),
            ValueRef::Text(text) | ValueRef::Blob(text) => Value::text(text),
        };
        all.push((0..columns).map(value).collect());
    }
    all
}

/// Rows as lines, in an order of their own: groups have none.
fn lines(rows: &[Vec<Value>]) -> Vec<String> {
    let line = |row: &Vec<Value>| {
        row.iter().fold(String::new(), |mut line, value| {
            match (value.integer(), value) {
                (Some(value), _) => write!(line, "{value} "),
                (None, Value::Float(value)) => write!(line, "{value:.6} "),
                (None, value) => write!(line, "{value:?} "),
            }
            .unwrap();
            line
        })
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = run();
    (start.elapsed(), value)
}

fn main() {
    let demo = Recording::demo().unwrap();
    let sqlite = filled();
    println!("{ROWS} rows, the median of {RUNS} runs\n");
    println!("{:24}  {:>9}  {:>9}  {:>5}", "", "slabql", "SQLite", "ratio");
    for (name, text) in QUERIES {
        let plan = planned(text, &demo);
        let rows = scanned(&plan);
        let mut statement = sqlite.prepare(text).unwrap();
        let mut times = [Vec::new(), Vec::new()];
        for run in 0..RUNS {
            let rows = rows.clone();
            let answer =
                || exec::run(&plan, rows, &demo, demo.capabilities(), Warnings::default()).unwrap();
            let (ours, output) = timed(answer);
            let (theirs, fetched) = timed(|| fetched(&mut statement));
            if run == 0 {
                assert_eq!(lines(&output.rows), lines(&fetched), "{text}");
            }
            times[0].push(ours);
            times[1].push(theirs);
        }
        let [ours, theirs] = times.map(|mut times| {
            times.sort();
            times[RUNS / 2].as_secs_f64() * 1e3
        });
        println!("{name:24}  {ours:>6.1} ms  {theirs:>6.1} ms  {:>5.2}", ours / theirs);
    }
}
