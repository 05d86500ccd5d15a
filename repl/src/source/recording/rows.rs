//! A row of a recording: a line of JSON, and its values.

use std::fmt;

use query::catalog::Column;
use query::value::Value;
use serde_core::Deserializer;
use serde_core::de::{Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::file::MAX_LINE;
use super::plain::{self, Wanted, fits};
use crate::render::from_json;

/// The most characters that are shown of a value.
const SHOWN: usize = 40;

/// A line as a row of `width` values, with the columns that are wanted in their places. A value that its column cannot
/// have makes it none.
pub fn row(line: &str, wanted: &Wanted, width: usize) -> Option<Vec<Value>> {
    if line.len() > MAX_LINE {
        return None;
    }
    plain::row(line, wanted, width).or_else(|| by_json(line, wanted, width))
}

/// The same for any line.
fn by_json(line: &str, wanted: &Wanted, width: usize) -> Option<Vec<Value>> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let row = reader.deserialize_seq(Cells { wanted, width }).ok()?;
    reader.end().ok().map(|()| row)
}

/// Whether a line is a row whose columns can have its values.
pub fn is_row(line: &str, wanted: &Wanted, width: usize) -> bool {
    line.len() <= MAX_LINE && plain::is_row(line, wanted) || row(line, wanted, width).is_some()
}

/// Why a line is no row of columns with these names, for people.
pub fn wrong(line: &str, names: &[String], wanted: &Wanted) -> String {
    if line.trim().is_empty() {
        return "it is empty".to_owned();
    }
    if line.len() > MAX_LINE {
        return format!("it is longer than {MAX_LINE} bytes, which is the limit");
    }
    let cells = match serde_json::from_str(line) {
        Ok(Json::Array(cells)) => cells,
        Ok(_) => return "it is no array".to_owned(),
        Err(error) => return format!("it is not JSON from byte {} on", error.column()),
    };
    if cells.len() != names.len() {
        return format!("it has {} values for {} columns", cells.len(), names.len());
    }
    let refused = |(cell, wanted): &(&Json, &Option<(usize, &'static Column)>)| {
        let Some((_, column)) = wanted else { return false };
        !from_json((*cell).clone(), column.ty).is_some_and(|value| fits(column, &value))
    };
    let Some((cell, Some((_, column)))) = cells.iter().zip(wanted).find(refused) else {
        return "a reader of JSON does not take it".to_owned();
    };
    let mut shown = cell.to_string();
    if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
        shown.truncate(end);
        shown.push('…');
    }
    format!("`{}` cannot be {shown}", column.name)
}

