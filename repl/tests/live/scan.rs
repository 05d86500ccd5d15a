//! Scans the running kernel's caches by both templates, in one read and in several, at rest and while a cache comes
//! and goes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::{Running, TempFile, in_between_reads};
use crate::common::kmsg::Log;
use crate::common::settle::{enough, settle};
use crate::common::zram::{self, zram};
use ebpf_templates::template::rows;
use query::catalog::{Source, TABLES};
use query::codegen;
use query::layout::{Layout, ValuePlace};
use query::plan::{Plan, SUM, Template, cost};
use query::value::Type;
use rustix::process::Signal;
use slabql::engine::Engine;
use slabql::kernel::load::Loaded;
use slabql::kernel::read::Output;
use slabql::kernel::schema::KernelSchema;
use slabql::source::Choice;

const TEMPLATES: [Template; 3] = [Template::OpenCoded, Template::Iter, Template::List];

fn by(template: Template, no_pushdown: bool) -> Engine {
    ask::live(Choice { template: Some(template), no_pushdown, ..Choice::default() })
}

/// A query for every column that the kernel's program sends, which makes rows as wide as they get.
fn wide() -> String {
    let stored = TABLES[0]
        .columns
        .iter()
        .filter(|column| !matches!(column.source, Source::Derived(_) | Source::Host(..)));
    // What CPUs hold ready never rests, the test's own caches least of all.
    let names: Vec<&str> =
        stored.filter(|column| cost(&(*column).into()) <= SUM).map(|column| column.name).collect();
    format!("select {}", names.join(", "))
}

/// A query for every column that is shown and reads no walked figure.
fn resting() -> String {
    let session = by(Template::OpenCoded, false);
    let rests = |name: &&str| {
        let plan = ask::plan(&session, &format!("select {name}")).unwrap();
        plan.inputs.iter().all(|input| cost(input) <= SUM)
    };
    let names: Vec<&str> = TABLES[0].shown().map(|column| column.name).filter(rests).collect();
    assert!(names.len() > 30, "{names:?}");
    format!("select {}", names.join(", "))
}

/// A query for the caches that stay: one that is being destroyed is shown until the last reader lets go of it.
fn lasting_query() -> String {
    format!("select addr where name != '{}'", zram::CACHE)
}

/// The cells of an answer by address and column.
fn cells(answer: &Answer) -> BTreeMap<(u64, String), String> {
    let addresses = answer.numbers("addr");
    let mut cells = BTreeMap::new();
    for name in answer.names() {
        for (addr, text) in addresses.iter().zip(answer.texts(name)) {
            cells.insert((*addr, name.to_owned()), text);
        }
    }
    cells
}

#[test]
fn templates_and_pushdown_give_the_same_rows() {
    let Some(_turn) = common::iterated() else { return };
    let mut variants: Vec<Engine> =
        TEMPLATES.iter().flat_map(|template| [by(*template, false), by(*template, true)]).collect();
    for (text, least) in [
        (resting(), 100),
        (wide(), 100),
        ("select addr, name, size, objects where objects > 100 and size <= 1k".to_owned(), 10),
        (
            "select addr, name, flags, slabs * size as x where (flags has PANIC or name like 'k%') \
             and memory >= 4096 and not name in ('dentry', 'kmalloc-8')"
                .to_owned(),
            10,
        ),
        (
            "select distinct name, addr, sysfs_id, ctor where length(name) > 4 and slabs > 0 \
             order by name desc, addr limit 50"
                .to_owned(),
            5,
        ),
    ] {
        let mut names = Vec::new();
        let counts = settle(&text, |round| {
            let answers: Vec<Answer> =
                variants.iter_mut().map(|session| ask::ask(session, &text)).collect();
            names = answers[0].names().into_iter().map(str::to_owned).collect();
            let order = |answer: &Answer| answer.texts("addr").join(" ");
            let [first, other, last] = [&answers[1], &answers[2], &answers[3]].map(order);
            round.cell("order", "rows", [order(&answers[0]), first.clone(), first]);
            round.cell("order", "rows of iter", [order(&answers[0]), other, last]);
            let [first, rest @ ..] = &answers.iter().map(cells).collect::<Vec<_>>()[..] else {
                unreachable!("four answers")
            };
            for ((addr, column), value) in first {
                let row = format!("{addr:x}");
                let [a, b, c] = [0, 1, 2].map(|index: usize| {
                    let cell = rest[index].get(&(*addr, column.clone()));
                    cell.map_or("no row", String::as_str).to_owned()
                });
                round.cell(column, &row, [value.clone(), a, b.clone()]);
                round.cell(column, &row, [value.clone(), b, c]);
            }
        });
        enough(&counts, &names.iter().map(String::as_str).collect::<Vec<_>>(), least);
    }
}

