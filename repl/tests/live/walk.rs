//! Walked figures on the running kernel: what they cost the verifier, and that other witnesses say the same.
//!
//! The machine does other things meanwhile. A cache counts where a witness says the same before and after, and is
//! asked again where not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::common;
use crate::walked;
use crate::walked::{Prepared, Slabinfo, failed, number, text};
use query::plan::Template;
use slabql::kernel::schema::KernelSchema;

#[test]
fn walks_are_cheap_to_verify() {
    let Some(_turn) = common::live() else { return };
    // Kernels without an iterator, before 6.13, forget less of what they have seen.
    let most = if KernelSchema::any().unwrap().has_iterator() { 10_000 } else { 50_000 };
    for template in walked::templates() {
        for columns in [
            "free_partial",
            "free_slabinfo",
            "cached_cpu",
            "cached_sheaves",
            "cached_barns",
            "active, active_slabinfo, complete",
            "slabs, objects, partial, active, active_slabinfo, cached, complete, used, waste, idle, utilization, efficiency",
            "* from slabs",
            "complete from slabs where free > 3 and list = 'node' and name like 'kmalloc%' and active % 2 = 1",
        ] {
            let start = Instant::now();
            let prepared = Prepared::by(template, &format!("select name, {columns}"));
            let opened = start.elapsed();
            let start = Instant::now();
            prepared.loaded.run().unwrap();
            let run = start.elapsed();
            let info = aya::programs::loaded_programs()
                .filter_map(Result::ok)
                .filter(|info| info.name() == b"slabql")
                .max_by_key(aya::programs::ProgramInfo::id)
                .unwrap();
            let verified = info.verified_instruction_count().unwrap();
            let insns = prepared.insns;
            println!(
                "{columns} by {}: {insns} insns, {verified} verified, run {run:?}, first answer after {opened:?}",
                template.name()
            );
            assert!(verified <= most, "{columns} by {}: {verified}", template.name());
        }
    }
}

/// How long a load takes, types already known: the least of several.
#[test]
fn loads_are_timed() {
    let Some(_turn) = common::iterated() else { return };
    for columns in ["size", "free_partial", "active, active_slabinfo, complete"] {
        let text = format!("select name, {columns}");
        let program = Prepared::program(&text);
        let load = || {
            let start = Instant::now();
            drop(slabql::kernel::load::Loaded::load(&program).unwrap());
            start.elapsed()
        };
        let least = (0..20).map(|_| load()).min().unwrap();
        println!("{columns}: {} insns, loaded and dropped in {least:?}", program.insns.len());
    }
}

#[test]
fn active_slabinfo_is_what_slabinfo_says() {
    let Some(_turn) = common::live() else { return };
    for template in walked::templates() {
        let prepared = Prepared::by(template, "select name, active_slabinfo, objects, complete");
        let slabinfo = Slabinfo::open();
        let (mut equal, mut unequal) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
        let mut all = 0;
        for _ in 0..40 {
            let before = slabinfo.read();
            let (rows, _) = prepared.run();
            let after = slabinfo.read();
            all = before.len();
            for row in &rows {
                let name = text(&row[0]);
                let (Some(first), Some(second)) = (before.get(&name), after.get(&name)) else {
                    continue;
                };
                if first != second || number(&row[3]) == 0 {
                    continue;
                }
                if *first == [number(&row[1]), number(&row[2])] {
                    equal.insert(name);
                } else {
                    *unequal.entry(name).or_default() += 1;
                }
            }
            if equal.len() == all {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        unequal.retain(|name, _| !equal.contains(name));
        println!(
            "by {} {} of {all} caches equal slabinfo; never: {unequal:?}",
            template.name(),
            equal.len()
        );
        assert!(unequal.values().all(|times| *times < 5), "{unequal:?}");
        assert!(equal.len() * 100 >= all * 97);
    }
}

#[test]
fn caches_are_objects_of_caches() {
    let Some(_turn) = common::live() else { return };
    walked::templates().into_iter().for_each(caches_are_objects);
}

fn caches_are_objects(by: Template) {
    let prepared = Prepared::by(by, "select name, active, complete");
    let nodes = i64::try_from(common::witness::nodes().len()).unwrap();
    let mut last = None;
    for _ in 0..50 {
        let (rows, flags) = prepared.run();
        let active =
            |wanted: &str| number(&rows.iter().find(|row| text(&row[0]) == wanted).unwrap()[1]);
        let found = (rows.len(), active("kmem_cache"), active("kmem_cache_node"));
        last = Some(found);
        let count = i64::try_from(rows.len()).unwrap();
        if !failed(flags) && found.1 == count && found.2 == count * nodes {
            println!(
                "by {} {} rows, kmem_cache {}, kmem_cache_node {}, {nodes} nodes",
                by.name(),
                found.0,
                found.1,
                found.2
            );
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("rows, kmem_cache, kmem_cache_node by {}: {last:?}; {nodes} nodes", by.name());
}

/// Caches that the test itself moves while it asks.
const OWN: &[(&str, &str)] = &[
    ("filp", "files that others open meanwhile"),
    ("seq_file", "reading slabinfo"),
    ("names_cache", "paths"),
    ("lsm_file_cache", "files"),
    ("kmalloc-8", "the write to shrink"),
    ("kmalloc-16", "the write to shrink"),
];

/// After a flush of all that CPUs hold ready, slabinfo's active objects are the true ones.
#[test]
fn active_is_what_slabinfo_says_after_a_flush() {
    let Some(_turn) = common::live() else { return };
    println!("left out: {OWN:?}");
    walked::templates().into_iter().for_each(after_a_flush);
}

fn after_a_flush(by: Template) {
    let prepared = Prepared::by(by, "select name, active, active_slabinfo, complete");
    let slabinfo = Slabinfo::open();
    let mut shrink = Vec::new();
    for entry in fs::read_dir("/sys/kernel/slab").unwrap().flatten() {
        // Links lead to folders that are there anyway.
        if entry.file_type().unwrap().is_dir() {
            let path = entry.path().join("shrink");
            shrink.push(fs::OpenOptions::new().write(true).open(path).unwrap());
        }
    }
    let mut equal = BTreeSet::new();
    let mut rest = HashMap::new();
    let (mut all, mut best, mut stale) = (0, 0, 0);
    for _ in 0..12 {
        let (rows, _) = prepared.run();
        for file in &shrink {
            // A cache can go meanwhile.
            let _ = file.write_at(b"1", 0);
        }
        let flushed = slabinfo.read();
        let (mut now, mut differ) = (0, 0);
        all = 0;
        for row in &rows {
            let name = text(&row[0]);
            let Some([active, _]) = flushed.get(&name) else { continue };
            if OWN.iter().any(|(own, _)| *own == name) {
                continue;
            }
            all += 1;
            differ += usize::from(number(&row[2]) != *active);
            if number(&row[1]) == *active {
                now += 1;
                equal.insert(name);
            } else {
                rest.insert(name, number(&row[1]) - active);
            }
        }
        best = best.max(now);
        stale = stale.max(differ);
        if equal.len() == all {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    rest.retain(|name, _| !equal.contains(name));
    println!(
        "by {} of {all} caches {} equal slabinfo after a flush ({best} at once; slabinfo without a flush differs for up \
         to {stale}); never, with the last difference: {rest:?}",
        by.name(),
        equal.len()
    );
    assert!(equal.len() * 100 >= all * 90, "{rest:?}");
}
