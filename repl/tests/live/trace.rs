//! A trace shows what a workload holds, to the object, and nothing of it once it is released.
//!
//! The tests lie beside this file, by what is asked of a trace; here is what they share: traces that run until they are
//! told to end, and workloads that make so many objects.

mod audit;
mod contention;
mod counts;
mod leaks;
mod notes;
mod stacks;
mod watch;

use std::any::Any;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};

use crate::common::child::held;
use crate::common::program::{SLABQL, command};
use crate::common::start::{End, Start};
use crate::common::wait;

/// How long a process is given to come to where it waits.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many of each thing are made.
const COUNT: usize = 1500;
/// How long the kernel usually takes to free what waits for readers.
const GRACE: Duration = Duration::from_millis(500);

type Held = Box<dyn Any>;

/// Lets this process have more files than the usual 1,024.
fn many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(16_384);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(16_384));
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn sockets() -> Held {
    many_files();
    Box::new((0..COUNT).map(|_| UnixDatagram::unbound().unwrap()).collect::<Vec<_>>())
}

fn epoll_items() -> Held {
    many_files();
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    // Each number of the one file is an item of its own.
    let numbers: Vec<_> = (0..COUNT).map(|_| event.try_clone().unwrap()).collect();
    for (index, number) in numbers.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&queue, number, data, epoll::EventFlags::IN).unwrap();
    }
    Box::new((numbers, queue))
}

/// A trace that runs until it is told to end.
struct Trace(Child);

impl Trace {
    /// Starts it, and waits until its programs are attached.
    fn start(query: &str, programs: usize) -> Self {
        Self::start_in("csv", query, programs)
    }

    fn start_words(words: &[&str], programs: usize) -> Self {
        Self::started("csv", words, programs)
    }

    fn start_in(format: &str, query: &str, programs: usize) -> Self {
        Self::started(format, &[query], programs)
    }

    fn started(format: &str, words: &[&str], programs: usize) -> Self {
        let mut command = command(SLABQL);
        command.args(["--format", format, "trace", "10m"]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.start();
        wait("the programs of a trace", PATIENCE, || {
            (held(child.id()).links.len() >= programs).then_some(())
        });
        Self(child)
    }

    /// Ends it as Ctrl-C does, and gives its rows and what it says of them.
    fn end(self) -> (Vec<Vec<String>>, String) {
        let (out, err) = self.end_as_text();
        let row = |line: &str| line.split(',').map(str::to_owned).collect();
        (out.lines().skip(1).map(row).collect(), err)
    }

    fn end_as_text(mut self) -> (String, String) {
        self.0.signal(Signal::INT);
        let [mut out, mut err] = [String::new(), String::new()];
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{err}");
        (out, err)
    }
}

/// Looks again with more time for the kernel to free what waits for readers. `look` gives whether it is as it must be,
/// and what was seen.
fn sooner_or_later(look: impl Fn(Duration) -> (bool, String)) {
    let mut grace = GRACE;
    loop {
        let (done, seen) = look(grace);
        if done {
            return;
        }
        assert!(grace < PATIENCE / 4, "within {grace:?}: {seen}");
        grace *= 2;
    }
}

/// What is held of each of these caches.
fn counts(rows: &[Vec<String>], caches: &[&str]) -> Vec<usize> {
    let count = |cache: &&str| {
        let row = rows.iter().find(|row| row[0] == **cache);
        row.map_or(0, |row| row[1].parse().unwrap())
    };
    caches.iter().map(count).collect()
}

/// What `slabql` says and shows of these words, and of this text at its prompt.
fn said(words: &[&str], text: &str) -> (String, String) {
    let mut command = command(SLABQL);
    command.args(["--format", "csv"]).args(words).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ran = child.finish();
    let [out, err] = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(ran.status.code(), Some(0), "{err}");
    (out, err)
}