/// A loaded program of a query, with what is needed to read its rows.
struct Ready {
    plan: Plan,
    layout: Layout,
    loaded: Loaded,
}

impl Ready {
    fn new(schema: &KernelSchema, session: &mut Engine, text: &str) -> Self {
        let plan = ask::plan(session, text).unwrap_or_else(|failure| panic!("{}", failure.text()));
        let layout = Layout::new(&plan);
        let program = codegen::generate(&plan, &layout, schema, 4).unwrap();
        let loaded = Loaded::load(&program).unwrap_or_else(|error| panic!("{text}: {error}"));
        Self { plan, layout, loaded }
    }

    /// Runs it, checks every byte that holds nothing, and gives the rows' addresses with the output.
    fn run(&self) -> (Vec<u64>, Output) {
        let output = self.loaded.run().unwrap();
        assert!(!output.is_full());
        let rows = self.layout.decode(&output.bytes).unwrap();
        let mut rest = &output.bytes[..];
        for row in &rows {
            let size = usize::try_from(word(rest, rows::ROW_SIZE, 4)).unwrap();
            self.check(&rest[..size], row.addr);
            rest = &rest[size..];
        }
        assert!(rest.is_empty());
        (rows.iter().map(|row| row.addr).collect(), output)
    }

    /// Fails where a byte of `row` is set that belongs to no value.
    fn check(&self, row: &[u8], addr: u64) {
        let mut used = vec![false; row.len()];
        used[..usize::from(rows::ROW_HEADER)].fill(true);
        let mut text = usize::from(self.layout.fixed);
        for (_, place) in &self.layout.places {
            match *place {
                ValuePlace::Address => {}
                ValuePlace::Integer { offset, size, .. } => {
                    used[usize::from(offset)..][..usize::from(size)].fill(true);
                }
                ValuePlace::Text { offset } => {
                    let at = usize::from(offset);
                    used[at..at + 2].fill(true);
                    let length = u16::from_le_bytes([row[at], row[at + 1]]);
                    if length != rows::TEXT_NULL {
                        let length = usize::from(length);
                        // The NUL at a text's end is no value either, and is checked with the rest.
                        used[text..text + length - 1].fill(true);
                        text = (text + length).next_multiple_of(8);
                    }
                }
            }
        }
        assert_eq!(text, row.len(), "cache {addr:x}: the row ends behind its texts");
        let set: Vec<usize> = (0..row.len()).filter(|at| !used[*at] && row[*at] != 0).collect();
        assert!(set.is_empty(), "cache {addr:x}: unused bytes {set:?} are set in {row:x?}");
        let unused = used.iter().filter(|used| !**used).count();
        UNUSED.fetch_add(unused, Ordering::Relaxed);
    }
}

/// How many unused bytes were looked at.
static UNUSED: AtomicUsize = AtomicUsize::new(0);

