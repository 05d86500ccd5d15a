//! Reads `/proc/slabinfo`, version 2.1: two lines of heading, then a line a cache.
//!
//! ```text
//! dentry            203789 224552    192   21    1 : tunables    0    0    0 : slabdata  10692  10692      0
//! ```
//!
//! A name is bytes and may hold anything, even a line end or what looks like the rest of a line. So a line is read from
//! its end. One that does not end as lines do begins a name that goes on, unless it has figures already: then it is
//! malformed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use query::value::Value;

use crate::report::error::Failure;
use crate::report::escape::printable;

/// How the file of the only version that there is begins.
const HEADING: &[u8] = b"slabinfo - version: 2.1";

/// What is read at first: enough for some 600 caches.
const ROOM: usize = 64 << 10;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The cache's name.
    pub name: Vec<u8>,
    /// What stands behind it: `active_objs`, `num_objs`, `objsize`, `objperslab`, `pagesperslab`, three tunables,
    /// `active_slabs`, `num_slabs`, `sharedavail`.
    pub numbers: [u64; 11],
}

impl Line {
    /// The objects that are not free on a partial list.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.numbers[0]
    }

    /// The room for objects.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.numbers[1]
    }

    /// The distance between two objects.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.numbers[2]
    }

    /// The number of objects that fit in a slab.
    #[must_use]
    pub fn objects_per_slab(&self) -> u64 {
        self.numbers[3]
    }

    /// The pages of a slab.
    #[must_use]
    pub fn pages_per_slab(&self) -> u64 {
        self.numbers[4]
    }

    /// The slabs.
    #[must_use]
    pub fn slabs(&self) -> u64 {
        self.numbers[9]
    }

    /// The row of the table `slabinfo`.
    #[must_use]
    pub fn row(&self) -> Vec<Value> {
        let numbers = self.numbers.iter().map(|number| Value::UInt(*number));
        [Value::text(&self.name)].into_iter().chain(numbers).collect()
    }
}

/// Reads an open file from its start. The path is for errors.
pub fn read(mut file: &File, path: &Path) -> Result<Vec<Line>, Failure> {
    let mut bytes = Vec::with_capacity(ROOM);
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut bytes))
        .map_err(|error| Failure::file("read", path, &error))?;
    parse(&bytes)
        .map_err(|reason| Failure::environment(format!("{}: {reason}", path.display()), None))
}

/// The lines of a file. The error says which one is none.
pub fn parse(bytes: &[u8]) -> Result<Vec<Line>, String> {
    let mut rest = bytes;
    let (mut number, mut start, mut lines) = (0, 0, Vec::new());
    while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
        let end = bytes.len() - rest.len() + length;
        rest = &rest[length + 1..];
        number += 1;
        match number {
            1 if bytes[..end] == *HEADING => {}
            1 => {
                let found = shown(&bytes[..end]);
                return Err(format!("`{found}` where `slabinfo - version: 2.1` is expected"));
            }
            2 if bytes[start..].starts_with(b"# name ") => {}
            2 => return Err(malformed(number, &bytes[start..end])),
            _ => match line(&bytes[start..end]) {
                Some(line) => lines.push(line),
                None if has_figures(&bytes[start..end]) => {
                    return Err(malformed(number, &bytes[start..end]));
                }
                // A name that goes on.
                None => continue,
            },
        }
        start = end + 1;
    }
    match &bytes[start..] {
        [] if number > 1 => Ok(lines),
        [] => Err("it has no heading".to_owned()),
        rest => Err(malformed(number + usize::from(!rest.ends_with(b"\n")), rest)),
    }
}

/// Says that a line of a file is none of its lines.
#[must_use]
pub fn malformed(number: usize, line: &[u8]) -> String {
    format!("line {number} is malformed: `{}`", shown(line))
}

/// The start of a line that may be of any length.
fn shown(line: &[u8]) -> String {
    const MOST: usize = 120;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let end = if line.len() > MOST { "…" } else { "" };
    format!("{}{end}", printable(&line[..line.len().min(MOST)]))
}

/// Whether the second word of a line is a number.
fn has_figures(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).skip(1);
    words.next().is_some_and(|word| word.iter().all(u8::is_ascii_digit))
}

/// A line; none if it does not end as lines do.
fn line(line: &[u8]) -> Option<Line> {
    let mut left = line;
    let mut numbers = [0; 11];
    // From the end: three numbers, a heading, three numbers, a heading, five numbers, the name.
    for (at, number) in numbers.iter_mut().enumerate().rev() {
        (left, *number) = last_number(left)?;
        match at {
            8 => left = left.trim_ascii_end().strip_suffix(b" : slabdata")?,
            5 => left = left.trim_ascii_end().strip_suffix(b" : tunables")?,
            _ => {}
        }
    }
    // Short names are filled up with blanks, and one more stands behind each.
    let mut name = left.strip_suffix(b" ")?;
    while let Some(shorter) = name.strip_suffix(b" ") {
        name = shorter;
    }
    Some(Line { name: name.to_vec(), numbers })
}

