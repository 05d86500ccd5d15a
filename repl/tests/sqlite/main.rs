//! Holds the language against SQLite: the same rows, random queries over what the two have in common, equal answers.
//!
//! # Where the two differ on purpose
//!
//! The generator writes these differently for each, or not at all. The book's chapter of the language lists them too.
//!
//! | what | slabql | SQLite | here |
//! |---|---|---|---|
//! | integers | 64 bits, with a sign or without | 64 bits with a sign | `addr` is a text there |
//! | arithmetic that leaves 64 bits | NULL | a float, or wrapped by a shift | not reached |
//! | a float that is no finite number | NULL | infinite | not reached |
//! | `~x` of what cannot be negative | 64 bits without a sign | negative | behind a mask |
//! | a shift to the left that loses bits, or by less than 0 | NULL | what is left, or the other way | not made |
//! | `%` of floats | their remainder | that of whole numbers | not made |
//! | `\|` `^` `&` `<<` `>>` | each a level of its own | no `^`, one level | in parentheses |
//! | `round`, `floor`, `ceil` of an integer | an integer | a float | the number itself there |
//! | conditions | a type, no number | 0 and 1 | compared as 0 and 1 |
//! | `cast('…' as int)` | NULL if it is no number | the number that it begins with | not made |
//! | `cast(… as text)` of a float, of a condition | `1`, `true` | `1.0`, `1` | not made |
//! | `length` of a text | its bytes | its characters | `octet_length` there |
//! | `greatest`, `least` | pass NULLs over | `max`, `min`: NULL | within `coalesce` there |
//! | `like` | to the letter, `\` escapes | either case, no escape | `case_sensitive_like`, `escape '\'` |
//! | `glob` | `\` escapes, `[!…]` is `[^…]` | neither | not made |
//! | NULL in `order by` | last | first | said of each key there |
//! | `order by` with `distinct` | keys are items | any keys | keys are items |
//! | a column that is neither key nor aggregate | refused | a value of some row | not made |
//! | `sum` that leaves 64 bits | NULL | an error | not reached |
//! | `group_concat` | in the order of the rows | in any order | not made |
//! | `substr` of a text | of its bytes | of its characters | of a blob there |
#![allow(missing_docs, clippy::unwrap_used)] // tests

#[path = "../common/mod.rs"]
mod common;
mod conditions;
mod diff;
mod expr;
mod exprs;
mod queries;
mod query;
mod random;
mod rows;

use std::cmp::Ordering;

use ::query::value::Value;
use common::ask;
use query::Query;
use random::Random;
use rows::{Kind, Sides, digits};
use rusqlite::types::ValueRef;

/// How many queries are asked of each set of rows, unless the environment says how many more.
const QUERIES: u64 = 2500;
/// Of rows that are made of files for each query anew.
const OF_FILES: u64 = 600;
/// How many all tests ask together.
const ALL: u64 = 2 * QUERIES + OF_FILES;

/// What rewrites and the answer as a whole are made of; there are queries with each.
const CONSTRUCTS: [&str; 11] = [
    "with totals",
    "share(",
    " over ()",
    "(select ",
    "in (select ",
    "filter (where",
    "distinct from",
    " like concat(",
    "' escape '",
    "case ",
    " || ",
];

/// A value of either side.
#[derive(Clone, Debug)]
enum Cell {
    Null,
    Int(i128),
    Float(f64),
    Text(Vec<u8>),
}

impl Cell {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Int(_) | Self::Float(_) => 1,
            Self::Text(_) => 2,
        }
    }

    /// Whether the two count as the same; floats that are `close` in proportion do.
    fn is(&self, other: &Self, close: f64) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => (a - b).abs() <= close * a.abs().max(b.abs()),
            _ => self.order(other).is_eq(),
        }
    }

    /// A total order in which cells that count as the same are equal.
    #[allow(clippy::cast_precision_loss)] // only a float is compared with one
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b).unwrap(),
            (Self::Int(a), Self::Float(b)) => (*a as f64).partial_cmp(b).unwrap(),
            (Self::Float(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)).unwrap(),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

type Row = Vec<Cell>;

fn order(left: &Row, right: &Row) -> Ordering {
    let cells = left.iter().zip(right).map(|(left, right)| left.order(right));
    cells.fold(Ordering::Equal, Ordering::then)
}

/// The answer of slabql, or what it says to the query.
fn of_slabql(sides: &Sides, query: &Query) -> Result<Vec<Row>, String> {
    let answer = ask::try_ask(&mut sides.slabql.borrow_mut(), &query.slabql())
        .map_err(|error| error.text())?;
    let cell = |(value, kind): (&Value, Kind)| match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Int((*value).into()),
        Value::UInt(value) if kind == Kind::Addr => Cell::Text(digits(*value).into_bytes()),
        Value::Int(value) => Cell::Int((*value).into()),
        Value::UInt(value) => Cell::Int((*value).into()),
        Value::Float(value) => Cell::Float(*value),
        Value::Text(text) => Cell::Text(text.to_vec()),
        Value::List(_) => panic!("a list in {}", query.slabql()),
    };
    let row = |row: &Vec<Value>| row.iter().zip(query.kinds()).map(cell).collect();
    Ok(answer.0.rows.iter().map(row).collect())
}

