//! What an expression comes to between its operators, where integers have 128 bits.

use std::cmp::Ordering;

use super::{Warnings, whole_value};
use crate::value::{Type, Value, compare_float_integer};

/// A value, or an integer on its way to one.
#[derive(Clone, Debug)]
pub enum Term {
    /// A value.
    Value(Value),
    /// An integer that 64 bits do not hold.
    Wide(i128),
}

impl Term {
    /// An integer.
    pub(crate) fn exact(exact: i128, ty: Type) -> Self {
        whole_value(exact, ty).map_or(Self::Wide(exact), Self::Value)
    }

    /// Its integer, if it is one.
    pub(crate) fn integer(&self) -> Option<i128> {
        match self {
            Self::Value(value) => value.integer(),
            Self::Wide(exact) => Some(*exact),
        }
    }

    /// Its number as a double, rounded to the nearest.
    #[allow(clippy::cast_precision_loss)] // a double is what was asked for
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Self::Value(value) => value.float(),
            Self::Wide(exact) => Some(*exact as f64),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }

    /// The order of two of them, as that of values.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match other {
            Self::Value(other) => self.compare_with(other),
            Self::Wide(exact) => match self {
                Self::Value(value) => other.compare_with(value).map(Ordering::reverse),
                Self::Wide(own) => Some(own.cmp(exact)),
            },
        }
    }

    /// The order of this and a value.
    pub(crate) fn compare_with(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Self::Value(value), other) => value.compare(other),
            (Self::Wide(exact), Value::Float(float)) => {
                Some(compare_float_integer(*float, *exact).reverse())
            }
            (Self::Wide(exact), other) => other.integer().map(|other| exact.cmp(&other)),
        }
    }

    /// One of several as the type that they have in common.
    pub(crate) fn of_type(self, ty: Type) -> Self {
        match (ty, self.integer()) {
            (Type::Float, Some(_)) => Self::Value(self.float().map_or(Value::Null, Value::real)),
            (Type::Int | Type::UInt, Some(exact)) => Self::exact(exact, ty),
            _ => self,
        }
    }

    /// As a value: NULL and a warning where 64 bits do not hold it.
    pub(crate) fn held(self, warnings: &mut Warnings) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Wide(_) => warnings.null(),
        }
    }
}

impl From<Value> for Term {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}