/// The number that a text ends with, and the text before it.
fn last_number(text: &[u8]) -> Option<(&[u8], u64)> {
    let mut text = text;
    while let Some(shorter) = text.strip_suffix(b" ") {
        text = shorter;
    }
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = text.split_at(text.len() - digits);
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    Some((before, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> …\n";

    /// A line as the kernel prints it.
    fn printed(name: &[u8], numbers: [u64; 11]) -> Vec<u8> {
        let mut line = name.to_vec();
        line.resize(line.len().max(17), b' ');
        let widths = [6, 6, 6, 4, 4, 4, 4, 4, 6, 6, 6];
        for (at, (number, width)) in numbers.iter().zip(widths).enumerate() {
            let heading = match at {
                5 => " : tunables",
                8 => " : slabdata",
                _ => "",
            };
            line.extend(format!("{heading} {number:>width$}").bytes());
        }
        line.push(b'\n');
        line
    }

    fn file(lines: &[(&[u8], [u64; 11])]) -> Vec<u8> {
        let mut text = HEAD.as_bytes().to_vec();
        text.extend(lines.iter().flat_map(|(name, numbers)| printed(name, *numbers)));
        text
    }

    const NUMBERS: [u64; 11] = [10, 20, 192, 21, 1, 0, 0, 0, 3, 4, 5];

    #[test]
    fn lines_have_a_name_and_eleven_numbers() {
        let lines = parse(&file(&[(b"dentry", NUMBERS)])).unwrap();
        assert_eq!(lines, [Line { name: b"dentry".to_vec(), numbers: NUMBERS }]);
        let row = lines[0].row();
        assert_eq!(row[0], Value::text("dentry"));
        assert_eq!(row[1..], NUMBERS.map(Value::UInt));
        assert_eq!(parse(HEAD.as_bytes()), Ok(Vec::new()));
    }

    #[test]
    fn names_are_bytes() {
        let names: [&[u8]; 8] = [
            b"my  cache 7",
            b"a\nb",
            b"\xff\xa0",
            "à\u{85}".as_bytes(),
            b"x : tunables 0 0 0 : slabdata 1 2 3",
            b"1 2 3 4 5 : tunables",
            b"\t\r",
            b"18446744073709551616",
        ];
        let lines = parse(&file(&names.map(|name| (name, NUMBERS)))).unwrap();
        assert_eq!(lines.iter().map(|line| &line.name[..]).collect::<Vec<_>>(), names);
        assert!(lines.iter().all(|line| line.numbers == NUMBERS));
    }

    #[test]
    fn what_is_no_line_is_named() {
        let after = |line: &str| parse(format!("{HEAD}{line}").as_bytes()).unwrap_err();
        let good = String::from_utf8(printed(b"good", NUMBERS)).unwrap();
        for (text, line) in [
            ("dentry 1 2\n".to_owned() + &good, "line 3 is malformed: `dentry 1 2`"),
            (good.clone() + "dentry 10\n", "line 4 is malformed: `dentry 10`"),
            (good.clone() + "dentry", "line 4 is malformed: `dentry`"),
            (good.clone() + "\n", "line 4 is malformed: ``"),
            (good.replace(" 20 ", " x "), "line 3 is malformed: `good "),
            (good.replace(" 20 ", " -20 "), "line 3 is malformed: `good "),
            (good.replace(" 20 ", " 99999999999999999999 "), "line 3 is malformed: `good "),
            (good.replace(" tunables ", " tunable "), "line 3 is malformed: `good "),
            (good.trim_end().to_owned(), "line 3 is malformed: `good "),
        ] {
            let error = after(&text);
            assert!(error.starts_with(line), "{text:?}: {error}");
        }
    }

    #[test]
    fn other_versions_are_refused() {
        for text in ["slabinfo - version: 3.0\n#\n", "slabinfo - version: 2.1 (statistics)\n"] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.ends_with("where `slabinfo - version: 2.1` is expected"), "{error}");
        }
        for text in ["", "slabinfo - version: 2.1\n", "slabinfo - version: 2.1", "x"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_kernel_prints_is_read(
            // A name that begins like another line's figures is the one that cannot be told.
            lines in proptest::collection::vec(("[a-z:_][a-zA-Z0-9_(). :-]{0,40}[a-z)]", any::<[u64; 11]>()), 0..8),
        ) {
            let given: Vec<_> = lines.iter().map(|(name, numbers)| (name.as_bytes(), *numbers)).collect();
            let expected: Vec<Line> = lines
                .iter()
                .map(|(name, numbers)| Line { name: name.as_bytes().to_vec(), numbers: *numbers })
                .collect();
            prop_assert_eq!(parse(&file(&given)), Ok(expected));
        }

        #[test]
        fn no_bytes_are_too_much(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..200,
            head in any::<bool>(),
        ) {
            let _ = parse(&bytes);
            // Bytes amid good lines.
            let mut text = file(&[(b"dentry", NUMBERS), (b"inode", NUMBERS)]);
            let at = if head { cut.min(text.len()) } else { text.len() - cut.min(text.len()) };
            bytes.truncate(8);
            text.splice(at..at, bytes);
            let _ = parse(&text);
            text.truncate(at);
            let _ = parse(&text);
        }
    }
}
