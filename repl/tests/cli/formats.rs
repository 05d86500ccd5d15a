//! What each format does with a reader that leaves, a disk that is full, and names of files.

use std::io::Read;
use std::process::Stdio;

use slabql::render::{Capacity, FORMATS, FormatRow};

use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::{End, Start};
use crate::common::{self, lacks, start};

/// Rows that are told apart, with numbers, texts, addresses, truths and what is NULL.
const ROWS: &str =
    "select name, addr, size, memory, utilization, flags, aliases, complete, usersize";

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    for format in FORMATS.iter().filter(|format| !format.stacks_only) {
        let mut child = command(SLABQL);
        // More than a pipe holds.
        let many = format!("{ROWS}, name || '{}' as text", "x".repeat(4000));
        child.args(["--demo", "--format", format.name, &many]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
        let mut byte = [0];
        child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
        let ran: Ran = child.finish().into();
        assert_eq!((ran.code, error(&ran)), (Some(0), ""), "{}", format.name);
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_whole_in_each_format() {
    if lacks(&["unshare", "sh", "mount", "cat", "ls"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    for format in FORMATS.iter().filter(|format| !format.stacks_only) {
        let folder = Folder::new();
        let script = "mount -t tmpfs -o size=8k,mode=0700 none \"$1\" && cd \"$1\" && echo old > f \
                      && \"$0\" --demo --format \"$2\" --output f \"$3\"; echo code $?; cat f; ls -A";
        let mut shell = start::command("unshare");
        shell.args(["-m", "sh", "-c", script, SLABQL]).arg(&folder.0).args([format.name, ROWS]);
        let ran: Ran = shell.ran().into();
        assert_eq!(ran.out, "code 2\nold\nf\n", "{}: {}", format.name, ran.err);
        let message = "error: cannot write f: No space left on device\n";
        assert_eq!(error(&ran), message, "{}", format.name);
    }
}

#[test]
fn a_format_that_holds_one_answer_is_given_one() {
    let holds_one = |format: &&&FormatRow| format.capacity != Capacity::Many && !format.stacks_only;
    for format in FORMATS.iter().filter(holds_one) {
        let name = format.name;
        let folder = Folder::new();
        let path = folder.file("f", "old").display().to_string();
        let says = format!("error: `{name}` holds one answer, and there is one already\n");
        let two = format!("{ROWS};{ROWS}");
        for place in ["/dev/null", &path] {
            let ran = demo(["--format", name, "-o", place, &two]);
            assert_eq!(ran.code, Some(1), "{name}");
            assert!(error(&ran).starts_with(&says), "{name}: {}", ran.err);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"old");

        // Neither does another format follow it, nor it another.
        let all = format!(".output {path}\n.mode {name}\n{ROWS};\n.mode csv\n{ROWS};\n");
        assert!(error(&demo([&*all])).starts_with(&says), "{name}");
        let all = format!(".output {path}\n.mode csv\n{ROWS};\n.mode {name}\n{ROWS};\n");
        assert!(error(&demo([&*all])).starts_with(&says), "{name}");

        // A file each is what works.
        let places = format!(".mode {name}\n.once {path}\n{ROWS};\n.once {path}\n{ROWS};\n{ROWS};");
        assert_eq!((demo(["-o", "/dev/null", &*places]).code, name), (Some(0), name));

        if format.capacity == Capacity::One {
            let ran = demo(["--format", name, "--watch", "1ms", "--count", "1", ROWS]);
            let says = format!("error: `{name}` holds one answer, and a watch has many\n");
            assert_eq!(ran.code, Some(1), "{name}");
            assert!(error(&ran).starts_with(&says), "{name}: {}", ran.err);
        }
    }
}

#[test]
fn what_has_no_stack_is_refused_by_formats_of_stacks() {
    for format in FORMATS.iter().filter(|format| format.stacks_only) {
        for query in ["select name, memory", "select 1"] {
            let name = format.name;
            let ran = demo(["--format", name, "--output", "/dev/null", query]);
            assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{name} {query}");
            let says =
                format!("error: the format `{name}` needs a stack, and the query has none\n");
            let help =
                "  = help: `trace 5s select stack, count(*) from allocations group by stack`\n";
            assert_eq!(error(&ran), format!("{says}{help}"), "{name} {query}");
        }
    }
}

#[test]
fn what_metrics_cannot_say_is_the_querys_fault() {
    let folder = Folder::new();
    let path = folder.file("slab.prom", "old").display().to_string();
    for (query, says) in [
        ("select name", "error: metrics are numbers, and the query has none\n"),
        ("select flags, size", "error: two rows have the labels {flags=\""),
    ] {
        let ran = demo(["-o", &path, query]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{query}");
        assert!(error(&ran).starts_with(says), "{}", ran.err);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }
    let ran = demo([
        "-o",
        &path,
        "select name, sum(memory) as memory group by name order by 2 desc limit 1",
    ]);
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), "", ""));
    let text = std::fs::read_to_string(&path).unwrap();
    let help = "# HELP slabql_caches_memory_bytes `sum(memory)`: The memory of all slabs.\n";
    assert!(text.starts_with(help) && text.ends_with("\n# EOF\n"), "{text}");
}
