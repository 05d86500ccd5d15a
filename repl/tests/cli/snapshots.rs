//! Snapshots are whole or refused: cut at every byte, changed at every byte, of another version, on a full disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::TempFile;
use crate::common::lacks;
use crate::common::start::{self, End, Start};
use serde_json::{Map, Value as Json};
use slabql::source::recording::Recording;
use slabql::source::recording::file;
use slabql::source::{Choice, Source as _};

/// The text of the demo with `rows` of its caches, its header changed by `change`.
fn text(rows: usize, change: impl Fn(&mut Map<String, Json>)) -> String {
    let demo = Recording::demo().unwrap().text();
    let mut lines = demo.lines();
    let mut header: Map<String, Json> = serde_json::from_str(lines.next().unwrap()).unwrap();
    header.remove("crc32");
    header["rows"] = rows.into();
    header.insert("boot".into(), "00000000-0000-4000-8000-000000000000".into());
    change(&mut header);
    let lines: String = lines.take(rows).map(|line| format!("{line}\n")).collect();
    file::sealed(&serde_json::to_string(&header).unwrap(), &lines)
}

/// A small recording as it is written, and as it were if it were large.
fn small() -> [Vec<u8>; 2] {
    let text = text(8, |_| ());
    let large = file::pack(text.repeat(40));
    assert!(large.starts_with(&[0x1f, 0x8b]));
    let mut gzip = start::command("gzip");
    let gzip = gzip.arg("-n").stdin(Stdio::piped()).stdout(Stdio::piped());
    [text.clone().into_bytes(), piped(gzip, text.as_bytes()).stdout]
}

/// Runs a program to its end, with something to read.
fn piped(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut child = command.start();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.finish()
}

/// All that a recording says.
fn all(recording: Recording) -> (Answer, [String; 2], Option<String>) {
    let label = [recording.time().to_owned(), recording.release().to_owned()];
    let boot = recording.boot();
    (ask::ask(&mut ask::session(Box::new(recording), Choice::default()), "select all"), label, boot)
}

#[test]
fn what_was_cut_anywhere_is_refused() {
    if lacks(&["gzip"]) {
        return;
    }
    for bytes in small() {
        assert_eq!(Recording::read(&bytes).unwrap().len(), 8);
        for cut in 0..bytes.len() {
            let Err(reason) = Recording::read(&bytes[..cut]) else { panic!("cut at {cut}") };
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
    }
}

/// One bit of each byte, each in its turn. What stays readable says what it said before.
#[test]
fn what_was_changed_anywhere_is_refused_or_says_the_same() {
    if lacks(&["gzip"]) {
        return;
    }
    let mut harmless = 0;
    for bytes in small() {
        let whole = all(Recording::read(&bytes).unwrap());
        for at in 0..bytes.len() {
            for bit in [at % 8, (at + 4) % 8] {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(recording) = Recording::read(&changed) {
                    harmless += 1;
                    assert_eq!(all(recording), whole, "bit {bit} of byte {at}");
                }
            }
        }
    }
    // The name of the checksum's key, and what gzip knows besides: time, system, level.
    assert!(harmless < 40, "{harmless}");
}

#[test]
fn another_version_is_told() {
    let newer = text(3, |header| {
        header["version"] = 2.into();
        header.remove("columns");
    });
    let reason = Recording::read(newer.as_bytes()).err().unwrap();
    assert!(reason.contains("version 2,") && reason.contains("newer"), "{reason}");
    let reason = Recording::read(text(3, |header| header["version"] = "1".into()).as_bytes());
    assert_eq!(reason.err().unwrap(), "its version is not a number");

    // What a later slabql may add to version 1 is passed over.
    let later = text(3, |header| {
        header.insert("more".into(), vec![1, 2].into());
    });
    assert_eq!(Recording::read(later.as_bytes()).unwrap().len(), 3);
    let more = text(1 << 21, |_| ());
    assert!(Recording::read(more.as_bytes()).err().unwrap().contains("the limit is 1048576"));
}

/// A file as version 1 began: without a boot and a checksum.
#[test]
fn older_files_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/version-1.slab");
    let recording = Recording::open(&path).unwrap();
    assert_eq!((recording.len(), recording.boot()), (6, None));
    let mut session = ask::session(Box::new(recording), Choice::default());
    let dentry =
        ask::ask(&mut session, "select size, objects, active, memory where name = 'dentry'");
    assert_eq!(dentry.0.rows.len(), 1);
    let numbers = ["size", "objects", "active", "memory"].map(|name| dentry.numbers(name)[0]);
    assert_eq!(numbers, [192, 305_193, 302_701, 59_527_168]);
}

