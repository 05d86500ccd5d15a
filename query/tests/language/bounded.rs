//! Work grows with the input and no faster, or the input is refused with a number: what is allocated for texts of one, two
//! and four times a size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

use crate::common::{self, Fixture, NoHost, kernel, plan, run};
use slabql_query::complete::{Known, complete};
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::mark::mark;
use slabql_query::pattern::MAX_GROUPS;
use slabql_query::plan::Template;
use slabql_query::syntax::{MAX_LIST, parameter};

thread_local! {
    /// The bytes that this thread has allocated.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: the system's allocator, which is counted along the way.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the system's allocator gave it.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` allocates.
fn allocated(work: impl FnOnce()) -> usize {
    let before = BYTES.with(Cell::get);
    work();
    BYTES.with(Cell::get) - before
}

/// Asks the query for an answer of a cache, as far as it comes.
fn ask(text: &str) {
    let Ok(plan) = plan(text, kernel(Template::OpenCoded, false)) else { return };
    let rows =
        run(&plan, &[common::Cache { name: Some(b"x".to_vec()), members: vec![], nodes: vec![] }]);
    exec::run(&plan, rows, &NoHost, &Fixture::new(), Warnings::default()).unwrap();
}

/// Completes at the end of a text.
fn completed(text: &str) {
    let (offer, names) = (Fixture::new(), |_| Rc::from(Vec::new()));
    let known = Known { capabilities: &offer, names: &names, parameters: Vec::new(), formats: &[] };
    drop(complete(text, text.len(), &known));
}

fn repeated(count: usize, part: impl Fn(usize) -> String, between: &str) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(between)
}

/// Texts of about so many parts.
fn texts(count: usize) -> Vec<(&'static str, String)> {
    let list = |part: &dyn Fn(usize) -> String| repeated(count, part, ", ");
    let columns = list(&|n| format!("size + {n} as a{n}"));
    vec![
        ("semicolons", ";".repeat(count)),
        ("items", format!("select {columns}")),
        ("texts", format!("select name where name in ({})", list(&|n| format!("'n{n}'")))),
        ("numbers", format!("select name where size in ({})", list(&|n| n.to_string()))),
        ("keys", format!("select name order by {}", list(&|n| format!("size + {n}")))),
        ("groups", format!("select count(*) group by {}", list(&|n| format!("size + {n}")))),
        ("sums", format!("select {}", list(&|n| format!("sum(size + {n})")))),
        ("arguments", format!("select concat({})", list(&|n| format!("'{n}'")))),
        (
            "arms",
            format!("select case {} end", repeated(count, |n| format!("when rcu then {n}"), " ")),
        ),
        ("parentheses", format!("select {}1{}", "(".repeat(count), ")".repeat(count))),
        ("comments", format!("{}select name", "-- x\n/* y */ ".repeat(count))),
        ("a literal", format!("select '{}'", "x".repeat(16 * count))),
        ("a name", format!("select {}", "x".repeat(16 * count))),
        ("quotes", format!("select '{}'", "''".repeat(count))),
        ("digits", format!("select 1.{}", "1".repeat(count))),
        ("spaces", format!("select 1{}", " ".repeat(16 * count))),
        ("empty comments", format!("select 1{}", "/**/".repeat(count))),
        ("an open text", format!("'{}", "1".repeat(16 * count))),
        ("an open comment", format!("/*{}", "1".repeat(16 * count))),
        ("words", "a ".repeat(count)),
        ("dots", ". ".repeat(count)),
        ("verbs", "select ".repeat(count)),
        ("operators", format!("select {}1", "+".repeat(count))),
        ("closing", format!("select 1{}", ")".repeat(count))),
        ("commas", format!("select 1{}", ",".repeat(count))),
        ("letters", "é".repeat(count)),
        ("statements", "select name; ".repeat(count)),
        ("names", format!("where {}", list(&|n| format!("n{n}")))),
        ("flags", format!("select name where flags has any ({})", list(&|_| "PANIC".to_owned()))),
        (
            "declarations",
            format!("{}select $p1", repeated(count, |n| format!("-- param p{n}: int = 1\n"), "")),
        ),
    ]
}

#[test]
fn what_is_allocated_grows_with_the_text() {
    for at in 0..texts(1).len() {
        let of = |count: usize, work: &dyn Fn(&str)| {
            let (name, text) = texts(count).swap_remove(at);
            (name, allocated(|| work(&text)))
        };
        for (stage, work) in [
            ("asked", &ask as &dyn Fn(&str)),
            ("marked", &|text| drop(mark(text, Some(text.len())))),
            ("completed", &completed),
            ("declared", &|text| drop((parameter::names(text), parameter::declarations(text)))),
        ] {
            // A vector that doubles takes up to twice as much as it needs.
            let sizes = [1000, 2000, 4000].map(|count| of(count, work));
            let [(name, one), (_, two), (_, four)] = sizes;
            let room = 64 << 10;
            assert!(two <= 2 * one + one / 2 + room, "{name}, {stage}: {one} {two} {four}");
            assert!(four <= 4 * one + 2 * one + room, "{name}, {stage}: {one} {two} {four}");
        }
    }
}

/// A match keeps where each group is, for every state: groups are refused above a number, the rest grows with the text.
#[test]
fn what_a_match_takes_grows_with_its_pattern() {
    let groups = "(a|b)*".repeat(MAX_GROUPS);
    for (name, part) in [("choices", "[ab]*"), ("letters", "a"), ("counts", "(?:a{1,2}b?)")] {
        let [one, two, four] = [25, 50, 100].map(|count| {
            let text = format!("select name where name ~ '{groups}{}'", part.repeat(count));
            allocated(|| ask(&text))
        });
        let room = 64 << 10;
        assert!(two <= 2 * one + one / 2 + room, "{name}: {one} {two} {four}");
        assert!(four <= 4 * one + 2 * one + room, "{name}: {one} {two} {four}");
    }
    let large = format!("select name where name ~ '{}'", "(a|b)*".repeat(MAX_GROUPS));
    assert!(allocated(|| ask(&large)) < 2 << 20);
    for call in
        ["name ~ '{}'", "regexp_extract(name, '{}') = ''", "regexp_replace(name, '{}', '') = ''"]
    {
        let text = format!("select name where {call}").replace("{}", &"(a)".repeat(MAX_GROUPS + 1));
        let error = plan(&text, kernel(Template::OpenCoded, true)).unwrap_err();
        let told = format!("{} {}", error.message, error.label.unwrap_or_default());
        assert!(told.contains("it has more than 64 groups"), "{told}");
    }
}

#[test]
fn long_lists_are_refused_with_a_number() {
    let long = |part: &str, count: usize| vec![part; count].join(",");
    for text in [
        format!("select {}", long("1", 400_000)),
        format!("select count(*) group by {}", long("size", MAX_LIST + 1)),
        format!("select concat({})", long("'a'", MAX_LIST + 1)),
        format!("select name order by {}", long("size", MAX_LIST + 1)),
    ] {
        let mut message = String::new();
        let bytes = allocated(|| {
            let error = plan(&text, kernel(Template::OpenCoded, true)).unwrap_err();
            message = format!("{} {}", error.message, error.help.unwrap_or_default());
        });
        assert!(message.starts_with("the list is too long the limit is 4096"), "{message}");
        assert!(bytes < 200 << 20, "{bytes} bytes");
    }
}
