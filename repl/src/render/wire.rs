//! Writes what another slabql reads: the columns, then a row a line, then how many there were.
//!
//! ```text
//! {"slabql":"answer","version":1,"columns":[{"name":"size","type":"uint","unit":"bytes"}]}
//! [192]
//! {"rows":1}
//! ```
//!
//! A column also says `per_second`, `change`, `identifies` and `totals` where they are true, and of flags the numbers of their names
//! (`flags`). Values are those of a recording: integers to the last digit, texts to the last byte.

use std::io::{self, Write};

use query::output::OutputColumn;
use query::value::{Type, Value};
use serde_json::{Map, Value as Json, json};

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::json::{text_from_json, text_to_json};

/// What the first line says that an answer is.
pub const MARK: &str = "answer";
/// The version that is written, and the one that is read.
pub const VERSION: u64 = 1;

/// What `wire` is.
pub static WIRE: FormatRow = FormatRow {
    name: "wire",
    endings: &["wire"],
    help: "what `--host` reads of another slabql",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: false,
    begin: |frame, out| {
        let columns: Vec<Json> = frame.columns.iter().map(column).collect();
        let head = json!({ "slabql": MARK, "version": VERSION, "columns": columns });
        writeln!(out, "{head}")?;
        Ok(Box::new(Wire { line: Vec::new(), count: 0 }))
    },
};

/// Rows on their way.
struct Wire {
    line: Vec<u8>,
    count: u64,
}

impl Rows for Wire {
    fn add(&mut self, _: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            self.line.clear();
            push_row(&mut self.line, row)?;
            out.write_all(&self.line)?;
            self.count += 1;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Frame, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", json!({ "rows": self.count }))
    }
}

/// What is said of a column.
fn column(column: &OutputColumn) -> Json {
    let mut said = Map::new();
    said.insert("name".to_owned(), json!(column.name));
    said.insert("type".to_owned(), json!(column.ty.name()));
    said.insert("unit".to_owned(), json!(column.unit.name()));
    for (key, is) in [
        ("per_second", column.per_second),
        ("change", column.change),
        ("identifies", column.identifies),
        ("totals", column.totals),
    ] {
        if is {
            said.insert(key.to_owned(), json!(true));
        }
    }
    if let Some(names) = &column.flag_names {
        let bits: Map<String, Json> =
            names.iter().map(|(name, bit)| (name.clone(), json!(bit))).collect();
        said.insert("flags".to_owned(), Json::Object(bits));
    }
    Json::Object(said)
}

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

/// The value of a type that was written so.
#[must_use]
pub fn from_json(value: Json, ty: Type) -> Option<Value> {
    Some(match (value, ty) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(value), Type::Bool) => Value::Bool(value),
        (Json::Number(value), Type::Int) => match value.as_i64() {
            Some(value) => Value::Int(value),
            None => Value::UInt(value.as_u64()?),
        },
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
