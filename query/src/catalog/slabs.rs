//! The table of slabs.
//!
//! Which list a slab is on is a number to the kernel's program; node, CPU and the list's name are made of it. The node
//! of a slab that a CPU holds stands in its page's flags, whose layout BTF does not tell.

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
    doc: "A row for each reachable slab: those on partial lists and those held by CPUs, but no full slabs.",
    rows: Rows::Slabs,
    star: &["name", "addr", "list", "node", "cpu", "objects", "active", "free", "frozen"],
    identity: &["addr", "cache"],
    columns: &[
        Column::new("name", TEXT, None, Text("name"), "The name of the cache."),
        Column::new("cache", U64, Hex, Address, "The address of the cache."),
        Column::new("addr", U64, Hex, Slab(SlabFigure::Address), "The address of the slab's `struct slab`."),
        Column::new("list_kind", U8, None, Slab(SlabFigure::List), "The list that the slab is on: 0 node partial list, 1 CPU slab, 2 CPU partial list.").hidden(),
        Column::new("place", U32, None, Slab(SlabFigure::Place), "The number of the node or CPU that the list belongs to.").hidden(),
        Column::new("node", U32, None, Derived("case when list_kind = 0 then place end"), "The node whose partial list the slab is on; NULL for a slab held by a CPU, whose node BTF does not give."),
        Column::new("cpu", U32, None, Derived("case when list_kind > 0 then place end"), "The CPU that holds the slab; NULL for a slab on a node's list."),
        Column::new("list", TEXT, None, Derived("case when list_kind = 0 then 'node' when list_kind = 1 then 'cpu' when list_kind = 2 then 'cpu partial' end"), "Where the slab is: the partial list of a node (`node`), a CPU slab (`cpu`), a CPU partial list (`cpu partial`)."),
        Column::new("objects", U16, Count, Slab(SlabFigure::Objects), "The number of objects in the slab, used or free."),
        Column::new("active", U16, Count, Derived("objects - free"), "The objects in use."),
        Column::new("free", U16, Count, Slab(SlabFigure::Free), "The free objects, including those on the CPU's freelist for a CPU slab."),
        Column::new("frozen", BOOL, None, Slab(SlabFigure::Frozen), "Whether the slab is marked as one that a CPU allocates from (frozen)."),
        Column::new("complete", BOOL, None, Walk(Walked::Complete), "Whether the walk found the slab without restarting its list, and its figures are consistent."),
    ],
};
