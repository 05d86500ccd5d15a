//! Reads BTF, the kernel's description of its own types, without unpacking it.
//!
//! BTF is a list of records of different lengths, one a type, numbered from 1 on in order of appearance, and a
//! section of names. Nothing says where type number `n` begins, so finding a type by name or by number means
//! walking the list. [`Btf::find`] walks it once for all names together, in `scan`; every walk notes where some
//! types begin, and from there any type is at most 64 records away. No memory is taken per type: of 120,000 types
//! a query needs a dozen.
//!
//! # Layout
//!
//! ```text
//! header   magic, version, flags, length; offset and length of the sections
//! types    { name: u32, info: u32, size or type: u32, what the kind adds … } …
//! names    "\0" "kmem_cache\0" …
//! layout   { bytes a record, bytes an element, flags: u16 } a kind    (since 7.1)
//! ```
//!
//! `info` holds the number of elements in bits 0..24 (until 7.0 in bits 0..16, the rest zero), the kind in bits
//! 24..31 and a flag in bit 31.
//!
//! # Invariants
//!
//! - Any bytes may come: every access is checked, and every chain of types is followed for a bounded number of
//!   steps. What does not add up is "not found".
//! - A kind that this module does not know ends the walk, unless the layout section tells its length.
//!
//! # Not done here
//!
//! BTF of modules, and of big-endian kernels.
#![allow(clippy::inline_always)] // the program is built for size, and the scan takes a sixth of a query's time

mod bare;
mod member;
mod scan;
mod shape;
#[cfg(test)]
pub(crate) mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

pub use query::schema::TypeId;

/// The kinds of types that are told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Float = 16,
    TypeTag = 18,
    Enum64 = 19,
    /// Anything else.
    Other = 0,
}

impl Kind {
    const ALL: [Self; 16] = [
        Self::Int,
        Self::Ptr,
        Self::Array,
        Self::Struct,
        Self::Union,
        Self::Enum,
        Self::Fwd,
        Self::Typedef,
        Self::Volatile,
        Self::Const,
        Self::Restrict,
        Self::Func,
        Self::FuncProto,
        Self::Float,
        Self::TypeTag,
        Self::Enum64,
    ];

    fn of(number: u8) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number).unwrap_or(Self::Other)
    }
}

/// The bytes that each kind adds to a record, and to that for each element; by number.
#[rustfmt::skip]
const LENGTHS: [(u8, u8); 20] = [
    (UNKNOWN, 0), (4, 0), (0, 0), (12, 0), (0, 12), (0, 12), (0, 8), (0, 0), (0, 0), (0, 0),
    (0, 0), (0, 0), (0, 0), (0, 8), (4, 0), (0, 12), (0, 0), (4, 0), (0, 0), (0, 12),
];
/// Marks a kind of unknown length in [`LENGTHS`].
const UNKNOWN: u8 = u8::MAX;
/// Kinds have seven bits.
const KINDS: usize = 128;
/// The bytes that every record begins with.
const RECORD: usize = 12;
/// The least distance of two types whose places are noted.
const STRIDE: u32 = 64;
/// How many typedefs, qualifiers and arrays are followed. The kernel's own limit is 32.
const CHAIN_MAX: usize = 64;

/// Why bytes are no BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One type: its record.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    /// Its number.
    pub id: TypeId,
    /// What it is.
    pub kind: Kind,
    flag: bool,
    name: u32,
    /// Bytes of a struct, union, integer, float or enum; the number of another type for the rest.
    word: u32,
    /// What the kind adds.
    rest: &'a [u8],
}

impl Type<'_> {
    /// Number `index` of the words that the kind adds.
    fn added(&self, index: usize) -> Option<u32> {
        word(self.rest, index * 4)
    }

    fn inner(&self) -> TypeId {
        TypeId(self.word)
    }
}

/// Where a type begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    id: u32,
    /// Bytes from the start of the types.
    at: u32,
}

