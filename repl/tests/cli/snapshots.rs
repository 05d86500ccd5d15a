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
use crate::made_up;
use flate2::Crc;
use query::catalog::TABLES;
use serde_json::{Map, Value as Json};
use slabql::source::recording::Recording;
use slabql::source::{Choice, Source as _};

/// A text with the checksum of all of it in its header.
fn sealed(header: &Map<String, Json>, lines: &str) -> String {
    let header = serde_json::to_string(header).unwrap();
    let open = format!("{},\"crc32\":\"", header.strip_suffix('}').unwrap());
    let rest = format!("\"}}\n{lines}");
    let mut sum = Crc::new();
    sum.update(open.as_bytes());
    sum.update(rest.as_bytes());
    format!("{open}{:08x}{rest}", sum.sum())
}

/// A recording of version 1, its header changed by `change`.
fn old(change: impl Fn(&mut Map<String, Json>)) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/version-1.slab");
    let text = fs::read_to_string(path).unwrap();
    let (header, lines) = text.split_once('\n').unwrap();
    let mut header: Map<String, Json> = serde_json::from_str(header).unwrap();
    header.insert("boot".into(), "00000000-0000-4000-8000-000000000000".into());
    change(&mut header);
    sealed(&header, lines)
}

/// A recording of every table, with made-up rows, many or few.
fn every_table(rows: usize) -> Vec<u8> {
    made_up::recording(rows).text().unwrap().into_bytes()
}

/// Small recordings as they are written, and as they were if they were large.
fn small() -> [Vec<u8>; 4] {
    let texts = [old(|_| ()).into_bytes(), every_table(2)];
    let packed = texts.each_ref().map(|text| {
        let mut gzip = start::command("gzip");
        piped(gzip.arg("-n").stdin(Stdio::piped()).stdout(Stdio::piped()), text).stdout
    });
    let [[old, new], [old_packed, new_packed]] = [texts, packed];
    [old, old_packed, new, new_packed]
}

/// Runs a program to its end, with something to read.
fn piped(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut child = command.start();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.finish()
}

/// All that a recording says: the answers of its tables, and what it is of.
fn all(recording: Recording) -> (Vec<Answer>, [String; 2], Option<String>) {
    let label = [recording.time().to_owned(), recording.release().to_owned()];
    let boot = recording.boot();
    let tables: Vec<_> = recording.tables().map(|table| table.name).collect();
    let mut session = ask::session(Box::new(recording), Choice::default());
    let mut answer = |table| ask::ask(&mut session, &format!("select all from \"{table}\""));
    (tables.into_iter().map(&mut answer).collect(), label, boot)
}

