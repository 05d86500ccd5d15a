//! The tables of a cache's parts: `nodes` and `cpus`.

use super::{Column, CpuFigure, Lookup, Rows, Source, Table, Walk as Walked};
use crate::value::{Type, Unit};

const U32: (Type, u8) = (Type::UInt, 32);
const U64: (Type, u8) = (Type::UInt, 64);
const I64: (Type, u8) = (Type::Int, 64);
const WALKED: (Type, u8) = (Type::UInt, 48);
const BOOL: (Type, u8) = (Type::Bool, 1);
const TEXT: (Type, u8) = (Type::Text, 64);

use Source::{Address, Barn, Cpu, Derived, Host, Index, Member, Node, Text, Walk};
use Unit::{Count, Hex, None};

const SLUB_DEBUG: &str = "the kernel is built without CONFIG_SLUB_DEBUG";
const CPU_SLABS: &str = "CPU slabs (kmem_cache_cpu) were removed in 7.0";
const CPU_PARTIAL: &str =
    "CPU partial lists were removed in 7.0, or the kernel is built without CONFIG_SLUB_CPU_PARTIAL";
const SHEAVES: &str = "sheaves were added in 6.18";

/// The NUMA nodes of caches.
#[rustfmt::skip]
pub static NODES: Table = Table {
    name: "nodes",
    doc: "A row for each slab cache and NUMA node with memory.",
    rows: Rows::Nodes,
    star: &["name", "node", "slabs", "objects", "partial", "free_partial", "barn_full", "barn_empty", "cached_barns", "complete"],
    identity: &["addr", "name", "node"],
    columns: &[
        Column::new("name", TEXT, None, Text("name"), "The name of the cache."),
        Column::new("addr", U64, Hex, Address, "The address of the cache."),
        Column::new("node", U32, None, Index, "The node number."),
        Column::new("slabs", I64, Count, Node("nr_slabs.counter"), "The number of slabs on the node.").absent(SLUB_DEBUG),
        Column::new("objects", I64, Count, Node("total_objects.counter"), "The number of objects in these slabs, used or free.").absent(SLUB_DEBUG),
        Column::new("partial", U64, Count, Node("nr_partial"), "The number of slabs on the node's partial list."),
        Column::new("free_partial", WALKED, Count, Walk(Walked::FreePartial), "The free objects on that list, found by walking it."),
        Column::new("barn_full", U32, Count, Barn("nr_full"), "The number of full sheaves in the node's barn.").absent(SHEAVES),
        Column::new("barn_empty", U32, Count, Barn("nr_empty"), "The number of empty sheaves in the node's barn.").absent(SHEAVES),
        Column::new("cached_barns", WALKED, Count, Walk(Walked::CachedBarns), "The free objects in the full sheaves.").absent(SHEAVES),
        Column::new("complete", BOOL, None, Walk(Walked::Complete), "Whether every walk that the query needed reached its end."),
    ],
};

/// The CPUs of caches.
#[rustfmt::skip]
pub static CPUS: Table = Table {
    name: "cpus",
    doc: "A row for each slab cache and possible CPU: the free objects that the CPU holds ready.",
    rows: Rows::Cpus,
    star: &["name", "cpu", "online", "cpu_free", "partial_slabs", "partial_free", "main", "spare", "rcu_free", "capacity"],
    identity: &["addr", "name", "cpu"],
    columns: &[
        Column::new("name", TEXT, None, Text("name"), "The name of the cache."),
        Column::new("addr", U64, Hex, Address, "The address of the cache."),
        Column::new("cpu", U32, None, Index, "The CPU number."),
        Column::new("online", BOOL, None, Host(Lookup::Online, &["cpu"]), "Whether the CPU is online."),
        Column::new("slab_addr", U64, Hex, Cpu(CpuFigure::Slab), "The address of the CPU slab's `struct slab`, 0 if none.").absent(CPU_SLABS).hidden(),
        Column::new("slab", U64, Hex, Derived("nullif(slab_addr, 0)"), "The address of the CPU slab's `struct slab`; NULL if none."),
        Column::new("cpu_free", WALKED, Count, Cpu(CpuFigure::Free), "The free objects in the CPU slab.").absent(CPU_SLABS),
        Column::new("partial_slabs", WALKED, Count, Cpu(CpuFigure::PartialSlabs), "The number of slabs on the CPU partial list.").absent(CPU_PARTIAL),
        Column::new("partial_free", WALKED, Count, Cpu(CpuFigure::PartialFree), "The free objects on the CPU partial list.").absent(CPU_PARTIAL),
        Column::new("main", WALKED, Count, Cpu(CpuFigure::Main), "The free objects in the main sheaf.").absent(SHEAVES),
        Column::new("spare", WALKED, Count, Cpu(CpuFigure::Spare), "The free objects in the spare sheaf.").absent(SHEAVES),
        Column::new("rcu_free", WALKED, Count, Cpu(CpuFigure::RcuFree), "The freed objects in the sheaf that waits for an RCU grace period.").absent(SHEAVES),
        Column::new("capacity", U32, Count, Member("sheaf_capacity"), "The number of objects that fit in a sheaf; 0 for a cache without sheaves.").absent(SHEAVES),
        Column::new("complete", BOOL, None, Walk(Walked::Complete), "Whether every walk that the query needed reached its end."),
    ],
};
