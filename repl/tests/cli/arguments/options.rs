//! Options and words: the wrong ones, those of two calls, a query that looks like an option, help and version.

use std::path::Path;

use super::QUERY;
use crate::common::program::{Folder, Ran, SLABQL, command, demo};
use crate::common::start::Start;

#[test]
fn wrong_options_are_wrong_questions() {
    for args in [
        &["--nosuch"][..],
        &["--format", "xml", QUERY],
        &["--demo", "--record", "x"],
        &["-f", "x", QUERY],
        &["--from"],
    ] {
        let ran: Ran = command(SLABQL).args(args).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{args:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
    let ran = demo(["select", "name"]);
    assert!(
        ran.err.contains("tip: a query is a single argument: put it in quotes\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_query_and_a_command_are_two_calls() {
    let folder = Folder::new();
    let file = folder.0.join("x.slab").display().to_string();
    for words in [
        ["select name limit 1", "snapshot", &file],
        ["nonsense", "snapshot", &file],
        ["--command=select 1", "snapshot", &file],
    ] {
        let ran = demo(words);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{words:?}");
        assert!(ran.err.contains("tip: ask a query and run a command apart"), "{}", ran.err);
    }
    let ran = demo(["help", "snapshot", &file]);
    assert_eq!((ran.code, ran.out), (Some(0), demo(["snapshot", "--help"]).out));
    assert!(!Path::new(&file).exists());
}

#[test]
fn a_query_may_begin_with_a_comment() {
    let query = "-- param n: int = 1  How many.\nselect name limit $n";
    for args in
        [&["--demo", query][..], &["--demo", "--", query], &["--demo", "--set", "n=1", query]]
    {
        let ran: Ran = command(SLABQL).args(args).ran().into();
        assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{args:?}: {}", ran.err);
    }
}

#[test]
fn help_is_short_and_version_is_told() {
    let help = demo(["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert_eq!(demo(["-h"]).out, help.out);
    assert!(help.out.lines().count() < 110, "{}", help.out);
    assert!(help.out.contains("\nExamples:\n  slabql '"), "{}", help.out);
    let version = format!("slabql {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(demo(["--version"]).out, version);
}
