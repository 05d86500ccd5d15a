//! The rows of nodes and CPUs over made-up kernel memory are those that the test's own model says, in all forms that
//! the kernel's structures have had; and a query tests and walks no more than it names.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

use crate::common;
use crate::common::model::{Cpu, ERAS, Era, Model, Node, Slab, empty_sheaves, number};
use crate::common::world::World;
use ebpf_templates::template::rows;
use proptest::prelude::*;
use slabql_query::plan::Template;
use slabql_query::value::Value;

const NODES: &str = "select name, node, slabs, objects, partial, free_partial, barn_full, barn_empty, cached_barns, \
                     complete from nodes";
const CPUS: &str = "select name, cpu, slab is not null, cpu_free, partial_slabs, partial_free, main, spare, rcu_free, \
                    capacity, complete from cpus";
const FULL: u64 = 1;
const CUT: u64 = 4;

#[test]
fn flags_are_what_this_file_says() {
    assert_eq!([FULL, CUT], [rows::FULL, rows::CUT].map(|flag| u64::from(flag.unsigned_abs())));
}

/// A row: the cache, and its numbers.
type Row = (String, Vec<Option<i64>>);

fn row(name: &str, numbers: &[Option<u64>]) -> Row {
    (name.to_owned(), numbers.iter().map(|number| number.map(u64::cast_signed)).collect())
}

/// The rows that [`NODES`] is to find.
fn node_rows(era: Era, models: &[Model]) -> Vec<Row> {
    let mut found = Vec::new();
    for model in models {
        for (index, node) in model.nodes.iter().enumerate() {
            let Some(node) = node.as_ref().filter(|node| !node.only_barn) else { continue };
            let sheaves = (era != Era::CpuSlabs).then(|| match &node.barn {
                Some(full) if model.capacity > 0 => [
                    full.len() as u64,
                    empty_sheaves(full),
                    full.iter().copied().map(u64::from).sum(),
                ],
                _ => [0; 3],
            });
            let [full, empty, cached] = [0, 1, 2].map(|index| sheaves.map(|found| found[index]));
            let free = node.partial.iter().map(|slab| slab.free()).sum();
            let numbers = [
                Some(index as u64),
                Some(node.slabs()),
                Some(node.objects()),
                Some(node.partial.len() as u64),
                Some(free),
                full,
                empty,
                cached,
                Some(1),
            ];
            found.push(row(&model.name, &numbers));
        }
    }
    found
}

/// The rows that [`CPUS`] is to find on a machine with this many.
fn cpu_rows(era: Era, cpus: usize, models: &[Model]) -> Vec<Row> {
    let mut found = Vec::new();
    for model in models {
        for index in 0..cpus {
            let cpu = model.cpus.get(index).cloned().unwrap_or_default();
            let slabs = (era != Era::Sheaves).then(|| {
                let slab = cpu.slab.map_or(0, |(slab, listed)| slab.free() + u64::from(listed));
                let partial = cpu.partial.iter().map(|slab| slab.free()).sum();
                [u64::from(cpu.slab.is_some()), slab, cpu.partial.len() as u64, partial]
            });
            let sheaves = (era != Era::CpuSlabs).then(|| {
                let held = |size: Option<u32>| size.filter(|_| model.capacity > 0).unwrap_or(0);
                let [main, spare, rcu] = cpu.sheaves.map(|size| u64::from(held(size)));
                [main, spare, rcu, model.capacity.into()]
            });
            let mut numbers = vec![Some(index as u64)];
            numbers.extend([0, 1, 2, 3].map(|at| slabs.map(|found| found[at])));
            // Whether there is one is known even where there is none of any cache.
            numbers[1] = Some(numbers[1].unwrap_or(0));
            numbers.extend([0, 1, 2, 3].map(|at| sheaves.map(|found| found[at])));
            numbers.push(Some(1));
            found.push(row(&model.name, &numbers));
        }
    }
    found
}

