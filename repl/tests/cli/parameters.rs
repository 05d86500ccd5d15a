//! Parameters: how they are given on the command line, by commands and by files, and what is told of a wrong one.

use crate::common::program::{Folder, demo, demo_reads, error};

const NAMED: &str = "select name where name = $name";

#[test]
fn values_come_from_options_commands_and_defaults() {
    let ran = demo(["--set", "name=dentry", NAMED]);
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), "name\ndentry\n", ""));
    let text = format!(".set name dentry\n{NAMED};\n.set name=filp\n{NAMED}");
    assert_eq!(demo([text.as_str()]).out, "name\ndentry\nname\nfilp\n");
    let text = format!("\n-- param name: text = dentry  Which.\n{NAMED}");
    assert_eq!(demo([text.as_str()]).out, "name\ndentry\n");
    assert_eq!(demo(["--set", "NAME=filp", text.as_str()]).out, "name\nfilp\n");
    // A value that looks like a number is a text where the declaration says so, or quotes do.
    for value in ["name='dentry'", "$name=dentry"] {
        assert_eq!(demo(["--set", value, NAMED]).out, "name\ndentry\n", "{value}");
    }
    let ran = demo(["--set", "a=4k", "--set", "b=-1", "select $a + 1, $b, typed limit 1"]);
    assert!(error(&ran).contains("unknown column `typed`"), "{}", ran.err);
    let ran = demo(["--set", "a=4k", "--set", "b=-1", "select $a + 1, $b limit 1"]);
    assert_eq!(ran.out, "4KiB + 1,-1\n4097,-1\n");
    for (value, told) in
        [("-1k", "-1024"), ("+5", "5"), ("-0x10", "-16"), ("3com", "3com"), ("+x", "+x")]
    {
        let ran = demo(["--set", &format!("x={value}"), "select $x as x limit 1"]);
        assert_eq!(
            (ran.out.as_str(), error(&ran)),
            (format!("x\n{told}\n").as_str(), ""),
            "{value}"
        );
    }
}

/// A number that no type holds is no text.
#[test]
fn a_value_is_too_large() {
    for value in ["18446744073709551616", "0x1ffffffffffffffff", "99999999999T", "1e999", "-1e999"]
    {
        let ran = demo(["--set", &format!("x={value}"), "select $x as x limit 1"]);
        let expected = format!(
            "error: `$x` is too large\n  |\n1 | select $x as x limit 1\n  |        ^^ `{value}` was given\n"
        );
        assert!(error(&ran).starts_with(&expected), "{}", ran.err);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    }
}

#[test]
fn a_wrong_value_is_named_and_marked() {
    let ran = demo([NAMED]);
    let expected = "error: `$name` has no value\n  |\n1 | select name where name = $name\n  |                          ^^^^^\n  \
                    = help: set it with `--set name=…`, or at the prompt with `.set name …`\n";
    assert_eq!((ran.code, error(&ran)), (Some(1), expected));

    let text = "\n-- param min: size = 1MiB  The least.\nselect name where memory > $min";
    let ran = demo(["--set", "min=much", text]);
    let expected = "error: `$min` is not a size\n  |\n3 | select name where memory > $min\n  |                            ^^^^ `much` was given\n  \
                    = help: set it with `--set min=1MiB`, or at the prompt with `.set min 1MiB`\n";
    assert_eq!((ran.code, error(&ran)), (Some(1), expected));
    let ran = demo(["--set", "min=4kB", text]);
    assert!(error(&ran).ends_with("or `4000` for 4000 bytes\n"), "{}", ran.err);

    // Where the language itself takes offence, the value is told.
    let ran = demo(["--set", "n=many", "select name limit $n"]);
    assert!(error(&ran).contains("^^ `$n` is `many`\n"), "{}", ran.err);
    let ran = demo(["--set", "n=many", "select name where size > $n"]);
    assert!(error(&ran).contains("^^ this is a text; `$n` is `many`\n"), "{}", ran.err);
}

#[test]
fn a_value_without_a_use_is_told() {
    let text = "\n-- param min: size = 0\nselect name where memory > $min limit 1";
    let ran = demo(["--set", "mn=1", "--set", "min=0", text]);
    let note = "note: no query has a parameter `$mn`; did you mean `$min`?\n";
    assert_eq!((ran.code, error(&ran)), (Some(0), note));
    let ran = demo(["--set", "zebra=1", "select 1 limit 1"]);
    assert_eq!(error(&ran), "note: no query has a parameter `$zebra`\n");
    // A file that is read counts too.
    let folder = Folder::new();
    let file = folder.file("q", text).display().to_string();
    let ran = demo(["--set", "min=1", format!(".read {file}").as_str()]);
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));

    for word in ["min", "1=2", "=2"] {
        let ran = demo(["--set", word, text]);
        let expected =
            format!("error: `{word}` does not set a parameter\n  = help: write `name=value`\n");
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), expected.as_str()));
    }
}

#[test]
fn commands_show_and_take_values() {
    let ran = demo_reads([], b".set b 'a b'\n.set a 1\n.set\n.set b\n.unset a\n.set\n");
    assert_eq!(ran.out, "a = 1\nb = 'a b'\nb = 'a b'\nb = 'a b'\n");
    for (text, message, help) in [
        (".set x", "`$x` is not set", ""),
        (".set min 1\n.set mn", "`$mn` is not set", "  = help: did you mean `min`?\n"),
        (".unset x", "`$x` is not set", ""),
        (".unset", "`=` does not set a parameter", "  = help: write `name=value`\n"),
        (".set 1 2", "`1=2` does not set a parameter", "  = help: write `name=value`\n"),
    ] {
        let ran = demo([text]);
        let expected = format!("error: {message}\n{help}");
        assert_eq!((ran.code, error(&ran)), (Some(1), expected.as_str()), "{text}");
    }
}