#[test]
fn large_ones_are_compressed_and_read_back() {
    if lacks(&["gunzip"]) {
        return;
    }
    let demo = Recording::demo().unwrap().text();
    let (header, lines) = demo.split_once('\n').unwrap();
    let mut header: Map<String, Json> = serde_json::from_str(header).unwrap();
    header.remove("crc32");
    header["rows"] = (header["rows"].as_u64().unwrap() * 20).into();
    let text = file::sealed(&serde_json::to_string(&header).unwrap(), &lines.repeat(20));
    let recording = Recording::read(text.as_bytes()).unwrap();
    let file = TempFile::new("large.slab");
    recording.save(&file.0).unwrap();
    let bytes = fs::read(&file.0).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() * 4 < text.len(), "{}", bytes.len());
    assert_eq!(all(Recording::open(&file.0).unwrap()), all(recording));
    // Another program can unpack it.
    let mut gunzip = start::command("gunzip");
    let unpacked = piped(gunzip.stdin(Stdio::piped()).stdout(Stdio::piped()), &bytes);
    assert_eq!(String::from_utf8(unpacked.stdout).unwrap(), text);
}

/// Whoever can write to the folder cannot make slabql write through a link.
#[test]
fn a_link_in_the_way_is_not_followed() {
    let folder = TempFolder::new("link");
    let (target, victim) = (folder.0.join("a.slab"), folder.0.join("victim"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, folder.0.join(format!("a.slab.{}.part", std::process::id()))).unwrap();
    Recording::demo().unwrap().save(&target).unwrap();
    assert!(fs::symlink_metadata(&target).unwrap().is_file());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

/// A folder that is removed at the end.
struct TempFolder(PathBuf);

impl TempFolder {
    fn new(name: &str) -> Self {
        let folder = TempFile::new(&format!("folder-{name}")).0.clone();
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs slabql with a data folder of its own, and something to read.
fn slabql(home: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = start::command(env!("CARGO_BIN_EXE_slabql"));
    command.args(arguments).env("XDG_DATA_HOME", home).current_dir(home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = piped(&mut command, input.as_bytes());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn snapshots_are_saved_listed_and_dropped() {
    let Some(_turn) = common::iterated() else { return };
    let home = TempFolder::new("home");
    let run = |arguments: &[&str], input: &str| slabql(&home.0, arguments, input);
    let (code, out, error) = run(&["snapshot", "a.slab"], "");
    assert_eq!((code, out.as_str()), (Some(0), ""), "{error}");
    assert!(error.starts_with("snapshot of ") && error.ends_with(" caches in a.slab\n"), "{error}");
    let caches = Recording::open(&home.0.join("a.slab")).unwrap().len();
    assert!(caches > 50);

    let (code, out, error) = run(&[], ".snapshot save before\n.mode csv\n.snapshot list\n");
    assert_eq!(code, Some(0), "{error}");
    let file = home.0.join("slabql/snapshots/before.slab");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let row = out.lines().last().unwrap();
    assert!(row.starts_with("before,2") && row.contains(",true,"), "{out}");
    let taken = Recording::open(&file).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert_eq!(taken.boot().as_deref(), Some(boot.trim()));

    let (code, _, error) = run(&[], ".snapshot drop befor\n");
    assert_eq!(code, Some(1));
    assert!(error.contains("did you mean `before`?"), "{error}");
    assert_eq!(run(&[], ".snapshot drop before\n").0, Some(0));
    assert!(!file.exists());

    // Standard output gets the same as a file.
    let (code, out, error) = run(&["snapshot", "-"], "");
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert!(Recording::read(out.as_bytes()).unwrap().len() > 50);

    for (arguments, input, says) in [
        (&["snapshot"][..], "", "required arguments were not provided:\n  <FILE>"),
        (&["snapshot", "a", "b"], "", "unexpected argument 'b' found"),
        (&["snapshot", "live"], "", "`live` means the running kernel"),
        (&["--demo", "snapshot", "a.slab"], "", "snapshots are taken of the running kernel"),
        (&[], ".snapshot save", "`.snapshot` saves, drops or lists"),
        (&[], ".snapshot drop ./a.slab", "takes the name of a snapshot"),
        (&[], ".snapshot drop none", "there is no snapshot `none`"),
    ] {
        let (code, out, error) = run(arguments, input);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?} {input}: {error}");
        assert!(error.contains(says), "{arguments:?} {input}: {error}");
    }
    let (code, _, error) = run(&["snapshot", "no/such/folder/a.slab"], "");
    assert_eq!(code, Some(2), "{error}");
}

/// On a file system of its own, that nobody else sees and that goes with the process.
#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    if lacks(&["unshare", "sh", "mount", "cmp"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let folder = TempFolder::new("disk");
    let script = r#"set -eu
        mount -t tmpfs -o size=128k none "$1"
        cd "$1"
        "$2" snapshot a.slab
        cp a.slab kept
        # What is left is less than a second one takes.
        head -c 1M /dev/zero >filler 2>/dev/null || true
        code=0
        "$2" snapshot a.slab || code=$?
        cmp a.slab kept
        ls
        exit "$code"
    "#;
    let mut command = start::command("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&folder.0);
    let output = command.arg(env!("CARGO_BIN_EXE_slabql")).ran();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("cannot write a.slab: No space left on device"), "{error}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "a.slab\nfiller\nkept\n");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}
