//! A text of many pieces is read in time and memory that grow with it: what is allocated for texts of one, two and four
//! times a size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;

use slabql::shell::script;
use slabql::shell::session::Session;
use slabql::shell::setting::Settings;
use slabql::source::Choice;
use slabql::source::recording::Recording;

use crate::common::ask;

thread_local! {
    /// The bytes that this thread has allocated.
    static BYTES: Cell<usize> = const { Cell::new(0) };
    /// The pieces of memory that this thread has, and the most that it had.
    static PIECES: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

struct Counting;

// SAFETY: the system's allocator, which is counted along the way.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // There is none while a thread ends.
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        add(1);
        // SAFETY: the caller keeps the promises that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-1);
        // SAFETY: the system's allocator gave it.
        unsafe { System.dealloc(at, layout) }
    }
}

fn add(count: isize) {
    let _ = PIECES.try_with(|pieces| {
        let [now, most] = pieces.get();
        pieces.set([now + count, most.max(now + count)]);
    });
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn pieces_are_not_copied_for_those_behind_them() {
    let engine = ask::session(Box::new(Recording::demo().unwrap()), Choice::default());
    let mut session = Session::new(engine, Settings::default());
    let mut allocated = |text: String| {
        let before = BYTES.with(Cell::get);
        let next = script::run(&mut session, &text, None, &mut io::sink()).unwrap();
        assert!(next.is_continue());
        BYTES.with(Cell::get) - before
    };
    let pieces = ".null x\nselect name where $p limit 0;\n";
    for (start, part) in [
        ("-- param p: bool = false\n", pieces),
        ("", ".null x\nselect name limit 0;\n"),
        ("select name limit 0", ";"),
        ("select name limit 0;", "-- a comment\n"),
    ] {
        let text = |count: usize| format!("{start}{}", part.repeat(count));
        let [one, two, four] = [200, 400, 800].map(|count| allocated(text(count)));
        let room = 64 << 10;
        assert!(two <= 2 * one + one / 4 + room, "{part:?}: {one} {two} {four}");
        assert!(four <= 4 * one + one + room, "{part:?}: {one} {two} {four}");
    }
}

fn allocated(work: impl FnOnce()) -> usize {
    let before = BYTES.with(Cell::get);
    work();
    BYTES.with(Cell::get) - before
}

/// What is allocated for one, two and four times a size grows no faster.
fn grows(name: &str, sizes: [usize; 3]) {
    let [one, two, four] = sizes;
    // A vector that doubles takes up to twice as much as it needs.
    let room = 64 << 10;
    assert!(two <= 2 * one + one / 2 + room, "{name}: {one} {two} {four}");
    assert!(four <= 4 * one + 2 * one + room, "{name}: {one} {two} {four}");
}

#[test]
fn what_an_answer_takes_grows_with_what_is_asked() {
    let repeated = |part: &dyn Fn(usize) -> String, count: usize| -> String {
        (0..count).map(part).collect::<Vec<_>>().join(", ")
    };
    let items = |count| repeated(&|n| format!("size + {n} as a{n}"), count);
    let formats = ["csv", "tsv", "json", "ndjson", "table", "vertical", "markdown", "html", "svg"];
    let wide = formats.map(|format| {
        let text = move |count| format!("select {} limit 20 format {format};", items(count));
        (format, Box::new(text) as Box<dyn Fn(usize) -> String>)
    });
    let mut texts = Vec::from(wide);
    let mut add = |name, text: Box<dyn Fn(usize) -> String>| texts.push((name, text));
    add("explain", Box::new(move |count| format!("explain select {};", items(count))));
    add("conditions", {
        let list = move |count| repeated(&|n| format!("size + {n}"), count);
        Box::new(move |count| format!("explain select name where objects in ({});", list(count)))
    });
    add("parameters", {
        Box::new(|count| (0..count).map(|n| format!(".set p{n} {n}\n.set p{n}\n")).collect())
    });
    // What an automaton of choices does is counted in steps, where it is run.
    for (name, part) in
        [("like", "%a"), ("glob", "*a"), ("glob", "[ab]"), ("~", "[ab]"), ("~", "a+")]
    {
        add(name, {
            Box::new(move |count| {
                format!("select count(*) where name {name} '{}';", part.repeat(count))
            })
        });
    }
    for (name, text) in texts {
        let sizes = [60, 120, 240].map(|count| {
            let text = text(count);
            // A page or a picture holds one answer.
            let engine = ask::session(Box::new(Recording::demo().unwrap()), Choice::default());
            let mut session = Session::new(engine, Settings::default());
            allocated(|| {
                let next = script::run(&mut session, &text, None, &mut io::sink()).unwrap();
                assert!(next.is_continue());
            })
        });
        grows(name, sizes);
    }
}

/// A recording whose caches have so many columns that nobody knows.
fn recording(columns: usize, rows: usize) -> Vec<u8> {
    let names: String = (0..columns).map(|n| format!(",\"x{n}\"")).collect();
    let header = format!(
        "{{\"format\":\"slabql recording\",\"version\":1,\"kernel\":\"7.1.0\",\
         \"time\":\"2026-01-01T00:00:00Z\",\"page_size\":4096,\"slab_flags\":{{}},\"gfp_flags\":{{}},\
         \"table\":\"caches\",\"columns\":[\"name\",\"size\"{names}],\"missing\":{{}},\"rows\":{rows}}}\n"
    );
    let row = format!("[\"a\",64{}]\n", ",\"a long text of a column\"".repeat(columns));
    (header + &row.repeat(rows)).into_bytes()
}

#[test]
fn what_a_recording_takes_grows_with_its_text() {
    let read = |bytes: &[u8]| {
        allocated(|| {
            let recording = Recording::read(bytes).unwrap();
            assert!(recording.count(query::catalog::TABLES[0]).unwrap() > 0);
        })
    };
    grows("rows", [1000, 2000, 4000].map(|rows| read(&recording(2, rows))));
    grows("columns", [100, 200, 400].map(|columns| read(&recording(columns, 50))));
}

/// What is kept of groups and of distinct values lies beside each other: an interrupt, or the end, frees it at once.
#[test]
fn groups_are_no_pieces_of_their_own() {
    let most = |query: &str, count: usize| {
        let mut text = format!(
            r#"{{"format":"slabql recording","version":1,"kernel":"6.18","time":"2026-01-01T00:00:00Z","page_size":4096,"slab_flags":{{}},"gfp_flags":{{}},"table":"caches","columns":["name","size","objects"],"missing":{{}},"rows":{count}}}"#
        );
        (0..count).for_each(|n| text.push_str(&format!("\n[\"c{n}\",{n},{n}]")));
        let recording = Recording::read(format!("{text}\n").as_bytes()).unwrap();
        let mut engine = ask::session(Box::new(recording), Choice::default());
        let [before, _] = PIECES.get();
        PIECES.set([before; 2]);
        assert!(!ask::ask(&mut engine, query).0.rows.is_empty());
        PIECES.get()[1] - before
    };
    for query in [
        "select objects, count(*), sum(size), min(size), avg(size) from caches group by objects order by 2 limit 5",
        "select name, count(*) from caches group by name order by 1 desc limit 5",
        "select count(distinct name) from caches",
        "select size % 2, count(distinct objects) from caches group by 1",
        "select distinct name from caches order by name limit 5",
    ] {
        let [some, twice] = [20_000, 40_000].map(|count| most(query, count));
        assert!(twice < some + 1000, "{query}: {some} {twice}");
    }
}
