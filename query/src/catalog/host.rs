//! The tables whose rows are made in user space: names, flags, the witness, and the catalog itself.

use super::{Column, Made, Needs, Rows, Source, Table};
use crate::value::{Type, Unit};

const TEXT: (Type, u8) = (Type::Text, 64);
const UINT: (Type, u8) = (Type::UInt, 64);
const INT: (Type, u8) = (Type::Int, 64);
const BOOL: (Type, u8) = (Type::Bool, 1);

use Source::Given;
use Unit::{Bytes, Count, Hex, None};

/// A table whose rows user space puts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the tables of the same names say what they are
pub enum HostTable {
    Aliases,
    Flags,
    Slabinfo,
    Columns,
    Diff,
}

/// All of them, in the order of `.tables`.
pub static TABLES: &[&Table] = &[&ALIASES, &FLAGS, &SLABINFO, &COLUMNS, &DIFF];

/// Names of caches.
#[rustfmt::skip]
pub static ALIASES: Table = Table {
    name: "aliases",
    doc: "A row for each name that a cache goes by: its own, and those of caches merged into it.",
    rows: Rows::Host(Made { table: HostTable::Aliases, takes: &[], needs: Needs::Caches }),
    star: &["alias", "name", "addr"],
    identity: &[],
    columns: &[
        Column::new("alias", TEXT, None, Given, "A name under /sys/kernel/slab."),
        Column::new("name", TEXT, None, Given, "The name of the cache that serves it."),
        Column::new("addr", UINT, Hex, Given, "The address of that cache."),
        Column::new("sysfs_id", TEXT, None, Given, "The cache's folder under /sys/kernel/slab."),
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
        Column::new("meaning", TEXT, None, Given, "What the flag means; NULL if this slabql does not know it."),
        Column::new("caches", UINT, Count, Given, "How many caches have it."),
    ],
};

/// The independent witness.
#[rustfmt::skip]
pub static SLABINFO: Table = Table {
    name: "slabinfo",
    doc: "A row for each line of /proc/slabinfo, its columns by their own names.",
    rows: Rows::Host(Made { table: HostTable::Slabinfo, takes: &[], needs: Needs::RunningKernel }),
    star: &["name", "active_objs", "num_objs", "objsize", "objperslab", "pagesperslab", "active_slabs", "num_slabs"],
    identity: &["name"],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache."),
        Column::new("active_objs", UINT, Count, Given, "Objects not on a node's partial list: cached ones are counted as active."),
        Column::new("num_objs", UINT, Count, Given, "Room for objects in all slabs."),
        Column::new("objsize", UINT, Bytes, Given, "The distance between two objects: `size` of `caches`."),
        Column::new("objperslab", UINT, Count, Given, "Objects of a slab."),
        Column::new("pagesperslab", UINT, Count, Given, "Pages of a slab."),
        Column::new("limit", UINT, None, Given, "Always 0 since the allocator SLAB is gone."),
        Column::new("batchcount", UINT, None, Given, "Always 0 since the allocator SLAB is gone."),
        Column::new("sharedfactor", UINT, None, Given, "Always 0 since the allocator SLAB is gone."),
        Column::new("active_slabs", UINT, Count, Given, "The same as num_slabs."),
        Column::new("num_slabs", UINT, Count, Given, "Slabs."),
        Column::new("sharedavail", UINT, None, Given, "Always 0 since the allocator SLAB is gone."),
    ],
};

/// The catalog.
#[rustfmt::skip]
pub static COLUMNS: Table = Table {
    name: "columns",
    doc: "A row for each column of each table, and whether it can be given here.",
    rows: Rows::Host(Made { table: HostTable::Columns, takes: &[], needs: Needs::Caches }),
    star: &["table", "column", "type", "unit", "available", "reason", "meaning"],
    identity: &[],
    columns: &[
        Column::new("table", TEXT, None, Given, "The table."),
        Column::new("column", TEXT, None, Given, "The column."),
        Column::new("type", TEXT, None, Given, "The type of its values."),
        Column::new("unit", TEXT, None, Given, "What its numbers count."),
        Column::new("available", BOOL, None, Given, "Whether it can be given here."),
        Column::new("reason", TEXT, None, Given, "Why not, if it cannot."),
        Column::new("meaning", TEXT, None, Given, "What it is."),
    ],
};

