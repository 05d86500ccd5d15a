//! Reads a row in one pass over its line, as nearly all lines are: an array of integers, NULLs, truth values, texts without
//! escapes and lists of such texts, without spaces. Of any other line it says nothing, and a reader of JSON has to read it.

use query::catalog::Column;
use query::value::{Type, Value};

/// The columns of a row that are wanted, with their places.
pub type Wanted = [Option<(usize, &'static Column)>];

/// Whether a column can have a value.
pub fn fits(column: &Column, value: &Value) -> bool {
    let (low, high) = column.range();
    column.ty == Type::Float || value.integer().is_none_or(|value| (low..=high).contains(&value))
}

/// A cell.
enum Cell<'a> {
    Null,
    Bool(bool),
    UInt(u64),
    /// Below 0.
    Int(i64),
    Text(&'a [u8]),
    /// The texts between the brackets, each with its quotes.
    List(&'a [u8]),
}

/// A line as a row of `width` values, with the columns that are wanted in their places; none if it is not so plain, or has
/// a value that its column cannot have.
pub fn row(line: &str, wanted: &Wanted, width: usize) -> Option<Vec<Value>> {
    let mut row = Vec::with_capacity(width);
    row.resize_with(width, || Value::Null);
    let place = |cell: &Cell<'_>, at: usize, column| {
        row[at] = value(cell, column)?;
        Some(())
    };
    cells(line, wanted, place).map(|()| row)
}

/// Whether a line is a plain row whose columns can have its values. It makes none.
pub fn is_row(line: &str, wanted: &Wanted) -> bool {
    let check = |cell: &Cell<'_>, _, column: &Column| match (cell, column.ty) {
        (Cell::Text(_), Type::Text) | (Cell::List(_), Type::List) => Some(()),
        _ => value(cell, column).map(|_| ()),
    };
    cells(line, wanted, check).is_some()
}

/// Hands on the cells of a line that are wanted, each with its place; none if that is refused, or the line is not so
/// plain.
fn cells<'a>(
    line: &'a str,
    wanted: &Wanted,
    mut each: impl FnMut(&Cell<'a>, usize, &'static Column) -> Option<()>,
) -> Option<()> {
    let mut rest = line.as_bytes().strip_prefix(b"[")?;
    for (number, wanted) in wanted.iter().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(b",")?;
        }
        let (cell, behind) = cell(rest)?;
        rest = behind;
        if let Some((at, column)) = wanted {
            each(&cell, *at, column)?;
        }
    }
    (rest == b"]").then_some(())
}

/// The first cell of `bytes`, and what is behind it.
fn cell(bytes: &[u8]) -> Option<(Cell<'_>, &[u8])> {
    match bytes.first()? {
        b'0'..=b'9' => unsigned(bytes).map(|(value, rest)| (Cell::UInt(value), rest)),
        b'"' => text(bytes).map(|(text, rest)| (Cell::Text(text), rest)),
        b'n' => bytes.strip_prefix(b"null").map(|rest| (Cell::Null, rest)),
        b't' => bytes.strip_prefix(b"true").map(|rest| (Cell::Bool(true), rest)),
        b'f' => bytes.strip_prefix(b"false").map(|rest| (Cell::Bool(false), rest)),
        b'-' => {
            let (value, rest) = unsigned(&bytes[1..])?;
            // `-0` is a number of another kind to some readers.
            let value = 0_i64.checked_sub_unsigned(value).filter(|value| *value < 0)?;
            Some((Cell::Int(value), rest))
        }
        b'[' => list(&bytes[1..]),
        _ => None,
    }
}

/// Digits, which are no part of a longer number.
fn unsigned(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    let mut digits = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        digits += 1;
    }
    // Nineteen digits fit 64 bits.
    let is_one = matches!(digits, 1..=19) && (digits == 1 || bytes[0] != b'0');
    let rest = &bytes[digits..];
    (is_one && matches!(rest.first(), Some(b',' | b']'))).then_some((value, rest))
}

/// A text between quotes.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.strip_prefix(b"\"")?;
    // Names are so short that a loop finds the end first.
    let end = inner.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
    (inner[end] == b'"').then(|| (&inner[..end], &inner[end + 1..]))
}

/// Texts up to a bracket.
fn list(bytes: &[u8]) -> Option<(Cell<'_>, &[u8])> {
    let mut rest = bytes;
    if let Some(rest) = rest.strip_prefix(b"]") {
        return Some((Cell::List(&[]), rest));
    }
    loop {
        (_, rest) = text(rest)?;
        match rest.split_first()? {
            (b',', behind) => rest = behind,
            (b']', behind) => {
                return Some((Cell::List(&bytes[..bytes.len() - rest.len()]), behind));
            }
            _ => return None,
        }
    }
}

/// A cell as a value of a column.
fn value(cell: &Cell<'_>, column: &Column) -> Option<Value> {
    let value = match (cell, column.ty) {
        (Cell::Null, _) => Value::Null,
        (Cell::Bool(value), Type::Bool) => Value::Bool(*value),
        (Cell::UInt(value), Type::UInt | Type::SlabFlags | Type::GfpFlags) => Value::UInt(*value),
        (Cell::UInt(value), Type::Int) => Value::Int((*value).try_into().ok()?),
        (Cell::Int(value), Type::Int) => Value::Int(*value),
        (Cell::Text(text), Type::Text) => Value::Text((*text).into()),
        (Cell::List(texts), Type::List) => Value::List(texts_of(texts).collect()),
        _ => return None,
    };
    fits(column, &value).then_some(value)
}

/// The texts of a list.
fn texts_of(mut bytes: &[u8]) -> impl Iterator<Item = Box<[u8]>> {
    std::iter::from_fn(move || {
        let (text, rest) = text(bytes)?;
        bytes = rest.strip_prefix(b",").unwrap_or(rest);
        Some(text.into())
    })
}
