//! The templates: program skeletons over the kernel's slab caches, with hooks that the caller implements.
//!
//! ```text
//!   drive the iterator ── end? ─────────────► trailer
//!          │ a cache
//!   hook: the filter ──── not wanted? ──────► next cache
//!          │
//!   zero the row's fixed part
//!   hook: the columns
//!          │
//!   emit the row ───────────────────────────► next cache
//! ```
//!
//! Three templates call the same hooks and give the same rows: [`driver::Driver::Iter`] and
//! [`driver::Driver::OpenCoded`] by the kernel's iterator, [`driver::Driver::List`] without one. A fourth,
//! [`driver::Driver::Vmemmap`], gives them slabs instead of caches. The blocks that hooks are made of are [`node`] (sums over NUMA nodes), [`text`]
//! (names), [`partial`], [`percpu`] and [`barn`] (walks), and [`settle`] checks what walks found. [`slabs`] makes a row of each slab
//! on the way, in as many runs as it takes, and [`group`] keeps rows in the map and adds
//! elements to them. [`rows`] is what the program and its reader agree on. [`lookup`], [`head`], [`symbols`] and
//! [`offsets`] are programs of their own, without an iterator; so are those of [`events`], which run whenever the kernel
//! allocates or frees an object, of [`audit`], which run when it creates or destroys a cache, and of [`contention`], which run when it waits for a lock.
//!
//! # Registers
//!
//! | register | holds | live |
//! |---|---|---|
//! | `R6` | the map's value: header, then rows | always |
//! | `R7` | the cache, not null | within one element |
//! | `R8` | the row being filled; free for blocks before that | from zeroing to emitting |
//! | `R9` | the row's size so far; free for blocks before that | from zeroing to emitting |
//! | `R0`..`R5` | scratch, lost in calls | – |
//! | `R10 - 8` | the iterator's state, or the `seq_file`, or the link of the cache | always |
//!
//! # Invariants
//!
//! - A row is zeroed before it is filled, and so are the bytes behind a text: no byte of an earlier row or of the
//!   kernel reaches the reader.
//! - The call with no cache at the end of `iter/kmem_cache` is handled: it emits the trailer.
//! - Every loop ends by its own count, and the verifier is shown a bound besides (the iterator, `may_goto`).

pub mod audit;
pub mod barn;
pub mod contention;
pub mod driver;
pub mod events;
pub mod group;
pub mod head;
pub mod list;
pub mod lookup;
mod maps;
pub mod node;
pub mod objects;
pub mod offsets;
pub mod partial;
pub mod peek;
pub mod percpu;
pub mod portable;
pub mod print;
pub mod rows;
pub mod settle;
pub mod slab;
pub mod slabs;
pub mod symbols;
pub mod text;
pub mod vmemmap;
