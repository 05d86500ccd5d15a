//! `watch` in pipes: what is appended, when it ends, and that nothing is left of it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common;
use crate::common::child::held;
use crate::common::program::{SLABQL, demo, demo_reads, error};
use crate::common::start::{self, End, Start};
use crate::common::wait;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use serde_json::Value;

const SECOND: Duration = Duration::from_secs(1);

/// Seconds of the day that a line's time says.
fn seconds(time: &str) -> f64 {
    let (_, clock) = time.split_once('T').unwrap();
    let parts = clock.strip_suffix('Z').unwrap().split(':');
    parts.fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
}

#[test]
fn ticks_are_appended_with_their_time() {
    let args =
        ["--watch", "20ms", "--count", "3", "select name, delta(size) d where name = 'dentry'"];
    let ran = demo(args);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "time,name,d");
    let fields: Vec<Vec<&str>> = lines[1..].iter().map(|line| line.split(',').collect()).collect();
    let shown: Vec<&[&str]> = fields.iter().map(|fields| &fields[1..]).collect();
    let name = "dentry";
    assert_eq!(shown, [[name, ""], [name, "0"], [name, "0"]]);
    let times: Vec<f64> = fields.iter().map(|fields| seconds(fields[0])).collect();
    // Over midnight the seconds begin again.
    assert!(times.is_sorted() || times[0] > 86_000.0, "{times:?}");
    assert!(ran.err.contains("note: changes are NULL in the first tick"), "{}", ran.err);
    assert_eq!(ran.err.matches("first tick").count(), 1, "{}", ran.err);
}

#[test]
fn every_format_takes_ticks() {
    let ticks = |format: &str| {
        let query = "select name, size where name in ('dentry', 'kmalloc-64') order by name";
        let ran = demo(["--format", format, &format!("watch 1ms count 2 {query}")]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        // Times differ from run to run.
        let words = ran.out.split_inclusive(['"', ',', '\t', '\n']);
        let words = words.map(|word| {
            let time = word.contains('T') && word.contains('Z');
            if time { word.replace(|c: char| c.is_ascii_digit(), "0") } else { word.to_owned() }
        });
        words.collect::<String>()
    };
    let (time, rows) = ("0000-00-00T00:00:00.000Z", ["dentry", "kmalloc-64"]);
    let sizes = [192, 64];
    let line = |row: usize| format!("{time},{},{}\n", rows[row], sizes[row]);
    let twice = [line(0), line(1)].concat().repeat(2);
    assert_eq!(ticks("csv"), format!("time,name,size\n{twice}"));
    assert_eq!(ticks("tsv"), format!("time,name,size\n{twice}").replace(',', "\t"));
    let object = |row: usize| {
        format!("{{\"time\":\"{time}\",\"name\":\"{}\",\"size\":{}}}", rows[row], sizes[row])
    };
    let objects = [object(0), object(1), object(0), object(1)];
    assert_eq!(ticks("ndjson"), objects.join("\n") + "\n");
    assert_eq!(ticks("json"), format!("[\n{}\n]\n", objects.join(",\n")));
    let block = "name         size\n─────────────────\ndentry      192 B\nkmalloc-64   64 B\n";
    assert_eq!(ticks("table"), format!("{time}\n{block}\n{time}\n{block}"));
    assert!(ticks("markdown").contains(&format!("\n\n{time}\n| name |")));
    assert!(ticks("vertical").starts_with(&format!("{time}\n")));
}

#[test]
fn a_watch_ends_when_its_condition_holds() {
    let code = |args: &[&str]| demo(args.iter().copied()).code;
    let watch = ["--watch", "1ms"];
    assert_eq!(code(&[&watch[..], &["--until-rows", "select name limit 1"]].concat()), Some(0));
    let none = "select name where size = 1";
    assert_eq!(code(&[&watch[..], &["--until-empty", none]].concat()), Some(0));
    let alert = ["--until-rows", "--fail-if-rows", "select name limit 1"];
    assert_eq!(code(&[&watch[..], &alert].concat()), Some(4));
    // The second tick is the first one that has rows.
    let ran = demo(["--watch", "1ms", "--until-rows", "select name where delta(size) = 0 limit 1"]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.out);
    // A count ends it too, whatever is waited for.
    let ran = demo(["--watch", "1ms", "--until-rows", "--count", "3", none]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "time,name\n"));
}