/// BTF over bytes that somebody else holds.
pub struct Btf<B> {
    bytes: B,
    types: Range<usize>,
    names: Range<usize>,
    lengths: [(u8, u8); KINDS],
    /// Where some types begin, in their order, as far as a walk came.
    marks: RefCell<Vec<Mark>>,
}

impl<B: AsRef<[u8]>> Btf<B> {
    /// All of it, as it was taken.
    pub fn image(&self) -> &B {
        &self.bytes
    }

    /// Takes `bytes` after a look at the header.
    pub fn parse(bytes: B) -> Result<Self, Malformed> {
        let all = bytes.as_ref();
        let header = |index: usize| word(all, index * 4).ok_or(Malformed("the header is cut off"));
        if header(0)? & 0x00ff_ffff != 0x0001_eb9f {
            return Err(Malformed("the header is not that of BTF version 1"));
        }
        let length = header(1)?;
        let section = |offset: u32, bytes: u32| {
            let start = u64::from(length) + u64::from(offset);
            let range =
                usize::try_from(start).ok()?..usize::try_from(start + u64::from(bytes)).ok()?;
            all.get(range.clone()).map(|_| range)
        };
        let types = section(header(2)?, header(3)?).ok_or(Malformed("the types are cut off"))?;
        let names = section(header(4)?, header(5)?).ok_or(Malformed("the names are cut off"))?;
        if u32::try_from(types.len()).is_err() || length < 24 {
            return Err(Malformed("the header's lengths are wrong"));
        }
        let mut lengths = [(UNKNOWN, 0); KINDS];
        if length >= 32
            && let Some(layout) = section(header(6)?, header(7)?)
        {
            for (length, entry) in lengths.iter_mut().zip(all[layout].chunks_exact(4)) {
                *length = (entry[0], entry[1]);
            }
        }
        lengths[..LENGTHS.len()].copy_from_slice(&LENGTHS);
        Ok(Self { types, names, lengths, marks: RefCell::default(), bytes })
    }

    fn type_bytes(&self) -> &[u8] {
        &self.bytes.as_ref()[self.types.clone()]
    }

    fn name_bytes(&self) -> &[u8] {
        &self.bytes.as_ref()[self.names.clone()]
    }

    /// The bytes that a record with `info` has; none of a kind whose length nobody tells.
    #[inline(always)]
    fn record(&self, info: u32) -> Option<usize> {
        let (fixed, each) = self.lengths[(info >> 24) as usize % KINDS];
        let added = usize::from(fixed) + usize::from(each) * (info & 0x00ff_ffff) as usize;
        (fixed != UNKNOWN).then_some(RECORD + added)
    }

    /// Walks over the records from `id`, which begins at `at`. Notes where some begin; ends when `visit` says so by
    /// `false`, when the types do, or at a record that makes no sense. `visit` must not walk itself.
    fn walk(
        &self,
        mut id: u32,
        mut at: usize,
        mut visit: impl FnMut(u32, usize, u32, u32) -> bool,
    ) {
        let types = self.type_bytes();
        let mut marks = self.marks.borrow_mut();
        while let Some(head) = types.get(at..at + RECORD) {
            let (name, info) = (le(&head[0..4]), le(&head[4..8]));
            if marks.last().is_none_or(|mark| id - mark.id.min(id) >= STRIDE) {
                marks.extend(u32::try_from(at).map(|at| Mark { id, at }));
            }
            if !visit(id, at, name, info) {
                return;
            }
            let Some(length) = self.record(info) else { return };
            at += length;
            id += 1;
        }
    }

    /// Finds the first unnamed enum with an enumerator whose name `wanted` likes.
    pub fn find_unnamed_enum(&self, wanted: impl Fn(&str) -> bool) -> Option<TypeId> {
        let mut ids = Vec::new();
        self.walk(1, 0, |id, _, name, info| {
            let kind = (info >> 24) as usize % KINDS;
            if name == 0 && (kind == Kind::Enum as usize || kind == Kind::Enum64 as usize) {
                ids.push(TypeId(id));
            }
            true
        });
        ids.into_iter().find(|id| self.enumerators(*id).any(|(name, _)| wanted(name)))
    }

