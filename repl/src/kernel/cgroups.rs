//! Which memory cgroup owns an object: where the pointer leads that the allocator keeps of it.
//!
//! ```text
//!   object ─ obj_exts ─► struct obj_cgroup ─ memcg ─► mem_cgroup ─ css.cgroup ─► cgroup ◄─ priv, kn ─► kernfs_node: id, name,
//!                                                                                                   parent
//! ```
//!
//! Many objects have few owners, and each is followed once. A node that does not lead back to its cgroup is none any more: it
//! is passed over rather than believed.

use std::collections::HashMap;

use super::lookup::{Memory, Words};
use super::read::ReadError;
use super::schema::KernelSchema;
use super::tree::Tree;
use crate::report::error::Failure;

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

/// The cgroups of owners; none of what leads to none.
fn of_owners(memory: &dyn Words, owners: &[u64]) -> Result<Vec<Option<Cgroup>>, ReadError> {
    let memcgs = memory.follow(owners, offset(memory, "obj_cgroup", &["memcg"])?)?;
    let cgroups = memory.follow(&memcgs, offset(memory, "mem_cgroup", &["css.cgroup"])?)?;
    of_cgroups(memory, &cgroups)
}

/// The same of these `struct cgroup`.
pub fn of_cgroups(memory: &dyn Words, cgroups: &[u64]) -> Result<Vec<Option<Cgroup>>, ReadError> {
    let of_node = |paths| offset(memory, "kernfs_node", paths);
    let nodes = memory.follow(cgroups, offset(memory, "cgroup", &["kn"])?)?;
    let back = memory.follow(&nodes, of_node(&["priv"])?)?;
    let is_one = |at: usize| nodes[at] != 0 && back[at] == cgroups[at];
    let nodes: Vec<u64> =
        (0..nodes.len()).map(|at| if is_one(at) { nodes[at] } else { 0 }).collect();
    let ids = memory.follow(&nodes, of_node(&["id"])?)?;
    let is_root = |_, parent| parent == 0;
    // The parent was renamed in 6.15.
    let (parent, name) = (of_node(&["__parent", "parent"])?, of_node(&["name"])?);
    let paths = Tree { parent, name, is_root, root: b"" }.paths(memory, &nodes)?;
    let cgroup = |(node, id): (&u64, u64)| Some(Cgroup { id, path: paths.get(node)?.clone() });
    Ok(nodes.iter().zip(ids).map(cgroup).collect())
}

/// The offset of the member that has one of these names.
fn offset(memory: &dyn Words, owner: &str, names: &[&str]) -> Result<u64, ReadError> {
    let found = names.iter().find_map(|name| memory.offset(owner, name));
    found.ok_or(ReadError::Malformed("the kernel lacks a member of cgroups"))
}
