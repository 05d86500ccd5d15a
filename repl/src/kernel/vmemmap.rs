//! Finds where the kernel keeps the descriptions of pages, of which a `struct slab` is one.
//!
//! The kernel describes each page by a record in an array, and maps all memory at one place, so that page number `pfn`
//! lies, and is described, at
//!
//! ```text
//!   page_offset + pfn × size of a page               base + pfn × size of a record
//! ```
//!
//! No symbol and no type gives the two beginnings. But each slab on a node's partial list, or with a CPU, has a
//! description whose address is known, and a freelist that points into its pages, which lie on a multiple of their size:
//! that is a pair of the two sides, and all pairs lie on one line. The line gives one beginning by the other. Both are
//! multiples of 1 GiB on x86-64, and 1 GiB of descriptions is for 64 GiB of memory, so few remain for the first one: those
//! by which every slab found lies in memory that there is. The right one is that by which the descriptions of the memory
//! blocks that the kernel lists are mapped, and those between them are not.

use std::collections::BTreeMap;

use query::codegen;
use query::schema::{PageArray, Schema};

use super::lookup::{Memory, Words};
use super::read::ReadError;
use super::zones::{self, Blocks, Range};

/// The fewest pages that the line is drawn through.
const FEWEST: usize = 3;
/// What both beginnings are multiples of.
const ALIGNED: u64 = 1 << 30;
/// The pages whose descriptions are mapped together, at least: a section.
const SECTION: u64 = 32_768;
/// The most candidates that are looked at: a machine of 64 TiB has so many.
const CANDIDATES: usize = 1024;

/// Where the kernel keeps the descriptions of pages; or why that is not known. `caches` gives the addresses of all caches,
/// and the orders of their slabs.
pub fn find(
    schema: &dyn Schema,
    caches: impl FnOnce() -> Result<Vec<(u64, u32)>, String>,
) -> Result<PageArray, String> {
    if !cfg!(target_arch = "x86_64") {
        return Err("page descriptors are found on x86-64 alone".to_owned());
    }
    let pages = codegen::pages(schema).map_err(|lacking| lacking.message)?;
    let failed =
        |error: &dyn std::fmt::Display| format!("page descriptors cannot be found: {error}");
    let memory = Memory::of_words(schema).map_err(|error| failed(&error))?;
    let caches = caches().map_err(|error| failed(&error))?;
    let points = points_of(&memory, &caches).map_err(|error| failed(&error))?;
    let ranges = zones::ranges()?;
    let line = Line::through(&points, pages.bytes.unsigned_abs().into(), schema.page_size())
        .ok_or_else(|| failed(&"too few slabs have a free object"))?;
    let mut mapped = |addresses: &[u64]| memory.mapped(addresses).map_err(|error| failed(&error));
    line.array(&points, &ranges, zones::blocks().as_ref(), &mut mapped)
}

/// Says of each address whether something is mapped there.
type IsMapped<'a> = dyn FnMut(&[u64]) -> Result<Vec<bool>, String> + 'a;

/// The line: what describes an address of the kernel's own mapping of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    /// Where address 0 would be described.
    start: u64,
    /// Bytes of a record.
    bytes: u64,
    page_size: u64,
}

impl Line {
    /// The line through most of the points: numbers of pages and their descriptions.
    fn through(points: &Points, bytes: u64, page_size: u64) -> Option<Self> {
        let mut starts = BTreeMap::<u64, usize>::new();
        for (page, slab) in points {
            *starts.entry(slab.wrapping_sub(page.wrapping_mul(bytes))).or_default() += 1;
        }
        let (start, count) = starts.into_iter().max_by_key(|(_, count)| *count)?;
        // A slab that was freed meanwhile may lie beside it.
        let line = Self { start, bytes, page_size };
        (count >= FEWEST && 2 * count > points.len()).then_some(line)
    }

