//! Names code addresses by the kernel itself; see [`ebpf_templates::template::symbols`].

use std::collections::HashMap;
use std::io;

use ebpf_templates::template::symbols::{FORMAT, Symbols};

use crate::kernel::load::patched;
use crate::kernel::sys::{self, Map, MapValue, Prog};

/// How many addresses a run is for.
const COUNT: u32 = 64;

/// The kernel's names of its code.
pub struct Names {
    symbols: Symbols,
    map: Map,
    program: Prog,
    value: MapValue,
    bytes: usize,
    known: HashMap<u64, Option<String>>,
}

impl Names {
    /// Loads the program.
    pub fn open() -> io::Result<Self> {
        let symbols = Symbols { count: COUNT };
        let program = symbols.build();
        let map = Map::new(program.map_bytes)?;
        let format = Map::text(FORMAT)?;
        let insns = patched(&program, &[&map, &format]);
        let loaded = sys::prog_load(&insns, program.kind, None, None)?;
        let value = MapValue::map(&map)?;
        let (bytes, known) = (program.map_bytes as usize, HashMap::new());
        Ok(Self { symbols, map, program: loaded, value, bytes, known })
    }

    /// This process, by the kernel's own numbers.
    pub fn process(&self) -> io::Result<u32> {
        let value = self.run(&[])?;
        Symbols::process(&value).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Names addresses that are new.
    pub fn learn(&mut self, addresses: impl Iterator<Item = u64>) -> io::Result<()> {
        let mut new: Vec<u64> =
            addresses.filter(|address| !self.known.contains_key(address)).collect();
        new.sort_unstable();
        new.dedup();
        for part in new.chunks(COUNT as usize) {
            let value = self.run(part)?;
            for (index, address) in part.iter().enumerate() {
                let text = self.symbols.decode(&value, index).map(String::from_utf8_lossy);
                // What the kernel has no symbol for it prints as a number.
                let text = text.filter(|text| !text.starts_with("0x")).map(String::from);
                self.known.insert(*address, text);
            }
        }
        Ok(())
    }

    /// The name of an address that was learned, with its distance from the beginning of the function.
    #[must_use]
    pub fn name(&self, address: u64) -> Option<&str> {
        self.known.get(&address)?.as_deref()
    }

    /// What the map's value is behind a run.
    fn run(&self, addresses: &[u64]) -> io::Result<Vec<u8>> {
        let mut table: Vec<u8> =
            addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
        table.resize(8 * COUNT as usize, 0);
        self.map.fill(&table)?;
        sys::test_run(&self.program)?;
        self.value.copy(0..self.bytes).ok_or(io::ErrorKind::InvalidData.into())
    }
}
