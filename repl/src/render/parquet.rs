//! Writes a Parquet file, a row group at a time.
//!
//! [`columnar`](super::columnar) says what becomes of a column. What the columns count is the key `slabql.units` of the
//! file's metadata: a JSON object of names. Pages are not compressed, but equal values are stored once.
//!
//! # Invariants
//!
//! Rows are kept until they make a row group of [`ROWS`] rows or [`BYTES`] bytes: memory is bounded, however long the
//! answer.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result as Written;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use query::value::Value;

use super::columnar::{Field, Kind, check, fields};
use super::format::{Capacity, FormatRow, Frame, Rows};

/// What `parquet` is.
pub static PARQUET: FormatRow = FormatRow {
    name: "parquet",
    endings: &["parquet"],
    help: "a Parquet file",
    for_people: false,
    capacity: Capacity::Binary,
    stacks_only: false,
    begin: |frame, out| {
        let mut file = File::new(fields(frame)).map_err(io::Error::other)?;
        file.hand_on(out)?;
        Ok(Box::new(file))
    },
};

/// The most rows of a row group, and the most bytes that they take before it is written.
const ROWS: usize = 1 << 16;
const BYTES: usize = 8 << 20;

/// A file that is written to memory first: the writer keeps what it writes to.
struct File {
    fields: Vec<Field>,
    writer: SerializedFileWriter<Vec<u8>>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl File {
    fn new(fields: Vec<Field>) -> Written<Self> {
        let columns = fields.iter().map(column_type).collect::<Written<Vec<_>>>()?;
        let schema = Arc::new(Type::group_type_builder("slabql").with_fields(columns).build()?);
        let units = fields.iter().filter(|field| !field.unit.is_empty());
        let units: serde_json::Map<_, _> =
            units.map(|field| (field.name.clone(), field.unit.into())).collect();
        let units = serde_json::Value::Object(units).to_string();
        let properties = WriterProperties::builder()
            .set_created_by(concat!("slabql ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![KeyValue::new("slabql.units".to_owned(), units)]))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        Ok(Self { fields, writer, rows: Vec::new(), bytes: 0 })
    }

    /// Writes what is in memory.
    fn hand_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.flush()?;
        out.write_all(&std::mem::take(self.writer.inner_mut()))
    }

    /// Makes a row group of the rows.
    fn write_group(&mut self, frame: &Frame) -> Written<()> {
        let mut group = self.writer.next_row_group()?;
        for field in &self.fields {
            let Some(mut column) = group.next_column()? else { break };
            write_column(&mut column, field, &self.rows, frame)?;
            column.close()?;
        }
        group.close()?;
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl Rows for File {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        check(&self.fields, rows)?;
        for row in rows {
            self.bytes += row.iter().map(bytes).sum::<usize>();
            self.rows.push(row.clone());
            if self.rows.len() >= ROWS || self.bytes >= BYTES {
                self.write_group(frame).map_err(io::Error::other)?;
                self.hand_on(out)?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        if !self.rows.is_empty() && !self.fields.is_empty() {
            self.write_group(frame).map_err(io::Error::other)?;
        }
        self.writer.finish().map_err(io::Error::other)?;
        self.hand_on(out)
    }
}

/// The memory of a value.
fn bytes(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::List(items) => {
                items.iter().map(|item| item.len() + size_of::<Box<[u8]>>()).sum()
            }
            _ => 0,
        }
}

/// The type of a column.
fn column_type(field: &Field) -> Written<TypePtr> {
    let name = field.name.as_str();
    let (physical, logical) = match field.kind {
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::UInt => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Kind::Int => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Text | Kind::Flags | Kind::List => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let is_list = field.kind == Kind::List;
    let builder = Type::primitive_type_builder(if is_list { "element" } else { name }, physical)
        .with_repetition(if is_list { Repetition::REQUIRED } else { Repetition::OPTIONAL })
        .with_logical_type(logical);
    let value = Arc::new(builder.build()?);
    if !is_list {
        return Ok(value);
    }
    let items = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![value])
        .build()?;
    let list = Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(items)])
        .build()?;
    Ok(Arc::new(list))
}

/// Writes the values of a column, which are those of `rows`.
fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    field: &Field,
    rows: &[Vec<Value>],
    frame: &Frame,
) -> Written<()> {
    let values = rows.iter().map(|row| field.value(row));
    let text = |text: String| ByteArray::from(text.into_bytes());
    match field.kind {
        Kind::Bool => write::<BoolType>(
            column,
            values.map(|value| (*value != Value::Null).then_some(*value == Value::Bool(true))),
        ),
        // Unsigned integers have the bits of signed ones.
        Kind::UInt => write::<Int64Type>(
            column,
            values.map(|value| u64::try_from(value.integer()?).ok().map(u64::cast_signed)),
        ),
        Kind::Int => {
            write::<Int64Type>(column, values.map(|value| value.integer()?.try_into().ok()))
        }
        Kind::Float => write::<DoubleType>(column, values.map(Value::float)),
        Kind::Text | Kind::Flags => {
            write::<ByteArrayType>(column, rows.iter().map(|row| field.text(row, frame).map(text)))
        }
        Kind::List => {
            let (mut items, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
            for row in rows {
                match field.list(row) {
                    None => defined.push(0),
                    Some(list) if list.is_empty() => defined.push(1),
                    Some(list) => {
                        repeated.extend((0..list.len()).map(|at| i16::from(at > 0)));
                        defined.extend(list.iter().map(|_| 2));
                        items.extend(list.into_iter().map(text));
                        continue;
                    }
                }
                repeated.push(0);
            }
            let column = column.typed::<ByteArrayType>();
            column.write_batch(&items, Some(&defined), Some(&repeated)).map(drop)
        }
    }
}

/// Writes values of which some are NULL.
fn write<T: DataType>(
    column: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Written<()> {
    let (mut known, mut defined) = (Vec::new(), Vec::new());
    for value in values {
        defined.push(i16::from(value.is_some()));
        known.extend(value);
    }
    column.typed::<T>().write_batch(&known, Some(&defined), None).map(drop)
}

#[cfg(test)]
mod tests {
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field as Seen;
    use proptest::prelude::*;
    use query::output::{Output, OutputColumn};
    use query::value::{Type as Ty, Unit};

    use super::super::Options;
    use super::super::fixture::{Read, edges, expected, random_answer, rendered};
    use super::*;

    fn read(seen: &Seen) -> Read {
        match seen {
            Seen::Null => Read::Null,
            Seen::Bool(value) => Read::Bool(*value),
            Seen::Long(value) => Read::Integer((*value).into()),
            Seen::ULong(value) => Read::Integer((*value).into()),
            Seen::Double(value) => Read::Float(*value),
            Seen::Str(value) => Read::Text(value.clone()),
            Seen::ListInternal(list) => {
                let text = |seen: &Seen| match read(seen) {
                    Read::Text(text) => text,
                    other => panic!("{other:?}"),
                };
                Read::List(list.elements().iter().map(text).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn reader(bytes: Vec<u8>) -> SerializedFileReader<bytes::Bytes> {
        SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap()
    }

    fn rows(bytes: Vec<u8>) -> Vec<Vec<Read>> {
        let reader = reader(bytes);
        let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        rows.map(|row| row.get_column_iter().map(|(_, seen)| read(seen)).collect()).collect()
    }

    fn all_expected(output: &Output) -> Vec<Vec<Read>> {
        output.rows.iter().map(|row| expected(output, row)).collect()
    }

    #[test]
    fn edges_read_back() {
        let output = edges();
        let bytes = rendered(&PARQUET, &output);
        assert_eq!(rows(bytes.clone()), all_expected(&output));
        let reader = reader(bytes);
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let units = metadata.iter().find(|pair| pair.key == "slabql.units").unwrap();
        let units = units.value.as_deref().unwrap();
        let expected = r#"{"flags_bits":"hex","int":"bytes","name_2":"%","uint":"hex"}"#;
        assert_eq!(units, expected);
    }

    #[test]
    fn long_answers_are_many_groups() {
        let columns = vec![
            OutputColumn::new("n", Ty::UInt, Unit::None),
            OutputColumn::new("t", Ty::Text, Unit::None),
        ];
        let rows: Vec<_> = (0..150_000).map(|n| vec![Value::UInt(n), Value::text("x")]).collect();
        let output = Output { columns, rows, warnings: vec![] };
        let bytes = rendered(&PARQUET, &output);
        let reader = reader(bytes);
        let groups: Vec<_> =
            reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(groups, [65_536, 65_536, 18_928]);

        // Long texts end a group sooner, and what is written is not kept.
        let frame = Frame::new(output.columns, Options::default());
        let mut file = File::new(fields(&frame)).unwrap();
        let mut out = Vec::new();
        for n in 0..100 {
            let row = vec![Value::UInt(n), Value::text("y".repeat(1 << 20))];
            file.add(&frame, &[row], &mut out).unwrap();
            assert!(file.bytes < BYTES && file.writer.inner().is_empty());
        }
        assert!(out.len() > 50 << 20 || file.rows.len() < 8);
    }

    proptest! {
        #[test]
        fn rows_read_back(output in random_answer()) {
            prop_assert_eq!(rows(rendered(&PARQUET, &output)), all_expected(&output));
        }
    }
}
