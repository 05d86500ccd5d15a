//! Members of the kernel's structs, named in a query: `s->node[0]->nr_partial`.
//!
//! A path begins at a struct of the row and goes on by members, elements and pointers. [`walk()`] follows it through
//! the kernel's types, and what it comes to is a [`Path`]: the pointers that the program follows, the place of the
//! member behind the last of them, and how its bytes are read.
//!
//! # NULL
//!
//! A value is NULL where a pointer on the way is NULL or leads to memory that cannot be read. A pointer at the end of
//! a path is a number, and of none it is 0; but of an object it is NULL, so that `o->d_inode is null` asks for what has no
//! inode. A `char *` of none is NULL, as it has no text.

mod list;
mod member;
mod root;
mod walk;

use std::sync::Arc;

pub use list::{Listed, list};
pub use root::{Root, Roots};
pub use walk::walk;

use crate::capabilities::Capabilities;
use crate::catalog::{Rows, Table};
use crate::diagnostic::Diagnostic;
use crate::input::Input;
use crate::syntax::ast;
use crate::value::{Type, Unit};

/// A path that leads to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// As it is written.
    pub text: String,
    /// Where it begins.
    pub base: Base,
    /// The pointers that are followed: each one's offset in bytes from what the one before it points to.
    pub hops: Vec<u32>,
    /// The value's offset from what the last pointer points to.
    pub offset: u32,
    /// What is read there.
    pub value: Stored,
    /// Whether the verifier knows what lies there to be just this: no union is on the way, and no bit-field.
    pub plain: bool,
}

/// A struct of the row, at which a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// `s`: the row's `struct kmem_cache`.
    Cache,
    /// `n`: the row's `struct kmem_cache_node`.
    Node,
    /// `slab`: the row's `struct slab`.
    Slab,
    /// `o`: the row's object, a struct that depends on its cache.
    Object,
}

/// How a value lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A number in a register.
    Number {
        /// The integer that holds it, in bytes: 1, 2, 4 or 8.
        size: u8,
        /// Of a bit-field the first bit and the number of bits, from the least significant one.
        bits: Option<(u8, u8)>,
        /// What it is.
        kind: Number,
    },
    /// A text that ends with a NUL, of at most this many bytes with it.
    Text {
        /// Bytes; none where nothing but the NUL ends it.
        size: Option<u16>,
    },
}

/// What a number is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// An integer with or without a sign.
    Integer {
        /// Whether it has one.
        signed: bool,
    },
    /// 0 or 1.
    Bool,
    /// An address.
    Pointer,
    /// A value of an enum, shown by its name.
    Enum {
        /// Whether its integer has a sign.
        signed: bool,
        /// The names.
        names: Names,
    },
}

/// The enumerators of an enum and their values.
pub type Names = Arc<[(String, i64)]>;

/// What a query that names `path` reads of a row of `table`; with `number`, an enum as its number. `roots` knows what
/// its paths begin at.
pub fn input(
    capabilities: &dyn Capabilities,
    table: &Table,
    path: &ast::Path,
    number: bool,
    roots: &mut Roots<'_>,
) -> Result<Input, Diagnostic> {
    let Some(schema) = capabilities.schema() else {
        let span = path.steps.last().map_or(path.base.span, |last| path.base.span.to(last.span));
        return Err(Diagnostic::new(span, "members can be read in the running kernel only")
            .label("a recording contains only columns")
            .help(format!("`.schema {}` lists the columns", table.name)));
    };
    let found = walk(schema, table, path, roots)?;
    Ok(Input::Path(Arc::new(if number { found.as_number() } else { found })))
}

