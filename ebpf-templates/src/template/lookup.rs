//! Looks up addresses: whose objects they are, and what lies there.
//!
//! | program | gives of each address |
//! |---|---|
//! | [`Owners`] | the slab cache whose object lies there, by `bpf_get_kmem_cache`, and its name |
//! | [`Words`] | the eight bytes there, 0 where nothing is mapped |
//! | [`Mapped`] | whether something is mapped there |
//!
//! [`Jiffies`] looks nothing up: it tells the kernel's time by its ticks.
//!
//! The others are `syscall` programs over a list of addresses at the end of the map's value, where the loader puts it. What
//! they give stands before it, a record an address:
//!
//! ```text
//! byte 0       320                                  320 + count × record
//!      header  record, record, record, …            address, address, address, …
//! ```
//!
//! A list of addresses is as long as the program was built for; a loader that has fewer fills it up with 0, of which
//! nothing is known.

use super::peek::Peek;
use super::rows;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::{Kind, Program};

/// Where the number of the next address is counted, in the header.
const NEXT: i16 = rows::SCRATCH;

/// The program that finds the caches of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The BTF id of `bpf_get_kmem_cache`.
    pub get_kmem_cache: u32,
    /// The offset of `name` in `struct kmem_cache`.
    pub name: i16,
    /// The number of the helper `bpf_probe_read_kernel_str`.
    pub read_str: u32,
    /// How many addresses there are.
    pub count: u32,
}

/// The program that reads words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// How they are read.
    pub peek: Peek,
    /// How many addresses there are.
    pub count: u32,
}

/// The program that tells whether something is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The number of the helper `bpf_probe_read_kernel`.
    pub read: u32,
    /// How many addresses there are.
    pub count: u32,
}

/// The program that counts the ticks of the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jiffies {
    /// The number of the helper `bpf_jiffies64`.
    pub jiffies64: u32,
}

/// What [`Owners`] gives of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The address of the cache.
    pub cache: u64,
    /// Its name, if it can be read.
    pub name: Option<Vec<u8>>,
}

/// The eight bytes at `at`, in which a number lies.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Appends the loop over addresses: `each` finds the address in `R1` and the place of its record in `R8`, may use all
/// registers but `R6`, and goes to the label when it is done.
fn loop_over(
    asm: &mut Assembler,
    count: u32,
    record: u32,
    each: impl FnOnce(&mut Assembler, Label),
) {
    let [next, done] = ["next", "done"].map(|name| asm.label(name));
    let bound = i32::try_from(count).unwrap_or(i32::MAX);
    asm.map_value(Reg::R6, 0);
    asm.push(Insn::store_imm(Size::Dw, Reg::R6, NEXT, 0));
    asm.bind(next);
    asm.may_goto(done);
    asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, NEXT));
    asm.jump_imm(Cond::Ge, Reg::R9, bound, done);
    asm.push(Insn::mov(Reg::R1, Reg::R9));
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, NEXT, Reg::R1));
    asm.comment("the place of its record");
    asm.map_value(Reg::R8, rows::HEADER);
    asm.push(Insn::mov(Reg::R1, Reg::R9));
    asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, i32::try_from(record).unwrap_or(i32::MAX)));
    asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R1));
    asm.comment("the address");
    asm.map_value(Reg::R2, rows::HEADER + count * record);
    asm.push(Insn::alu_imm(Alu::Lsh, Reg::R9, 3));
    asm.push(Insn::alu(Alu::Add, Reg::R2, Reg::R9));
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R2, 0));
    each(asm, next);
    asm.jump(next);
    asm.bind(done);
    asm.push(Insn::mov_imm(Reg::R0, 0));
    asm.push(Insn::exit());
}

impl Owners {
    /// Where the length of the name lies in a record, its NUL counted; 0 is no name. The name is behind it.
    const LENGTH: i16 = 8;
    /// Bytes of a record.
    const RECORD: u32 = 16 + rows::TEXT_ROOM as u32;

