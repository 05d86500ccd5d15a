//! The types of a made-up kernel with slabs, in each form that they have had.

use slabql_query::diagnostic::Diagnostic;
use slabql_query::schema::{
    Member, MemberKind, Objects, PageArray, Schema, Shape, TypeId, Unknown,
};

use super::Fixture;
use super::model::Era;

/// The BTF ids of `struct kmem_cache_node` and, behind it, `struct slab`.
pub const NODE_TYPE: u32 = 4077;
const PAGE_TYPE: u32 = NODE_TYPE + 3;
const ENTRY_TYPE: u32 = NODE_TYPE + 9;
/// Where page 0 is described.
pub const PAGES: u64 = 0xffff_ea00_0000_0000;

/// The types of the made-up kernel.
pub struct Types {
    pub era: Era,
    pub nodes: u32,
    pub offsets: Vec<u64>,
    pub hardened: bool,
    /// Whether it has neither casts nor `may_goto`.
    pub old: bool,
    /// The head of the list of caches.
    pub head: u64,
    /// Members that it lacks.
    pub lacking: Vec<(&'static str, &'static str)>,
    pub base: Fixture,
    /// The objects that queries over `objects` read.
    pub objects: Option<Objects>,
    /// Members that it has besides.
    pub added: Vec<((&'static str, &'static str), Member)>,
    /// The bytes of `struct slabobj_ext`, if there is one.
    pub entry: Option<u64>,
}

impl Types {
    fn own(&self, owner: &str, path: &str) -> Option<(u32, u32, MemberKind)> {
        use MemberKind::{Integer, Other, Pointer};
        let cpu_slabs = self.era != Era::Sheaves;
        let sheaves = self.era != Era::CpuSlabs;
        // What moved to 16 bytes further in the last form.
        let shift = if cpu_slabs { 0 } else { 16 };
        Some(match (owner, path) {
            ("kmem_cache", "cpu_slab") | ("kmem_cache_cpu", "freelist") if cpu_slabs => {
                (0, 8, Pointer)
            }
            ("kmem_cache", "cpu_sheaves") if sheaves => (136, 8, Pointer),
            ("kmem_cache", "list") => (160, 16, Other),
            ("kmem_cache", "random") if self.hardened => (152, 8, Integer),
            ("kmem_cache", "node[0]") if cpu_slabs => (176, 8, Pointer),
            ("kmem_cache", "node[1]") if cpu_slabs => (184, 8, Pointer),
            ("kmem_cache", "per_node[0].barn") if !cpu_slabs => (176, 8, Pointer),
            ("kmem_cache", "per_node[0].node") if !cpu_slabs => (184, 8, Pointer),
            ("kmem_cache", "per_node[1].barn") if !cpu_slabs => (192, 8, Pointer),
            ("kmem_cache", "per_node[1].node") if !cpu_slabs => (200, 8, Pointer),
            ("kmem_cache_node", "partial") => (32, 16, Other),
            ("kmem_cache_node", "total_objects") => (24, 8, Other),
            ("kmem_cache_node", "barn") if self.era == Era::Both => (48, 8, Pointer),
            ("kmem_cache_cpu", "tid") if cpu_slabs => (8, 8, Integer),
            ("kmem_cache_cpu", "slab") if cpu_slabs => (16, 8, Pointer),
            ("kmem_cache_cpu", "partial") if cpu_slabs => (24, 8, Pointer),
            ("slub_percpu_sheaves", "main") if sheaves => (8, 8, Pointer),
            ("slub_percpu_sheaves", "spare") if sheaves => (16, 8, Pointer),
            ("slub_percpu_sheaves", "rcu_free") if sheaves => (24, 8, Pointer),
            ("slab_sheaf", "size") | ("node_barn", "nr_full") if sheaves => (40, 4, Integer),
            ("node_barn", "nr_empty") if sheaves => (44, 4, Integer),
            ("slab_sheaf", "barn_list") | ("node_barn", "sheaves_full") if sheaves => {
                (8, 16, Other)
            }
            ("slab", "slab_cache") => (8 + shift, 8, Pointer),
            ("slab", "slab_list") => (16 + shift, 16, Other),
            ("slab", "next") => (16 + shift, 8, Pointer),
            ("slab", "freelist") => (32 + shift, 8, Pointer),
            ("slab", "counters") => (40 + shift, 8, Integer),
            ("slab", "inuse" | "objects" | "frozen") => (40 + shift, 4, Integer),
            ("page", "flags") => (0, 8, Integer),
            ("page", "page_type") => (4, 4, Integer),
            ("page", "private") => (40, 8, Integer),
            _ => return None,
        })
    }
}

