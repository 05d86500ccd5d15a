//! Which memory cgroup owns an object: where the pointer leads that the allocator keeps of it.
//!
//! ```text
//!   object ─ obj_exts ─► struct obj_cgroup ─ memcg ─► mem_cgroup ─ css.cgroup ─► cgroup ◄─ priv, kn ─► kernfs_node: id, name,
//!                                                                                                   parent
//! ```
//!
//! Many objects have few owners, and each is followed once. A node that does not lead back to its cgroup is none any more: it
//! is passed over rather than believed.

use std::collections::{BTreeMap, HashMap};

use super::lookup::{Memory, Words};
use super::read::ReadError;
use super::schema::KernelSchema;
use crate::report::error::Failure;

/// Cgroups are never deeper.
const DEEPEST: usize = 4096;
/// The bytes of a name, with its NUL, at most.
const NAME_MAX: usize = 256;

/// A cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// The inode of its directory.
    pub id: u64,
    /// Its path in its hierarchy: `/` of the root.
    pub path: Box<[u8]>,
}

/// The cgroups of owners, as far as they were asked for.
pub struct Cgroups<'a> {
    schema: &'a KernelSchema,
    known: HashMap<u64, Option<Cgroup>>,
}

/// The offsets of the members on the way.
struct Offsets {
    memcg: u64,
    cgroup: u64,
    kn: u64,
    back: u64,
    id: u64,
    name: u64,
    parent: u64,
}

impl<'a> Cgroups<'a> {
    /// Knows none.
    #[must_use]
    pub fn new(schema: &'a KernelSchema) -> Self {
        Self { schema, known: HashMap::new() }
    }

    /// The cgroup of an owner that was asked for, by the address of its `struct obj_cgroup`.
    #[must_use]
    pub fn of(&self, owner: u64) -> Option<&Cgroup> {
        self.known.get(&owner)?.as_ref()
    }

    /// Asks for those of owners that are new.
    pub fn learn(&mut self, owners: impl Iterator<Item = u64>) -> Result<(), Failure> {
        let mut new = Vec::new();
        let mut last = 0;
        for owner in owners {
            // Neighbours mostly have the same.
            if owner != last && owner != 0 && !self.known.contains_key(&owner) {
                self.known.insert(owner, None);
                new.push(owner);
            }
            last = owner;
        }
        if !new.is_empty() {
            let memory = Memory::of_words(self.schema)?;
            let found = of_owners(&memory, &new)?;
            self.known.extend(new.into_iter().zip(found));
        }
        Ok(())
    }
}

impl Offsets {
    fn of(memory: &dyn Words) -> Result<Self, ReadError> {
        let offset = |owner: &str, paths: &[&str]| {
            let found = paths.iter().find_map(|path| memory.offset(owner, path));
            found.ok_or(ReadError::Malformed("the kernel lacks a member of cgroups"))
        };
        Ok(Self {
            memcg: offset("obj_cgroup", &["memcg"])?,
            cgroup: offset("mem_cgroup", &["css.cgroup"])?,
            kn: offset("cgroup", &["kn"])?,
            back: offset("kernfs_node", &["priv"])?,
            id: offset("kernfs_node", &["id"])?,
            name: offset("kernfs_node", &["name"])?,
            // Renamed in 6.15.
            parent: offset("kernfs_node", &["__parent", "parent"])?,
        })
    }
}

/// The cgroups of owners; none of what leads to none.
fn of_owners(memory: &dyn Words, owners: &[u64]) -> Result<Vec<Option<Cgroup>>, ReadError> {
    let offsets = Offsets::of(memory)?;
    let memcgs = follow(memory, owners, offsets.memcg)?;
    let cgroups = follow(memory, &memcgs, offsets.cgroup)?;
    of_cgroups(memory, &cgroups)
}

/// The same of these `struct cgroup`.
pub fn of_cgroups(memory: &dyn Words, cgroups: &[u64]) -> Result<Vec<Option<Cgroup>>, ReadError> {
    let offsets = Offsets::of(memory)?;
    let nodes = follow(memory, cgroups, offsets.kn)?;
    let back = follow(memory, &nodes, offsets.back)?;
    let is_one = |at: &usize| nodes[*at] != 0 && back[*at] == cgroups[*at];
    let nodes = (0..nodes.len()).map(|at| if is_one(&at) { nodes[at] } else { 0 });
    let nodes: Vec<u64> = nodes.collect();
    let found = of_nodes(memory, &offsets, &nodes)?;
    Ok(nodes.iter().map(|node| found.get(node).cloned()).collect())
}

/// The pointers so far behind each address; 0 behind 0.
fn follow(memory: &dyn Words, from: &[u64], offset: u64) -> Result<Vec<u64>, ReadError> {
    let words = memory.words_behind(from, offset)?;
    Ok(from.iter().zip(words).map(|(from, word)| if *from == 0 { 0 } else { word }).collect())
}

/// The cgroups of these nodes of kernfs.
fn of_nodes(
    memory: &dyn Words,
    offsets: &Offsets,
    nodes: &[u64],
) -> Result<BTreeMap<u64, Cgroup>, ReadError> {
    // All nodes from these up to the roots, and the parent of each.
    let mut parents = BTreeMap::<u64, u64>::new();
    let mut rest: Vec<u64> = nodes.iter().copied().filter(|node| *node != 0).collect();
    for _ in 0..DEEPEST {
        rest.sort_unstable();
        rest.dedup();
        rest.retain(|node| !parents.contains_key(node));
        if rest.is_empty() {
            break;
        }
        let above = follow(memory, &rest, offsets.parent)?;
        parents.extend(rest.iter().copied().zip(above.iter().copied()));
        rest = above.into_iter().filter(|node| *node != 0).collect();
    }
    let all: Vec<u64> = parents.keys().copied().collect();
    let ids = follow(memory, &all, offsets.id)?;
    let names = texts(memory, &follow(memory, &all, offsets.name)?)?;
    let names: BTreeMap<u64, Vec<u8>> = all.iter().copied().zip(names).collect();
    let path = |mut node: u64| {
        let mut parts = Vec::new();
        for _ in 0..DEEPEST {
            let above = parents.get(&node).copied().unwrap_or(0);
            // The root has no name.
            let Some(name) = names.get(&node).filter(|_| above != 0) else { break };
            parts.push(name.as_slice());
            node = above;
        }
        parts.push(b"");
        parts.reverse();
        if parts.len() == 1 { b"/".to_vec() } else { parts.join(&b'/') }
    };
    let cgroup = |(node, id): (&u64, u64)| (*node, Cgroup { id, path: path(*node).into() });
    Ok(all.iter().zip(ids).map(cgroup).collect())
}

/// The texts at these addresses.
fn texts(memory: &dyn Words, addresses: &[u64]) -> Result<Vec<Vec<u8>>, ReadError> {
    let mut found = vec![Vec::new(); addresses.len()];
    let mut open: Vec<usize> = (0..addresses.len()).filter(|at| addresses[*at] != 0).collect();
    for step in 0..NAME_MAX / 8 {
        if open.is_empty() {
            break;
        }
        let at = |index: &usize| addresses[*index].wrapping_add(8 * step as u64);
        let words = memory.words(&open.iter().map(at).collect::<Vec<_>>())?;
        let mut longer = Vec::new();
        for (index, word) in open.into_iter().zip(words) {
            let bytes = word.to_le_bytes();
            let end = bytes.iter().position(|byte| *byte == 0);
            found[index].extend(&bytes[..end.unwrap_or(8)]);
            if end.is_none() {
                longer.push(index);
            }
        }
        open = longer;
    }
    Ok(found)
}
