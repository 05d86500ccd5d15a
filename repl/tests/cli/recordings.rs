//! Recordings as files: what they answer, how they are written, and what is refused as none.

use std::fs::{self};

use crate::arguments::QUERY;
use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::{self, Start};
use slabql::source::recording::Recording;

#[test]
fn files_that_are_no_recordings_are_refused() {
    let folder = Folder::new();
    let yesterday = br#"{"format":"slabql recording","version":2,"kernel":"6.18","time":"yesterday","page_size":4096,"slab_flags":{},"gfp_flags":{},"refused":{},"tables":[]}"#;
    let cases: [(&[u8], &str); 6] = [
        (b"", "its first line is not a header"),
        (b"root:x:0\n", "its first line is not a header"),
        (b"\x7fELF\xff", "it is not UTF-8"),
        (b"{\"format\":\"tar\"}\n", "its header has another format"),
        (b"{\"format\":\"slabql recording\",\"version\":9}", "it has version 9"),
        (yesterday, "`time` is not a time of RFC 3339 in UTC"),
    ];
    for (bytes, reason) in cases {
        let path = folder.file("x.slab", bytes);
        let ran: Ran = command(SLABQL).arg("--from").arg(&path).arg(QUERY).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{reason}");
        let expected = format!("error: {} is not a recording: {reason}", path.display());
        assert!(ran.err.starts_with(&expected), "{}", ran.err);
    }
}

#[test]
fn a_recording_is_not_verified() {
    for text in ["verify", ".verify", " verify ;", "# before it\n.verify\n"] {
        let ran = demo([text]);
        let expected = "error: a recording cannot be checked against this machine\n";
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(2), "", expected), "{text}");
    }
    let ran = demo([".verify now"]);
    assert_eq!((ran.code, error(&ran)), (Some(1), "error: `.verify` takes no argument\n"));
    assert!(demo([".help"]).out.contains("\n  .verify "));
}

/// A column that a recording does not have is told of as one that the kernel has not, with what follows from it.
#[test]
fn why_a_recording_lacks_a_column() {
    let folder = Folder::new();
    let header = r#"{"format":"slabql recording","version":1,"kernel":"7.1.0","time":"2026-01-01T00:00:00Z","page_size":4096,"slab_flags":{},"gfp_flags":{},"table":"caches","columns":["name","oo"],"missing":{"cpu_partial":"they were removed"},"rows":1}"#;
    let file = folder.file("x.slab", format!("{header}\n[\"a\",65540]\n")).display().to_string();
    let run = |text: &str| -> Ran { command(SLABQL).args(["--from", &file, text]).ran().into() };
    assert_eq!(run(".why cpu_partial").out, "caches.cpu_partial is NULL: they were removed\n");
    let lacks = "the recording has no column `slabs`";
    assert_eq!(run(".why memory").out, format!("caches.memory is NULL: {lacks}\n"));
    assert_eq!(
        run(".why page_order").out,
        "caches.page_order is available: The order of a slab: it has 2^order pages.\n\
         slabs.page_order is NULL: the recording has no table `slabs`\n"
    );
    let all = run(".why").out;
    assert!(all.contains("caches.size is NULL: ") && !all.contains("caches.oo"), "{all}");
    let ran = run("select name, memory, pages_per_slab");
    assert_eq!(ran.out, "name,memory,pages_per_slab\na,,2\n");
    assert!(ran.err.ends_with(&format!("\nnote: `slabs` is NULL: {lacks}\n")), "{}", ran.err);
}

#[test]
fn a_recording_answers_as_the_kernel_did() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let path = folder.path("now.slab");
    let run = |args: &[&str]| -> Ran { command(SLABQL).args(args).ran().into() };
    let file = path.display().to_string();
    let taken = run(&["--record", &file, QUERY]);
    assert_eq!((taken.code, taken.out.lines().next()), (Some(0), Some("name,size")));
    assert!(taken.err.starts_with("recorded "), "{}", taken.err);
    let read = run(&["--from", &file, QUERY]);
    assert_eq!((read.code, &read.out), (Some(0), &taken.out));
    assert!(read.err.contains("; not this machine\n"), "{}", read.err);
    assert_eq!(run(&[QUERY]).out, taken.out);
    assert_eq!(run(&[QUERY]).err, "");
    // A pipe gets it as a whole.
    let piped = run(&["--record", "-"]);
    assert!(Recording::read(piped.out.as_bytes()).is_ok(), "{}", piped.err);
    let piped = run(&["--record", "/dev/stdout", "--tables", "caches"]);
    assert!(piped.out.starts_with('{'), "{}", piped.err);
}

/// What a scan of the running kernel failed with. A list that changed meanwhile is told before it.
fn failure(ran: &Ran) -> &str {
    let lines: Vec<&str> = ran.err.lines().filter(|line| !line.starts_with("note: ")).collect();
    let [line] = lines[..] else { panic!("{}", ran.err) };
    line
}

#[test]
fn a_recording_is_written_whole_or_not_at_all() {
    if lacks(&["sh"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let old = "{\"format\": \"slabql recording\"}\n";
    let path = folder.file("old.slab", old);
    let mut shell = start::command("sh");
    // A limit on the size of files is a small disk.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" --record \"$1\"";
    let ran: Ran = shell.args(["-c", script, SLABQL]).arg(&path).ran().into();
    assert_eq!(ran.code, Some(2));
    assert_eq!(failure(&ran), format!("error: cannot write {}: File too large", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), old);
    assert_eq!(folder.names(), ["old.slab"]);
    for place in ["/dev/full", "/nonexistent/x", "/tmp"] {
        let ran: Ran = command(SLABQL).args(["--record", place]).ran().into();
        assert_eq!(ran.code, Some(2));
        assert!(
            failure(&ran).starts_with(&format!("error: cannot write {place}: ")),
            "{}",
            ran.err
        );
    }
}

#[test]
fn only_a_recording_is_replaced_by_one() {
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let write = |path: &str, record: bool| -> Ran {
        let args = if record { ["--record", path] } else { ["snapshot", path] };
        command(SLABQL).args(args).ran().into()
    };
    let notes = folder.file("notes.txt", "dear diary\n");
    let json = folder.file("rows.json", "{\"format\": \"json\"}\n");
    let packed = folder.file("packed.gz", [0x1f, 0x8b, 8, 0, 0]);
    for (path, record) in [(&notes, false), (&notes, true), (&json, false), (&packed, false)] {
        let before = fs::read(path).unwrap();
        let ran = write(path.to_str().unwrap(), record);
        let told = format!(
            "error: {} is not a recording, so it is not replaced\n  = help: use another name, or remove the file first\n",
            path.display()
        );
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
        assert!(ran.err.ends_with(&told), "{}", ran.err);
        assert_eq!(fs::read(path).unwrap(), before);
    }
    // Nothing is lost with an empty file, with an earlier recording, large or small, and with a damaged one.
    let empty = folder.file("empty", "");
    let damaged = folder.file("damaged.slab", "{\"format\": \"slabql recording\"}\nand so on");
    for path in [&empty, &empty, &damaged] {
        let ran = write(path.to_str().unwrap(), false);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let ran = write(path.to_str().unwrap(), true);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
}
