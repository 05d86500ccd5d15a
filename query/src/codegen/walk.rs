//! What walks need to know of the kernel, looked up in its types.

use ebpf_templates::assembler::Rounds;
use ebpf_templates::template::barn::Barns;
use ebpf_templates::template::list::List;
use ebpf_templates::template::node::{Entries, Nodes};
use ebpf_templates::template::partial::{self, Partial};
use ebpf_templates::template::peek::Peek;
use ebpf_templates::template::percpu::{self, CpuSlab, PerCpu, Sheaves};
use ebpf_templates::template::rows;
use ebpf_templates::template::slab::{Bits, Slab};
use ebpf_templates::template::vmemmap::Vmemmap;

use super::needs::{function, helper, lacking, member, offset};
use crate::diagnostic::{Diagnostic, Span};
use crate::schema::{Schema, TypeId};

fn struct_id(schema: &dyn Schema, name: &str) -> Result<u32, Diagnostic> {
    schema.struct_id(name).ok_or_else(|| lacking(&format!("struct `{name}`")))
}

fn rdonly_cast(schema: &dyn Schema) -> Result<u32, Diagnostic> {
    match schema.function_id("bpf_rdonly_cast") {
        Some(id) => Ok(id),
        // Programs in rounds do without.
        None if rounds(schema)?.is_some() => Ok(0),
        None => Err(lacking("function `bpf_rdonly_cast`")),
    }
}

/// What programs call in rounds, on a kernel that has no iterator: before it there are no casts, no `may_goto`, or a
/// verifier that takes long for a walk that they bound (Linux 6.12).
pub fn rounds(schema: &dyn Schema) -> Result<Option<Rounds>, Diagnostic> {
    let casts = schema.function_id("bpf_rdonly_cast").is_some();
    let iterates = schema.function_id("bpf_iter_kmem_cache_new").is_some();
    if casts && iterates {
        return Ok(None);
    }
    Ok(Some(Rounds {
        bpf_loop: helper(schema, "loop")?,
        probe_read_kernel: helper(schema, "probe_read_kernel")?,
        cut: (rows::FLAGS, rows::CUT),
    }))
}

fn wide(schema: &dyn Schema, owner: &str, path: &str) -> Result<i32, Diagnostic> {
    Ok(member(schema, owner, path)?.offset.cast_signed())
}

/// The entries of an array of pointers in a cache, an entry a node.
fn entries(schema: &dyn Schema, paths: [&str; 2]) -> Result<Entries, Diagnostic> {
    let [first, second] = paths;
    let first = wide(schema, "kmem_cache", first)?;
    Ok(Entries {
        first,
        stride: wide(schema, "kmem_cache", second)? - first,
        count: schema.nodes().cast_signed(),
        probe_read_kernel: helper(schema, "probe_read_kernel")?,
    })
}

/// The array of nodes: `node[]` until 7.0, `per_node[]` from 7.1 on.
pub(super) fn nodes(schema: &dyn Schema) -> Result<Nodes, Diagnostic> {
    let paths = match schema.member("kmem_cache", "node[0]") {
        Some(_) => ["node[0]", "node[1]"],
        None => ["per_node[0].node", "per_node[1].node"],
    };
    Ok(Nodes {
        entries: entries(schema, paths)?,
        node_type: struct_id(schema, "kmem_cache_node")?,
        rdonly_cast: rdonly_cast(schema)?,
    })
}

/// The list of caches.
pub(super) fn list(schema: &dyn Schema) -> Result<List, Diagnostic> {
    let cache = |path| offset(schema, "kmem_cache", path);
    Ok(List {
        peek: slab(schema)?.peek,
        cache_type: struct_id(schema, "kmem_cache")?,
        list: cache("list")?,
        name: cache("name")?,
        size: cache("size")?,
        object_size: cache("object_size")?,
        rounds: rounds(schema)?,
        // The dearest question comes last.
        head: schema.slab_caches()?,
    })
}

/// The members of `struct slab`.
pub(super) fn slab(schema: &dyn Schema) -> Result<Slab, Diagnostic> {
    let counters = offset(schema, "slab", "counters")?;
    let bits = |path: &str| {
        let member = member(schema, "slab", path)?;
        let (first, count) =
            member.bits.ok_or_else(|| lacking(&format!("bit-field `slab.{path}`")))?;
        let before = 8 * (member.offset.cast_signed() - i32::from(counters));
        Ok::<_, Diagnostic>(Bits { first: before + i32::from(first), count })
    };
    Ok(Slab {
        peek: Peek {
            rdonly_cast: rdonly_cast(schema)?,
            slab_type: struct_id(schema, "slab")?,
            counters,
        },
        slab_cache: offset(schema, "slab", "slab_cache")?,
        slab_list: offset(schema, "slab", "slab_list")?,
        inuse: bits("inuse")?,
        objects: bits("objects")?,
        frozen: bits("frozen").ok(),
    })
}

