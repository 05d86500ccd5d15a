//! The rows of nodes and CPUs over made-up kernel memory are those that the test's own model says, in all forms that
//! the kernel's structures have had; and a query tests and walks no more than it names.
//!
//! The tests lie beside this file; here is what they share: the queries, caches to ask, and the rows of the model.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)] // tests; small numbers

mod choice;
mod cut;
mod rows;

use crate::common::model::{Cpu, Era, Model, Node, Slab, empty_sheaves, number};
use slabql_query::value::Value;

const NODES: &str = "select name, node, slabs, objects, partial, free_partial, barn_full, barn_empty, cached_barns, \
                     complete from nodes";
const CPUS: &str = "select name, cpu, slab is not null, cpu_free, partial_slabs, partial_free, main, spare, rcu_free, \
                    capacity, complete from cpus";

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
