//! Names are data: whatever a cache is called, each format shows it unharmed and harmless, and a condition finds it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::common::program::{Folder, SLABQL, command};
use crate::common::start::{End, Start};
use serde_json::{Value as Json, json};

/// Names that a module might pick, each once.
fn names() -> Vec<Vec<u8>> {
    let texts = [
        "plain",
        "",
        " ",
        " blanks on both sides ",
        "a,b;c",
        "\"",
        "say \"it\", twice \"\"",
        "it's",
        "''",
        "'; select * from caches; --",
        "-- no comment",
        "new\nline",
        "\n",
        "both\r\nends\r",
        "a\ttab",
        "\x1b[2J\x1b]0;title\x07",
        "\x01\x08\x0b\x0c\x1f\x7f",
        "\u{9b}2J\u{85}",
        "\u{202e}evorp\u{2066}\u{200b}\u{feff}",
        "back\\slash\\",
        "\\x41",
        "\\N",
        "\\n",
        "null",
        "NULL",
        "true",
        "1e5",
        "=1+1",
        "| pipe | `tick` | *bold* _under_ <b> &amp; [link](x)",
        "# heading",
        "100%",
        "under_score",
        "[glob]*?",
        "é 日本 🦀 e\u{301}",
        "{\"name\":1}",
    ];
    let mut names: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    names.extend([b"caf\xe9".to_vec(), b"\xff\xfe\x80".to_vec(), b"\xe2\x82\\x41".to_vec()]);
    names.extend([vec![b'n'; 200], "é".repeat(150).into_bytes(), b"long, ".repeat(100)]);
    names
}

/// A text as the header of recordings says it: as it is, or every odd byte and every backslash marked.
fn encoded(name: &[u8]) -> String {
    match str::from_utf8(name) {
        Ok(text) if !text.contains("\\x") => text.to_owned(),
        _ => name
            .utf8_chunks()
            .map(|chunk| {
                let odd: String =
                    chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
                chunk.valid().replace('\\', "\\\\") + &odd
            })
            .collect(),
    }
}

/// A recording of a cache for each name, whose size is the name's number; other names are its aliases.
fn recording(folder: &Folder) -> String {
    let names = names();
    let header = json!({
        "format": "slabql recording", "version": 1, "kernel": "6.18.0", "time": "2026-01-01T00:00:00Z",
        "page_size": 4096, "slab_flags": {"PANIC": 8}, "gfp_flags": {}, "table": "caches",
        "columns": ["name", "size", "aliases"], "missing": {}, "rows": names.len(),
    });
    let mut text = format!("{header}\n");
    for (index, name) in names.iter().enumerate() {
        let next = encoded(&names[(index + 1) % names.len()]);
        text.push_str(&format!("{}\n", json!([encoded(name), index, [next, "x"]])));
    }
    folder.file("names.slab", text).display().to_string()
}

/// What queries over the recording give, as bytes; the queries come from a file, which may hold anything.
fn asked(file: &str, format: &str, queries: &str) -> Vec<u8> {
    let mut child = command(SLABQL)
        .args(["--from", file, "--format", format, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    child.stdin.take().unwrap().write_all(queries.as_bytes()).unwrap();
    let output = child.finish();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{queries:?}: {error}");
    let (label, notes) = error.split_once('\n').unwrap();
    assert!(label.ends_with("; not this machine") && notes.is_empty(), "{error}");
    output.stdout
}

const ALL: &str = "select size, name, aliases";

#[test]
fn csv_gives_names_back() {
    let folder = Folder::new();
    let bytes = asked(&recording(&folder), "csv", ALL);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    assert_eq!(reader.byte_headers().unwrap(), vec!["size", "name", "aliases"]);
    let rows: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
    let names = names();
    assert_eq!(rows.len(), names.len());
    for (index, (row, name)) in rows.iter().zip(&names).enumerate() {
        assert_eq!((&row[0], &row[1]), (index.to_string().as_bytes(), name.as_slice()));
        assert_eq!(row[2], [&names[(index + 1) % names.len()], b",x".as_slice()].concat());
    }
}

#[test]
fn tsv_gives_names_back_in_one_line_each() {
    let folder = Folder::new();
    let bytes = asked(&recording(&folder), "tsv", ALL);
    assert!(!bytes.contains(&b'\r'));
    let lines: Vec<&[u8]> =
        bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
    let names = names();
    assert_eq!(lines.len(), names.len() + 1);
    for (index, (line, name)) in lines[1..].iter().zip(&names).enumerate() {
        let fields: Vec<Vec<u8>> = line.split(|byte| *byte == b'\t').map(unescaped).collect();
        assert_eq!(fields[..2], [index.to_string().into_bytes(), name.clone()]);
        assert_eq!(fields[2], [&names[(index + 1) % names.len()], b",x".as_slice()].concat());
        assert_eq!(fields.len(), 3);
    }
}

/// A field of TSV.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = field.iter();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'\\' => match bytes.next() {
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'b') => 0x08,
                Some(b'v') => 0x0b,
                Some(b'f') => 0x0c,
                Some(b'\\') => b'\\',
                other => panic!("{other:?} behind a backslash"),
            },
            byte => *byte,
        });
    }
    found
}

