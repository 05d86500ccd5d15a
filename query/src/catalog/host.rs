//! The tables whose rows are made in user space: names, flags, the witness, and the catalog itself.

use super::{Column, Made, Needs, Rows, Source, Table};
use crate::value::{Type, Unit};

const TEXT: (Type, u8) = (Type::Text, 64);
const UINT: (Type, u8) = (Type::UInt, 64);
const INT: (Type, u8) = (Type::Int, 64);
const BOOL: (Type, u8) = (Type::Bool, 1);
const FLOAT: (Type, u8) = (Type::Float, 64);

use Source::Given;
use Unit::{Bytes, Count, Hex, None, Stack};

/// A table whose rows user space puts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the tables of the same names say what they are
pub enum HostTable {
    Aliases,
    Flags,
    Slabinfo,
    Columns,
    Cgroups,
    Callsites,
    Diff,
    Allocations,
    Frees,
    Audit,
    Contention,
}

/// All of them, in the order of `.tables`.
pub static TABLES: &[&Table] = &[
    &ALIASES,
    &FLAGS,
    &SLABINFO,
    &COLUMNS,
    &CGROUPS,
    &CALLSITES,
    &DIFF,
    &ALLOCATIONS,
    &FREES,
    &AUDIT,
    &CONTENTION,
];

/// Names of caches.
#[rustfmt::skip]
pub static ALIASES: Table = Table {
    name: "aliases",
    doc: "A row for each name of a cache: its own, and those of caches merged into it.",
    rows: Rows::Host(Made { table: HostTable::Aliases, takes: &[], needs: Needs::Caches }),
    star: &["alias", "name", "addr"],
    identity: &[],
    columns: &[
        Column::new("alias", TEXT, None, Given, "A name that appears under /sys/kernel/slab."),
        Column::new("name", TEXT, None, Given, "The name of the cache behind it."),
        Column::new("addr", UINT, Hex, Given, "The address of that cache."),
        Column::new("sysfs_id", TEXT, None, Given, "The cache's directory under /sys/kernel/slab."),
    ],
};

/// Flags of caches.
#[rustfmt::skip]
pub static FLAGS: Table = Table {
    name: "flags",
    doc: "A row for each SLAB_* flag that the kernel defines.",
    rows: Rows::Host(Made { table: HostTable::Flags, takes: &[], needs: Needs::SlabFlags }),
    star: &["flag", "bit", "caches", "meaning"],
    identity: &[],
    columns: &[
        Column::new("flag", TEXT, None, Given, "The flag's name without SLAB_."),
        Column::new("bit", UINT, None, Given, "The number of its bit in this kernel."),
        Column::new("meaning", TEXT, None, Given, "What the flag means; NULL if this version of slabql does not know it."),
        Column::new("caches", UINT, Count, Given, "The number of caches with this flag."),
    ],
};

/// The independent witness.
#[rustfmt::skip]
pub static SLABINFO: Table = Table {
    name: "slabinfo",
    doc: "A row for each line of /proc/slabinfo, with the file's own column names.",
    rows: Rows::Host(Made { table: HostTable::Slabinfo, takes: &[], needs: Needs::RunningKernel }),
    star: &["name", "active_objs", "num_objs", "objsize", "objperslab", "pagesperslab", "active_slabs", "num_slabs"],
    identity: &["name"],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache."),
        Column::new("active_objs", UINT, Count, Given, "The objects not on a node's partial list: cached objects count as active."),
        Column::new("num_objs", UINT, Count, Given, "The number of objects in all slabs, used or free."),
        Column::new("objsize", UINT, Bytes, Given, "The distance from one object to the next: `size` in `caches`."),
        Column::new("objperslab", UINT, Count, Given, "The number of objects per slab."),
        Column::new("pagesperslab", UINT, Count, Given, "The number of pages per slab."),
        Column::new("limit", UINT, None, Given, "Always 0 since the SLAB allocator was removed."),
        Column::new("batchcount", UINT, None, Given, "Always 0 since the SLAB allocator was removed."),
        Column::new("sharedfactor", UINT, None, Given, "Always 0 since the SLAB allocator was removed."),
        Column::new("active_slabs", UINT, Count, Given, "Always the same as num_slabs."),
        Column::new("num_slabs", UINT, Count, Given, "The number of slabs."),
        Column::new("sharedavail", UINT, None, Given, "Always 0 since the SLAB allocator was removed."),
    ],
};

