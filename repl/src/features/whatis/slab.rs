//! The slab that an address lies in, the object there, and whether it is free.
//!
//! # Where a slab begins
//!
//! The kernel lays a slab of 2^n pages on a multiple of its size. How many pages it has is one of two numbers: the
//! order that the cache asks for, or, where memory was short, the least that one object needs. Each of the two would put
//! its description at another place. A slab is found where the description names the cache and has as many
//! objects as a slab of that order has; nothing is guessed.
//!
//! # Whether an object is free
//!
//! Free objects are on the slab's freelist, on that of a CPU whose slab it is, or in a sheaf of a CPU or a barn. All of
//! these are read. An object on none of them is in use, if nothing moved meanwhile: what would tell of a change is read
//! before and after, and all is read again where it differs, three times in all.

use std::collections::BTreeSet;

use ebpf_templates::insn::Size;
use ebpf_templates::template::lookup::Owner;
use query::schema::{PageArray, Schema};

use crate::kernel::lookup::Memory;
use crate::kernel::read::ReadError;

/// How often what changes is read.
const TRIES: usize = 3;
/// The most entries of a list that is followed: more than a barn has sheaves.
const BARN: usize = 64;

/// The members of a cache that are needed, by path; the last two are not in every kernel.
const MEMBERS: [&str; 7] =
    ["object_size", "size", "oo.x", "min.x", "offset", "red_left_pad", "random"];

/// The cache of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pub addr: u64,
    pub name: Option<Vec<u8>>,
    pub object_size: u64,
    pub size: u64,
    /// Orders and objects of its slabs: what it asks for, and what it takes.
    shapes: [(u64, u64); 2],
    /// Where a free object keeps the pointer to the next.
    free_offset: u64,
    /// The bytes before an object that belong to it.
    pub red_left_pad: u64,
    /// What pointers of freelists are mangled with.
    random: Option<u64>,
}

/// Where the members of a cache lie, as [`Memory::open`] wants them.
pub fn members(schema: &dyn Schema) -> Vec<(i16, Size)> {
    let member = |path: &&str| {
        let member = schema.member("kmem_cache", path)?;
        Some((i16::try_from(member.offset).ok()?, Size::of(member.size)?))
    };
    MEMBERS.iter().filter_map(member).collect()
}

impl Cache {
    /// The cache that a lookup gave; none where the kernel lacks what is needed.
    pub fn new(owner: Owner, schema: &dyn Schema) -> Option<Self> {
        let mut values = owner.members.into_iter();
        let mut value = |path: &str| schema.member("kmem_cache", path).and_then(|_| values.next());
        let [object_size, size, oo, min, free_offset, red_left_pad, random] =
            MEMBERS.map(&mut value);
        let shape = |oo: u64| (oo >> 16, oo & 0xffff);
        Some(Self {
            addr: owner.cache,
            name: owner.name,
            object_size: object_size?,
            size: size.filter(|size| *size > 0)?,
            shapes: [shape(oo?), shape(min?)],
            free_offset: free_offset?,
            red_left_pad: red_left_pad.unwrap_or(0),
            random,
        })
    }
}

/// A slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Its `struct slab`.
    pub description: u64,
    /// Its first byte.
    base: u64,
    /// Its bytes.
    bytes: u64,
    objects: u64,
}

/// The object at an address of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    pub index: u64,
    /// Where it begins.
    pub start: u64,
    /// How far behind that the address is, or before.
    pub offset: i64,
}

impl Slab {
    /// The object that `address` is a part of, its padding included; none behind the last one.
    #[must_use]
    pub fn object(&self, address: u64, cache: &Cache) -> Option<Object> {
        let index = address.checked_sub(self.base)? / cache.size;
        let start = self.base + index * cache.size + cache.red_left_pad;
        let offset = address.wrapping_sub(start).cast_signed();
        (index < self.objects).then_some(Object { index, start, offset })
    }
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Free,
    /// Freed, but readers may still hold it.
    Pending,
    /// Handed out; or, of a cache with `sheaves`, in one that is on its way between a CPU and a barn.
    InUse {
        sheaves: bool,
    },
}

