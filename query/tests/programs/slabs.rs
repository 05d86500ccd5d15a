//! The rows of slabs over made-up kernel memory are those that the test's own model says, in all forms that the
//! kernel's structures have had and however many runs they take; and what changes between runs is noticed.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

use std::collections::HashSet;

use crate::common::kernel;
use crate::common::model::{Cpu, ERAS, Era, Model, Slab, list, node, number, rich, slab};
use crate::common::runs::Runs;
use crate::common::world::World;
use ebpf_templates::template::rows;
use slabql_query::plan::Template;
use slabql_query::value::Value;

const ALL: &str =
    "select name, list, node, cpu, objects, active, free, frozen, complete from slabs";
const TORN: u64 = 8;
const AGAIN: u64 = 16;

#[test]
fn flags_are_what_this_file_says() {
    assert_eq!([TORN, AGAIN], [rows::TORN, rows::AGAIN].map(|flag| u64::from(flag.unsigned_abs())));
}

/// A row: the cache, the list, and the numbers.
type Row = (String, String, Vec<Option<i64>>);

fn expected(era: Era, models: &[Model]) -> Vec<Row> {
    let mut found = Vec::new();
    for model in models {
        let mut row = |list: &str, place: usize, slab: Slab, free: u64| {
            let place = i64::try_from(place).ok();
            let (node, cpu) = if list == "node" { (place, None) } else { (None, place) };
            let [objects, free] = [slab.objects.into(), free].map(u64::cast_signed);
            let numbers = [objects, objects - free, free, 1, 1].map(Some);
            let numbers = [node, cpu].into_iter().chain(numbers).collect();
            found.push((model.name.clone(), list.to_owned(), numbers));
        };
        for (index, node) in model.nodes.iter().enumerate() {
            for slab in node.iter().flat_map(|node| &node.partial) {
                row("node", index, *slab, slab.free());
            }
        }
        for (index, cpu) in model.cpus.iter().enumerate().filter(|_| era != Era::Sheaves) {
            if let Some((slab, listed)) = cpu.slab {
                row("cpu", index, slab, slab.free() + u64::from(listed));
            }
            for slab in &cpu.partial {
                row("cpu partial", index, *slab, slab.free());
            }
        }
    }
    found
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?} is no text"),
    }
}

fn found(runs: &Runs<'_>) -> Vec<Row> {
    let row =
        |row: &Vec<Value>| (text(&row[0]), text(&row[1]), row[2..].iter().map(number).collect());
    runs.answer().iter().map(row).collect()
}

fn runs<'a>(world: &'a World, text: &str, factor: u32) -> Runs<'a> {
    Runs::new(world, text, kernel(Template::OpenCoded, true), factor)
}

/// Caches with something everywhere, with nothing, and without nodes.
fn models() -> Vec<Model> {
    // The free objects of a CPU slab are those of its freelist and what others freed to it.
    let mut odd = rich("odd", 4, 5);
    odd.cpus[0].slab = Some((slab(40, 40), 40));
    odd.cpus[1] = Cpu { partial: list(7), ..Cpu::default() };
    let none = Model { name: "none".into(), ..Model::default() };
    vec![rich("first", 4, 5), none, odd, rich("last", 1, 1)]
}

#[test]
fn rows_are_the_models_however_many_runs_they_take() {
    for era in ERAS {
        let world = World::of(era, 4, 5, &models());
        let expected = expected(era, &models());
        assert!(expected.len() > 20);
        let one = runs(&world, ALL, 1).finish();
        assert_eq!((found(&one), one.flags, one.count), (expected.clone(), 0, 1), "{era:?}");
        let many = runs(&world, ALL, 0).finish();
        assert_eq!((found(&many), many.flags), (expected.clone(), 0), "{era:?}");
        assert_eq!(many.count, expected.len(), "a row a run");
        assert!(!many.is_lost());
    }
}

