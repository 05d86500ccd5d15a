//! All rows of both tables are those of the model, and hold nothing of earlier ones.

use super::{CPUS, NODES, bare, cpu_rows, found, list, node_rows, rich};
use crate::common::model::{Cpu, ERAS, Era, Model, Node, Slab};
use crate::common::world::World;
use proptest::prelude::*;
use slabql_query::plan::Template;

/// Asserts that both tables have the rows of the models.
fn check(era: Era, nodes: u32, cpus: usize, models: &[Model]) {
    let world = World::of(era, nodes, cpus, models);
    for (text, expected) in [(NODES, node_rows(era, models)), (CPUS, cpu_rows(era, cpus, models))] {
        let answer = world.ask(text, Template::OpenCoded);
        assert_eq!(found(&answer.rows), expected, "{era:?} {text}");
        assert_eq!(answer.flags, 0);
    }
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