    /// The two beginnings, of which `ranges` are the memory that there is and `blocks` the memory that the kernel lists.
    /// `mapped` says which addresses can be read.
    fn array(
        self,
        points: &Points,
        ranges: &[Range],
        blocks: Option<&Blocks>,
        mapped: &mut IsMapped<'_>,
    ) -> Result<PageArray, String> {
        let bytes = self.bytes;
        let on_line =
            |(page, slab): &(&u64, &u64)| self.start.wrapping_add(**page * bytes) == **slab;
        let slabs: Vec<u64> = points.iter().filter(on_line).map(|(_, slab)| *slab).collect();
        let lowest = slabs.iter().min().copied().unwrap_or_default();
        let is_memory = |base: u64, slab: &u64| {
            let pfn = slab.wrapping_sub(base) / bytes;
            ranges.iter().any(|range| range.contains(pfn))
        };
        let mut found = Vec::new();
        for step in 0..CANDIDATES as u64 {
            let Some(base) = (lowest & !(ALIGNED - 1)).checked_sub(step * ALIGNED) else { break };
            if slabs.iter().all(|slab| is_memory(base, slab))
                && (blocks.is_none() || self.fits(base, blocks, mapped)?)
            {
                found.push(base);
            }
        }
        let [base] = found.as_slice() else {
            return Err(match found.len() {
                0 => "no address of the page descriptors fits the memory of this machine",
                _ => "several addresses of the page descriptors fit the memory of this machine",
            }
            .to_owned());
        };
        let page_offset = (base.wrapping_sub(self.start) / bytes).wrapping_mul(self.page_size);
        if !page_offset.is_multiple_of(ALIGNED) {
            return Err("the page descriptors lie beside the kernel's own mapping".to_owned());
        }
        Ok(PageArray { base: *base, page_offset, record: bytes })
    }

