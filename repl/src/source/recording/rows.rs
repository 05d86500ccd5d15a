//! A row of a recording: a line of JSON, and its values.

use std::io;

use query::catalog::Column;
use query::value::{Type, Value};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::file::MAX_LINE;
use crate::render::{text_from_json, text_to_json};

/// Appends a row as a line.
pub fn push_row(line: &mut Vec<u8>, row: &[Value]) -> io::Result<()> {
    for (at, value) in row.iter().enumerate() {
        line.push(if at == 0 { b'[' } else { b',' });
        push(line, value)?;
    }
    line.extend(if row.is_empty() { "[]\n" } else { "]\n" }.as_bytes());
    Ok(())
}

fn push(line: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => line.extend(b"null"),
        Value::Bool(value) => serde_json::to_writer(line, value)?,
        Value::Int(value) => serde_json::to_writer(line, value)?,
        Value::UInt(value) => serde_json::to_writer(line, value)?,
        Value::Float(value) => serde_json::to_writer(line, value)?,
        Value::Text(text) => serde_json::to_writer(line, &text_to_json(text))?,
        Value::List(list) => {
            let texts: Vec<String> = list.iter().map(|text| text_to_json(text)).collect();
            serde_json::to_writer(line, &texts)?;
        }
    }
    Ok(())
}

/// A line as a row of `width` values, with the columns that are wanted in their places. A value that its column cannot
/// have makes it none.
pub fn row(
    line: &str,
    wanted: &[Option<(usize, &'static Column)>],
    width: usize,
) -> Option<Vec<Value>> {
    let cells: Vec<&RawValue> = serde_json::from_str(line).ok()?;
    if line.len() > MAX_LINE || cells.len() != wanted.len() {
        return None;
    }
    let mut row = vec![Value::Null; width];
    for (cell, wanted) in cells.into_iter().zip(wanted) {
        if let Some((at, column)) = wanted {
            row[*at] = value(cell.get(), column)?;
        }
    }
    Some(row)
}

/// The value of a cell, which is JSON.
fn value(cell: &str, column: &Column) -> Option<Value> {
    let plain = match column.ty {
        Type::UInt | Type::SlabFlags | Type::GfpFlags => cell.parse().ok().map(Value::UInt),
        // Without a backslash a string is what stands between its quotes.
        Type::Text if !cell.contains('\\') => cell
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .map(|text| Value::Text(text.as_bytes().into())),
        _ => None,
    };
    let value = match plain {
        Some(value) => value,
        None => from_json(serde_json::from_str(cell).ok()?, column)?,
    };
    let (low, high) = column.range();
    let fits = column.ty == Type::Float
        || value.integer().is_none_or(|value| (low..=high).contains(&value));
    fits.then_some(value)
}

fn from_json(value: Json, column: &Column) -> Option<Value> {
    Some(match (value, column.ty) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(value), Type::Bool) => Value::Bool(value),
        (Json::Number(value), Type::Int) => Value::Int(value.as_i64()?),
        (Json::Number(value), Type::UInt | Type::SlabFlags | Type::GfpFlags) => {
            Value::UInt(value.as_u64()?)
        }
        (Json::Number(value), Type::Float) => Value::Float(value.as_f64()?),
        (Json::String(text), Type::Text) => Value::Text(text_from_json(&text)?.into()),
        (Json::Array(list), Type::List) => Value::List(
            list.iter()
                .map(|text| Some(text_from_json(text.as_str()?)?.into()))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}
