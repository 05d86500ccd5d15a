//! `caches`: a row a `struct kmem_cache`, which `s` is.

use super::{Column, Lookup, Rows, Source, Table, Walk as Walked};
use crate::value::{Type, Unit};

const U32: (Type, u8) = (Type::UInt, 32);
const U64: (Type, u8) = (Type::UInt, 64);
const I32: (Type, u8) = (Type::Int, 32);
const I64: (Type, u8) = (Type::Int, 64);
/// A walk visits at most eight million places of at most 32,767 objects each.
const WALKED: (Type, u8) = (Type::UInt, 48);
const BOOL: (Type, u8) = (Type::Bool, 1);
const FLOAT: (Type, u8) = (Type::Float, 64);
const TEXT: (Type, u8) = (Type::Text, 64);
const LIST: (Type, u8) = (Type::List, 64);
const SLAB_FLAGS: (Type, u8) = (Type::SlabFlags, 32);
const GFP_FLAGS: (Type, u8) = (Type::GfpFlags, 32);

use Source::{Address, Derived, Host, Member, NodeSum, Refcount, Text, Walk};
use Unit::{Bytes, Count, Hex, None, Percent};
use Walked::{
    CachedBarns, CachedCpu, CachedSheaves, Complete, FreePartial, FreeSlabinfo, RcuPending,
};

const SLUB_DEBUG: &str = "the kernel is built without CONFIG_SLUB_DEBUG";
const CPU_PARTIAL: &str =
    "CPU partial lists were removed in 7.0, or the kernel is built without CONFIG_SLUB_CPU_PARTIAL";
const CPU_SLABS: &str = "CPU slabs (kmem_cache_cpu) were removed in 7.0";
const SHEAVES: &str = "sheaves were added in 6.18";
const NUMA: &str = "the kernel is built without CONFIG_NUMA";
const USERCOPY: &str = "the kernel is built without CONFIG_HARDENED_USERCOPY";
const SYSFS: &str = "the kernel is built without CONFIG_SYSFS";

