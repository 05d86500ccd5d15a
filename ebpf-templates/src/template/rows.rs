//! The memory that a program and its reader share.
//!
//! The program's one map is an array of one value:
//!
//! ```text
//! byte 0        8      16        24     32     40     48       64        320
//!      cursor   rows   elements  flags  zero   self   number   scratch   row, row, row …   index   counters   CPU table   values
//! ```
//!
//! Scratch is where walks keep their numbers: the stack has less room, and the verifier knows nothing of what the
//! map holds, so a loop that counts there is converged after one round. The index is there where rows are groups, and
//! leads from keys to rows; see [`super::group`]. Counters are for `explain analyze`: there are
//! none in an ordinary program. The CPU table behind them is
//! filled by the loader: for each possible CPU the distance from a per-CPU pointer to that CPU's copy. So are the values
//! of the query's parameters, at the very end.
//!
//! A row of the open-coded template stays there, and `cursor` counts the bytes of rows; a row of the `iter`
//! template is built there and then written to the iterator's file, followed at the end by a trailer row. Both
//! have the same form:
//!
//! ```text
//! byte 0      4      8      16
//!      size   kind   addr   fixed part …   texts …
//! ```
//!
//! `size` counts the whole row and is a multiple of 8. `addr` is the cache's address, by which rows are told
//! apart. What the fixed part holds is the business of whoever implements the hooks.

/// Bytes of rows so far (u64).
pub const CURSOR: i16 = 0;
/// Rows so far (u64).
pub const ROWS: i16 = 8;
/// Caches seen so far (u64). Not meaningful for the `iter` template, whose elements can be run twice.
pub const ELEMENTS: i16 = 16;
/// What went wrong: [`FULL`], [`RANGE`] (u64).
pub const FLAGS: i16 = 24;
/// Always 0, which the verifier does not know: a loop count that starts here has no known value, and so the
/// verifier takes the loop as converged after one round.
pub const ZERO: i16 = 32;
/// The cache's address as a number, during an element (u64). A pointer that went through memory is a number to the
/// verifier, which may then be computed with.
pub const SELF: i16 = 40;
/// Where a pointer is put to come back as a number (u64). To the verifier what was loaded from the kernel as a
/// pointer stays one: it refuses arithmetic on it, and of comparisons it takes some as known that are not.
pub const NUMBER: i16 = 48;
/// The first of the numbers of walks (u64 each); see [`Scratch`].
pub const SCRATCH: i16 = 64;
/// Bytes of the header.
pub const HEADER: u32 = 320;

/// Where a program that gives its rows in several runs goes on: the first numbers of [`SCRATCH`], which stay from run
/// to run. All are 0 before the first run.
pub mod resume {
    use super::SCRATCH;

    /// The address of the cache; 0 if the scan is at its beginning, or through.
    pub const CACHE: i16 = SCRATCH;
    /// The kind of the list: [`NODE`], [`CPU`] or [`CPU_PARTIAL`].
    pub const LIST: i16 = SCRATCH + 8;
    /// The number of the node or CPU.
    pub const PLACE: i16 = SCRATCH + 16;
    /// The address of the slab that comes next; 0 at the beginning of the list.
    pub const SLAB: i16 = SCRATCH + 24;
    /// Of a node's list what `prev` of this slab is.
    pub const BEFORE: i16 = SCRATCH + 32;
    /// The steps taken in the list.
    pub const STEPS: i16 = SCRATCH + 40;
    /// How often the list was begun again.
    pub const TRIES: i16 = SCRATCH + 48;
    /// How many numbers these are.
    pub const COUNT: i16 = 7;

    /// In [`LIST`]: a node's partial list.
    pub const NODE: i32 = 0;
    /// In [`LIST`]: a CPU slab.
    pub const CPU: i32 = 1;
    /// In [`LIST`]: a CPU partial list.
    pub const CPU_PARTIAL: i32 = 2;
}

/// Where the walk over page descriptors keeps what it knows: the first numbers of [`SCRATCH`]. The reader sets the first
/// three before each run; see [`super::vmemmap`].
pub mod page {
    use super::SCRATCH;

