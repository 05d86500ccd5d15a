//! Where a list in made-up kernel memory leads astray, or the kernel ends a loop, a walk ends, says so, and spoils no
//! other row.

// Tests; and the numbers are small.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use crate::common::model::{ALL, ERAS, Era, Model, list, node, number, numbers, rich, row, signed};
use crate::common::world::{Answer, World};
use ebpf_templates::template::rows;
use slabql_query::plan::Template;
use slabql_query::value::Value;

const TEMPLATES: [Template; 3] = [Template::OpenCoded, Template::Iter, Template::List];
const CUT: u64 = 4;
const TORN: u64 = 8;

#[test]
fn flags_are_what_this_file_says() {
    assert_eq!([CUT, TORN], [rows::CUT, rows::TORN].map(|flag| u64::from(flag.unsigned_abs())));
}

/// The caches of tests of torn lists: the second is spoiled.
fn neighbours() -> Vec<Model> {
    let cache = |name: &str, count| Model { nodes: vec![Some(node(count))], ..rich(name, 0, 2) };
    vec![cache("before", 40), cache("torn", 50), cache("behind", 60)]
}

/// Asserts that the second row is incomplete, with this much on its partial list, and that the others are as ever.
fn check_torn(world: &World, era: Era, free_partial: Option<u64>, what: &str) {
    for template in TEMPLATES {
        let Answer { rows, flags, .. } = world.ask(ALL, template);
        assert_eq!((rows.len(), flags), (3, TORN), "{what} {template:?}");
        for index in [0, 2] {
            assert_eq!(
                numbers(&rows[index]),
                row(&neighbours()[index].figures(era), true),
                "{what}"
            );
        }
        let torn = numbers(&rows[1]);
        assert_eq!(torn.last(), Some(&Some(0)), "{what}: complete");
        if let Some(free) = free_partial {
            assert_eq!(torn[2], Some(signed(free)), "{what}");
        }
    }
}

/// The free objects of the first slabs of the list that is spoiled.
fn first(count: usize) -> u64 {
    list(50).iter().take(count).map(|slab| slab.free()).sum()
}

#[test]
fn a_list_that_leads_astray_is_noticed() {
    for era in ERAS {
        let fresh = || World::of(era, 1, 2, &neighbours());
        let offset = fresh().offset("slab", "slab_list");
        let next = |world: &World, index: usize| world.caches[1].slabs[0][index] + offset;

        let mut world = fresh();
        let (slab, other) = (world.caches[1].slabs[0][20], world.caches[0].at);
        world.write("slab", slab, "slab_cache", other);
        check_torn(&world, era, Some(first(20)), "a slab of another cache");

        let mut world = fresh();
        let other = world.caches[2].slabs[0][3] + offset;
        let from = next(&world, 9);
        world.word(from, other);
        check_torn(&world, era, Some(first(10)), "into another cache's list");

        let mut world = fresh();
        let head = world.caches[2].nodes[0] + world.offset("kmem_cache_node", "partial");
        let from = next(&world, 9);
        world.word(from, head);
        check_torn(&world, era, Some(first(10)), "to another node's head");

        for (bad, what) in [
            (0, "NULL"),
            (0xdead_0000_0000_0100, "LIST_POISON1"),
            (0xffff_8890_dead_0000, "nowhere"),
            (8, "a small number"),
            (u64::MAX, "the last byte"),
        ] {
            let mut world = fresh();
            let from = next(&world, 0);
            world.word(from, bad);
            check_torn(&world, era, Some(first(1)), what);
            // The head itself.
            let mut world = fresh();
            let head = world.caches[1].nodes[0] + world.offset("kmem_cache_node", "partial");
            world.word(head, bad);
            check_torn(&world, era, Some(0), what);
        }

        let mut world = fresh();
        let (from, back) = (next(&world, 49), next(&world, 11));
        world.word(from, back);
        check_torn(&world, era, None, "a cycle");
        let from = next(&world, 5);
        world.word(from, from);
        check_torn(&world, era, None, "a cycle of one");

        let mut world = fresh();
        let slab = world.caches[1].slabs[0][30];
        world.write("slab", slab, "counters", 9 | 8 << 16);
        check_torn(&world, era, Some(first(30)), "more in use than there are");
    }
}

