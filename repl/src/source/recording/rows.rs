//! A row of a recording: a line of JSON, and its values.

use query::catalog::Column;
use query::value::{Type, Value};
use serde_json::value::RawValue;

use super::file::MAX_LINE;
use crate::render::from_json;

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
        None => from_json(serde_json::from_str(cell).ok()?, column.ty)?,
    };
    let (low, high) = column.range();
    let fits = column.ty == Type::Float
        || value.integer().is_none_or(|value| (low..=high).contains(&value));
    fits.then_some(value)
}
