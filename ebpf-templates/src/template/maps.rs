//! What programs of events do with their maps.

use crate::assembler::{Assembler, Label};
use crate::insn::{Cond, Insn, Reg, Size};
use crate::template::events::LOOKUP;

/// `dst = base + at`
pub(super) fn address(asm: &mut Assembler, dst: Reg, base: Reg, at: i16) {
    asm.push(Insn::mov(dst, base));
    asm.add(dst, at.into());
}

/// Points `R0` to the value of the key at `base + at`; to nothing if there is none.
pub(super) fn look_up(asm: &mut Assembler, map: u32, base: Reg, at: i16) {
    asm.map(Reg::R1, map);
    address(asm, Reg::R2, base, at);
    asm.call(LOOKUP.0, LOOKUP.1);
}

/// Adds 1 to a word of the value that `R0` points to.
pub(super) fn increment(asm: &mut Assembler, at: i16) {
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, at));
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R0, at, Reg::R1));
}

/// Counts a loss, in a word of the only value of the map `lost`, and goes on at `next`. `number` is a place in the frame.
pub(super) fn count_loss(asm: &mut Assembler, lost: u32, number: i16, at: i16, next: Label) {
    asm.comment("lost: there is no room");
    asm.zero(Reg::R10, number, 8);
    look_up(asm, lost, Reg::R10, number);
    asm.jump_imm(Cond::Eq, Reg::R0, 0, next);
    increment(asm, at);
}
