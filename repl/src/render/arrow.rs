//! Writes an Arrow IPC stream: a record batch for each batch of rows, as it comes.
//!
//! [`columnar`](super::columnar) says what becomes of a column; what it counts is the key `unit` of a field's metadata.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field as ArrowField, Schema, SchemaRef};
use query::value::Value;

use super::columnar::{Field, Kind, check, fields};
use super::format::{Capacity, FormatRow, Frame, Rows};

/// What `arrow` is.
pub static ARROW: FormatRow = FormatRow {
    name: "arrow",
    endings: &["arrow", "arrows"],
    help: "an Arrow IPC stream",
    for_people: false,
    capacity: Capacity::Binary,
    stacks_only: false,
    begin: |frame, out| {
        let fields = fields(frame);
        let schema = Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()));
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(io::Error::other)?;
        let mut stream = Stream { fields, schema, writer };
        stream.hand_on(out)?;
        Ok(Box::new(stream))
    },
};

/// A stream that is written to memory first: the writer keeps what it writes to.
struct Stream {
    fields: Vec<Field>,
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl Stream {
    /// Writes what is in memory.
    fn hand_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&std::mem::take(self.writer.get_mut()))
    }
}

impl Rows for Stream {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        if rows.is_empty() || self.fields.is_empty() {
            return Ok(());
        }
        check(&self.fields, rows)?;
        let columns = self.fields.iter().map(|field| column(field, rows, frame));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
            .and_then(|batch| self.writer.write(&batch));
        batch.map_err(io::Error::other)?;
        self.hand_on(out)
    }

    fn finish(mut self: Box<Self>, _: &Frame, out: &mut dyn Write) -> io::Result<()> {
        self.writer.finish().map_err(io::Error::other)?;
        self.hand_on(out)
    }
}

fn field(field: &Field) -> ArrowField {
    let ty = match field.kind {
        Kind::Bool => DataType::Boolean,
        Kind::UInt => DataType::UInt64,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Text | Kind::Flags => DataType::Utf8,
        Kind::List => DataType::new_list(DataType::Utf8, true),
    };
    let unit = Some(field.unit).filter(|unit| !unit.is_empty());
    let metadata = unit.map(|unit| ("unit".to_owned(), unit.to_owned()));
    ArrowField::new(&field.name, ty, true)
        .with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
}

/// The values of a column.
fn column(field: &Field, rows: &[Vec<Value>], frame: &Frame) -> ArrayRef {
    let values = || rows.iter().map(|row| field.value(row));
    let integers = || values().map(Value::integer);
    match field.kind {
        Kind::Bool => {
            let truth = |value: &Value| matches!(value, Value::Bool(true));
            let values = values().map(|value| (*value != Value::Null).then(|| truth(value)));
            Arc::new(values.collect::<BooleanArray>())
        }
        Kind::UInt => Arc::new(
            integers()
                .map(|value| value.and_then(|value| value.try_into().ok()))
                .collect::<UInt64Array>(),
        ),
        Kind::Int => Arc::new(
            integers()
                .map(|value| value.and_then(|value| value.try_into().ok()))
                .collect::<Int64Array>(),
        ),
        Kind::Float => Arc::new(values().map(Value::float).collect::<Float64Array>()),
        Kind::Text | Kind::Flags => {
            Arc::new(rows.iter().map(|row| field.text(row, frame)).collect::<StringArray>())
        }
        Kind::List => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for row in rows {
                let list = field.list(row);
                lists.append_option(list.map(|list| list.into_iter().map(Some)));
            }
            Arc::new(lists.finish())
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
    use arrow_ipc::reader::StreamReader;
    use proptest::prelude::*;
    use query::output::Output;

    use super::super::fixture::{Read, edges, expected, random_answer, rendered};
    use super::*;

    fn read(array: &ArrayRef, row: usize) -> Read {
        if array.is_null(row) {
            return Read::Null;
        }
        match array.data_type() {
            DataType::Boolean => Read::Bool(array.as_boolean().value(row)),
            DataType::UInt64 => Read::Integer(array.as_primitive::<UInt64Type>().value(row).into()),
            DataType::Int64 => Read::Integer(array.as_primitive::<Int64Type>().value(row).into()),
            DataType::Float64 => Read::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Utf8 => Read::Text(array.as_string::<i32>().value(row).to_owned()),
            DataType::List(_) => {
                let list = array.as_list::<i32>().value(row);
                Read::List(
                    list.as_string::<i32>().iter().map(|item| item.unwrap().to_owned()).collect(),
                )
            }
            other => panic!("{other}"),
        }
    }

    fn rows(bytes: &[u8]) -> Vec<Vec<Read>> {
        let batches = StreamReader::try_new(bytes, None).unwrap().map(Result::unwrap);
        let rows = batches.flat_map(|batch| {
            (0..batch.num_rows())
                .map(|row| batch.columns().iter().map(|column| read(column, row)).collect())
                .collect::<Vec<_>>()
        });
        rows.collect()
    }

    fn all_expected(output: &Output) -> Vec<Vec<Read>> {
        output.rows.iter().map(|row| expected(output, row)).collect()
    }

    #[test]
    fn edges_read_back() {
        let output = edges();
        let bytes = rendered(&ARROW, &output);
        assert_eq!(rows(&bytes), all_expected(&output));
        let schema = StreamReader::try_new(&*bytes, None).unwrap().schema();
        let unit = |at: usize| schema.field(at).metadata().get("unit").cloned();
        let units = (unit(0), unit(1), unit(2));
        assert_eq!(units, (None, Some("hex".to_owned()), Some("bytes".to_owned())));
    }

    proptest! {
        #[test]
        fn rows_read_back(output in random_answer()) {
            prop_assert_eq!(rows(&rendered(&ARROW, &output)), all_expected(&output));
        }
    }
}
