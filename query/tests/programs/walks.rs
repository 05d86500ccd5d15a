//! Walked figures over made-up kernel memory equal what the test's own model says, in all forms that the kernel's
//! lists have had, and a query walks what it names.

// Tests; and the numbers are small.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use crate::common::model::{
    ALL, Cpu, ERAS, Era, Model, Node, Slab, can_be, node, number, numbers, rich, row, signed, slab,
};
use crate::common::types::NODE_TYPE;
use crate::common::world::{Answer, World};
use ebpf_templates::template::rows;
use proptest::prelude::*;
use slabql_query::plan::Template;
use slabql_query::value::Value;

const TEMPLATES: [Template; 3] = [Template::OpenCoded, Template::Iter, Template::List];

/// Asserts that both templates find what the models say.
fn check(era: Era, nodes: u32, cpus: usize, models: &[Model]) {
    let world = World::of(era, nodes, cpus, models);
    let all_can_be = models.iter().all(|model| can_be(&model.figures(era)));
    let expected = if all_can_be { 0 } else { u64::from(rows::TORN.unsigned_abs()) };
    for template in TEMPLATES {
        let Answer { rows, flags, .. } = world.ask(ALL, template);
        assert_eq!((rows.len(), flags), (models.len(), expected), "{era:?} {template:?}");
        for (found, model) in rows.iter().zip(models) {
            let figures = model.figures(era);
            let expected = row(&figures, can_be(&figures));
            assert_eq!(numbers(found), expected, "{era:?} {}", model.name);
        }
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
            nodes: vec![Some(node(count)), None, Some(node(count / 2))],
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
        let expected = model.figures(Era::CpuSlabs).cached_cpu.map(signed);
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
            let [first, second, third] = TEMPLATES.map(|template| world.ask(&text, template).rows);
            assert_eq!(first, second, "{text}");
            assert_eq!(first, third, "{text}");
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
fn what_a_kernel_lacks_is_null_with_a_reason() {
    for (owner, path, column) in [
        ("slab", "inuse", "free_partial"),
        ("slab", "counters", "cached_barns"),
        ("kmem_cache_node", "nr_partial", "free_slabinfo"),
        ("kmem_cache_cpu", "tid", "cached_cpu"),
        ("slub_percpu_sheaves", "spare", "rcu_pending"),
        ("node_barn", "sheaves_full", "cached_barns"),
    ] {
        let mut world = World::of(Era::Both, 1, 1, &[rich("a", 1, 1)]);
        world.types.lacking = vec![(owner, path)];
        let answer = world.ask(&format!("select name, {column}"), Template::OpenCoded);
        assert_eq!((answer.rows.len(), number(&answer.rows[0][1])), (1, None), "{path}");
        let expected = format!("fixture has no {owner}.{path}");
        assert!(answer.notes[0].contains(&expected), "{:?}", answer.notes);
        assert!(!answer.notes[0].ends_with(": "), "{:?}", answer.notes);
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

#[test]
fn what_is_derived_follows() {
    for era in ERAS {
        let models = [rich("a", 3, 2), Model { name: "none".into(), ..Model::default() }];
        let world = World::of(era, 3, 2, &models);
        let rows = world
            .ask(
                "select used, waste, idle, utilization, efficiency, fragmentation",
                Template::OpenCoded,
            )
            .rows;
        let figures = models[0].figures(era);
        // By what the caches of made-up memory are: objects of 40 bytes, 48 apart, in slabs of a page.
        let (memory, used) = (signed(figures.slabs) * 4096, figures.active() * 40);
        let found: Vec<_> = rows[0][..3].iter().map(number).collect();
        assert_eq!(found, [used, memory - used, signed(figures.cached()) * 48].map(Some));
        let share = |part: i64, whole: i64| {
            Value::Float(
                100.0 * part.to_string().parse::<f64>().unwrap()
                    / whole.to_string().parse::<f64>().unwrap(),
            )
        };
        assert_eq!(rows[0][3], share(figures.active(), signed(figures.objects)));
        assert_eq!(rows[0][4], share(used, memory));
        assert_eq!(rows[1][..3], [Value::Int(0), Value::Int(0), Value::UInt(0)]);
        assert!(rows[1][3..].iter().all(|value| *value == Value::Null));
    }
}

#[test]
fn a_kernel_without_cpu_partial_lists() {
    for era in [Era::CpuSlabs, Era::Both] {
        let mut model = rich("a", 1, 3);
        let mut world = World::of(era, 1, 3, std::slice::from_ref(&model));
        world.types.lacking =
            vec![("kmem_cache_cpu", "partial"), ("slab", "next"), ("slab", "slabs")];
        for cpu in &mut model.cpus {
            cpu.partial.clear();
        }
        let answer = world.ask("select cached_cpu, complete", Template::OpenCoded);
        let expected = model.figures(era).cached_cpu.map(signed);
        assert_eq!((number(&answer.rows[0][0]), number(&answer.rows[0][1])), (expected, Some(1)));
    }
}