    /// The number of the page that is looked at next.
    pub const PFN: i16 = SCRATCH;
    /// The page that the run ends before.
    pub const END: i16 = SCRATCH + 8;
    /// The node that these pages belong to; [`UNKNOWN`] where that is not known.
    pub const NODE: i16 = SCRATCH + 16;
    /// The address of the slab.
    pub const SLAB: i16 = SCRATCH + 24;
    /// How many more slabs the run visits.
    pub const BUDGET: i16 = SCRATCH + 32;
    /// The page behind the slab.
    pub const NEXT: i16 = SCRATCH + 40;
    /// The slab has two to this many pages.
    pub const ORDER: i16 = SCRATCH + 48;
    /// The flags of its first page.
    pub const FLAGS: i16 = SCRATCH + 56;
    /// The first free object of its own list.
    pub const FREELIST: i16 = SCRATCH + 64;
    /// Its counters.
    pub const COUNTERS: i16 = SCRATCH + 72;
    /// The room for objects.
    pub const OBJECTS: i16 = SCRATCH + 80;
    /// The free objects.
    pub const FREE: i16 = SCRATCH + 88;
    /// Whether it is marked as one of a CPU.
    pub const FROZEN: i16 = SCRATCH + 96;
    /// Its state: [`FULL`] to [`KFENCE`].
    pub const STATE: i16 = SCRATCH + 104;
    /// The list that it is on, as in [`super::resume::LIST`], or [`NONE`].
    pub const LIST: i16 = SCRATCH + 112;
    /// The node or CPU of that list, or [`UNKNOWN`].
    pub const PLACE: i16 = SCRATCH + 120;
    /// Above 0 if its figures changed while they were read.
    pub const INCOMPLETE: i16 = SCRATCH + 128;
    /// How many numbers these are.
    pub const COUNT: i16 = 17;

    /// In [`STATE`]: every object is in use.
    pub const FULL: i32 = 0;
    /// In [`STATE`]: some objects are free, and the slab is on its node's list.
    pub const PARTIAL: i32 = 1;
    /// In [`STATE`]: a CPU holds the slab.
    pub const CPU: i32 = 2;
    /// In [`STATE`]: no object is in use.
    pub const EMPTY: i32 = 3;
    /// In [`STATE`]: a page of KFENCE, which no figure counts.
    pub const KFENCE: i32 = 4;

    /// In [`LIST`]: on none.
    pub const NONE: i32 = 3;
    /// In [`NODE`] and [`PLACE`]: not known.
    pub const UNKNOWN: i32 = i32::MAX;
}

/// Hands out the numbers of [`SCRATCH`].
#[derive(Clone, Debug, Default)]
pub struct Scratch(i16);

impl Scratch {
    /// Those behind the numbers of [`resume`].
    #[must_use]
    pub fn behind_resume() -> Self {
        Self(resume::COUNT)
    }

    /// Those behind the numbers of [`page`].
    #[must_use]
    pub fn behind_page() -> Self {
        Self(page::COUNT)
    }

    /// The next number's offset in the header. A caller that takes more than there are has a bug.
    pub fn take(&mut self) -> i16 {
        let at = SCRATCH + 8 * self.0;
        assert!(u32::try_from(at + 8).is_ok_and(|end| end <= HEADER), "the scratch space is full");
        self.0 += 1;
        at
    }
}

/// In [`FLAGS`]: the run ended before the scan: the space for rows ran out, and what follows is missing. A program with
/// [`resume`] goes on there in another run.
pub const FULL: i32 = 1;
/// In [`FLAGS`]: arithmetic of the filter left the 64-bit range, and that was taken for NULL.
pub const RANGE: i32 = 2;
/// In [`FLAGS`]: the kernel ended a loop, whose figures are then too small.
pub const CUT: i32 = 4;
/// In [`FLAGS`]: a walk left its list several times in a row, and its figure is too small.
pub const TORN: i32 = 8;
/// In [`FLAGS`], with [`FULL`]: the list that the run stopped in changed while it was walked. The next run begins it
/// again, and its rows may be there twice.
pub const AGAIN: i32 = 16;
/// In [`FLAGS`]: the list of caches changed under the template that follows it, and the rows are not those of all
/// caches: [`super::list`].
pub const LOST: i32 = 32;

/// The row's size in bytes (u32).
pub const ROW_SIZE: i16 = 0;
/// The row's kind (u32).
pub const ROW_KIND: i16 = 4;
/// The cache's address (u64); of a trailer the header's flags.
pub const ROW_ADDR: i16 = 8;
/// Bytes of a row's own header.
pub const ROW_HEADER: u16 = 16;

/// A row of a cache.
pub const KIND_ROW: i32 = 1;
/// The row after the last: the iterator came to its end.
pub const KIND_END: i32 = 2;
/// A row of a slab, behind which those of its objects come: see [`super::objects`].
pub const KIND_SLAB: i32 = 3;

/// The bytes that a text takes of the kernel at most, its NUL included. Of 257 the text is longer than 255 bytes.
pub const TEXT_BYTES: u16 = 257;
/// The length of a text that could not be read: NULL.
pub const TEXT_NULL: u16 = 0xffff;
/// What a text can add to a row at most, with the zeroed bytes behind it.
pub const TEXT_ROOM: u16 = 272;
