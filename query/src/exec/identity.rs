//! What tells values and rows apart: equal values, and only they, have equal bytes.
//!
//! Whether a row of one moment is a row of another is decided here and nowhere else: for a watch, for what changed
//! in it, and for `diff`.

use std::collections::HashMap;

use crate::value::Value;

/// What a row is known by from one moment to the next.
pub type Key = Box<[u8]>;

/// The key that `values` are.
pub fn key<'a>(values: impl IntoIterator<Item = &'a Value>) -> Key {
    let mut bytes = Vec::new();
    values.into_iter().for_each(|value| encode(value, &mut bytes));
    bytes.into()
}

/// What a row was at the moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The row of this number.
    Row(usize),
    /// Nothing.
    New,
    /// Some row, but which one nothing says.
    Unknown,
}

/// How the rows of two moments belong together.
#[derive(Debug, Default)]
pub struct Matched {
    /// What each row of the later moment was.
    pub before: Vec<Before>,
    /// The rows of the earlier moment that are there no more.
    pub gone: Vec<usize>,
}

/// Holds the rows of two moments against each other by their keys. Two rows are the same only if no other row has their
/// key at either moment; a row is new, or gone, if the other moment has none of its key.
#[must_use]
pub fn matched(before: &[Key], after: &[Key]) -> Matched {
    let mut rows: HashMap<&Key, [Vec<usize>; 2]> = HashMap::new();
    for (moment, keys) in [before, after].into_iter().enumerate() {
        for (row, key) in keys.iter().enumerate() {
            rows.entry(key).or_default()[moment].push(row);
        }
    }
    let of = |key: &Key| match &rows[key] {
        [before, _] if before.is_empty() => Before::New,
        [before, after] if before.len() == 1 && after.len() == 1 => Before::Row(before[0]),
        _ => Before::Unknown,
    };
    let is_gone = |row: &usize| rows[&before[*row]][1].is_empty();
    Matched {
        before: after.iter().map(of).collect(),
        gone: (0..before.len()).filter(is_gone).collect(),
    }
}

/// Appends the bytes of `value`. Those of several values tell them apart too, as no value's begin another's.
pub fn encode(value: &Value, bytes: &mut Vec<u8>) {
    let (tag, word) = match value {
        Value::Null => return bytes.push(0),
        Value::Bool(value) => return bytes.extend([1, u8::from(*value)]),
        Value::Int(value) => (2, value.to_le_bytes()),
        Value::UInt(value) => (3, value.to_le_bytes()),
        // Both zeros are one number.
        Value::Float(value) => (4, (value + 0.0).to_le_bytes()),
        Value::Text(text) => (5, (text.len() as u64).to_le_bytes()),
        Value::List(list) => (6, (list.len() as u64).to_le_bytes()),
    };
    bytes.push(tag);
    bytes.extend(word);
    match value {
        Value::Text(text) => bytes.extend(&**text),
        Value::List(list) => {
            for item in list.iter() {
                bytes.extend((item.len() as u64).to_le_bytes());
                bytes.extend(&**item);
            }
        }
        _ => {}
    }
}

/// The value whose bytes `bytes` begins with, which are taken from it. Of the two zeros it is the one without a sign.
pub(super) fn decode(bytes: &mut &[u8]) -> Value {
    let [tag] = taken(bytes);
    match tag {
        0 => Value::Null,
        1 => Value::Bool(taken(bytes) != [0]),
        2 => Value::Int(i64::from_le_bytes(taken(bytes))),
        3 => Value::UInt(u64::from_le_bytes(taken(bytes))),
        4 => Value::Float(f64::from_le_bytes(taken(bytes))),
        5 => Value::Text(text(bytes)),
        _ => Value::List((0..u64::from_le_bytes(taken(bytes))).map(|_| text(bytes)).collect()),
    }
}

/// The text of a length that stands before it.
#[allow(clippy::cast_possible_truncation)] // it was the length of a text
fn text(bytes: &mut &[u8]) -> Box<[u8]> {
    let length = u64::from_le_bytes(taken(bytes)) as usize;
    let (text, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    text.into()
}

/// The first `N` of `bytes`; zeros where there are none.
fn taken<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let Some((taken, rest)) = bytes.split_first_chunk() else { return [0; N] };
    *bytes = rest;
    *taken
}

#[cfg(test)]
mod tests {
    use super::Before::{New, Row, Unknown};
    use super::*;

    fn identity(row: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in row {
            encode(value, &mut bytes);
        }
        bytes
    }

    #[test]
    fn rows_are_the_same_only_by_a_key_that_is_unique_at_both_moments() {
        let keys = |text: &str| -> Vec<Key> {
            text.chars().map(|c| key([&Value::text(c.to_string())])).collect()
        };
        let of = |before, after| {
            let Matched { before, gone } = matched(&keys(before), &keys(after));
            (before, gone)
        };
        assert_eq!(of("abc", "cda"), (vec![Row(2), New, Row(0)], vec![1]));
        assert_eq!(of("aab", "baa"), (vec![Row(2), Unknown, Unknown], vec![]));
        assert_eq!(of("aa", "a"), (vec![Unknown], vec![]));
        assert_eq!(of("a", "aa"), (vec![Unknown, Unknown], vec![]));
        assert_eq!(of("aa", "bb"), (vec![New, New], vec![0, 1]));
        assert_eq!(of("", ""), (vec![], vec![]));
    }

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
            let bytes = identity(left);
            let mut rest = &*bytes;
            let read: Vec<Value> = left.iter().map(|_| decode(&mut rest)).collect();
            assert_eq!((&read, rest), (left, &[][..]));
        }
        let zero = identity(&[Value::Float(-0.0)]);
        assert_eq!(identity(&[Value::Float(0.0)]), zero);
        assert!(matches!(decode(&mut &*zero), Value::Float(zero) if zero.is_sign_positive()));
    }
}
