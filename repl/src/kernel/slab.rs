//! Reads slabs by their page descriptors, and follows their freelists, without a lock.
//!
//! ```text
//!   address ──► page ──► the first page of its slab ──► its figures ──► its freelist
//!                                                          └──► what CPUs and barns hold of it
//! ```
//!
//! # Consistency
//!
//! What is said of a slab is read before and after its freelist is followed: its descriptor, and which of its objects
//! CPUs and barns hold ready. Where the two differ all is read again, a few times; a slab that differs each time is told
//! as one that [changes](Look::Changes), and nothing else is said of it.

use std::collections::BTreeSet;

use ebpf_templates::template::vmemmap::{MAX_ORDER, Vmemmap};
use query::codegen;
use query::schema::PageArray;

use super::held::{Held, HeldObject};
use super::lookup::Words;
use super::read::ReadError;

/// How often what changes is read.
const TRIES: usize = 4;

/// How a cache lays out its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// From one object to the next.
    pub size: u64,
    /// What users of the cache see of an object.
    pub object_size: u64,
    /// The bytes before an object that belong to it.
    pub red_left_pad: u64,
    /// Where a free object keeps the pointer to the next.
    pub free_offset: u64,
    /// What these pointers are mangled with.
    pub random: Option<u64>,
    /// Whether CPUs hold free objects in sheaves.
    pub has_sheaves: bool,
}

impl Shape {
    /// Those of `caches`; none of what is no cache.
    pub fn read(memory: &dyn Words, caches: &[u64]) -> Result<Vec<Option<Self>>, ReadError> {
        let member = |path: &str| -> Result<Option<Vec<u64>>, ReadError> {
            let Some(member) = memory.schema().member("kmem_cache", path) else { return Ok(None) };
            let bits = 8 * member.size.clamp(1, 8);
            let words = memory.words_behind(caches, member.offset.into())?;
            Ok(Some(words.into_iter().map(|word| word << (64 - bits) >> (64 - bits)).collect()))
        };
        let paths = ["size", "object_size", "red_left_pad", "offset", "random", "sheaf_capacity"]
            .map(member);
        let [size, object_size, red_left_pad, free_offset, random, sheaves] = paths;
        let (size, object_size, free_offset) = (size?, object_size?, free_offset?);
        let (red_left_pad, random, sheaves) = (red_left_pad?, random?, sheaves?);
        let shape = |index: usize| {
            let at = |words: &Option<Vec<u64>>| words.as_ref().map(|words| words[index]);
            Some(Self {
                size: at(&size).filter(|size| *size > 0)?,
                object_size: at(&object_size)?,
                red_left_pad: at(&red_left_pad).unwrap_or(0),
                free_offset: at(&free_offset)?,
                random: at(&random),
                has_sheaves: at(&sheaves).is_some_and(|capacity| capacity > 0),
            })
        };
        Ok((0..caches.len()).map(shape).collect())
    }
}

/// A slab, as its page descriptor has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Its `struct slab`.
    pub description: u64,
    /// The number of its first page.
    pub pfn: u64,
    /// It has 2 to the power of this many pages.
    pub order: u32,
    /// Its first byte.
    pub start: u64,
    /// Its bytes.
    pub bytes: u64,
    /// The address of its cache.
    pub cache: u64,
    /// The first free object; 0 if there is none.
    pub freelist: u64,
    /// What changes when an object is allocated or freed.
    pub counters: u64,
    /// The objects that it has, used or free.
    pub objects: u64,
    /// Those that it counts as used.
    pub inuse: u64,
    /// Whether a CPU holds it.
    pub frozen: bool,
}

/// The object at an address of a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number in the slab.
    pub index: u64,
    /// Where it begins.
    pub start: u64,
    /// How far behind that the address is, or before.
    pub offset: i64,
}

impl Slab {
    /// The object that `address` is a part of, its padding included; none behind the last one.
    #[must_use]
    pub fn object(&self, address: u64, shape: &Shape) -> Option<Object> {
        let index = address.checked_sub(self.start)? / shape.size;
        let start = self.start + index * shape.size + shape.red_left_pad;
        let offset = address.wrapping_sub(start).cast_signed();
        (index < self.objects).then_some(Object { index, start, offset })
    }

