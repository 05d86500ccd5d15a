//! Paths in trees of the kernel whose nodes know their parents and names: directory entries, and the folders of cgroups.
//!
//! A level is read at a time, each node once, however many paths lead through it. Nothing is locked, so a path is that of
//! some moment for each of its parts.

use std::collections::HashMap;

use super::lookup::Words;
use super::read::ReadError;

/// Trees are never deeper.
const DEEPEST: usize = 4096;

/// A tree: where its nodes keep what a path needs.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// The offset of the pointer to the parent.
    pub parent: u64,
    /// The offset of the pointer to the name.
    pub name: u64,
    /// Whether a node is the root, by its address and its parent's.
    pub is_root: fn(u64, u64) -> bool,
    /// What the root of a tree is called. Another node without a parent is in no tree, and is called as it is.
    pub root: &'static [u8],
}

impl Tree {
    /// The paths of nodes, from the root, whose path is `/`. A node that leads to no root has none, nor has a pipe.
    pub fn paths(
        &self,
        memory: &dyn Words,
        nodes: &[u64],
    ) -> Result<HashMap<u64, Box<[u8]>>, ReadError> {
        let mut parents = HashMap::<u64, u64>::new();
        let mut rest = nodes.to_vec();
        for _ in 0..DEEPEST {
            rest.sort_unstable();
            rest.dedup();
            rest.retain(|node| *node != 0 && !parents.contains_key(node));
            if rest.is_empty() {
                break;
            }
            let above = memory.words_behind(&rest, self.parent)?;
            parents.extend(rest.iter().copied().zip(above.iter().copied()));
            rest = above;
        }
        let all: Vec<u64> = parents.keys().copied().collect();
        let names = memory.texts(&memory.words_behind(&all, self.name)?)?;
        let names: HashMap<u64, Vec<u8>> = all.into_iter().zip(names).collect();
        let path = |node: &u64| {
            let (mut node, mut parts) = (*node, Vec::new());
            for _ in 0..DEEPEST {
                let parent = *parents.get(&node)?;
                let name = names.get(&node)?.as_slice();
                if (self.is_root)(node, parent) {
                    if parts.is_empty() {
                        let own = if name == self.root { b"/" } else { name };
                        return (!own.is_empty()).then(|| own.into());
                    }
                    parts.push(b"".as_slice());
                    parts.reverse();
                    return Some(parts.join(&b'/').into());
                }
                parts.push(name);
                node = parent;
            }
            None
        };
        Ok(nodes.iter().filter_map(|node| Some((*node, path(node)?))).collect())
    }
}

/// The paths of directory entries in their file systems, by their addresses.
pub fn of_dentries(
    memory: &dyn Words,
    entries: &[u64],
) -> Result<HashMap<u64, Box<[u8]>>, ReadError> {
    let offset = |path| {
        memory.offset("dentry", path).ok_or(ReadError::Malformed("`struct dentry` lacks a member"))
    };
    let is_root = |node, parent| node == parent;
    let (parent, name) = (offset("d_parent")?, offset("d_name.name")?);
    Tree { parent, name, is_root, root: b"/" }.paths(memory, entries)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use query::schema::Schema;

    use super::*;

    /// Memory by words, and nothing of types.
    struct Made(BTreeMap<u64, u64>);

    impl Words for Made {
        fn words(&self, addresses: &[u64]) -> Result<Vec<u64>, ReadError> {
            Ok(addresses.iter().map(|at| self.0.get(at).copied().unwrap_or(0)).collect())
        }

        fn schema(&self) -> &dyn Schema {
            unreachable!("offsets are given")
        }
    }

    #[test]
    fn paths_lead_from_the_root() {
        let long = "n".repeat(255);
        // Each has an address, a parent and a name.
        let nodes: [(u64, u64, &str); 9] = [
            (0x1000, 0x1000, "/"),
            (0x2000, 0x1000, "usr"),
            (0x3000, 0x2000, &long),
            (0x4000, 0x3000, "12345678"),
            // A pipe, and an anonymous inode.
            (0x5000, 0x5000, ""),
            (0x6000, 0x6000, "[eventfd]"),
            // One whose parent is gone, and two that lead to each other.
            (0x7000, 0x9000, "lost"),
            (0xa000, 0xb000, "a"),
            (0xb000, 0xa000, "b"),
        ];
        let mut made = Made(BTreeMap::new());
        for (node, parent, name) in nodes {
            made.0.extend([(node, parent), (node + 8, node + 16)]);
            let bytes: Vec<u8> = name.bytes().chain([0; 8]).collect();
            let words =
                bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            made.0.extend((0..).map(|word| node + 16 + 8 * word).zip(words));
        }
        let is_root = |node, parent| node == parent;
        let tree = Tree { parent: 0, name: 8, is_root, root: b"/" };
        let asked: Vec<u64> = nodes.iter().map(|(node, ..)| *node).chain([0]).collect();
        let found = tree.paths(&made, &asked).unwrap();
        let path =
            |node: u64| found.get(&node).map(|path| String::from_utf8_lossy(path).into_owned());
        let expected = [
            Some("/".to_owned()),
            Some("/usr".to_owned()),
            Some(format!("/usr/{long}")),
            Some(format!("/usr/{long}/12345678")),
            None,
            Some("[eventfd]".to_owned()),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(asked.into_iter().map(path).collect::<Vec<_>>(), expected);
    }
}
