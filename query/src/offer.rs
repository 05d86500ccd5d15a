//! What the place that rows come from can give: the running kernel, or a recording of one.

use crate::catalog::{Column, CpuFigure, Source, Table, Walk};
use crate::schema::{Member, MemberKind, Schema};

/// What a place can give, and the constants of its kernel.
pub trait Offer {
    /// Why the stored column `column` of `table` cannot be given; none if it can.
    fn missing(&self, table: &Table, column: &Column) -> Option<String>;

    /// Bytes of a page.
    fn page_size(&self) -> u64;

    /// The kernel's slab flags by name and bit.
    fn slab_flags(&self) -> &[(String, u32)];

    /// The kernel's page-allocator flags by name and bit.
    fn gfp_flags(&self) -> &[(String, u32)];
}

/// A kernel with the iterator.
impl<S: Schema> Offer for S {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        let (owner, path, kind) = match column.source {
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
                    return Some(lacks(self.release(), owner, path, column.absent));
                }
                return self.cpu_offsets().err();
            }
        };
        let Some(member) = self.member(owner, path) else {
            return Some(lacks(self.release(), owner, path, column.absent));
        };
        if !fits(&member, kind, column) {
            return Some(format!("{owner}.{path} is of another type in {}", self.release()));
        }
        None
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
}

/// Says that a release has no such member, and why if that is known.
fn lacks(release: &str, owner: &str, path: &str, reason: &str) -> String {
    match reason {
        "" => format!("{release} has no {owner}.{path}"),
        reason => format!("{release} has no {owner}.{path}: {reason}"),
    }
}

/// Why a walk's figure cannot be given.
fn walked(schema: &dyn Schema, walk: Walk, column: &Column) -> Option<String> {
    let (owner, path) = match walk {
        Walk::FreePartial => ("kmem_cache_node", "partial"),
        Walk::FreeSlabinfo => ("kmem_cache_node", "total_objects"),
        Walk::CachedCpu => ("kmem_cache", "cpu_slab"),
        Walk::CachedSheaves | Walk::CachedBarns | Walk::RcuPending => ("kmem_cache", "cpu_sheaves"),
        Walk::Complete => return None,
    };
    if schema.member(owner, path).is_none() {
        return Some(lacks(schema.release(), owner, path, column.absent));
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
