//! What the source of the rows can give: the running kernel, or a recording of one.

use crate::catalog::{Column, CpuFigure, HostTable, Made, Rows, SlabFigure, Source, Table, Walk};
use crate::schema::{Member, MemberKind, Schema};
use crate::value::Type;

/// What a source can give, and the constants of its kernel.
pub trait Capabilities {
    /// Why `column` of `table` cannot be given; none if it can. A derived column can as far as what its definition
    /// names, unless the source says otherwise.
    fn missing(&self, table: &Table, column: &Column) -> Option<String>;

    /// Whether the source gives a derived column itself, and its definition is not asked.
    fn given(&self, _: &Table, _: &Column) -> bool {
        false
    }

    /// Why this process may not read the file that `column` of `table` is read from, though the source could give it; see
    /// [`Schema::refused`].
    fn refused(&self, _: &Table, _: &Column) -> Option<String> {
        None
    }

    /// What the source is called.
    fn source(&self) -> &'static str;

    /// Bytes of a page.
    fn page_size(&self) -> u64;

    /// The kernel's slab flags by name and bit.
    fn slab_flags(&self) -> &[(String, u32)];

    /// The kernel's page-allocator flags by name and bit.
    fn gfp_flags(&self) -> &[(String, u32)];

    /// The kernel itself, whose members can be named; none of what is left of one.
    fn schema(&self) -> Option<&dyn Schema> {
        None
    }
}

