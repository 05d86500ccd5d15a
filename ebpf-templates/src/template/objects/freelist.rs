//! Follows the freelist of a slab, and sets the bit of each object on it.

use super::{BITS, CORRUPT, Objects, SlabRows};
use crate::assembler::Assembler;
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::template::node::round;
use crate::template::rows::page;
use crate::template::slab::next_free;

impl SlabRows {
    /// Appends the setting of a bit of the row at `R8` for each object on the slab's freelist. Takes `R0` to `R5` and
    /// `R9`.
    pub(super) fn freelist(&self, asm: &mut Assembler) {
        let Objects { vmemmap, size, free_offset, red_left_pad, random, bits, .. } = self.objects;
        let [object, corrupt, end] =
            ["object", "corrupt", "freelist_end"].map(|name| asm.label(name));
        asm.comment("the freelist");
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, page::FREELIST));
        asm.bind(object);
        asm.may_goto(corrupt);
        asm.jump_imm(Cond::Eq, Reg::R9, 0, end);
        round(asm, self.own.steps, bits.into(), corrupt);
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, self.own.start));
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        if let Some(pad) = red_left_pad {
            asm.push(Insn::load(Size::W, Reg::R2, Reg::R7, pad));
            asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        }
        asm.push(Insn::load(Size::W, Reg::R2, Reg::R7, size));
        asm.jump_imm(Cond::Eq, Reg::R2, 0, corrupt);
        asm.push(Insn::mov(Reg::R3, Reg::R1));
        asm.push(Insn::alu(Alu::Div, Reg::R1, Reg::R2));
        // Between two objects there is none.
        asm.push(Insn::alu(Alu::Mul, Reg::R2, Reg::R1));
        asm.jump_reg(Cond::Ne, Reg::R2, Reg::R3, corrupt);
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, page::OBJECTS));
        asm.jump_reg(Cond::Ge, Reg::R1, Reg::R2, corrupt);
        asm.jump_imm(Cond::Ge, Reg::R1, bits.into(), corrupt);
        asm.push(Insn::mov(Reg::R2, Reg::R1));
        asm.push(Insn::alu_imm(Alu::And, Reg::R2, 63));
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R1, 6));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R1, 3));
        asm.push(Insn::mov(Reg::R3, Reg::R8));
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R1));
        asm.push(Insn::mov_imm(Reg::R4, 1));
        asm.push(Insn::alu(Alu::Lsh, Reg::R4, Reg::R2));
        asm.push(Insn::load(Size::Dw, Reg::R5, Reg::R3, BITS));
        asm.push(Insn::alu(Alu::Or, Reg::R5, Reg::R4));
        asm.push(Insn::store(Size::Dw, Reg::R3, BITS, Reg::R5));
        next_free(asm, vmemmap.slab.peek, free_offset, random);
        asm.jump(object);
        asm.bind(corrupt);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, self.own.flags, CORRUPT));
        asm.bind(end);
    }
}
