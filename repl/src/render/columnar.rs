//! What a column of an answer is in the formats of columns, Arrow and Parquet.
//!
//! # Layout
//!
//! | slabql | Arrow | Parquet |
//! |---|---|---|
//! | bool | Boolean | BOOLEAN |
//! | uint, an address | `UInt64` | INT64, unsigned |
//! | int | Int64 | INT64 |
//! | float | Float64 | DOUBLE |
//! | text | Utf8 | STRING |
//! | list | List of Utf8 | LIST of STRING |
//! | flags | Utf8, `A\|B`, and behind it `UInt64`, `…_bits` | the same |
//!
//! An `int` from 2^63 on, which an expression that can also be negative may have, is refused: no type of 64 bits holds
//! both, and most readers take a decimal for no number. Every column can be NULL. Texts are as in JSON
//! ([`text_to_json`]), as both formats demand UTF-8. Equal names get numbers. Percentages are hundredths, and what a number counts is in the metadata.

use std::io;

use query::output::OutputColumn;
use query::value::{Type, Unit, Value};

use super::format::Frame;
use super::json::{text_to_json, unique_names};
use super::unit::flags;
use crate::report::error::refuse;

/// A column of a file, made of a column of the answer.
pub struct Field {
    pub name: String,
    pub kind: Kind,
    /// What its numbers count; empty for nothing in particular.
    pub unit: &'static str,
    /// The column of the answer.
    at: usize,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    UInt,
    Int,
    Float,
    Text,
    List,
    /// The names of a set of flags.
    Flags,
}

/// The columns of a file.
pub fn fields(frame: &Frame) -> Vec<Field> {
    let mut fields = Vec::new();
    for (at, column) in frame.columns.iter().enumerate() {
        let kind = kind(column);
        fields.push(Field { name: column.name.clone(), kind, unit: unit(column), at });
        if kind == Kind::Flags {
            let name = format!("{}_bits", column.name);
            fields.push(Field { name, kind: Kind::UInt, unit: Unit::Hex.name(), at });
        }
    }
    let names = unique_names(fields.iter().map(|field| field.name.as_str()));
    for (field, name) in fields.iter_mut().zip(names) {
        field.name = name;
    }
    fields
}

fn kind(column: &OutputColumn) -> Kind {
    match column.ty {
        Type::Bool => Kind::Bool,
        Type::UInt => Kind::UInt,
        Type::Int => Kind::Int,
        Type::Float => Kind::Float,
        Type::Text | Type::Null => Kind::Text,
        Type::List => Kind::List,
        Type::SlabFlags | Type::GfpFlags => Kind::Flags,
    }
}

fn unit(column: &OutputColumn) -> &'static str {
    match (column.unit, column.per_second) {
        (Unit::Bytes, true) => "bytes/s",
        (Unit::Count, true) => "count/s",
        (unit, _) => unit.name(),
    }
}

/// Refuses rows with an integer that its column cannot hold.
pub fn check(fields: &[Field], rows: &[Vec<Value>]) -> io::Result<()> {
    for field in fields.iter().filter(|field| field.kind == Kind::Int) {
        for row in rows {
            if let Value::UInt(value) = field.value(row)
                && i64::try_from(*value).is_err()
            {
                let name = &field.name;
                let message = format!("`{name}` can be negative, and is 2^63 or more: {value}");
                return Err(refuse(message, "make it a text: `cast(… as text)`"));
            }
        }
    }
    Ok(())
}

impl Field {
    /// The value of a row.
    pub fn value<'a>(&self, row: &'a [Value]) -> &'a Value {
        &row[self.at]
    }

    /// A text, or the names of flags.
    pub fn text(&self, row: &[Value], frame: &Frame) -> Option<String> {
        match self.value(row) {
            Value::Text(text) => Some(text_to_json(text)),
            Value::UInt(bits) if self.kind == Kind::Flags => {
                Some(flags(*bits, &frame.columns[self.at]).join("|"))
            }
            _ => None,
        }
    }

    /// The texts of a list.
    pub fn list(&self, row: &[Value]) -> Option<Vec<String>> {
        match self.value(row) {
            Value::List(items) => Some(items.iter().map(|item| text_to_json(item)).collect()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::edges;
    use super::*;

    #[test]
    fn what_no_type_holds_is_refused() {
        let columns = vec![OutputColumn::new("n", Type::Int, Unit::None)];
        let frame = Frame::new(columns, super::super::options::Options::default());
        let fields = fields(&frame);
        for fits in [Value::Int(i64::MIN), Value::UInt(i64::MAX.cast_unsigned()), Value::Null] {
            assert!(check(&fields, &[vec![fits]]).is_ok());
        }
        let refused = check(&fields, &[vec![Value::UInt(1 << 63)]]).unwrap_err();
        let expected = "`n` can be negative, and is 2^63 or more: 9223372036854775808";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn names_differ_and_flags_have_their_number() {
        let frame = Frame::new(edges().columns, super::super::options::Options::default());
        let names: Vec<_> =
            fields(&frame).into_iter().map(|field| (field.name, field.unit)).collect();
        let expected = [
            ("name", ""),
            ("uint", "hex"),
            ("int", "bytes"),
            ("list", ""),
            ("flags", ""),
            ("flags_bits", "hex"),
            ("name_2", "%"),
            ("null", ""),
        ];
        assert_eq!(names, expected.map(|(name, unit)| (name.to_owned(), unit)));
    }
}