impl Base {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Cache, Self::Node, Self::Slab, Self::Object];

    /// What it is called in a query.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "s",
            Self::Node => "n",
            Self::Slab => "slab",
            Self::Object => "o",
        }
    }

    /// The struct that it is in the kernel; none of an object, whose struct depends on its cache.
    #[must_use]
    pub fn structure(self) -> Option<&'static str> {
        match self {
            Self::Cache => Some("kmem_cache"),
            Self::Node => Some("kmem_cache_node"),
            Self::Slab => Some("slab"),
            Self::Object => None,
        }
    }

    /// What its members are of, in a phrase.
    #[must_use]
    pub fn described(self) -> String {
        match self.structure() {
            Some(name) => format!("struct {name}"),
            None => "an object of the cache".to_owned(),
        }
    }

    /// Whether a row of a table made of `rows` has it.
    #[must_use]
    pub fn is_of(self, rows: Rows) -> bool {
        match self {
            Self::Cache => !matches!(rows, Rows::Host(_)),
            Self::Node => rows == Rows::Nodes,
            Self::Slab => rows == Rows::Slabs,
            Self::Object => rows == Rows::Objects,
        }
    }
}

impl Path {
    /// The type of its values.
    #[must_use]
    pub fn ty(&self) -> Type {
        match &self.value {
            Stored::Text { .. } => Type::Text,
            Stored::Number { kind, .. } => match kind {
                Number::Integer { signed: true } => Type::Int,
                Number::Integer { signed: false } | Number::Pointer => Type::UInt,
                Number::Bool => Type::Bool,
                Number::Enum { .. } => Type::Text,
            },
        }
    }

    /// The type of what a row carries: of an enum the number.
    #[must_use]
    pub fn carried(&self) -> Type {
        match &self.value {
            Stored::Number { kind: Number::Enum { signed: true, .. }, .. } => Type::Int,
            Stored::Number { kind: Number::Enum { signed: false, .. }, .. } => Type::UInt,
            _ => self.ty(),
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self.value {
            Stored::Number { kind: Number::Pointer, .. } => Unit::Hex,
            _ => Unit::None,
        }
    }

    /// Of a number, the bits that its value takes at most.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match &self.value {
            Stored::Number { kind: Number::Bool, .. } => 1,
            Stored::Number { bits: Some((_, count)), .. } => *count,
            Stored::Number { size, .. } => 8 * size,
            Stored::Text { .. } => 64,
        }
    }

    /// Whether it is a pointer of an object, which is NULL where it leads nowhere.
    #[must_use]
    pub fn is_null_by_zero(&self) -> bool {
        self.base == Base::Object
            && matches!(self.value, Stored::Number { kind: Number::Pointer, .. })
    }

    /// Whether it is read as a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.value, Stored::Text { .. })
    }

    /// Whether it is a text that ends with its array where no NUL ends it.
    #[must_use]
    pub fn is_array(&self) -> bool {
        matches!(self.value, Stored::Text { size: Some(_) })
    }

    /// Of an enum the names of its values.
    #[must_use]
    pub fn names(&self) -> Option<&Names> {
        match &self.value {
            Stored::Number { kind: Number::Enum { names, .. }, .. } => Some(names),
            _ => None,
        }
    }

    /// Whether one instruction loads it from the pointer that the iterator gives. What else there is must be read by
    /// a helper, which can fail, and then the value is NULL.
    ///
    /// A pointer is loaded by one too, but each such load costs the verifier three searches through all types.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        let number = match &self.value {
            Stored::Number { bits: None, kind, .. } => *kind != Number::Pointer,
            _ => false,
        };
        self.base == Base::Cache
            && self.hops.is_empty()
            && self.plain
            && number
            && i16::try_from(self.offset).is_ok()
    }

    /// The same, an enum as its number.
    #[must_use]
    pub fn as_number(mut self) -> Self {
        if let Stored::Number { kind, .. } = &mut self.value
            && let Number::Enum { signed, .. } = kind
        {
            *kind = Number::Integer { signed: *signed };
            self.text.push_str(" as a number");
        }
        self
    }
}

/// The name of a value of an enum; of one without a name its number.
#[must_use]
pub fn name_of(names: &Names, value: i128) -> String {
    let found = names.iter().find(|(_, known)| i128::from(*known) == value);
    found.map_or_else(|| value.to_string(), |(name, _)| name.clone())
}
