//! Walked figures over made-up kernel memory equal what the test's own model says, in all forms that the kernel's
//! lists have had; and where a list leads astray, the walk ends, says so, and spoils no other row.

#![allow(clippy::unwrap_used, clippy::unnecessary_wraps)] // tests
#![allow(clippy::cast_possible_truncation, clippy::manual_is_multiple_of)] // small numbers

mod common;

use common::slabs::{Answer, Cpu, ERAS, Era, Figures, Model, NODE_TYPE, Node, Slab, World, number};
use ebpf_templates::template::rows;
use proptest::prelude::*;
use query::plan::Template;
use query::value::Value;

const TEMPLATES: [Template; 2] = [Template::OpenCoded, Template::Iter];
const CUT: u64 = 4;
const TORN: u64 = 8;
const ALL: &str = "select name, slabs, objects, free_partial, free_slabinfo, cached_cpu, cached_sheaves, \
                   cached_barns, rcu_pending, cached, active, active_slabinfo, complete";

#[test]
fn flags_are_what_this_file_says() {
    assert_eq!([CUT, TORN], [rows::CUT, rows::TORN].map(|flag| u64::from(flag.unsigned_abs())));
}

fn signed(value: u64) -> Option<i64> {
    Some(value.cast_signed())
}

/// The row of [`ALL`] that figures come to.
fn row(figures: &Figures, complete: bool) -> Vec<Option<i64>> {
    vec![
        signed(figures.slabs),
        signed(figures.objects),
        signed(figures.free_partial),
        signed(figures.free_slabinfo),
        figures.cached_cpu.and_then(signed),
        figures.cached_sheaves.and_then(signed),
        figures.cached_barns.and_then(signed),
        figures.rcu_pending.and_then(signed),
        signed(figures.cached()),
        Some(figures.active()),
        Some(figures.objects.cast_signed() - figures.free_slabinfo.cast_signed()),
        Some(complete.into()),
    ]
}

fn numbers(row: &[Value]) -> Vec<Option<i64>> {
    row[1..].iter().map(number).collect()
}

/// Asserts that both templates find what the models say.
fn check(era: Era, nodes: u32, cpus: usize, models: &[Model]) {
    let world = World::of(era, nodes, cpus, models);
    for template in TEMPLATES {
        let Answer { rows, flags } = world.ask(ALL, template);
        assert_eq!((rows.len(), flags), (models.len(), 0), "{era:?} {template:?}");
        for (found, model) in rows.iter().zip(models) {
            assert_eq!(numbers(found), row(&model.figures(era), true), "{era:?} {}", model.name);
        }
    }
}

fn slab(objects: u16, inuse: u16) -> Slab {
    Slab { objects, inuse }
}

/// A list of slabs whose free objects differ from place to place.
fn list(count: u64) -> Vec<Slab> {
    (0..count)
        .map(|index| slab(32, (index * 7 % 31 + u64::from(index % 10_007 == 3)) as u16))
        .collect()
}

fn node(count: u64) -> Option<Node> {
    Some(Node { partial: list(count), full_objects: 640, ..Node::default() })
}

/// A cache with something everywhere.
fn rich(name: &str, nodes: usize, cpus: usize) -> Model {
    let sheaves =
        |index: usize| [Some(7), (index % 2 == 0).then_some(32), (index % 3 == 0).then_some(5)];
    Model {
        name: name.to_owned(),
        capacity: 32,
        nodes: (0..nodes)
            .map(|index| {
                (index % 3 != 1).then(|| Node {
                    partial: list(index as u64 * 3),
                    full_objects: 64 + index as u64,
                    barn: Some(vec![32; index]),
                    only_barn: false,
                })
            })
            .collect(),
        cpus: (0..cpus)
            .map(|index| Cpu {
                slab: (index % 4 != 3).then_some((slab(32, 30), index as u16 % 30)),
                partial: list(index as u64 % 5),
                sheaves: sheaves(index),
            })
            .collect(),
    }
}

