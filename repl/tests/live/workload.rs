//! Known numbers of objects, made and undone, are what `active` rises and falls by on the running kernel.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::any::Any;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::files::Files;
use crate::walked;
use crate::walked::{Prepared, Slabinfo, failed, folder, number, sysfs, text};
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Objects that exist until this is dropped.
type Held = Box<dyn Any>;

fn epoll_items(count: usize) -> Held {
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    // Each number of the one file is an item of its own.
    let numbers: Vec<OwnedFd> = (0..count).map(|_| event.try_clone().unwrap()).collect();
    for (index, number) in numbers.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&queue, number, data, epoll::EventFlags::IN).unwrap();
    }
    Box::new((numbers, queue))
}

fn memfds(count: usize) -> Held {
    let memfd = |_| memfd_create("slabql-test", MemfdFlags::CLOEXEC).unwrap();
    Box::new((0..count).map(memfd).collect::<Vec<_>>())
}

fn sockets(count: usize) -> Held {
    Box::new((0..count).map(|_| UnixDatagram::unbound().unwrap()).collect::<Vec<_>>())
}

fn pipes(count: usize) -> Held {
    Box::new((0..count).map(|_| std::io::pipe().unwrap()).collect::<Vec<_>>())
}

struct Workload {
    what: &'static str,
    make: fn(usize) -> Held,
    count: usize,
    /// The name under `/sys/kernel/slab` of the cache that it fills.
    cache: &'static str,
    /// Objects in it for each thing made.
    each: usize,
    /// What other processes may add meanwhile; nothing where the objects are rare.
    slack: i64,
}

const WORKLOADS: &[Workload] = &[
    Workload {
        what: "epoll items",
        make: epoll_items,
        count: 5000,
        cache: "eventpoll_epi",
        each: 1,
        slack: 0,
    },
    Workload {
        what: "epoll items",
        make: epoll_items,
        count: 5000,
        cache: "eventpoll_pwq",
        each: 1,
        slack: 8,
    },
    Workload {
        what: "memfds",
        make: memfds,
        count: 3000,
        cache: "shmem_inode_cache",
        each: 1,
        slack: 0,
    },
    Workload {
        what: "sockets",
        make: sockets,
        count: 3000,
        cache: "sock_inode_cache",
        each: 1,
        slack: 0,
    },
    Workload { what: "pipes", make: pipes, count: 2000, cache: "filp", each: 2, slack: 16 },
];

/// A figure once it rests: the same twice, some time apart.
fn rested(prepared: &Prepared) -> i64 {
    let mut last = prepared.number();
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(30));
        let now = prepared.number();
        if now == last {
            break;
        }
        last = now;
    }
    last
}

#[test]
fn active_counts_what_was_made() {
    let Some(_turn) = common::live() else { return };
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(16_384);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(16_384));
    setrlimit(Resource::Nofile, limit).unwrap();
    let slabinfo = Slabinfo::open();
    println!(
        "| made | cache | by | objects | active | slabinfo | left behind |\n|---|---|---|---|---|---|---|"
    );
    let templates = walked::templates();
    let pairs = WORKLOADS.iter().flat_map(|w| templates.iter().map(move |by| (w, *by)));
    for (workload, template) in pairs {
        let Workload { what, make, count, cache, each, slack } = workload;
        let folder = folder(cache);
        let asked = format!("select active where sysfs_id = '{folder}'");
        let prepared = Prepared::by(template, &asked);
        let name = Prepared::new(&format!("select name where sysfs_id = '{folder}'")).run().0;
        let name = text(&name[0][0]);
        // What the first use builds once is no part of the count.
        drop(make(64));
        let wanted = i64::try_from(count * each).unwrap();
        let mut found = None;
        for _ in 0..10 {
            let before = rested(&prepared);
            let said_before = slabinfo.read()[&name][0];
            let held = make(*count);
            let up = prepared.number() - before;
            let said = slabinfo.read()[&name][0] - said_before;
            drop(held);
            // Objects that wait for a grace period go later.
            let mut left = prepared.number() - before;
            let start = Instant::now();
            while left > 64 && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(50));
                left = prepared.number() - before;
            }
            found = Some((up, said, left));
            if (up - wanted).abs() <= *slack && left.abs() <= 64 {
                break;
            }
        }
        let (up, said, left) = found.unwrap();
        let by = template.name();
        println!(
            "| {count} {what} | {cache} ({name}) | {by} | {wanted} | {up:+} | {said:+} | {left:+} |"
        );
        assert!((up - wanted).abs() <= *slack, "{what} in {cache}: {up:+} of {wanted}");
        assert!(left.abs() <= 64, "{what} in {cache}: {left:+} left behind");
    }
}