/// The catalog.
#[rustfmt::skip]
pub static COLUMNS: Table = Table {
    name: "columns",
    doc: "A row for each column of each table, with whether it is available here.",
    rows: Rows::Host(Made { table: HostTable::Columns, takes: &[], needs: Needs::Nothing }),
    star: &["table", "column", "type", "unit", "available", "reason", "meaning"],
    identity: &[],
    columns: &[
        Column::new("table", TEXT, None, Given, "The table."),
        Column::new("column", TEXT, None, Given, "The column."),
        Column::new("type", TEXT, None, Given, "The data type."),
        Column::new("unit", TEXT, None, Given, "The unit of its numbers."),
        Column::new("available", BOOL, None, Given, "Whether the column is available here."),
        Column::new("reason", TEXT, None, Given, "Why it is not available."),
        Column::new("meaning", TEXT, None, Given, "What the column means."),
    ],
};

/// Memory cgroups.
#[rustfmt::skip]
pub static CGROUPS: Table = Table {
    name: "cgroups",
    doc: "A row for each memory cgroup, including those that were removed and are still kept.",
    rows: Rows::Host(Made { table: HostTable::Cgroups, takes: &[], needs: Needs::Objects }),
    star: &["path", "id", "zombie", "objects", "bytes", "charged", "references"],
    identity: &["id"],
    columns: &[
        Column::new("id", UINT, None, Given, "The inode of its directory: `cgroup_id` in `objects`."),
        Column::new("path", TEXT, None, Given, "Its path in its hierarchy; of a removed cgroup, the path that it had."),
        Column::new("addr", UINT, Hex, Given, "The address of its `struct mem_cgroup`; NULL before Linux 6.16, which added a cache of them."),
        Column::new("online", BOOL, None, Given, "Whether it is in use; once removed, it is not. NULL before Linux 6.16."),
        Column::new("zombie", BOOL, None, Given, "Whether it was removed and is kept only because something refers to it. NULL before Linux 6.16."),
        Column::new("objects", UINT, Count, Given, "The used objects that are charged to it, without those of its children; NULL for a zombie, whose objects are charged to its parent."),
        Column::new("bytes", UINT, Bytes, Given, "The size of these objects; NULL for a zombie."),
        Column::new("charged", UINT, Bytes, Given, "The memory of all kinds that its own counter holds, including that of its children."),
        Column::new("references", UINT, Count, Given, "How many references keep it; NULL while it is online, as they are then counted on each CPU."),
        Column::new("kernel_memory", UINT, Bytes, Given, "The kernel's own count of the kernel memory of the cgroup and its children: `kernel` in `memory.stat`, or `memory.kmem.usage_in_bytes` in version 1; NULL where its directory is not visible."),
        Column::new("slab_reclaimable", UINT, Bytes, Given, "The kernel's own count of reclaimable slab memory of the cgroup and its children, from `memory.stat`; NULL in version 1, and where its directory is not visible."),
        Column::new("slab_unreclaimable", UINT, Bytes, Given, "The same for memory that cannot be reclaimed."),
    ],
};

/// Lines of code that allocate.
#[rustfmt::skip]
pub static CALLSITES: Table = Table {
    name: "callsites",
    doc: "A row for each line of code that allocates memory of any kind, with what it holds now, from /proc/allocinfo.",
    rows: Rows::Host(Made { table: HostTable::Callsites, takes: &[], needs: Needs::Profiling }),
    star: &["function", "file", "line", "module", "calls", "bytes"],
    identity: &["file", "line", "function", "module"],
    columns: &[
        Column::new("module", TEXT, None, Given, "The module that the code is in; NULL if it is in the kernel itself."),
        Column::new("function", TEXT, None, Given, "The function that the line is in."),
        Column::new("file", TEXT, None, Given, "The source file."),
        Column::new("line", UINT, None, Given, "The number of the line."),
        Column::new("bytes", INT, Bytes, Given, "The memory that it holds now: slab objects by the size of their cache, and pages."),
        Column::new("calls", UINT, Count, Given, "The allocations of it that are not freed."),
        Column::new("accurate", BOOL, None, Given, "Whether all of its allocations are counted; NULL before version 2.0 of the file, which added it."),
    ],
};

