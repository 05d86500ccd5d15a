//! The walk of a made-up array of page descriptors finds every slab, and nothing else: behind holes, beside free and
//! compound pages, among KFENCE's, in however many runs, and whatever changes meanwhile.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

use ebpf_templates::insn::Size;
use ebpf_templates::interpreter::Interpreter;
use ebpf_templates::template::rows::{self, page};
use slabql_query::eval::Warnings;
use slabql_query::exec;
use slabql_query::plan::{Plan, Target, Template};
use slabql_query::value::Value;

use crate::common::NoHost;
use crate::common::model::{ERAS, Era, Model, node};
use crate::common::types::PAGES;
use crate::common::world::World;

const ALL: &str =
    "select name, pfn, state, node, list, cpu, objects, free, page_order, complete from slabs";
const ORDER: &str = " order by pfn";
const HEAD: u64 = 1 << 6;
const LISTED: u64 = 1 << 9;
const SLAB: u64 = 0xf5;
const BUDDY: u64 = 0xf0;

fn target(pushdown: bool) -> Target {
    Target::Kernel {
        template: Template::OpenCoded,
        pushdown,
        texts: true,
        repeatable: true,
        pages: true,
    }
}

/// A slab: its first page, the order, its objects, those in use, its flags, whether there is a freelist, and whether a
/// CPU has frozen it.
type Slab = (u64, u8, u16, u16, u64, bool, bool);

#[rustfmt::skip]
const SLABS: [Slab; 12] = [
    (5,    0, 21, 21, 0,      false, false), // full
    (62,   1, 42, 40, LISTED, true,  false), // partial, up to the end of a block
    (64,   3, 32, 32, 0,      false, false), // full, at the beginning of one
    (512,  0,  1,  0, 0,      false, false), // KFENCE
    (513,  0, 10,  0, LISTED, true,  false), // empty
    (516,  2, 64, 60, 0,      true,  false), // on a CPU's partial list, or in transit
    (600,  0, 40, 40, 0,      false, true),  // a CPU's
    (1023, 0,  8,  8, 0,      false, false), // before the hole
    (1536, 0,  8,  7, LISTED, true,  false), // behind it
    (1600, 6, 99, 98, LISTED, true,  false), // as large as a block
    (2000, 0,  3,  3, 0,      false, false), // the last page
    (2001, 0,  3,  3, 0,      false, false), // outside
];

pub(super) fn record(pfn: u64) -> u64 {
    PAGES + 64 * pfn
}

/// A made-up kernel with these slabs, in turn of two caches.
pub(super) fn world(era: Era) -> World {
    let cache =
        |name: &str| Model { name: name.into(), nodes: vec![Some(node(0))], ..Model::default() };
    let mut world = World::of(era, 2, 2, &[cache("first"), cache("second")]);
    for start in [0, 1536] {
        world.memory.place(record(start), vec![0; 1024 * 64]);
    }
    for (number, slab) in SLABS.iter().enumerate() {
        let cache = world.caches[number % 2].at;
        put(&mut world, cache, *slab);
    }
    // Free pages, and a large page that is no slab; what looks like slabs inside was there before.
    for (pfn, order, is_free) in [(72, 3, true), (128, 8, true), (384, 7, false)] {
        world.write("page", record(pfn), "private", order);
        world.memory.write_int(record(pfn + 1), Size::B, order);
        let (kind, flags) = if is_free { (BUDDY, 0) } else { (0xff, HEAD) };
        world.memory.write_int(record(pfn), Size::W, flags);
        world.write("page", record(pfn), "page_type", kind << 24);
    }
    let cache = world.caches[0].at;
    for stale in [200, 400] {
        put(&mut world, cache, (stale, 0, 9, 9, 0, false, false));
    }
    // Records that were never made, and poisoned ones.
    for pfn in 700..720 {
        world.memory.write(record(pfn), &[0xff; 64]);
    }
    hold(&mut world);
    world
}

fn put(world: &mut World, cache: u64, (pfn, order, objects, inuse, flags, list, frozen): Slab) {
    let at = record(pfn);
    world.write("slab", at, "slab_cache", cache);
    world.write("slab", at, "freelist", if list { 0xffff_8880_0000_1000 } else { 0 });
    let counters = u64::from(inuse) | u64::from(objects) << 16 | u64::from(frozen) << 31;
    world.write("slab", at, "counters", counters | 0xabcd << 40);
    let head = if order > 0 { HEAD } else { 0 };
    world.memory.write_int(at, Size::W, flags | head);
    world.write("page", at, "page_type", SLAB << 24 | 0x1234);
    if order > 0 {
        world.memory.write_int(record(pfn + 1), Size::B, order.into());
    }
}

