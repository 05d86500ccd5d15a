//! A trace shows what a workload holds, to the object, and nothing of it once it is released.

use std::any::Any;
use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Lines, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{self, Child, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aya::programs::loaded_programs;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Resource, Signal, getrlimit, setrlimit};

use slabql::features::library::{self, REPORTS};
use slabql::kernel::lookup::Memory;
use slabql::kernel::schema::KernelSchema;

use crate::common;
use crate::common::child::held;
use crate::common::program::{Folder, SLABQL, command};
use crate::common::start::{End, Start};
use crate::common::wait;
use crate::common::zram::{CACHE, zram};

/// How long a process is given to come to where it waits.
const PATIENCE: Duration = Duration::from_mins(1);
/// How many of each thing are made.
const COUNT: usize = 1500;
/// How long the kernel usually takes to free what waits for readers.
const GRACE: Duration = Duration::from_millis(500);

type Held = Box<dyn Any>;

/// Lets this process have more files than the usual 1,024.
fn many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(16_384);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(16_384));
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn sockets() -> Held {
    many_files();
    Box::new((0..COUNT).map(|_| UnixDatagram::unbound().unwrap()).collect::<Vec<_>>())
}

fn epoll_items() -> Held {
    many_files();
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    // Each number of the one file is an item of its own.
    let numbers: Vec<_> = (0..COUNT).map(|_| event.try_clone().unwrap()).collect();
    for (index, number) in numbers.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&queue, number, data, epoll::EventFlags::IN).unwrap();
    }
    Box::new((numbers, queue))
}

/// A trace that runs until it is told to end.
struct Trace(Child);

impl Trace {
    /// Starts it, and waits until its programs are attached.
    fn start(query: &str, programs: usize) -> Self {
        Self::start_in("csv", query, programs)
    }

    fn start_words(words: &[&str], programs: usize) -> Self {
        Self::started("csv", words, programs)
    }

    fn start_in(format: &str, query: &str, programs: usize) -> Self {
        Self::started(format, &[query], programs)
    }

