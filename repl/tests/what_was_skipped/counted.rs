//! Where the programs of one `cargo test` write down what they skip.

use std::fs;
use std::os::unix::process::parent_id;
use std::path::PathBuf;

/// A file that belongs to the process that started this one, which is cargo, and to no other of the same number.
pub fn path() -> PathBuf {
    let parent = parent_id();
    let stat = fs::read_to_string(format!("/proc/{parent}/stat")).unwrap_or_default();
    // The time it started at is the twentieth word behind its name, which is in parentheses.
    let began = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19));
    let name = format!("skipped-{parent}-{}", began.unwrap_or_default());
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}
