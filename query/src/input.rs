//! What a query reads of a row before it computes anything.

use std::sync::Arc;

use crate::catalog::{Column, Source};
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
        }
    }

    /// The column that it is, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&'static Column> {
        match self {
            Self::Column(column) => Some(column),
            Self::Path(_) | Self::Delta(_) => None,
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
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Column(column) => column.unit,
            Self::Path(path) => path.unit(),
            Self::Delta(change) => change.unit,
        }
    }

    /// Of an integer, the bits that its value takes at most.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self {
            Self::Column(column) => column.bits,
            Self::Path(path) => path.bits(),
            Self::Delta(_) => 64,
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
            Self::Column(_) | Self::Delta(_) => None,
            Self::Path(path) => Some(path),
        }
    }

    /// The change that it is, if it is one.
    #[must_use]
    pub fn change(&self) -> Option<&Arc<Delta>> {
        match self {
            Self::Column(_) | Self::Path(_) => None,
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
            Self::Delta(_) => false,
        }
    }

    /// Whether the kernel's program reads it as a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        match self {
            Self::Column(column) => matches!(column.source, Source::Text(_)),
            Self::Path(path) => path.is_text(),
            Self::Delta(_) => false,
        }
    }

    /// Whether user space looks it up.
    #[must_use]
    pub fn is_lookup(&self) -> bool {
        matches!(self.source(), Some(Source::Host(..)))
    }
}
