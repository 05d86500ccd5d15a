//! Parts of tests that cannot run here: what keeps them from it is said, and counted by `what_was_skipped`.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Debian's packages of the programs that are not named as they are.
const PACKAGES: &[(&str, &str)] = &[
    ("cat", "coreutils"),
    ("cmp", "diffutils"),
    ("col", "bsdextrautils"),
    ("dd", "coreutils"),
    ("false", "coreutils"),
    ("gunzip", "gzip"),
    ("head", "coreutils"),
    ("ls", "coreutils"),
    ("man", "man-db"),
    ("mkdir", "coreutils"),
    ("mkfifo", "coreutils"),
    ("nroff", "groff-base"),
    ("od", "coreutils"),
    ("setpriv", "util-linux"),
    ("sh", "dash"),
    ("sleep", "coreutils"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
    ("stty", "coreutils"),
    ("tail", "coreutils"),
    ("tbl", "groff-base"),
    ("touch", "coreutils"),
    ("tr", "coreutils"),
    ("tty", "coreutils"),
    ("unshare", "util-linux"),
    ("wc", "coreutils"),
];

/// The programs that Debian does not have.
const CRATES: &[&str] = &["mdbook"];

/// Whether one of these programs is not installed; says so. With `SLABQL_REQUIRE_TOOLS=1` that is a failure.
///
/// A test begins with it if it starts any program but slabql, itself or by a shell.
pub fn lacks(tools: &[&str]) -> bool {
    let Some(tool) = tools.iter().find(|tool| !is_installed(tool)) else { return false };
    let package = PACKAGES.iter().find(|(name, _)| name == tool).map_or(*tool, |(_, name)| name);
    let install = if CRATES.contains(tool) { "cargo" } else { "apt" };
    say("SLABQL_REQUIRE_TOOLS", &format!("{tool} is not installed ({install} install {package})"));
    true
}

fn is_installed(tool: &str) -> bool {
    let runs = |path: PathBuf| {
        fs::metadata(path)
            .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| runs(folder.join(tool)))
}

/// Says why a part of a test on the kernel does not run; with `SLABQL_REQUIRE_LIVE=1` that is a failure.
pub fn skip(reason: &str) {
    say("SLABQL_REQUIRE_LIVE", reason);
}

fn say(required: &str, reason: &str) {
    let is_required = env::var(required).is_ok_and(|value| value == "1");
    assert!(!is_required, "{required}=1, but: {reason}");
    // What macros write is not shown of a test that passes.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
    let mut file = OpenOptions::new();
    if let Ok(mut file) = file.append(true).create(true).open(counted::path()) {
        // One write, so that lines of several tests do not mix.
        let _ = file.write_all(format!("{reason}\n").as_bytes());
    }
}

#[path = "../what_was_skipped/counted.rs"]
mod counted;
