//! Alerts: the exit code that says that a condition holds, and what stays silent.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::{End, Start};

const SOME: &str = "select name where name = 'dentry'";
const NONE: &str = "select name where name = 'no such cache'";

fn code(arguments: &[&str]) -> Option<i32> {
    demo(arguments.iter().copied()).code
}

#[test]
fn a_condition_that_holds_is_exit_code_4() {
    let both = format!("{SOME}; {NONE}");
    let reversed = format!("{NONE}; {SOME}");
    for (option, query, expected) in [
        ("--fail-if-rows", SOME, 4),
        ("--fail-if-rows", NONE, 0),
        ("--fail-if-empty", SOME, 0),
        ("--fail-if-empty", NONE, 4),
        // One of several is enough.
        ("--fail-if-rows", &both, 4),
        ("--fail-if-rows", &reversed, 4),
        ("--fail-if-empty", &both, 4),
        ("--fail-if-empty", &reversed, 4),
        // Groups and host tables are answers too.
        ("--fail-if-rows", "select count(*)", 4),
        ("--fail-if-empty", "select * from flags limit 0", 4),
        // What has no rows is no answer.
        ("--fail-if-empty", ".tables", 0),
        ("--fail-if-empty", "explain select name", 0),
    ] {
        assert_eq!(code(&[option, query]), Some(expected), "{option} {query}");
        assert_eq!(code(&[option, "--quiet", query]), Some(expected), "{option} {query}");
    }
    assert_eq!(code(&[NONE]), Some(0));
    assert_eq!(code(&["--fail-if-rows", "report", "largest"]), Some(4));

    // What is asked to fail still answers.
    let ran = demo(["--fail-if-rows", SOME]);
    assert_eq!((ran.out.as_str(), error(&ran)), ("name\ndentry\n", ""));
}

#[test]
fn failures_keep_their_exit_codes() {
    for option in ["--fail-if-rows", "--fail-if-empty"] {
        for (query, expected) in [
            ("select nam", 1),
            ("select name from objects", 2),
            // The one before raised it.
            ("select name limit 1;\n.nonsense", 1),
            ("select name limit 0;\n.verify", 2),
        ] {
            let ran = demo([option, "--quiet", query]);
            assert_eq!((ran.code, ran.out.as_str()), (Some(expected), ""), "{option} {query}");
            assert!(ran.err.starts_with("error: "), "{}", ran.err);
        }
    }
    assert_eq!(code(&["--fail-if-rows", "--fail-if-empty", SOME]), Some(1));
}

#[test]
fn quiet_writes_nothing_but_errors() {
    let folder = Folder::new();
    // A query with a note, a command with output, a listing, a timer.
    let text = format!("{SOME} and name = null;\n.tables\n.timer on\nexplain {SOME};\n{SOME};");
    let path = folder.file("q", &text).display().to_string();
    assert!(error(&demo(["-f", &path])).contains("note: "));
    for quiet in ["-q", "--quiet"] {
        let ran = demo([quiet, "-f", &path]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", ""));
    }
    let ran = demo(["-q", "select nam"]);
    assert!(ran.out.is_empty() && ran.err.starts_with("error: unknown column"), "{}", ran.err);
}

#[test]
fn a_reader_that_goes_away_has_seen_rows() {
    let mut child = command(SLABQL);
    let query = "select *;".repeat(100);
    child.args(["--demo", "--fail-if-rows", &query]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.start();
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ran: Ran = child.finish().into();
    assert_eq!((ran.code, error(&ran)), (Some(4), ""));
}
