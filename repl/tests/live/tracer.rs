//! Programs of a trace, loaded by aya, count and hold what a workload allocates, to the object.

use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::time::Duration;

use aya::maps::loaded_maps;
use aya::programs::loaded_programs;
use ebpf_templates::template::events::{Events, Field, Mode, Point, is_sampled};
use query::schema::Schema;
use slabql::kernel::schema::KernelSchema;
use slabql::kernel::trace::symbols::Names;
use slabql::kernel::trace::{Losses, Object, Tracer};
use slabql::source::Choice;

use crate::common;
use crate::common::ask;

/// How long the kernel may take to free what is no longer used.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many sockets are made.
const SOCKETS: usize = 700;

fn events(fields: &[Field], mode: Mode) -> Events {
    let schema = KernelSchema::any().unwrap();
    let get_kmem_cache = schema.function_id("bpf_get_kmem_cache");
    let fields = fields.to_vec();
    // Nothing is left out: this process is the one that is looked at.
    let (only, own, entries) = (Vec::new(), u32::MAX, 100_000);
    Events { fields, mode, get_kmem_cache, only, own, entries, sample: 1, turns: false, depth: 48 }
}

fn sockets() -> Vec<UnixDatagram> {
    (0..SOCKETS).map(|_| UnixDatagram::unbound().unwrap()).collect()
}

/// The address of a cache.
fn cache(name: &str) -> u64 {
    let sql = format!("select cast(addr as int) from caches where name = '{name}'");
    let output = ask::live(Choice::default()).ask(&sql).unwrap();
    output.rows[0][0].integer().unwrap().try_into().unwrap()
}

#[test]
fn allocations_are_counted_to_the_object() {
    let Some(_turn) = common::live() else { return };
    let (cache, pid) = (cache("sock_inode_cache"), u64::from(process::id()));
    let events = events(&[Field::Cache, Field::Pid], Mode::Counts);
    let mut tracer = Tracer::attach(events.clone(), &Point::ALLOCATIONS).unwrap();
    let made = sockets();
    let losses = tracer.detach().unwrap();
    let counts = tracer.counts().unwrap();
    let count = counts.iter().find(|(key, _)| *key == [cache, pid]).map_or(0, |found| found.1);
    assert_eq!((count, losses.entries), (SOCKETS as u64, 0), "{counts:?}");

    let mut tracer = Tracer::attach(events, &Point::FREES).unwrap();
    drop(made);
    // They are freed after a grace period of RCU, in the name of whoever runs then.
    common::wait("the sockets to be freed", PATIENCE, || {
        let counts = tracer.counts().unwrap();
        let freed = counts.iter().filter(|(key, _)| key[0] == cache).map(|(_, count)| count);
        (freed.sum::<u64>() >= SOCKETS as u64).then_some(())
    });
}

#[test]
fn held_and_freed_objects_are_told_apart() {
    let Some(_turn) = common::live() else { return };
    let (cache, pid) = (cache("sock_inode_cache"), u64::from(process::id()));
    let fields = [Field::Cache, Field::Site, Field::Pid];
    let events = Events { only: vec![cache], ..events(&fields, Mode::Objects { freed: true }) };
    let points = events.points();
    let mut tracer = Tracer::attach(events, &points).unwrap();
    let kept = sockets();
    drop(sockets());
    let mut freed = Vec::new();
    // Inodes are freed after a grace period of RCU.
    common::wait("the sockets to be freed", PATIENCE, || {
        freed.extend(tracer.freed().into_iter().filter(|object| object.fields[2] == pid));
        (freed.len() >= SOCKETS).then_some(())
    });
    let losses = tracer.detach().unwrap();
    let held = tracer.held().unwrap();
    assert_eq!(losses, Losses { missed: losses.missed, ..Losses::default() });
    let held: Vec<_> = held.iter().filter(|object| object.fields[2] == pid).collect();
    assert_eq!((held.len(), freed.len()), (SOCKETS, SOCKETS));
    assert!(held.iter().all(|object| object.fields[0] == cache && object.freed.is_none()));
    assert!(freed.iter().all(|object| object.freed.is_some_and(|freed| freed > object.time)));
    drop(kept);

    let mut names = Names::open().unwrap();
    names.learn(held.iter().map(|object| object.fields[1])).unwrap();
    let name = names.name(held[0].fields[1]).unwrap();
    assert!(name.starts_with("sock_alloc_inode+0x") && name.contains('/'), "{name}");
    assert_eq!(names.process().unwrap(), process::id());
}

