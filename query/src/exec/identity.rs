//! What tells values apart: equal values, and only they, have equal bytes.

use crate::value::Value;

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
            for item in list {
                bytes.extend((item.len() as u64).to_le_bytes());
                bytes.extend(&**item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(row: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in row {
            encode(value, &mut bytes);
        }
        bytes
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
        }
        assert_eq!(identity(&[Value::Float(0.0)]), identity(&[Value::Float(-0.0)]));
    }
}
