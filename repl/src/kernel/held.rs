//! Which objects are kept ready: on the freelists of CPUs' slabs, in sheaves of CPUs and barns. To their slabs they are in
//! use.
//!
//! The lists of all caches are followed side by side, a word of each at a time: a look into memory costs as much for one
//! address as for some hundred.

use super::lookup::Memory;
use super::read::ReadError;

/// The most objects of a freelist, and the most sheaves of a barn, that are followed.
const STEPS: usize = 32_767;
/// The most objects that are remembered.
const MOST: usize = 1 << 22;

/// Who keeps an object ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The freelist of a CPU's slab.
    Cpu,
    /// A CPU's sheaf.
    Sheaf,
    /// A sheaf of a barn.
    Barn,
    /// A sheaf that waits for an RCU grace period.
    Rcu,
}

impl Holder {
    /// What `state` says in `objects`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Sheaf => "sheaf",
            Self::Barn => "barn",
            Self::Rcu => "rcu",
        }
    }
}

/// The objects that are kept ready, by their addresses.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<(u64, Holder)>);

/// A freelist that is being followed: the object, where it keeps the pointer, and the secret of its cache.
struct Cursor {
    object: u64,
    offset: u64,
    random: Option<u64>,
}

impl Held {
    /// Reads what is kept ready for `caches`.
    pub fn read(memory: &Memory<'_>, caches: &[u64], cpus: &[u64]) -> Result<Self, ReadError> {
        let mut held = Self::default();
        held.freelists(memory, caches, cpus)?;
        held.sheaves(memory, caches, cpus)?;
        held.0.sort_unstable();
        Ok(held)
    }

