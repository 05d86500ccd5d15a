//! Conditions choose rows, and as early as they can; what is not named is not walked, and changes no figure.

use super::{CPUS, NODES, Row, bare, cpu_rows, found, node_rows, rich};
use crate::common;
use crate::common::model::{ERAS, Era};
use crate::common::world::World;
use slabql_query::plan::Template;
use slabql_query::value::Value;

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
