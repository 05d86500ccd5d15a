//! What asks for a trace by a name: `leak`, which shows who holds more and more, and the reports that trace.

use std::process::Stdio;

use slabql::features::library::{self, REPORTS};

use super::{COUNT, PATIENCE, Trace, said, sockets};
use crate::common;
use crate::common::child::held;
use crate::common::program::{SLABQL, command};
use crate::common::start::Start;
use crate::common::wait;

#[test]
fn leak_takes_an_alias_a_line_of_the_shell_and_a_source_that_cannot_trace() {
    let Some(_turn) = common::live() else { return };
    let head = "name,site,held,bytes,bytes_per_second,bytes_per_day,oldest_seconds";
    let (out, err) = said(&[], ".leak dentry 50ms\n");
    assert_eq!((out.lines().next(), err.contains("trace_report")), (Some(head), true), "{err}");

    let query =
        "select alias, name from aliases where alias <> name and alias not like ':%' limit 1";
    let (out, _) = said(&[query], "");
    if let Some((alias, name)) = out.lines().nth(1).and_then(|row| row.split_once(',')) {
        let (out, err) = said(&["leak", alias, "50ms"], "");
        let note =
            format!("note: `{alias}` was merged into `{name}`: objects of both are counted\n");
        assert!(out.starts_with(head) && err.contains(&note), "{err}");
    }

    let (out, err) = said(&["--source", "proc", "leak", "50ms"], "");
    assert!(out.starts_with("name,objects,bytes,bytes_per_second,bytes_per_day\n"), "{out}");
    let note = "note: the source `proc` cannot trace: these are the caches that grew, without who";
    assert!(err.contains(note), "{err}");
}

#[test]
fn reports_that_trace_have_rows() {
    let Some(_turn) = common::live() else { return };
    for (name, text) in REPORTS.iter().filter(|(_, text)| library::traced(text).is_some()) {
        let short = text.replace("trace 5s", "trace 200ms");
        assert_ne!(short, *text, "{name}");
        // Something is to happen meanwhile.
        let (out, err) = said(&[&short], "");
        let said = err.lines().find_map(|line| line.strip_prefix("trace_report: "));
        let seconds: f64 = said.and_then(|said| said.split(' ').next()?.parse().ok()).expect(&err);
        assert!(out.contains("name,") && seconds >= 0.2, "{name}: {out}{err}");
    }
    let mut command = command(SLABQL);
    command.args(["--format", "csv", "report", "churn", "rows=1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.start();
    wait("the programs of a trace", PATIENCE, || (held(child.id()).links.len() >= 2).then_some(()));
    let made = sockets();
    let (rows, err) = Trace(child).end();
    drop(made);
    assert_eq!(rows.len(), 1, "{err}");
    assert!(
        err.starts_with("note: `churn` traces the kernel for 5s; Ctrl-C ends it early\n"),
        "{err}"
    );
}

#[test]
fn leaks_are_what_is_held() {
    let Some(_turn) = common::live() else { return };
    let mut command = command(SLABQL);
    command.args(["--format", "csv", "leak", "sock_inode_cache", "10m"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.start();
    wait("the programs of a trace", PATIENCE, || (held(child.id()).links.len() >= 4).then_some(()));
    let made = sockets();
    let (rows, err) = Trace(child).end();
    drop(made);
    let row = rows.iter().find(|row| row[1].starts_with("sock_alloc_inode+0x")).unwrap();
    assert_eq!(row[0], "sock_inode_cache");
    assert!(row[2].parse::<usize>().unwrap() >= COUNT, "{rows:?}\n{err}");
    assert!(rows.iter().all(|row| row[0] == "sock_inode_cache"), "{rows:?}");
}