/// Reads the cells of any line.
struct Cells<'a> {
    wanted: &'a Wanted,
    width: usize,
}

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the values of a row")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Self::Value, A::Error> {
        let mut row = vec![Value::Null; self.width];
        for wanted in self.wanted {
            let missing = || A::Error::custom("too few values");
            let Some((at, column)) = wanted else {
                cells.next_element::<IgnoredAny>()?.ok_or_else(missing)?;
                continue;
            };
            let cell: Json = cells.next_element()?.ok_or_else(missing)?;
            let value = from_json(cell, column.ty).filter(|value| fits(column, value));
            row[*at] =
                value.ok_or_else(|| A::Error::custom("a value that the column cannot have"))?;
        }
        match cells.next_element::<IgnoredAny>()? {
            None => Ok(row),
            Some(_) => Err(A::Error::custom("too many values")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use query::catalog::TABLES;

    use super::*;

    /// Columns of each type that a recording holds.
    fn columns() -> Vec<&'static Column> {
        let mut columns: Vec<&'static Column> = Vec::new();
        for column in TABLES.iter().flat_map(|table| table.columns) {
            if columns.iter().all(|known| known.ty != column.ty) {
                columns.push(column);
            }
        }
        columns
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => any::<u32>().prop_map(|number| number.to_string()),
            2 => any::<i64>().prop_map(|number| number.to_string()),
            2 => any::<u64>().prop_map(|number| number.to_string()),
            2 => "[a-z:-]{0,9}".prop_map(|text| format!("\"{text}\"")),
            1 => ".{0,6}".prop_map(|text| Json::from(text).to_string()),
            3 => prop::sample::select(vec![
                "null", "true", "false", "[]", "[\"a\"]", "[\"a\",\"b\"]", "0", "-0", "-1", "00", "01", "1.5", "1e3", "-", "+1",
                "18446744073709551615", "18446744073709551616", "9999999999999999999", "10000000000000000000", "nul", "nulll",
                "\"a", "a\"", "\"\u{1}\"", "\"\\n\"", "\"\\\\x41\"", " 1", "1 ", "[1]", "[\"a\",]", "[,]", "[\"a\"", "{}", "",
            ]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        /// What is read in one pass is what a reader of JSON reads.
        #[test]
        fn a_plain_line_is_read_as_json_is(
            cells in prop::collection::vec((cell(), any::<prop::sample::Index>(), any::<bool>()), 0..5),
            ends in prop::sample::select(vec![("[", "]"), ("[", "]"), ("[", "]"), ("[", ""), ("", "]"), ("[", "],"), ("[", "]]"), ("[ ", "]"), ("[", ",]")]),
            arity in prop::sample::select(vec![0, 0, 0, 0, -1, 1]),
        ) {
            let columns = columns();
            let line: Vec<&str> = cells.iter().map(|(cell, ..)| cell.as_str()).collect();
            let line = format!("{}{}{}", ends.0, line.join(","), ends.1);
            let mut wanted: Vec<_> = cells
                .iter()
                .enumerate()
                .map(|(at, (_, column, is_wanted))| is_wanted.then(|| (at, *column.get(&columns))))
                .collect();
            match arity {
                -1 => drop(wanted.pop()),
                1 => wanted.push(None),
                _ => {}
            }
            let expected = by_json(&line, &wanted, cells.len());
            let read = plain::row(&line, &wanted, cells.len());
            prop_assert_eq!(plain::is_row(&line, &wanted), read.is_some(), "{}", line);
            if read.is_some() {
                prop_assert_eq!(&read, &expected, "{}", line);
            }
            prop_assert_eq!(row(&line, &wanted, cells.len()), expected, "{}", line);
        }
    }

    #[test]
    fn a_line_that_is_no_row_is_told_why() {
        let names = ["name", "size", "mystery"].map(str::to_owned);
        let column = |(at, name): (usize, &String)| TABLES[0].column(name).map(|c| (at, c));
        let wanted: Vec<_> = names.iter().enumerate().map(column).collect();
        let long = format!("[\"a\",\"{}\",0]", "é".repeat(100));
        let shown = format!("`size` cannot be \"{}…", "é".repeat(SHOWN - 1));
        for (line, reason) in [
            ("", "it is empty"),
            (" ", "it is empty"),
            ("{}", "it is no array"),
            ("[\"a\",1 2]", "it is not JSON from byte 8 on"),
            ("[\"a\",1", "it is not JSON from byte 6 on"),
            ("[\"a\",1]", "it has 2 values for 3 columns"),
            ("[]", "it has 0 values for 3 columns"),
            ("[1,1,1]", "`name` cannot be 1"),
            ("[\"a\",-1,1]", "`size` cannot be -1"),
            ("[\"a\",4294967296,[[]]]", "`size` cannot be 4294967296"),
            ("[\"a\",1.0,1]", "`size` cannot be 1.0"),
            (&long, &shown),
        ] {
            assert_eq!(row(line, &wanted, 3), None, "{line}");
            assert_eq!(wrong(line, &names, &wanted), reason, "{line}");
        }
    }

    #[test]
    fn what_slabql_writes_is_plain() {
        let name = |name| TABLES[0].column(name).map(|column| (0, column));
        for (line, column, value) in [
            (r#"["kmalloc-64"]"#, "name", Value::text("kmalloc-64")),
            ("[64]", "size", Value::UInt(64)),
            ("[null]", "size", Value::Null),
            ("[[]]", "aliases", Value::List([].into())),
            (r#"[["a","b"]]"#, "aliases", Value::List([Box::from(*b"a"), Box::from(*b"b")].into())),
        ] {
            assert_eq!(plain::row(line, &[name(column)], 1), Some(vec![value]), "{line}");
            assert_eq!(plain::row(line, &[None], 1), Some(vec![Value::Null]), "{line}");
        }
    }
}