#[test]
fn runs_that_the_kernel_ends_go_on() {
    for era in ERAS {
        for budget in [9, 10, 11, 12, 13, 17, 29, 64] {
            let mut world = World::of(era, 4, 5, &models());
            // The freelist of a CPU slab is walked in one go.
            world.budget = 64 + budget;
            let runs = runs(&world, ALL, 1).finish();
            let expected = expected(era, &models());
            assert_eq!((found(&runs), runs.flags), (expected, 0), "{era:?} {budget}");
        }
    }
}

#[test]
fn conditions_mean_the_same_in_the_kernel() {
    for era in ERAS {
        let world = World::of(era, 4, 5, &models());
        for (condition, some) in [
            ("free > 20", true),
            ("active between 3 and 9 and name = 'odd'", true),
            ("name like 'l%'", era != Era::Sheaves),
            ("node = 2", true),
            ("node is null", era != Era::Sheaves),
            ("cpu in (1, 3)", era != Era::Sheaves),
            ("list = 'cpu partial' and free > 10", era != Era::Sheaves),
            ("list != 'node'", era != Era::Sheaves),
            ("not frozen", false),
            ("frozen and complete", true),
            ("cache = 1", false),
            ("addr % 128 = 64", true),
            ("objects + free < 40", true),
        ] {
            let text = format!("{ALL} where {condition}");
            let target = kernel(Template::OpenCoded, false);
            let plain = Runs::new(&world, &text, target, 1).finish();
            for factor in [0, 1] {
                let pushed = runs(&world, &text, factor).finish();
                assert_eq!(pushed.answer(), plain.answer(), "{era:?} {condition}");
            }
            assert_eq!(!plain.answer().is_empty(), some, "{era:?} {condition}");
        }
    }
}

#[test]
fn an_address_is_found_again() {
    let world = World::of(Era::Both, 4, 5, &models());
    let (cache, slab) = (world.caches[2].at, world.caches[2].slabs[3][4]);
    let by = |text: String| runs(&world, &text, 1).finish().slabs();
    assert_eq!(by(format!("select free from slabs where addr = {slab}")), [slab]);
    let of_cache = by(format!("select addr from slabs where cache = {cache} and node = 3"));
    assert_eq!(of_cache, world.caches[2].slabs[3]);
}

/// One cache between two others, with a list of this many slabs.
fn lists(count: u64) -> Vec<Model> {
    let cache = |name: &str, count| Model { nodes: vec![Some(node(count))], ..rich(name, 0, 2) };
    vec![cache("before", 5), cache("long", count), cache("behind", 6)]
}

/// A scan of [`lists`] that has stopped at the slab with this number in the long list, one row a run.
fn stopped(world: &World, at: usize) -> Runs<'_> {
    let mut runs = runs(world, ALL, 0);
    let (before, long) = (&world.caches[0], &world.caches[1]);
    while runs.header(rows::resume::SLAB) != long.slabs[0][at]
        || runs.header(rows::resume::CACHE) != long.at
    {
        assert!(runs.run());
    }
    assert_eq!(runs.flags, 0);
    assert!(runs.rows.len() >= at + before.slabs[0].len());
    runs
}

/// Links the slabs of the long list in this order.
fn relink(runs: &mut Runs<'_>, world: &World, order: &[usize]) {
    let offset = world.offset("slab", "slab_list");
    let long = &world.caches[1];
    let head = long.nodes[0] + world.offset("kmem_cache_node", "partial");
    let mut before = head;
    for index in order {
        let link = long.slabs[0][*index] + offset;
        runs.word(before, link);
        runs.word(link + 8, before);
        before = link;
    }
    runs.word(before, head);
    runs.word(head + 8, before);
}

fn all_slabs(world: &World, era: Era) -> usize {
    let count = runs(world, ALL, 1).finish().rows.len();
    assert_eq!(count, expected(era, &lists(30)).len());
    count
}