    /// All structs that have a name and members, of each name the first.
    pub fn structs(&self) -> HashMap<String, TypeId> {
        let mut found = HashMap::new();
        self.walk(1, 0, |id, _, name, info| {
            if name != 0 && (info >> 24) as usize % KINDS == Kind::Struct as usize {
                found.entry(self.name(name).to_owned()).or_insert(TypeId(id));
            }
            true
        });
        found
    }

    /// Returns type number `id`.
    pub fn by_id(&self, id: TypeId) -> Option<Type<'_>> {
        let TypeId(wanted) = id;
        let Mark { id: from, at } = self.mark(|mark| mark.id <= wanted);
        let mut place = None;
        self.walk(from, at as usize, |id, at, name, info| {
            if id == wanted {
                place = Some((at, name, info));
            }
            id < wanted
        });
        let (at, name, info) = place?;
        let length = self.record(info).unwrap_or(RECORD);
        let rest = self.type_bytes().get(at + RECORD..at + length)?;
        Some(Type {
            id,
            kind: Kind::of((info >> 24) as u8 & 0x7f),
            flag: info >> 31 == 1,
            name,
            word: word(self.type_bytes(), at + 8)?,
            rest,
        })
    }

    /// The last mark of those that come first and are `before`; the first type without one.
    fn mark(&self, before: impl Fn(&Mark) -> bool) -> Mark {
        let marks = self.marks.borrow();
        let last = marks.partition_point(before).checked_sub(1);
        last.and_then(|last| marks.get(last).copied()).unwrap_or(Mark { id: 1, at: 0 })
    }

    /// The name at `offset`; empty where there is none.
    fn name(&self, offset: u32) -> &str {
        let names = self.name_bytes().get(offset as usize..).unwrap_or_default();
        let end = names.iter().position(|byte| *byte == 0).unwrap_or(0);
        str::from_utf8(&names[..end]).unwrap_or_default()
    }

    /// The name of a type; empty where it has none.
    pub fn name_of(&self, id: TypeId) -> &str {
        self.by_id(id).map_or("", |found| self.name(found.name))
    }

    /// Whether the name at `offset` is `text`; its bytes are not looked at as text first.
    #[inline(always)]
    fn is_name(&self, offset: u32, text: &str) -> bool {
        is_name(self.name_bytes(), offset as usize, text)
    }

    /// The enumerators of an enum with their values, a 64-bit value by its bits. Empty for anything else.
    pub fn enumerators(&self, id: TypeId) -> impl Iterator<Item = (&str, i64)> {
        self.values(id).map(|(name, value)| (self.name(name), value))
    }

    /// The value of the enumerator `name` of an enum.
    pub fn enumerator(&self, id: TypeId, name: &str) -> Option<i64> {
        self.values(id).find(|(found, _)| self.is_name(*found, name)).map(|(_, value)| value)
    }

    /// The places of the names of enumerators, and their values.
    fn values(&self, id: TypeId) -> impl Iterator<Item = (u32, i64)> {
        let found = self.by_id(id);
        let words = match found.map(|found| found.kind) {
            Some(Kind::Enum) => 2,
            Some(Kind::Enum64) => 3,
            _ => usize::MAX / 8,
        };
        let signed = found.is_some_and(|found| found.flag);
        let rest = found.map_or(&[][..], |found| found.rest);
        rest.chunks_exact(words * 4).filter_map(move |entry| {
            let low = word(entry, 4)?;
            let value = match word(entry, 8) {
                Some(high) => (u64::from(high) << 32 | u64::from(low)).cast_signed(),
                None if signed => i64::from(low.cast_signed()),
                None => i64::from(low),
            };
            Some((word(entry, 0)?, value))
        })
    }
}

/// Whether the name at `at` is `text`.
fn is_name(names: &[u8], at: usize, text: &str) -> bool {
    names
        .get(at..)
        .is_some_and(|name| name.starts_with(text.as_bytes()) && name.get(text.len()) == Some(&0))
}

/// The `u32` at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(le)
}

/// The `u32` of four bytes.
#[inline(always)]
fn le(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
