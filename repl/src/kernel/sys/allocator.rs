//! The program's allocator.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlmalloc::Dlmalloc;

/// The heap of the process. The lock that dlmalloc's own allocator comes with is pthread's: to take it and to give it back
/// took a sixth of the time of a query of many rows.
static HEAP: Mutex<Dlmalloc> = Mutex::new(Dlmalloc::new());

/// Nothing panics while it holds the heap.
#[inline]
fn heap() -> MutexGuard<'static, Dlmalloc> {
    HEAP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`Dlmalloc`], whose code is not copied to each place that allocates.
pub struct Allocator;

// SAFETY: each function passes its arguments on to the same function of an allocator that one thread at a time uses, and
// the caller's promises with them. Neither the lock nor the allocator allocates by this one, or unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(test)]
        count(layout.size());
        // SAFETY: the caller promises what it asks.
        unsafe { heap().malloc(layout.size(), layout.align()) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller promises what it asks.
        unsafe { heap().free(memory, layout.size(), layout.align()) }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what it asks.
        unsafe { heap().calloc(layout.size(), layout.align()) }
    }

    #[inline(never)]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        #[cfg(test)]
        count(bytes);
        // SAFETY: the caller promises what it asks.
        unsafe { heap().realloc(memory, layout.size(), layout.align(), bytes) }
    }
}

#[cfg(test)]
thread_local! {
    /// The bytes that this thread has allocated.
    static ALLOCATED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count(bytes: usize) {
    // There is none while a thread ends.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + bytes));
}

/// What `work` of one, two and four times a size allocates grows no faster than the size.
#[cfg(test)]
pub(crate) fn assert_linear(size: usize, mut work: impl FnMut(usize)) {
    let [one, two, four] = [1, 2, 4].map(|times| {
        let before = ALLOCATED.get();
        work(times * size);
        ALLOCATED.get() - before
    });
    // A vector that doubles takes up to twice as much as it needs.
    let room = 64 << 10;
    assert!(one > size, "{one} bytes for {size}");
    assert!(two <= 2 * one + one / 2 + room, "{one} {two} {four}");
    assert!(four <= 4 * one + 2 * one + room, "{one} {two} {four}");
}
