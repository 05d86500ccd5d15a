//! How tests start processes: in one way, which `common/start.rs` describes.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::common::start::{self, End, Start};
use crate::common::{lacks, program::SLABQL};
use rustix::process::Signal;

const QUERY: &str = "select name";
/// Set in a child that ignores signals.
const CHILD: &str = "SLABQL_TEST_IGNORES";

#[test]
fn nothing_that_is_ignored_is_inherited() {
    if std::env::var_os(CHILD).is_some() {
        for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
            let mut child = start::command(SLABQL).args(["--demo", "--watch", "1m", QUERY]).start();
            child.signal(signal);
            assert_eq!(child.ended().signal(), Some(signal.as_raw()));
        }
        return;
    }
    if lacks(&["sh"]) {
        return;
    }
    let mut shell = start::command("sh");
    shell.args(["-c", "trap '' HUP INT QUIT; exec \"$0\" \"$@\""]);
    shell.arg(std::env::current_exe().unwrap());
    shell.args(["starts::nothing_that_is_ignored_is_inherited", "--exact"]).env(CHILD, "1");
    let output = shell.ran();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn there_is_one_way() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut folders = vec![tests.clone()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&tests).unwrap().to_str().unwrap().to_owned();
            // The first process of a virtual machine is no test.
            if path.is_dir() && name != "kernels" {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                files += 1;
                let text = fs::read_to_string(&path).unwrap();
                let starts = text.contains(concat!("Command", "::new("));
                assert_eq!(starts, name == "common/start.rs", "{name} starts a process");
            }
        }
    }
    assert!(files > 40, "{files}");
}
