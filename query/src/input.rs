//! What a query reads of a row before it computes anything.

use crate::catalog::{Column, Source};
use crate::value::{Type, Unit};

/// One thing that a query reads of each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A stored column.
    Column(&'static Column),
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
        }
    }

    /// The column that it is, if it is one.
    #[must_use]
    pub fn column(&self) -> Option<&'static Column> {
        match self {
            Self::Column(column) => Some(column),
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
        }
    }

    /// What its values count.
    #[must_use]
    pub fn unit(&self) -> Unit {
        match self {
            Self::Column(column) => column.unit,
        }
    }

    /// Of an integer, the bits that its value takes at most.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self {
            Self::Column(column) => column.bits,
        }
    }

    /// The least and the greatest integer that it can be.
    #[must_use]
    pub fn range(&self) -> (i128, i128) {
        match self {
            Self::Column(column) => column.range(),
        }
    }

    /// Whether the kernel's program reads it, as opposed to user space.
    #[must_use]
    pub fn in_kernel(&self) -> bool {
        match self {
            Self::Column(column) => column.in_kernel(),
        }
    }

    /// Whether the kernel's program reads it as a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.source(), Some(Source::Text(_)))
    }

    /// Whether user space looks it up.
    #[must_use]
    pub fn is_lookup(&self) -> bool {
        matches!(self.source(), Some(Source::Host(..)))
    }
}
