//! Work of every kind ends when its host says so, soon: the host is asked again and again as long as there are rows.

use std::cell::Cell;

use crate::common::{Fixture, kernel, plan};
use slabql_query::bind::bind_with;
use slabql_query::catalog::Lookup;
use slabql_query::diagnostic::Diagnostic;
use slabql_query::eval::Warnings;
use slabql_query::exec::{Execution, Host, Interrupted};
use slabql_query::layout::Row;
use slabql_query::plan::Template;
use slabql_query::subquery::Answers;
use slabql_query::syntax::{Declarations, ParameterValues, parse_from, parse_text};
use slabql_query::value::Value;

/// Counts how often it is asked, and ends a run when it was asked so often.
struct Impatient {
    asked: Cell<usize>,
    patience: usize,
}

impl Host for Impatient {
    fn look_up(&self, _: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Ok(vec![Value::Null; arguments.len()])
    }

    fn interrupted(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.patience
    }
}

/// Runs a query over rows of different numbers. Gives how often its host was asked, and whether the answer is whole.
fn ask(text: &str, rows: u64, patience: usize) -> (usize, Result<(), Interrupted>) {
    let plan = plan(text, kernel(Template::OpenCoded, false))
        .unwrap_or_else(|error| panic!("{text:.60}: {}", error.message));
    let value = |row| if row % 2 == 0 { Value::UInt(row) } else { Value::UInt(rows - row) };
    let row = |row| Row { addr: 0, values: vec![value(row); plan.inputs.len()] };
    let host = Impatient { asked: Cell::new(0), patience };
    let mut execution = Execution::new(&plan, &host);
    let ended = execution
        .push((0..rows).map(row).collect())
        .and_then(|_| execution.finish(Warnings::default()))
        .map(|_| ());
    (host.asked.get(), ended)
}

/// A text of a quarter of a mebibyte.
const LONG: &str = "replace(replace(concat('aaaaaaaa', size), 'a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'), \
    'b', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc')";

fn queries() -> Vec<(String, u64)> {
    let long = |what: &str| format!("select {}", what.replace("LONG", LONG));
    let many = vec!["size + 1"; 4000].join(", ");
    [
        ("select size".to_owned(), 70_000),
        ("select size where size > 2".to_owned(), 70_000),
        ("select size group by size".to_owned(), 70_000),
        ("select count(*)".to_owned(), 70_000),
        ("select distinct size".to_owned(), 70_000),
        ("select median(size)".to_owned(), 70_000),
        ("select percentile(size, 90), quantile(size, 0.9)".to_owned(), 70_000),
        ("select size order by size".to_owned(), 70_000),
        ("select size order by size limit 1000".to_owned(), 70_000),
        (format!("select size where size in ({})", vec!["size + 1"; 80].join(", ")), 500),
        (format!("select {many}"), 40),
        (long("length(LONG)"), 20),
        (long("LONG like '%a%b%'"), 20),
        (long("regexp_extract(LONG, 'b+')"), 20),
    ]
    .into()
}

#[test]
fn a_host_is_asked_as_long_as_there_are_rows() {
    for (text, rows) in queries() {
        let [one, two, four] = [rows, 2 * rows, 4 * rows].map(|rows| ask(&text, rows, usize::MAX));
        let text = &text[..text.len().min(60)];
        assert_eq!((one.1, two.1, four.1), (Ok(()), Ok(()), Ok(())), "{text}");
        let (one, two, four) = (one.0, two.0, four.0);
        assert!(one >= 1, "{text}: {one}");
        assert!(2 * two >= 3 * one && 2 * four >= 3 * two, "{text}: {one} {two} {four}");
        assert!(two <= 3 * one && four <= 3 * two, "{text}: {one} {two} {four}");
    }
}

#[test]
fn a_run_ends_when_its_host_says_so() {
    for (text, rows) in queries() {
        for patience in [0, 1] {
            let (asked, ended) = ask(&text, 2 * rows, patience);
            let text = &text[..text.len().min(60)];
            assert_eq!((asked, ended), (patience + 1, Err(Interrupted)), "{text}");
        }
    }
}

/// Reads a text with a patience, and gives how often it was asked to end and whether the text was read whole.
type Reader = fn(&str, usize) -> (usize, Result<(), Diagnostic>);

fn patient<T>(
    patience: usize,
    read: impl FnOnce(&dyn Fn() -> bool) -> Result<T, Diagnostic>,
) -> (usize, Result<(), Diagnostic>) {
    let asked = Cell::new(0);
    let read = read(&|| {
        asked.set(asked.get() + 1);
        asked.get() > patience
    });
    (asked.get(), read.map(drop))
}