/// Gives CPU 1 the slab at page 600, of which it holds three free objects, and CPU 0 the one at page 516.
fn hold(world: &mut World) {
    if world.types.era == Era::Sheaves {
        return;
    }
    let cache = &world.caches[0];
    let (at, copies) = (cache.at, cache.cpu_slabs.clone());
    let first = world.freelist(3, 24);
    world.write("kmem_cache_cpu", copies[1], "slab", record(600));
    world.write("kmem_cache_cpu", copies[1], "freelist", first);
    world.write("slab", record(600), "slab_cache", at);
    let copies = world.caches[1].cpu_slabs.clone();
    world.write("kmem_cache_cpu", copies[0], "partial", record(516));
}

/// A scan in parts of so many pages.
struct Scan {
    plan: Plan,
    rows: Vec<Vec<Value>>,
    runs: usize,
    steps: u64,
}

fn scan(world: &World, text: &str, pushdown: bool, pages: u64, factor: u32) -> Scan {
    let (plan, layout, program) = world.compile_for(text, target(pushdown), factor);
    let mut interpreter =
        Interpreter::new(world.kernel(), program.map_bytes).may_goto_budget(world.budget);
    if let Some((steps, memory)) = &world.meanwhile {
        interpreter = interpreter.meanwhile(*steps, memory.clone());
    }
    let map = interpreter.map_mut();
    map[usize::try_from(rows::SELF).unwrap()..].fill(0xaa);
    let table = program.tail();
    let end = map.len();
    map[end - table.len()..].copy_from_slice(&table);
    let header = |map: &[u8], at: i16| {
        let at = usize::try_from(at).unwrap();
        u64::from_le_bytes(map[at..at + 8].try_into().unwrap())
    };
    let (mut found, mut runs) = (Vec::new(), 0);
    for (start, end, node) in [(1, 1000, 0), (1000, 2001, 1)] {
        let mut pfn: u64 = start;
        while pfn < end {
            let words = [pfn, end.min(pfn + pages), node];
            let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
            let at = usize::try_from(page::PFN).unwrap();
            interpreter.map_mut()[at..at + 24].copy_from_slice(&bytes);
            interpreter.run_syscall(&program).unwrap_or_else(|trap| panic!("{trap}"));
            runs += 1;
            let map = interpreter.map();
            let begin = usize::try_from(rows::HEADER).unwrap();
            let rows = begin + usize::try_from(header(map, rows::CURSOR)).unwrap();
            found.extend(layout.decode(&map[begin..rows]).unwrap());
            pfn = header(map, page::PFN);
            assert!(runs < 10_000, "it never ends");
        }
    }
    let warnings = Warnings::default();
    let rows = exec::run(&plan, found, &NoHost, &world.types, warnings).unwrap().rows;
    Scan { plan, rows, runs, steps: interpreter.steps() }
}

fn integers(row: &[Value]) -> Vec<Option<i128>> {
    row.iter().map(Value::integer).collect()
}

fn texts(row: &[Value]) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        _ => "-".to_owned(),
    };
    row.iter().map(text).collect()
}

/// What [`ALL`] is to give, written by hand.
fn expected(era: Era) -> Vec<(Vec<String>, Vec<Option<i128>>)> {
    let cpus = era != Era::Sheaves;
    let row =
        |name: &str, pfn: i128, state: &str, list: &str, cpu: Option<i128>, rest: [i128; 3]| {
            let [objects, free, order] = rest.map(Some);
            let node = Some(i128::from(pfn >= 1000));
            let texts = [name, state, list].map(str::to_owned).to_vec();
            (texts, vec![Some(pfn), node, cpu, objects, free, order])
        };
    // Without CPU slabs what is on no list is in transit.
    let transit = if cpus { ("cpu", "cpu partial", Some(0)) } else { ("partial", "node", None) };
    let of_cpu = if cpus { Some(1) } else { None };
    vec![
        row("first", 5, "full", "-", None, [21, 0, 0]),
        row("second", 62, "partial", "node", None, [42, 2, 1]),
        row("first", 64, "full", "-", None, [32, 0, 3]),
        row("second", 512, "kfence", "-", None, [1, 1, 0]),
        row("first", 513, "empty", "node", None, [10, 10, 0]),
        row("second", 516, transit.0, transit.1, transit.2, [64, 4, 2]),
        row("first", 600, "cpu", "cpu", of_cpu, [40, if cpus { 3 } else { 0 }, 0]),
        row("second", 1023, "full", "-", None, [8, 0, 0]),
        row("first", 1536, "partial", "node", None, [8, 1, 0]),
        row("second", 1600, "partial", "node", None, [99, 1, 6]),
        row("first", 2000, "full", "-", None, [3, 0, 0]),
    ]
}

fn found(scan: &Scan) -> Vec<(Vec<String>, Vec<Option<i128>>)> {
    let of_row = |row: &Vec<Value>| {
        let pick = |at: &[usize]| at.iter().map(|at| row[*at].clone()).collect::<Vec<_>>();
        assert_eq!(row[9], Value::Bool(true), "{row:?}");
        (texts(&pick(&[0, 2, 4])), integers(&pick(&[1, 3, 5, 6, 7, 8])))
    };
    scan.rows.iter().map(of_row).collect()
}

