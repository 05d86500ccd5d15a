//! Waits for the locks of the allocator, over a workload that makes some.

use std::fs;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, epoll, eventfd};

use super::{COUNT, Trace, many_files, said, sooner_or_later};
use crate::common;

/// Has some threads want the lock of one list for a while: one makes and removes items, of which few are left in each of
/// many slabs, and the others read `/proc/slabinfo`, which counts those slabs under the lock. On real hardware the first
/// who waits for a spinlock has no event, so there is one thread more than processors.
fn contend(time: Duration) {
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let numbers: Vec<_> = (0..8 * COUNT).map(|_| event.try_clone().unwrap()).collect();
    let queues = [(); 4].map(|()| epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
    let add = |queue: &OwnedFd, number: &OwnedFd| {
        epoll::add(queue, number, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    };
    for queue in &queues {
        for number in &numbers {
            add(queue, number);
        }
    }
    for queue in &queues {
        let most = numbers.iter().enumerate().filter(|(index, _)| index % 40 > 0);
        most.for_each(|(_, number)| epoll::delete(queue, number).unwrap());
    }
    let until = Instant::now() + time;
    thread::scope(|scope| {
        scope.spawn(|| {
            let some = &numbers[..2 * COUNT];
            let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
            while Instant::now() < until {
                for number in some {
                    add(&queue, number);
                }
                for number in some {
                    epoll::delete(&queue, number).unwrap();
                }
            }
        });
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while Instant::now() < until {
                    fs::read("/proc/slabinfo").unwrap();
                }
            });
        }
    });
}

#[test]
fn waits_for_the_lock_of_a_list_are_told() {
    let Some(_turn) = common::live() else { return };
    many_files();
    let query = "select site, waits, total, longest from contention \
                 where lock = 'list' and name = 'eventpoll_epi'";
    sooner_or_later(|time| {
        let trace = Trace::start(query, 2);
        contend(time);
        let (rows, err) = trace.end();
        for row in &rows {
            let [waits, total, longest] = [1, 2, 3].map(|at| row[at].parse::<u64>().unwrap());
            assert!(waits > 0 && longest <= total && total <= waits * longest, "{rows:?}");
        }
        // Both want it, and the function of one may be hidden.
        let known = rows.iter().any(|row| row[0].contains("+0x"));
        (known, format!("{rows:?}\n{err}"))
    });

    // In a watch each tick has its own.
    let query = "watch 500ms count 4 trace select sum(waits) as waits from contention \
                 where lock = 'list' and name = 'eventpoll_epi'";
    sooner_or_later(|time| {
        let waits = thread::scope(|scope| {
            scope.spawn(|| contend(time + Duration::from_secs(1)));
            let (out, _) = said(&[query], "");
            let waits = |line: &str| line.rsplit_once(',')?.1.parse::<u64>().ok();
            out.lines().skip(1).map(|line| waits(line).unwrap_or(0)).collect::<Vec<_>>()
        });
        assert_eq!(waits.len(), 4, "{waits:?}");
        (waits.iter().any(|waits| *waits > 0), format!("{waits:?}"))
    });
}
