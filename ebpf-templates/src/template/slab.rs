//! `struct slab`: how many of its objects are free, and lists of slabs.
//!
//! A list is followed without its lock. What keeps the figure honest is that every slab says which cache it belongs
//! to: a walk that slips to another list is noticed at the next step, given up and begun again.

use super::node::add_to;
use super::peek::Peek;
use super::{driver, rows};
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// How often a walk is begun.
pub(super) const TRIES: i32 = 3;

/// Appends `R9 = the object behind R9 on its freelist`, of the cache in `R7`. `R0` to `R5` are lost.
pub(super) fn next_free(asm: &mut Assembler, peek: Peek, free_offset: i16, random: Option<i16>) {
    asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, free_offset));
    asm.push(Insn::alu(Alu::Add, Reg::R9, Reg::R1));
    asm.push(Insn::mov(Reg::R1, Reg::R9));
    peek.load(asm, 0);
    match random {
        // freelist_ptr_decode(): the pointer, the cache's secret and where it lies, byte-swapped.
        Some(random) => {
            asm.push(Insn::swap(Reg::R9));
            asm.push(Insn::alu(Alu::Xor, Reg::R9, Reg::R0));
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R7, random));
            asm.push(Insn::alu(Alu::Xor, Reg::R9, Reg::R1));
        }
        None => asm.push(Insn::mov(Reg::R9, Reg::R0)),
    }
}

/// Appends the end of a walk that failed: back to `again`, where it begins, or, the third time, on with what it
/// found and the row counted as incomplete. `R0` to `R2` are lost.
pub(super) fn try_again(asm: &mut Assembler, tries: i16, again: Label, incomplete: i16) {
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, tries));
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, tries, Reg::R1));
    let given_up = asm.label("given_up");
    asm.jump_imm(Cond::Ge, Reg::R1, TRIES, given_up);
    // The way back is a loop of its own to the verifier, which wants to see it bounded.
    asm.may_goto(given_up);
    asm.jump(again);
    asm.bind(given_up);
    give_up(asm, incomplete);
}

/// Appends what is to be said of a walk that failed for good. `R0` to `R2` are lost.
pub(super) fn give_up(asm: &mut Assembler, incomplete: i16) {
    asm.push(Insn::mov_imm(Reg::R1, 1));
    add_to(asm, incomplete, Reg::R1);
    driver::flag(asm, rows::TORN);
}

/// Bits of a 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The least significant one.
    pub first: i32,
    /// How many.
    pub count: u8,
}

/// The members of `struct slab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// How numbers are read, and where `counters` is.
    pub peek: Peek,
    /// The offset of `slab_cache`.
    pub slab_cache: i16,
    /// The offset of `slab_list`, whose first pointer is `next`.
    pub slab_list: i16,
    /// `inuse` in `counters`.
    pub inuse: Bits,
    /// `objects` in `counters`.
    pub objects: Bits,
    /// `frozen` in `counters`, if the kernel has it.
    pub frozen: Option<Bits>,
}

impl Bits {
    /// These bits of a number.
    #[must_use]
    pub fn of(self, number: u64) -> u64 {
        let above = 64 - self.first.unsigned_abs() - u32::from(self.count);
        number << above >> (above + self.first.unsigned_abs())
    }

    /// Appends `register = these bits of it`.
    pub(super) fn extract(self, asm: &mut Assembler, register: Reg) {
        let above = 64 - self.first - i32::from(self.count);
        asm.push(Insn::alu_imm(Alu::Lsh, register, above));
        asm.push(Insn::alu_imm(Alu::Rsh, register, above + self.first));
    }
}

impl Slab {
    /// Appends `R1 = the free objects of a slab whose counters are in R1`; goes to `torn` if they are not a slab's:
    /// one with more objects in use than it has was freed meanwhile. Takes `R2`.
    pub fn free(&self, asm: &mut Assembler, torn: Label) {
        asm.push(Insn::mov(Reg::R2, Reg::R1));
        self.objects.extract(asm, Reg::R1);
        self.inuse.extract(asm, Reg::R2);
        asm.jump_reg(Cond::Lt, Reg::R1, Reg::R2, torn);
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
    }

    /// Appends `R0 = (struct slab *)(R9 - member)`, its `counters` in `R1`; goes to `torn` if the slab is not one of
    /// the cache in `R7`. `member` is the offset of the member that `R9` points to.
    pub fn visit(&self, asm: &mut Assembler, member: i16, torn: Label) {
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        asm.add(Reg::R1, -i32::from(member));
        self.peek.cast(asm, self.peek.slab_type);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, self.slab_cache));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::SELF));
        asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, torn);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, self.peek.counters));
    }
}