/// Two moments, held against each other.
#[rustfmt::skip]
pub static DIFF: Table = Table {
    name: "diff",
    doc: "A row for each cache of two moments: `from diff('before.slab', 'live')`; snapshots, or the running kernel.",
    rows: Rows::Host(Made { table: HostTable::Diff, takes: &["before.slab", "live"], needs: Needs::Caches }),
    star: &["name", "state", "delta_memory", "delta_active", "delta_objects", "memory_before", "memory_after",
        "active_before", "active_after", "objects_before", "objects_after"],
    identity: &["addr", "name"],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache."),
        Column::new("addr", UINT, Hex, Given, "The address of the cache; within one boot rows are told apart by it and the name, else by the name alone."),
        Column::new("state", TEXT, None, Given, "`new`, `gone`, `grown`, `shrunk` or `same`: by memory; where that is the same by active, then by objects."),
        Column::new("memory_before", UINT, Bytes, Given, "The memory of all slabs at the first moment; NULL of a new cache."),
        Column::new("memory_after", UINT, Bytes, Given, "The memory of all slabs at the second moment; NULL of a cache that is gone."),
        Column::new("delta_memory", INT, Bytes, Given, "What the memory grew by; a cache that is not there has none."),
        Column::new("active_before", INT, Count, Given, "The objects handed out at the first moment; NULL of a new cache."),
        Column::new("active_after", INT, Count, Given, "The objects handed out at the second moment; NULL of a cache that is gone."),
        Column::new("delta_active", INT, Count, Given, "What the objects handed out grew by."),
        Column::new("objects_before", INT, Count, Given, "The room for objects at the first moment; NULL of a new cache."),
        Column::new("objects_after", INT, Count, Given, "The room for objects at the second moment; NULL of a cache that is gone."),
        Column::new("delta_objects", INT, Count, Given, "What the room for objects grew by."),
        Column::new("complete", BOOL, None, Given, "Whether every walk behind active reached its end; if not, its figures are estimates."),
    ],
};

/// What each flag means; of `include/linux/slab.h` and `mm/slab.h`, Linux 6.13 to 7.3.
#[rustfmt::skip]
pub static FLAG_MEANINGS: &[(&str, &str)] = &[
    ("CONSISTENCY_CHECKS", "Objects are checked when they are allocated and freed."),
    ("RED_ZONE", "Bytes around an object tell whether somebody wrote there."),
    ("POISON", "Free objects are filled with a pattern that use after free would change."),
    ("KMALLOC", "The cache serves kmalloc()."),
    ("HWCACHE_ALIGN", "Objects begin on cache lines."),
    ("CACHE_DMA", "Slabs lie in the DMA zone."),
    ("CACHE_DMA32", "Slabs lie in the DMA32 zone."),
    ("STORE_USER", "The last allocation and free of each object is recorded."),
    ("PANIC", "The kernel panicked if the cache could not be created."),
    ("TYPESAFE_BY_RCU", "Slabs are freed only after an RCU grace period."),
    ("TRACE", "Allocations and frees are traced."),
    ("DEBUG_OBJECTS", "Objects are tracked by debugobjects."),
    ("NOLEAKTRACE", "kmemleak passes the cache over."),
    ("NO_MERGE", "No other cache is merged with it."),
    ("FAILSLAB", "Allocations fail on purpose, for tests."),
    ("ACCOUNT", "Objects are charged to memory cgroups."),
    ("MAY_ACCOUNT", "Objects may be charged to memory cgroups, as each allocation asks."),
    ("KASAN", "KASAN watches the objects."),
    ("NO_USER_FLAGS", "Debugging options of the command line pass the cache over."),
    ("SKIP_KFENCE", "KFENCE passes the cache over."),
    ("RECLAIM_ACCOUNT", "The memory is counted as SReclaimable: objects go when memory is short."),
    ("OBJECT_POISON", "Objects are filled with the pattern of POISON."),
    ("CMPXCHG_DOUBLE", "Slabs are changed by a compare-and-exchange of two words."),
    ("NO_OBJ_EXT", "Slabs have no array of extensions for accounting and profiling."),
    ("OBJ_EXT_IN_OBJ", "Extensions for accounting and profiling lie in the objects."),
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
