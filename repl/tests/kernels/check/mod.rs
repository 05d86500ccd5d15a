//! What is checked inside a virtual machine and has no test program of its own: what slabql tells of the machine, and
//! that a variation of `variations.txt` is the machine that it is meant to be.
//!
//! A check changes its machine as it likes, and panics where something is wrong.

mod allocated;
mod audit;
mod machine;
mod memory;
mod modules;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::Value;

/// Runs a check by its name.
pub fn run(name: &str, args: &[String]) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match (name, &args[..]) {
        ("doctor", [source]) => settings::doctor(source),
        ("nodes", [online, memory, cpus]) => machine::nodes([online, memory, cpus]),
        ("offline", [possible, online]) => machine::offline(possible, online),
        ("plugged", [node]) => memory::plugged(node),
        ("unmerged", []) => settings::unmerged(),
        ("debugged", []) => settings::debugged(),
        ("profiled", []) => allocated::profiled(),
        ("unprofiled", []) => allocated::unprofiled(),
        ("kfence", []) => settings::kfence(),
        ("interpreted", []) => settings::interpreted(),
        ("hidden", []) => settings::hidden(),
        ("audit", []) => modules::audited(),
        ("nest", []) => audit::nest(),
        ("modules", [rounds]) => modules::come_and_go(rounds.parse().unwrap()),
        other => panic!("no check {other:?}"),
    }
}

/// What a run of slabql gave.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn slabql(args: &[&str]) -> Ran {
    let output = Command::new("/bin/slabql").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The rows of a query, or of another command that prints some.
fn rows(args: &[&str]) -> Vec<Value> {
    let ran = slabql(&[&["--format", "json"], args].concat());
    assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", ran.out))
}

/// The only number of a query's only row; its column is called `n`.
fn number(query: &str) -> i64 {
    let rows = rows(&[query]);
    assert_eq!(rows.len(), 1, "{query}: {rows:?}");
    rows[0]["n"].as_i64().unwrap_or_else(|| panic!("{query}: {rows:?}"))
}

/// Figures are those of the kernel's files.
fn verify() {
    let ran = slabql(&["--format", "csv", "verify"]);
    assert_eq!(ran.code, Some(0), "verify: {}\n{}", ran.err, ran.out);
}

/// The numbers of a file such as `0-1,3`.
fn list(path: &str) -> BTreeSet<i64> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let number = |text: &str| text.parse::<i64>().unwrap();
    text.trim()
        .split(',')
        .filter(|part| !part.is_empty())
        .flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            number(first)..=number(last)
        })
        .collect()
}

/// Runs on this processor from now on.
fn run_on(cpu: i64) {
    let mut cpus = CpuSet::new();
    cpus.set(usize::try_from(cpu).unwrap());
    sched_setaffinity(None, &cpus).unwrap();
}

/// How many objects of `eventpoll_epi` [`with_items`] makes.
const ITEMS: i64 = 5000;

/// Does something while there are [`ITEMS`] objects more in `eventpoll_epi`.
fn with_items<T>(then: impl FnOnce() -> T) -> T {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(16_384);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(16_384));
    setrlimit(Resource::Nofile, limit).unwrap();
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let files: Vec<_> = (0..ITEMS).map(|_| event.try_clone().unwrap()).collect();
    for file in &files {
        epoll::add(&queue, file, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    }
    then()
}