/// Two moments, held against each other.
#[rustfmt::skip]
pub static DIFF: Table = Table {
    name: "diff",
    doc: "A row for each cache, comparing two snapshots, or a snapshot and the running kernel: `from diff('before.slab', 'live')`.",
    rows: Rows::Host(Made { table: HostTable::Diff, takes: &["before.slab", "live"], needs: Needs::Nothing }),
    star: &["name", "state", "delta_memory", "delta_active", "delta_objects", "memory_before", "memory_after",
        "active_before", "active_after", "objects_before", "objects_after"],
    identity: &["addr", "name"],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache."),
        Column::new("addr", UINT, Hex, Given, "The address of the cache; within one boot, address and name identify a row, across boots the name alone."),
        Column::new("state", TEXT, None, Given, "`new`, `gone`, `grown`, `shrunk` or `same`: by memory, then by active, then by objects.").one_of(&["new", "gone", "grown", "shrunk", "same"]),
        Column::new("memory_before", UINT, Bytes, Given, "The memory of all slabs before; NULL for a new cache."),
        Column::new("memory_after", UINT, Bytes, Given, "The memory of all slabs after; NULL for a cache that is gone."),
        Column::new("delta_memory", INT, Bytes, Given, "The growth in memory, taking an absent cache as 0."),
        Column::new("active_before", INT, Count, Given, "The objects in use before; NULL for a new cache."),
        Column::new("active_after", INT, Count, Given, "The objects in use after; NULL for a cache that is gone."),
        Column::new("delta_active", INT, Count, Given, "The growth in objects in use."),
        Column::new("objects_before", INT, Count, Given, "The objects, used or free, before; NULL for a new cache."),
        Column::new("objects_after", INT, Count, Given, "The objects, used or free, after; NULL for a cache that is gone."),
        Column::new("delta_objects", INT, Count, Given, "The growth in objects, used or free."),
        Column::new("complete", BOOL, None, Given, "Whether every walk that active is computed from reached its end; if not, its figures are estimates."),
    ],
};

/// What is allocated during a trace.
#[rustfmt::skip]
pub static ALLOCATIONS: Table = Table {
    name: "allocations",
    doc: "A row for each allocation during a trace: `trace 5s select … from allocations`.",
    rows: Rows::Host(Made { table: HostTable::Allocations, takes: &[], needs: Needs::Tracepoints }),
    star: &["name", "site", "addr", "bytes_alloc", "pid", "comm", "age", "state"],
    identity: &[],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache; NULL for large allocations, which take whole pages, and for a cache that is gone."),
        Column::new("cache", UINT, Hex, Given, "The address of the cache; NULL for large allocations."),
        Column::new("addr", UINT, Hex, Given, "The address of the object."),
        Column::new("bytes_req", UINT, Bytes, Given, "The bytes that were asked for: of a cache of its own, the size of its objects."),
        Column::new("bytes_alloc", UINT, Bytes, Given, "The bytes that were taken: the distance from one object of the cache to the next."),
        Column::new("gfp", (Type::GfpFlags, 32), None, Given, "The flags of the allocation."),
        Column::new("node", (Type::Int, 32), None, Given, "The NUMA node that was asked for; -1 for any."),
        Column::new("cpu", (Type::UInt, 32), None, Given, "The CPU that allocated."),
        Column::new("pid", (Type::UInt, 32), None, Given, "The process that ran; in an interrupt, the one it interrupted."),
        Column::new("comm", TEXT, None, Given, "The name of the thread that ran."),
        Column::new("cgroup", TEXT, None, Given, "The path of the process's cgroup in the hierarchy of version 2; NULL for one that is gone, or not visible here."),
        Column::new("site", TEXT, None, Given, "The kernel function that called the allocator, the offset in it and its size, and the module; NULL if the kernel has no symbol for it."),
        Column::new("stack", TEXT, Stack, Given, "The functions that led to it, the outermost first, with `;` between them; NULL if the stack could not be taken."),
        Column::new("time", UINT, None, Given, "When it was allocated, in nanoseconds since the trace began."),
        Column::new("age", UINT, None, Given, "How long ago that was at the end of the trace, in nanoseconds."),
        Column::new("lifetime", UINT, None, Given, "How long it lived, in nanoseconds; NULL while it lives, or if the kernel did not tell of its free."),
        Column::new("freed", BOOL, None, Given, "Whether it was freed by the end of the trace."),
        Column::new("state", TEXT, None, Given, "`freed`; `held`, if it was looked at at the end and found in use; `unconfirmed`, if that could not be told.").one_of(&["freed", "held", "unconfirmed"]),
        Column::new("elapsed", FLOAT, None, Given, "How long the trace lasted, in seconds, the same in all rows: `count(*) / max(elapsed)` is a rate."),
    ],
};