fn of_sqlite(sides: &Sides, query: &Query) -> Result<Vec<Row>, String> {
    let text = query.sqlite();
    let mut statement = sides.sqlite.prepare(&text).map_err(|error| error.to_string())?;
    let columns = statement.column_count();
    let cell = |value: ValueRef<'_>| match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value.into()),
        ValueRef::Real(value) => Cell::Float(value),
        ValueRef::Text(text) | ValueRef::Blob(text) => Cell::Text(text.to_vec()),
    };
    let rows =
        statement.query_map([], |row| (0..columns).map(|at| row.get_ref(at).map(cell)).collect());
    let mut rows: Vec<Row> = rows.and_then(Iterator::collect).map_err(|error| error.to_string())?;
    // Without a group there are no totals.
    if query.totals && rows.len() == 1 {
        rows.clear();
    }
    // They come last, in whatever order the others do.
    if query.totals {
        let is_total = |row: &Row| matches!(row.last(), Some(Cell::Int(1)));
        rows.sort_by_key(is_total);
    }
    Ok(rows)
}

/// Asks both. The number of rows, or what is different.
fn agree(sides: &Sides, query: &Query) -> Result<usize, String> {
    let mut answers = [of_slabql(sides, query)?, of_sqlite(sides, query)?];
    if !query.is_ordered() {
        for rows in &mut answers {
            rows.sort_by(order);
        }
    }
    let [ours, theirs] = &answers;
    // A sum of floats depends on the order in which they are added.
    let close = if query.grouped || query.slabql().contains("avg(") { 1e-9 } else { 0.0 };
    let same = |(ours, theirs): (&Row, &Row)| {
        ours.iter().zip(theirs).all(|(ours, theirs)| ours.is(theirs, close))
    };
    if ours.len() == theirs.len() && ours.iter().zip(theirs).all(same) {
        return Ok(ours.len());
    }
    let first = ours.iter().zip(theirs).position(|rows| !same(rows));
    let at = first.unwrap_or(ours.len().min(theirs.len()));
    Err(format!(
        "{} and {} rows; row {at}: {:?} and {:?}",
        ours.len(),
        theirs.len(),
        ours.get(at),
        theirs.get(at)
    ))
}

/// Cuts a query down as long as the two still differ.
fn shrunk(sides: &Sides, mut query: Query) -> Query {
    while let Some(smaller) = query.smaller().into_iter().find(|less| agree(sides, less).is_err()) {
        query = smaller;
    }
    query
}

fn hold_against_each_other(rows: &str, sides: &Sides, first_seed: u64, queries: u64) {
    let wanted = std::env::var("SLABQL_RANDOM_QUERIES").map(|text| text.parse::<u64>().unwrap());
    // Fewer, as an emulated processor asks of the running kernel, would show little.
    let queries = wanted.map_or(queries, |wanted| (queries * wanted / ALL).max(queries));
    let mut failures = Vec::new();
    let (mut answered, mut constructs) = (0, [0; CONSTRUCTS.len()]);
    for seed in first_seed..first_seed + queries {
        let query = queries::query(&mut Random::new(seed));
        let text = query.slabql();
        for (count, construct) in constructs.iter_mut().zip(CONSTRUCTS) {
            *count += u64::from(text.contains(construct));
        }
        if let Ok(count) = agree(sides, &query) {
            answered += u64::from(count > 0);
            continue;
        }
        let query = shrunk(sides, query);
        let difference = agree(sides, &query).unwrap_err();
        failures.push(format!(
            "seed {seed}\n  slabql: {}\n  SQLite: {}\n  {difference}",
            query.slabql(),
            query.sqlite()
        ));
    }
    eprintln!("{rows}: {queries} queries, {answered} of them with rows");
    for (count, construct) in constructs.iter().zip(CONSTRUCTS) {
        eprintln!("  {count} with `{construct}`");
        assert!(count * 400 > queries, "{count} queries with {construct}");
    }
    let count = failures.len();
    failures.truncate(8);
    assert!(failures.is_empty(), "{count} differences\n{}", failures.join("\n"));
    assert!(answered * 2 > queries, "{answered}");
}

#[test]
fn the_rows_of_the_demo() {
    hold_against_each_other("the demo", &Sides::demo(), 1, QUERIES);
}

#[test]
fn rows_of_files() {
    hold_against_each_other("the source proc", &Sides::proc(), 2_000_000, OF_FILES);
}

#[test]
fn made_up_rows() {
    let sides = Sides::random(&mut Random::new(7));
    hold_against_each_other("made-up rows", &sides, 1_000_000, QUERIES);
}