/// What slabs are read by.
pub struct Slabs<'a> {
    pub memory: &'a Memory<'a>,
    pages: Result<PageArray, String>,
}

impl<'a> Slabs<'a> {
    pub fn new(memory: &'a Memory<'a>) -> Self {
        Self { memory, pages: memory.schema.page_array() }
    }

    /// The slab of `cache` that `address` lies in; or why it is not known.
    pub fn find(&self, address: u64, cache: &Cache) -> Result<Result<Slab, String>, ReadError> {
        let pages = match &self.pages {
            Ok(pages) => pages,
            Err(why) => return Ok(Err(why.clone())),
        };
        let (Some(owner), Some(counters), Some(objects)) = (
            self.memory.offset("slab", "slab_cache"),
            self.memory.offset("slab", "counters"),
            self.memory.schema.member("slab", "objects"),
        ) else {
            return Ok(Err("this kernel has no such members of struct slab".to_owned()));
        };
        let Some((first, count)) = objects.bits else {
            return Ok(Err("this kernel has no such members of struct slab".to_owned()));
        };
        let first = 8 * (u64::from(objects.offset).wrapping_sub(counters)) + u64::from(first);
        let mut shapes = cache.shapes.to_vec();
        shapes.dedup();
        let mut found = Vec::new();
        for (order, wanted) in shapes {
            let bytes = self.memory.schema.page_size() << order.min(32);
            let base = address & !(bytes - 1);
            let description = pages.description(base, self.memory.schema.page_size());
            let words = self.memory.words(&[description + owner, description + counters])?;
            let objects = words[1] >> first & ((1 << count) - 1);
            if words[0] == cache.addr && objects == wanted {
                found.push(Slab { description, base, bytes, objects });
            }
        }
        Ok(match found.as_slice() {
            [slab] => Ok(*slab),
            [] => {
                Err("no page descriptor at a possible start of its slab names the cache".to_owned())
            }
            _ => Err("its slab may have either of the cache's two orders".to_owned()),
        })
    }

    /// Which objects of a slab are free; or why that is not known.
    pub fn look(&self, slab: &Slab, cache: &Cache) -> Result<Result<Looked, String>, ReadError> {
        for _ in 0..TRIES {
            let before = match self.places(slab, cache)? {
                Ok(places) => places,
                Err(reason) => return Ok(Err(reason)),
            };
            let free = self.free(slab, cache, &before)?;
            if self.places(slab, cache)?.as_ref() != Ok(&before) {
                continue;
            }
            if let Some(free) = free {
                return Ok(Ok(Looked { free, places: before }));
            }
        }
        Ok(Err("the cache changed while its free objects were read".to_owned()))
    }

    /// The objects of the slab's freelists; none if a list led elsewhere.
    fn free(
        &self,
        slab: &Slab,
        cache: &Cache,
        places: &Places,
    ) -> Result<Option<BTreeSet<u64>>, ReadError> {
        let mut found = BTreeSet::new();
        for head in &places.freelists {
            let mut object = *head;
            while object != 0 {
                let inside = (slab.base..slab.base + slab.bytes).contains(&object);
                // An object that is there twice closes a circle.
                if !inside || !found.insert(object) {
                    return Ok(None);
                }
                let at = object + cache.free_offset;
                let stored = self.memory.word(at)?;
                object = match cache.random {
                    Some(random) => stored ^ random ^ at.swap_bytes(),
                    None => stored,
                };
            }
        }
        Ok(Some(found))
    }
}

/// Which objects of a slab are free.
pub struct Looked {
    /// Those on freelists.
    free: BTreeSet<u64>,
    places: Places,
}

