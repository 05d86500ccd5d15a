//! A made-up cache as a test thinks of it: what is free in it, and where.
#![allow(clippy::cast_possible_truncation)] // the numbers are small

use slabql_query::value::Value;

/// Which of the kernel's forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// CPU slabs and CPU partial lists alone (until 6.17).
    CpuSlabs,
    /// Both; a barn is a member of its node (6.18, 6.19).
    Both,
    /// Sheaves alone; `per_node[]` holds barns and nodes (from 7.1 on).
    Sheaves,
}

pub const ERAS: [Era; 3] = [Era::CpuSlabs, Era::Both, Era::Sheaves];

/// A partly filled slab: its objects, and how many of them are in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slab {
    pub objects: u16,
    pub inuse: u16,
}

impl Slab {
    pub fn free(self) -> u64 {
        u64::from(self.objects - self.inuse)
    }
}

/// A node: its partial list, the objects of its full slabs, and the sizes of its barn's full sheaves.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub partial: Vec<Slab>,
    pub full_objects: u64,
    pub barn: Option<Vec<u32>>,
    /// From 7.1 on a node without memory has a barn only.
    pub only_barn: bool,
}

/// What a CPU holds ready.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// The CPU slab, and the objects on its freelist.
    pub slab: Option<(Slab, u16)>,
    pub partial: Vec<Slab>,
    /// The sizes of `main`, `spare` and `rcu_free`.
    pub sheaves: [Option<u32>; 3],
}

/// A cache.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub name: String,
    pub capacity: u32,
    pub nodes: Vec<Option<Node>>,
    pub cpus: Vec<Cpu>,
}

/// What a query is to find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub slabs: u64,
    pub objects: u64,
    pub free_partial: u64,
    pub free_slabinfo: u64,
    pub cached_cpu: Option<u64>,
    pub cached_sheaves: Option<u64>,
    pub cached_barns: Option<u64>,
    pub rcu_pending: Option<u64>,
}

impl Node {
    pub fn slabs(&self) -> u64 {
        // Whatever the full ones are: a number that shows when it is summed wrongly.
        self.partial.len() as u64 + self.full_objects / 8
    }

    pub fn objects(&self) -> u64 {
        self.full_objects + self.partial.iter().map(|slab| u64::from(slab.objects)).sum::<u64>()
    }
}

/// What `count_partial_free_approx()` says of a node, written after the kernel's source.
pub fn slabinfo_free(node: &Node) -> u64 {
    let nr_partial = node.partial.len() as u64;
    if nr_partial <= 10_000 {
        return node.partial.iter().map(|slab| slab.free()).sum();
    }
    let (mut x, mut scanned) = (0, 0);
    for slab in node.partial.iter().take(5_000).chain(node.partial.iter().rev().take(5_000)) {
        x += slab.free();
        scanned += 1;
    }
    // mult_frac()
    let (quotient, remainder) = (x / scanned, x % scanned);
    (quotient * nr_partial + remainder * nr_partial / scanned).min(node.objects())
}

/// The empty sheaves of a barn with these full ones: a number that shows which barn it is of.
pub fn empty_sheaves(full: &[u32]) -> u64 {
    3 + 2 * full.len() as u64
}

impl Model {
    pub fn figures(&self, era: Era) -> Figures {
        let nodes = || self.nodes.iter().flatten().filter(|node| !node.only_barn);
        let sheaves = era != Era::CpuSlabs;
        let held = |which: usize| -> u64 {
            let sizes = self.cpus.iter().filter_map(|cpu| cpu.sheaves[which]);
            if self.capacity == 0 { 0 } else { sizes.map(u64::from).sum() }
        };
        let barns = || -> u64 {
            let sheaves = self.nodes.iter().flatten().filter_map(|node| node.barn.as_ref());
            if self.capacity == 0 { 0 } else { sheaves.flatten().copied().map(u64::from).sum() }
        };
        Figures {
            slabs: nodes().map(Node::slabs).sum(),
            objects: nodes().map(Node::objects).sum(),
            free_partial: nodes().flat_map(|node| &node.partial).map(|slab| slab.free()).sum(),
            free_slabinfo: nodes().map(slabinfo_free).sum(),
            cached_cpu: (era != Era::Sheaves).then(|| {
                let of = |cpu: &Cpu| {
                    let slab = cpu.slab.map_or(0, |(slab, listed)| slab.free() + u64::from(listed));
                    slab + cpu.partial.iter().map(|slab| slab.free()).sum::<u64>()
                };
                self.cpus.iter().map(of).sum()
            }),
            cached_sheaves: sheaves.then(|| held(0) + held(1)),
            cached_barns: sheaves.then(barns),
            rcu_pending: sheaves.then(|| held(2)),
        }
    }
}

impl Figures {
    pub fn cached(&self) -> u64 {
        [self.cached_cpu, self.cached_sheaves, self.cached_barns, self.rcu_pending]
            .into_iter()
            .flatten()
            .sum()
    }

    pub fn active(&self) -> i64 {
        self.objects.cast_signed() - self.free_partial.cast_signed() - self.cached().cast_signed()
    }
}

/// Every figure.
pub const ALL: &str = "select name, slabs, objects, free_partial, free_slabinfo, cached_cpu, cached_sheaves, \
                   cached_barns, rcu_pending, cached, active, active_slabinfo, complete";

pub fn signed(value: u64) -> i64 {
    value.cast_signed()
}

/// The row of [`ALL`] that figures come to.
pub fn row(figures: &Figures, complete: bool) -> Vec<Option<i64>> {
    vec![
        Some(signed(figures.slabs)),
        Some(signed(figures.objects)),
        Some(signed(figures.free_partial)),
        Some(signed(figures.free_slabinfo)),
        figures.cached_cpu.map(signed),
        figures.cached_sheaves.map(signed),
        figures.cached_barns.map(signed),
        figures.rcu_pending.map(signed),
        Some(signed(figures.cached())),
        Some(figures.active()),
        Some(figures.objects.cast_signed() - figures.free_slabinfo.cast_signed()),
        Some(complete.into()),
    ]
}

pub fn numbers(row: &[Value]) -> Vec<Option<i64>> {
    row[1..].iter().map(number).collect()
}

/// Whether no more is free than there is.
pub fn can_be(figures: &Figures) -> bool {
    figures.active() >= 0 && figures.free_slabinfo <= figures.objects
}

/// A number of an answer; none for NULL.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::UInt(value) => Some(i64::try_from(*value).unwrap()),
        Value::Int(value) => Some(*value),
        Value::Bool(value) => Some((*value).into()),
        other => panic!("{other:?} is no number"),
    }
}

pub fn slab(objects: u16, inuse: u16) -> Slab {
    Slab { objects, inuse }
}

/// A list of slabs whose free objects differ from place to place.
pub fn list(count: u64) -> Vec<Slab> {
    (0..count)
        .map(|index| slab(32, (index * 7 % 31 + u64::from(index % 10_007 == 3)) as u16))
        .collect()
}

pub fn node(count: u64) -> Node {
    Node { partial: list(count), full_objects: 640, ..Node::default() }
}

/// A cache with something everywhere.
pub fn rich(name: &str, nodes: usize, cpus: usize) -> Model {
    let sheaves = |index: usize| {
        [Some(7), index.is_multiple_of(2).then_some(32), index.is_multiple_of(3).then_some(5)]
    };
    Model {
        name: name.to_owned(),
        capacity: 32,
        nodes: (0..nodes)
            .map(|index| {
                (index % 3 != 1).then(|| Node {
                    partial: list(index as u64 * 3),
                    full_objects: 64_000 + index as u64,
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
