//! The rows of the table `callsites`, from `/proc/allocinfo`, versions 1 and 2: two lines of heading, then a line a line of
//! code that allocates.
//!
//! ```text
//!        40960       10 fs/ext4/super.c:1390 [ext4] func:ext4_alloc_inode accurate:no
//! ```
//!
//! A line ends with a blank. The module stands there only for code of modules, and `accurate:no` only where the figures are not.

use std::io::Read;
use std::path::Path;

use query::value::Value;

use crate::kernel::sysfs::{self, ALLOCINFO};
use crate::report::error::Failure;
use crate::source::proc::slabinfo::malformed;

/// How the file begins.
const HEADING: &str = "allocinfo - version: ";
/// What is behind the other words of a line whose figures are not accurate.
const INACCURATE: &str = " accurate:no";

/// Reads the file.
pub fn rows(notes: &mut Vec<String>) -> Result<Vec<Vec<Value>>, Failure> {
    notes.extend(sysfs::unprofiled_now());
    let mut file = sysfs::allocinfo().map_err(|why| Failure::environment(why, None))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read", Path::new(ALLOCINFO), &error))?;
    parse(&String::from_utf8_lossy(&bytes))
        .map_err(|reason| Failure::environment(format!("{ALLOCINFO}: {reason}"), None))
}

/// The rows of the file's text. The error says which line is none.
fn parse(text: &str) -> Result<Vec<Vec<Value>>, String> {
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix(HEADING)).unwrap_or_default();
    let marks = match version.split_once('.') {
        Some(("1", _)) => false,
        Some(("2", _)) => true,
        _ => return Err(format!("line 1 is not `{HEADING}` with 1 or 2")),
    };
    let rows = lines.zip(2..).filter(|(line, _)| !line.starts_with('#'));
    let row = |(line, number): (&str, usize)| {
        row(line, marks).ok_or_else(|| malformed(number, line.as_bytes()))
    };
    rows.map(row).collect()
}

/// The row of a line, in the order of the table's columns.
fn row(line: &str, marks: bool) -> Option<Vec<Value>> {
    let line = line.trim();
    let (line, accurate) = match line.strip_suffix(INACCURATE) {
        Some(line) if marks => (line, Value::Bool(false)),
        _ if marks => (line, Value::Bool(true)),
        _ => (line, Value::Null),
    };
    let (bytes, rest) = line.split_once(' ')?;
    let (calls, rest) = rest.trim_start().split_once(' ')?;
    let (place, function) = rest.split_once(" func:")?;
    let (place, module) = match place.strip_suffix(']').and_then(|place| place.rsplit_once(" [")) {
        Some((place, module)) => (place, Value::text(module)),
        None => (place, Value::Null),
    };
    let (file, number) = place.rsplit_once(':')?;
    Some(vec![
        module,
        Value::text(function),
        Value::text(file),
        Value::UInt(number.parse().ok()?),
        Value::Int(bytes.parse().ok()?),
        Value::UInt(calls.parse().ok()?),
        accurate,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "allocinfo - version: 1.0\n#     <size>  <calls> <tag info>\n";
    const TWO: &str = "allocinfo - version: 2.0\n#     <size>  <calls> <tag info>\n";

    #[test]
    fn lines_are_those_that_the_kernel_prints() {
        let lines = "           0        0 init/main.c:1326 func:do_initcalls \n       \
            40960       10 fs/ext4/super.c:1390 [ext4] func:ext4_alloc_inode \n        \
            -4096        0 mm/slub.c:7 func:alloc accurate:no \n";
        let row = |module: Option<&str>, function, file, line, bytes, calls, accurate| {
            let module = module.map_or(Value::Null, Value::text);
            let (function, file) = (Value::text(function), Value::text(file));
            let (line, bytes, calls) = (Value::UInt(line), Value::Int(bytes), Value::UInt(calls));
            vec![module, function, file, line, bytes, calls, accurate]
        };
        let expected = [
            row(None, "do_initcalls", "init/main.c", 1326, 0, 0, Value::Bool(true)),
            row(
                Some("ext4"),
                "ext4_alloc_inode",
                "fs/ext4/super.c",
                1390,
                40960,
                10,
                Value::Bool(true),
            ),
            row(None, "alloc", "mm/slub.c", 7, -4096, 0, Value::Bool(false)),
        ];
        assert_eq!(parse(&format!("{TWO}{lines}")).unwrap(), expected);
        let of_one = parse(&format!("{ONE}{}", lines.lines().next().unwrap())).unwrap();
        assert_eq!(of_one, [row(None, "do_initcalls", "init/main.c", 1326, 0, 0, Value::Null)]);
        assert!(parse(ONE).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_line_is_told() {
        let why = |text: &str| parse(text).unwrap_err();
        let heading = "line 1 is not `allocinfo - version: ` with 1 or 2";
        for text in ["", "allocinfo - version: 3.0\n", "slabinfo - version: 2.1\n"] {
            assert_eq!(why(text), heading);
        }
        for line in ["x", "1 2 a.c:1", "1 2 a.c func:f", "1 -2 a.c:1 func:f", "1 2 a.c:x func:f"] {
            let found = why(&format!("{TWO}{line}\n"));
            assert_eq!(found, format!("line 3 is malformed: `{line}`"));
        }
    }
}
