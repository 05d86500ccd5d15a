//! What the compiler asks of the kernel: where members lie, what numbers things have.
//!
//! The answers come from the running kernel's BTF, or in tests from a made-up kernel. A member, function or flag
//! that a kernel does not have is `None`: what depends on it is NULL with a reason, or another template serves.

use crate::catalog::{Column, Table};
use crate::diagnostic::{Diagnostic, Span};

/// A member of a kernel type, found by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the outermost type. Of a bit-field: of the integer that holds it.
    pub offset: u32,
    /// Bytes. Of an array: of the whole array.
    pub size: u32,
    /// Whether it is a signed integer.
    pub signed: bool,
    /// Of a bit-field the first bit and the number of bits, counted from the least significant bit of the
    /// integer at `offset`.
    pub bits: Option<(u8, u8)>,
    /// What it is.
    pub kind: MemberKind,
}

/// What a member is, typedefs and qualifiers taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// An integer, a bool or an enum.
    Integer,
    /// A pointer.
    Pointer,
    /// A struct, union, or anything else that does not fit a register.
    Other,
}

/// A type of the kernel, by its number in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub u32);

/// What a type is, typedefs and qualifiers taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An integer.
    Integer {
        /// Its name in C; `char` makes a text of an array.
        name: String,
        /// Bytes.
        size: u32,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `bool`.
    Bool,
    /// An enum.
    Enum {
        /// Bytes.
        size: u32,
        /// Whether it has a sign.
        signed: bool,
        /// The enumerators and their values.
        names: Vec<(String, i64)>,
    },
    /// A pointer.
    Pointer {
        /// What it points to.
        to: TypeId,
        /// Whether it is marked as an offset into the memory of each CPU.
        per_cpu: bool,
    },
    /// An array.
    Array {
        /// Of what.
        of: TypeId,
        /// How many; 0 of a flexible one.
        length: u32,
    },
    /// A struct or union.
    Struct {
        /// Its name in C; empty if it has none.
        name: String,
        /// Whether it is a union.
        union: bool,
        /// Its members, in order.
        fields: Vec<Field>,
    },
    /// A function.
    Function,
    /// A struct of which nothing but the name is known, or no type at all: `void`.
    Opaque,
    /// Anything else.
    Other,
}

/// A member as its struct declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty of one whose own members count as the struct's.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// Bits from the start of the struct.
    pub at: u64,
    /// Of a bit-field its bits.
    pub width: Option<u8>,
}

/// The array in which the kernel describes pages, by their numbers (`vmemmap`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageArray {
    /// Where page 0 is described, or would be.
    pub base: u64,
    /// Where page 0 lies in the kernel's own memory, or would (`page_offset`).
    pub page_offset: u64,
    /// Bytes of a description.
    pub record: u64,
}

impl PageArray {
    /// Where the page at an address of the kernel's own mapping is described.
    #[must_use]
    pub fn description(&self, address: u64, page_size: u64) -> u64 {
        let pfn = address.wrapping_sub(self.page_offset) / page_size;
        self.base.wrapping_add(pfn.wrapping_mul(self.record))
    }
}

/// The objects that a query over `objects` reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The address of their cache; 0 where those of all caches are read.
    pub cache: u64,
    /// The most of them that are in one slab.
    pub most: u64,
    /// The bytes of one that its users see.
    pub size: u64,
    /// The struct that each of them is; or why that is not known.
    pub structure: Result<String, Unknown>,
}

/// What is not known of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What is wrong.
    pub message: String,
    /// What would work.
    pub help: Option<String>,
    /// Which of the table's arguments is to blame, if one is.
    pub argument: Option<usize>,
}

impl Unknown {
    /// What is not known, and what would work.
    #[must_use]
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()), argument: None }
    }

    /// The same, of which an argument of the table is to blame.
    #[must_use]
    pub fn of(self, argument: usize) -> Self {
        Self { argument: Some(argument), ..self }
    }
}

