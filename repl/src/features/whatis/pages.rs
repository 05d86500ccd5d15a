//! Where the kernel keeps the descriptions of pages, of which a `struct slab` is one.
//!
//! The kernel describes each page by a record in an array, so that the description of a page lies at
//!
//! ```text
//!   base + (address of the page / size of a page) × size of a record
//! ```
//!
//! Where the array begins no symbol and no type tells. But each slab on a node's partial list, or with a CPU, has a
//! description whose address is known, and a freelist that points into its pages, which lie on a multiple of their size:
//! that is a pair of the two sides, and all pairs lie on one line. What is found by that line is believed only of a
//! description that names the cache.

use std::collections::BTreeMap;

use crate::kernel::lookup::Memory;
use crate::kernel::read::ReadError;

/// The sizes that a record may have, in bytes.
const STRIDES: [u64; 8] = [64, 56, 72, 80, 88, 96, 112, 128];
/// The fewest pages that the line is drawn through.
const FEWEST: usize = 3;

/// The line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    base: u64,
    stride: u64,
    page_size: u64,
}

impl Pages {
    /// Finds the line by `caches`, each its address and the order of its slabs; none where too few of them have a slab
    /// with a free object.
    pub fn find(memory: &Memory<'_>, caches: &[(u64, u32)]) -> Result<Option<Self>, ReadError> {
        let page_size = memory.schema.page_size();
        let mut points = of_nodes(memory, caches)?;
        let line = Self::through(&points, page_size);
        if line.is_some() {
            return Ok(line);
        }
        // Soon after boot nodes have few slabs: CPUs have them.
        points.extend(of_cpus(memory, caches)?);
        Ok(Self::through(&points, page_size))
    }

    /// The line through most of the points: numbers of pages and their descriptions.
    fn through(points: &Points, page_size: u64) -> Option<Self> {
        let lines = STRIDES.into_iter().filter_map(|stride| {
            let mut bases = BTreeMap::<u64, usize>::new();
            for (page, slab) in points {
                *bases.entry(slab.wrapping_sub(page.wrapping_mul(stride))).or_default() += 1;
            }
            let (base, count) = bases.into_iter().max_by_key(|(_, count)| *count)?;
            Some((count, Self { base, stride, page_size }))
        });
        let (count, line) = lines.max_by_key(|(count, _)| *count)?;
        // A slab that was freed meanwhile may lie beside it.
        (count >= FEWEST && 2 * count > points.len()).then_some(line)
    }

    /// Where the page that begins at `address` is described.
    #[must_use]
    pub fn description(&self, address: u64) -> u64 {
        let page = address / self.page_size;
        self.base.wrapping_add(page.wrapping_mul(self.stride))
    }
}

/// Numbers of pages, and their descriptions.
type Points = BTreeMap<u64, u64>;

/// The points that partial lists show.
fn of_nodes(memory: &Memory<'_>, caches: &[(u64, u32)]) -> Result<Points, ReadError> {
    let member = |owner: &str, path: &str| memory.offset(owner, path);
    let node = member("kmem_cache", "node[0]").or(member("kmem_cache", "per_node[0].node"));
    let (Some(node), Some(partial), Some(list), Some(freelist)) = (
        node,
        member("kmem_cache_node", "partial"),
        member("slab", "slab_list"),
        member("slab", "freelist"),
    ) else {
        return Ok(Points::new());
    };
    // The first node that there is. On others there is nothing that this one does not show as well.
    let nodes = at(memory, node, caches.iter().map(|(cache, _)| *cache))?;
    let firsts = at(memory, partial, nodes)?;
    let slabs: Vec<u64> = firsts.iter().map(|first| first.wrapping_sub(list)).collect();
    let objects = at(memory, freelist, slabs.iter().copied())?;
    points(memory, caches, &slabs, &objects)
}

/// The points that the slabs show which CPUs allocate from, as there were until Linux 6.19.
fn of_cpus(memory: &Memory<'_>, caches: &[(u64, u32)]) -> Result<Points, ReadError> {
    let member = |owner: &str, path: &str| memory.offset(owner, path);
    let (Some(pointer), Some(slab), Some(freelist), Ok(cpus)) = (
        member("kmem_cache", "cpu_slab"),
        member("kmem_cache_cpu", "slab"),
        member("kmem_cache_cpu", "freelist"),
        memory.schema.cpu_offsets(),
    ) else {
        return Ok(Points::new());
    };
    let mut found = Points::new();
    let pointers = at(memory, pointer, caches.iter().map(|(cache, _)| *cache))?;
    for cpu in cpus {
        let bases = || pointers.iter().map(|pointer| pointer.wrapping_add(*cpu));
        let slabs = at(memory, slab, bases())?;
        let objects = at(memory, freelist, bases())?;
        found.extend(points(memory, caches, &slabs, &objects)?);
    }
    Ok(found)
}

/// The points of slabs that are their caches' and have a free object, one of each cache.
fn points(
    memory: &Memory<'_>,
    caches: &[(u64, u32)],
    slabs: &[u64],
    objects: &[u64],
) -> Result<Points, ReadError> {
    let Some(owner) = memory.offset("slab", "slab_cache") else { return Ok(Points::new()) };
    let owners = at(memory, owner, slabs.iter().copied())?;
    let page_size = memory.schema.page_size();
    let found = (0..caches.len()).filter(|&i| owners[i] == caches[i].0 && objects[i] != 0);
    Ok(found.map(|i| (first_page(objects[i] / page_size, caches[i].1), slabs[i])).collect())
}

/// The words so far behind each address.
fn at(
    memory: &Memory<'_>,
    offset: u64,
    from: impl IntoIterator<Item = u64>,
) -> Result<Vec<u64>, ReadError> {
    let addresses: Vec<u64> =
        from.into_iter().map(|address| address.wrapping_add(offset)).collect();
    memory.words(&addresses)
}

/// The first of the 2^`order` pages of a slab that `page` is one of.
fn first_page(page: u64, order: u32) -> u64 {
    page >> order.min(63) << order.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
    const DIRECT: u64 = 0xffff_8880_0000_0000;

    /// What is true of a frame of memory.
    fn point(frame: u64, stride: u64) -> (u64, u64) {
        (DIRECT / 4096 + frame, VMEMMAP + frame * stride)
    }

    #[test]
    fn the_line_goes_through_the_pairs() {
        for stride in [64, 96] {
            let frames = [3, 700, 70_001, 9_999_999];
            let mut points: BTreeMap<u64, u64> =
                frames.iter().map(|frame| point(*frame, stride)).collect();
            let line = Pages::through(&points, 4096).unwrap();
            let (_, described) = point(12_345, stride);
            assert_eq!(line.description(DIRECT + 12_345 * 4096), described);
            // One that went astray does not bend it.
            points.insert(DIRECT / 4096 + 5, 0x1234);
            assert_eq!(Pages::through(&points, 4096), Some(line));
        }
    }

    #[test]
    fn too_few_pairs_are_no_line() {
        let points: BTreeMap<u64, u64> = [point(3, 64), point(8, 64)].into();
        assert_eq!(Pages::through(&points, 4096), None);
        let askew: BTreeMap<u64, u64> =
            (0..9).map(|frame| (frame * 17, VMEMMAP + frame * frame * 8)).collect();
        assert_eq!(Pages::through(&askew, 4096), None);
        assert_eq!(Pages::through(&BTreeMap::new(), 4096), None);
    }
}