fn word(bytes: &[u8], at: i16, size: usize) -> u64 {
    let at = usize::try_from(at).unwrap();
    bytes[at..at + size].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// A second run finds the rows of the first in its space. With a cache more in front of the list, each row comes to
/// lie over parts of two others.
#[test]
fn unused_bytes_are_zero() {
    let Some(_turn) = common::iterated() else { return };
    let Some(device) = zram() else { return };
    let schema = KernelSchema::open().unwrap();
    for template in TEMPLATES {
        let mut session = by(template, false);
        for text in [
            wide(),
            "select addr".to_owned(),
            "select name".to_owned(),
            "select sysfs_id, name, size".to_owned(),
            "select refcount, name, slabs, ctor, cpu_partial where size > 64".to_owned(),
            "select flags, name where objects > 0 and name like 'k%'".to_owned(),
            "select size, sysfs_id where size % 64 = 0 or partial > 1000000".to_owned(),
        ] {
            let ready = Ready::new(&schema, &mut session, &text);
            let (first, _) = ready.run();
            assert!(first.len() > 10, "{text}: {} rows", first.len());
            ready.run();
            let (second, _) = device.with_cache(|| ready.run());
            ready.run();
            if ready.plan.pushed().next().is_none() {
                assert!(second.iter().any(|addr| !first.contains(addr)), "no new row");
            }
        }
    }
    let unused = UNUSED.load(Ordering::Relaxed);
    eprintln!("{unused} unused bytes were zero");
    assert!(unused > 50_000, "{unused}");
}

#[test]
fn an_answer_of_several_reads_equals_that_of_one_walk() {
    let Some(_turn) = common::iterated() else { return };
    let schema = KernelSchema::open().unwrap();
    let mut sessions = TEMPLATES.map(|template| by(template, false));
    // Few caches fill more than one read with the walked figures only, which never rest and are not compared.
    let walked = TABLES[0].columns.iter().filter(|column| cost(&(*column).into()) > SUM);
    let walked: Vec<&str> = walked
        .filter(|column| !matches!(column.source, Source::Derived(_) | Source::Host(..)))
        .map(|column| column.name)
        .collect();
    let text = format!("{}, {}", wide(), walked.join(", "));
    let (addresses, output) = Ready::new(&schema, &mut sessions[1], &text).run();
    eprintln!("{} rows in {} reads, {} bytes", addresses.len(), output.reads, output.bytes.len());
    assert!(output.reads > 1 && output.bytes.len() > 32 << 10);
    let counts = settle("several reads", |round| {
        let [before, answer] = [0, 1].map(|index: usize| ask::ask(&mut sessions[index], &text));
        let after = ask::ask(&mut sessions[0], &text);
        let order = [&before, &answer, &after].map(|answer| answer.texts("addr").join(" "));
        round.cell("order", "rows", order);
        let [before, answer, after] = [before, answer, after].map(|answer| cells(&answer));
        // The runs themselves take from these, each template its own share.
        let own: HashSet<u64> = before
            .iter()
            .filter(|(key, value)| key.1 == "name" && value.contains("kmalloc-cg-"))
            .map(|(key, _)| key.0)
            .collect();
        let rests = |key: &(u64, String)| !walked.contains(&&*key.1) && !own.contains(&key.0);
        for (key, value) in before.iter().filter(|(key, _)| rests(key)) {
            let other = |cells: &BTreeMap<_, String>| {
                cells.get(key).cloned().unwrap_or_else(|| "no row".to_owned())
            };
            let row = format!("{:x}", key.0);
            round.cell(&key.1, &row, [value.clone(), other(&answer), other(&after)]);
        }
    });
    enough(&counts, &["name", "sysfs_id", "size", "flags", "objects"], 100);
}

/// What was seen of answers while a cache came and went.
#[derive(Debug, Default)]
struct Churned {
    answers: usize,
    with: usize,
    noted: usize,
}

#[test]
fn a_cache_that_comes_and_goes_is_shown_at_most_once() {
    let Some(_turn) = common::iterated() else { return };
    let Some(device) = zram() else { return };
    let mut log = Log::open();
    let text = wide();
    let before = ask::ask(&mut by(Template::OpenCoded, false), "select addr, name");
    assert!(!before.texts("name").iter().any(|name| name == zram::CACHE));
    let lasting: BTreeSet<u64> = before.numbers("addr").into_iter().collect();
    let stop = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                device.with_cache(|| ());
                rounds.fetch_add(1, Ordering::Relaxed);
                // Answers without the cache are wanted too.
                thread::sleep(Duration::from_millis(3));
            }
        });
        // The churn ends also where an assertion fails.
        let scan = scope.spawn(|| TEMPLATES.map(|template| churned(template, &text, &lasting)));
        let seen = scan.join();
        stop.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let rounds = rounds.load(Ordering::Relaxed);
    eprintln!("{rounds} rounds of churn; open-coded {:?}, iter {:?}", seen[0], seen[1]);
    assert!(rounds > 10, "{rounds}");
    assert!(seen.iter().all(|seen| seen.with > 0 && seen.with < seen.answers), "{seen:?}");
    assert_eq!(seen[0].noted, 0, "one walk misses nothing");
    let after = ask::ask(&mut by(Template::OpenCoded, false), "select addr, name");
    assert!(!after.texts("name").iter().any(|name| name == zram::CACHE));
    assert_eq!(log.alarms(), [""; 0]);
}

