//! The made-up kernel's memory: regions of bytes at kernel addresses, little-endian.

use std::collections::BTreeMap;

use crate::insn::Size;

/// Where the first region begins: an address of the direct map on `x86_64`.
const FIRST: u64 = 0xffff_8881_0000_0000;
/// Unmapped bytes behind each region, at least.
const GAP: usize = 64;

/// Regions of bytes at kernel addresses. What lies between them is not mapped.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    regions: BTreeMap<u64, Vec<u8>>,
}

impl Memory {
    /// Makes a memory without regions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a region of `bytes` zeroed bytes and returns its address, a multiple of 64.
    pub fn allocate(&mut self, bytes: usize) -> u64 {
        let next = self.regions.last_key_value().map_or(FIRST, |(start, region)| {
            start + (region.len() + GAP).next_multiple_of(GAP) as u64
        });
        self.place(next, vec![0; bytes]);
        next
    }

    /// Adds a region that holds `text` and a NUL, and returns its address.
    pub fn allocate_text(&mut self, text: &[u8]) -> u64 {
        let addr = self.allocate(text.len() + 1);
        self.write(addr, text);
        addr
    }

    /// Adds a region with these bytes. It overlaps no other.
    pub fn place(&mut self, addr: u64, bytes: Vec<u8>) {
        self.regions.insert(addr, bytes);
    }

    /// Writes bytes within one region.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) {
        let found = self.regions.range_mut(..=addr).next_back();
        let target = found.and_then(|(start, region)| {
            let offset = usize::try_from(addr - start).ok()?;
            region.get_mut(offset..offset.checked_add(bytes.len())?)
        });
        let Some(target) = target else {
            panic!("{} bytes at {addr:#x} lie in no region", bytes.len())
        };
        target.copy_from_slice(bytes);
    }

    /// Writes the low bytes of `value`, as many as `size` has: an integer, or of 8 bytes a pointer.
    pub fn write_int(&mut self, addr: u64, size: Size, value: u64) {
        self.write(addr, &value.to_le_bytes()[..usize::from(size.bytes())]);
    }

    /// The `bytes` bytes at `addr`, if all of them lie in one region.
    #[must_use]
    pub fn read(&self, addr: u64, bytes: usize) -> Option<&[u8]> {
        self.rest(addr)?.get(..bytes)
    }

    /// The bytes from `addr` to the end of its region.
    pub(super) fn rest(&self, addr: u64) -> Option<&[u8]> {
        let (start, region) = self.regions.range(..=addr).next_back()?;
        region.get(usize::try_from(addr - start).ok()?..)
    }
}
