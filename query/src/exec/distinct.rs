//! Passes over rows that were shown already.

use std::collections::HashSet;

use super::project::Projected;
use crate::value::Value;

/// The rows that were shown.
#[derive(Default)]
pub(super) struct Distinct {
    seen: HashSet<Vec<u8>>,
}

impl Distinct {
    /// Keeps the first of equal rows.
    pub(super) fn retain(&mut self, rows: &mut Vec<Projected>) {
        rows.retain(|row| self.seen.insert(identity(&row.shown)));
    }
}

/// What tells rows apart: equal rows have equal bytes.
fn identity(row: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |tag: u8, text: &[u8]| {
        bytes.push(tag);
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    };
    for value in row {
        match value {
            Value::Null => text(0, &[]),
            Value::Bool(value) => text(1, &[u8::from(*value)]),
            Value::Int(value) => text(2, &value.to_le_bytes()),
            Value::UInt(value) => text(3, &value.to_le_bytes()),
            // Both zeros are one number.
            Value::Float(value) => text(4, &(value + 0.0).to_le_bytes()),
            Value::Text(value) => text(5, value),
            Value::List(list) => {
                text(6, &(list.len() as u64).to_le_bytes());
                for item in list {
                    text(7, item);
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_tells_rows_apart() {
        let text = |text: &str| Value::text(text);
        let list =
            |items: &[&str]| Value::List(items.iter().map(|item| item.as_bytes().into()).collect());
        let rows = [
            vec![],
            vec![Value::Null],
            vec![Value::Null, Value::Null],
            vec![Value::Bool(false)],
            vec![Value::UInt(0)],
            vec![Value::Int(0)],
            vec![Value::Int(-1)],
            vec![Value::UInt(u64::MAX)],
            vec![Value::Float(0.0)],
            vec![text("")],
            vec![text(""), text("ab")],
            vec![text("a"), text("b")],
            vec![text("ab"), text("")],
            vec![list(&[])],
            vec![list(&["a", "b"])],
            vec![list(&["ab"])],
            vec![list(&["a"]), text("b")],
            vec![list(&["a"]), list(&["b"])],
        ];
        for (i, left) in rows.iter().enumerate() {
            for (j, right) in rows.iter().enumerate() {
                assert_eq!(identity(left) == identity(right), i == j, "{left:?} and {right:?}");
            }
        }
        assert_eq!(identity(&[Value::Float(0.0)]), identity(&[Value::Float(-0.0)]));
    }
}
