//! What slabql tells of a machine, and machines that kernel parameters change.

use std::ffi::CStr;
use std::fs;

use rustix::mount::{MountFlags, mount};
use serde_json::Value;

use super::{allocated, number, slabql};

/// The state and the words of a finding.
fn finding<'a>(findings: &'a [Value], area: &str, check: &str) -> [&'a str; 2] {
    let mut found = findings.iter().filter(|it| it["area"] == area && it["check"] == check);
    let found = found.next().unwrap_or_else(|| panic!("doctor says nothing of {area}, {check}"));
    [&found["state"], &found["found"]].map(|value| value.as_str().unwrap())
}

fn findings() -> Vec<Value> {
    let ran = slabql(&["--format", "json", "doctor"]);
    // 2 is for a kernel whose memory cannot be read.
    assert!([Some(0), Some(2)].contains(&ran.code), "{:?}: {}", ran.code, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// The doctor names the sources that serve, of which `source` is the best one, and it is the one that answers.
pub fn doctor(source: &str) {
    let text = slabql(&["doctor"]);
    let findings = findings();
    let best = ["live", "walk", "proc"]
        .into_iter()
        .find(|source| finding(&findings, "source", source)[0] == "ok");
    assert_eq!(best, Some(source), "{}", text.out);
    assert_eq!(text.code, Some(if source == "proc" { 2 } else { 0 }), "{}", text.out);
    for it in &findings {
        assert!(text.out.contains(it["check"].as_str().unwrap()), "{it}");
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(finding(&findings, "kernel", "release")[1], release.trim());
    let said = slabql(&["select name limit 1"]).err;
    let labelled = said.lines().find_map(|line| line.strip_prefix("source "));
    let label = labelled.map_or("live", |label| label.split(':').next().unwrap());
    assert_eq!(label, source, "{said}");
    println!("doctor: {source}, {} findings", findings.len());
}

/// What the kernel was started with.
fn started_with(word: &str) {
    let line = fs::read_to_string("/proc/cmdline").unwrap();
    assert!(line.split_whitespace().any(|found| found == word), "{word}: {line}");
}

/// No cache stands for another.
pub fn unmerged() {
    started_with("slab_nomerge");
    assert_eq!(number("select sum(alias_count) as n"), 0);
    assert_eq!(number("select count(*) as n where sysfs_id like ':%'"), 0);
    let caches = number("select count(*) as n");
    assert!(caches > 230, "{caches}");
    println!("unmerged: {caches} caches");
}

/// Objects have red zones, poison and who took them, so that they are larger.
pub fn debugged() {
    started_with("slub_debug=FZPU");
    let flags = "flags has CONSISTENCY_CHECKS and flags has RED_ZONE and flags has POISON and flags has STORE_USER";
    let (caches, with) =
        (number("select count(*) as n"), number(&format!("select count(*) as n where {flags}")));
    // Caches that say so themselves have none of it.
    assert!(with * 10 > caches * 9, "{with} of {caches}");
    assert!(number("select size as n where name = 'kmalloc-64'") > 64);
    let (size, object) =
        ("select sum(size) as n where debugged", "select sum(object_size) as n where debugged");
    assert!(number(size) > number(object));
    println!("debugged: {with} of {caches} caches");
    allocated::recorded();
}

/// Some objects lie in pages of KFENCE, which look like slabs and are none: no figure counts them.
pub fn kfence() {
    started_with("kfence.sample_interval=1");
    let folder = "/sys/kernel/debug";
    mount("debugfs", folder, "debugfs", MountFlags::empty(), None::<&CStr>).unwrap();
    let stats = fs::read_to_string(format!("{folder}/kfence/stats")).unwrap();
    let allocated = stats.lines().find_map(|line| line.strip_prefix("currently allocated: "));
    let allocated: i64 = allocated.expect(&stats).trim().parse().unwrap();
    // A page keeps its cache behind the free.
    let pages = number("select count(*) as n from slabs where state = 'kfence'");
    assert!(0 < allocated && allocated <= pages && pages <= 255, "{pages} pages: {stats}");
    let others =
        "select count(*) as n from slabs where state = 'kfence' and (objects <> 1 or name is null)";
    assert_eq!(number(others), 0);
    let findings = findings();
    let found = finding(&findings, "boot", "KFENCE");
    assert!(found[1].starts_with("on, an object each 1 ms"), "{found:?}");
    let checked = slabql(&["check"]);
    assert_eq!(checked.code, Some(0), "{}{}", checked.out, checked.err);
    println!("kfence: {pages} pages, {allocated} objects; {}", checked.err.trim());
}

/// Without its compiler the kernel calls none of its functions for a program. The files answer, and it is said why.
pub fn interpreted() {
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").unwrap();
    assert_eq!(jit.trim(), "0");
    let findings = findings();
    assert_eq!(finding(&findings, "bpf", "JIT compiler")[0], "missing");
    assert_eq!(finding(&findings, "cpus", "main")[1], "the source `proc` has no table `cpus`");
    refused("the kernel's BPF compiler is disabled", "bpf_jit_enable=1");
}

/// Where addresses are hidden from everybody, root too, the list of caches has no beginning. It is said what would help.
pub fn hidden() {
    let hidden = fs::read_to_string("/proc/sys/kernel/kptr_restrict").unwrap();
    assert_eq!(hidden.trim(), "2");
    refused("the kernel hides its addresses (kernel.kptr_restrict)", "kptr_restrict=1");
}

/// The files answer for a better source and say `why` not that one; where it is asked for, so does the error, with `help`.
fn refused(why: &str, help: &str) {
    let answer = slabql(&["select name, objects where name = 'dentry'"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(answer.out.starts_with("name,objects\ndentry,"), "{}", answer.out);
    assert!(answer.err.starts_with("source proc: ") && answer.err.contains(why), "{}", answer.err);
    let ran = slabql(&["--require", "walk", "select name limit 1"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains(why) && ran.err.contains(help), "{}", ran.err);
    println!("{}", ran.err);
}
