//! An audit tells which caches come and go meanwhile, and who creates and releases them.

use std::io::{BufRead, BufReader, Read};
use std::process::{self, Stdio};

use rustix::process::Signal;

use super::Trace;
use crate::common;
use crate::common::program::{SLABQL, command};
use crate::common::start::{End, Start};
use crate::common::zram::{CACHE, zram};

/// An audit that runs until it is told to end, and what it said when it began.
fn audit(source: &[&str], query: &str) -> (Trace, String) {
    let mut command = command(SLABQL);
    command.args(["--format", "csv"]).args(source).args(["trace", "10m", query]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.start();
    // It is said once all programs are attached; before it is the source.
    let (mut said, mut byte) = (String::new(), [0]);
    let note = loop {
        if let Some((_, note)) = said.split_once("note: the audit ").filter(|_| byte[0] == b'\n') {
            break note.to_owned();
        }
        child.stderr.as_mut().unwrap().read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    };
    (Trace(child), note)
}

#[test]
fn an_audit_says_who_creates_and_releases_a_cache() {
    let Some(_turn) = common::live() else { return };
    let Some(device) = zram() else { return };
    let query = format!(
        "select what, name, size > 0, flags is null, stack like '%zs_create_pool%', time > 0 \
         from audit where pid = {} and name = '{CACHE}'",
        process::id()
    );
    let (trace, note) = audit(&[], &query);
    let (released, (rows, err)) = device.with_cache(|| {
        let told = trace.end();
        (audit(&[], &query).0, told)
    });
    assert_eq!(rows, [["create", CACHE, "true", "false", "true", "true"]], "{note}{err}");
    let (rows, err) = released.end();
    let at_functions = note.contains("at the kernel's functions that");
    let expected: &[&str] = if at_functions { &["destroy", "release"] } else { &["release"] };
    let whats: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(whats, expected, "{note}{err}");
    assert!(rows.iter().all(|row| row[1] == CACHE), "{rows:?}");

    // A watch has it in the tick in which it happened.
    let query = format!("watch 200ms trace select what, name from audit where name = '{CACHE}'");
    let mut command = command(SLABQL);
    command.args(["--format", "csv", &query]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The first tick has nothing, but a head.
    assert_eq!(lines.next().unwrap().unwrap(), "time,what,name");
    let mut next = || lines.next().unwrap().unwrap().split_once(',').unwrap().1.to_owned();
    device.with_cache(|| assert_eq!(next(), format!("create,{CACHE}")));
    for what in expected {
        assert_eq!(next(), format!("{what},{CACHE}"));
    }
    child.signal(Signal::INT);
    child.wait().unwrap();

    // Without programs it is seen, but not who did it.
    let query = format!("select what, name, pid from audit where name = '{CACHE}'");
    let (trace, note) = audit(&["--source", "proc"], &query);
    let (rows, err) = device.with_cache(|| trace.end());
    assert!(note.starts_with("looks at the caches every 20 ms, "), "{note}");
    assert_eq!(rows, [["create", CACHE, ""]], "{err}");
}