    /// Whether just the descriptions of the memory that the kernel lists are mapped.
    fn fits(
        self,
        base: u64,
        blocks: Option<&Blocks>,
        mapped: &mut IsMapped<'_>,
    ) -> Result<bool, String> {
        let Some(blocks) = blocks else { return Ok(true) };
        let last = blocks.present.last().copied().unwrap_or(0);
        for block in 0..=last {
            let start = block * blocks.pages;
            let sections = 0..blocks.pages.div_ceil(SECTION);
            let record = |section: u64| base.wrapping_add((start + section * SECTION) * self.bytes);
            let addresses: Vec<u64> = sections.map(record).collect();
            // A block is listed if there is memory in any of its sections.
            let some = mapped(&addresses)?.contains(&true);
            if some != blocks.present.contains(&block) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Numbers of pages, and their descriptions.
type Points = BTreeMap<u64, u64>;

/// The points that slabs with free objects show.
fn points_of(memory: &Memory<'_>, caches: &[(u64, u32)]) -> Result<Points, ReadError> {
    let mut points = of_nodes(memory, caches)?;
    if points.len() <= FEWEST {
        // Soon after boot nodes have few slabs: CPUs have them.
        points.extend(of_cpus(memory, caches)?);
    }
    Ok(points)
}

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
    let addresses: Vec<u64> = caches.iter().map(|(cache, _)| *cache).collect();
    let nodes = memory.words_behind(&addresses, node)?;
    let firsts = memory.words_behind(&nodes, partial)?;
    let slabs: Vec<u64> = firsts.iter().map(|first| first.wrapping_sub(list)).collect();
    let objects = memory.words_behind(&slabs, freelist)?;
    points(memory, caches, &slabs, &objects)
}

/// The points that the slabs show which CPUs allocate from, as there were until Linux 6.19.
fn of_cpus(memory: &Memory<'_>, caches: &[(u64, u32)]) -> Result<Points, ReadError> {
    let member = |owner: &str, path: &str| memory.offset(owner, path);
    let (Some(pointer), Some(slab), Some(freelist), Ok(cpus)) = (
        member("kmem_cache", "cpu_slab"),
        member("kmem_cache_cpu", "slab"),
        member("kmem_cache_cpu", "freelist"),
        memory.schema().cpu_offsets(),
    ) else {
        return Ok(Points::new());
    };
    let mut found = Points::new();
    let addresses: Vec<u64> = caches.iter().map(|(cache, _)| *cache).collect();
    let pointers = memory.words_behind(&addresses, pointer)?;
    for cpu in cpus {
        let bases: Vec<u64> = pointers.iter().map(|pointer| pointer.wrapping_add(*cpu)).collect();
        let slabs = memory.words_behind(&bases, slab)?;
        let objects = memory.words_behind(&bases, freelist)?;
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
    let owners = memory.words_behind(slabs, owner)?;
    let page_size = memory.schema().page_size();
    let found = (0..caches.len()).filter(|&i| owners[i] == caches[i].0 && objects[i] != 0);
    Ok(found.map(|i| (first_page(objects[i] / page_size, caches[i].1), slabs[i])).collect())
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
    const LINE: Line = Line { start: VMEMMAP - DIRECT / 4096 * 64, bytes: 64, page_size: 4096 };

    /// What is true of a frame of memory.
    fn point(frame: u64) -> (u64, u64) {
        (DIRECT / 4096 + frame, VMEMMAP + frame * 64)
    }

    fn points(frames: &[u64]) -> Points {
        frames.iter().map(|frame| point(*frame)).collect()
    }

    fn through(points: &Points) -> Option<Line> {
        Line::through(points, 64, 4096)
    }

    #[test]
    fn the_line_goes_through_the_pairs() {
        let mut points = points(&[3, 700, 70_001, 9_999_999]);
        assert_eq!(through(&points), Some(LINE));
        // One that went astray does not bend it.
        points.insert(DIRECT / 4096 + 5, 0x1234);
        assert_eq!(through(&points), Some(LINE));
    }

    #[test]
    fn too_few_pairs_are_no_line() {
        assert_eq!(through(&points(&[3, 8])), None);
        let askew: Points = (0..9).map(|frame| (frame * 17, VMEMMAP + frame * frame * 8)).collect();
        assert_eq!(through(&askew), None);
        assert_eq!(through(&Points::new()), None);
    }

    /// The memory of a machine, in blocks of a section.
    fn machine(present: &[u64]) -> (Vec<Range>, Blocks) {
        let ranges = present.iter().map(|block| Range {
            start: block * SECTION,
            end: (block + 1) * SECTION,
            node: Some(0),
        });
        (ranges.collect(), Blocks { pages: SECTION, present: present.iter().copied().collect() })
    }

    #[test]
    fn a_small_machine_has_one_beginning() {
        let (ranges, blocks) = machine(&[0, 1, 3]);
        let found = |mapped: &dyn Fn(u64) -> bool| {
            let mut mapped = |at: &[u64]| Ok(at.iter().map(|at| mapped(*at)).collect());
            LINE.array(&points(&[40, 900, 100_000]), &ranges, Some(&blocks), &mut mapped)
        };
        let there = |at: u64| matches!((at - VMEMMAP) / 64 / SECTION, 0 | 1 | 3);
        assert_eq!(found(&there), Ok(PageArray { base: VMEMMAP, page_offset: DIRECT, record: 64 }));
        assert!(found(&|at| at != VMEMMAP && there(at)).is_err());
        assert!(found(&|_| true).is_err(), "the block between has no memory");
        assert!(found(&|_| false).is_err());
    }

    #[test]
    fn memory_blocks_decide_on_a_large_machine() {
        // Of 256 GiB, whose slabs were all found above 64 GiB.
        let (ranges, blocks) = machine(&(0..2048).collect::<Vec<_>>());
        let points = points(&[17_000_000, 18_000_000, 30_000_000]);
        let there = |at: u64| (VMEMMAP..VMEMMAP + 2048 * SECTION * 64).contains(&at);
        let mut mapped = |at: &[u64]| Ok(at.iter().map(|at| there(*at)).collect());
        let right = Ok(PageArray { base: VMEMMAP, page_offset: DIRECT, record: 64 });
        assert_eq!(LINE.array(&points, &ranges, Some(&blocks), &mut mapped), right);
        let unknown = LINE.array(&points, &ranges, None, &mut mapped);
        assert!(unknown.is_err_and(|why| why.starts_with("several addresses")));
    }
}
