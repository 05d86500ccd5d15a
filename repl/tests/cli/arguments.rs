//! The command line: options, files, exit codes, and what goes to which stream.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Stdio;
use std::thread;

use crate::common;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::{self, End, Start};
use crate::common::{joined, lacks};
use rustix::process::Signal;

pub const QUERY: &str = "select name, size where name = 'dentry'";

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

#[test]
fn dot_commands_stand_between_statements() {
    let ran = demo([".tables"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.out.starts_with("caches "), "{}", ran.out);
    assert!(demo([".schema caches"]).out.contains("\n  object_size "));
    let ran = demo_reads([], b"-- as JSON\n.mode ndjson\n\nselect name limit 1;");
    assert_eq!(ran.out, "{\"name\":\"btrfs_delayed_node\"}\n");
    let ran = demo_reads([], b".quit\nselec");
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), "", ""));

    let wrong = [
        (".tabels", "error: unknown command `.tabels`\n  = help: did you mean `.tables`?\n"),
        ("\\tabels", "error: unknown command `\\tabels`\n  = help: did you mean `.tables`?\n"),
        ("\\zzzzz", "error: unknown command `\\zzzzz`\n  = help: `.help` lists the commands\n"),
        (".tables x", "error: `.tables` takes no argument\n"),
        (
            ".timer maybe",
            "error: `timer` cannot be `maybe`\n  = help: there are `on`, `off`, `stages`\n",
        ),
    ];
    for (text, expected) in wrong {
        let ran = demo([text]);
        assert_eq!((ran.code, error(&ran)), (Some(1), expected));
    }
    let ran = demo([".mode csv\nselect nam"]);
    assert!(error(&ran).contains("\n2 | select nam\n"), "{}", ran.err);
    let ran = demo(["select name; .tables"]);
    let help = "  = help: put a command such as `.tables` on a line of its own\n";
    assert!(ran.err.ends_with(help), "{}", ran.err);
}

#[test]
fn why_a_column_is_null() {
    let all = "caches.type is NULL: the recording has no column `type`\n\
               `nodes` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               `cpus` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               `slabs` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               objects.* is NULL: the demo has no table `objects`\n\
               `slabinfo` in the demo comes from a virtual machine (Linux 6.18.15+deb13-cloud-amd64), `caches` from another machine\n\
               cgroups.* is NULL: the demo has no table `cgroups`\n\
               allocations.* is NULL: a recording has no table `allocations`\n\
               frees.* is NULL: a recording has no table `frees`\n\
               audit.* is NULL: a recording has no table `audit`\n\
               contention.* is NULL: a recording has no table `contention`\n";
    let told = [
        (".why", all),
        (
            ".why cpu_partial",
            "caches.cpu_partial is available: The maximum number of free objects that a CPU may hold in partial slabs.\n",
        ),
        (
            ".why CACHES.Size",
            "caches.size is available: The distance from one object to the next, including metadata and padding; slabinfo's objsize.\n",
        ),
        (".why nodes.slabs", "nodes.slabs is available: The number of slabs on the node.\n"),
        (
            ".why slabs",
            "caches.slabs is available: The number of slabs, summed over all NUMA nodes.\n\
             nodes.slabs is available: The number of slabs on the node.\n",
        ),
        (
            ".why mergeable;",
            "caches.mergeable is available: Whether a later cache may be merged into this one, not considering boot parameters.\n",
        ),
    ];
    for (text, expected) in told {
        let ran = demo([text]);
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), expected, ""), "{text}");
    }
    let of_nodes = "there are `name`, `addr`, `node`, `slabs`, `objects`, `partial`, `free_partial`, `barn_full`, `barn_empty`, `cached_barns`, `complete`";
    let list = "`select * from columns` lists the columns";
    let tables = "there are `caches`, `nodes`, `cpus`, `slabs`, `objects`, `aliases`, `flags`, `slabinfo`, `columns`, `cgroups`, `diff`, `allocations`, `frees`, `audit`, `contention`";
    for (text, message, help) in [
        (".why nonsense", "unknown column `nonsense`", list),
        (".why cpu_partal", "unknown column `cpu_partal`", "did you mean `cpu_partial`?"),
        (".why nodes.size", "unknown column `nodes.size`", of_nodes),
        (".why node.slabs", "unknown table `node`", "did you mean `nodes`?"),
        (".why processes.slabs", "unknown table `processes`", tables),
        (".why a b", "unknown column `a b`", list),
        (".schema s->kobj", "a recording has no members", "only the running kernel has members"),
        (".schema cpu", "unknown table `cpu`", "did you mean `cpus`?"),
    ] {
        let ran = demo([text]);
        let expected = format!("error: {message}\n  = help: {help}\n");
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(1), "", expected.as_str()));
    }
}

#[test]
fn addresses_are_of_the_running_kernel() {
    let ran = demo(["whatis", "ffff888100bea600", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(error(&ran).starts_with("error: a recording does not contain memory\n"));
    let ran = demo(["whatis 0, xyz"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(error(&ran).starts_with("error: `xyz` is not an address\n"));
}

#[test]
fn tables_that_are_none_are_told() {
    let ran = demo(["select * from nodess"]);
    let expected = "error: unknown table `nodess`\n  |\n1 | select * from nodess\n  |               ^^^^^^\n  = help: did you mean `nodes`?\n";
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(1), "", expected));
    let tables = demo([".tables"]).out;
    let names: Vec<&str> = tables.lines().filter_map(|line| line.split(' ').next()).collect();
    let known: Vec<&str> = query::catalog::TABLES.iter().map(|table| table.name).collect();
    assert_eq!(names, known);
    for name in names {
        let schema = demo([format!(".schema {name}").as_str()]).out;
        assert!(schema.starts_with(&format!("{name}: A row for each ")), "{schema}");
    }
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

#[test]
fn without_rights_a_pipe_gets_nothing() {
    let folder = Folder::new();
    let program = folder.program();
    let turn = common::live();
    let root = turn.is_some();
    for args in [&[QUERY][..], &["--format", "table", QUERY], &["--record", "/tmp/x.slab"]] {
        let mut command = command(&program);
        if root {
            command.uid(65534).gid(65534);
        }
        let ran: Ran = command.args(args).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(!root || ran.err.contains("CAP_BPF and CAP_PERFMON\n  = help: "), "{}", ran.err);
    }
}

#[test]
fn the_kernel_takes_conditions_that_are_decided() {
    let Some(_turn) = common::live() else { return };
    for (condition, any) in [
        ("false", false),
        ("null", false),
        ("1 > 2 and size > 1", false),
        ("(size > 3 or objects > 5) and false", false),
        ("size in (-1) and objects >= 0", false),
        ("name like '%' and size > 3", true),
        ("(name = 'x' and (false or size > 3)) or true", true),
    ] {
        let query = format!("select name where {condition} limit 1");
        let ran: Ran = command(SLABQL).arg(&query).ran().into();
        assert_eq!(ran.code, Some(0), "{condition}: {}", ran.err);
        assert_eq!(ran.out.lines().count(), 1 + usize::from(any), "{condition}");
    }
}
