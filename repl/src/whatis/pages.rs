//! Where the kernel keeps the descriptions of pages, of which a `struct slab` is one.
//!
//! The kernel describes each page by a record in an array, so that the description of a page lies at
//!
//! ```text
//!   base + (address of the page / size of a page) × size of a record
//! ```
//!
//! Where the array begins no symbol and no type tells. But each slab on a node's partial list has a description whose
//! address is known, and a freelist that points into its page: of slabs of one page that is a pair of the two sides,
//! and all pairs lie on one line. What is found by that line is believed only of a description that names the cache.

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
    /// Finds the line by `caches` whose slabs are of one page; none where too few slabs are partly filled.
    pub fn find(memory: &Memory<'_>, caches: &[u64]) -> Result<Option<Self>, ReadError> {
        let page_size = memory.schema.page_size();
        let member = |owner: &str, path: &str| memory.offset(owner, path);
        let node = member("kmem_cache", "node[0]").or(member("kmem_cache", "per_node[0].node"));
        let (Some(node), Some(partial), Some(list), Some(cache), Some(freelist)) = (
            node,
            member("kmem_cache_node", "partial"),
            member("slab", "slab_list"),
            member("slab", "slab_cache"),
            member("slab", "freelist"),
        ) else {
            return Ok(None);
        };
        let at = |offset: u64, from: &[u64]| -> Vec<u64> {
            from.iter().map(|address| address.wrapping_add(offset)).collect()
        };
        // The first node that there is. On others there is nothing that this one does not show as well.
        let nodes = memory.words(&at(node, caches))?;
        let firsts = memory.words(&at(partial, &nodes))?;
        let slabs: Vec<u64> = firsts.iter().map(|first| first.wrapping_sub(list)).collect();
        let owners = memory.words(&at(cache, &slabs))?;
        let objects = memory.words(&at(freelist, &slabs))?;
        let pairs = (0..caches.len())
            .filter(|&i| nodes[i] != 0 && owners[i] == caches[i] && objects[i] != 0)
            .map(|i| (objects[i] / page_size, slabs[i]));
        Ok(Self::through(&pairs.collect(), page_size))
    }

    /// The line through most of the points: numbers of pages and their descriptions.
    fn through(points: &BTreeMap<u64, u64>, page_size: u64) -> Option<Self> {
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
