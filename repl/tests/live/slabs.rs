//! The slabs of the running kernel: they add up to the figures of `caches`, a long list goes through little memory, and
//! who has seen enough ends the reading.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::ask;
use crate::common::child::{Held, held, slabql};
use crate::common::files::Files;
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use crate::common::settle::{enough, settle};
use crate::common::start::{self, End, Start};
use crate::common::tmux::Tmux;
use query::layout::Row;
use rustix::process::Signal;
use slabql::engine::Engine;
use slabql::kernel::sys::{VMLINUX_BTF, VmlinuxBtf};
use slabql::source::Choice;

/// The most memory that a scan may take besides the program and the kernel's types, in KiB: it does not grow with the
/// rows.
const MOST_KIB: u64 = 8 << 10;
/// How long what must happen is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// The space for the rows of a run, in bytes.
const RUN: u64 = 256 << 10;

#[test]
fn slabs_add_up_to_caches() {
    let Some(_turn) = common::live() else { return };
    for mut session in ask::sources() {
        let has_cpu_slabs =
            ask::whole(&mut session, "select addr where cached_cpu is not null limit 1").len();
        let nodes = ["partial", "free_partial"];
        let cpus: &[&str] = if has_cpu_slabs == 1 { &["cached_cpu"] } else { &[] };
        let counts = settle(&ask::by(&session, "slabs"), |round| {
            for (columns, sums, lists) in [
                (&nodes[..], "count(*), sum(free)", "list = 'node'"),
                (cpus, "sum(free)", "list in ('cpu', 'cpu partial')"),
            ] {
                if columns.is_empty() {
                    continue;
                }
                let figures =
                    format!("select addr, name, {} from caches where complete", columns.join(", "));
                let slabs = format!(
                    "select cache, name, {sums} from slabs where {lists} group by cache, name"
                );
                let [before, ours, after] =
                    [&figures, &slabs, &figures].map(|text| ask::by_cache(&mut session, text));
                for (key, first) in &before {
                    let Some(second) = after.get(key) else { continue };
                    for (index, column) in columns.iter().enumerate() {
                        let sum = ours.get(key).map_or("0", |sums| sums[index].as_str());
                        let cell = [first[index].clone(), sum.to_owned(), second[index].clone()];
                        round.cell(column, key, cell);
                    }
                }
            }
        });
        enough(&counts, &nodes, 100);
        enough(&counts, cpus, 100);
    }
}

#[test]
fn conditions_are_those_of_user_space() {
    let Some(_turn) = common::live() else { return };
    let mut pushed = ask::sources();
    let mut plain = ask::live(Choice { no_pushdown: true, ..Choice::default() });
    for (condition, some) in [
        ("list = 'node' and node = 0 and name = 'kmem_cache_node'", false),
        ("name = 'kmem_cache_node' and cpu is null", false),
        ("name = 'task_struct' and frozen", false),
        ("objects > 100000", false),
        ("list = 'node' and free > 0", true),
    ] {
        let text = format!("select distinct cache, node, cpu from slabs where {condition}");
        let keys = |session: &mut Engine| {
            let answer = ask::whole(session, &text);
            let row = |index: usize| {
                ["cache", "node", "cpu"].map(|column| answer.texts(column)[index].clone())
            };
            (0..answer.len().min(40)).map(row).collect::<BTreeSet<_>>()
        };
        for pushed in &mut pushed {
            // Slabs move between two looks.
            let equal = (0..20).any(|_| {
                let (pushed, plain) = (keys(pushed), keys(&mut plain));
                pushed == plain && (!some || !pushed.is_empty())
            });
            assert!(equal, "{}", ask::by(pushed, condition));
        }
    }
}

/// The most memory that a process has had so far besides that of files, in KiB; none when it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    };
    field("VmHWM:")?.checked_sub(field("RssFile:")?)
}