#[test]
fn a_long_list_is_torn_at_its_far_end() {
    let long = Model { nodes: vec![Some(node(12_000))], ..rich("long", 0, 1) };
    let expected = long.figures(Era::Both);
    for (index, bad) in [(11_000, None), (9000, None), (11_000, Some(0))] {
        let mut world = World::of(Era::Both, 1, 1, &[long.clone(), rich("short", 1, 1)]);
        let offset = world.offset("slab", "slab_list");
        let slab = world.caches[0].slabs[0][index] + offset;
        let head = world.caches[0].nodes[0] + world.offset("kmem_cache_node", "partial");
        // The way back: to the head before its time, or to nowhere. The way forth is whole.
        world.word(slab + 8, bad.unwrap_or(head));
        let answer = world.ask(ALL, Template::OpenCoded);
        assert_eq!(answer.flags, TORN);
        let found = numbers(&answer.rows[0]);
        assert_eq!(
            found[2],
            Some(signed(expected.free_partial)),
            "the exact figure needs no way back"
        );
        assert_ne!(found[3], Some(signed(expected.free_slabinfo)));
        assert_eq!(found.last(), Some(&Some(0)), "complete");
        let exact = world.ask("select free_partial, complete", Template::OpenCoded);
        assert_eq!((number(&exact.rows[0][1]), exact.flags), (Some(1), 0));
    }
}

#[test]
fn what_a_cpu_holds_leads_astray() {
    for era in [Era::CpuSlabs, Era::Both] {
        let fresh = || World::of(era, 1, 2, &neighbours());
        let cpu = |world: &World, member| {
            world.caches[1].cpu_slabs[1] + world.offset("kmem_cache_cpu", member)
        };
        let free = first(50);

        let mut world = fresh();
        let at = cpu(&world, "freelist");
        let object = world.memory.allocate(64);
        world.word(at, object);
        // A free object that points to itself.
        let (random, stored) =
            (world.caches[1].at + world.offset("kmem_cache", "random"), object + 24);
        let random = u64::from_le_bytes(world.memory.read(random, 8).unwrap().try_into().unwrap());
        world.word(stored, object ^ random ^ stored.swap_bytes());
        check_torn(&world, era, Some(free), "an endless freelist");

        let mut world = fresh();
        let (at, other) = (cpu(&world, "partial"), world.caches[0].slabs[0][0]);
        world.word(at, other);
        check_torn(&world, era, Some(free), "a CPU partial list of another cache");

        let mut world = fresh();
        let (at, own) = (cpu(&world, "partial"), world.caches[1].slabs[0][0]);
        let next = own + world.offset("slab", "next");
        // In the list of the node and of the CPU at once, and endless.
        world.word(at, own);
        world.word(next, own);
        check_torn(&world, era, None, "an endless CPU partial list");
    }
    for era in [Era::Both, Era::Sheaves] {
        let mut models = neighbours();
        for model in &mut models {
            model.nodes[0].as_mut().unwrap().barn = Some(vec![32, 31, 30]);
        }
        for (bad, found) in [(Some(0), 63), (None, 0)] {
            let mut world = World::of(era, 1, 2, &models);
            let sheaves = world.caches[1].barns[0].1.clone();
            let list = world.offset("slab_sheaf", "barn_list");
            let to = bad.unwrap_or(sheaves[0] + list);
            world.word(sheaves[1] + list, to);
            for template in TEMPLATES {
                let Answer { rows, flags, .. } = world.ask(ALL, template);
                assert_eq!(flags, TORN);
                for index in [0, 2] {
                    assert_eq!(numbers(&rows[index]), row(&models[index].figures(era), true));
                }
                let torn = numbers(&rows[1]);
                assert_eq!(torn.last(), Some(&Some(0)));
                if found > 0 {
                    assert_eq!(torn[6], Some(found));
                }
            }
        }
    }
}

