//! Which objects are kept ready: on the freelists of CPUs' slabs, in sheaves of CPUs and barns. To their slabs they are in
//! use.
//!
//! The lists of all caches are followed side by side, a word of each at a time: a look into memory costs as much for one
//! address as for some hundred.

use std::collections::BTreeSet;

use super::lookup::Words;
use super::read::ReadError;

/// The most objects of a freelist, and the most sheaves of a barn, that are followed.
const STEPS: usize = 32_767;
/// The bits of an address within the largest slab that there may be, of 4 MiB: it begins at a multiple of its size.
const SLAB_MASK: u64 = (4 << 20) - 1;
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

/// An object that is kept ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldObject {
    /// Its address.
    pub addr: u64,
    /// Who keeps it.
    pub holder: Holder,
    /// The cache that it is kept for.
    pub cache: u64,
}

/// The objects that are kept ready, by their addresses.
#[derive(Clone, Debug, Default)]
pub struct Held(Vec<HeldObject>);

/// A freelist that is being followed: the object, where it keeps the pointer, and the secret of its cache.
struct Cursor {
    object: u64,
    offset: u64,
    random: Option<u64>,
    cache: u64,
}

/// A cache with sheaves.
#[derive(Clone, Copy)]
struct Sheaved {
    cache: u64,
    /// Where those of a CPU are kept, before that CPU's distance is added.
    sheaves: u64,
    /// The room of a sheaf.
    capacity: u64,
}

impl Held {
    /// Reads what is kept ready for `caches`.
    pub fn read(memory: &dyn Words, caches: &[u64], cpus: &[u64]) -> Result<Self, ReadError> {
        let mut held = Self::default();
        held.freelists(memory, caches, cpus)?;
        held.sheaves(memory, caches, cpus)?;
        held.0.sort_unstable();
        Ok(held)
    }

