//! A node that gets its memory while the machine runs.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::machine::items_are_of;
use super::{list, number, verify};

/// A node without memory gets some, and from then on its caches are there.
pub fn plugged(node: &str) {
    let node: i64 = node.parse().unwrap();
    let has_memory = || list("/sys/devices/system/node/has_memory").contains(&node);
    let caches = format!("select count(*) as n from nodes where node = {node}");
    assert!(!has_memory());
    assert_eq!(number(&caches), 0);
    let all = number("select count(*) as n");
    // The machine's keeper waits for it.
    fs::write("/dev/ttyS1", "##plug\n").unwrap();
    for _ in 0..100 {
        if has_memory() {
            break;
        }
        put_online(Path::new("/sys/devices/system/memory"));
        thread::sleep(Duration::from_millis(200));
    }
    assert!(has_memory(), "no memory came");
    assert_eq!(number(&caches), all);
    verify();
    let cpu = list(&format!("/sys/devices/system/node/node{node}/cpulist")).pop_first().unwrap();
    items_are_of(node, cpu);
    verify();
    println!("plugged: node {node} has {all} caches");
}

/// Puts blocks of memory online, where the kernel leaves that to somebody.
fn put_online(blocks: &Path) {
    for entry in fs::read_dir(blocks).unwrap() {
        let state = entry.unwrap().path().join("state");
        if fs::read_to_string(&state).is_ok_and(|it| it.trim() == "offline") {
            println!("{} is put online", state.display());
            fs::write(&state, "online").unwrap();
        }
    }
}