prop_compose! {
    fn any_slab()(objects in 1..=32_767_u16, share in 0..=100_u32) -> Slab {
        slab(objects, (u32::from(objects) * share / 100) as u16)
    }
}

fn any_model() -> impl Strategy<Value = Model> {
    let slabs = |most| prop::collection::vec(any_slab(), 0..most);
    let node = (
        slabs(12),
        0..1_000_000_u64,
        prop::option::of(prop::collection::vec(0..100_u32, 0..11)),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(partial, full_objects, barn, only_barn)| Node {
            partial,
            full_objects,
            barn,
            only_barn,
        });
    let sheaf = || prop::option::of(0..100_u32);
    let cpu =
        (prop::option::of((any_slab(), 0..20_u16)), slabs(6), sheaf(), sheaf(), sheaf()).prop_map(
            |(slab, partial, main, spare, rcu)| Cpu { slab, partial, sheaves: [main, spare, rcu] },
        );
    (
        "[a-z]{1,9}",
        prop_oneof![Just(0), 1..64_u32],
        prop::collection::vec(prop::option::weighted(0.8, node), 8),
        prop::collection::vec(cpu, 9),
    )
        .prop_map(|(name, capacity, nodes, cpus)| Model { name, capacity, nodes, cpus })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn figures_equal_the_model(
        mut models in prop::collection::vec(any_model(), 1..6),
        nodes in 1..=8_usize,
        cpus in 1..=9_usize,
    ) {
        for model in &mut models {
            model.nodes.truncate(nodes);
            model.cpus.truncate(cpus);
        }
        for era in ERAS {
            let mut models = models.clone();
            if era != Era::Sheaves {
                // Only there is a barn without a node.
                for node in models.iter_mut().flat_map(|model| &mut model.nodes) {
                    if node.as_ref().is_some_and(|node| node.only_barn) {
                        *node = None;
                    }
                }
            }
            check(era, nodes as u32, cpus, &models);
        }
    }
}

#[test]
fn many_nodes_and_cpus() {
    for era in ERAS {
        check(
            era,
            8,
            64,
            &[
                rich("one", 8, 64),
                Model { name: "none".into(), ..Model::default() },
                rich("two", 8, 64),
            ],
        );
    }
}

#[test]
fn slabinfo_counts_long_lists_in_part() {
    let mut differ = 0;
    for count in [0, 1, 4999, 5000, 5001, 9999, 10_000, 10_001, 10_002, 14_999, 20_000, 33_333] {
        let mut first = Model {
            name: "list".into(),
            nodes: vec![node(count), None, node(count / 2)],
            ..Model::default()
        };
        check(Era::Both, 3, 1, &[first.clone()]);
        // Free objects at the ends only: far more than there are, by slabinfo's rule, which then takes all objects.
        let list = first.nodes[0].as_mut().unwrap();
        let end = list.partial.len();
        for (index, slab) in list.partial.iter_mut().enumerate() {
            *slab = if index < 5000 || index + 5000 >= end {
                self::slab(8, 0)
            } else {
                self::slab(1, 1)
            };
        }
        list.full_objects = 0;
        check(Era::Sheaves, 3, 1, &[first.clone()]);
        let figures = first.figures(Era::Sheaves);
        differ += usize::from(figures.free_partial != figures.free_slabinfo);
    }
    assert!(differ >= 4, "the rule for long lists was not met");
}

#[test]
fn freelists_are_followed_with_and_without_a_secret() {
    for hardened in [false, true] {
        let mut world = World::new(Era::CpuSlabs, 1, 2, hardened);
        let mut model = rich("cpu", 1, 2);
        model.cpus[1].slab = Some((slab(100, 99), 1));
        world.put(&model);
        let answer = world.ask("select cached_cpu", Template::OpenCoded);
        let expected = model.figures(Era::CpuSlabs).cached_cpu.and_then(signed);
        assert_eq!(number(&answer.rows[0][0]), expected, "hardened: {hardened}");
    }
}