    /// Those from `start` on and before `end`.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> &[HeldObject] {
        let from = self.0.partition_point(|held| held.addr < start);
        let rest = &self.0[from..];
        &rest[..rest.partition_point(|held| held.addr < end)]
    }

    /// All of them, in the order of their addresses.
    #[must_use]
    pub fn all(&self) -> &[HeldObject] {
        &self.0
    }

    /// The caches of which other objects are kept ready in `later`.
    #[must_use]
    pub fn moved(&self, later: &Self) -> BTreeSet<u64> {
        let [now, later] = [self, later].map(|held| held.0.iter().collect::<BTreeSet<_>>());
        now.symmetric_difference(&later).map(|held| held.cache).collect()
    }

    /// Adds the freelists of CPUs' slabs: until Linux 6.19.
    fn freelists(
        &mut self,
        memory: &dyn Words,
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
        let pointers = memory.words_behind(caches, pointer)?;
        let offsets = memory.words_behind(caches, offset)?;
        let randoms = match memory.offset("kmem_cache", "random") {
            Some(random) => memory.words_behind(caches, random)?.into_iter().map(Some).collect(),
            None => vec![None; caches.len()],
        };
        let mut cursors = Vec::new();
        for cpu in cpus {
            let bases: Vec<u64> =
                pointers.iter().map(|pointer| pointer.wrapping_add(*cpu)).collect();
            let firsts = memory.words_behind(&bases, freelist)?;
            for (index, object) in firsts.into_iter().enumerate() {
                let offset = offsets[index] & 0xffff_ffff;
                let (random, cache) = (randoms[index], caches[index]);
                cursors.push(Cursor { object, offset, random, cache });
            }
        }
        for _ in 0..STEPS {
            cursors.retain(|cursor| cursor.object != 0);
            if cursors.is_empty() || self.0.len() > MOST {
                break;
            }
            let held = |cursor: &Cursor| HeldObject {
                addr: cursor.object,
                holder: Holder::Cpu,
                cache: cursor.cache,
            };
            self.0.extend(cursors.iter().map(held));
            let at = |cursor: &Cursor| cursor.object.wrapping_add(cursor.offset);
            let stored = memory.words(&cursors.iter().map(at).collect::<Vec<_>>())?;
            for (cursor, stored) in cursors.iter_mut().zip(stored) {
                let next = match cursor.random {
                    Some(random) => stored ^ random ^ at(cursor).swap_bytes(),
                    None => stored,
                };
                // What was allocated meanwhile has no pointer there, and would lead on and on.
                let is_near = next & !SLAB_MASK == cursor.object & !SLAB_MASK;
                cursor.object = if is_near { next } else { 0 };
            }
        }
        Ok(())
    }

    /// Adds the objects in sheaves: from Linux 6.18 on.
    fn sheaves(
        &mut self,
        memory: &dyn Words,
        caches: &[u64],
        cpus: &[u64],
    ) -> Result<(), ReadError> {
        let (Some(pointer), Some(capacity)) = (
            memory.offset("kmem_cache", "cpu_sheaves"),
            memory.offset("kmem_cache", "sheaf_capacity"),
        ) else {
            return Ok(());
        };
        let pointers = memory.words_behind(caches, pointer)?;
        let capacities = memory.words_behind(caches, capacity)?;
        let cache = |index: usize| Sheaved {
            cache: caches[index],
            sheaves: pointers[index],
            capacity: capacities[index] & 0xffff_ffff,
        };
        let with: Vec<Sheaved> = (0..caches.len())
            .map(cache)
            .filter(|cache| cache.sheaves != 0 && cache.capacity != 0)
            .collect();
        for (path, holder) in
            [("main", Holder::Sheaf), ("spare", Holder::Sheaf), ("rcu_free", Holder::Rcu)]
        {
            let Some(member) = memory.offset("slub_percpu_sheaves", path) else { continue };
            for cpu in cpus {
                let bases: Vec<u64> =
                    with.iter().map(|cache| cache.sheaves.wrapping_add(*cpu)).collect();
                let sheaves = memory.words_behind(&bases, member)?;
                self.of_sheaves(memory, sheaves.into_iter().zip(with.iter().copied()), holder)?;
            }
        }
        self.barns(memory, &with)
    }

    /// Adds the objects in these sheaves, each of a cache.
    fn of_sheaves(
        &mut self,
        memory: &dyn Words,
        sheaves: impl Iterator<Item = (u64, Sheaved)>,
        holder: Holder,
    ) -> Result<(), ReadError> {
        let (Some(size), Some(objects)) =
            (memory.offset("slab_sheaf", "size"), memory.offset("slab_sheaf", "objects"))
        else {
            return Ok(());
        };
        let sheaves: Vec<(u64, Sheaved)> = sheaves.filter(|(sheaf, _)| *sheaf != 0).collect();
        let at: Vec<u64> = sheaves.iter().map(|(sheaf, _)| *sheaf).collect();
        let sizes = memory.words_behind(&at, size)?;
        let (mut places, mut caches) = (Vec::new(), Vec::new());
        for ((sheaf, of), size) in sheaves.iter().zip(sizes) {
            let count = (size & 0xffff_ffff).min(of.capacity);
            let first = sheaf.wrapping_add(objects);
            places.extend((0..count).map(|number| first.wrapping_add(8 * number)));
            caches.resize(places.len(), of.cache);
        }
        let found = memory.words(&places)?.into_iter().zip(caches).filter(|(addr, _)| *addr != 0);
        self.0.extend(found.map(|(addr, cache)| HeldObject { addr, holder, cache }));
        Ok(())
    }

    /// Adds the objects in the full sheaves of barns.
    fn barns(&mut self, memory: &dyn Words, with: &[Sheaved]) -> Result<(), ReadError> {
        let (Some(full), Some(list)) =
            (memory.offset("node_barn", "sheaves_full"), memory.offset("slab_sheaf", "barn_list"))
        else {
            return Ok(());
        };
        let caches: Vec<u64> = with.iter().map(|cache| cache.cache).collect();
        for node in 0..u64::from(memory.schema().nodes()) {
            // Until 7.0 a node has its barn; from 7.1 on it stands beside the node.
            let barns = if let Some(first) = memory.offset("kmem_cache", "per_node[0].barn") {
                memory.words_behind(&caches, first + 16 * node)?
            } else if let (Some(first), Some(barn)) =
                (memory.offset("kmem_cache", "node[0]"), memory.offset("kmem_cache_node", "barn"))
            {
                let nodes = memory.words_behind(&caches, first + 8 * node)?;
                let barns = memory.words_behind(&nodes, barn)?;
                let has = |(node, barn): (u64, u64)| if node == 0 { 0 } else { barn };
                nodes.into_iter().zip(barns).map(has).collect()
            } else {
                return Ok(());
            };
            // The head of each list, where it is, and the cache.
            let mut open: Vec<(u64, u64, Sheaved)> = barns
                .iter()
                .zip(with)
                .filter(|(barn, _)| **barn != 0)
                .map(|(barn, cache)| (barn.wrapping_add(full), *cache))
                .map(|(head, cache)| (head, head, cache))
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
                let sheaves = open.iter().map(|(_, at, cache)| (at.wrapping_sub(list), *cache));
                self.of_sheaves(memory, sheaves, Holder::Barn)?;
            }
        }
        Ok(())
    }
}
