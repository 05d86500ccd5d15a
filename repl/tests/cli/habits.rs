//! What people type first who come from other programs.

use std::fs;

use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::Start;

#[test]
fn a_query_may_begin_with_a_comment() {
    let query = "-- the largest\nselect name limit 1";
    let expected = "name\nbtrfs_delayed_node\n";
    assert_eq!(demo([query]).out, expected);
    assert_eq!(demo(["-c", query]).out, expected);
    assert_eq!(demo(["-e", query, "--exact"]).out, expected);
    assert_eq!(demo_reads(["-f", "-"], query.as_bytes()).out, expected);
}

#[test]
fn options_give_queries_too() {
    let ran =
        demo(["-c", "select name limit 1", "-c", ".mode json", "--command", "select size limit 1"]);
    assert_eq!(ran.out, "name\nbtrfs_delayed_node\n[\n{\"size\":312}\n]\n");
    let ran = demo(["-csv", "select name limit 1"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.contains("`--format csv`"), "{}", ran.err);
}

#[test]
fn what_ends_a_query_says_where_its_answer_goes() {
    let name = "name\nbtrfs_delayed_node\n";
    assert_eq!(demo(["select name limit 1 \\g"]).out, name);
    let vertical = demo(["select name limit 1\\G"]).out;
    assert!(vertical.ends_with("\nname  btrfs_delayed_node\n"), "{vertical}");
    if !lacks(&["sh", "tr"]) {
        assert_eq!(demo(["select name limit 1 \\g |tr a-z A-Z"]).out, name.to_uppercase());
    }
    let folder = Folder::new();
    let file = folder.0.join("a.csv");
    assert_eq!(demo([&*format!("select name limit 1 \\g '{}'", file.display())]).out, "");
    assert_eq!(fs::read_to_string(file).unwrap(), name);
    // The last query, for so many ticks.
    let again = demo(["-c", "select name where name = 'dentry'", "-c", ".watch 10ms count 2"]).out;
    assert_eq!(again.matches("dentry\n").count(), 3, "{again}");
    let watched = demo(["select name where name = 'dentry' \\watch i=0.01 c=2"]).out;
    assert_eq!(watched.matches(",dentry\n").count(), 2, "{watched}");
    for (ending, message) in [
        ("\\gset", "error: unknown command `\\gset`"),
        ("\\q", "error: `\\q` ends no query"),
        ("\\watch c=0", "error: `0` is no number of ticks"),
        ("\\watch x", "error: `x` is not an interval"),
    ] {
        let ran = demo([&*format!("select name limit 1 {ending}")]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ending}");
        assert!(error(&ran).starts_with(message), "{}", ran.err);
    }
}

#[test]
fn null_in_csv_is_nothing_and_the_empty_text_is_quotes() {
    assert_eq!(demo(["select ctor limit 1"]).out, "ctor\n\n");
    let ran = demo(["select name, ctor, '' limit 1"]);
    assert_eq!(ran.out, "name,ctor,''\nbtrfs_delayed_node,,\"\"\n");
}

#[test]
fn commands_of_other_programs_are_answered() {
    for (words, help) in [
        (&["kmem", "-s"][..], "tip: `select *` lists the caches; `whatis ADDRESS` identifies"),
        (&["ls", "-l", "dentry"], "tip: `.tables` lists the tables"),
        (&["man", "slabql"], "tip: `.help` lists the commands"),
    ] {
        let ran: Ran = command(SLABQL).args(words).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{words:?}");
        assert!(ran.err.contains(help), "{words:?}: {}", ran.err);
    }
    let ran = demo(["slabql leak dentry"]);
    assert!(error(&ran).contains("help: leave `slabql` out"), "{}", ran.err);
    let ran = demo(["help me"]);
    assert!(error(&ran).starts_with("error: there is no help on `me`"), "{}", ran.err);
    assert!(error(&ran).ends_with("  = help: `.help` lists the commands\n"), "{}", ran.err);
}