/// The records of pages, without the address of the first.
pub fn pages(schema: &dyn Schema) -> Result<Vmemmap, Diagnostic> {
    let page = |path| wide(schema, "page", path);
    let page_type = struct_id(schema, "page")?;
    let bytes = schema.size_of(TypeId(page_type)).and_then(|bytes| i32::try_from(bytes).ok());
    let enumerator = |of: &str, name: &str| {
        let found = schema.enumerator(of, name).and_then(|value| u8::try_from(value).ok());
        found.ok_or_else(|| lacking(&format!("enumerator `{name}`")))
    };
    let listed = || {
        enumerator("slab_flags", "SL_partial").or_else(|_| enumerator("pageflags", "PG_workingset"))
    };
    // Programs in rounds would take a call for each page.
    function(schema, "bpf_rdonly_cast")?;
    Ok(Vmemmap {
        slab: slab(schema)?,
        freelist: offset(schema, "slab", "freelist")?,
        cache_type: struct_id(schema, "kmem_cache")?,
        base: 0,
        bytes: bytes.ok_or_else(|| lacking("size of `struct page`"))?,
        flags: page("flags")?,
        page_type: page("page_type")?,
        private: page("private")?,
        slab_page: enumerator("pagetype", "PGTY_slab")?,
        buddy_page: enumerator("pagetype", "PGTY_buddy")?,
        head: enumerator("pageflags", "PG_head")?,
        listed: match schema.member("kmem_cache_cpu", "partial") {
            Some(_) => Some(listed()?),
            None => None,
        },
        probe_read_kernel: helper(schema, "probe_read_kernel")?,
    })
}

/// The walk of page descriptors.
pub(super) fn vmemmap(schema: &dyn Schema) -> Result<Vmemmap, Diagnostic> {
    let pages = pages(schema)?;
    // The dearest question comes last.
    let array = schema.page_array().map_err(|why| Diagnostic::new(Span::default(), why))?;
    Ok(Vmemmap { base: array.base, ..pages })
}

/// The walk of the nodes' partial lists, for the slots `free` and `free_slabinfo`.
pub(super) fn partial(
    schema: &dyn Schema,
    own: partial::Own,
    free: i16,
    free_slabinfo: Option<i16>,
    incomplete: i16,
) -> Result<Partial, Diagnostic> {
    let node = |path| offset(schema, "kmem_cache_node", path);
    Ok(Partial {
        nodes: nodes(schema)?,
        slab: slab(schema)?,
        list: node("partial")?,
        nr_partial: node("nr_partial")?,
        total_objects: match free_slabinfo {
            Some(_) => node("total_objects")?,
            None => 0,
        },
        free,
        free_slabinfo,
        incomplete,
        own,
    })
}

/// Where CPU slabs are; the free objects in them and on CPU partial lists go to the slots `free`.
pub(super) fn cpu_slab(schema: &dyn Schema, free: [i16; 2]) -> Result<CpuSlab, Diagnostic> {
    let cpu = |path| wide(schema, "kmem_cache_cpu", path);
    Ok(CpuSlab {
        pointer: wide(schema, "kmem_cache", "cpu_slab")?,
        slab: cpu("slab")?,
        freelist: Some(cpu("freelist")?),
        tid: cpu("tid")?,
        // Without CONFIG_SLUB_CPU_PARTIAL there is no such list.
        partial: cpu("partial").ok(),
        next: offset(schema, "slab", "next").unwrap_or_default(),
        free_offset: offset(schema, "kmem_cache", "offset")?,
        // Without CONFIG_SLAB_FREELIST_HARDENED pointers stand as they are.
        random: offset(schema, "kmem_cache", "random").ok(),
        free: free[0],
        partial_free: free[1],
        partial_slabs: None,
        address: None,
    })
}

/// Where the CPUs' sheaves are; their objects go to the slots `cached` and `pending`.
pub(super) fn sheaves(
    schema: &dyn Schema,
    cached: [i16; 2],
    pending: i16,
) -> Result<Sheaves, Diagnostic> {
    let cpu = |path| wide(schema, "slub_percpu_sheaves", path);
    Ok(Sheaves {
        pointer: wide(schema, "kmem_cache", "cpu_sheaves")?,
        capacity: offset(schema, "kmem_cache", "sheaf_capacity")?,
        held: [cpu("main")?, cpu("spare")?],
        rcu_free: cpu("rcu_free")?,
        size: wide(schema, "slab_sheaf", "size")?,
        cached,
        pending,
    })
}

/// Where the barns are; their objects go to the slot `cached`.
pub(super) fn barns(schema: &dyn Schema, cached: i16) -> Result<Barns, Diagnostic> {
    let (entries, in_node) = match schema.member("kmem_cache", "per_node[0].barn") {
        Some(_) => (entries(schema, ["per_node[0].barn", "per_node[1].barn"])?, None),
        None => (nodes(schema)?.entries, Some(wide(schema, "kmem_cache_node", "barn")?)),
    };
    Ok(Barns {
        entries,
        in_node,
        full: wide(schema, "node_barn", "sheaves_full")?,
        list: wide(schema, "slab_sheaf", "barn_list")?,
        size: wide(schema, "slab_sheaf", "size")?,
        capacity: offset(schema, "kmem_cache", "sheaf_capacity")?,
        cached,
    })
}

/// The walk over CPUs.
pub(super) fn per_cpu(
    schema: &dyn Schema,
    own: percpu::Own,
    cpu_slab: Option<CpuSlab>,
    sheaves: Option<Sheaves>,
    incomplete: i16,
    table: u32,
) -> Result<PerCpu, Diagnostic> {
    let cpus = schema.cpu_offsets().map_or(0, <[u64]>::len);
    Ok(PerCpu {
        slab: slab(schema)?,
        cpus: i32::try_from(cpus).unwrap_or(i32::MAX),
        cpu_slab,
        sheaves,
        incomplete,
        table,
        own,
    })
}