fn found(rows: &[Vec<Value>]) -> Vec<Row> {
    let row = |row: &Vec<Value>| {
        let Value::Text(name) = &row[0] else { panic!("{row:?}") };
        let name = String::from_utf8(name.to_vec()).unwrap();
        (name, row[1..].iter().map(number).collect())
    };
    rows.iter().map(row).collect()
}

/// Asserts that both tables have the rows of the models.
fn check(era: Era, nodes: u32, cpus: usize, models: &[Model]) {
    let world = World::of(era, nodes, cpus, models);
    for (text, expected) in [(NODES, node_rows(era, models)), (CPUS, cpu_rows(era, cpus, models))] {
        let answer = world.ask(text, Template::OpenCoded);
        assert_eq!(found(&answer.rows), expected, "{era:?} {text}");
        assert_eq!(answer.flags, 0);
    }
}

fn list(count: usize) -> Vec<Slab> {
    (0..count).map(|index| Slab { objects: 32, inuse: (index * 7 % 31) as u16 }).collect()
}

/// A cache with figures that tell its nodes and CPUs apart.
fn rich(name: &str, nodes: usize, cpus: usize) -> Model {
    let node = |index: usize| Node {
        partial: list(index * 3 + 1),
        full_objects: 64 + 8 * index as u64,
        barn: (index % 4 != 3).then(|| (0..index as u32).map(|sheaf| 32 - sheaf).collect()),
        only_barn: false,
    };
    let cpu = |index: usize| Cpu {
        slab: (index % 4 != 3)
            .then_some((Slab { objects: 32, inuse: 30 - index as u16 % 8 }, index as u16 % 30)),
        partial: list(index % 6),
        sheaves: [
            Some(7 + index as u32 % 20),
            (index.is_multiple_of(2)).then_some(30 - index as u32 % 9),
            (index.is_multiple_of(3)).then_some(1 + index as u32 % 5),
        ],
    };
    Model {
        name: name.to_owned(),
        capacity: 32,
        // Every third node has no memory.
        nodes: (0..nodes).map(|index| (index % 3 != 1).then(|| node(index))).collect(),
        cpus: (0..cpus).map(cpu).collect(),
    }
}

fn bare(name: &str) -> Model {
    Model { name: name.to_owned(), ..Model::default() }
}

#[test]
fn rows_are_those_of_the_parts() {
    for era in ERAS {
        for (nodes, cpus) in [(1, 1), (2, 4), (8, 64)] {
            let mut without_sheaves = rich("without", nodes, cpus);
            without_sheaves.capacity = 0;
            let mut models =
                [rich("first", nodes, cpus), bare("bare"), without_sheaves, rich("", nodes, cpus)];
            // A machine whose first node has no memory.
            models[3].nodes[0] = None;
            check(era, nodes as u32, cpus, &models);
        }
        check(era, 2, 4, &[]);
    }
}

#[test]
fn a_barn_without_a_node_makes_no_row() {
    let mut model = rich("barn", 3, 2);
    model.nodes[1] = Some(Node { barn: Some(vec![32; 5]), only_barn: true, ..Node::default() });
    check(Era::Sheaves, 3, 2, &[model, rich("next", 3, 2)]);
}