#[test]
fn a_long_partial_list_is_counted_exactly() {
    let Some(_turn) = common::live() else { return };
    let start = Instant::now();
    let files = Files::new(2, 640_000, 21);
    println!("640000 files made and all but each 21st removed in {:?}", start.elapsed());
    let slabinfo = Slabinfo::open();
    let (mut long, mut agreed, mut differed) = (0, 0, 0);
    let caches = ["dentry", "shmem_inode_cache"];
    for (cache, by) in caches
        .into_iter()
        .flat_map(|cache| walked::templates().into_iter().map(move |by| (cache, by)))
    {
        let folder = folder(cache);
        let ask = |columns: &str| {
            Prepared::by(by, &format!("select {columns} where sysfs_id = '{folder}'"))
        };
        let both = ask("name, partial, objects, free_partial, active_slabinfo, complete");
        let name = text(&both.run().0[0][0]);
        let partial = both.run().0.first().map_or(0, |row| number(&row[1]));
        println!("{cache} ({name}) by {}: {partial} partial slabs", by.name());
        if partial <= 20_000 {
            continue;
        }
        long += 1;
        // The least of several runs, without the walk and with it.
        let time = |prepared: &Prepared| {
            let run = |_| {
                let start = Instant::now();
                prepared.loaded.run().unwrap();
                start.elapsed()
            };
            (0..20).map(run).min().unwrap()
        };
        let (without, with) = (time(&ask("partial")), time(&ask("free_partial")));
        let tenths =
            with.saturating_sub(without).as_nanos() * 10 / u128::try_from(partial).unwrap();
        let (each, tenth) = (tenths / 10, tenths % 10);
        println!("  walked in {with:?}, {without:?} without: {each}.{tenth} ns a slab");
        let (mut exact, mut extrapolated) = (None, None);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(15) {
            let sysfs_free = || sysfs(&folder, "total_objects") - sysfs(&folder, "objects");
            let first = (sysfs_free(), slabinfo.read()[&name][0]);
            let (rows, flags) = both.run();
            let second = (sysfs_free(), slabinfo.read()[&name][0]);
            let row = &rows[0];
            let [objects, free, active] = [2, 3, 4].map(|index| number(&row[index]));
            assert_eq!(number(&row[5]) == 0, failed(flags));
            if failed(flags) {
                continue;
            }
            if first.0 == second.0 && free == first.0 {
                exact.get_or_insert((free, objects));
            }
            if first.1 == second.1 && active == first.1 {
                extrapolated.get_or_insert((active, objects - free));
            }
            if exact.is_some() && extrapolated.is_some() {
                break;
            }
        }
        println!(
            "  free_partial = sysfs: {exact:?}; active_slabinfo = slabinfo, and exact: {extrapolated:?}"
        );
        if let (Some(_), Some((said, true_one))) = (exact, extrapolated) {
            agreed += 1;
            differed += usize::from(said != true_one);
        }
    }
    drop(files);
    assert!(long > 0, "no list of more than 20000 slabs came about");
    assert!(agreed > 0, "no cache rested long enough");
    assert!(differed > 0, "what slabinfo extrapolates was exact");
}
