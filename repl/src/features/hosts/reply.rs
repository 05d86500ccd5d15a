//! Reads the answers of another slabql, in the format `wire`.

use std::io::{BufRead, BufReader, Read};

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use crate::render::{MARK, VERSION, from_json};

/// The most bytes of a line, and of all answers of a machine.
const MAX_LINE: u64 = 1 << 20;
const MAX_BYTES: u64 = 256 << 20;
/// The most lines before the first answer: what a shell says when it starts.
const MAX_GREETING: usize = 100;

/// The answers that are read, of which there must be so many. The error says why they are none.
pub fn read(from: impl Read, answers: usize) -> Result<Vec<Output>, String> {
    let mut lines = Lines { from: BufReader::new(from), left: MAX_BYTES, line: Vec::new() };
    let mut read = Vec::new();
    let mut greeting = 0;
    while read.len() < answers {
        if !lines.advance()? {
            return Err(match read.len() {
                0 => "it gave no answer".to_owned(),
                count => format!("it gave {count} of {answers} answers"),
            });
        }
        match head(&lines.line)? {
            Some(columns) => read.push(rows(&mut lines, columns)?),
            None if read.is_empty() && greeting < MAX_GREETING => greeting += 1,
            None => return Err("what it gave is no answer of slabql".to_owned()),
        }
    }
    Ok(read)
}

/// Lines of bounded length.
struct Lines<R> {
    from: BufReader<R>,
    left: u64,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// Reads the next line; whether there is one.
    fn advance(&mut self) -> Result<bool, String> {
        self.line.clear();
        let most = self.left.min(MAX_LINE);
        let read = (&mut self.from).take(most).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| format!("its answer cannot be read: {error}"))? as u64;
        self.left -= read;
        if read == most && self.line.last() != Some(&b'\n') {
            return Err(format!(
                "its answer has more than {} MiB, or too long a line",
                MAX_BYTES >> 20
            ));
        }
        Ok(read > 0)
    }
}

/// The columns that a line says, if it is the first one of an answer.
fn head(line: &[u8]) -> Result<Option<Vec<OutputColumn>>, String> {
    let Ok(head) = serde_json::from_slice::<Map<String, Json>>(line) else { return Ok(None) };
    if head.get("slabql").and_then(Json::as_str) != Some(MARK) {
        return Ok(None);
    }
    match head.get("version").and_then(Json::as_u64) {
        Some(VERSION) => {}
        Some(version) => {
            return Err(format!(
                "its slabql answers in version {version}, this one reads version {VERSION}"
            ));
        }
        None => return Err("its answer has no version".to_owned()),
    }
    let columns = head.get("columns").and_then(Json::as_array);
    let columns = columns.and_then(|columns| columns.iter().map(column).collect());
    columns
        .map(Some)
        .ok_or_else(|| "its answer has columns that this slabql does not know".to_owned())
}

fn column(said: &Json) -> Option<OutputColumn> {
    let text = |key: &str| said.get(key)?.as_str();
    let is = |key: &str| said.get(key).and_then(Json::as_bool) == Some(true);
    let ty = Type::NAMED.into_iter().find(|ty| Some(ty.name()) == text("type"))?;
    let unit = Unit::ALL.into_iter().find(|unit| Some(unit.name()) == text("unit"))?;
    let flag_names = match said.get("flags").and_then(Json::as_object) {
        Some(flags) => Some(
            flags
                .iter()
                .map(|(name, bit)| {
                    let bit = u32::try_from(bit.as_u64()?).ok().filter(|bit| *bit < 64)?;
                    Some((name.clone(), bit))
                })
                .collect::<Option<_>>()?,
        ),
        None => None,
    };
    Some(OutputColumn {
        per_second: is("per_second"),
        change: is("change"),
        identifies: is("identifies"),
        totals: is("totals"),
        flag_names,
        ..OutputColumn::new(text("name")?, ty, unit)
    })
}

/// The rows behind the columns, up to the line that ends them.
fn rows<R: Read>(lines: &mut Lines<R>, columns: Vec<OutputColumn>) -> Result<Output, String> {
    let mut rows = Vec::new();
    loop {
        if !lines.advance()? {
            return Err(format!("its answer is cut off behind {} rows", rows.len()));
        }
        let wrong = || format!("row {} of its answer is none", rows.len() + 1);
        if lines.line.starts_with(b"{") {
            let end: Map<String, Json> =
                serde_json::from_slice(&lines.line).map_err(|_| wrong())?;
            if end.get("rows").and_then(Json::as_u64) != Some(rows.len() as u64) {
                return Err(wrong());
            }
            return Ok(Output { columns, rows, warnings: Vec::new() });
        }
        let cells: Vec<&RawValue> = serde_json::from_slice(&lines.line).map_err(|_| wrong())?;
        if cells.len() != columns.len() {
            return Err(wrong());
        }
        let pairs = cells.into_iter().zip(&columns);
        let row: Option<Vec<Value>> =
            pairs.map(|(cell, column)| value(cell.get(), column.ty)).collect();
        rows.push(row.ok_or_else(wrong)?);
    }
}