/// The kernel, as far as a compiler needs it.
pub trait Schema {
    /// The member of `struct type_name` at `path`: names joined by dots, elements of arrays by a number in
    /// brackets: `oo.x`, `node[0]`, `per_node[1].node`. Unnamed members are passed through.
    fn member(&self, type_name: &str, path: &str) -> Option<Member>;

    /// Whether there is such a member. A program for other kernels asks, where it can do without.
    fn has_member(&self, type_name: &str, path: &str) -> bool {
        self.member(type_name, path).is_some()
    }

    /// The BTF id of `struct name`.
    fn struct_id(&self, name: &str) -> Option<u32>;

    /// The BTF id of the function `name`.
    fn function_id(&self, name: &str) -> Option<u32>;

    /// The number of the helper `bpf_<name>`, of `enum bpf_func_id`.
    fn helper(&self, name: &str) -> Option<u32>;

    /// The enumerators of `enum _slab_flag_bits` without their `_SLAB_`, and their bit numbers. Empty where the
    /// kernel has no such enum.
    fn slab_flags(&self) -> &[(String, u32)];

    /// The enumerators `___GFP_*_BIT` without that frame, and their bit numbers.
    fn gfp_flags(&self) -> &[(String, u32)];

    /// Bytes of a page.
    fn page_size(&self) -> u64;

    /// Why this process may not read the file that `column` of `table` is read from; none if it may, or if there is no
    /// such file. It opens the file, so only who asks about columns asks this: a query says itself what it cannot read.
    fn refused(&self, _table: &Table, _column: &Column) -> Option<String> {
        None
    }

    /// Whether the kernel notes which line of code allocates each object (Linux 6.10); or why it does not. What it was built
    /// with is not asked.
    fn profiling(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether any cache keeps records of who allocated its objects; or why none does. What the kernel was built with is not
    /// asked.
    fn records(&self) -> Result<(), String> {
        Ok(())
    }

    /// What the way to the kernel's caches is called.
    fn source(&self) -> &'static str {
        "live"
    }

    /// Possible NUMA nodes: the highest number and 1.
    fn nodes(&self) -> u32;

    /// For each possible CPU the distance from a per-CPU pointer to that CPU's copy; or why it is not known.
    fn cpu_offsets(&self) -> Result<&[u64], String>;

    /// The address of the head of the list of caches; or why it is not known. Only the template that follows the list
    /// asks for it.
    fn slab_caches(&self) -> Result<u64, Diagnostic> {
        Err(Diagnostic::new(Span::default(), "the list of caches is not known"))
    }

    /// Whether the kernel bounds loops by `may_goto` (Linux 6.9). Only what looks up addresses asks.
    fn may_goto(&self) -> bool {
        true
    }

    /// The value of the enumerator `name` of `enum type_name`.
    fn enumerator(&self, _type_name: &str, _name: &str) -> Option<i64> {
        None
    }

    /// Whether there is such an enumerator.
    fn has_enumerator(&self, type_name: &str, name: &str) -> bool {
        self.enumerator(type_name, name).is_some()
    }

    /// Where the descriptions of pages lie; or why that is not known. Only what is asked of slabs needs it.
    fn page_array(&self) -> Result<PageArray, String> {
        Err("the address of the kernel's page descriptors is not known".to_owned())
    }

    /// The objects of the cache that the table's arguments name, and of the struct that they name; without any, those of
    /// all caches. Only what is asked of members of objects needs it.
    fn objects(&self, _arguments: &[&str]) -> Result<Objects, Unknown> {
        Err(Unknown { message: "the caches are not known".to_owned(), help: None, argument: None })
    }

    /// What the type `id` is; none where it cannot be told.
    fn shape(&self, id: TypeId) -> Option<Shape>;

    /// Bytes of the type `id`; none where it cannot be told.
    fn size_of(&self, id: TypeId) -> Option<u64>;

    /// The type `id` as C spells it: `const char *`, `struct kmem_cache_node *[1024]`.
    fn spelling(&self, id: TypeId) -> String;

    /// The kernel's release, as `uname -r` says it.
    fn release(&self) -> &str;
}
