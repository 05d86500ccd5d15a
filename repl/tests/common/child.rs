//! Runs slabql as a process of its own, and sees what that process holds in the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::start::{self, End, Start};
use super::wait;
use rustix::process::{Pid, Signal};

/// How long a process may take for anything here.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a process may run that is stopped again and again.
const OF_STOPPED: Duration = Duration::from_mins(15);

/// Runs slabql to its end.
pub fn slabql(arguments: &[&str]) -> Output {
    start::command(env!("CARGO_BIN_EXE_slabql")).args(arguments).stdin(Stdio::null()).ran()
}

/// What stands on standard output of a run that succeeded.
pub fn answer(arguments: &[&str]) -> String {
    let output = slabql(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A path for a file of this process, which is deleted at the end.
pub struct TempFile(pub PathBuf);

impl TempFile {
    pub fn new(name: &str) -> Self {
        let name = format!("{}-{name}", std::process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}

/// The numbers that the kernel gave to what a process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub programs: BTreeSet<u32>,
    pub maps: BTreeSet<u32>,
    pub links: BTreeSet<u32>,
}

/// What the process `pid` has descriptors of. A map that is only mapped has none.
pub fn held(pid: u32) -> Held {
    let mut held = Held::default();
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return held };
    for entry in entries.flatten() {
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|id| id.trim().parse::<u32>().unwrap())
        };
        // A link's descriptor names its program too.
        let link = field("link_id:");
        held.links.extend(link);
        if link.is_none() {
            held.programs.extend(field("prog_id:"));
        }
        held.maps.extend(field("map_id:"));
    }
    held
}

/// Whether the process `pid` has read a part of an iterator's file.
pub fn in_between_reads(pid: u32) -> Option<()> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let iterator = entries.flatten().find(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:bpf_iter")
    })?;
    let number = iterator.file_name().into_string().ok()?;
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    let position = info.lines().find_map(|line| line.strip_prefix("pos:"))?;
    (position.trim() != "0").then_some(())
}

/// A slabql that runs; killed on drop.
pub struct Running(Child);

impl Running {
    /// Starts it, its answers going to `out` and what it says of them to `notes`.
    pub fn start(arguments: &[&str], out: Stdio, notes: Stdio) -> Self {
        let mut command = start::command(env!("CARGO_BIN_EXE_slabql"));
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(notes);
        Self(command.try_start_for(OF_STOPPED).unwrap())
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.0.try_wait().unwrap().is_none() {
            self.0.signal(signal);
        }
    }

    /// Stops it at a moment at which `wanted` finds something in the process with this number, and says what. None
    /// if it ends before that.
    pub fn stop_when<T>(&mut self, wanted: impl Fn(u32) -> Option<T>) -> Option<T> {
        let start = Instant::now();
        let mut pause = 0;
        while start.elapsed() < PATIENCE {
            self.signal(Signal::STOP);
            if !self.is_stopped() {
                return None;
            }
            let found = wanted(self.0.id());
            if found.is_some() {
                return found;
            }
            self.signal(Signal::CONT);
            // Not in step with its queries, and mostly longer than the verifier takes, which begins again after a stop.
            pause = (pause + 1377) % 12_007;
            thread::sleep(Duration::from_micros(pause));
        }
        panic!("waited {PATIENCE:?} for a moment to stop slabql at");
    }

    /// Waits until the signal has arrived: it is stopped, or it had ended.
    fn is_stopped(&mut self) -> bool {
        wait("a process to stop", PATIENCE, || {
            if self.0.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
            // The state stands behind the name, which is in parentheses.
            let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
            state.is_some_and(|state| state.starts_with('T')).then_some(true)
        })
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        wait("the end of slabql", PATIENCE, || self.0.try_wait().unwrap())
    }
}

/// The processes that were started by exactly these words.
pub fn processes(words: &[&str]) -> Vec<Pid> {
    let line: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line))
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