/// The value of a cell.
fn value(cell: &str, ty: Type) -> Option<Value> {
    if ty == Type::Float && cell != "null" {
        // To the last digit, which a reader of JSON need not see to.
        return cell.parse().ok().map(Value::Float);
    }
    from_json(serde_json::from_str(cell).ok()?, ty)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::render::{Options, Renderer, WIRE};

    fn answer() -> Output {
        let flags: Arc<[(String, u32)]> = [("ACCOUNT".to_owned(), 13)].into();
        let columns = vec![
            OutputColumn::new("name", Type::Text, Unit::None),
            OutputColumn {
                per_second: true,
                change: true,
                ..OutputColumn::new("rate(x)", Type::Int, Unit::Bytes)
            },
            OutputColumn::new("addr", Type::UInt, Unit::Hex),
            OutputColumn::new("flags", Type::SlabFlags, Unit::Hex).with_flag_names(flags),
            OutputColumn::new("part", Type::Float, Unit::Percent),
            OutputColumn::new("aliases", Type::List, Unit::None),
            OutputColumn::new("complete", Type::Bool, Unit::None),
        ];
        let row = |text: &[u8], int| {
            vec![
                Value::text(text),
                int,
                Value::UInt(u64::MAX),
                Value::UInt(1 << 13),
                Value::Float(0.1),
                Value::List([b"a\xff".as_slice().into(), b"".as_slice().into()].into()),
                Value::Bool(true),
            ]
        };
        let rows = vec![
            row(b"x\xff\\x,\"\n\x1b", Value::Int(i64::MIN)),
            row(b"", Value::UInt(1 << 63)),
            vec![Value::Null; 7],
        ];
        Output { columns, rows, warnings: Vec::new() }
    }

    fn written(outputs: &[Output]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for output in outputs {
            let options = Options::default();
            let mut renderer =
                Renderer::new(&WIRE, output.columns.clone(), options, &mut bytes).unwrap();
            renderer.rows(&output.rows).unwrap();
            renderer.finish().unwrap();
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let both = [answer(), Output { rows: Vec::new(), ..answer() }];
        let bytes = written(&both);
        assert_eq!(read(&bytes[..], 2).unwrap(), both);
        let greeted = [b"Welcome!\n\n{\"a\":1}\n".as_slice(), &bytes].concat();
        assert_eq!(read(&greeted[..], 1).unwrap(), both[..1]);
        assert_eq!(read(&bytes[..], 3).unwrap_err(), "it gave 2 of 3 answers");
        // A part of an answer is none.
        for cut in 0..written(&both[..1]).len() - 1 {
            assert!(read(&bytes[..cut], 1).is_err(), "{cut}");
        }
    }

    #[test]
    fn every_type_and_unit_is_read() {
        let of_type = |ty: Type| OutputColumn::new(ty.name(), ty, Unit::None);
        let of_unit = |unit: Unit| OutputColumn::new(unit.name(), Type::List, unit);
        let columns: Vec<_> =
            Type::NAMED.map(of_type).into_iter().chain(Unit::ALL.map(of_unit)).collect();
        let answer = Output { columns, ..Output::default() };
        assert_eq!(read(&written(std::slice::from_ref(&answer))[..], 1).unwrap(), [answer]);
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let head =
            r#"{"slabql":"answer","version":1,"columns":[{"name":"a","type":"uint","unit":""}]}"#;
        for (text, reason) in [
            (String::new(), "it gave no answer"),
            ("x\n".repeat(200), "what it gave is no answer of slabql"),
            (
                head.replace(":1,", ":2,"),
                "its slabql answers in version 2, this one reads version 1",
            ),
            (
                head.replace("uint", "decimal"),
                "its answer has columns that this slabql does not know",
            ),
            (format!("{head}\n[1]\n"), "its answer is cut off behind 1 rows"),
            (format!("{head}\n[-1]\n"), "row 1 of its answer is none"),
            (format!("{head}\n[1,2]\n"), "row 1 of its answer is none"),
            (format!("{head}\n[1]\n{{\"rows\":2}}\n"), "row 2 of its answer is none"),
            ("0".repeat(2 << 20), "its answer has more than 256 MiB, or too long a line"),
        ] {
            assert_eq!(read(text.as_bytes(), 1).unwrap_err(), reason);
        }
    }
}
