//! Writes programs and their maps as an ELF object, the form that libraries load.
//!
//! ```text
//!   raw_tp/…   a section a program, a function symbol in each
//!   maps       a `struct bpf_map_def` a map: type, key, value, entries, flags
//!   license    the licence
//! ```
//!
//! Where an instruction loads a map by its number, a relocation names the map's symbol.
//!
//! These programs are generated for the running kernel, so there is no BTF: nothing is to be relocated, and the sizes of
//! keys and values are all that is said of them. Those for other kernels are written by [`portable`].

mod btf;
pub mod portable;

use object::write::{Object, Relocation, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};

use crate::insn::{Insn, PSEUDO_MAP};
use crate::program::Program;

/// The licence without which the kernel allows none of the functions used. Slabql is under MIT.
const LICENCE: &[u8] = b"Dual MIT/GPL\0";
/// `R_BPF_64_64`: the two slots of an `lddw`.
const R_BPF_64_64: u32 = 1;

/// What a map is. The numbers are those of `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// Keys and values.
    Hash = 1,
    /// The same, with a value for each CPU.
    PercpuHash = 5,
    /// Values by number, with one for each CPU.
    PercpuArray = 6,
    /// Records in the order in which they come; it has no keys, and its entries are bytes.
    RingBuffer = 27,
}

/// A map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object, and in the kernel; at most 15 bytes.
    pub name: &'static str,
    /// What it is.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key_bytes: u32,
    /// Bytes of a value.
    pub value_bytes: u32,
    /// The most entries.
    pub entries: u32,
}

impl MapSpec {
    pub(crate) const fn new(
        name: &'static str,
        kind: MapKind,
        key_bytes: u32,
        value_bytes: u32,
        entries: u32,
    ) -> Self {
        Self { name, kind, key_bytes, value_bytes, entries }
    }

    /// The bytes of the kernel's memory that it takes, with `cpus` CPUs: what hangs on each entry is about 64 bytes.
    #[must_use]
    pub fn memory(&self, cpus: u64) -> u64 {
        let [entries, key, value] =
            [self.entries, self.key_bytes, self.value_bytes.next_multiple_of(8)].map(u64::from);
        let key = key.next_multiple_of(8);
        match self.kind {
            MapKind::Hash => entries * (64 + key + value),
            MapKind::PercpuHash => entries * (64 + key + value * cpus),
            MapKind::PercpuArray => entries * value * cpus,
            MapKind::RingBuffer => entries,
        }
    }
}

/// A program of an object.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// Its section, which says how it is attached.
    pub section: &'static str,
    /// Its name in the object, and in the kernel; at most 15 bytes.
    pub name: &'static str,
    /// Its instructions, which know maps by their numbers in the object.
    pub program: &'a Program,
}

/// The object of `functions`, which use `maps`.
pub fn write(
    maps: &[MapSpec],
    functions: &[Function<'_>],
) -> Result<Vec<u8>, object::write::Error> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let section = elf.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    elf.append_section_data(section, LICENCE, 1);
    let section = elf.add_section(Vec::new(), b"maps".to_vec(), SectionKind::Data);
    let mut symbols = Vec::new();
    for map in maps {
        let words = [map.kind as u32, map.key_bytes, map.value_bytes, map.entries, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let value = elf.append_section_data(section, &bytes, 4);
        let size = bytes.len() as u64;
        symbols.push(elf.add_symbol(symbol(map.name, value, size, SymbolKind::Data, section)));
    }
    for function in functions {
        let name = function.section.as_bytes().to_vec();
        let section = elf.add_section(Vec::new(), name, SectionKind::Text);
        let code = unlinked(function.program);
        let value = elf.append_section_data(section, &code, 8);
        let size = code.len() as u64;
        elf.add_symbol(symbol(function.name, value, size, SymbolKind::Text, section));
        for (offset, symbol) in references(function.program, &symbols) {
            let flags = RelocationFlags::Elf { r_type: R_BPF_64_64 };
            elf.add_relocation(section, Relocation { offset, symbol, addend: 0, flags })?;
        }
    }
    elf.write()
}

fn symbol(
    name: &str,
    value: u64,
    size: u64,
    kind: SymbolKind,
    section: object::write::SectionId,
) -> Symbol {
    Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size,
        kind,
        // `Linkage` would hide it from readers.
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    }
}

fn loads_map(insn: Insn) -> bool {
    insn.is_wide() && insn.src == PSEUDO_MAP
}

/// The instructions as a compiler leaves them: what a relocation fills in is 0.
fn unlinked(program: &Program) -> Vec<u8> {
    let insn = |insn: &Insn| match *insn {
        map if loads_map(map) => Insn { src: 0, imm: 0, ..map },
        insn => insn,
    };
    program.insns.iter().flat_map(|slot| insn(slot).to_bytes()).collect()
}

/// Where the program loads a map, in bytes, and the symbol of the map.
fn references<'a>(
    program: &'a Program,
    symbols: &'a [SymbolId],
) -> impl Iterator<Item = (u64, SymbolId)> + 'a {
    program.insns.iter().enumerate().filter(|(_, insn)| loads_map(**insn)).map(|(slot, insn)| {
        let number = insn.imm.unsigned_abs() as usize;
        let symbol = symbols.get(number).unwrap_or_else(|| panic!("there is no map {number}"));
        (8 * slot as u64, *symbol)
    })
}
