//! Nothing of slabql stays in the kernel, however it ends: no program, no map, no link, no pinned file, no line of
//! complaint in the kernel's log.
//!
//! Other processes of the same name may run meanwhile, so what is looked for are the numbers that the kernel gave
//! to one process's objects. They are taken while that process is stopped in the middle of a query, and have to be
//! found in the kernel then: a check that finds nothing at the end could otherwise be blind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use crate::common;
use crate::common::ask;
use crate::common::child::{Held, Running, TempFile, held};
use crate::common::kmsg::Log;
use query::codegen;
use query::layout::Layout;
use query::plan::Template;
use rustix::process::Signal;
use slabql::kernel::load::Loaded;
use slabql::kernel::schema::KernelSchema;
use slabql::shell::session::Session;
use slabql::shell::setting::Settings;
use slabql::source::Choice;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the kernel calls programs and maps of slabql.
const NAME: &[u8] = b"slabql";

/// What of `held` the kernel has.
fn loaded(held: &Held) -> Held {
    let programs = aya::programs::loaded_programs().flatten();
    let maps = aya::maps::loaded_maps().flatten();
    let links = aya::programs::loaded_links().flatten();
    Held {
        programs: programs.map(|it| it.id()).filter(|id| held.programs.contains(id)).collect(),
        maps: maps.map(|it| it.id()).filter(|id| held.maps.contains(id)).collect(),
        links: links.map(|it| it.id()).filter(|id| held.links.contains(id)).collect(),
    }
}

/// Adds the maps of the programs, checks the names, and fails if the kernel does not have all of it.
fn complete(mut held: Held) -> Held {
    for program in aya::programs::loaded_programs().flatten() {
        if held.programs.contains(&program.id()) {
            assert_eq!(program.name(), NAME);
            held.maps.extend(program.map_ids().unwrap().unwrap());
        }
    }
    for map in aya::maps::loaded_maps().flatten() {
        assert!(!held.maps.contains(&map.id()) || map.name() == NAME, "{:?}", map.name_as_str());
    }
    assert!(!held.programs.is_empty() && !held.maps.is_empty(), "{held:?}");
    assert_eq!(loaded(&held), held, "the kernel has what the process holds");
    held
}

/// Waits until the kernel has nothing of `held`: it frees programs and maps after a grace period.
fn gone(held: &Held) {
    let what = format!("the kernel to free {held:?}");
    common::wait(what, Duration::from_mins(1), || (loaded(held) == Held::default()).then_some(()));
}

/// Everything under `/sys/fs/bpf`.
fn pinned() -> BTreeSet<PathBuf> {
    fn collect(folder: &Path, into: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            collect(&entry.path(), into);
            into.insert(entry.path());
        }
    }
    let mut found = BTreeSet::new();
    collect(Path::new("/sys/fs/bpf"), &mut found);
    found
}

/// How a process comes to its end.
struct Ending {
    name: &'static str,
    /// What it runs behind its many queries.
    last: &'static str,
    signal: Option<Signal>,
    is: fn(ExitStatus) -> bool,
}

const ENDINGS: [Ending; 4] = [
    Ending {
        name: "success",
        last: "select name;",
        signal: None,
        is: |status| status.code() == Some(0),
    },
    Ending {
        name: "query error",
        last: "select no_such_column;",
        signal: None,
        is: |status| status.code() == Some(1),
    },
    Ending {
        name: "Ctrl-C",
        last: "",
        signal: Some(Signal::INT),
        is: |status| status.signal() == Some(libc::SIGINT),
    },
    Ending {
        name: "kill -9",
        last: "",
        signal: Some(Signal::KILL),
        is: |status| status.signal() == Some(libc::SIGKILL),
    },
];

/// Queries that a signal comes in the middle of; without one, so many that the process is caught before its end.
fn queries(ending: &Ending) -> String {
    let count = if ending.signal.is_some() { 20_000 } else { 1_500 };
    format!("{}{}", "select name, objects;".repeat(count), ending.last)
}