/// Takes answers by a template while a cache comes and goes. `lasting` are the caches that stay.
fn churned(template: Template, text: &str, lasting: &BTreeSet<u64>) -> Churned {
    let mut session = by(template, false);
    let mut seen = Churned::default();
    let start = Instant::now();
    let both = |seen: &Churned| 0 < seen.with && seen.with < seen.answers;
    while seen.answers < 80 || (!both(&seen) && start.elapsed() < Duration::from_mins(1)) {
        let one = Instant::now();
        let answer = ask::ask(&mut session, text);
        assert!(one.elapsed() < Duration::from_secs(10), "an answer took {:?}", one.elapsed());
        let addresses = answer.numbers("addr");
        let distinct: BTreeSet<u64> = addresses.iter().copied().collect();
        assert_eq!(distinct.len(), addresses.len(), "{}: an address twice", template.name());
        let times = answer.texts("name").iter().filter(|name| *name == zram::CACHE).count();
        assert!(times <= 1, "{}: {} is shown {times} times", template.name(), zram::CACHE);
        seen.answers += 1;
        seen.with += times;
        let noted = answer.0.warnings.iter().any(|note| note.contains("rows may be missing"));
        seen.noted += usize::from(noted);
        if !noted {
            let missing: Vec<_> = lasting.difference(&distinct).collect();
            assert!(missing.is_empty(), "{}: {missing:x?} are missing", template.name());
        }
    }
    seen
}

/// So often it is made to change: as long as it changes, an answer is read again and again.
const CHANGES: usize = 1000;

/// The list of caches is made to change between two reads of one answer: slabql is stopped there, for as long as it
/// takes to create the cache or to destroy it.
#[test]
fn a_list_that_changes_between_two_reads_is_read_again() {
    let Some(_turn) = common::iterated() else { return };
    let Some(device) = zram() else { return };
    let before = ask::ask(&mut by(Template::OpenCoded, false), &lasting_query());
    let lasting: BTreeSet<u64> = before.numbers("addr").into_iter().collect();
    // Every column is read, two are shown.
    let stored = TABLES[0].columns.iter().filter(|column| column.in_kernel());
    let all: Vec<String> = stored
        .map(|column| match column.ty {
            Type::Text => format!("{} != '-'", column.name),
            Type::Bool => column.name.to_owned(),
            Type::SlabFlags | Type::GfpFlags => format!("cast({} as int) != 3", column.name),
            _ => format!("{} != 3", column.name),
        })
        .collect();
    let text = format!("select cast(addr as uint) as addr, name where {};", all.join(" or "));
    let (query, out) = (TempFile::new("between.slabql"), TempFile::new("between.csv"));
    fs::write(&query.0, text.repeat(400)).unwrap();
    let arguments = ["--template", "iter", "--no-pushdown", "--exact", "--file", query.path()];
    let notes = TempFile::new("between.notes");
    let file = |path| File::create(path).unwrap().into();
    let mut child = Running::start(&arguments, file(&out.0), file(&notes.0));
    let mut changes = 0;
    while changes < CHANGES && child.stop_when(in_between_reads).is_some() {
        changes += 1;
        device.with_cache(|| {
            child.signal(Signal::CONT);
            // Now and then long enough for an answer that has the cache.
            if changes % 8 < 2 {
                thread::sleep(Duration::from_millis(15));
            }
            if child.stop_when(in_between_reads).is_some() {
                changes += 1;
            }
        });
        child.signal(Signal::CONT);
    }
    assert!(child.end().success());
    let text = fs::read_to_string(&out.0).unwrap();
    // An answer that was disturbed every time says so; no other may lack a cache.
    let labels = fs::read_to_string(&notes.0).unwrap().matches("rows may be missing").count();
    let (mut answers, mut with, mut lacking) = (0, 0, 0);
    for answer in text.split("addr,name\n").skip(1) {
        let rows: Vec<(&str, &str)> =
            answer.lines().map(|line| line.split_once(',').unwrap()).collect();
        let number = |addr: &str| {
            u64::from_str_radix(addr.trim_start_matches("0x"), 16)
                .unwrap_or_else(|_| panic!("{addr}"))
        };
        let addresses: BTreeSet<u64> = rows.iter().map(|(addr, _)| number(addr)).collect();
        assert_eq!(addresses.len(), rows.len(), "answer {answers}: an address twice");
        lacking += usize::from(lasting.difference(&addresses).next().is_some());
        let times = rows.iter().filter(|(_, name)| *name == zram::CACHE).count();
        assert!(times <= 1, "answer {answers}: {} is shown {times} times", zram::CACHE);
        answers += 1;
        with += times;
    }
    eprintln!(
        "{changes} changes between reads of {answers} answers, {with} of them with the cache, \
         {labels} labelled"
    );
    assert!(lacking <= labels, "{lacking} answers lack a cache, {labels} say so");
    assert!(labels < answers / 2, "{labels} of {answers} answers were never at rest");
    assert_eq!(answers, 400);
    assert!(changes >= 4 && with > 0, "{changes} changes, {with} answers with the cache");
}