    fn started(format: &str, words: &[&str], programs: usize) -> Self {
        let mut command = command(SLABQL);
        command.args(["--format", format, "trace", "10m"]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.start();
        wait("the programs of a trace", PATIENCE, || {
            (held(child.id()).links.len() >= programs).then_some(())
        });
        Self(child)
    }

    /// Ends it as Ctrl-C does, and gives its rows and what it says of them.
    fn end(self) -> (Vec<Vec<String>>, String) {
        let (out, err) = self.end_as_text();
        let row = |line: &str| line.split(',').map(str::to_owned).collect();
        (out.lines().skip(1).map(row).collect(), err)
    }

    fn end_as_text(mut self) -> (String, String) {
        self.0.signal(Signal::INT);
        let [mut out, mut err] = [String::new(), String::new()];
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{err}");
        (out, err)
    }
}

/// Looks again with more time for the kernel to free what waits for readers. `look` gives whether it is as it must be,
/// and what was seen.
fn sooner_or_later(look: impl Fn(Duration) -> (bool, String)) {
    let mut grace = GRACE;
    loop {
        let (done, seen) = look(grace);
        if done {
            return;
        }
        assert!(grace < PATIENCE / 4, "within {grace:?}: {seen}");
        grace *= 2;
    }
}

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

/// What is held of each of these caches.
fn counts(rows: &[Vec<String>], caches: &[&str]) -> Vec<usize> {
    let count = |cache: &&str| {
        let row = rows.iter().find(|row| row[0] == **cache);
        row.map_or(0, |row| row[1].parse().unwrap())
    };
    caches.iter().map(count).collect()
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

/// A watch whose ticks trace, and the sums of their columns so far.
struct Ticks {
    child: Child,
    folder: Folder,
    lines: Lines<BufReader<ChildStdout>>,
    sums: Vec<usize>,
}

impl Ticks {
    /// Starts it, and waits until its programs are attached.
    fn start(query: &str, programs: usize) -> Self {
        let mut command = command(SLABQL);
        command.args(["--format", "csv", &format!("watch 100ms trace {query}")]);
        let folder = Folder::new();
        let said = fs::File::create(folder.path("said")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        let mut child = command.start();
        wait("the programs of a watch", PATIENCE, || {
            (held(child.id()).links.len() >= programs).then_some(())
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("time,"));
        Self { child, folder, lines, sums: Vec::new() }
    }

    /// Reads ticks until the sums are these, but for so many of the last one as interrupted another event and are told as lost.
    fn come_to(&mut self, sums: &[usize]) {
        wait(format!("the ticks to come to {sums:?}"), PATIENCE, || {
            self.tick();
            let [.., last] = sums else { return None };
            let rest = sums.len() - 1;
            let missing = last.checked_sub(self.sums[rest])?;
            (self.sums[..rest] == sums[..rest] && missing <= self.missed()).then_some(())
        });
    }

    /// How many events interrupted another one, as it says.
    fn missed(&self) -> usize {
        let said = self.said();
        let parts = said.split(", ").filter_map(|part| part.split_once(" lost: they interrupted"));
        parts.map(|(count, _)| count.parse::<usize>().unwrap()).sum()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path("said")).unwrap()
    }

    fn tick(&mut self) {
        let line = self.lines.next().expect("another tick").unwrap();
        let values: Vec<usize> = line.split(',').skip(1).map(|v| v.parse().unwrap()).collect();
        self.sums.resize(values.len(), 0);
        self.sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    /// Ends it, and gives what it said.
    fn end(mut self) -> String {
        self.child.signal(Signal::INT);
        self.child.wait().unwrap();
        self.said()
    }
}

#[test]
fn ticks_of_a_watch_have_each_event_once() {
    let Some(_turn) = common::live() else { return };
    let of =
        format!("from allocations where pid = {} and name = 'sock_inode_cache'", process::id());
    let counted = format!("select count(*) {of}");
    let states =
        ["held", "freed"].map(|state| format!("count(*) filter (where state = '{state}')"));
    let followed = format!("select {}, {} {of}", states[0], states[1]);
    let mut counted = Ticks::start(&counted, 2);
    let mut followed = Ticks::start(&followed, 4);
    let made = sockets();
    counted.come_to(&[COUNT]);
    followed.come_to(&[COUNT, 0]);
    let more = sockets();
    counted.come_to(&[2 * COUNT]);
    followed.come_to(&[2 * COUNT, 0]);
    drop((made, more));
    followed.come_to(&[2 * COUNT, 2 * COUNT]);
    // What was shown is not shown again.
    for ticks in [&mut counted, &mut followed] {
        (0..3).for_each(|_| ticks.tick());
        assert!(
            ticks.sums[0] == 2 * COUNT && ticks.sums.iter().all(|sum| *sum <= 2 * COUNT),
            "{:?}",
            ticks.sums
        );
    }
    for err in [counted.end(), followed.end()] {
        assert_eq!(err.matches("note: the trace takes ").count(), 1, "{err}");
        assert!(!err.contains(" lost: the map was full"), "{err}");
    }
}

#[test]
fn a_watch_that_ended_has_nothing_attached() {
    let Some(_turn) = common::live() else { return };
    let traced = "watch 50ms count 3 trace sample 2 select count(*) from frees";
    let next = "watch 10m select 'next' as next from flags limit 1";
    let mut command = command(SLABQL);
    command.args(["--format", "csv", &format!("{traced}; {next}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.start();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.by_ref().take(6).map(Result::unwrap).collect();
    assert_eq!((lines[0].as_str(), lines[4].as_str()), ("time,count(*)", "time,next"), "{lines:?}");
    let left = held(child.id()).programs;
    let names: Vec<_> = loaded_programs()
        .flatten()
        .filter(|found| left.contains(&found.id()))
        .map(|found| String::from_utf8_lossy(found.name()).into_owned())
        .collect();
    child.signal(Signal::INT);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.wait().unwrap();
    assert!(!names.iter().any(|name| name == "slabql_free" || name == "slabql_kfree"), "{names:?}");
    let note = "note: one object of 2 is followed: counts and sums are estimates\n";
    assert_eq!(err.matches(note).count(), 1, "{err}");
}

#[test]
fn stacks_lead_from_the_cgroup_to_the_caller_and_have_all_events() {
    let Some(_turn) = common::live() else { return };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let cgroup = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    for (condition, programs) in [("", 2), ("and state = 'held'", 4)] {
        let query = format!(
            "select cgroup, stack, name, count(*) from allocations \
             where pid = {} and name = 'sock_inode_cache' {condition} group by 1, 2, 3",
            process::id()
        );
        let trace = Trace::start_in("folded", &query, programs);
        let made = sockets();
        let (out, err) = trace.end_as_text();
        drop(made);
        assert!(err.contains("\nnote: stacks cost the kernel "), "{err}");
        let mut sum = 0;
        for line in out.lines() {
            let (stack, weight) = line.rsplit_once(' ').unwrap();
            let frames: Vec<&str> = stack.split(';').collect();
            assert_eq!(frames[0], cgroup, "{line}");
            assert!(frames.contains(&"__x64_sys_socket") || frames.contains(&"__sys_socket"));
            let [.., outer, site, name] = frames[..] else { panic!("{line}") };
            assert_eq!((site, name), ("sock_alloc_inode", "sock_inode_cache"), "{line}");
            assert!(outer.starts_with("alloc_inode"), "{line}");
            sum += weight.parse::<usize>().unwrap();
        }
        assert_eq!(sum, COUNT, "{out}\n{err}");
    }
}

#[test]
fn a_stack_has_no_more_functions_than_are_wanted() {
    let Some(_turn) = common::live() else { return };
    let query = format!(
        "select stack, count(*) from allocations \
         where pid = {} and name = 'sock_inode_cache' group by 1",
        process::id()
    );
    let depths = [4, 12].map(|depth: usize| {
        let trace = Trace::start_words(&[&query, "--depth", &depth.to_string()], 2);
        let made = sockets();
        let (rows, err) = trace.end();
        drop(made);
        let sum: usize = rows.iter().map(|row| row[1].parse::<usize>().unwrap()).sum();
        assert_eq!(sum, COUNT, "{rows:?}{err}");
        // The innermost are the allocator's own, and left out.
        let stack: Vec<&str> = rows[0][0].split(';').collect();
        assert!(stack.len() <= depth + 1 && (depth > 4 || stack[0] == "[cut]"), "{rows:?}");
        assert!(stack.last().unwrap().starts_with("sock_alloc_inode+"), "{rows:?}");
        stack.len()
    });
    assert!(depths[0] < depths[1], "{depths:?}");

    for wrong in ["0", "49", "x"] {
        let ran = command(SLABQL).args(["--depth", wrong, "select name limit 1"]).ran();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{wrong}: {err}");
        assert!(err.contains("depth"), "{err}");
    }
}

#[test]
fn the_last_answer_becomes_a_flame_graph() {
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let [drawn, written] = ["drawn.svg", "written.svg"].map(|name| folder.path(name));
    let text = format!(
        "trace 200ms select comm, stack, count(*) from allocations group by comm, stack;\n\
         .flame {}\n.once {}\n.last svg\n",
        drawn.display(),
        written.display()
    );
    let (_, err) = said(&[], &text);
    let [drawn, written] = [drawn, written].map(|path| fs::read_to_string(path).unwrap());
    // Without a stack an answer would be drawn as lines with bars.
    assert!(drawn.starts_with("<svg ") && !drawn.contains("font-weight=\"bold\""), "{err}{drawn}");
    assert!(drawn == written, "{drawn}\n{written}");
}

#[test]
fn what_maps_take_is_told_and_bounded() {
    let Some(_turn) = common::live() else { return };
    let query = "select stack, state, count(*) from allocations group by 1, 2";
    let (_, err) = said(&["--memory", "40MiB", "trace", "1ms", query], "");
    let told =
        err.split_once("note: the trace takes ").and_then(|(_, rest)| rest.split_once(" MiB "));
    let told: f64 = told.unwrap().0.parse().unwrap();
    assert!((39.0..=40.0).contains(&told), "{err}");
    let ran = command(SLABQL).args(["--memory", "1MiB", "trace", "10m", query]).ran();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("and may take 1.0 MiB\n  = help: `--memory "), "{err}");
}

#[test]
fn an_answer_that_is_refused_takes_no_trace() {
    let Some(_turn) = common::live() else { return };
    let query = "select name, count(*) from allocations group by name";
    // The test ends long before the trace would.
    let ran = command(SLABQL).args(["--format", "folded", "trace", "10m", query]).ran();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("error: the format `folded` needs a stack"), "{err}");
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

#[test]
fn a_cache_that_is_created_meanwhile_is_told() {
    let Some(_turn) = common::live() else { return };
    let Some(device) = zram() else { return };
    let query = format!("select count(*) from allocations where name = '{CACHE}'");
    let trace = Trace::start(&query, 2);
    let (rows, err) = device.with_cache(|| trace.end());
    assert_eq!(rows, [["0"]]);
    let note = "note: created during the trace, so its allocations are not among the rows: ";
    assert!(err.contains(&format!("{note}`{CACHE}`\n")), "{err}");
}

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

#[test]
fn an_analysis_has_all_figures_of_the_report() {
    let Some(_turn) = common::live() else { return };
    let query = "explain analyze trace 200ms select name, count(*) from allocations group by name";
    let (out, _) = said(&[query], "");
    let (plan, report) = out.split_once("\ntrace_report:\n").expect(&out);
    assert!(
        plan.contains("scan allocations (user space): ") && plan.contains("  trace "),
        "{plan}"
    );
    let figures: Vec<(f64, &str)> = report
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(figure, what)| (figure.parse().unwrap(), what))
        .collect();
    assert!(figures[0].0 >= 0.2 && figures[0].1 == "seconds", "{report}");
    assert_eq!(figures[1].1, "events");
    // What is missing is there, whether there is any or not.
    let lost = figures.iter().filter(|(_, what)| what.contains("lost"));
    assert_eq!((figures.len(), lost.count()), (10, 3), "{report}");
}

/// What `slabql` says and shows of these words, and of this text at its prompt.
fn said(words: &[&str], text: &str) -> (String, String) {
    let mut command = command(SLABQL);
    command.args(["--format", "csv"]).args(words).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ran = child.finish();
    let [out, err] = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(ran.status.code(), Some(0), "{err}");
    (out, err)
}

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
