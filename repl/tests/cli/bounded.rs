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
}

struct Counting;

// SAFETY: the system's allocator, which is counted along the way.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // There is none while a thread ends.
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
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
