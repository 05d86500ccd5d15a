//! What goes to which stream, in which format and colour, and what happens where a stream is full, closed or
//! interrupted.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use super::QUERY;
use crate::common::lacks;
use crate::common::program::{Ran, SLABQL, command, demo, error};
use crate::common::start::{self, End, Start};
use rustix::process::Signal;

#[test]
fn every_format_writes_rows_to_standard_output_only() {
    let formats = [
        ("table", "name     size\n─────────────\ndentry  192 B\n"),
        ("csv", "name,size\ndentry,192\n"),
        ("tsv", "name\tsize\ndentry\t192\n"),
        ("json", "[\n{\"name\":\"dentry\",\"size\":192}\n]\n"),
        ("ndjson", "{\"name\":\"dentry\",\"size\":192}\n"),
        ("markdown", "| name | size |\n| :--- | ---: |\n| dentry | 192 B |\n"),
    ];
    for (format, expected) in formats {
        let ran = demo(["--format", format, QUERY]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), expected), "{format}");
        assert_eq!(error(&ran), "", "{format}");
        assert!(ran.err.contains("not this machine\n"), "{}", ran.err);
    }
    assert!(demo(["--format", "vertical", QUERY]).out.ends_with("\nname  dentry\nsize  192 B\n"));
    assert_eq!(demo([QUERY]).out, "name,size\ndentry,192\n");
    assert!(demo(["--exact", "--format", "table", QUERY]).out.ends_with("dentry   192\n"));
}

#[test]
fn colours_are_for_terminals() {
    let wrong = "select nam";
    let plain = demo(["--format", "table", QUERY]).out + &demo([wrong]).err;
    assert!(!plain.contains('\x1b'), "{plain}");
    let forced = demo(["--color", "always", wrong]).err;
    assert!(forced.contains("\x1b[1;31merror:\x1b[0m\x1b[1m unknown column `nam`\x1b[0m\n"));
    assert!(forced.contains("|        \x1b[1;31m^^^ not in table `caches`\x1b[0m\n"), "{forced}");
    let table = demo(["--color", "always", "--format", "table", QUERY]).out;
    assert!(table.starts_with("\x1b[1mname\x1b[0m"), "{table}");
    let csv = demo(["--color", "always", QUERY]).out;
    assert!(!csv.contains('\x1b'), "{csv}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let mut child = command(SLABQL);
    let query = "select *;".repeat(100);
    child.args(["--demo", &query]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.start();
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("name,"), "{line}");
    let ran: Ran = child.finish().into();
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
}

#[test]
fn full_disks_are_told() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut rows = command(SLABQL);
    let ran: Ran =
        rows.args(["--demo", QUERY]).stdout(full()).stderr(Stdio::piped()).start().finish().into();
    assert_eq!(ran.code, Some(2));
    assert_eq!(error(&ran), "error: cannot write the answer: No space left on device\n");
    // A message that cannot be written changes nothing.
    for (query, code) in [(QUERY, 0), ("select nam", 1), ("", 1)] {
        let mut command = command(SLABQL);
        let ran: Ran = command
            .args(["--demo", query])
            .stdout(Stdio::piped())
            .stderr(full())
            .start()
            .finish()
            .into();
        assert_eq!(ran.code, Some(code));
        assert_eq!(ran.out.is_empty(), code == 1);
    }
    let status = command(SLABQL).arg("--nosuch").stderr(full()).start().ended();
    assert_eq!(status.code(), Some(1));
    let status = command(SLABQL).arg("--help").stdout(full()).start().ended();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn closed_streams_do_no_harm() {
    if lacks(&["sh"]) {
        return;
    }
    let run = |script: &str| -> Ran {
        let script = format!("\"$0\" --demo \"$1\" {script}");
        let mut shell = start::command("sh");
        shell.args(["-c", &script, SLABQL, QUERY]).ran().into()
    };
    let ran = run("2>&-");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "name,size\ndentry,192\n"));
    // An answer that nobody can get is lost, and no standard error is left to say so in the second case.
    assert_eq!(run(">&-").code, Some(2));
    assert_eq!(run("<&- >&- 2>&-").code, Some(2));
    assert_eq!(run("<&- 2>&-").code, Some(0));
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let mut child = command(SLABQL);
    let query = "select *;".repeat(1000);
    let mut child = child
        .args(["--demo", "--format", "json", &query])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .start();
    // It runs once it has written something, and it cannot end: nobody reads the rest.
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    child.signal(Signal::INT);
    assert_eq!(child.ended().signal(), Some(2));
    drop(out);
}
