//! Counts the instructions that the programs of a query take as a kernel grows beyond the machines at hand, in the
//! interpreter over a made-up kernel (the form of 6.18): slabs on a partial list, CPUs, caches.
//!
//! Prints a line for each, `series,x,who,instructions`; `repl/benches/growth` collects them.
#![allow(missing_docs, clippy::unwrap_used)] // nothing is documented here; a broken query may panic

#[path = "../tests/common/mod.rs"]
mod common;

use common::kernel;
use common::model::{Cpu, Era, Model, Node, list, rich};
use common::world::World;
use slabql_query::plan::Template;

/// What each is called, and what it asks.
const QUERIES: [(&str, &str); 3] = [
    ("slabql members", "select name, objects"),
    ("slabql active", "select name, active"),
    ("slabql all walks", "select name, active, cached, active_slabinfo, complete"),
];
/// Objects of full slabs: more than all CPUs hold, or walks would be taken for torn and begun again.
const FULL: u64 = 100_000;
/// Caches, CPUs and slabs where another of them grows.
const CACHES: usize = 100;
const CPUS: usize = 2;
const SLABS: u64 = 10;
/// What a cache takes of a CPU's area.
const PERCPU: usize = 64;
/// Space for the rows of so many first runs.
const ROOM: u32 = 64;

fn main() {
    // `cargo bench` hands over `--bench`; `cargo test --benches` does not, and is to build this alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    for slabs in [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000] {
        count("interpreter: slabs", slabs, &world(1, CPUS, slabs));
    }
    for cpus in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        count("interpreter: CPUs", cpus as u64, &world(CACHES, cpus, SLABS));
    }
    for caches in [50, 100, 200, 500, 1_000, 2_000, 5_000] {
        count("interpreter: caches", caches as u64, &world(caches, CPUS, SLABS));
    }
}

/// A kernel of equal caches: each with one node, and the same on each CPU.
fn world(caches: usize, cpus: usize, slabs: u64) -> World {
    let cpu: Cpu = rich("", 0, 2).cpus.remove(1);
    let node = Node { partial: list(slabs), full_objects: FULL, ..Node::default() };
    let mut world = World::with_area(caches * PERCPU, Era::Both, 1, cpus, true);
    for number in 0..caches {
        world.put(&Model {
            name: format!("cache-{number}"),
            capacity: 32,
            nodes: vec![Some(node.clone())],
            cpus: vec![cpu.clone(); cpus],
        });
    }
    world
}

fn count(series: &str, x: u64, world: &World) {
    for (who, query) in QUERIES {
        let compiled = world.compile_for(query, kernel(Template::OpenCoded, true), ROOM);
        let answer = world.run(&compiled);
        assert_eq!(answer.rows.len(), world.caches.len(), "{series} {x}: {who}");
        assert!(answer.notes.is_empty(), "{series} {x}: {who}: {:?}", answer.notes);
        assert_eq!(answer.flags, 0, "{series} {x}: {who}");
        println!("{series},{x},{who},{}", world.steps.get());
    }
}
