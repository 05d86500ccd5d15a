//! A watch that traces: each tick has the events since the one before it, and nothing is left attached at its end.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{self, Child, ChildStdout, Stdio};

use aya::programs::loaded_programs;
use rustix::process::Signal;

use super::{COUNT, PATIENCE, sockets};
use crate::common;
use crate::common::child::held;
use crate::common::program::{Folder, SLABQL, command};
use crate::common::start::{End, Start};
use crate::common::wait;

/// A watch whose ticks trace, and the sums of their columns so far.
struct Ticks {
    child: Child,
    folder: Folder,
    lines: Lines<BufReader<ChildStdout>>,
    sums: Vec<usize>,
}

impl Ticks {
    /// Starts it, and waits until its programs are attached.
    fn start(query: &str, programs: usize) -> Self {
        let mut command = command(SLABQL);
        command.args(["--format", "csv", &format!("watch 100ms trace {query}")]);
        let folder = Folder::new();
        let said = fs::File::create(folder.path("said")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        let mut child = command.start();
        wait("the programs of a watch", PATIENCE, || {
            (held(child.id()).links.len() >= programs).then_some(())
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("time,"));
        Self { child, folder, lines, sums: Vec::new() }
    }

    /// Reads ticks until the sums are these, but for so many of the last one as interrupted another event and are told as lost.
    fn come_to(&mut self, sums: &[usize]) {
        wait(format!("the ticks to come to {sums:?}"), PATIENCE, || {
            self.tick();
            let [.., last] = sums else { return None };
            let rest = sums.len() - 1;
            let missing = last.checked_sub(self.sums[rest])?;
            (self.sums[..rest] == sums[..rest] && missing <= self.missed()).then_some(())
        });
    }

    /// How many events interrupted another one, as it says.
    fn missed(&self) -> usize {
        let said = self.said();
        let parts = said.split(", ").filter_map(|part| part.split_once(" lost: they interrupted"));
        parts.map(|(count, _)| count.parse::<usize>().unwrap()).sum()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path("said")).unwrap()
    }

    fn tick(&mut self) {
        let line = self.lines.next().expect("another tick").unwrap();
        let values: Vec<usize> = line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
        self.sums.resize(values.len(), 0);
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    /// Ends it, and gives what it said.
    fn end(mut self) -> String {
        self.child.signal(Signal::INT);
        self.child.wait().unwrap();
        self.said()
    }
}

#[test]
fn ticks_of_a_watch_have_each_event_once() {
    let Some(_turn) = common::live() else { return };
    let of =
        format!("from allocations where pid = {} and name = 'sock_inode_cache'", process::id());
    let counted = format!("select count(*) {of}");
    let states =
        ["held", "freed"].map(|state| format!("count(*) filter (where state = '{state}')"));
    let followed = format!("select {}, {} {of}", states[0], states[1]);
    let mut counted = Ticks::start(&counted, 2);
    let mut followed = Ticks::start(&followed, 4);
    let made = sockets();
    counted.come_to(&[COUNT]);
    followed.come_to(&[COUNT, 0]);
    let more = sockets();
    counted.come_to(&[2 * COUNT]);
    followed.come_to(&[2 * COUNT, 0]);
    drop((made, more));
    followed.come_to(&[2 * COUNT, 2 * COUNT]);
    // What was shown is not shown again.
    for ticks in [&mut counted, &mut followed] {
        (0..3).for_each(|_| ticks.tick());
        assert!(
            ticks.sums[0] == 2 * COUNT && ticks.sums.iter().all(|sum| *sum <= 2 * COUNT),
            "{:?}",
            ticks.sums
        );
    }
    for err in [counted.end(), followed.end()] {
        assert_eq!(err.matches("note: the trace takes ").count(), 1, "{err}");
        assert!(!err.contains(" lost: the map was full"), "{err}");
    }
}

#[test]
fn a_watch_that_ended_has_nothing_attached() {
    let Some(_turn) = common::live() else { return };
    let traced = "watch 50ms count 3 trace sample 2 select count(*) from frees";
    let next = "watch 10m select 'next' as next from flags limit 1";
    let mut command = command(SLABQL);
    command.args(["--format", "csv", &format!("{traced}; {next}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.by_ref().take(6).map(Result::unwrap).collect();
    assert_eq!((lines[0].as_str(), lines[4].as_str()), ("time,count(*)", "time,next"), "{lines:?}");
    let left = held(child.id()).programs;
    let names: Vec<_> = loaded_programs()
        .flatten()
        .filter(|found| left.contains(&found.id()))
        .map(|found| String::from_utf8_lossy(found.name()).into_owned())
        .collect();
    child.signal(Signal::INT);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.wait().unwrap();
    assert!(!names.iter().any(|name| name == "slabql_free" || name == "slabql_kfree"), "{names:?}");
    let note = "note: one object of 2 is followed: counts and sums are estimates\n";
    assert_eq!(err.matches(note).count(), 1, "{err}");
}