    /// Whether an object begins at `address`.
    #[must_use]
    pub fn has(&self, address: u64, shape: &Shape) -> bool {
        self.object(address, shape).is_some_and(|object| object.offset == 0)
    }

    /// Whether it is a page of KFENCE, which looks like a slab with an object that is neither used nor free.
    #[must_use]
    pub fn is_kfence(&self) -> bool {
        !self.frozen && (self.objects, self.inuse, self.freelist) == (1, 0, 0)
    }
}

/// A freelist, as far as it was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freelist {
    /// Its objects, each once.
    pub objects: BTreeSet<u64>,
    /// How it ends.
    pub end: End,
}

/// How a freelist ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Null,
    /// Where no object of the slab begins.
    Elsewhere(u64),
    /// At an object that it has been at: a circle.
    Again(u64),
}

/// A slab that stayed as it was while it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The slab.
    pub slab: Slab,
    /// How its objects lie.
    pub shape: Shape,
    /// Its own freelist.
    pub free: Freelist,
    /// What CPUs and barns hold within its pages.
    pub held: Vec<HeldObject>,
}

/// What looking at a slab came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It stayed as it was.
    Rests(Box<Looked>),
    /// It changed each time.
    Changes,
    /// It is none any more.
    Gone,
}

/// What slabs are read by.
pub struct Slabs<'a> {
    memory: &'a dyn Words,
    pages: Vmemmap,
    array: PageArray,
    page_size: u64,
    cpus: &'a [u64],
}

impl<'a> Slabs<'a> {
    /// Opens them; or says why they cannot be read.
    pub fn new(memory: &'a dyn Words, cpus: &'a [u64]) -> Result<Self, String> {
        let schema = memory.schema();
        let pages = codegen::pages(schema).map_err(|lacking| lacking.message)?;
        Ok(Self { memory, pages, array: schema.page_array()?, page_size: schema.page_size(), cpus })
    }

    /// The slabs that begin at these pages; none where none does.
    pub fn at(&self, pages: &[u64]) -> Result<Vec<Option<Slab>>, ReadError> {
        let Vmemmap { slab, freelist, flags, page_type, head, slab_page, bytes, .. } = self.pages;
        let offsets = [
            page_type,
            flags,
            bytes + flags,
            slab.slab_cache.into(),
            freelist.into(),
            slab.peek.counters.into(),
        ];
        let at = |offset: i32| -> Result<Vec<u64>, ReadError> {
            let records: Vec<u64> = pages.iter().map(|pfn| self.record(*pfn)).collect();
            self.memory.words_behind(&records, offset.unsigned_abs().into())
        };
        let mut words = Vec::with_capacity(offsets.len());
        for offset in offsets {
            words.push(at(offset)?);
        }
        let found = |index: usize| {
            let word = |member: usize| words[member][index];
            if word(0) >> 24 & 0xff != u64::from(slab_page) {
                return None;
            }
            let is_head = word(1) >> head & 1 == 1;
            let order = if is_head { (word(2) & 0xff) as u32 } else { 0 };
            let order = if order <= MAX_ORDER.unsigned_abs() { order } else { 0 };
            let (pfn, counters) = (pages[index], word(5));
            Some(Slab {
                description: self.record(pfn),
                pfn,
                order,
                start: self.array.page_offset.wrapping_add(pfn.wrapping_mul(self.page_size)),
                bytes: self.page_size << order,
                cache: word(3),
                freelist: word(4),
                counters,
                objects: slab.objects.of(counters),
                inuse: slab.inuse.of(counters),
                frozen: slab.frozen.is_some_and(|frozen| frozen.of(counters) == 1),
            })
        };
        Ok((0..pages.len()).map(found).collect())
    }

    /// Whether each of these addresses of the kernel's own mapping is a `kmalloc` of whole pages; none where the kernel does
    /// not mark their descriptors. Linux 6.16 does, 6.12 does not.
    pub fn are_large(&self, addresses: &[u64]) -> Result<Option<Vec<bool>>, ReadError> {
        let Some(large) = self.memory.schema().enumerator("pagetype", "PGTY_large_kmalloc") else {
            return Ok(None);
        };
        let records: Vec<u64> = self.pages_of(addresses).map(|pfn| self.record(pfn)).collect();
        let at = self.pages.page_type.unsigned_abs().into();
        let types = self.memory.words_behind(&records, at)?;
        Ok(Some(types.into_iter().map(|word| (word >> 24 & 0xff).cast_signed() == large).collect()))
    }