#[test]
fn every_slab_is_found_and_nothing_else() {
    for era in ERAS {
        let world = world(era);
        let one = scan(&world, ALL, true, 1 << 20, 1);
        assert_eq!((found(&one), one.runs), (expected(era), 2), "{era:?}");
        for pages in [1, 7, 64, 300] {
            let many = scan(&world, ALL, true, pages, 1);
            assert_eq!(found(&many), expected(era), "{era:?} {pages}");
        }
        let narrow = scan(&world, ALL, true, 1 << 20, 0);
        assert_eq!(found(&narrow), expected(era), "{era:?}: a row a run");
        assert!(narrow.runs >= expected(era).len());
    }
}

#[test]
fn runs_that_the_kernel_ends_go_on() {
    for budget in [3, 8, 65] {
        let mut world = world(Era::Sheaves);
        world.budget = budget;
        let cut = scan(&world, ALL, true, 1 << 20, 1);
        assert_eq!(found(&cut), expected(Era::Sheaves), "{budget}");
        assert!(cut.runs > 2);
    }
}

#[test]
fn conditions_mean_the_same_in_the_kernel() {
    for era in ERAS {
        let world = world(era);
        for condition in [
            "state = 'full'",
            "state != 'full' and free > 1",
            "node = 1 and name = 'first'",
            "cpu = 1",
            "list = 'cpu partial' or list is null",
            "pfn between 62 and 512",
            "active < 3 and objects > 1",
            "pages > 2 and phys > 4096 * 70",
            "state in ('kfence', 'empty')",
        ] {
            let text = format!("{ALL} where {condition}{ORDER}");
            let [pushed, plain] =
                [true, false].map(|pushdown| scan(&world, &text, pushdown, 99, 1));
            assert_eq!(pushed.rows, plain.rows, "{era:?} {condition}");
            assert!(!plain.rows.is_empty() || era == Era::Sheaves, "{condition}");
        }
    }
}

#[test]
fn what_changes_meanwhile_is_marked_or_left_out() {
    let before = world(Era::Sheaves);
    let steps = scan(&before, ALL, true, 1 << 20, 1).steps;
    let mut torn = 0;
    for step in (0..steps).step_by(11) {
        let mut world = world(Era::Sheaves);
        let mut after = world.memory.clone();
        // One is freed, one is another cache's, one has one object more in use.
        after.write_int(record(5) + 4, Size::W, 0);
        let second = world.caches[1].at;
        let offset = |path| world.offset("slab", path);
        after.write_int(record(64) + offset("slab_cache"), Size::Dw, second);
        let counters = record(62) + offset("counters");
        after.write_int(counters, Size::Dw, 0x00ab_cd00_002a_0029);
        world.meanwhile = Some((step, after));
        let scan = scan(&world, ALL, true, 1 << 20, 1);
        for row in &scan.rows {
            let [name, _, _] = [0, 2, 4].map(|at| texts(&row[at..=at])[0].clone());
            let numbers = integers(row);
            match numbers[1].unwrap() {
                62 => {
                    let complete = row[9] == Value::Bool(true);
                    torn += usize::from(!complete);
                    assert!(matches!(numbers[7], Some(1 | 2)), "{row:?}");
                }
                64 => assert!(name == "first" || name == "second"),
                _ => assert_eq!(row[9], Value::Bool(true)),
            }
        }
        assert!(scan.rows.len() + 2 >= expected(Era::Sheaves).len());
    }
    assert!(torn > 0, "no change came between the two looks");
}

#[test]
fn the_planner_takes_lists_where_they_suffice() {
    let world = world(Era::Both);
    let template = |text: &str| {
        let plan = world.compile_for(text, target(true), 1).0;
        let Target::Kernel { template, .. } = plan.target else { panic!("{text}") };
        template
    };
    for text in [
        "select name from slabs where state = 'partial'",
        "select addr, node from slabs where state in ('partial', 'empty') and free > 3",
        "select addr from slabs where state = 'cpu'",
        "select addr, cpu from slabs where list is not null",
        "select count(*) from slabs where list = 'node' and name = 'x'",
        "select addr from slabs where state not in ('full', 'kfence')",
    ] {
        assert_eq!(template(text), Template::OpenCoded, "{text}");
    }
    for text in [
        "select name from slabs",
        "select name from slabs where free > 3",
        "select name from slabs where state = 'full'",
        "select node from slabs where state = 'cpu'",
        "select addr from slabs where state = 'partial' or free = 0",
        "select addr from slabs where list is null",
    ] {
        assert_eq!(template(text), Template::Vmemmap, "{text}");
    }
    let lists = scan(&world, "select pfn from slabs", true, 512, 1);
    assert!(lists.plan.to_string().contains("template vmemmap: the descriptors of all pages"));
}