    /// Those from `start` on and before `end`.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> &[(u64, Holder)] {
        let from = self.0.partition_point(|(object, _)| *object < start);
        let rest = &self.0[from..];
        &rest[..rest.partition_point(|(object, _)| *object < end)]
    }

    /// Adds the freelists of CPUs' slabs: until Linux 6.19.
    fn freelists(
        &mut self,
        memory: &Memory<'_>,
        caches: &[u64],
        cpus: &[u64],
    ) -> Result<(), ReadError> {
        let (Some(pointer), Some(offset), Some(freelist)) = (
            memory.offset("kmem_cache", "cpu_slab"),
            memory.offset("kmem_cache", "offset"),
            memory.offset("kmem_cache_cpu", "freelist"),
        ) else {
            return Ok(());
        };
        let pointers = members(memory, caches, pointer)?;
        let offsets = members(memory, caches, offset)?;
        let randoms = match memory.offset("kmem_cache", "random") {
            Some(random) => members(memory, caches, random)?.into_iter().map(Some).collect(),
            None => vec![None; caches.len()],
        };
        let mut cursors = Vec::new();
        for cpu in cpus {
            let bases: Vec<u64> =
                pointers.iter().map(|pointer| pointer.wrapping_add(*cpu)).collect();
            let firsts = members(memory, &bases, freelist)?;
            for (index, object) in firsts.into_iter().enumerate() {
                let offset = offsets[index] & 0xffff_ffff;
                cursors.push(Cursor { object, offset, random: randoms[index] });
            }
        }
        for _ in 0..STEPS {
            cursors.retain(|cursor| cursor.object != 0);
            if cursors.is_empty() || self.0.len() > MOST {
                break;
            }
            self.0.extend(cursors.iter().map(|cursor| (cursor.object, Holder::Cpu)));
            let at = |cursor: &Cursor| cursor.object.wrapping_add(cursor.offset);
            let stored = memory.words(&cursors.iter().map(at).collect::<Vec<_>>())?;
            for (cursor, stored) in cursors.iter_mut().zip(stored) {
                cursor.object = match cursor.random {
                    Some(random) => stored ^ random ^ at(cursor).swap_bytes(),
                    None => stored,
                };
            }
        }
        Ok(())
    }

    /// Adds the objects in sheaves: from Linux 6.18 on.
    fn sheaves(
        &mut self,
        memory: &Memory<'_>,
        caches: &[u64],
        cpus: &[u64],
    ) -> Result<(), ReadError> {
        let (Some(pointer), Some(capacity)) = (
            memory.offset("kmem_cache", "cpu_sheaves"),
            memory.offset("kmem_cache", "sheaf_capacity"),
        ) else {
            return Ok(());
        };
        let (pointers, capacities) =
            (members(memory, caches, pointer)?, members(memory, caches, capacity)?);
        let with: Vec<(u64, u64, u64)> = (0..caches.len())
            .map(|index| (caches[index], pointers[index], capacities[index] & 0xffff_ffff))
            .filter(|(_, pointer, capacity)| *pointer != 0 && *capacity != 0)
            .collect();
        for (path, holder) in
            [("main", Holder::Sheaf), ("spare", Holder::Sheaf), ("rcu_free", Holder::Rcu)]
        {
            let Some(member) = memory.offset("slub_percpu_sheaves", path) else { continue };
            for cpu in cpus {
                let bases: Vec<u64> =
                    with.iter().map(|(_, pointer, _)| pointer.wrapping_add(*cpu)).collect();
                let sheaves = members(memory, &bases, member)?;
                self.of_sheaves(
                    memory,
                    sheaves.into_iter().zip(with.iter().map(|it| it.2)),
                    holder,
                )?;
            }
        }
        self.barns(memory, &with)
    }

    /// Adds the objects in these sheaves, each of which has room for so many.
    fn of_sheaves(
        &mut self,
        memory: &Memory<'_>,
        sheaves: impl Iterator<Item = (u64, u64)>,
        holder: Holder,
    ) -> Result<(), ReadError> {
        let (Some(size), Some(objects)) =
            (memory.offset("slab_sheaf", "size"), memory.offset("slab_sheaf", "objects"))
        else {
            return Ok(());
        };
        let sheaves: Vec<(u64, u64)> = sheaves.filter(|(sheaf, _)| *sheaf != 0).collect();
        let at: Vec<u64> = sheaves.iter().map(|(sheaf, _)| *sheaf).collect();
        let sizes = members(memory, &at, size)?;
        let mut places = Vec::new();
        for ((sheaf, capacity), size) in sheaves.iter().zip(sizes) {
            let count = (size & 0xffff_ffff).min(*capacity);
            places.extend((0..count).map(|number| sheaf + objects + 8 * number));
        }
        let found = memory.words(&places)?.into_iter().filter(|object| *object != 0);
        self.0.extend(found.map(|object| (object, holder)));
        Ok(())
    }

    /// Adds the objects in the full sheaves of barns.
    fn barns(&mut self, memory: &Memory<'_>, with: &[(u64, u64, u64)]) -> Result<(), ReadError> {
        let (Some(full), Some(list)) =
            (memory.offset("node_barn", "sheaves_full"), memory.offset("slab_sheaf", "barn_list"))
        else {
            return Ok(());
        };
        let caches: Vec<u64> = with.iter().map(|(cache, ..)| *cache).collect();
        for node in 0..u64::from(memory.schema.nodes()) {
            // Until 7.0 a node has its barn; from 7.1 on it stands beside the node.
            let barns = if let Some(first) = memory.offset("kmem_cache", "per_node[0].barn") {
                members(memory, &caches, first + 16 * node)?
            } else if let (Some(first), Some(barn)) =
                (memory.offset("kmem_cache", "node[0]"), memory.offset("kmem_cache_node", "barn"))
            {
                let nodes = members(memory, &caches, first + 8 * node)?;
                let barns = members(memory, &nodes, barn)?;
                let has = |(node, barn): (u64, u64)| if node == 0 { 0 } else { barn };
                nodes.into_iter().zip(barns).map(has).collect()
            } else {
                return Ok(());
            };
            // The head of each list, where it is, and the room of its sheaves.
            let mut open: Vec<(u64, u64, u64)> = barns
                .iter()
                .zip(with)
                .filter(|(barn, _)| **barn != 0)
                .map(|(barn, (.., capacity))| (barn + full, barn + full, *capacity))
                .collect();
            for _ in 0..STEPS {
                let at: Vec<u64> = open.iter().map(|(_, at, _)| *at).collect();
                for (entry, next) in open.iter_mut().zip(memory.words(&at)?) {
                    entry.1 = next;
                }
                open.retain(|(head, at, _)| head != at && *at != 0);
                if open.is_empty() || self.0.len() > MOST {
                    break;
                }
                let sheaves = open.iter().map(|(_, at, room)| (at.wrapping_sub(list), *room));
                self.of_sheaves(memory, sheaves, Holder::Barn)?;
            }
        }
        Ok(())
    }
}

/// The words so far behind each address.
fn members(memory: &Memory<'_>, bases: &[u64], offset: u64) -> Result<Vec<u64>, ReadError> {
    let at: Vec<u64> = bases.iter().map(|base| base.wrapping_add(offset)).collect();
    memory.words(&at)
}
