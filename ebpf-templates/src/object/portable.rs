//! Writes a program as an object that loaders fit to the kernel that they find: "compile once, run everywhere" (CO-RE).
//!
//! ```text
//!   iter/kmem_cache   the program
//!   license           the licence
//!   .rodata           map 1: texts and parameters, which are variables with names
//!   .data             map 0: the value that rows are built in, if the program has one
//!   .BTF, .BTF.ext    the members that the program reads, and which instruction reads which
//! ```
//!
//! Each relocation has a local type of its own, with the one member at its start. So an instruction waits for its
//! number with the least that it can hold: 0, or of an element of an array its distance from the first one. libbpf
//! checks that it does.

use std::fmt;

use object::write::{Object, Relocation as Link, SectionId, SymbolId};
use object::{Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolKind};

use super::btf::{Btf, Record};
use super::{LICENCE, R_BPF_64_64, symbol};
use crate::insn::{Insn, PSEUDO_MAP_VALUE};
use crate::program::Program;

/// The section of the program, by which loaders know how it is attached.
pub const SECTION: &str = "iter/kmem_cache";
/// The name in the object, and in the kernel, of a program that prints.
pub const PRINTS: &str = "slabql";
/// The name of one that sends rows.
pub const SENDS: &str = "slabql_rows";
/// The number by which a program knows [`Portable::constants`]; its rows are map 0.
pub const CONSTANTS: u32 = 1;

const FIELD_OFFSET: u32 = 0;
const FIELD_EXISTS: u32 = 2;
const ENUMERATOR_EXISTS: u32 = 10;
const ENUMERATOR_VALUE: u32 = 11;

/// What the number in an instruction is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The offset of a member, in bytes.
    Offset(Member),
    /// Whether there is a member: 1 or 0.
    Exists(Member),
    /// The value of an enumerator.
    Value(Enumerator),
    /// Whether there is an enumerator: 1 or 0.
    Has(Enumerator),
}

/// A member of a kernel type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The struct's name.
    pub owner: String,
    /// The way to the member: names joined by dots, with elements of arrays in brackets.
    pub path: String,
    /// Bytes of an integer; none of a pointer.
    pub integer: Option<u32>,
    /// Whether it is an integer with a sign.
    pub signed: bool,
}

/// An enumerator of a kernel type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Enumerator {
    /// The enum's name.
    pub owner: String,
    /// Its own.
    pub name: String,
}

/// An instruction whose number is the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Which one.
    pub slot: usize,
    /// What its number is.
    pub answer: Answer,
}

/// A variable: eight bytes of the constants with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Bytes from the start of the constants.
    pub at: u32,
}

/// A program that is to be fitted to kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portable {
    /// The program as one kernel would run it.
    pub program: Program,
    /// The instructions that differ on others, by slot.
    pub relocations: Vec<Relocation>,
    /// What it only reads.
    pub constants: Vec<u8>,
    /// What of that has names, by its place.
    pub variables: Vec<Variable>,
}