/// A kernel with the iterator.
impl<S: Schema> Capabilities for S {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        let (owner, path, kind) = match column.source {
            // Of these some depend on how the machine is set up.
            Source::Given
                if matches!(table.rows, Rows::Host(Made { table: HostTable::Cgroups, .. })) =>
            {
                return Schema::refused(self, table, column);
            }
            Source::Address | Source::Index | Source::Derived(_) | Source::Given => return None,
            Source::Host(_, by) => {
                let mut columns = by.iter().filter_map(|name| table.column(name));
                return columns.find_map(|column| self.missing(table, column));
            }
            Source::Refcount => ("kmem_cache", "refcount", MemberKind::Integer),
            Source::Member(path) => ("kmem_cache", path, MemberKind::Integer),
            Source::Text(path) => ("kmem_cache", path, MemberKind::Pointer),
            Source::NodeSum(path) | Source::Node(path) => {
                ("kmem_cache_node", path, MemberKind::Integer)
            }
            Source::Barn(path) => ("node_barn", path, MemberKind::Integer),
            Source::Walk(walk) => return walked(self, walk, column),
            Source::Slab(figure) => return of_slab(self, figure, column),
            Source::Owner(_) => return owned(self, column),
            Source::Site => return sited(self, column),
            Source::Track(track) if self.member("track", track.member()).is_some() => {
                return self.records().err();
            }
            Source::Track(track) => {
                return Some(lacking(self.release(), "track", track.member(), column));
            }
            Source::Cpu(figure) => {
                let (owner, path) = match figure {
                    CpuFigure::Main | CpuFigure::Spare | CpuFigure::RcuFree => {
                        ("kmem_cache", "cpu_sheaves")
                    }
                    CpuFigure::PartialSlabs | CpuFigure::PartialFree => {
                        ("kmem_cache_cpu", "partial")
                    }
                    CpuFigure::Slab | CpuFigure::Free => ("kmem_cache", "cpu_slab"),
                };
                if self.member(owner, path).is_none() {
                    return Some(lacking(self.release(), owner, path, column));
                }
                return self.cpu_offsets().err();
            }
        };
        let Some(member) = self.member(owner, path) else {
            return Some(lacking(self.release(), owner, path, column));
        };
        let nameless = match column.ty {
            Type::SlabFlags if Schema::slab_flags(self).is_empty() => Some("_slab_flag_bits"),
            Type::GfpFlags if Schema::gfp_flags(self).is_empty() => Some("___GFP_…_BIT"),
            _ => None,
        };
        if let Some(names) = nameless {
            let release = self.release();
            return Some(format!("{release} has no enum {names}, which says what each bit means"));
        }
        if !fits(&member, kind, column) {
            return Some(format!("{owner}.{path} has a different type in {}", self.release()));
        }
        None
    }

    fn refused(&self, table: &Table, column: &Column) -> Option<String> {
        Schema::refused(self, table, column)
    }

    fn source(&self) -> &'static str {
        Schema::source(self)
    }

    fn page_size(&self) -> u64 {
        Schema::page_size(self)
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        Schema::slab_flags(self)
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        Schema::gfp_flags(self)
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

/// Says that a member is not there.
fn lacking(release: &str, owner: &str, path: &str, column: &Column) -> String {
    match column.absent {
        "" => format!("{release} has no {owner}.{path}"),
        reason => format!("{release} has no {owner}.{path}, as {reason}"),
    }
}

/// What every walk reads: numbers are read as the `counters` of a slab.
const SLAB: &[(&str, &str)] = &[
    ("slab", "slab_cache"),
    ("slab", "slab_list"),
    ("slab", "counters"),
    ("slab", "inuse"),
    ("slab", "objects"),
];

/// Why a figure of slabs cannot be given.
fn of_slab(schema: &dyn Schema, figure: SlabFigure, column: &Column) -> Option<String> {
    if figure == SlabFigure::Frozen
        && schema.member("slab", "frozen").is_none_or(|m| m.bits.is_none())
    {
        return Some(lacking(schema.release(), "slab", "frozen", column));
    }
    let of_pages = match figure {
        SlabFigure::Pfn => schema.page_array().err(),
        SlabFigure::Order => crate::codegen::pages(schema).err().map(|lacking| lacking.message),
        _ => None,
    };
    if of_pages.is_some() {
        return of_pages;
    }
    let lists = walked(schema, Walk::FreePartial, column);
    let by_cpu = schema.member("kmem_cache", "cpu_slab").is_some();
    lists.or_else(|| if by_cpu { walked(schema, Walk::CachedCpu, column) } else { None })
}

/// Why the owners of objects cannot be given.
fn owned(schema: &dyn Schema, column: &Column) -> Option<String> {
    let way = [
        ("slab", "obj_exts"),
        ("obj_cgroup", "memcg"),
        ("mem_cgroup", "css.cgroup"),
        ("cgroup", "kn"),
        ("kernfs_node", "id"),
    ];
    let gone = way.into_iter().find(|(owner, path)| schema.member(owner, path).is_none());
    if let Some((owner, path)) = gone {
        return Some(lacking(schema.release(), owner, path, column));
    }
    crate::codegen::owners(schema).err().map(|lacking| lacking.message)
}

/// Why the sites that allocated objects cannot be given.
fn sited(schema: &dyn Schema, column: &Column) -> Option<String> {
    if crate::codegen::site(schema).is_none() {
        return Some(lacking(schema.release(), "slabobj_ext", "ref", column));
    }
    let unprofiled = schema.profiling().err();
    unprofiled.or_else(|| crate::codegen::owners(schema).err().map(|lacking| lacking.message))
}

/// Why a walk's figure cannot be given. What a kernel is known to lack, and the column's reason is of, comes first.
fn walked(schema: &dyn Schema, walk: Walk, column: &Column) -> Option<String> {
    let members: &[(&str, &str)] = match walk {
        Walk::FreePartial => &[("kmem_cache_node", "partial"), ("kmem_cache_node", "nr_partial")],
        Walk::FreeSlabinfo => &[
            ("kmem_cache_node", "total_objects"),
            ("kmem_cache_node", "partial"),
            ("kmem_cache_node", "nr_partial"),
        ],
        Walk::CachedCpu => &[
            ("kmem_cache", "cpu_slab"),
            ("kmem_cache", "offset"),
            ("kmem_cache_cpu", "slab"),
            ("kmem_cache_cpu", "freelist"),
            ("kmem_cache_cpu", "tid"),
        ],
        Walk::CachedSheaves | Walk::RcuPending => &[
            ("kmem_cache", "cpu_sheaves"),
            ("kmem_cache", "sheaf_capacity"),
            ("slub_percpu_sheaves", "main"),
            ("slub_percpu_sheaves", "spare"),
            ("slub_percpu_sheaves", "rcu_free"),
            ("slab_sheaf", "size"),
        ],
        Walk::CachedBarns => &[
            ("kmem_cache", "cpu_sheaves"),
            ("kmem_cache", "sheaf_capacity"),
            ("node_barn", "sheaves_full"),
            ("slab_sheaf", "barn_list"),
            ("slab_sheaf", "size"),
        ],
        Walk::Complete => return None,
    };
    let gone = |(owner, path): &&(&str, &str)| schema.member(owner, path).is_none();
    if let Some((owner, path)) = members.iter().chain(SLAB).find(gone) {
        return Some(lacking(schema.release(), owner, path, column));
    }
    if walk.by_cpu() { schema.cpu_offsets().err() } else { None }
}

/// Whether every value of the member is one of the column.
fn fits(member: &Member, kind: MemberKind, column: &Column) -> bool {
    match (kind, member.kind) {
        (MemberKind::Pointer, found) => found == MemberKind::Pointer,
        // The address of a constructor is a number to the language.
        (_, MemberKind::Integer | MemberKind::Pointer) => {
            let signed = column.range().0 < 0;
            let bits = 8 * member.size;
            matches!(bits, 8 | 16 | 32 | 64)
                && member.bits.is_none()
                && if member.signed { signed } else { true }
                && bits <= u32::from(column.bits) - u32::from(signed && !member.signed)
        }
        _ => false,
    }
}