#[test]
fn a_cache_without_capacity_has_no_sheaves() {
    for era in [Era::Both, Era::Sheaves] {
        let model = Model { capacity: 0, ..rich("boot", 3, 2) };
        check(era, 3, 2, &[model]);
    }
}

#[test]
fn pointers_that_are_null() {
    for era in ERAS {
        let mut world = World::of(era, 1, 2, &[rich("boot", 1, 2), rich("later", 1, 2)]);
        let at = world.caches[0].at;
        for (path, there) in
            [("cpu_slab", era != Era::Sheaves), ("cpu_sheaves", era != Era::CpuSlabs)]
        {
            if there {
                world.write("kmem_cache", at, path, 0);
            }
        }
        let answer =
            world.ask("select cached - coalesce(cached_barns, 0), complete", Template::OpenCoded);
        assert_eq!(numbers(&answer.rows[0]), [Some(1)], "{era:?}");
        assert_eq!(number(&answer.rows[0][0]), Some(0), "{era:?}");
        assert_ne!(number(&answer.rows[1][0]), Some(0), "{era:?}");
        assert_eq!(answer.flags, 0);
    }
}

/// The caches of tests of torn lists: the second is spoiled.
fn neighbours() -> Vec<Model> {
    let cache = |name: &str, count| Model { nodes: vec![node(count)], ..rich(name, 0, 2) };
    vec![cache("before", 40), cache("torn", 50), cache("behind", 60)]
}

/// Asserts that the second row is incomplete, with this much on its partial list, and that the others are as ever.
fn check_torn(world: &World, era: Era, free_partial: Option<u64>, what: &str) {
    for template in TEMPLATES {
        let Answer { rows, flags } = world.ask(ALL, template);
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
            assert_eq!(torn[2], signed(free), "{what}");
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
    let long = Model { nodes: vec![node(12_000)], ..rich("long", 0, 1) };
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
        assert_eq!(found[2], signed(expected.free_partial), "the exact figure needs no way back");
        assert_ne!(found[3], signed(expected.free_slabinfo));
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
                let Answer { rows, flags } = world.ask(ALL, template);
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
        World::of(Era::Both, 1, 1, &[Model { nodes: vec![node(1)], ..Model::default() }]);
    let slab = world.caches[0].slabs[0][0];
    world.write("slab", slab, "slab_cache", 0);
    for (budget, flags) in [(6, CUT | TORN), (7, TORN), (1000, TORN)] {
        world.budget = budget;
        let answer = world.ask("select free_partial, complete", Template::OpenCoded);
        assert_eq!(answer.flags, flags, "a budget of {budget}");
        assert_eq!(number(&answer.rows[0][1]), Some(0));
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
                    assert_eq!(answer.rows.len(), models.len());
                    let mut complete = 0;
                    for (found, expected) in answer.rows.iter().zip(&whole.rows) {
                        if found.last() == Some(&Value::Bool(true)) {
                            assert_eq!(found, expected, "{era:?} {text} {budget}");
                            complete += 1;
                        }
                    }
                    let said = answer.flags & CUT != 0;
                    assert_eq!(said, complete < models.len(), "{era:?} {text} {budget}");
                    cut += usize::from(said);
                }
            }
            assert!(cut > 0 || !text.contains("free_partial"), "{era:?} {text}");
        }
    }
}

fn listing(era: Era, text: &str) -> (String, usize) {
    let world = World::of(era, 2, 4, &[]);
    let (_, _, program) = world.compile(text, Template::OpenCoded);
    (program.listing(), program.cpu_table.len())
}