#[test]
fn json_gives_names_back() {
    let folder = Folder::new();
    let file = recording(&folder);
    let array: Vec<Json> = serde_json::from_slice(&asked(&file, "json", ALL)).unwrap();
    let lines = asked(&file, "ndjson", ALL);
    let lines: Vec<Json> = lines
        .strip_suffix(b"\n")
        .unwrap()
        .split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(array, lines);
    let names = names();
    assert_eq!(array.len(), names.len());
    for (index, (row, name)) in array.iter().zip(&names).enumerate() {
        let next = encoded(&names[(index + 1) % names.len()]);
        let expected = json!({"size": index, "name": encoded(name), "aliases": [next, "x"]});
        assert_eq!(*row, expected);
    }
}

/// Whether a terminal would do something else with it than draw it.
fn steers(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[test]
fn what_people_read_steers_no_terminal() {
    let folder = Folder::new();
    let file = recording(&folder);
    let count = names().len();
    for format in ["table", "markdown", "vertical", "json", "ndjson"] {
        let bytes = asked(&file, format, ALL);
        let text = String::from_utf8(bytes).unwrap();
        let steering = text.chars().find(|character| steers(*character));
        assert_eq!(steering, None, "{format}");
        let lines = match format {
            "vertical" => text.lines().filter(|line| line.starts_with("── row ")).count(),
            "table" | "markdown" | "json" => text.lines().count() - 2,
            _ => text.lines().count(),
        };
        assert_eq!(lines, count, "{format}: a row is a line\n{text}");
    }
    // Two bars that are no column's would be one too many.
    let markdown = String::from_utf8(asked(&file, "markdown", "select size, name")).unwrap();
    for line in markdown.lines() {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 3, "{line}");
    }
}

/// A literal of the query language.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The sizes that queries find, a line each.
fn sizes(file: &str, queries: &[String]) -> Vec<usize> {
    let found = String::from_utf8(asked(file, "ndjson", &queries.join(";\n"))).unwrap();
    let size = |line: &str| serde_json::from_str::<Json>(line).unwrap()["size"].as_u64().unwrap();
    found.lines().map(|line| usize::try_from(size(line)).unwrap()).collect()
}

#[test]
fn conditions_find_names() {
    let folder = Folder::new();
    let file = recording(&folder);
    let names = names();
    let texts: Vec<(usize, &str)> = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some((index, str::from_utf8(name).ok()?)))
        .collect();
    let each = |condition: &dyn Fn(&str) -> String| {
        let queries: Vec<String> = texts
            .iter()
            .map(|(_, text)| format!("select size where {}", condition(text)))
            .collect();
        sizes(&file, &queries)
    };
    let expected: Vec<usize> = texts.iter().map(|(index, _)| *index).collect();
    assert_eq!(each(&|text| format!("name = {}", literal(text))), expected);
    assert_eq!(each(&|text| format!("name in ({}, 'none')", literal(text))), expected);
    let escaped = |text: &str, special: &str, mark: fn(char) -> String| -> String {
        text.chars().map(|c| if special.contains(c) { mark(c) } else { c.to_string() }).collect()
    };
    let backslash = |c: char| format!("\\{c}");
    assert_eq!(
        each(&|text| format!("name like {}", literal(&escaped(text, "%_\\", backslash)))),
        expected
    );
    assert_eq!(
        each(&|text| format!("name glob {}", literal(&escaped(text, "*?[]\\", backslash)))),
        expected
    );
    // A name's own and its neighbour's.
    let aliases = each(&|text| format!("alias_of({})", literal(text)));
    assert_eq!(aliases.len(), 2 * texts.len());
    let joined = |condition: &str| sizes(&file, &[format!("select size where {condition}")]);
    let of = |wanted: &[u8]| names.iter().position(|name| name == wanted).unwrap();
    assert_eq!(joined("name like 'new%line'"), [of(b"new\nline")]);
    assert_eq!(joined("name glob 'both*'"), [of(b"both\r\nends\r")]);
    // A byte that is no UTF-8 is one character.
    assert_eq!(joined("name like 'caf_'"), [of(b"caf\xe9")]);
    assert_eq!(joined("name glob 'caf?'"), [of(b"caf\xe9")]);
    assert_eq!(joined("name like 'caf'"), Vec::<usize>::new());
    assert_eq!(joined("length(name) = 0"), [of(b"")]);
}

/// A message holds a piece of a query, which is of no better make than a name.
#[test]
fn messages_steer_no_terminal() {
    let folder = Folder::new();
    let file = recording(&folder);
    for name in names() {
        let Ok(text) = String::from_utf8(name) else { continue };
        if text.contains('\0') {
            continue;
        }
        for query in [
            format!("select name where name = {} and size < 0", literal(&text)),
            format!("select name where size = {}", literal(&text)),
            format!("select \"{}\"", text.replace('"', "\"\"")),
            format!(".why {}", text.replace('\n', "")),
            format!("select {text}"),
        ] {
            let output = command(SLABQL).args(["--from", &file, &query]).ran();
            let error = String::from_utf8(output.stderr).unwrap();
            let steering = error.chars().find(|character| steers(*character));
            assert_eq!(steering, None, "{query:?}: {error:?}");
        }
    }
    assert!(Path::new(&file).exists());
}
