//! Machines with several nodes, and with processors that come and go.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{ITEMS, list, number, rows, run_on, verify, with_items};

/// There are so many nodes online, with memory and with processors; what is taken on a processor is its node's.
pub fn nodes(counts: [&str; 3]) {
    let kinds = ["online", "has_memory", "has_cpu"];
    let found = kinds.map(|kind| list(&format!("/sys/devices/system/node/{kind}")));
    for ((kind, found), count) in kinds.iter().zip(&found).zip(counts) {
        assert_eq!(found.len().to_string(), count, "{kind}: {found:?}");
    }
    let [_, memory, cpus] = found;
    let told = rows(&["select node, count(*) as n, sum(slabs) as slabs from nodes group by node"]);
    let told: Vec<_> = told.iter().map(|row| row["node"].as_i64().unwrap()).collect();
    assert!(memory.iter().all(|node| told.contains(node)), "{told:?}, with memory {memory:?}");
    assert!(told.iter().all(|node| memory.contains(node)), "{told:?}, with memory {memory:?}");
    for node in memory.intersection(&cpus) {
        let cpu =
            list(&format!("/sys/devices/system/node/node{node}/cpulist")).pop_first().unwrap();
        items_are_of(*node, cpu);
    }
    println!("nodes: {told:?} have caches, {cpus:?} processors");
}

/// What is taken on a processor adds to the slabs of its node, and to `active` of the cache.
pub fn items_are_of(node: i64, cpu: i64) {
    run_on(cpu);
    let slabs =
        format!("select slabs as n from nodes where name = 'eventpoll_epi' and node = {node}");
    let active = "select active as n where name = 'eventpoll_epi'";
    let (slabs_before, active_before) = (number(&slabs), number(active));
    let (slabs_with, active_with) = with_items(|| (number(&slabs), number(active)));
    assert_eq!(active_with - active_before, ITEMS, "on processor {cpu}");
    // Slabs that were there have room for some of them.
    let each = number("select objects_per_slab as n where name = 'eventpoll_epi'");
    let added = slabs_with - slabs_before;
    println!("node {node}, processor {cpu}: {ITEMS} items in {added} more slabs of {each}");
    assert!(added * each * 2 > ITEMS, "node {node}, processor {cpu}: {added} slabs");
}

/// Processors that are possible and offline have rows; one that comes holds objects, and none when it is gone.
pub fn offline(possible: &str, online: &str) {
    let file = |kind: &str| format!("/sys/devices/system/cpu/{kind}");
    let (all, before) = (list(&file("possible")), list(&file("online")));
    assert_eq!([all.len(), before.len()].map(|n| n.to_string()), [possible, online]);
    let told = |online: bool| {
        let query =
            format!("select cpu from cpus where online = {online} group by cpu order by cpu");
        let rows = rows(&[&query]);
        rows.iter().map(|row| row["cpu"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(told(true), before.iter().copied().collect::<Vec<_>>());
    assert_eq!(told(false), all.difference(&before).copied().collect::<Vec<_>>());
    let cpu = *all.difference(&before).next().unwrap();
    let switch = |on| fs::write(file(&format!("cpu{cpu}/online")), on).unwrap();
    // What a kernel does not have is NULL.
    let parts = ["cpu_free", "partial_free", "main", "spare"];
    let held = || -> i64 {
        let sum =
            |part| format!("select coalesce(sum({part}), 0) as n from cpus where cpu = {cpu}");
        parts.map(|part| number(&sum(part))).iter().sum()
    };
    assert_eq!(held(), 0);
    for round in 0..2 {
        switch("1");
        assert!(told(true).contains(&cpu));
        run_on(cpu);
        with_items(|| ());
        let with = held();
        assert!(with > 0);
        verify();
        run_on(0);
        switch("0");
        assert!(told(false).contains(&cpu));
        // Sheaves that wait for a grace period go later.
        for _ in 0..50 {
            if held() == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
        println!("round {round}: processor {cpu} held {with} objects, offline {}", held());
        assert_eq!(held(), 0);
        verify();
    }
}
