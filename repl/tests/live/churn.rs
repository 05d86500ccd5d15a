//! Scans while objects and caches come and go: each answer is whole in itself, and the kernel has nothing to say.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::zram::{Zram, zram};
use crate::walked::{Prepared, failed, folder, number, text};
use ebpf_templates::template::rows;
use query::plan::Template;
use rustix::event::{EventfdFlags, epoll, eventfd};

const TEMPLATES: [Template; 4] =
    [Template::OpenCoded, Template::OpenCoded, Template::Iter, Template::List];
const TIME: Duration = Duration::from_secs(5);
/// What a thread that ends with the others may take longer.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a scanning thread saw.
#[derive(Debug, Default)]
struct Seen {
    scans: usize,
    rows: usize,
    /// Scans in which the list of caches changed, if it was followed.
    lost: usize,
    incomplete: usize,
    negative: Vec<String>,
    zram: usize,
    slowest: Duration,
}

fn scan(template: Template, stop: &AtomicBool) -> Seen {
    let prepared = Prepared::by(
        template,
        "select addr, name, objects, free_partial, cached, active, active_slabinfo, complete",
    );
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let output = prepared.loaded.run().unwrap();
        seen.slowest = seen.slowest.max(start.elapsed());
        if output.flags & u64::from(rows::LOST.unsigned_abs()) != 0 {
            assert_eq!(template, Template::List);
            seen.lost += 1;
            continue;
        }
        let (rows, flags) = prepared.rows(&output);
        let mut addresses = HashSet::new();
        let mut incomplete = 0;
        for row in &rows {
            let name = text(&row[1]);
            // Several reads of an iterator's file can show a row twice; the program's own source sorts that out.
            assert!(addresses.insert(number(&row[0])) || output.reads > 1, "{name} is there twice");
            let [objects, free, cached, active, slabinfo, complete] =
                [2, 3, 4, 5, 6, 7].map(|index| number(&row[index]));
            incomplete += usize::from(complete == 0);
            if complete == 1 && (active < 0 || slabinfo < 0) {
                let what = format!("{name}: {objects} - {free} - {cached}, slabinfo {slabinfo}");
                seen.negative.push(what);
            }
            seen.zram += usize::from(name.starts_with("zs_handle"));
        }
        // A row that did not fit a read is made again for the next: then it is the first one's flag that stays.
        let again = output.reads > 1 && incomplete == 0;
        assert!(again || (incomplete > 0) == failed(flags), "{incomplete} rows, flags {flags}");
        assert!(rows.len() > 50);
        seen.scans += 1;
        seen.rows += rows.len();
        seen.incomplete += incomplete;
    }
    seen
}

/// Moves caches until it is told to stop, and returns how often it did.
type Churn = Box<dyn FnOnce(&AtomicBool) -> usize + Send>;

fn files(stop: &AtomicBool) -> usize {
    let root = Path::new("/dev/shm").join(format!("slabql-churn-{}", std::process::id()));
    fs::create_dir(&root).unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = |index: usize| root.join(index.to_string());
        for index in 0..500 {
            File::create(path(index)).unwrap();
        }
        for index in 0..500 {
            fs::remove_file(path(index * 7 % 500)).unwrap();
        }
        rounds += 1;
    }
    fs::remove_dir_all(&root).unwrap();
    rounds
}

fn items_and_sockets(stop: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let numbers: Vec<_> = (0..200).map(|_| event.try_clone().unwrap()).collect();
        for number in &numbers {
            let data = epoll::EventData::new_u64(0);
            epoll::add(&queue, number, data, epoll::EventFlags::IN).unwrap();
        }
        drop((0..200).map(|_| UnixDatagram::unbound().unwrap()).collect::<Vec<_>>());
        rounds += 1;
    }
    rounds
}

/// Takes and gives back file locks, whose cache holds next to none else, and flushes it: slabs come and go.
fn locks(stop: &AtomicBool) -> usize {
    let path = Path::new("/dev/shm").join(format!("slabql-locks-{}", std::process::id()));
    fs::write(&path, "").unwrap();
    let files: Vec<File> = (0..150).map(|_| File::open(&path).unwrap()).collect();
    let shrink = format!("/sys/kernel/slab/{}/shrink", folder("file_lock_cache"));
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        for file in &files {
            file.lock_shared().unwrap();
        }
        for file in &files {
            file.unlock().unwrap();
        }
        if rounds % 3 == 0 {
            fs::write(&shrink, "1").unwrap();
        }
        rounds += 1;
    }
    fs::remove_file(&path).unwrap();
    rounds
}

/// Creates and destroys the cache of the device's handles.
fn caches(device: &Zram, stop: &AtomicBool) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        device.with_cache(|| thread::sleep(Duration::from_millis(3)));
        rounds += 1;
    }
    rounds
}

/// The kernel's messages from now on.
fn messages() -> File {
    let options = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let mut file = options.unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file
}

/// The lines among them that tell of trouble.
fn trouble(mut messages: File) -> Vec<String> {
    let (mut found, mut buffer) = (Vec::new(), vec![0; 8192]);
    loop {
        match messages.read(&mut buffer) {
            Ok(count) => {
                let line = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let bad = ["WARNING", "BUG", "Oops", "stall", "lockup", "hung task", "refcount_t"];
                if bad.iter().any(|word| line.contains(word)) {
                    found.push(line);
                }
            }
            // Messages that were overwritten before they were read.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return found,
            Err(error) => panic!("/dev/kmsg: {error}"),
        }
    }
}

#[test]
fn scans_hold_while_the_kernel_moves() {
    let Some(_turn) = common::iterated() else { return };
    let messages = messages();
    let stop = Arc::new(AtomicBool::new(false));
    let (scanned, seen) = mpsc::channel();
    for template in TEMPLATES {
        let (stop, scanned) = (stop.clone(), scanned.clone());
        thread::spawn(move || scanned.send((template, scan(template, &stop))));
    }
    drop(scanned);
    let (churned, rounds) = mpsc::channel();
    let mut churns: Vec<(&str, Churn)> = vec![
        ("files", Box::new(files)),
        ("items and sockets", Box::new(items_and_sockets)),
        ("locks", Box::new(locks)),
    ];
    // Without it the others move.
    if let Some(device) = zram() {
        churns.push(("caches", Box::new(move |stop| caches(&device, stop))));
    }
    let expected = churns.len();
    for (what, churn) in churns {
        let (stop, churned) = (stop.clone(), churned.clone());
        thread::spawn(move || churned.send((what, churn(&stop))));
    }
    thread::sleep(TIME);
    stop.store(true, Ordering::Relaxed);
    for _ in 0..expected {
        let (what, rounds) =
            rounds.recv_timeout(PATIENCE).expect("a thread that moves caches ends in time");
        println!("{what}: {rounds} rounds");
        assert!(rounds > 0);
    }
    let mut negative = Vec::new();
    for _ in TEMPLATES {
        // A thread that failed sends nothing, and says itself why.
        let (template, mut seen) =
            seen.recv_timeout(PATIENCE).expect("a thread that scans ends in time");
        negative.append(&mut seen.negative);
        println!(
            "{}: {} scans, {} lost, {} rows, {} incomplete, {} of zram, the slowest {:?}",
            template.name(),
            seen.scans,
            seen.lost,
            seen.rows,
            seen.incomplete,
            seen.zram,
            seen.slowest
        );
        assert!(seen.scans > 0);
    }
    println!("{} rows below 0: {:?}", negative.len(), &negative[..negative.len().min(10)]);
    assert_eq!(trouble(messages), [""; 0]);
    assert!(negative.is_empty());
}