/// The rows that a scan gave, as `explain analyze` counts them.
fn scanned(query: &str) -> u64 {
    let output = slabql(&[&format!("explain analyze {query}")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("scan slabs")).unwrap();
    let count = line.rsplit_once(": ").unwrap().1;
    count.trim_end_matches(" out").parse().unwrap()
}

#[test]
fn a_long_list_goes_through_little_memory() {
    let Some(_turn) = common::live() else { return };
    let files = Files::new(2, 640_000, 21);
    let mut session = ask::live(Choice::default());
    let longest = ask::whole(
        &mut session,
        "select name, addr, partial from caches order by partial desc limit 1",
    );
    let (name, partial) = (longest.texts("name").remove(0), longest.numbers("partial")[0]);
    assert!(partial > 20_000, "{name} has only {partial} partial slabs");

    let start = Instant::now();
    let mut child = start::command(env!("CARGO_BIN_EXE_slabql"))
        .args([
            "--format",
            "csv",
            "select name, addr, list, node, cpu, objects, active, free from slabs",
        ])
        .stdout(Stdio::piped())
        .start();
    let (mut reader, mut line) = (BufReader::new(child.stdout.take().unwrap()), Vec::new());
    let (mut rows, mut bytes, mut most, mut addresses) = (0_u64, 0, 0, BTreeSet::new());
    while reader.read_until(b'\n', &mut line).unwrap() > 0 {
        rows += 1;
        bytes += line.len();
        if rows > 1 {
            let row = String::from_utf8(line.clone()).unwrap();
            let cells: Vec<&str> = row.trim_end().split(',').collect();
            let number = |at: usize| cells[at].parse::<u64>().unwrap();
            assert!(number(5) > 0 && number(5) == number(6) + number(7), "{row}");
            addresses.insert(cells[1].to_owned());
        }
        if rows.is_multiple_of(500) {
            most = most.max(peak(child.id()).unwrap_or(0));
        }
        line.clear();
    }
    assert!(child.ended().success());
    println!(
        "{rows} lines of {bytes} bytes in {:?}, peak {most} KiB; {partial} slabs of {name}",
        start.elapsed()
    );
    assert!(rows > partial / 2);
    assert_eq!(addresses.len() as u64, rows - 1, "each slab is shown once");
    // Of a mapped file they are no memory of the process.
    let mapped = VmlinuxBtf::map().is_ok();
    let types = if mapped { 0 } else { fs::metadata(VMLINUX_BTF).unwrap().len() >> 10 };
    let limit = MOST_KIB + types;
    assert!((1..limit).contains(&most), "{most} KiB of {limit}");
    // A row takes more than 40 bytes, so there were several runs.
    assert!(rows * 40 > 3 * RUN);

    let (all, few) = (scanned("select addr from slabs"), scanned("select addr from slabs limit 5"));
    println!("{all} rows read for all, {few} for five");
    assert!(few < all / 2, "{few} of {all}");
    let start = Instant::now();
    let output = slabql(&["--format", "csv", "select addr from slabs limit 5"]);
    println!("five rows in {:?}", start.elapsed());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 6);

    // Who closes the pipe ends the reading, and is told nothing but the source.
    let mut child = start::command(env!("CARGO_BIN_EXE_slabql"))
        .args(["select * from slabs"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 100]).unwrap();
    drop(out);
    let ended = child.finish();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), output.stderr));

    what_is_asked_again_begins_again();
    an_interrupt_ends_it();
    an_interrupt_leaves_the_prompt();
    drop(files);
}

/// A program that stays loaded goes through all slabs again, wherever the scan before it ended.
fn what_is_asked_again_begins_again() {
    for session in ask::sources() {
        session.source().keep();
        let plan = ask::plan(&session, "select addr from slabs").unwrap();
        // The addresses in so many batches.
        let scan = |most: usize| -> BTreeSet<u64> {
            let (mut found, mut batches) = (BTreeSet::new(), 0);
            let take = &mut |rows: Vec<Row>| {
                found.extend(
                    rows.iter().map(|row| u64::try_from(row.values[0].integer().unwrap()).unwrap()),
                );
                batches += 1;
                Ok(if batches < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            };
            session.source().scan(&plan, take).unwrap();
            found
        };
        let all = scan(usize::MAX);
        let programs = held(std::process::id()).programs;
        let part = scan(2);
        let again = scan(usize::MAX);
        assert_eq!(held(std::process::id()).programs, programs);
        assert!(part.len() * 2 < all.len(), "{} of {}", part.len(), all.len());
        // A few come and go.
        let lost = all.difference(&again).count();
        assert!(lost * 10 < all.len(), "{}: {lost}", ask::by(&session, "slabs"));
    }
}

/// At the prompt an interrupt ends a scan that is half through, and the next one is as the first.
fn an_interrupt_leaves_the_prompt() {
    if lacks(&["tmux", "sh", "mkfifo"]) {
        return;
    }
    let home = Folder::new();
    // A pipe that nobody reads holds the scan up.
    let script = "mkfifo \"$HOME/fifo\"; exec 3<>\"$HOME/fifo\"; trap : INT
        sh -c 'echo $$ > \"$HOME/pid\"; exec \"$0\" > \"$HOME/fifo\"' \"$0\"";
    let screen = Tmux::new((100, 20), script, Path::new(SLABQL), &home.0);
    screen.wait_line("slabql>");
    let pid = fs::read_to_string(home.path("pid")).unwrap().trim().parse().unwrap();
    for number in 0..2 {
        let before = held(pid).programs;
        screen.text("select * from slabs;");
        screen.key("Enter");
        common::wait("a scan that has begun", PATIENCE, || {
            (held(pid).programs.difference(&before).count() == 1).then_some(())
        });
        // The pipe fills up.
        thread::sleep(Duration::from_millis(300));
        let running = held(pid).programs;
        assert_eq!(running.difference(&before).count(), 1, "the scan is not through");
        screen.key("C-c");
        screen.wait_for("an interrupted scan and a prompt", |screen| {
            screen.matches("interrupted").count() == number + 1
                && screen.lines().last() == Some("slabql>")
        });
        assert_eq!(held(pid).programs, before);
    }
    screen.key("C-d");
    screen.wait("code 0");
}

/// A scan whose reader waits holds a program; an interrupt ends it, and nothing stays.
fn an_interrupt_ends_it() {
    let mut child = start::command(env!("CARGO_BIN_EXE_slabql"))
        .args(["select * from slabs"])
        .stdout(Stdio::piped())
        .start();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 1]).unwrap();
    // The pipe fills up.
    thread::sleep(Duration::from_millis(300));
    let programs = held(child.id()).programs;
    assert_eq!(programs.len(), 1, "the scan is not through");
    child.signal(Signal::INT);
    let status = child.ended();
    assert_eq!(status.signal(), Some(2));
    assert_eq!(held(child.id()), Held::default());
    let there = || {
        let loaded = aya::programs::loaded_programs().flatten();
        loaded.filter(|program| programs.contains(&program.id())).count()
    };
    // The kernel frees programs after a grace period.
    common::wait("the kernel to free the program", PATIENCE, || (there() == 0).then_some(()));
}
