//! What a trace counts: each object that a workload holds, each allocation and each free once; of a sample, an
//! estimate.

use std::fs;
use std::io::{self, IoSlice, Write};
use std::process;
use std::thread;

use query::schema::Schema;
use rustix::pipe::fcntl_setpipe_size;
use slabql::kernel::lookup::Memory;
use slabql::kernel::schema::KernelSchema;

use super::{COUNT, Held, Trace, counts, epoll_items, said, sockets, sooner_or_later};
use crate::common;
use crate::common::program::{SLABQL, command};
use crate::common::start::Start;

/// What `state` says of an object that no event freed and that is in use, and what is noted of it: before Linux 6.9 no
/// program can tell.
fn in_use() -> (&'static str, Option<&'static str>) {
    if Memory::is_readable(&KernelSchema::any().unwrap()) {
        return ("held", None);
    }
    (
        "unconfirmed",
        Some("note: what no event freed is unconfirmed: Linux before 6.9 does not tell"),
    )
}

#[test]
fn what_a_workload_holds_is_shown_to_the_object() {
    let Some(_turn) = common::live() else { return };
    let (state, note) = in_use();
    let query = format!(
        "select name, count(*) from allocations where state = '{state}' and pid = {} group by name",
        process::id()
    );
    for (make, cache) in
        [(sockets as fn() -> Held, "sock_inode_cache"), (epoll_items, "eventpoll_epi")]
    {
        // It may have been merged into another one.
        let of = format!("select name from aliases where alias = '{cache}'");
        let (out, _) = said(&[&of], "");
        let caches = &[out.lines().nth(1).unwrap_or(cache)][..];
        let trace = Trace::start(&query, 4);
        let made = make();
        let (rows, err) = trace.end();
        assert_eq!(counts(&rows, caches), vec![COUNT; caches.len()], "{rows:?}\n{err}");
        assert!(err.contains("\ntrace_report: ") && !err.contains("full"), "{err}");
        drop(made);
        if let Some(note) = note {
            assert!(err.contains(note), "{err}");
        }

        // What is freed by `kfree_rcu` has no event, nor what is freed while another event is handled: it is found free
        // at the end, where the kernel tells.
        if note.is_some() {
            continue;
        }
        sooner_or_later(|grace| {
            let trace = Trace::start(&query, 4);
            drop(make());
            thread::sleep(grace);
            let (rows, err) = trace.end();
            (counts(&rows, caches) == vec![0; caches.len()], format!("{rows:?}\n{err}"))
        });
    }
}

#[test]
fn two_traces_count_the_same() {
    let Some(_turn) = common::live() else { return };
    let query = format!(
        "select name, count(*), sum(bytes_alloc), max(bytes_req) from allocations \
         where pid = {} and name = 'sock_inode_cache' group by name",
        process::id()
    );
    let traces = [Trace::start(&query, 2), Trace::start(&query, 2)];
    let made = sockets();
    let [first, second] = traces.map(|trace| trace.end().0);
    drop(made);
    assert_eq!(first, second);
    let sizes = "select name, size, object_size where name = 'sock_inode_cache'";
    let ran = command(SLABQL).args(["--format", "csv", sizes]).ran();
    let out = String::from_utf8(ran.stdout).unwrap();
    let sizes: Vec<&str> = out.lines().nth(1).unwrap().split(',').collect();
    let bytes = sizes[1].parse::<usize>().unwrap() * COUNT;
    let [name, count, bytes, most] =
        ["sock_inode_cache", &COUNT.to_string(), &bytes.to_string(), sizes[2]];
    assert_eq!(first, [[name, count, bytes, most].map(str::to_owned)]);
}