    /// The page descriptor of a page.
    fn record(&self, pfn: u64) -> u64 {
        self.array.base.wrapping_add(pfn.wrapping_mul(self.array.record))
    }

    /// The pages of addresses.
    fn pages_of(&self, addresses: &[u64]) -> impl Iterator<Item = u64> {
        let page = |address: &u64| address.wrapping_sub(self.array.page_offset) / self.page_size;
        addresses.iter().map(page)
    }

    /// The slabs that these addresses of the kernel's own mapping lie in; none where one lies in none.
    pub fn of(&self, addresses: &[u64]) -> Result<Vec<Option<Slab>>, ReadError> {
        let pages: Vec<u64> = self.pages_of(addresses).collect();
        let mut found = vec![None; addresses.len()];
        // A slab of 2^n pages begins at a multiple of 2^n.
        for order in 0..=MAX_ORDER {
            let first = |page: u64| page >> order << order;
            let asked = |index: &usize| {
                let page: u64 = pages[*index];
                let known = order > 0 && first(page) == page >> (order - 1) << (order - 1);
                found[*index].is_none() && !known
            };
            let open: Vec<usize> = (0..pages.len()).filter(asked).collect();
            let firsts: Vec<u64> = open.iter().map(|index| first(pages[*index])).collect();
            for (index, slab) in open.into_iter().zip(self.at(&firsts)?) {
                found[index] = slab.filter(|slab| pages[index] - slab.pfn < 1 << slab.order);
            }
        }
        Ok(found)
    }

    /// The freelists of slabs, followed side by side.
    fn freelists(&self, slabs: &[(Slab, Shape)]) -> Result<Vec<Freelist>, ReadError> {
        let list = |_: &(Slab, Shape)| Freelist { objects: BTreeSet::new(), end: End::Null };
        let mut lists: Vec<Freelist> = slabs.iter().map(list).collect();
        let mut open: Vec<(usize, u64)> =
            slabs.iter().map(|(slab, _)| slab.freelist).enumerate().collect();
        loop {
            // Each step takes an object of the slab that was not there before, so the lists end.
            open.retain(|(index, object)| {
                let (slab, shape) = &slabs[*index];
                let list = &mut lists[*index];
                if *object == 0 {
                } else if !slab.has(*object, shape) {
                    list.end = End::Elsewhere(*object);
                } else if !list.objects.insert(*object) {
                    list.end = End::Again(*object);
                } else {
                    return true;
                }
                false
            });
            if open.is_empty() {
                return Ok(lists);
            }
            let at =
                |(index, object): &(usize, u64)| object.wrapping_add(slabs[*index].1.free_offset);
            let stored = self.memory.words(&open.iter().map(at).collect::<Vec<_>>())?;
            for (cursor, stored) in open.iter_mut().zip(stored) {
                cursor.1 = match slabs[cursor.0].1.random {
                    Some(random) => stored ^ random ^ at(cursor).swap_bytes(),
                    None => stored,
                };
            }
        }
    }

    /// Looks at the slabs that begin at these pages.
    pub fn look(&self, pages: &[u64]) -> Result<Vec<Look>, ReadError> {
        let mut looks = vec![Look::Changes; pages.len()];
        for _ in 0..TRIES {
            let open: Vec<usize> =
                (0..pages.len()).filter(|index| looks[*index] == Look::Changes).collect();
            if open.is_empty() {
                break;
            }
            for (index, look) in open.iter().zip(self.look_once(&open, pages)?) {
                looks[*index] = look;
            }
        }
        Ok(looks)
    }