fn parsed(text: &str, patience: usize) -> (usize, Result<(), Diagnostic>) {
    patient(patience, |interrupted| {
        let (declared, given) = (&mut Declarations::default(), ParameterValues::new());
        parse_from(text, 0, declared, &given, interrupted)
    })
}

fn bound(text: &str, patience: usize) -> (usize, Result<(), Diagnostic>) {
    let statements = parse_text(text).unwrap();
    let query = statements[0].0.query().unwrap();
    let kernel = Fixture::new();
    patient(patience, |interrupted| bind_with(query, &kernel, Answers::NONE, interrupted))
}

/// A text is read no further once nobody wants it: that is asked at every token and every operand.
#[test]
fn a_text_is_read_no_further_than_it_is_wanted() {
    let both: &[Reader] = &[parsed, bound];
    for (start, part, end, readers) in [
        ("select name where size in (0", ", 1", ")", both),
        ("select name where name in ('a'", ", 'b'", ")", both),
        ("select 1", "; select 1", "", &[parsed]),
        ("select name", ", size", "", both),
        ("select case", " when rcu then 1", " end", both),
        ("select concat('a'", ", name", ")", both),
        ("select name where size > 1", " and size > 1", "", both),
        ("select name order by size", ", -size", "", both),
    ] {
        let text = |count: usize| format!("{start}{}{end}", part.repeat(count));
        for read in readers {
            let [one, two, four] = [20, 40, 80].map(|count| read(&text(count), usize::MAX));
            assert!(one.1.is_ok() && two.1.is_ok() && four.1.is_ok(), "{part}: {:?}", four.1);
            let (one, two, four) = (one.0, two.0, four.0);
            assert!(one >= 20, "{start}{part}: {one}");
            assert!(
                2 * two >= 3 * one && two <= 2 * one && four <= 2 * two,
                "{start}{part}: {one} {two} {four}"
            );
            for patience in [0, 1, 15, one - 1] {
                let (asked, ended) = read(&text(20), patience);
                let ended = ended.unwrap_err().message;
                assert_eq!((asked, ended.as_str()), (patience + 1, "interrupted"));
            }
        }
    }
}

/// A long list of constants is no more work than a short one, and means the same as one that is gone through.
#[test]
fn a_list_of_constants_is_not_gone_through() {
    let list = |count: u64| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let asked = [20, 2000, 20_000].map(|count| {
        let text = format!("select size where -size in ({})", list(count));
        ask(&text, 70_000, usize::MAX).0
    });
    assert_eq!(asked[1..], [asked[0]; 2], "{asked:?}");

    let found = |text: &str, size: u64| {
        let text = format!("select {text}");
        let plan = plan(&text, kernel(Template::OpenCoded, false)).unwrap();
        let host = Impatient { asked: Cell::new(0), patience: usize::MAX };
        let mut execution = Execution::new(&plan, &host);
        let rows = vec![Row { addr: 0, values: vec![Value::UInt(size); plan.inputs.len()] }];
        execution.push(rows).unwrap().remove(0).remove(0)
    };
    let (long, big) = (list(40), u64::MAX);
    for (text, size, expected) in [
        (format!("size in ({long})"), 39, Value::Bool(true)),
        (format!("size in ({long})"), 40, Value::Bool(false)),
        (format!("size not in ({long})"), 40, Value::Bool(true)),
        (format!("size in ({long}, null)"), 0, Value::Bool(true)),
        (format!("size in (null, {long})"), 40, Value::Null),
        (format!("nullif(size, 1) in ({long})"), 1, Value::Null),
        (format!("size / 2.0 in ({long})"), 10, Value::Bool(true)),
        (format!("size / 2.0 in ({long})"), 11, Value::Bool(false)),
        (format!("size in ({long}, 18446744073709551615)"), big, Value::Bool(true)),
        (format!("size in ({long}, -1)"), big, Value::Bool(false)),
        (format!("size in ({long}, 9007199254740992.0)"), (1 << 53) + 1, Value::Bool(false)),
        (format!("size in ({long}, 9007199254740992.0)"), 1 << 53, Value::Bool(true)),
        (format!("null in ({long}, null)"), 1, Value::Null),
    ] {
        assert_eq!(found(&text, size), expected, "{text}");
    }
}

/// What a constant takes is bounded while a query is bound, where nobody asks a host; the rest is part of the run.
#[test]
fn long_constants_are_computed_by_the_run() {
    let long = LONG.replace("size", "'aaaa'");
    let text = format!("select length({long}), 1 + 1");
    let (asked, ended) = ask(&text, 1000, 0);
    assert_eq!((asked, ended), (1, Err(Interrupted)));
    assert_eq!(ask(&text, 1, usize::MAX).1, Ok(()));
}