/// Slab caches.
#[rustfmt::skip]
pub static CACHES: Table = Table {
    name: "caches",
    doc: "A row for each slab cache of the kernel.",
    rows: Rows::Caches,
    star: &["name", "size", "objects", "active", "cached", "slabs", "memory", "utilization"],
    identity: &["addr", "name"],
    columns: &[
        // Identity
        Column::new("name", TEXT, None, Text("name"),
            "The name that the cache was created with, for merged caches the first creator's; not unique."),
        Column::new("addr", U64, Hex, Address,
            "The address of the cache, which identifies the row."),
        Column::new("aliases", LIST, None, Host(Lookup::Aliases, &["sysfs_id", "name"]),
            "The names of the caches merged into this one, without its own."),
        Column::new("alias_count", U32, Count, Derived("greatest(refcount - 1, 0)"),
            "The number of caches merged into this one."),
        Column::new("refcount", I32, Count, Refcount,
            "The number of creators sharing the cache, not counting the iterator's own reference; negative for the two boot caches."),
        Column::new("sysfs_id", TEXT, None, Text("kobj.name"),
            "The name of the cache's directory under /sys/kernel/slab.").absent(SYSFS).hidden(),

        // Geometry
        Column::new("object_size", U32, Bytes, Member("object_size"),
            "The object size that callers asked for."),
        Column::new("size", U32, Bytes, Member("size"),
            "The distance from one object to the next, including metadata and padding; slabinfo's objsize."),
        Column::new("align", U32, Bytes, Member("align"),
            "The alignment of objects."),
        Column::new("free_offset", U32, Bytes, Member("offset"),
            "The offset of the pointer to the next free object, within a free object."),
        Column::new("metadata_offset", U32, Bytes, Member("inuse"),
            "The offset of an object's metadata."),
        Column::new("red_left_pad", U32, Bytes, Member("red_left_pad"),
            "The size of the red zone before an object.").absent(SLUB_DEBUG),
        Column::new("oo", U32, Hex, Member("oo.x"),
            "The order of a slab in the upper 16 bits, the number of objects in it in the lower 16.").hidden(),
        // No order is above 31: said here, it keeps `memory` within what the kernel can compute.
        Column::new("page_order", U32, None, Derived("oo >> 16 & 31"),
            "The order of a slab: it has 2^order pages."),
        Column::new("pages_per_slab", U32, Count, Derived("1 << page_order"),
            "The number of pages per slab."),
        Column::new("objects_per_slab", U32, Count, Derived("oo & 0xffff"),
            "The number of objects that fit in a slab."),
        Column::new("slab_size", U64, Bytes, Derived("page_size() << page_order"),
            "The size of a slab; under memory pressure the kernel may have allocated smaller ones."),
        Column::new("padding", U32, Bytes, Derived("size - object_size"),
            "The bytes that an object takes beyond the requested size."),
        Column::new("tail", U64, Bytes, Derived("slab_size - objects_per_slab * size"),
            "The unused bytes after the last object of a slab."),

        // Contents
        Column::new("slabs", I64, Count, NodeSum("nr_slabs.counter"),
            "The number of slabs, summed over all NUMA nodes.").absent(SLUB_DEBUG),
        Column::new("objects", I64, Count, NodeSum("total_objects.counter"),
            "The number of objects in all slabs, used or free; slabtop's OBJS.").absent(SLUB_DEBUG),
        Column::new("partial", U64, Count, NodeSum("nr_partial"),
            "The number of slabs on the nodes' partial lists."),
        Column::new("free_partial", WALKED, Count, Walk(FreePartial),
            "The free objects on the nodes' partial lists, found by walking them."),
        Column::new("free_slabinfo", WALKED, Count, Walk(FreeSlabinfo),
            "The free objects on the nodes' partial lists as /proc/slabinfo counts them.").absent(SLUB_DEBUG).hidden(),
        Column::new("cached_cpu", WALKED, Count, Walk(CachedCpu),
            "The free objects in CPU slabs and on CPU partial lists.").absent(CPU_SLABS),
        Column::new("cached_sheaves", WALKED, Count, Walk(CachedSheaves),
            "The free objects in the CPUs' main and spare sheaves.").absent(SHEAVES),
        Column::new("cached_barns", WALKED, Count, Walk(CachedBarns),
            "The free objects in the full sheaves of the nodes' barns.").absent(SHEAVES),
        Column::new("rcu_pending", WALKED, Count, Walk(RcuPending),
            "The freed objects in sheaves that wait for an RCU grace period.").absent(SHEAVES),
        Column::new("cached", WALKED, Count, Derived(
            "coalesce(cached_cpu, 0) + coalesce(cached_sheaves, 0) + coalesce(cached_barns, 0) + coalesce(rcu_pending, 0)"),
            "The free objects that CPUs and barns hold ready for allocation."),
        Column::new("active", I64, Count, Derived("objects - free_partial - cached"),
            "The objects actually in use."),
        Column::new("active_slabinfo", I64, Count, Derived("objects - free_slabinfo"),
            "The active objects as /proc/slabinfo counts them: including cached objects, and with only a part of the partial slabs counted on a node with more than 10000 of them."),
        Column::new("complete", BOOL, None, Walk(Complete),
            "Whether every walk that the query needed reached its end and found no more free objects than exist; if not, its figures are estimates."),
        Column::new("memory", U64, Bytes, Derived("slabs * slab_size"),
            "The memory of all slabs."),
        Column::new("used", I64, Bytes, Derived("active * object_size"),
            "The memory that callers asked for, counting objects in use only."),
        Column::new("waste", I64, Bytes, Derived("memory - used"),
            "The memory not used by callers: free objects, padding and metadata."),
        Column::new("idle", U64, Bytes, Derived("cached * size"),
            "The memory of cached objects: free, but held ready for allocation."),
        Column::new("utilization", FLOAT, Percent, Derived("100.0 * active / objects"),
            "The share of objects that are in use; NULL for a cache without slabs."),
        Column::new("efficiency", FLOAT, Percent, Derived("100.0 * used / memory"),
            "The share of memory that callers asked for and use; NULL for a cache without slabs."),
        Column::new("fragmentation", FLOAT, Percent, Derived("100.0 * partial / slabs"),
            "The share of slabs that are on a node's partial list."),

        // Policy
        Column::new("min_partial", U64, Count, Member("min_partial"),
            "The number of partial slabs that a node keeps even if they are empty."),
        Column::new("cpu_partial", U32, Count, Member("cpu_partial"),
            "The maximum number of free objects that a CPU may hold in partial slabs.").absent(CPU_PARTIAL),
        Column::new("cpu_partial_slabs", U32, Count, Member("cpu_partial_slabs"),
            "The maximum number of partial slabs that a CPU may hold.").absent(CPU_PARTIAL),
        Column::new("sheaf_capacity", U32, Count, Member("sheaf_capacity"),
            "The number of objects that fit in a sheaf; 0 for a cache without sheaves.").absent(SHEAVES),
        Column::new("remote_ratio", U32, None, Member("remote_node_defrag_ratio"),
            "How readily allocations take objects from other nodes, in tenths of a percent.").absent(NUMA).hidden(),
        Column::new("remote_defrag", U32, Percent, Derived("remote_ratio / 10"),
            "How readily allocations take objects from other nodes."),
        Column::new("usersize", U32, Bytes, Member("usersize"),
            "The size of the region that may be copied to and from user space.").absent(USERCOPY),
        Column::new("useroffset", U32, Bytes, Member("useroffset"),
            "The offset of the region that may be copied to and from user space.").absent(USERCOPY),
        Column::new("flags", SLAB_FLAGS, Hex, Member("flags"),
            "The SLAB_* flags of the cache."),
        Column::new("allocflags", GFP_FLAGS, Hex, Member("allocflags"),
            "The GFP flags that slabs are allocated with."),
        Column::new("kmalloc_type", TEXT, None, Derived(
            "case when flags has KMALLOC then case \
                  when flags has CACHE_DMA then 'dma' \
                  when flags has RECLAIM_ACCOUNT then 'reclaim' \
                  when flags has ACCOUNT then 'cgroup' \
                  when name like 'kmalloc-rnd-%' then 'random' \
                  when name like 'kmalloc-part-%' then 'partition' \
                  when flags has NO_OBJ_EXT then 'no_objext' \
                  else 'normal' end \
              when not flags has KMALLOC then case \
                  when name like 'msg\\_msg-%' or name like 'memdup\\_user-%' then 'bucket' end end"),
            "The kind of kmalloc() that the cache serves, or `bucket` for a separate cache for user-controlled data; NULL if none."),
        Column::new("size_class", U32, Bytes, Derived("case when flags has KMALLOC then object_size end"),
            "The largest kmalloc() that the cache serves; NULL if none."),
        // Until 6.19, when there are CPU partial lists, sheaves prevent merging; from 7.0 on NO_MERGE alone tells.
        Column::new("mergeable", BOOL, None, Derived(
            "not flags has any (RED_ZONE, POISON, STORE_USER, TRACE, TYPESAFE_BY_RCU, NOLEAKTRACE, FAILSLAB, NO_MERGE) \
             and ctor_addr = 0 and coalesce(usersize, 0) = 0 and refcount >= 0 \
             and (coalesce(sheaf_capacity, 0) = 0 or cpu_partial is null)"),
            "Whether a later cache may be merged into this one, not considering boot parameters."),
        Column::new("unreclaimable", BOOL, None, Derived("not flags has RECLAIM_ACCOUNT"),
            "Whether the memory is counted as SUnreclaim."),
        Column::new("rcu", BOOL, None, Derived("flags has TYPESAFE_BY_RCU"),
            "Whether slabs are freed only after an RCU grace period."),
        Column::new("accounted", BOOL, None, Derived("flags has ACCOUNT"),
            "Whether objects are charged to memory cgroups."),
        Column::new("debugged", BOOL, None, Derived(
            "flags has any (RED_ZONE, POISON, STORE_USER, TRACE, CONSISTENCY_CHECKS)"),
            "Whether a debugging option of the allocator is on."),
        Column::new("ctor_addr", U64, Hex, Member("ctor"),
            "The address of the constructor, 0 if none.").hidden(),
        Column::new("ctor", TEXT, None, Host(Lookup::Symbol, &["ctor_addr"]),
            "The symbol name of the constructor; NULL if none."),
        Column::new("type", TEXT, None, Host(Lookup::Type, &["sysfs_id", "name", "object_size"]),
            "The struct that its objects are, told by the cache's name and checked against their size; NULL if unknown, or if caches of different types were merged."),
    ],
};
