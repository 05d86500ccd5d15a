//! What an event is: the tracepoint that it comes from, and what it is about.

/// A tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `kmem_cache_alloc(call_site, ptr, s, gfp, node)`
    CacheAlloc,
    /// `kmalloc(call_site, ptr, bytes_req, bytes_alloc, gfp, node)`
    Kmalloc,
    /// `kmem_cache_free(call_site, ptr, s)`
    CacheFree,
    /// `kfree(call_site, ptr)`
    Kfree,
}

impl Point {
    /// Those of allocations.
    pub const ALLOCATIONS: [Self; 2] = [Self::CacheAlloc, Self::Kmalloc];
    /// Those of frees.
    pub const FREES: [Self; 2] = [Self::CacheFree, Self::Kfree];

    /// The tracepoint's name.
    #[must_use]
    pub fn tracepoint(self) -> &'static str {
        match self {
            Self::CacheAlloc => "kmem_cache_alloc",
            Self::Kmalloc => "kmalloc",
            Self::CacheFree => "kmem_cache_free",
            Self::Kfree => "kfree",
        }
    }

    /// The name of its program in the kernel.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::CacheAlloc => "slabql_alloc",
            Self::Kmalloc => "slabql_kmalloc",
            Self::CacheFree => "slabql_free",
            Self::Kfree => "slabql_kfree",
        }
    }

    /// The section of its program in an object.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::CacheAlloc => "raw_tp/kmem_cache_alloc",
            Self::Kmalloc => "raw_tp/kmalloc",
            Self::CacheFree => "raw_tp/kmem_cache_free",
            Self::Kfree => "raw_tp/kfree",
        }
    }

    /// Its number among all of them.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::CacheAlloc => 0,
            Self::Kmalloc => 1,
            Self::CacheFree => 2,
            Self::Kfree => 3,
        }
    }

    /// Whether objects are freed there.
    pub(super) fn is_free(self) -> bool {
        Self::FREES.contains(&self)
    }

    /// The arguments that hold fields.
    fn arguments(self) -> &'static [(Field, i16)] {
        use Field::{BytesAlloc, BytesReq, Gfp, Node, Site};
        match self {
            Self::CacheAlloc => &[(Site, 0), (Gfp, 3), (Node, 4)],
            Self::Kmalloc => &[(Site, 0), (BytesReq, 2), (BytesAlloc, 3), (Gfp, 4), (Node, 5)],
            Self::CacheFree | Self::Kfree => &[(Site, 0)],
        }
    }

    /// The argument that holds a field, if one does.
    pub(super) fn argument(self, field: Field) -> Option<i16> {
        self.arguments().iter().find(|(held, _)| *held == field).map(|(_, number)| *number)
    }
}

/// Something that an event is about. What an event does not tell is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The address of the cache.
    Cache,
    /// The address behind the call.
    Site,
    /// The bytes that were asked for; only `kmalloc` tells.
    BytesReq,
    /// The bytes that were taken; only `kmalloc` tells.
    BytesAlloc,
    /// The flags of the allocation.
    Gfp,
    /// The NUMA node that was asked for, -1 for any, in the lower half.
    Node,
    /// The CPU.
    Cpu,
    /// The process.
    Pid,
    /// The name of the thread; of 16 bytes.
    Comm,
    /// The number of the process's cgroup in the hierarchy of version 2.
    Cgroup,
    /// The number of the stack, which the map of stacks knows; 0 if it could not be taken.
    Stack,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Cache,
        Self::Site,
        Self::BytesReq,
        Self::BytesAlloc,
        Self::Gfp,
        Self::Node,
        Self::Cpu,
        Self::Pid,
        Self::Comm,
        Self::Cgroup,
        Self::Stack,
    ];

    /// The eight bytes that it takes, how often.
    #[must_use]
    pub fn words(self) -> usize {
        if self == Self::Comm { 2 } else { 1 }
    }
}
