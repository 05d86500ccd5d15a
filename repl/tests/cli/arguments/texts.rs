//! Texts from arguments, files and standard input: where they come from, and the errors of those that are wrong, too
//! long or cannot be read.

use std::fs;
use std::thread;

use super::QUERY;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::{self, End, Start};
use crate::common::{joined, lacks};

#[test]
fn texts_come_from_files_and_standard_input() {
    if lacks(&["mkfifo"]) {
        return;
    }
    let folder = Folder::new();
    let first = folder.file("first", "\u{feff}# first\r\nselect name limit 1;\r\n");
    let [first, fifo] = [first, folder.path("fifo")].map(|path| path.display().to_string());
    let rows = "name\nbtrfs_delayed_node\nname,size\ndentry,192\n";
    let ran = demo_reads(["-f", &first, "-f", "-"], QUERY.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), rows), "{}", ran.err);
    assert_eq!(demo_reads([], QUERY.as_bytes()).out, "name,size\ndentry,192\n");

    assert!(start::command("mkfifo").arg(&fifo).start().ended().success());
    let path = fifo.clone();
    let writer = thread::spawn(move || fs::write(path, QUERY).unwrap());
    let ran = demo(["-f", &first, "-f", &fifo]);
    joined("the writer of the FIFO", writer);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), rows), "{}", ran.err);
}

#[test]
fn errors_in_files_name_the_file_and_the_line() {
    let folder = Folder::new();
    let path = folder.file("q", "select name limit 1;\n\nselect nam;").display().to_string();
    let ran = demo(["-f", &path]);
    assert_eq!(ran.code, Some(1));
    let expected = format!(
        "in {path}:\nerror: unknown column `nam`\n  |\n3 | select nam;\n  |        ^^^ not in table `caches`\n"
    );
    assert!(error(&ran).starts_with(&expected), "{}", ran.err);
}

#[test]
fn wrong_texts_have_an_error_each() {
    let nested = |what: &str| format!("select {}1", what.repeat(100_000));
    let texts: [(&str, &str); 16] = [
        ("", "there is no query"),
        (";", "there is no query"),
        ("-- only this", "there is no query"),
        ("selec name", "expected `select`"),
        ("select", "expected"),
        ("select bogus", "unknown column `bogus`"),
        ("select name from bogus", "unknown table `bogus`"),
        ("select bogus(1)", "unknown function `bogus`"),
        ("select name + 1", "`+` needs a number"),
        ("select 'abc", "the text is not closed"),
        ("select \"abc", "the name is not closed"),
        ("select 18446744073709551616", "`18446744073709551616` is too large"),
        ("select 4kB", "`4kB`"),
        (&nested("("), "nested"),
        (&nested("- "), "nested"),
        (&nested("1+"), "too long"),
    ];
    for (text, message) in texts {
        let ran = demo_reads(["-f", "-"], text.as_bytes());
        let told = error(&ran);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{message}: {told}");
        assert!(told.starts_with("in standard input:\nerror: "), "{message}: {told}");
        assert!(told.lines().nth(1).unwrap().contains(message), "{message}: {told}");
        assert!(told.len() < 2000, "{message}");
    }
    assert_eq!(demo([""]).err.lines().nth(1), Some("error: there is no query"));
}

#[test]
fn ten_megabytes_and_files_without_end_are_too_long() {
    let folder = Folder::new();
    for piece in ["a", "(", "select 1;", "'", "1+", "\0", "\n"] {
        let bytes = piece.repeat(10_000_000 / piece.len());
        let path = folder.file("big", &bytes).display().to_string();
        for ran in
            [demo(["-f", &path]), demo_reads([], bytes.as_bytes()), demo(["-f", "/dev/zero"])]
        {
            assert_eq!(ran.code, Some(1), "{piece:?}");
            assert!(error(&ran).contains("\nerror: the text is too long\n"), "{piece:?}");
            assert!(ran.err.len() < 1000);
        }
    }
}

#[test]
fn files_that_cannot_be_read_are_the_machines() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name).display().to_string();
    folder.file("latin", b"select 'caf\xe9'");
    let ran = demo(["-f", &path("latin")]);
    assert_eq!(ran.code, Some(1));
    assert!(error(&ran).contains("error: the text is not UTF-8\n"), "{}", ran.err);
    for (file, reason) in [
        (path("none"), "No such file or directory"),
        (folder.0.display().to_string(), "Is a directory"),
    ] {
        for option in ["-f", "--from"] {
            let ran: Ran = command(SLABQL).args([option, &file, "-f", "-"]).ran().into();
            assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{option} {file}");
            assert_eq!(ran.err, format!("error: cannot read {file}: {reason}\n"));
        }
    }
    folder.file("bell\x07", "");
    assert!(demo(["-f", &path("none\x07")]).err.contains("none\\x07: "));
}