#[test]
fn a_query_walks_what_it_names() {
    // By the comments that code generation puts before each.
    let [partial, barns, cpus] =
        ["the partial lists of the nodes", "the barns of the nodes", "what the CPUs hold ready"];
    for era in ERAS {
        for (text, walks, table) in [
            ("select name, size, objects, partial, memory", vec![], 0),
            ("select name where objects > 1000 and partial > 3", vec![], 0),
            ("select name, free_partial", vec![partial], 0),
            ("select name, active_slabinfo", vec![partial], 0),
            ("select name where free_partial > 10", vec![partial], 0),
            ("select name, complete", vec![], 0),
        ] {
            let (listing, cpu_table) = listing(era, text);
            for walk in [partial, barns, cpus] {
                assert_eq!(listing.contains(walk), walks.contains(&walk), "{text}\n{listing}");
            }
            // The loop over nodes casts to a node; only walks cast to a slab.
            assert_eq!(
                listing.contains(&format!("r2 = {}\n", NODE_TYPE + 1)),
                !walks.is_empty(),
                "{text}\n{listing}"
            );
            assert_eq!(cpu_table, table, "{text}");
        }
        let (every, cpu_table) = listing(era, "select active");
        assert!(every.contains(partial) && every.contains(cpus));
        assert_eq!((every.contains(barns), cpu_table), (era != Era::CpuSlabs, 4));
    }
    let (listing, table) = listing(Era::Both, "select cached_barns");
    assert!(listing.contains(barns) && !listing.contains(cpus) && !listing.contains(partial));
    assert_eq!(table, 0);
}

#[test]
fn conditions_come_before_walks() {
    for era in ERAS {
        let (listing, _) = listing(
            era,
            "select name, active where active > 5 and free_partial < 100 and objects > 1000 and size > 8",
        );
        let at =
            |what: &str| listing.find(what).unwrap_or_else(|| panic!("no `{what}` in\n{listing}"));
        let order = [
            at("where size > 8"),
            at("sums over the nodes"),
            at("where objects > 1000"),
            at("the partial lists of the nodes"),
            at("where free_partial < 100"),
            at("what the CPUs hold ready"),
            at("where active > 5"),
        ];
        assert!(order.is_sorted(), "{order:?}\n{listing}");
    }
}

#[test]
fn conditions_on_walked_figures_choose_rows() {
    let models = [rich("a", 3, 2), Model { name: "b".into(), ..Model::default() }, rich("c", 2, 4)];
    for era in ERAS {
        let world = World::of(era, 3, 4, &models);
        for text in [
            "active > 100",
            "active = 0",
            "cached > 0 and complete",
            "free_partial = 0",
            "not complete",
            "active_slabinfo - active > 20",
        ] {
            let text = format!(
                "select addr, active, cached, free_partial, active_slabinfo, complete where {text}"
            );
            let [first, second] = TEMPLATES.map(|template| world.ask(&text, template).rows);
            assert_eq!(first, second, "{text}");
            let all = world.ask(text.split(" where").next().unwrap(), Template::OpenCoded).rows;
            let wanted = |row: &&Vec<Value>| {
                let [active, cached, free, slabinfo, complete] =
                    [1, 2, 3, 4, 5].map(|index| number(&row[index]).unwrap());
                match text.split("where ").nth(1).unwrap() {
                    "active > 100" => active > 100,
                    "active = 0" => active == 0,
                    "cached > 0 and complete" => cached > 0 && complete == 1,
                    "free_partial = 0" => free == 0,
                    "not complete" => complete == 0,
                    _ => slabinfo - active > 20,
                }
            };
            let expected: Vec<Vec<Value>> = all.iter().filter(wanted).cloned().collect();
            assert_eq!(first, expected, "{era:?} {text}");
        }
    }
}

#[test]
fn every_figure_at_once_fits_the_header() {
    for era in ERAS {
        let (listing, _) = listing(
            era,
            "select name, addr, slabs, objects, partial, free_partial, free_slabinfo, cached_cpu, cached_sheaves, \
             cached_barns, rcu_pending, complete where active > 0 and objects > 0 and active_slabinfo > 0 and complete",
        );
        assert!(listing.contains("the partial lists of the nodes"));
    }
}