#[test]
fn what_was_cut_anywhere_is_refused() {
    if lacks(&["gzip"]) {
        return;
    }
    for bytes in small() {
        assert!(Recording::read(&bytes).unwrap().count(TABLES[0]).unwrap() > 1);
        for cut in 0..bytes.len() {
            let Err(reason) = Recording::read(&bytes[..cut]) else { panic!("cut at {cut}") };
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
        }
        let longer = [bytes.as_slice(), b"\n"].concat();
        assert!(Recording::read(&longer).is_err());
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
    // The names of the checksums' keys, and what gzip knows besides: time, system, level.
    assert!(harmless < 140, "{harmless}");
}

#[test]
fn another_version_is_told() {
    let newer = old(|header| {
        header["version"] = 3.into();
        header.remove("columns");
    });
    let reason = Recording::read(newer.as_bytes()).unwrap_err();
    assert!(reason.contains("version 3,") && reason.contains("newer"), "{reason}");
    let reason = Recording::read(old(|header| header["version"] = "1".into()).as_bytes());
    assert_eq!(reason.unwrap_err(), "its version is not a number");

    // What a later slabql may add is passed over.
    let later = old(|header| {
        header.insert("more".into(), vec![1, 2].into());
    });
    assert_eq!(Recording::read(later.as_bytes()).unwrap().count(TABLES[0]).unwrap(), 6);
    let more = old(|header| header["rows"] = (1 << 21).into());
    assert!(Recording::read(more.as_bytes()).unwrap_err().contains("the limit is 1048576"));
}

/// A table, a column and a key that this slabql does not know are passed over, and what is written by hand has no
/// checksum.
#[test]
fn what_a_later_slabql_adds_is_passed_over() {
    let text = String::from_utf8(every_table(2)).unwrap();
    let before = all(Recording::read(text.as_bytes()).unwrap());
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        if let Some(at) = line.find(",\"crc32\"") {
            line.replace_range(at.., "}");
        }
    }
    let tables = "\"tables\":[";
    let table = "{\"table\":\"novelties\",\"columns\":[\"x\"],\"missing\":{}}";
    lines[0] = lines[0].replace(tables, &format!("{tables}{table},"));
    lines.splice(1..1, ["[1]", "[2]", "{\"end\":\"novelties\",\"rows\":2}"].map(str::to_owned));
    let text = lines.join("\n") + "\n";
    assert_eq!(all(Recording::read(text.as_bytes()).unwrap()), before);

    for (found, instead, says) in [
        ("[2]\n", "", "it has 1 of the 2 rows of `novelties`"),
        ("{\"end\":\"novelties\"", "{\"end\":\"nodes\"", "the rows of `novelties` have no end"),
        ("{\"end\":\"novelties\",\"rows\":2}\n", "", "have no end"),
        ("\"novelties\",\"columns\"", "\"nodes\",\"columns\"", "it has the table `nodes` twice"),
        (table, "7", "a table of its header is no object"),
        ("[\"x\"]", "[7]", "`columns` is not a list of names"),
    ] {
        assert!(text.contains(found), "{found}");
        let reason = Recording::read(text.replacen(found, instead, 1).as_bytes()).unwrap_err();
        assert!(reason.contains(says), "{reason}");
    }
    // Rows without a checksum are read when it is opened.
    let wrong = text.replacen("[\"a0\"", "[{}", 1);
    assert_ne!(wrong, text);
    let reason = Recording::read(wrong.as_bytes()).unwrap_err();
    assert_eq!(reason, "row 1 of `caches` is malformed: `name` cannot be {}");
    let long = text.replacen("[\"a0\"", &format!("[\"{}\"", "a".repeat(1 << 20)), 1);
    let reason = Recording::read(long.as_bytes()).unwrap_err();
    assert_eq!(reason, "row 1 of `caches` is longer than 1048576 bytes, which is the limit");
}

/// A checksum tells damage, not who wrote it: what is no row is told by who asks for it.
#[test]
fn a_row_that_is_none_is_told() {
    let right = old(|_| ());
    let (_, lines) = right.split_once('\n').unwrap();
    let (header, _) = right.split_once('\n').unwrap();
    let mut header: Map<String, Json> = serde_json::from_str(header).unwrap();
    header.remove("crc32");
    let wrong = sealed(&header, &lines.replacen("[\"", "[{},\"", 1));
    let recording = Recording::read(wrong.as_bytes()).unwrap();
    let mut session = ask::session(Box::new(recording), Choice::default());
    let failure = session.ask("select name").unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    let columns = header["columns"].as_array().unwrap().len();
    let reason = format!("it has {} values for {columns} columns", columns + 1);
    let says = format!("is not a recording: row 1 of `caches` is malformed: {reason}\n");
    assert!(failure.text().ends_with(&says), "{}", failure.text());
}

/// A file as version 1 began: without a boot and a checksum.
#[test]
fn older_files_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/version-1.slab");
    let recording = Recording::open(&path).unwrap();
    assert_eq!((recording.count(TABLES[0]).unwrap(), recording.boot()), (6, None));
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
    let recording = made_up::recording(500);
    let text = recording.text().unwrap();
    let file = TempFile::new("large.slab");
    recording.save(&file.0).unwrap();
    let bytes = fs::read(&file.0).unwrap();
    assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() * 2 < text.len(), "{}", bytes.len());
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
    let caches = Recording::open(&home.0.join("a.slab")).unwrap().count(TABLES[0]).unwrap();
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
    assert!(Recording::read(out.as_bytes()).unwrap().count(TABLES[0]).unwrap() > 50);

    for (arguments, input, says) in [
        (&["snapshot"][..], "", "required arguments were not provided:\n  <FILE>"),
        (&["snapshot", "a", "b"], "", "unexpected argument 'b' found"),
        (&["snapshot", "live"], "", "`live` means the running kernel"),
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