#[test]
fn a_sample_has_whatever_its_hash_chooses_and_sees_it_freed() {
    let Some(_turn) = common::live() else { return };
    let (cache, pid) = (cache("sock_inode_cache"), u64::from(process::id()));
    let fields = [Field::Pid];
    let all = Events { only: vec![cache], ..events(&fields, Mode::Objects { freed: true }) };
    let sample = 8;
    let [mut all, mut sampled] = [all.clone(), Events { sample, ..all }].map(|events| {
        let points = events.points();
        Tracer::attach(events, &points).unwrap()
    });
    let own = |objects: Vec<Object>| -> BTreeSet<u64> {
        objects.iter().filter(|object| object.fields[0] == pid).map(|object| object.addr).collect()
    };
    let chosen = |objects: BTreeSet<u64>| -> BTreeSet<u64> {
        objects.into_iter().filter(|addr| is_sampled(*addr, sample)).collect()
    };
    let made = sockets();
    let [held, held_of_sample] = [&all, &sampled].map(|tracer| own(tracer.held().unwrap()));
    assert_eq!(held.len(), SOCKETS);
    let chosen_of_held = chosen(held);
    assert!(!chosen_of_held.is_empty() && chosen_of_held == held_of_sample);
    drop(made);
    let mut freed = Vec::new();
    common::wait("the sockets to be freed", PATIENCE, || {
        all.freed();
        freed.extend(sampled.freed());
        // Frees that interrupt another one are not told.
        let missed = sampled.losses().unwrap().missed;
        (own(sampled.held().unwrap()).len() as u64 <= missed).then_some(())
    });
    let losses = [&mut all, &mut sampled].map(|tracer| tracer.detach().unwrap());
    assert!(losses.iter().all(|lost| lost.entries == 0 && lost.records == 0), "{losses:?}");
    freed.extend(sampled.freed());
    assert!(freed.iter().all(|object| object.freed.is_some_and(|freed| freed > object.time)));
    let freed = own(freed);
    let left = held_of_sample.difference(&freed).count() as u64;
    assert!(freed.is_subset(&held_of_sample) && left <= losses[1].missed, "{left} {losses:?}");
}

#[test]
fn a_tracer_leaves_nothing_behind() {
    let Some(_turn) = common::live() else { return };
    // By their ids: what an earlier test loaded may be freed only now.
    let ours = |name: &[u8]| name.starts_with(b"slabql_");
    let programs = || -> BTreeSet<u32> {
        loaded_programs()
            .flatten()
            .filter(|found| ours(found.name()))
            .map(|found| found.id())
            .collect()
    };
    let maps = || -> BTreeSet<u32> {
        loaded_maps().flatten().filter(|found| ours(found.name())).map(|found| found.id()).collect()
    };
    let before = (programs(), maps());
    let events = events(&[Field::Site], Mode::Objects { freed: true });
    let points = events.points();
    let tracer = Tracer::attach(events, &points).unwrap();
    let (programs_of_it, maps_of_it) = (&programs() - &before.0, &maps() - &before.1);
    assert_eq!((programs_of_it.len(), maps_of_it.len()), (4, 3));
    drop(tracer);
    common::wait("the kernel to free the programs", PATIENCE, || {
        (programs().is_disjoint(&programs_of_it) && maps().is_disjoint(&maps_of_it)).then_some(())
    });
}