#[test]
fn a_slab_that_moved_between_runs_does_not_hide_others() {
    for era in ERAS {
        let world = World::of(era, 1, 2, &lists(30));
        let all = all_slabs(&world, era);
        let mut order: Vec<usize> = (0..30).collect();
        let moved = order.remove(12);
        order.push(moved);
        let mut runs = stopped(&world, 12);
        relink(&mut runs, &world, &order);
        let runs = runs.finish();
        assert_eq!((runs.flags, runs.distinct().len()), (AGAIN, all), "{era:?}");
        // What was given before is given again, and says so.
        assert_eq!(runs.slabs().len(), all + 12);
        let complete = found(&runs).iter().filter(|(.., row)| row.last() == Some(&Some(0))).count();
        assert_eq!(complete, 30, "rows of the list that was begun again");
    }
}

#[test]
fn a_slab_that_left_between_runs_is_noticed() {
    for era in ERAS {
        let world = World::of(era, 1, 2, &lists(30));
        let all = all_slabs(&world, era);
        let slab_cache = world.offset("slab", "slab_cache");
        // The slab to go on with: freed, or another cache's by now.
        for (cache, poisoned) in [(0, true), (world.caches[2].at, false)] {
            let gone = world.caches[1].slabs[0][12];
            let order: Vec<usize> = (0..30).filter(|index| *index != 12).collect();
            let mut runs = stopped(&world, 12);
            relink(&mut runs, &world, &order);
            runs.word(gone + slab_cache, cache);
            if poisoned {
                let link = gone + world.offset("slab", "slab_list");
                runs.word(link, 0xdead_0000_0000_0100);
                runs.word(link + 8, 0xdead_0000_0000_0122);
            }
            let runs = runs.finish();
            assert_eq!((runs.flags, runs.distinct().len()), (AGAIN, all - 1), "{era:?}");
            assert!(!runs.slabs().contains(&gone));
        }
        // The one before it: its place is the only thing by which the next one is known.
        let order: Vec<usize> = (0..30).filter(|index| *index != 11).collect();
        let mut runs = stopped(&world, 12);
        relink(&mut runs, &world, &order);
        let runs = runs.finish();
        assert_eq!((runs.flags, runs.distinct().len()), (AGAIN, all), "{era:?}");
    }
}

#[test]
fn a_slab_that_keeps_moving_is_followed_in_the_end() {
    let world = World::of(Era::Both, 1, 2, &lists(30));
    let mut runs = stopped(&world, 12);
    let link = world.caches[1].slabs[0][12] + world.offset("slab", "slab_list");
    // Its `prev` is wrong for good: it can be reached, but not be known again.
    runs.word(link + 8, 0x1234);
    let runs = runs.finish();
    assert_eq!(runs.flags, AGAIN | TORN);
    assert_eq!(runs.distinct().len(), all_slabs(&world, Era::Both));
}

#[test]
fn a_list_that_leads_astray_is_begun_three_times() {
    for era in ERAS {
        for factor in [0, 1] {
            let mut world = World::of(era, 1, 2, &lists(30));
            let all = all_slabs(&world, era);
            let offset = world.offset("slab", "slab_list");
            let from = world.caches[1].slabs[0][9] + offset;
            let other = world.caches[2].slabs[0][3] + offset;
            world.word(from, other);
            let runs = runs(&world, ALL, factor).finish();
            assert_eq!(runs.flags, AGAIN | TORN, "{era:?}");
            // Ten slabs of the list are before the tear; no other list suffers.
            assert_eq!(runs.distinct().len(), all - 20, "{era:?}");
            assert_eq!(runs.rows.len(), all - 20 + 2 * 10, "{era:?}");
        }
    }
}

#[test]
fn a_list_without_an_end_ends() {
    for factor in [0, 1] {
        let mut world = World::of(Era::Both, 1, 2, &lists(30));
        let offset = world.offset("slab", "slab_list");
        let [from, to] = [29, 5].map(|index| world.caches[1].slabs[0][index] + offset);
        world.word(from, to);
        world.word(to + 8, from);
        let all = all_slabs(&World::of(Era::Both, 1, 2, &lists(30)), Era::Both);
        let runs = runs(&world, "select addr from slabs", factor).finish();
        assert_eq!(runs.flags & TORN, TORN);
        assert_eq!(runs.distinct().len(), all);
    }
}