/// What is freed during a trace.
#[rustfmt::skip]
pub static FREES: Table = Table {
    name: "frees",
    doc: "A row for each free during a trace: `trace 5s select … from frees`.",
    rows: Rows::Host(Made { table: HostTable::Frees, takes: &[], needs: Needs::Tracepoints }),
    star: &["name", "site", "pid", "comm"],
    identity: &[],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache; NULL for large allocations, which take whole pages, and for a cache that is gone."),
        Column::new("cache", UINT, Hex, Given, "The address of the cache; NULL for large allocations."),
        Column::new("cpu", (Type::UInt, 32), None, Given, "The CPU that freed."),
        Column::new("pid", (Type::UInt, 32), None, Given, "The process that ran; in an interrupt, the one it interrupted."),
        Column::new("comm", TEXT, None, Given, "The name of the thread that ran."),
        Column::new("cgroup", TEXT, None, Given, "The path of the process's cgroup in the hierarchy of version 2; NULL for one that is gone, or not visible here."),
        Column::new("site", TEXT, None, Given, "The kernel function that called the allocator, the offset in it and its size, and the module; NULL if the kernel has no symbol for it."),
        Column::new("stack", TEXT, Stack, Given, "The functions that led to it, the outermost first, with `;` between them; NULL if the stack could not be taken."),
        Column::new("elapsed", FLOAT, None, Given, "How long the trace lasted, in seconds, the same in all rows: `count(*) / max(elapsed)` is a rate."),
    ],
};

/// What becomes of caches during a trace.
#[rustfmt::skip]
pub static AUDIT: Table = Table {
    name: "audit",
    doc: "A row for each cache that is created or destroyed during a trace: `trace 5s select … from audit`.",
    rows: Rows::Host(Made { table: HostTable::Audit, takes: &[], needs: Needs::Looks }),
    star: &["what", "name", "size", "pid", "comm", "time"],
    identity: &[],
    columns: &[
        Column::new("what", TEXT, None, Given, "`create`; `merge`, if another cache serves instead of a new one; `unmerge`, if such a user gives it up; `destroy`; `release`, when its memory is freed.").one_of(&["create", "merge", "unmerge", "destroy", "release"]),
        Column::new("name", TEXT, None, Given, "The name of the cache, or the one that is merged into it; NULL if it was gone before it could be read."),
        Column::new("size", UINT, Bytes, Given, "The distance between two objects of the cache."),
        Column::new("flags", (Type::SlabFlags, 32), None, Given, "The flags of the cache."),
        Column::new("cache", UINT, Hex, Given, "The address of the cache; what is destroyed may leave it to the next one."),
        Column::new("pid", (Type::UInt, 32), None, Given, "The process that ran; NULL if nothing but a look at the caches told of it."),
        Column::new("comm", TEXT, None, Given, "The name of the thread that ran."),
        Column::new("cgroup", TEXT, None, Given, "The path of the process's cgroup in the hierarchy of version 2; NULL for one that is gone, or not visible here."),
        Column::new("stack", TEXT, Stack, Given, "The functions that led to it, the outermost first, with `;` between them; NULL if the stack could not be taken."),
        Column::new("time", UINT, None, Given, "When it happened, in nanoseconds since the trace began."),
    ],
};

