//! The one way to start a process in a test.
//!
//! A process that a test starts handles signals as one in the foreground of a shell does, however the tests were
//! started: under nohup(1) and in a shell's background some are ignored, and what is ignored stays so in children.
//! It has an end, too: one that runs on for [`PATIENCE`] is killed with its children, and the test is told.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::signal as numbers;

/// How long a process may run, unless the test says otherwise.
const PATIENCE: Duration = Duration::from_mins(3);

/// What an ignored signal does in children that are started by [`command`]: the default.
const SIGNALS: [i32; 12] = [
    numbers::SIGHUP,
    numbers::SIGINT,
    numbers::SIGQUIT,
    numbers::SIGUSR1,
    numbers::SIGUSR2,
    numbers::SIGALRM,
    numbers::SIGTERM,
    numbers::SIGCHLD,
    numbers::SIGCONT,
    numbers::SIGTSTP,
    numbers::SIGTTIN,
    numbers::SIGTTOU,
];

/// A process to start, which reads nothing unless it is given something.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    static ONCE: Once = Once::new();
    ONCE.call_once(mind_ignored_signals);
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// A process to start at a terminal of its own, from which it reads.
pub fn at_terminal(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    // The terminal is what this process has there by the time that it becomes the program.
    command.stdin(Stdio::inherit());
    command
}

/// Gives each ignored signal a handler that does nothing. For this process that is the same, but a child, which has no
/// handlers, gets the default.
fn mind_ignored_signals() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    for signal in SIGNALS.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 1) {
        signal_hook::flag::register(signal, Arc::default()).unwrap();
    }
}

/// Starts processes.
pub trait Start {
    /// Starts it; it is killed if it still runs after `patience`.
    fn try_start_for(&mut self, patience: Duration) -> io::Result<Child>;

    /// Starts it; it is killed if it runs on for too long.
    fn try_start(&mut self) -> io::Result<Child> {
        self.try_start_for(PATIENCE)
    }

    /// Starts what can be started.
    fn start(&mut self) -> Child;

    /// Runs it to its end; gives what it wrote.
    fn ran(&mut self) -> Output;
}

impl Start for Command {
    fn try_start_for(&mut self, patience: Duration) -> io::Result<Child> {
        let child = self.spawn()?;
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let what = format!("{self:?}");
        thread::spawn(move || {
            let limit = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: 0 };
            let mut end = [PollFd::new(&process, PollFlags::IN)];
            let ended = loop {
                match poll(&mut end, Some(&limit)) {
                    Err(rustix::io::Errno::INTR) => {}
                    ended => break ended.unwrap(),
                }
            };
            if ended == 0 {
                // Not by a macro, which would write into the output of a test that is over.
                let _ = writeln!(io::stderr(), "waited {patience:?} for the end of {what}");
                kill(pid);
            }
        });
        Ok(child)
    }

    fn start(&mut self) -> Child {
        self.try_start().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    fn ran(&mut self) -> Output {
        self.stdout(Stdio::piped()).stderr(Stdio::piped()).start().finish()
    }
}

/// Kills a process and its children: each of them may hold the other end of a pipe.
fn kill(pid: Pid) {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // Its own number, the name in parentheses, the state and the parent's number.
    let children: Vec<Pid> = stats
        .filter(|stat| {
            let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
            parent == Some(&pid.to_string())
        })
        .filter_map(|stat| Pid::from_raw(stat.split_whitespace().next()?.parse().ok()?))
        .collect();
    let _ = kill_process(pid, Signal::KILL);
    children.into_iter().for_each(kill);
}

/// Waits for the ends of processes that [`Start`] started, which have one.
pub trait End {
    /// Waits for its end; gives what it wrote into pipes.
    fn finish(self) -> Output;

    /// Waits for its end.
    fn ended(&mut self) -> ExitStatus;

    /// Sends it a signal.
    fn signal(&self, signal: Signal);
}

impl End for Child {
    fn finish(self) -> Output {
        self.wait_with_output().unwrap()
    }

    fn ended(&mut self) -> ExitStatus {
        self.wait().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self), signal).unwrap();
    }
}
