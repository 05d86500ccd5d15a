//! A row on the screen of a watch, and the order of rows by a column.

use std::cmp::Ordering;

use query::value::Value;

/// Whether a row was there before, and still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Same,
    New,
    Gone,
}

/// A row on the screen.
#[derive(Clone, Debug)]
pub struct Entry {
    pub values: Vec<Value>,
    /// Its values in the tick before.
    pub before: Option<Vec<Value>>,
    pub mark: Mark,
}

/// The order of two values; what is not there comes last.
pub fn order(left: &Value, right: &Value, descending: bool) -> Ordering {
    let null = |value: &Value| *value == Value::Null;
    null(left).cmp(&null(right)).then_with(|| {
        let order = left.compare(right).unwrap_or(Ordering::Equal);
        if descending { order.reverse() } else { order }
    })
}
