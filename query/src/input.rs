//! What a query reads of a row before it computes anything.

use std::sync::Arc;

use crate::catalog::{Column, Lookup, Source};
use crate::delta::Delta;
use crate::path::{Names, Path};
use crate::value::{Type, Unit};

/// One thing that a query reads of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A stored column.
    Column(&'static Column),
    /// A member of the kernel's structs.
    Path(Arc<Path>),
    /// What changed since the tick before, which user space fills.
    Delta(Arc<Delta>),
    /// What the source looks up for a call of a function.
    Call(Arc<Call>),
}

/// A call of a function that the source of the rows answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is looked up.
    pub lookup: Lookup,
    /// Its arguments.
    pub of: Vec<Input>,
    /// The type of what is found.
    pub ty: Type,
    /// The call as it is written.
    pub text: String,
}

impl From<&'static Column> for Input {
    fn from(column: &'static Column) -> Self {
        Self::Column(column)
    }
}

impl Input {
    /// What it is called in `explain` and in listings.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Column(column) => column.name,
            Self::Path(path) => &path.text,
            Self::Delta(change) => &change.text,
            Self::Call(call) => &call.text,
        }
    }

    /// The column that it is, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&'static Column> {
        match self {
            Self::Column(column) => Some(column),
            Self::Path(_) | Self::Delta(_) | Self::Call(_) => None,
        }
    }

    /// Of a column, where its value comes from.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        self.column().map(|column| column.source)
    }

    /// The type of its values.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            Self::Column(column) => column.ty,
            Self::Path(path) => path.ty(),
            Self::Delta(change) => change.ty,
            Self::Call(call) => call.ty,
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Column(column) => column.unit,
            Self::Path(path) => path.unit(),
            Self::Delta(change) => change.unit,
            Self::Call(_) => Unit::None,
        }
    }

    /// Of an integer, the bits that its value takes at most.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self {
            Self::Column(column) => column.bits,
            Self::Path(path) => path.bits(),
            Self::Delta(_) | Self::Call(_) => 64,
        }
    }

    /// The least and the greatest integer that it can be.
    #[must_use]
    pub fn range(&self) -> (i128, i128) {
        let bits = self.bits();
        match self.ty() {
            Type::Int => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            _ => (0, (1 << bits) - 1),
        }
    }

    /// The path that it is, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Column(_) | Self::Delta(_) | Self::Call(_) => None,
            Self::Path(path) => Some(path),
        }
    }

    /// The change that it is, if it is one.
    #[must_use]
    pub fn change(&self) -> Option<&Arc<Delta>> {
        match self {
            Self::Column(_) | Self::Path(_) | Self::Call(_) => None,
            Self::Delta(change) => Some(change),
        }
    }

    /// The type of what a row carries, of which user space makes the value.
    #[must_use]
    pub fn carried(&self) -> Type {
        self.path().map_or_else(|| self.ty(), Path::carried)
    }

    /// Where its values are numbers with names, the names.
    #[must_use]
    pub fn names(&self) -> Option<&Names> {
        self.path().and_then(Path::names)
    }

    /// Whether a number of the kernel's program can be NULL.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.path().is_some_and(|path| !path.is_direct())
    }

    /// Whether the kernel's program reads it, as opposed to user space.
    #[must_use]
    pub fn in_kernel(&self) -> bool {
        match self {
            Self::Column(column) => column.in_kernel(),
            Self::Path(_) => true,
            Self::Delta(_) | Self::Call(_) => false,
        }
    }

    /// Whether the kernel's program reads it as a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        match self {
            Self::Column(column) => matches!(column.source, Source::Text(_)),
            Self::Path(path) => path.is_text(),
            Self::Delta(_) | Self::Call(_) => false,
        }
    }

    /// What user space looks up for it, if it does.
    #[must_use]
    pub fn lookup(&self) -> Option<Lookup> {
        match self {
            Self::Column(Column { source: Source::Host(lookup, _), .. }) => Some(*lookup),
            Self::Call(call) => Some(call.lookup),
            Self::Column(_) | Self::Path(_) | Self::Delta(_) => None,
        }
    }

    /// Whether user space looks it up.
    #[must_use]
    pub fn is_lookup(&self) -> bool {
        self.lookup().is_some()
    }
}