impl Portable {
    /// The object.
    pub fn write(&self) -> Result<Vec<u8>, object::write::Error> {
        let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
        add(&mut elf, "license", SectionKind::Data, LICENCE);
        let mut maps = [None; 2];
        if self.program.map_bytes > 0 {
            let tail = self.program.tail();
            let mut value = vec![0; self.program.map_bytes as usize - tail.len()];
            value.extend(tail);
            let section = add(&mut elf, ".data", SectionKind::Data, &value);
            maps[0] = Some(elf.section_symbol(section));
        }
        // The kernel has no maps without bytes.
        if !self.constants.is_empty() {
            let constants = add(&mut elf, ".rodata", SectionKind::ReadOnlyData, &self.constants);
            maps[CONSTANTS as usize] = Some(elf.section_symbol(constants));
            for variable in &self.variables {
                let at = u64::from(variable.at);
                elf.add_symbol(symbol(&variable.name, at, 8, SymbolKind::Data, constants));
            }
        }
        let (btf, extension, local) = self.types();
        let insns = self.waiting(&local);
        let code: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes()).collect();
        let section = add(&mut elf, SECTION, SectionKind::Text, &code);
        let name = if self.program.map_bytes > 0 { SENDS } else { PRINTS };
        elf.add_symbol(symbol(name, 0, code.len() as u64, SymbolKind::Text, section));
        for (offset, symbol) in self.references(maps) {
            let flags = RelocationFlags::Elf { r_type: R_BPF_64_64 };
            elf.add_relocation(section, Link { offset, symbol, addend: 0, flags })?;
        }
        add(&mut elf, ".BTF", SectionKind::Other, &btf);
        add(&mut elf, ".BTF.ext", SectionKind::Other, &extension);
        elf.write()
    }

    /// The instructions as they stand in the object before they are fitted to a kernel, but for `local` numbers.
    #[must_use]
    pub fn unlinked(&self) -> Vec<Insn> {
        let mut insns = self.program.insns.clone();
        let mut at = 0;
        while let Some(insn) = insns.get(at).copied() {
            if insn.is_wide() && insn.src == PSEUDO_MAP_VALUE {
                // The place in the section stands in the first half.
                let place = insns[at + 1].imm;
                insns[at] = Insn { src: 0, imm: place, ..insn };
                insns[at + 1].imm = 0;
            }
            at += if insn.is_wide() { 2 } else { 1 };
        }
        insns
    }

    /// The same with the number of each relocation as it is by the local types.
    fn waiting(&self, local: &[i32]) -> Vec<Insn> {
        let mut insns = self.unlinked();
        for (relocation, number) in self.relocations.iter().zip(local) {
            relocation.put(&mut insns, *number);
        }
        insns
    }

    /// Where the program loads the address of a map's value, in bytes, and the symbol of the map's section.
    fn references(&self, maps: [Option<SymbolId>; 2]) -> Vec<(u64, SymbolId)> {
        let is_map = |insn: &Insn| insn.is_wide() && insn.src == PSEUDO_MAP_VALUE;
        let slots = self.program.insns.iter().enumerate().filter(|(_, insn)| is_map(insn));
        let symbol = |(slot, insn): (usize, &Insn)| {
            let map = maps.get(insn.imm.unsigned_abs() as usize).copied().flatten();
            (8 * slot as u64, map.unwrap_or_else(|| panic!("there is no map {}", insn.imm)))
        };
        slots.map(symbol).collect()
    }

    /// The sections `.BTF` and `.BTF.ext`, and the number of each relocation by the local types.
    fn types(&self) -> (Vec<u8>, Vec<u8>, Vec<i32>) {
        let mut btf = Btf::new();
        let number = btf.integer(8, false);
        let variables: Vec<[u32; 3]> = self
            .variables
            .iter()
            .map(|variable| [btf.variable(&variable.name, number), variable.at, 8])
            .collect();
        if !variables.is_empty() {
            let bytes = u32::try_from(self.constants.len()).unwrap_or(u32::MAX);
            btf.section(".rodata", bytes, &variables);
        }
        let mut records = Vec::new();
        let mut local = Vec::new();
        for Relocation { slot, answer } in &self.relocations {
            let (kind, (ty, access, number)) = match answer {
                Answer::Offset(member) => (FIELD_OFFSET, member.local(&mut btf)),
                Answer::Exists(member) => {
                    let (ty, access, _) = member.local(&mut btf);
                    (FIELD_EXISTS, (ty, access, 1))
                }
                Answer::Value(of) => (ENUMERATOR_VALUE, of.local(&mut btf, 0)),
                Answer::Has(of) => (ENUMERATOR_EXISTS, of.local(&mut btf, 1)),
            };
            let access = btf.string(&access);
            let insn = u32::try_from(8 * slot).unwrap_or(u32::MAX);
            records.push(Record { insn, ty, access, kind });
            local.push(number);
        }
        let section = btf.string(SECTION);
        (btf.finish(), Btf::extension(section, &records), local)
    }
}

impl Relocation {
    /// Puts a number where this one goes: into the offset of a load, or else the immediate.
    pub fn put(&self, insns: &mut [Insn], number: i32) {
        let Some(insn) = insns.get_mut(self.slot) else { return };
        if insn.is_load() {
            insn.off = i16::try_from(number).unwrap_or(i16::MAX);
        } else {
            insn.imm = number;
        }
    }
}

impl Member {
    /// A local type that begins with the member: its number, the way to the member, and the member's offset.
    fn local(&self, btf: &mut Btf) -> (u32, String, i32) {
        let (mut ty, mut bytes) = match self.integer {
            Some(bytes) => (btf.integer(bytes, self.signed), bytes),
            None => (btf.pointer(), 8),
        };
        let mut way = String::new();
        let mut offset = 0_u32;
        let mut steps = self.path.split('.').rev().peekable();
        while let Some(step) = steps.next() {
            let (name, element) = match step.split_once('[') {
                Some((name, element)) => (name, element.trim_end_matches(']').parse::<u32>().ok()),
                None => (step, None),
            };
            if let Some(element) = element {
                way = format!(":{element}{way}");
                offset += element * bytes;
                ty = btf.array(ty, element + 1);
                bytes *= element + 1;
            }
            let owner = if steps.peek().is_none() { &*self.owner } else { "" };
            ty = btf.structure(owner, bytes, (name, ty));
            way = format!(":0{way}");
        }
        (ty, format!("0{way}"), offset.cast_signed())
    }
}

impl Enumerator {
    fn local(&self, btf: &mut Btf, number: i32) -> (u32, String, i32) {
        (btf.enumeration(&self.owner, &self.name), "0".to_owned(), number)
    }
}

/// Appends a section that holds `bytes`.
fn add(elf: &mut Object<'_>, name: &str, kind: SectionKind, bytes: &[u8]) -> SectionId {
    let section = elf.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
    elf.append_section_data(section, bytes, 8);
    section
}

/// As C writes it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(member) => write!(f, "`{}.{}`", member.owner, member.path),
            Self::Exists(member) => {
                write!(f, "whether there is `{}.{}`", member.owner, member.path)
            }
            Self::Value(of) => write!(f, "`{}`", of.name),
            Self::Has(of) => write!(f, "whether there is `{}`", of.name),
        }
    }
}
