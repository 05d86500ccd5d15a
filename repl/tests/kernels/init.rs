//! The first process of a virtual machine that tests slabql on its kernel; see `run`, which starts it.
//!
//! Mounts what a system has, and runs the lines of `/steps`, a name and a command each. What they print goes to the
//! second serial line, between marks:
//!
//! ```text
//! ##boot 7.3.4+deb13-cloud-amd64
//! ##begin caches
//! count
//! 203
//! ##end caches 0.4 0        seconds, and the status or why there is none
//! ##done                    without it the machine died
//! ```
//!
//! As `/init check NAME…` it is a step itself: see [`check`].
#![allow(missing_docs, clippy::unwrap_used)] // whatever fails here fails the test

mod check;

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

/// What is mounted where.
const MOUNTS: [(&str, &str); 8] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("bpf", "/sys/fs/bpf"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("devpts", "/dev/pts"),
    ("tmpfs", "/dev/shm"),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [verb, name, rest @ ..] if verb == "check" => return check::run(name, rest),
        _ => {}
    }
    for (kind, folder) in MOUNTS {
        fs::create_dir_all(folder).unwrap();
        mount(kind, folder, kind, MountFlags::empty(), None::<&CStr>).unwrap();
    }
    // The network of the machine itself is up: IFF_UP | IFF_LOOPBACK.
    fs::write("/sys/class/net/lo/flags", "0x9").unwrap();
    let mut out = OpenOptions::new().read(true).write(true).open("/dev/ttyS1").unwrap();
    let mut raw = tcgetattr(&out).unwrap();
    raw.make_raw();
    tcsetattr(&out, OptionalActions::Now, &raw).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    writeln!(out, "##boot {}", release.trim()).unwrap();
    for line in fs::read_to_string("/steps").unwrap().lines() {
        let (name, command) = line.split_once(' ').unwrap();
        step(name, command, &mut out);
    }
    writeln!(out, "##done").unwrap();
    tcdrain(&out).unwrap();
    // The machine ends with it: it is started not to boot again.
    reboot(RebootCommand::Restart).unwrap();
}

/// Runs a command whose words are separated by single spaces, or by `|` where a word has spaces.
fn step(name: &str, command: &str, out: &mut File) {
    let separator = if command.contains('|') { '|' } else { ' ' };
    let mut words = command.split(separator);
    writeln!(out, "##begin {name}").unwrap();
    let start = Instant::now();
    let status = Command::new(words.next().unwrap())
        .args(words)
        .current_dir("/tmp")
        .env("PATH", "/bin")
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .env("SLABQL_REQUIRE_LIVE", "1")
        .env("SLABQL_RANDOM_QUERIES", queries())
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out.try_clone().unwrap())
        .status();
    let status = match status {
        Ok(status) => status.code().map_or_else(|| status.to_string(), |code| code.to_string()),
        Err(error) => error.to_string(),
    };
    let seconds = start.elapsed().as_secs_f32();
    writeln!(out, "\n##end {name} {seconds:.1} {status}").unwrap();
}

/// How many random queries are asked, as `run` says.
fn queries() -> String {
    fs::read_to_string("/queries").unwrap().trim().to_owned()
}
