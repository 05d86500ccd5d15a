//! Finds members by path: `oo.x`, `node[0]`, `per_node[1].node`.
//!
//! An unnamed member is passed through: its members count as
//! those of the struct around it, and that also where its type has a name, as with `struct freelist_counters` in
//! `struct slab` since 6.19 (the kernel is built with `-fms-extensions`).
//!
//! # Invariants
//!
//! [`MEMBERS_MAX`] bounds the members that one path may visit and [`NESTED_MAX`] the depth of unnamed ones, so
//! that a cycle of types ends.

use query::schema::{Member, MemberKind};

use super::{Btf, CHAIN_MAX, Kind, Type, TypeId};

/// How many members are looked at for one path. The largest struct of the kernel has some 300.
const MEMBERS_MAX: usize = 10_000;
/// How deep unnamed members nest.
const NESTED_MAX: usize = 16;

/// A member of one struct.
#[derive(Clone, Copy)]
pub(super) struct Field {
    /// Where its name is.
    pub name: u32,
    /// Bits from the start of the struct.
    pub at: u64,
    pub of: TypeId,
    /// Of a bit-field its bits.
    pub width: Option<u32>,
}

impl Field {
    /// The members that a struct or union declares.
    pub(super) fn of<'a>(outer: &Type<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let flag = outer.flag;
        outer.rest.chunks_exact(12).map(move |entry| {
            let [name, of, offset] = [0, 4, 8].map(|at| super::le(&entry[at..at + 4]));
            // With the flag set the upper byte is the width of a bit-field.
            let (at, width) = if flag {
                (offset & 0x00ff_ffff, Some(offset >> 24).filter(|width| *width > 0))
            } else {
                (offset, None)
            };
            Self { name, at: at.into(), of: TypeId(of), width }
        })
    }
}

/// Of an integer type that is a bit-field its bits to skip and its width. Compilers before the flag of structs gave a
/// bit-field an integer type of its own.
pub(super) fn bits_of_type(found: &Type<'_>) -> Option<(u32, u32)> {
    if found.kind != Kind::Int {
        return None;
    }
    let encoding = found.added(0)?;
    let (first, bits) = (encoding >> 16 & 0xff, encoding & 0xff);
    (first > 0 || bits < found.word.saturating_mul(8)).then_some((first, bits))
}

impl<B: AsRef<[u8]>> Btf<B> {
    /// Bytes of a type.
    pub fn size_of(&self, id: TypeId) -> Option<u64> {
        let (mut id, mut count) = (id, 1_u64);
        for _ in 0..CHAIN_MAX {
            let found = self.resolve(id)?;
            let size = match found.kind {
                Kind::Array => {
                    count = count.checked_mul(u64::from(found.added(2)?))?;
                    id = TypeId(found.added(0)?);
                    continue;
                }
                Kind::Ptr => 8,
                Kind::Int
                | Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Float => u64::from(found.word),
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }

    /// Finds the member of `outer` at `path`.
    pub fn member(&self, outer: TypeId, path: &str) -> Option<Member> {
        let mut found = self.resolve(outer)?;
        let mut at = 0_u64;
        let mut width = None;
        let mut budget = MEMBERS_MAX;
        for step in path.split('.') {
            let (name, mut indices) = step.split_at(step.find('[').unwrap_or(step.len()));
            let field = self.field(&found, name, 0, &mut budget)?;
            at = at.checked_add(field.at)?;
            width = field.width;
            found = self.resolve(field.of)?;
            while let Some((index, more)) =
                indices.strip_prefix('[').and_then(|i| i.split_once(']'))
            {
                let index: u32 = index.parse().ok()?;
                let length = found.added(2)?;
                // An array of 0 elements is a flexible one: nothing is known of its length.
                if found.kind != Kind::Array || (index >= length && length > 0) {
                    return None;
                }
                let of = TypeId(found.added(0)?);
                let bits = self.size_of(of)?.checked_mul(u64::from(index) * 8)?;
                at = at.checked_add(bits)?;
                found = self.resolve(of)?;
                indices = more;
            }
            if !indices.is_empty() {
                return None;
            }
        }
        self.describe(&found, at, width)
    }

    /// Finds the member `name` of a struct or union.
    fn field(
        &self,
        outer: &Type<'_>,
        name: &str,
        depth: usize,
        budget: &mut usize,
    ) -> Option<Field> {
        if name.is_empty()
            || depth > NESTED_MAX
            || !matches!(outer.kind, Kind::Struct | Kind::Union)
        {
            return None;
        }
        for field in Field::of(outer) {
            *budget = budget.checked_sub(1)?;
            if self.is_name(field.name, name) {
                return Some(field);
            }
            if self.is_name(field.name, "")
                && let Some(nested) = self.resolve(field.of)
                && let Some(inner) = self.field(&nested, name, depth + 1, budget)
            {
                return Some(Field { at: field.at.checked_add(inner.at)?, ..inner });
            }
        }
        None
    }

    /// Describes the member of type `found` that begins at bit `at`.
    fn describe(&self, found: &Type<'_>, at: u64, width: Option<u32>) -> Option<Member> {
        let kind = match found.kind {
            Kind::Int | Kind::Enum | Kind::Enum64 => MemberKind::Integer,
            Kind::Ptr => MemberKind::Pointer,
            _ => MemberKind::Other,
        };
        let signed = match found.kind {
            Kind::Int => found.added(0)? >> 24 & 1 == 1,
            Kind::Enum | Kind::Enum64 => found.flag,
            _ => false,
        };
        let size = self.size_of(found.id)?;
        let (at, width) = match (width, bits_of_type(found)) {
            (None, Some((first, bits))) => (at.checked_add(first.into())?, Some(bits)),
            _ => (at, width),
        };
        let member = |at: u64, size: u64, bits| {
            let (offset, size) = (u32::try_from(at / 8).ok()?, u32::try_from(size).ok()?);
            Some(Member { offset, size, signed, bits, kind })
        };
        let Some(width) = width.map(u64::from).filter(|width| *width > 0) else {
            return if at % 8 == 0 { member(at, size, None) } else { None };
        };
        if at % (size.max(1) * 8) == 0 && width == size * 8 {
            return member(at, size, None);
        }
        // The declared integer holds it, or in a packed struct a larger one.
        let size = [1, 2, 4, 8]
            .into_iter()
            .find(|holder| *holder >= size && at % (holder * 8) + width <= holder * 8)?;
        let first = at % (size * 8);
        member(at - first, size, Some((u8::try_from(first).ok()?, u8::try_from(width).ok()?)))
    }
}