#[test]
fn a_walk_is_begun_three_times() {
    // Of one node and a list that is torn at its first slab: once into the loop over nodes and once out of it, a step
    // in each try, and the way back twice.
    let mut world =
        World::of(Era::Both, 1, 1, &[Model { nodes: vec![Some(node(1))], ..Model::default() }]);
    let slab = world.caches[0].slabs[0][0];
    world.write("slab", slab, "slab_cache", 0);
    for (budget, flags) in [(6, CUT | TORN), (7, TORN), (1000, TORN)] {
        world.budget = budget;
        let answer = world.ask("select free_partial, complete", Template::OpenCoded);
        assert_eq!(answer.flags, flags, "a budget of {budget}");
        assert_eq!(number(&answer.rows[0][1]), Some(0));
    }
}

#[test]
fn more_free_than_there_is_is_read_again() {
    // Once into the loop over nodes, to the slab, to the end of its list and out of the loop, three times; the way
    // back twice.
    let model = Model { nodes: vec![Some(node(1))], ..Model::default() };
    for (budget, flags) in [(13, CUT | TORN), (14, TORN), (1000, TORN)] {
        let mut world = World::of(Era::Both, 1, 1, std::slice::from_ref(&model));
        let at = world.caches[0].nodes[0];
        world.budget = budget;
        world.write("kmem_cache_node", at, "total_objects.counter", 31);
        let answer = world.ask("select objects, free_partial, complete", Template::OpenCoded);
        assert_eq!(answer.flags, flags, "a budget of {budget}");
        let found: Vec<_> = answer.rows[0].iter().map(number).collect();
        assert_eq!(found, [Some(31), Some(32), Some(0)]);
        // As many as there are can be.
        world.write("kmem_cache_node", at, "total_objects.counter", 32);
        let answer = world.ask("select objects, free_partial, complete", Template::OpenCoded);
        assert_eq!((answer.flags, number(&answer.rows[0][2])), (0, Some(1)));
        // Without objects to hold it against there is nothing to say.
        let answer = world.ask("select free_partial, complete", Template::OpenCoded);
        assert_eq!((answer.flags, number(&answer.rows[0][1])), (0, Some(1)));
    }
}

/// Whatever the kernel leaves of the loops: a row that says it is complete is true.
#[test]
fn a_loop_that_the_kernel_ends_is_said() {
    let models: Vec<Model> = ["a", "b", "c"].map(|name| rich(name, 3, 3)).to_vec();
    for era in ERAS {
        for text in [
            ALL,
            "select name, objects, complete",
            "select name, free_partial, complete",
            "select name, cached_cpu, cached_sheaves, complete",
            "select name, cached_barns, complete",
        ] {
            let mut world = World::of(era, 3, 3, &models);
            let whole = world.ask(text, Template::OpenCoded);
            assert_eq!(whole.flags, 0);
            let mut cut = 0;
            for budget in (0..200).chain((200..2000).step_by(37)) {
                world.budget = budget;
                for template in TEMPLATES {
                    let answer = world.ask(text, template);
                    // What follows the list is a loop of its own, which the kernel ends too.
                    let rows = answer.rows.len();
                    assert!(rows == models.len() || template == Template::List);
                    let mut complete = 0;
                    for (found, expected) in answer.rows.iter().zip(&whole.rows) {
                        if found.last() == Some(&Value::Bool(true)) {
                            assert_eq!(found, expected, "{era:?} {text} {budget}");
                            complete += 1;
                        }
                    }
                    let said = answer.flags & CUT != 0;
                    let cut_short = complete < models.len();
                    let at_the_end = said && template == Template::List;
                    assert!(said == cut_short || at_the_end, "{era:?} {text} {budget}");
                    cut += usize::from(said);
                }
            }
            assert!(cut > 0 || !text.contains("free_partial"), "{era:?} {text}");
        }
    }
}