#[test]
fn nothing_stays_behind_a_process() {
    let Some(_turn) = common::iterated() else { return };
    let mut log = Log::open();
    let before = pinned();
    for template in [Template::OpenCoded, Template::Iter, Template::List] {
        for ending in &ENDINGS {
            let file = TempFile::new(&format!("harm-{}.slabql", template.name()));
            fs::write(&file.0, queries(ending)).unwrap();
            let driver = match template {
                Template::List => ["--source", "walk"],
                _ => ["--template", template.name()],
            };
            let mut child = Running::start(
                &[driver[0], driver[1], "--file", file.path()],
                Stdio::null(),
                Stdio::null(),
            );
            let held = child.stop_when(|pid| {
                let held = held(pid);
                let link = template != Template::Iter || !held.links.is_empty();
                (!held.programs.is_empty() && link).then_some(held)
            });
            let held = complete(held.expect("it was never seen with a program"));
            eprintln!("{} by {}: {held:?}", ending.name, template.name());
            assert_eq!(held.links.is_empty(), template != Template::Iter);
            if let Some(signal) = ending.signal {
                child.signal(signal);
            }
            if ending.signal != Some(Signal::KILL) {
                child.signal(Signal::CONT);
            }
            let status = child.end();
            assert!((ending.is)(status), "{}: {status}", ending.name);
            gone(&held);
        }
    }
    assert_eq!(pinned().difference(&before).next(), None);
    assert_eq!(log.alarms(), [""; 0]);
}

#[test]
fn nothing_stays_behind_a_trace() {
    let Some(_turn) = common::live() else { return };
    let before = pinned();
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let query = "trace 10m select count(*) from allocations where freed";
        let said = TempFile::new("harm-trace.txt");
        let notes = fs::File::create(&said.0).unwrap();
        let mut child = Running::start(&[query], Stdio::null(), notes.into());
        let child_held = child.stop_when(|pid| {
            let held = held(pid);
            (held.links.len() == 4).then_some(held)
        });
        let held = child_held.unwrap_or_else(|| {
            panic!("it ended without its programs: {}", fs::read_to_string(&said.0).unwrap())
        });
        assert_eq!(loaded(&held), held, "the kernel has what the process holds");
        assert!(held.programs.len() >= 4 && held.maps.len() >= 3, "{held:?}");
        child.signal(signal);
        child.signal(Signal::CONT);
        let status = child.end();
        let wanted = if signal == Signal::INT { None } else { Some(signal.as_raw()) };
        assert_eq!(status.signal(), wanted);
        gone(&held);
    }
    assert_eq!(pinned().difference(&before).next(), None);
}

#[test]
fn nothing_stays_behind_a_session() {
    let Some(_turn) = common::iterated() else { return };
    let mut log = Log::open();
    let before = pinned();
    let me = std::process::id();
    assert_eq!(held(me), Held::default());
    let schema = KernelSchema::open().unwrap();
    for template in [Template::OpenCoded, Template::Iter, Template::List] {
        let live = ask::live(Choice { template: Some(template), ..Choice::default() });
        let mut session = Session::new(live, Settings::default());
        // A program that this process holds is seen.
        let plan = ask::plan(&session.engine, "select name, objects where size > 64").unwrap();
        let program = codegen::generate(&plan, &Layout::new(&plan), &schema, 1).unwrap();
        let loaded = Loaded::load(&program).unwrap();
        loaded.run().unwrap();
        let ids = complete(held(me));
        drop(loaded);
        assert_eq!(held(me), Held::default());
        gone(&ids);

        let files = || fs::read_dir("/proc/self/fd").unwrap().count();
        let count = files();
        for number in 0..15 {
            assert!(ask::ask(&mut session.engine, "select all").len() > 50);
            ask::ask(&mut session.engine, "select name where objects > 10 and name like 'k%'");
            // Wrong by its name, by its type, and in the middle of a text.
            ask::try_ask(&mut session.engine, "select objekts").unwrap_err();
            ask::try_ask(&mut session.engine, "select name + 1").unwrap_err();
            let text = "select name; select nothing; select size";
            session.run(text, None, &mut Vec::new()).unwrap_err();
            session.run("explain select size where name = 'x'", None, &mut Vec::new()).unwrap();
            // A reader that is gone.
            session.run("select all", None, &mut Closed).unwrap_err();
            assert_eq!(held(me), Held::default(), "round {number}");
            // Tests beside this one open files too, for a moment; what a round leaves open stays, and is more each time.
            let ended = || (files() <= count).then_some(());
            common::wait(format_args!("the end of files of round {number}"), PATIENCE, ended);
        }
    }
    assert_eq!(pinned().difference(&before).next(), None);
    assert_eq!(log.alarms(), [""; 0]);
}

/// A writer that nobody reads.
struct Closed;

impl std::io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