impl Looked {
    /// What is known of an object.
    #[must_use]
    pub fn state(&self, object: u64) -> State {
        if self.places.pending.contains(&object) {
            State::Pending
        } else if self.free.contains(&object) || self.places.held.contains(&object) {
            State::Free
        } else {
            State::InUse { sheaves: self.places.sheaves }
        }
    }
}

/// Where free objects of a cache begin, and what would tell of a change. Two readings of a cache that rests are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    /// The first free objects of the slab: its own list, and those of CPUs whose slab it is.
    freelists: Vec<u64>,
    /// The objects in sheaves.
    held: BTreeSet<u64>,
    /// The objects that wait for readers.
    pending: BTreeSet<u64>,
    /// Counters, transactions, sizes.
    signs: Vec<u64>,
    /// Whether the cache has sheaves.
    sheaves: bool,
}

impl Slabs<'_> {
    /// Reads where free objects begin; or says why that cannot be told.
    fn places(&self, slab: &Slab, cache: &Cache) -> Result<Result<Places, String>, ReadError> {
        let memory = self.memory;
        let (Some(freelist), Some(counters)) =
            (memory.offset("slab", "freelist"), memory.offset("slab", "counters"))
        else {
            return Ok(Err("this kernel has no such members of struct slab".to_owned()));
        };
        let cpus = match memory.schema.cpu_offsets() {
            Ok(cpus) => cpus,
            Err(reason) => return Ok(Err(reason)),
        };
        let words = memory.words(&[slab.description + freelist, slab.description + counters])?;
        let mut places = Places {
            freelists: vec![words[0]],
            held: BTreeSet::new(),
            pending: BTreeSet::new(),
            signs: words,
            sheaves: false,
        };
        self.cpu_slabs(slab, cache, cpus, &mut places)?;
        self.sheaves(cache, cpus, &mut places)?;
        Ok(Ok(places))
    }

    /// Adds the freelists of CPUs whose slab it is: until Linux 6.19.
    fn cpu_slabs(
        &self,
        slab: &Slab,
        cache: &Cache,
        cpus: &[u64],
        places: &mut Places,
    ) -> Result<(), ReadError> {
        let memory = self.memory;
        let member = |path: &str| memory.offset("kmem_cache_cpu", path);
        let (Some(pointer), Some(of), Some(freelist), Some(tid)) = (
            memory.offset("kmem_cache", "cpu_slab"),
            member("slab"),
            member("freelist"),
            member("tid"),
        ) else {
            return Ok(());
        };
        let pointer = memory.word(cache.addr + pointer)?;
        for cpu in cpus {
            let at = pointer.wrapping_add(*cpu);
            let words = memory.words(&[of, freelist, tid].map(|member| at.wrapping_add(member)))?;
            if words[0] == slab.description {
                places.freelists.push(words[1]);
            }
            places.signs.extend(words);
        }
        Ok(())
    }

    /// Adds the objects in sheaves, of CPUs and of barns: from Linux 6.18 on.
    fn sheaves(&self, cache: &Cache, cpus: &[u64], places: &mut Places) -> Result<(), ReadError> {
        let memory = self.memory;
        let of_cpu = |path: &str| memory.offset("slub_percpu_sheaves", path);
        let (Some(pointer), Some(capacity), Some(main), Some(spare), Some(rcu_free)) = (
            memory.offset("kmem_cache", "cpu_sheaves"),
            memory.offset("kmem_cache", "sheaf_capacity"),
            of_cpu("main"),
            of_cpu("spare"),
            of_cpu("rcu_free"),
        ) else {
            return Ok(());
        };
        let words = memory.words(&[cache.addr + pointer, cache.addr + capacity])?;
        let (pointer, capacity) = (words[0], words[1] & 0xffff_ffff);
        if pointer == 0 || capacity == 0 {
            return Ok(());
        }
        places.sheaves = true;
        for cpu in cpus {
            let at = pointer.wrapping_add(*cpu);
            let sheaves =
                memory.words(&[main, spare, rcu_free].map(|member| at.wrapping_add(member)))?;
            places.held.extend(self.sheaf(sheaves[0], capacity)?);
            places.held.extend(self.sheaf(sheaves[1], capacity)?);
            places.pending.extend(self.sheaf(sheaves[2], capacity)?);
        }
        for barn in self.barns(cache)? {
            places.held.extend(self.barn(barn, capacity)?);
        }
        Ok(())
    }

    /// The objects of a sheaf.
    fn sheaf(&self, sheaf: u64, capacity: u64) -> Result<Vec<u64>, ReadError> {
        let memory = self.memory;
        let member = |path: &str| memory.offset("slab_sheaf", path);
        let (Some(size), Some(objects)) = (member("size"), member("objects")) else {
            return Ok(Vec::new());
        };
        if sheaf == 0 {
            return Ok(Vec::new());
        }
        let size = (memory.word(sheaf + size)? & 0xffff_ffff).min(capacity);
        let at: Vec<u64> = (0..size).map(|number| sheaf + objects + 8 * number).collect();
        memory.words(&at)
    }

    /// The barns of a cache.
    fn barns(&self, cache: &Cache) -> Result<Vec<u64>, ReadError> {
        let memory = self.memory;
        let nodes = u64::from(memory.schema.nodes());
        let entries = |path: &str, stride: u64| {
            let first = memory.offset("kmem_cache", path)?;
            Some((0..nodes).map(|node| cache.addr + first + stride * node).collect::<Vec<u64>>())
        };
        // Until 7.0 a node has its barn; from 7.1 on it stands beside the node.
        if let Some(at) = entries("per_node[0].barn", 16) {
            return memory.words(&at);
        }
        let (Some(at), Some(barn)) =
            (entries("node[0]", 8), memory.offset("kmem_cache_node", "barn"))
        else {
            return Ok(Vec::new());
        };
        let nodes = memory.words(&at)?;
        let at: Vec<u64> =
            nodes.iter().filter(|node| **node != 0).map(|node| node + barn).collect();
        memory.words(&at)
    }

    /// The objects in the full sheaves of a barn.
    fn barn(&self, barn: u64, capacity: u64) -> Result<Vec<u64>, ReadError> {
        let memory = self.memory;
        let (Some(full), Some(list)) =
            (memory.offset("node_barn", "sheaves_full"), memory.offset("slab_sheaf", "barn_list"))
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        if barn == 0 {
            return Ok(found);
        }
        let mut at = memory.word(barn + full)?;
        for _ in 0..BARN {
            if at == barn + full || at == 0 {
                break;
            }
            found.extend(self.sheaf(at.wrapping_sub(list), capacity)?);
            at = memory.word(at)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(size: u64, object_size: u64, red_left_pad: u64) -> Cache {
        Cache {
            addr: 1,
            name: None,
            object_size,
            size,
            shapes: [(1, 42), (0, 21)],
            free_offset: 0,
            red_left_pad,
            random: None,
        }
    }

    #[test]
    fn objects_are_counted_from_the_base() {
        let slab = Slab { description: 9, base: 0x2000, bytes: 0x2000, objects: 42 };
        let plain = cache(192, 188, 0);
        let object = |address, cache| slab.object(address, cache);
        assert_eq!(object(0x2000, &plain), Some(Object { index: 0, start: 0x2000, offset: 0 }));
        let second = Some(Object { index: 1, start: 0x20c0, offset: 190 });
        assert_eq!(object(0x20c0 + 190, &plain), second);
        assert_eq!(object(0x2000 + 42 * 192, &plain), None);
        assert_eq!(object(0x1fff, &plain), None);
        // The bytes before an object belong to it.
        let padded = cache(192, 100, 64);
        assert_eq!(object(0x2000, &padded), Some(Object { index: 0, start: 0x2040, offset: -64 }));
    }
}
