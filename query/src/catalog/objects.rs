//! The table of objects.
//!
//! The kernel's program sends slabs with a bit an object, and user space makes rows of objects of them: so conditions on
//! these columns run there. Those on members of objects run in the kernel.

use super::{Column, Owner, Rows, Source, Table, Track};
use crate::value::{Type, Unit};

const TEXT: (Type, u8) = (Type::Text, 64);
const U32: (Type, u8) = (Type::UInt, 32);
const U64: (Type, u8) = (Type::UInt, 64);
const BOOL: (Type, u8) = (Type::Bool, 1);

use Source::Given;
use Unit::{Bytes, Hex, None};

/// Why a kernel may lack owners.
const OWNERS: &str = "it is older than 6.10 or built without CONFIG_MEMCG";

/// Why a kernel may lack sites.
const SITES: &str = "it is older than 6.10 or built without CONFIG_MEM_ALLOC_PROFILING";

/// Why a kernel may lack records of allocations.
const TRACKS: &str = "it is built without CONFIG_SLUB_DEBUG";

/// The columns that differ among the objects of a slab that are in one state.
pub const OF_EACH: [&str; 5] = ["addr", "index", "track_site", "track_pid", "track_age"];

/// Objects.
#[rustfmt::skip]
pub static OBJECTS: Table = Table {
    name: "objects",
    doc: "A row for each object of each slab, used or free; `objects('dentry')` reads one cache, by its name or an alias.",
    rows: Rows::Objects,
    star: &["name", "addr", "slab", "index", "size", "state"],
    identity: &["addr", "cache"],
    columns: &[
        Column::new("name", TEXT, None, Given, "The name of the cache."),
        Column::new("cache", U64, Hex, Given, "The address of the cache."),
        Column::new("addr", U64, Hex, Given, "The address of the object."),
        Column::new("slab", U64, Hex, Given, "The address of its slab: `addr` in `slabs`."),
        Column::new("index", U32, None, Given, "The number of the object in its slab, from 0."),
        Column::new("node", U32, None, Given, "The node whose memory the slab is; NULL where the memory of nodes overlaps."),
        Column::new("size", U32, Bytes, Given, "The distance from this object to the next."),
        Column::new("object_size", U32, Bytes, Given, "The size that users of the cache see."),
        Column::new("state", TEXT, None, Given, "Whether the object is handed out (`used`), free in its slab (`free`), or kept ready: on the freelist of a CPU's slab (`cpu`), in a CPU's sheaf (`sheaf`) or a barn's (`barn`), or freed until an RCU grace period ends (`rcu`)."),
        Column::new("cgroup", TEXT, None, Source::Owner(Owner::Path), "The path of the memory cgroup that the object is charged to; NULL if it is charged to none, or not handed out.").absent(OWNERS),
        Column::new("cgroup_id", U64, None, Source::Owner(Owner::Id), "The number of that cgroup: the inode of its directory.").absent(OWNERS),
        Column::new("site", TEXT, None, Source::Site, "The line of code that allocated the object: the function, the file and the line, and the module; NULL if it is not handed out, or its allocation was not profiled.").absent(SITES),
        Column::new("track_site", TEXT, None, Source::Track(Track::Caller), "The kernel function that allocated the object, the offset in it and its size, and the module, as `slub_debug=U` records it; NULL if it is not handed out, or the cache keeps no records.").absent(TRACKS),
        Column::new("track_pid", U32, None, Source::Track(Track::Pid), "The process that allocated the object, as recorded by `slub_debug=U`.").absent(TRACKS),
        Column::new("track_age", U64, None, Source::Track(Track::Age), "How long ago the object was allocated, in nanoseconds, to within a tick of the kernel's clock, as recorded by `slub_debug=U`.").absent(TRACKS),
        Column::new("complete", BOOL, None, Given, "Whether the slab stayed as it was while it was read, and its freelist and counters agree."),
    ],
};