/// Waits for the allocator's own locks during a trace.
#[rustfmt::skip]
pub static CONTENTION: Table = Table {
    name: "contention",
    doc: "A row for each lock of the allocator that was waited for during a trace, and each function that wanted it: `trace 5s select … from contention`.",
    rows: Rows::Host(Made { table: HostTable::Contention, takes: &[], needs: Needs::Tracepoints }),
    star: &["name", "lock", "site", "waits", "total", "longest"],
    identity: &[],
    columns: &[
        Column::new("lock", TEXT, None, Given, "`list`, which guards the partial slabs of a node; `barn`, which guards its full and empty sheaves.").one_of(&["list", "barn"]),
        Column::new("name", TEXT, None, Given, "The name of the cache whose lock it is."),
        Column::new("cache", UINT, Hex, Given, "The address of that cache."),
        Column::new("node", (Type::UInt, 32), None, Given, "The NUMA node whose lock it is."),
        Column::new("site", TEXT, None, Given, "The kernel function that wanted the lock, the offset in it and its size; NULL if the kernel has no symbol for it."),
        Column::new("waits", UINT, Count, Given, "How often it waited."),
        Column::new("total", UINT, None, Given, "How long it waited in all, in nanoseconds."),
        Column::new("longest", UINT, None, Given, "The longest wait, in nanoseconds."),
    ],
};

/// What each flag means; of `include/linux/slab.h` and `mm/slab.h`, Linux 6.13 to 7.3.
#[rustfmt::skip]
pub static FLAG_MEANINGS: &[(&str, &str)] = &[
    ("CONSISTENCY_CHECKS", "Objects are checked when they are allocated and freed."),
    ("RED_ZONE", "Guard bytes around objects detect writes out of bounds."),
    ("POISON", "Free objects are filled with a pattern to detect use after free."),
    ("KMALLOC", "The cache serves kmalloc()."),
    ("HWCACHE_ALIGN", "Objects are aligned to cache lines."),
    ("CACHE_DMA", "Slabs lie in the DMA zone."),
    ("CACHE_DMA32", "Slabs lie in the DMA32 zone."),
    ("STORE_USER", "The last allocation and free of each object are recorded."),
    ("PANIC", "The kernel panics if the cache cannot be created."),
    ("TYPESAFE_BY_RCU", "Slabs are freed only after an RCU grace period."),
    ("TRACE", "Allocations and frees are traced."),
    ("DEBUG_OBJECTS", "Objects are tracked by debugobjects."),
    ("NOLEAKTRACE", "kmemleak ignores the cache."),
    ("NO_MERGE", "The cache is not merged with others."),
    ("FAILSLAB", "Fault injection (failslab) applies to the cache."),
    ("ACCOUNT", "Objects are charged to memory cgroups."),
    ("MAY_ACCOUNT", "Objects may be charged to memory cgroups, if the allocation requests it."),
    ("KASAN", "KASAN tracks the objects."),
    ("NO_USER_FLAGS", "The cache ignores debugging options on the kernel command line."),
    ("SKIP_KFENCE", "KFENCE ignores the cache."),
    ("RECLAIM_ACCOUNT", "The memory counts as SReclaimable: objects are freed under memory pressure."),
    ("OBJECT_POISON", "Objects are filled with the POISON pattern."),
    ("CMPXCHG_DOUBLE", "Slabs are updated by a double-word compare-and-exchange."),
    ("NO_OBJ_EXT", "Slabs have no extension array for accounting and profiling."),
    ("OBJ_EXT_IN_OBJ", "Extensions for accounting and profiling are stored in the objects."),
    ("NO_SHEAVES", "The cache has no sheaves."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_flag_has_a_meaning() {
        for flag in crate::bind::KNOWN_FLAGS {
            assert!(FLAG_MEANINGS.iter().any(|(name, _)| name == flag), "{flag}");
        }
        for (_, meaning) in FLAG_MEANINGS {
            assert!(meaning.ends_with('.'));
        }
    }
}
