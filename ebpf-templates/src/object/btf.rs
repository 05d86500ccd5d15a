//! Writes types as BTF, and what instructions depend on as `.BTF.ext`.
//!
//! Only what a portable object needs: the members that its program reads, each in a struct of its own, enumerators, and
//! the variables of `.rodata`. Both formats are those of the kernel's Documentation/bpf/btf.rst.

/// The first bytes of both formats, with the version and no flags.
const MAGIC: u32 = 0x0001_eb9f;
/// Bytes of the header of `.BTF`.
const HEADER: u32 = 24;
/// Bytes of the header of `.BTF.ext`.
const EXT_HEADER: u32 = 32;
/// Bytes of a relocation.
const RECORD: u32 = 16;

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const ENUM: u32 = 6;
const VARIABLE: u32 = 14;
const SECTION: u32 = 15;

/// Types, by their numbers; 0 is `void`.
#[derive(Debug)]
pub(super) struct Btf {
    types: Vec<u32>,
    strings: Vec<u8>,
    count: u32,
}

/// A relocation of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Bytes from the start of the section.
    pub insn: u32,
    /// The local type.
    pub ty: u32,
    /// Where in `strings` the way to the member is.
    pub access: u32,
    /// What is wanted: a number of `enum bpf_core_relo_kind`.
    pub kind: u32,
}

impl Btf {
    pub(super) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], count: 0 }
    }

    /// The place of a text.
    pub(super) fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = length(&self.strings);
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn push(&mut self, name: &str, (kind, parts): (u32, usize), size: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.types.extend([name, (kind << 24) | parts, size]);
        self.types.extend(rest);
        self.count += 1;
        self.count
    }

    /// An integer of this many bytes.
    pub(super) fn integer(&mut self, bytes: u32, signed: bool) -> u32 {
        let name = format!("{}{}", if signed { "s" } else { "u" }, 8 * bytes);
        let encoding = (u32::from(signed) << 24) | (8 * bytes);
        self.push(&name, (INT, 0), bytes, &[encoding])
    }

    /// A pointer.
    pub(super) fn pointer(&mut self) -> u32 {
        self.push("", (POINTER, 0), 0, &[])
    }

    /// An array.
    pub(super) fn array(&mut self, of: u32, length: u32) -> u32 {
        let index = self.integer(4, false);
        self.push("", (ARRAY, 0), 0, &[of, index, length])
    }

    /// A struct of this many bytes with one member.
    pub(super) fn structure(&mut self, name: &str, bytes: u32, member: (&str, u32)) -> u32 {
        let (member, ty) = (self.string(member.0), member.1);
        self.push(name, (STRUCT, 1), bytes, &[member, ty, 0])
    }

    /// An enum with one enumerator, which is 0.
    pub(super) fn enumeration(&mut self, name: &str, enumerator: &str) -> u32 {
        let enumerator = self.string(enumerator);
        self.push(name, (ENUM, 1), 4, &[enumerator, 0])
    }

    /// A variable that others can see.
    pub(super) fn variable(&mut self, name: &str, ty: u32) -> u32 {
        self.push(name, (VARIABLE, 0), ty, &[1])
    }

    /// A section of variables, each with its place and its bytes.
    pub(super) fn section(&mut self, name: &str, bytes: u32, variables: &[[u32; 3]]) -> u32 {
        self.push(name, (SECTION, variables.len()), bytes, variables.as_flattened())
    }

    /// The section `.BTF`.
    pub(super) fn finish(&self) -> Vec<u8> {
        let (types, strings) = (4 * length(&self.types), length(&self.strings));
        let header = [MAGIC, HEADER, 0, types, types, strings];
        let words = header.iter().chain(&self.types).flat_map(|word| word.to_le_bytes());
        words.chain(self.strings.iter().copied()).collect()
    }

    /// The section `.BTF.ext` of a program in the section `name`. Of functions and lines there is nothing, not even the
    /// size of a record: libbpf ignores the whole section where there is a size and no record.
    pub(super) fn extension(name: u32, records: &[Record]) -> Vec<u8> {
        let bytes = 12 + RECORD * length(records);
        let mut words = vec![MAGIC, EXT_HEADER, 0, 0, 0, 0, 0, bytes];
        words.extend([RECORD, name, length(records)]);
        for Record { insn, ty, access, kind } in records {
            words.extend([*insn, *ty, *access, *kind]);
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

fn length<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