    /// One look at those of `pages` that `open` has the numbers of.
    fn look_once(&self, open: &[usize], pages: &[u64]) -> Result<Vec<Look>, ReadError> {
        let pages: Vec<u64> = open.iter().map(|index| pages[*index]).collect();
        let before = self.at(&pages)?;
        let caches: BTreeSet<u64> = before.iter().flatten().map(|slab| slab.cache).collect();
        let caches: Vec<u64> = caches.into_iter().collect();
        let shapes = Shape::read(self.memory, &caches)?;
        let shape = |slab: Slab| {
            let index = caches.binary_search(&slab.cache).ok()?;
            Some((slab, shapes[index]?))
        };
        let slabs: Vec<Option<(Slab, Shape)>> =
            before.into_iter().map(|slab| slab.and_then(shape)).collect();
        let there: Vec<(Slab, Shape)> = slabs.iter().flatten().copied().collect();
        let first = Held::read(self.memory, &caches, self.cpus)?;
        let mut lists = self.freelists(&there)?.into_iter();
        let second = Held::read(self.memory, &caches, self.cpus)?;
        let after = self.at(&pages)?;
        let look = |(slab, after): (Option<(Slab, Shape)>, Option<Slab>)| {
            let Some((slab, shape)) = slab else { return Look::Gone };
            let free = lists.next().unwrap_or_else(|| unreachable!("a list for each slab"));
            let held = |held: &Held| held.within(slab.start, slab.start + slab.bytes).to_vec();
            let rests = after == Some(slab) && held(&first) == held(&second);
            if !rests {
                return Look::Changes;
            }
            Look::Rests(Box::new(Looked { slab, shape, free, held: held(&first) }))
        };
        Ok(slabs.into_iter().zip(after).map(look).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ebpf_templates::template::peek::Peek;
    use ebpf_templates::template::slab::Bits;
    use query::schema::Schema;

    use super::*;
    use crate::kernel::btf::Kind;
    use crate::kernel::btf::tests::Builder;
    use crate::kernel::schema::KernelSchema;

    fn shape(size: u64, red_left_pad: u64) -> Shape {
        Shape {
            size,
            object_size: size,
            red_left_pad,
            free_offset: 0,
            random: None,
            has_sheaves: false,
        }
    }

    #[test]
    fn objects_are_counted_from_the_start() {
        let slab = Slab {
            description: 9,
            pfn: 2,
            order: 1,
            start: 0x2000,
            bytes: 0x2000,
            cache: 1,
            freelist: 0,
            counters: 0,
            objects: 42,
            inuse: 42,
            frozen: false,
        };
        let plain = shape(192, 0);
        let object = |address, shape| slab.object(address, shape);
        assert_eq!(object(0x2000, &plain), Some(Object { index: 0, start: 0x2000, offset: 0 }));
        let second = Some(Object { index: 1, start: 0x20c0, offset: 190 });
        assert_eq!(object(0x20c0 + 190, &plain), second);
        assert_eq!(object(0x2000 + 42 * 192, &plain), None);
        assert_eq!(object(0x1fff, &plain), None);
        // The bytes before an object belong to it.
        let padded = shape(192, 64);
        assert_eq!(object(0x2000, &padded), Some(Object { index: 0, start: 0x2040, offset: -64 }));
        assert!(slab.has(0x2040, &padded) && !slab.has(0x2000, &padded));
    }

    /// The memory of a made-up kernel, whose types are those of 6.18 as far as they matter.
    struct Made {
        schema: KernelSchema,
        words: BTreeMap<u64, u64>,
    }

    impl Words for Made {
        fn words(&self, addresses: &[u64]) -> Result<Vec<u64>, ReadError> {
            Ok(addresses.iter().map(|at| self.words.get(at).copied().unwrap_or(0)).collect())
        }

        fn schema(&self) -> &dyn Schema {
            &self.schema
        }
    }

    const BASE: u64 = 0xffff_ea00_0000_0000;
    const DIRECT: u64 = 0xffff_8880_0000_0000;
    const CACHE: u64 = DIRECT + 0x10_0000;
    const RANDOM: u64 = 0x1234_5678_9abc_def0;
    const SIZE: u64 = 256;
    const FREE: u64 = 128;

    impl Made {
        fn new() -> Self {
            let mut builder = Builder::new();
            let int = builder.int("unsigned int", 4, 0);
            let long = builder.int("unsigned long", 8, 0);
            let members = [
                ("size", int, 0, 0),
                ("object_size", int, 32, 0),
                ("offset", int, 64, 0),
                ("random", long, 128, 0),
            ];
            let _ = builder.members(Kind::Struct, "kmem_cache", 24, &members);
            let schema = KernelSchema::of(builder.finish(), 1, "6.18").unwrap();
            let mut made = Self { schema, words: BTreeMap::new() };
            // Words overlap where members are narrower.
            made.words.insert(CACHE, (250 << 32) + SIZE);
            made.words.insert(CACHE + 4, (FREE << 32) + 250);
            made.words.insert(CACHE + 8, FREE);
            made.words.insert(CACHE + 16, RANDOM);
            made
        }

        /// Puts a slab of 2^`order` pages and so many objects there.
        fn slab(&mut self, pfn: u64, order: u64, objects: u64, inuse: u64) {
            let record = BASE + 64 * pfn;
            self.words.insert(record, u64::from(order > 0) << 6);
            self.words.insert(record + 64, order);
            self.words.insert(record + 8, CACHE);
            self.words.insert(record + 40, inuse + (objects << 16));
            self.words.insert(record + 48, 0xf5 << 24);
        }

        /// Gives it a freelist of these objects, which leads to `end`.
        fn free(&mut self, pfn: u64, list: &[u64], end: u64) {
            let object = |index: &u64| DIRECT + 4096 * pfn + SIZE * index;
            self.words.insert(BASE + 64 * pfn + 32, object(&list[0]));
            for (number, index) in list.iter().enumerate() {
                let at = object(index) + FREE;
                let next = list.get(number + 1).map_or(end, object);
                self.words.insert(at, next ^ RANDOM ^ at.swap_bytes());
            }
        }

        fn slabs(&self) -> Slabs<'_> {
            let bits = |first, count| Bits { first, count };
            let pages = Vmemmap {
                slab: ebpf_templates::template::slab::Slab {
                    peek: Peek { rdonly_cast: 0, slab_type: 0, counters: 40 },
                    slab_cache: 8,
                    slab_list: 16,
                    inuse: bits(0, 16),
                    objects: bits(16, 15),
                    frozen: Some(bits(31, 1)),
                },
                freelist: 32,
                cache_type: 0,
                base: 0,
                bytes: 64,
                flags: 0,
                page_type: 48,
                private: 40,
                slab_page: 0xf5,
                buddy_page: 0xf0,
                head: 6,
                listed: None,
                probe_read_kernel: 0,
            };
            let array = PageArray { base: BASE, page_offset: DIRECT, record: 64 };
            Slabs { memory: self, pages, array, page_size: 4096, cpus: &[] }
        }
    }

    #[test]
    fn slabs_are_found_by_any_address_in_them() {
        let mut made = Made::new();
        made.slab(5, 0, 16, 16);
        made.slab(8, 3, 128, 128);
        // What a free page was before.
        made.slab(12, 0, 16, 16);
        made.words.remove(&(BASE + 64 * 12 + 48));
        let addresses =
            [5 * 4096, 6 * 4096 - 1, 6 * 4096, 8 * 4096 + 7, 12 * 4096, 16 * 4096 - 1, 16 * 4096];
        let found = made.slabs().of(&addresses.map(|at| DIRECT + at)).unwrap();
        let pages: Vec<Option<u64>> = found.iter().map(|slab| slab.map(|slab| slab.pfn)).collect();
        assert_eq!(pages, [Some(5), Some(5), None, Some(8), Some(8), Some(8), None]);
        let slab = found[3].unwrap();
        assert_eq!((slab.bytes, slab.objects, slab.inuse, slab.cache), (8 * 4096, 128, 128, CACHE));
    }

    #[test]
    fn freelists_are_followed_to_their_ends() {
        let look = |change: &dyn Fn(&mut Made)| {
            let mut made = Made::new();
            made.slab(5, 0, 16, 13);
            change(&mut made);
            match made.slabs().look(&[5]).unwrap().pop() {
                Some(Look::Rests(looked)) => (looked.free.end, looked.free.objects.len()),
                other => panic!("{other:?}"),
            }
        };
        let object = |index: u64| DIRECT + 5 * 4096 + SIZE * index;
        assert_eq!(look(&|made| made.free(5, &[15, 0, 7], 0)), (End::Null, 3));
        assert_eq!(look(&|_| {}), (End::Null, 0));
        for astray in [object(16), object(3) + 8, object(0) - SIZE, 8] {
            let end = End::Elsewhere(astray);
            assert_eq!(look(&|made| made.free(5, &[15, 0, 7], astray)), (end, 3));
        }
        let end = End::Again(object(15));
        assert_eq!(look(&|made| made.free(5, &[15, 0, 7], object(15))), (end, 3));
        let mut made = Made::new();
        made.slab(5, 0, 16, 13);
        assert_eq!(made.slabs().look(&[6]).unwrap(), [Look::Gone]);
    }
}