impl Schema for Types {
    fn member(&self, owner: &str, path: &str) -> Option<Member> {
        if self.lacking.contains(&(owner, path)) {
            return None;
        }
        if let Some((_, added)) = self.added.iter().find(|(name, _)| *name == (owner, path)) {
            return Some(*added);
        }
        if let Some((offset, size, kind)) = self.own(owner, path) {
            let bits = match path {
                "inuse" => Some((0, 16)),
                "objects" => Some((16, 15)),
                "frozen" => Some((31, 1)),
                _ => None,
            };
            return Some(Member { offset, size, signed: false, bits, kind });
        }
        let hidden = owner == "kmem_cache"
            && (path.starts_with("node[")
                || (path == "sheaf_capacity" && self.era == Era::CpuSlabs));
        if hidden { None } else { self.base.member(owner, path) }
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        ["kmem_cache_node", "slab", "kmem_cache", "page"]
            .iter()
            .position(|known| *known == name)
            .map(|at| u32::try_from(at).unwrap() + NODE_TYPE)
            .or_else(|| self.base.struct_id(name))
            .or_else(|| self.entry.filter(|_| name == "slabobj_ext").map(|_| ENTRY_TYPE))
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        self.base.function_id(name).filter(|_| !self.old)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        if name == "loop" { Some(181) } else { self.base.helper(name) }
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.base.slab_flags()
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.base.gfp_flags()
    }

    fn page_size(&self) -> u64 {
        4096
    }

    fn nodes(&self) -> u32 {
        self.nodes
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        Ok(&self.offsets)
    }

    fn may_goto(&self) -> bool {
        !self.old
    }

    fn slab_caches(&self) -> Result<u64, Diagnostic> {
        Ok(self.head)
    }

    fn enumerator(&self, type_name: &str, name: &str) -> Option<i64> {
        Some(match (type_name, name) {
            ("pagetype", "PGTY_slab") => 0xf5,
            ("pagetype", "PGTY_buddy") => 0xf0,
            ("pageflags", "PG_head") => 6,
            // The name was SL_partial from 6.17 on.
            ("pageflags", "PG_workingset") if self.era == Era::CpuSlabs => 9,
            ("slab_flags", "SL_partial") if self.era != Era::CpuSlabs => 9,
            _ => return None,
        })
    }

    fn page_array(&self) -> Result<PageArray, String> {
        Ok(PageArray { base: PAGES, page_offset: 0xffff_8880_0000_0000, record: 64 })
    }

    fn objects(&self, _: &[&str]) -> Result<Objects, Unknown> {
        let unknown = || Unknown::new("the world has no objects", "give it some");
        self.objects.clone().ok_or_else(unknown)
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.base.shape(id)
    }

    fn size_of(&self, id: TypeId) -> Option<u64> {
        match id {
            TypeId(PAGE_TYPE) => Some(64),
            TypeId(ENTRY_TYPE) => self.entry,
            _ => self.base.size_of(id),
        }
    }

    fn spelling(&self, id: TypeId) -> String {
        self.base.spelling(id)
    }

    fn release(&self) -> &'static str {
        "fixture"
    }
}