#[test]
fn what_cpus_hold_leads_astray() {
    for era in [Era::CpuSlabs, Era::Both] {
        let mut model = rich("cache", 1, 3);
        model.cpus[1].partial = list(9);
        let mut world = World::of(era, 1, 3, &[model.clone(), rich("other", 1, 3)]);
        let whole = runs(&world, ALL, 1).finish().distinct().len();
        // The CPU partial list of CPU 1 leads into another cache's.
        let copy = world.caches[0].cpu_slabs[1];
        let first = copy + world.offset("kmem_cache_cpu", "partial");
        world.word(first, world.caches[1].slabs[0].first().copied().unwrap_or(0x1000));
        let torn = runs(&world, ALL, 0).finish();
        assert_eq!(torn.flags, AGAIN | TORN, "{era:?}");
        assert_eq!(torn.distinct().len(), whole - 9, "{era:?}");

        // A freelist that never ends: the CPU slab is shown, with no more free than it has, as an estimate.
        let mut world = World::of(era, 1, 3, &[model]);
        let copy = world.caches[0].cpu_slabs[1];
        let freelist = copy + world.offset("kmem_cache_cpu", "freelist");
        world.word(freelist, 0x7777);
        let torn = runs(&world, ALL, 1).finish();
        let of_cpu =
            found(&torn).into_iter().find(|(_, list, row)| list == "cpu" && row[1] == Some(1));
        let (.., numbers) = of_cpu.unwrap();
        assert_eq!(torn.flags & AGAIN, 0);
        assert!(numbers[4] <= numbers[2], "{numbers:?}");
    }
}

#[test]
fn a_cache_that_vanished_is_noticed() {
    let world = World::of(Era::Both, 1, 2, &lists(30));
    let mut runs = stopped(&world, 12);
    let before: HashSet<u64> = runs.distinct();
    runs.destroy(world.caches[1].at);
    assert!(!runs.run(), "no room is asked for");
    assert!(runs.is_lost());
    assert_eq!(runs.header(rows::resume::CACHE), world.caches[1].at);
    assert_eq!(runs.distinct(), before, "no row of another cache");
}

#[test]
fn a_cache_that_comes_between_runs_changes_nothing() {
    let world = World::of(Era::Both, 1, 2, &lists(30));
    let mut runs = stopped(&world, 12);
    // The last cache is not there for a while; it comes back in front of the others, as new ones do.
    let last = world.caches[2].at;
    runs.destroy(last);
    runs.create(last);
    let runs = runs.finish();
    let behind = world.caches[2].slabs[0].len();
    assert!(runs.slabs().iter().all(|slab| !world.caches[2].slabs[0].contains(slab)));
    assert!(behind > 0 && !runs.is_lost());
}

#[test]
fn a_limit_asks_for_the_room_that_it_needs() {
    let world = World::of(Era::Both, 4, 5, &models());
    let bytes = |text: &str| {
        let target = kernel(Template::OpenCoded, true);
        world.compile_for(text, target, 1).2.map_bytes
    };
    for few in
        ["select name, free from slabs limit 5", "select addr from slabs where free > 3 limit 5"]
    {
        assert!(bytes(few) < 2048, "{few}");
        assert_eq!(runs(&world, few, 1).finish().answer().len(), 5, "{few}");
    }
    for all in [
        "select free from slabs order by free limit 5",
        "select distinct free from slabs limit 5",
        "select count(*) from slabs limit 5",
        "select free from slabs where bar(free, 2) > 0 limit 5",
        "select free from slabs limit 100000000000",
    ] {
        assert!(bytes(all) > 256 << 10, "{all}");
    }
}