#[test]
fn commands_watch_the_last_query() {
    let watched = |text: &str| demo_reads(["--exact"], text.as_bytes());
    let ran = watched("select name, size limit 1;\n.mode csv\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // A tick of these has no end, so the pipe has.
    let mut child = start(&["--demo", "-f", "-"], Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let text = "select name, size where name = 'dentry';\n.watch 1ms\n";
    std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    drop(stdin);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = out.by_ref().lines().take(6).map(Result::unwrap).collect();
    drop(out);
    assert!(ended(&mut child).success());
    assert_eq!(lines[..3], ["name,size", "dentry,192", "time,name,size"]);
    assert!(lines[5].ends_with(",dentry,192"), "{lines:?}");

    let ran = watched(".watch\n");
    assert_eq!(ran.code, Some(1));
    assert!(error(&ran).contains("no query to watch yet"), "{}", ran.err);
    assert!(error(&watched(".watch 0 select name")).contains("`0` is not an interval"));
    assert!(error(&watched(".watch select nme")).contains("unknown column `nme`"));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let refused = |args: &[&str], code: i32, why: &str| {
        let ran = demo(args.iter().copied());
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(why), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "");
    };
    refused(&["select delta(active)"], 1, "`delta` works only in a watch");
    refused(&["select count(*), rate(count(*))"], 1, "`rate` works only in a watch");
    refused(&["select first(size)"], 1, "write `min(x)`, `max(x)` or `any_value(x)`");
    refused(&["select last(size)"], 1, "write `min(x)`, `max(x)` or `any_value(x)`");
    refused(&["explain analyze select delta(active)"], 1, "works only in a watch");
    refused(&["--watch", "1s", "select 1; select 2"], 1, "`--watch` takes one query");
    refused(&["--watch", "1s", "select nme"], 1, "unknown column `nme`");
    refused(&["watch 1 select name"], 1, "an interval needs a unit");
    refused(&["--watch", "x", "select name"], 1, "invalid value 'x' for '--watch <INTERVAL>'");
    refused(&["--count", "3", "select name"], 1, "`--watch 1s` repeats a query");
    refused(&["--watch", "1s", "--count", "0", "select name"], 1, "invalid value '0'");
}

/// Begins a run whose output is read here.
fn start(args: &[&str], stdin: Stdio) -> Child {
    let mut command = start::command(SLABQL);
    command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
    command.start()
}

/// How a run ended; it must do so soon.
fn ended(child: &mut Child) -> std::process::ExitStatus {
    wait("the end of a watch", 30 * SECOND, || child.try_wait().unwrap())
}

/// Who reads no more ends the watch, in the middle of a wait without an end too.
#[test]
fn a_closed_pipe_ends_a_watch() {
    for interval in ["1ms", "1000m"] {
        let mut child = start(&["--demo", "--watch", interval, "select name"], Stdio::null());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "time,name\n");
        drop(out);
        assert!(ended(&mut child).success(), "{interval}");
    }
}

/// The program is loaded once, runs for every tick, and is gone with the process, however that ends.
#[test]
fn one_program_serves_all_ticks() {
    let Some(_turn) = common::live() else { return };
    one_program_serves("select name, active limit 1", 50);
    // In several runs, of which the last may end anywhere; few ticks, for it may use a small part of a processor alone.
    one_program_serves("select count(*) n, count(distinct addr) from slabs", 2);
}

fn one_program_serves(query: &str, ticks: usize) {
    let args = ["--watch", "5ms", "--format", "ndjson", query];
    let mut child = start(&args, Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.next().unwrap();
    let first = held(child.id());
    assert_eq!(first.programs.len(), 1);
    for _ in 0..ticks {
        lines.next().unwrap();
    }
    assert_eq!(held(child.id()), first);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = ended(&mut child);
    assert_eq!(status.signal(), Some(2));
    let program = *first.programs.first().unwrap();
    assert!(aya::programs::loaded_programs().flatten().all(|found| found.id() != program));
}

/// As many objects as are made are the change that is told, and as many below 0 when they are undone.
#[test]
fn what_is_made_is_the_change() {
    const ITEMS: i64 = 5000;
    let Some(_turn) = common::live() else { return };
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(16_384);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(16_384));
    setrlimit(Resource::Nofile, limit).unwrap();
    let query = "select delta(active) d, active where alias_of('eventpoll_epi')";
    let args = ["--watch", "50ms", "--format", "ndjson", query];
    let mut child = start(&args, Stdio::null());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut ticks = lines.map(|line| {
        let tick: Value = serde_json::from_str(&line).unwrap();
        (tick["d"].as_i64(), tick["active"].as_i64().unwrap())
    });
    let (first, _) = ticks.next().unwrap();
    assert_eq!(first, None);
    // Objects that were given back before may still wait for readers of the kernel.
    let mut still = 0;
    let rested = ticks.by_ref().take(600).find(|(delta, _)| {
        still = if *delta == Some(0) { still + 1 } else { 0 };
        still == 4
    });
    let (_, before) = rested.expect("the cache came to rest");
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let numbers: Vec<_> = (0..ITEMS).map(|_| event.try_clone().unwrap()).collect();
    for number in &numbers {
        epoll::add(&queue, number, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    }
    let mut sum = 0;
    let mut add = |(delta, active): (Option<i64>, i64)| {
        sum += delta.unwrap();
        assert_eq!(active - before, sum);
        sum
    };
    // They may be seen by two ticks, one half each.
    assert!(ticks.by_ref().take(200).any(|tick| add(tick) == ITEMS));
    drop((numbers, queue));
    // By then others may have made and undone some of their own.
    assert!(ticks.by_ref().take(600).any(|tick| add(tick).abs() <= 16));
    child.kill().unwrap();
    child.ended();
}