#[test]
fn a_sample_is_an_estimate_of_all_and_shows_no_leak_where_none_is() {
    let Some(_turn) = common::live() else { return };
    let of =
        format!("from allocations where pid = {} and name = 'sock_inode_cache'", process::id());
    let held = format!("select count(*), count(distinct addr) {of} and state = 'held'");
    let [all, sampled] =
        ["sample 1", "sample 4"].map(|sample| Trace::start_words(&[sample, &held], 4));
    let addresses = Trace::start_words(&["sample 4", &format!("select addr, name {of}")], 4);
    let made = sockets();
    let [(all, said), (sampled, note)] = [all, sampled].map(Trace::end);
    let (addresses, shown) = addresses.end();
    drop(made);
    let count = COUNT.to_string();
    assert_eq!(all, [[count.clone(), count]]);
    assert!(!said.contains("one object of"), "{said}");
    // What is counted is exact; how many of all it is, is chance, within six of its standard deviations.
    let [estimate, seen] = [0, 1].map(|at| sampled[0][at].parse::<usize>().unwrap());
    assert_eq!((estimate, addresses.len()), (4 * seen, seen));
    assert!(estimate.abs_diff(COUNT) < COUNT / 4, "{estimate}");
    let of_counts =
        "\nnote: one object of 4 was followed: counts and sums are estimates, 4 times those of ";
    assert!(note.contains(of_counts), "{note}");
    // What others did is in it, as the query leaves it out only behind the trace.
    let of_rows = "\nnote: one object of 4 was followed: these are ";
    let told = shown.split_once(of_rows).map_or("", |(_, told)| told);
    let mut numbers = told.split(' ').filter_map(|word| word.lines().next()?.parse().ok());
    let [events, of_all]: [usize; 2] = [(); 2].map(|()| numbers.next().expect(&shown));
    assert!(events >= seen && of_all == 4 * events, "{shown}");

    sooner_or_later(|grace| {
        let trace = Trace::start_words(&["sample 4", &held], 4);
        drop(sockets());
        thread::sleep(grace);
        let (rows, err) = trace.end();
        (rows == [["0", "0"]], format!("{rows:?}\n{err}"))
    });
}

#[test]
fn frees_are_counted() {
    let Some(_turn) = common::live() else { return };
    let query = "select name, count(*) from frees where name = 'sock_inode_cache' group by name";
    sooner_or_later(|grace| {
        let trace = Trace::start(query, 2);
        drop(sockets());
        thread::sleep(grace);
        let (rows, err) = trace.end();
        (counts(&rows, &["sock_inode_cache"])[0] >= COUNT, format!("{rows:?}\n{err}"))
    });
}

/// An array of pages for each pipe is larger than any slab's object.
#[test]
fn a_large_allocation_is_held_until_it_is_freed() {
    let Some(_turn) = common::live() else { return };
    let schema = KernelSchema::any().unwrap();
    let marked = schema.enumerator("pagetype", "PGTY_large_kmalloc").is_some();
    let (held, freed, bytes) = (50, 30, 256 * 40);
    let query = format!(
        "select state, count(*), count(name) from allocations where pid = {} and bytes_req = {bytes} group by state order by state",
        process::id()
    );
    let enlarged = || {
        let (reader, writer) = io::pipe().unwrap();
        fcntl_setpipe_size(&writer, 256 << 12).unwrap();
        (reader, writer)
    };
    let trace = Trace::start(&query, 4);
    let pipes: Vec<_> = (0..held).map(|_| enlarged()).collect();
    for _ in 0..freed {
        enlarged();
    }
    let (rows, told) = trace.end();
    let state = if marked { "held" } else { "unconfirmed" };
    let expected = [["freed", &freed.to_string(), "0"], [state, &held.to_string(), "0"]];
    assert_eq!(rows, expected, "{told}");
    drop(pipes);
}

/// The kernel tells of most large allocations twice: in the name of its own function, and in that of who called it.
#[test]
fn a_large_allocation_counts_once() {
    let Some(_turn) = common::live() else { return };
    let times = 50;
    // So many pieces are copied into the kernel, 16 bytes for each, until they are written.
    let pieces = [IoSlice::new(b"x"); 1024];
    let query = format!(
        "select count(*), count(distinct site), max(elapsed) > 0 from allocations where pid = {} and bytes_req = {}",
        process::id(),
        16 * pieces.len()
    );
    let trace = Trace::start(&query, 2);
    let mut nowhere = fs::File::create("/dev/null").unwrap();
    for _ in 0..times {
        assert_eq!(nowhere.write_vectored(&pieces).unwrap(), pieces.len());
    }
    let (rows, told) = trace.end();
    assert_eq!(rows, [[times.to_string(), "1".to_owned(), "true".to_owned()]], "{told}");
}