    /// Builds the program.
    #[must_use]
    pub fn build(&self) -> Program {
        let (count, record) = (self.count, Self::RECORD);
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER + count * (record + 8));
        asm.comment("syscall: whose object lies at each address");
        loop_over(&mut asm, count, record, |asm, next| {
            asm.call_kfunc(self.get_kmem_cache, "bpf_get_kmem_cache");
            asm.jump_imm(Cond::Eq, Reg::R0, 0, next);
            asm.push(Insn::mov(Reg::R7, Reg::R0));
            asm.push(Insn::store(Size::Dw, Reg::R8, 0, Reg::R0));
            asm.comment("its name");
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R7, self.name));
            asm.push(Insn::mov_imm(Reg::R2, i32::from(rows::TEXT_BYTES)));
            asm.push(Insn::mov(Reg::R1, Reg::R8));
            asm.add(Reg::R1, i32::from(Self::LENGTH) + 8);
            asm.call(self.read_str, "probe_read_kernel_str");
            asm.jump_imm(Cond::SLe, Reg::R0, 0, next);
            asm.push(Insn::store(Size::Dw, Reg::R8, Self::LENGTH, Reg::R0));
        });
        asm.finish()
    }

    /// What the map's value says of address number `index`; none if no cache has an object there.
    #[must_use]
    pub fn decode(&self, value: &[u8], index: usize) -> Option<Owner> {
        let start = rows::HEADER as usize + index * Self::RECORD as usize;
        let cache = word(value, start).filter(|cache| *cache != 0)?;
        let at = start + usize::from(Self::LENGTH.unsigned_abs());
        let length = usize::try_from(word(value, at)?).ok()?;
        let name = length.checked_sub(1).and_then(|bytes| value.get(at + 8..at + 8 + bytes));
        Some(Owner { cache, name: name.map(<[u8]>::to_vec) })
    }
}

impl Mapped {
    /// Builds the program.
    #[must_use]
    pub fn build(&self) -> Program {
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER + self.count * 16);
        asm.comment("syscall: is something mapped at each address?");
        loop_over(&mut asm, self.count, 8, |asm, _| {
            asm.push(Insn::mov(Reg::R3, Reg::R1));
            asm.push(Insn::mov_imm(Reg::R2, 8));
            asm.push(Insn::mov(Reg::R1, Reg::R6));
            asm.add(Reg::R1, NEXT.into());
            asm.add(Reg::R1, 8);
            asm.call(self.read, "probe_read_kernel");
            asm.push(Insn::store(Size::Dw, Reg::R8, 0, Reg::R0));
        });
        asm.finish()
    }

    /// Whether something is mapped at address number `index`.
    #[must_use]
    pub fn decode(&self, value: &[u8], index: usize) -> bool {
        word(value, rows::HEADER as usize + 8 * index) == Some(0)
    }
}

impl Jiffies {
    /// Builds the program.
    #[must_use]
    pub fn build(&self) -> Program {
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER);
        asm.comment("syscall: the ticks so far");
        asm.map_value(Reg::R6, 0);
        asm.call(self.jiffies64, "jiffies64");
        asm.push(Insn::store(Size::Dw, Reg::R6, NEXT, Reg::R0));
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        asm.finish()
    }

    /// The ticks that the map's value tells.
    #[must_use]
    pub fn decode(&self, value: &[u8]) -> Option<u64> {
        word(value, usize::from(NEXT.unsigned_abs()))
    }
}

impl Words {
    /// Builds the program.
    #[must_use]
    pub fn build(&self) -> Program {
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER + self.count * 16);
        asm.comment("syscall: the word at each address");
        loop_over(&mut asm, self.count, 8, |asm, _| {
            self.peek.load(asm, 0);
            asm.push(Insn::store(Size::Dw, Reg::R8, 0, Reg::R0));
        });
        asm.finish()
    }

    /// The word at address number `index`.
    #[must_use]
    pub fn decode(&self, value: &[u8], index: usize) -> Option<u64> {
        word(value, rows::HEADER as usize + 8 * index)
    }
}
