//! Describes an answer: what renderers and tests get from a query.
//!
//! # Units
//!
//! Numbers are in the base unit of their column: bytes, hundredths, things. A flag set is a [`Value::UInt`] of
//! its bits; the names of the bits come with the column, because they differ between kernels.
//!
//! # Invariants
//!
//! A row has as many values as the answer has columns, in the same order.
//!
//! # Not done here
//!
//! Turning values into text; renderers do that.

use std::sync::Arc;

use crate::value::{Type, Unit, Value};

/// A column of an answer.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct OutputColumn {
    /// What the query calls it. Several columns may share a name.
    pub name: String,
    /// What its values are when they are not NULL.
    pub ty: Type,
    /// What its numbers count.
    pub unit: Unit,
    /// Whether they count it for each second: `rate(x)`.
    pub per_second: bool,
    /// Whether they are what something changed by: above 0 it grew.
    pub change: bool,
    /// Of a flag set the names of bits and their numbers, in any order.
    pub flag_names: Option<Arc<[(String, u32)]>>,
    /// What the catalog says that it is, if it is a column of a table, or an aggregate over one.
    pub doc: Option<String>,
    /// Whether it is a part of what tells rows apart: a key of groups, the number of a node or CPU.
    pub identifies: bool,
    /// Whether it says which row is the totals of `with totals`.
    pub totals: bool,
}

impl OutputColumn {
    /// A column whose bits, if any, have no names.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: Type, unit: Unit) -> Self {
        Self {
            name: name.into(),
            ty,
            unit,
            per_second: false,
            change: false,
            flag_names: None,
            doc: None,
            identifies: false,
            totals: false,
        }
    }

    /// The same column with names for its bits.
    #[must_use]
    pub fn with_flag_names(self, names: Arc<[(String, u32)]>) -> Self {
        Self { flag_names: Some(names), ..self }
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Its columns, in the order of the query.
    pub columns: Vec<OutputColumn>,
    /// Its rows.
    pub rows: Vec<Vec<Value>>,
    /// Sentences about what the rows leave out; not part of the answer itself.
    pub warnings: Vec<String>,
}
