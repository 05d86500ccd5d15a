//! The table of slabs.
//!
//! Which list a slab is on, and its state, are numbers to the kernel's program; their names are made of them. There are
//! two ways to slabs: the lists of nodes and CPUs, and the descriptors of all pages. Full slabs are on no list, so the
//! planner takes the lists only where a query asks for no others.

use super::{Column, Rows, SlabFigure, Source, Table, Walk as Walked};
use crate::value::{Type, Unit};

const U8: (Type, u8) = (Type::UInt, 8);
const U16: (Type, u8) = (Type::UInt, 16);
const U32: (Type, u8) = (Type::UInt, 32);
const U64: (Type, u8) = (Type::UInt, 64);
const BOOL: (Type, u8) = (Type::Bool, 1);
const TEXT: (Type, u8) = (Type::Text, 64);

use Source::{Address, Derived, Slab, Text, Walk};
use Unit::{Count, Hex, None};

/// Slabs.
#[rustfmt::skip]
pub static SLABS: Table = Table {
    name: "slabs",
    doc: "A row for each slab: full, partial, empty, or held by a CPU.",
    rows: Rows::Slabs,
    star: &["name", "addr", "state", "node", "cpu", "objects", "active", "free", "frozen"],
    identity: &["addr", "cache"],
    columns: &[
        Column::new("name", TEXT, None, Text("name"), "The name of the cache."),
        Column::new("cache", U64, Hex, Address, "The address of the cache."),
        Column::new("addr", U64, Hex, Slab(SlabFigure::Address), "The address of the slab's `struct slab`."),
        Column::new("list_kind", U8, None, Slab(SlabFigure::List), "The list that the slab is on: 0 node partial list, 1 CPU slab, 2 CPU partial list, 3 none.").hidden(),
        Column::new("place", U32, None, Slab(SlabFigure::Place), "The number of the node or CPU that the list belongs to.").hidden(),
        Column::new("node_number", U32, None, Slab(SlabFigure::Node), "The node whose memory the slab is; 2147483647 where it is not known.").hidden(),
        Column::new("state_kind", U8, None, Slab(SlabFigure::State), "The state of the slab: 0 full, 1 partial, 2 of a CPU, 3 empty, 4 of KFENCE.").hidden(),
        Column::new("state", TEXT, None, Derived("case when state_kind = 0 then 'full' when state_kind = 1 then 'partial' when state_kind = 2 then 'cpu' when state_kind = 3 then 'empty' when state_kind = 4 then 'kfence' end"), "What the slab is: without free objects (`full`), with some on its node's list (`partial`), without objects in use (`empty`), held by a CPU (`cpu`), or a page of KFENCE, which no other figure counts (`kfence`)."),
        Column::new("node", U32, None, Derived("case when node_number < 2147483647 then node_number end"), "The node whose memory the slab is; NULL where the memory of nodes overlaps."),
        Column::new("cpu", U32, None, Derived("case when list_kind in (1, 2) and place < 2147483647 then place end"), "The CPU that holds the slab; NULL for one that none holds."),
        Column::new("list", TEXT, None, Derived("case when list_kind = 0 then 'node' when list_kind = 1 then 'cpu' when list_kind = 2 then 'cpu partial' end"), "Where the slab is: the partial list of a node (`node`), a CPU slab (`cpu`), a CPU partial list (`cpu partial`); NULL for one on no list."),
        Column::new("objects", U16, Count, Slab(SlabFigure::Objects), "The number of objects in the slab, used or free."),
        Column::new("active", U16, Count, Derived("objects - free"), "The objects in use."),
        Column::new("free", U16, Count, Slab(SlabFigure::Free), "The free objects, including those on the CPU's freelist for a CPU slab."),
        Column::new("frozen", BOOL, None, Slab(SlabFigure::Frozen), "Whether the slab is marked as one that a CPU allocates from (frozen)."),
        Column::new("pfn", U64, None, Slab(SlabFigure::Pfn), "The number of the slab's first page."),
        Column::new("phys", U64, Hex, Derived("pfn * page_size()"), "The physical address of the slab."),
        Column::new("page_order", U32, None, Slab(SlabFigure::Order), "The order of the slab: it has two to this many pages."),
        Column::new("pages", U32, Count, Derived("1 << page_order"), "The number of its pages."),
        Column::new("complete", BOOL, None, Walk(Walked::Complete), "Whether the figures of the slab are consistent: they did not change while they were read, nor did its list."),
    ],
};
