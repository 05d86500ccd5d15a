//! Which page numbers there are, and which node's: `/proc/zoneinfo`, and the memory blocks that `/sys` lists.

use std::collections::BTreeSet;
use std::fs;

use crate::report::error::errno;

const ZONEINFO: &str = "/proc/zoneinfo";
const BLOCKS: &str = "/sys/devices/system/memory";
/// Bytes of a page, on the machines whose page descriptors are found.
const PAGE: u64 = 4096;

/// Pages that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first one.
    pub start: u64,
    /// Behind the last one.
    pub end: u64,
    /// The node that they are of; none where two nodes span them.
    pub node: Option<u32>,
}

impl Range {
    /// Whether it has the page.
    #[must_use]
    pub fn contains(&self, pfn: u64) -> bool {
        (self.start..self.end).contains(&pfn)
    }
}

/// The memory blocks that the kernel lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The pages of each.
    pub pages: u64,
    /// Their numbers.
    pub present: BTreeSet<u64>,
}

/// The ranges of pages that zones span, in order and without overlap. The error says why they are not known.
pub fn ranges() -> Result<Vec<Range>, String> {
    let text = fs::read_to_string(ZONEINFO).map_err(|it| format!("{ZONEINFO}: {}", errno(&it)))?;
    let zones = zones(&text).ok_or_else(|| format!("{ZONEINFO} has another form"))?;
    Ok(apart(&zones))
}

/// The zones that have memory, a range each. The lines of a zone come in the order `spanned`, `present`, `start_pfn`.
fn zones(text: &str) -> Option<Vec<Range>> {
    let (mut found, mut node, mut spanned, mut present) = (Vec::new(), None, 0, 0);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some("Node"), Some(number)) => node = number.strip_suffix(',')?.parse().ok(),
            (Some("spanned"), Some(pages)) => spanned = pages.parse().ok()?,
            (Some("present"), Some(pages)) => present = pages.parse().ok()?,
            (Some("start_pfn:"), Some(pfn)) if present > 0 => {
                let start: u64 = pfn.parse().ok()?;
                found.push(Range { start, end: start.checked_add(spanned)?, node });
            }
            _ => {}
        }
    }
    (!found.is_empty()).then_some(found)
}

/// The same without overlap: what two nodes span is of neither.
fn apart(zones: &[Range]) -> Vec<Range> {
    let edges: BTreeSet<u64> = zones.iter().flat_map(|zone| [zone.start, zone.end]).collect();
    let edges: Vec<u64> = edges.into_iter().collect();
    let mut found = Vec::<Range>::new();
    for edge in edges.windows(2) {
        let (start, end) = (edge[0], edge[1]);
        let mut nodes = zones.iter().filter(|zone| zone.contains(start)).map(|zone| zone.node);
        let Some(node) = nodes.next() else { continue };
        let node = if nodes.all(|other| other == node) { node } else { None };
        match found.last_mut() {
            Some(last) if last.end == start && last.node == node => last.end = end,
            _ => found.push(Range { start, end, node }),
        }
    }
    found
}

/// The memory blocks; none where the kernel does not list them.
#[must_use]
pub fn blocks() -> Option<Blocks> {
    let bytes = fs::read_to_string(format!("{BLOCKS}/block_size_bytes")).ok()?;
    let bytes = u64::from_str_radix(bytes.trim(), 16).ok()?;
    let entries = fs::read_dir(BLOCKS).ok()?;
    let number = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.strip_prefix("memory")?.parse::<u64>().ok()
    };
    let present: BTreeSet<u64> = entries.flatten().filter_map(number).collect();
    (bytes >= PAGE && !present.is_empty()).then_some(Blocks { pages: bytes / PAGE, present })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Node 0, zone      DMA\n  per-node stats\n        spanned  4095\n        present  3998\n  start_pfn:           1\n\
        Node 0, zone   Normal\n        spanned  100\n        present  100\n  start_pfn:           4096\n\
        Node 0, zone  Movable\n        spanned  0\n        present  0\n\
        Node 1, zone   Normal\n        spanned  50\n        present  40\n  start_pfn:           5000\n\
        Node 1, zone   Device\n        spanned  0\n        present  0\n  start_pfn:           9\n";

    fn range(start: u64, end: u64, node: impl Into<Option<u32>>) -> Range {
        Range { start, end, node: node.into() }
    }

    #[test]
    fn zones_with_memory_are_found() {
        let found = zones(TEXT).unwrap();
        assert_eq!(found, [range(1, 4096, 0), range(4096, 4196, 0), range(5000, 5050, 1)]);
        assert_eq!(apart(&found), [range(1, 4196, 0), range(5000, 5050, 1)]);
        assert_eq!(zones("nonsense"), None);
    }

    #[test]
    fn what_two_nodes_span_is_of_neither() {
        let found = apart(&[range(0, 100, 0), range(40, 60, 1), range(100, 120, 1)]);
        assert_eq!(
            found,
            [range(0, 40, 0), range(40, 60, None), range(60, 100, 0), range(100, 120, 1)]
        );
    }
}
