//! A row of a recording: a line of JSON, and its values.

use std::fmt;

use query::catalog::Column;
use query::value::{Type, Value};
use serde_core::Deserializer;
use serde_core::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::file::MAX_LINE;
use crate::render::from_json;

/// The columns of a row that are wanted, with their places.
type Wanted = [Option<(usize, &'static Column)>];

/// A line as a row of `width` values, with the columns that are wanted in their places. A value that its column cannot
/// have makes it none.
pub fn row(line: &str, wanted: &Wanted, width: usize) -> Option<Vec<Value>> {
    if line.len() > MAX_LINE {
        return None;
    }
    let read = |plain| {
        let mut reader = serde_json::Deserializer::from_str(line);
        let row = reader.deserialize_seq(Cells { wanted, width, plain }).ok()?;
        reader.end().ok().map(|()| row)
    };
    read(true).or_else(|| read(false))
}

/// Reads the cells of a line.
struct Cells<'a> {
    wanted: &'a Wanted,
    width: usize,
    /// Whether texts are strings without escapes and integers fit 64 bits with a sign, as nearly all do: they are
    /// copied once.
    plain: bool,
}

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the values of a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Self::Value, A::Error> {
        let mut row = Vec::with_capacity(self.width);
        row.resize_with(self.width, || Value::Null);
        for wanted in self.wanted {
            let missing = || A::Error::custom("too few values");
            let Some((at, column)) = wanted else {
                cells.next_element::<IgnoredAny>()?.ok_or_else(missing)?;
                continue;
            };
            let value = match column.ty {
                Type::UInt | Type::SlabFlags | Type::GfpFlags => {
                    let integer: Option<u64> = cells.next_element()?.ok_or_else(missing)?;
                    integer.map_or(Value::Null, Value::UInt)
                }
                Type::Int if self.plain => {
                    let integer: Option<i64> = cells.next_element()?.ok_or_else(missing)?;
                    integer.map_or(Value::Null, Value::Int)
                }
                Type::Text if self.plain => {
                    let text: Option<&str> = cells.next_element()?.ok_or_else(missing)?;
                    text.map_or(Value::Null, |text| Value::Text(text.as_bytes().into()))
                }
                ty => {
                    let cell: Json = cells.next_element()?.ok_or_else(missing)?;
                    from_json(cell, ty)
                        .ok_or_else(|| A::Error::custom("a value of another type"))?
                }
            };
            let (low, high) = column.range();
            let fits = column.ty == Type::Float
                || value.integer().is_none_or(|value| (low..=high).contains(&value));
            if !fits {
                return Err(A::Error::custom("a value that the column cannot have"));
            }
            row[*at] = value;
        }
        match cells.next_element::<IgnoredAny>()? {
            None => Ok(row),
            Some(_) => Err(A::Error::custom("too many values")),
        }
    }
}