prop_compose! {
    fn any_model(nodes: usize, cpus: usize)(
        name in "[a-z]{0,9}",
        capacity in prop_oneof![Just(0), 1..64_u32],
        there in prop::collection::vec(any::<bool>(), nodes),
        sizes in prop::collection::vec((0..9_usize, 0..1000_u64, prop::option::of(0..9_usize)), nodes),
        held in prop::collection::vec(
            (prop::option::of(0..30_u16), 0..6_usize, prop::array::uniform3(prop::option::of(0..60_u32))),
            cpus,
        ),
    ) -> Model {
        let nodes = there.iter().zip(sizes).map(|(there, (partial, full_objects, barn))| {
            there.then(|| Node {
                partial: list(partial),
                full_objects,
                barn: barn.map(|full| vec![31; full]),
                only_barn: false,
            })
        });
        let cpus = held.into_iter().map(|(listed, partial, sheaves)| Cpu {
            slab: listed.map(|listed| (Slab { objects: 40, inuse: 10 + listed }, listed)),
            partial: list(partial),
            sheaves,
        });
        Model { name, capacity, nodes: nodes.collect(), cpus: cpus.collect() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn rows_equal_the_model(models in prop::collection::vec(any_model(5, 6), 0..5)) {
        for era in ERAS {
            check(era, 5, 6, &models);
        }
    }
}

#[test]
fn conditions_choose_rows() {
    let models = [rich("a", 8, 9), bare("b"), rich("c", 8, 9), rich("d", 8, 9)];
    let nodes = [
        "node = 2",
        "name = 'c'",
        "name = 'a' or node = 5",
        "node in (0, 3) and slabs > 9",
        "free_partial > 60",
        "node > 1 and free_partial between 20 and 150 and name <> 'a'",
        "cached_barns > 60",
        "barn_full = 2 and barn_empty = 7",
        "slabs - partial > 9 or cached_barns = 0",
        "complete and node <> 2",
        "not complete",
        "length(name) = 1 and node < 3",
    ];
    let cpus = [
        "cpu = 3",
        "name = 'c' and cpu >= 4",
        "capacity = 0 or cpu = 8",
        "cpu in (1, 2) and main > 8",
        "slab is null",
        "cpu_free > 5 and partial_slabs < 4",
        "partial_free = 0",
        "cpu_free + partial_free > 50",
        "main + spare > 40 and rcu_free = 0",
        "name like 'a%' or main = 9",
        "complete and cpu < 2",
        "not complete",
    ];
    for era in ERAS {
        let world = World::of(era, 8, 9, &models);
        for (all, conditions) in [(NODES, nodes), (CPUS, cpus)] {
            let whole = world.ask(all, Template::OpenCoded).rows;
            let mut chosen = 0;
            for condition in conditions {
                let text = format!("{all} where {condition}");
                let [pushed, kept] = [true, false].map(|pushdown| {
                    let target = common::kernel(Template::OpenCoded, pushdown);
                    world.run(&world.compile_for(&text, target, 1)).rows
                });
                assert_eq!(pushed, kept, "{era:?} {text}");
                assert!(pushed.iter().all(|row| whole.contains(row)), "{era:?} {text}");
                chosen += usize::from((1..whole.len()).contains(&pushed.len()));
            }
            assert!(chosen >= 5, "{era:?}: {chosen} conditions choose");
        }
        let answer = world.ask(&format!("{NODES} where node = 2"), Template::OpenCoded);
        let expected: Vec<Row> =
            node_rows(era, &models).into_iter().filter(|(_, row)| row[0] == Some(2)).collect();
        assert_eq!(found(&answer.rows), expected);
        let answer = world.ask(&format!("{CPUS} where cpu = 3"), Template::OpenCoded);
        let expected: Vec<Row> =
            cpu_rows(era, 9, &models).into_iter().filter(|(_, row)| row[0] == Some(3)).collect();
        assert_eq!(found(&answer.rows), expected);
    }
}

fn listing(era: Era, text: &str) -> String {
    World::of(era, 2, 4, &[]).compile(text, Template::OpenCoded).2.listing()
}

/// Asserts that the listing has all of these, in this order.
fn in_order(listing: &str, wanted: &[&str]) {
    let mut rest = listing;
    for what in wanted {
        let at = rest.find(what);
        let at = at.unwrap_or_else(|| panic!("no `{what}` behind those before it in\n{listing}"));
        rest = &rest[at + what.len()..];
    }
}

#[test]
fn conditions_on_the_cache_are_tested_once_and_before_its_parts() {
    for era in ERAS {
        let text = listing(
            era,
            "select name from nodes where free_partial < 9 and slabs > 3 and node = 1 and name = 'a' and addr > 5",
        );
        let order = [
            "where addr > 5",
            "where name = 'a'",
            "may_goto",
            "where slabs > 3",
            "where node = 1",
            "the partial list of the node",
            "where free_partial < 9",
            "the row,",
        ];
        in_order(&text, &order);
    }
    let text = "select name from nodes where cached_barns > 1 and free_partial < 9 and complete and node = 0";
    for era in [Era::Both, Era::Sheaves] {
        let order = [
            "where node = 0",
            "the partial list of the node",
            "where free_partial < 9",
            "the barn of the node",
            "where cached_barns > 1",
            "where complete",
            "the row,",
        ];
        in_order(&listing(era, text), &order);
    }
    for (era, figure) in [(Era::CpuSlabs, "cpu_free"), (Era::Both, "main"), (Era::Sheaves, "main")]
    {
        let text = listing(
            era,
            &format!(
                "select name, slab from cpus where {figure} > 2 and cpu = 1 and name = 'a' and addr > 5"
            ),
        );
        let figure = format!("where {figure} > 2");
        in_order(
            &text,
            &[
                "where addr > 5",
                "where name = 'a'",
                "may_goto",
                "where cpu = 1",
                &figure,
                "the row,",
            ],
        );
    }
}

#[test]
fn only_what_is_named_is_walked() {
    let freelist = "\nobject:";
    let [partial, sheaf, node_list] =
        ["\ncpu_partial:", "\nno_sheaf:", "the partial list of the node"];
    let [barn, barn_list] = ["the barn of the node", "\nsheaf:"];
    let cases: [(&str, &[&str]); 14] = [
        ("select name, cpu from cpus", &[]),
        ("select name, cpu, complete from cpus", &[]),
        ("select name, cpu, capacity from cpus where cpu > 1", &[]),
        ("select name, cpu, main from cpus", &[sheaf]),
        ("select name, cpu, main, rcu_free from cpus where spare > 1", &[sheaf]),
        ("select name, slab from cpus", &[]),
        ("select name, cpu_free from cpus", &[freelist]),
        ("select name, partial_slabs from cpus", &[partial]),
        ("select name, slab from cpus where partial_free > 3", &[partial]),
        ("select name, cpu_free, partial_free, main from cpus", &[freelist, partial, sheaf]),
        ("select name, node, slabs, objects, partial, complete from nodes", &[]),
        ("select name, free_partial from nodes", &[node_list]),
        ("select name, barn_full, barn_empty from nodes", &[barn]),
        ("select name, cached_barns from nodes", &[barn, barn_list]),
    ];
    for (text, wanted) in cases {
        let listing = listing(Era::Both, text);
        for walk in [freelist, partial, sheaf, node_list, barn, barn_list] {
            assert_eq!(listing.contains(walk), wanted.contains(&walk), "{walk} {text}\n{listing}");
        }
    }
}

/// What is walked by itself comes to the same as with everything else.
#[test]
fn figures_do_not_depend_on_what_else_is_named() {
    let models = [rich("a", 4, 9), rich("b", 4, 9)];
    for era in ERAS {
        let world = World::of(era, 4, 9, &models);
        for (all, table) in [(NODES, "nodes"), (CPUS, "cpus")] {
            let items = all.strip_prefix("select ").unwrap().split(" from ").next().unwrap();
            let whole = world.ask(all, Template::OpenCoded).rows;
            for (index, item) in items.split(", ").enumerate() {
                let text = format!("select {} from {table}", item.trim());
                let alone = world.ask(&text, Template::OpenCoded).rows;
                let column: Vec<Vec<Value>> =
                    whole.iter().map(|row| vec![row[index].clone()]).collect();
                assert_eq!(alone, column, "{era:?} {text}");
            }
        }
    }
}

#[test]
fn rows_hold_nothing_of_earlier_ones() {
    let models = [rich("a long name of a cache", 8, 9), bare(""), rich("b", 8, 9)];
    for era in ERAS {
        let world = World::of(era, 8, 9, &models);
        for text in [NODES, CPUS, "select cpu, name from cpus", "select node, name from nodes"] {
            let (_, _, program) = world.compile(text, Template::OpenCoded);
            let [first, second] = [0xaa, 0x55].map(|dirt| world.raw(&program, dirt));
            assert!(!first.0.is_empty());
            assert_eq!(first, second, "{era:?} {text}");
        }
    }
}

#[test]
fn rows_that_have_no_room_are_said_and_fit_with_more() {
    let models: Vec<Model> = (0..60).map(|index| rich(&format!("cache-{index}"), 8, 64)).collect();
    let world = World::of(Era::Both, 8, 64, &models);
    let target = common::kernel(Template::OpenCoded, true);
    let text = "select name, cpu, main from cpus";
    let expected: Vec<Row> = cpu_rows(Era::Both, 64, &models)
        .into_iter()
        .map(|(name, row)| (name, vec![row[0], row[5]]))
        .collect();
    let mut counts = Vec::new();
    for factor in [1, 4, 16] {
        let answer = world.run(&world.compile_for(text, target, factor));
        let rows = found(&answer.rows);
        assert_eq!(rows, expected[..rows.len()], "the first rows, whole");
        let full = rows.len() < expected.len();
        assert_eq!(answer.flags, if full { FULL } else { 0 }, "{factor}");
        counts.push(rows.len());
    }
    assert!(counts[0] >= 512 && counts[0] < counts[1] && counts[2] == 60 * 64, "{counts:?}");
    // A condition leaves room.
    let answer = world.ask(&format!("{text} where cpu = 63"), Template::OpenCoded);
    assert_eq!((answer.rows.len(), answer.flags), (60, 0));
}

/// Whatever the kernel leaves of the loops: it is said, and a row that says it is complete is true.
#[test]
fn a_loop_that_the_kernel_ends_is_said() {
    let models = ["a", "b"].map(|name| rich(name, 4, 4));
    for era in ERAS {
        let mut world = World::of(era, 4, 4, &models);
        for text in [NODES, CPUS] {
            world.budget = 1 << 20;
            let whole = world.ask(text, Template::OpenCoded).rows;
            let mut cut = 0;
            for budget in 0..150 {
                world.budget = budget;
                let answer = world.ask(text, Template::OpenCoded);
                let complete = |row: &&Vec<Value>| row.last() == Some(&Value::Bool(true));
                let true_rows = answer.rows.iter().filter(complete);
                let count = true_rows.clone().count();
                assert!(
                    true_rows.clone().all(|row| whole.contains(row)),
                    "{era:?} {text} {budget}"
                );
                // The step that would find a loop at its end may be the one that the kernel ends.
                let said = answer.flags & CUT != 0;
                assert!(said || count == whole.len(), "{era:?} {text} {budget}");
                cut += usize::from(count < whole.len());
            }
            assert!(cut > 5, "{era:?} {text}: {cut}");
        }
    }
}

/// A name has room for 255 bytes in a row; one that is cut says so, wherever its characters end.
#[test]
fn a_long_name_is_cut_and_says_so() {
    let sizes = [0, 1, 254, 255, 256, 257, 300, 4000];
    let names: Vec<String> = sizes.iter().map(|size| "n".repeat(*size)).collect();
    let models: Vec<Model> =
        names.iter().map(|name| Model { name: name.clone(), ..rich("", 1, 2) }).collect();
    let expected: Vec<String> = names
        .iter()
        .map(|name| if name.len() > 255 { format!("{}…", &name[..255]) } else { name.clone() })
        .collect();
    for era in ERAS {
        let world = World::of(era, 1, 2, &models);
        for (text, parts) in [
            ("select name, slabs", 1),
            ("select name, slabs from nodes", 1),
            ("select name, cpu from cpus", 2),
        ] {
            let rows = found(&world.ask(text, Template::OpenCoded).rows);
            let names: Vec<&String> = rows.iter().map(|(name, _)| name).collect();
            let expected: Vec<&String> =
                expected.iter().flat_map(|name| std::iter::repeat_n(name, parts)).collect();
            assert_eq!(names, expected, "{era:?} {text}");
        }
    }
    // The cut goes by bytes.
    let umlauts = Model { name: "é".repeat(128), ..Model::default() };
    let world = World::of(Era::Both, 1, 1, &[umlauts]);
    let Value::Text(name) = &world.ask("select name", Template::OpenCoded).rows[0][0] else {
        panic!("no text")
    };
    let half = ["é".repeat(127).as_bytes(), b"\xc3", "…".as_bytes()].concat();
    assert_eq!(**name, *half);
}
