//! The stack of an event, and its number.
//!
//! The frames themselves are the key of a stack, so that no two stacks are ever taken for one. The number is made of a
//! count, the CPU and the program: whoever puts a stack into the map first gives it its number, and all others read it
//! there. The frames are gathered in a map in which each program has a place of its own on each CPU, because one
//! program may interrupt another.

use super::slots::{known_stack, remember_stack};
use super::{
    BPF_NOEXIST, CPU, DEPTH, FRAMES, Frame, LOOKUP, LOST, OWN_FRAMES, Point, STACK, STACKS, UPDATE,
};
use crate::assembler::Assembler;
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::template::maps::{address, count_loss, look_up};

/// Stores the number of the stack at `at`.
pub(super) fn stack(asm: &mut Assembler, point: Point, frame: &Frame, at: i16, depth: usize) {
    let [taken, known, lost] = ["taken", "known", "no_stack"].map(|name| asm.label(name));
    let depth = depth.clamp(1, DEPTH);
    let bytes = i32::try_from(8 * depth).unwrap_or(0);
    let look_up_frames = |asm: &mut Assembler| {
        asm.map(Reg::R1, STACKS);
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, frame.frames));
        asm.add(Reg::R2, 8);
        asm.call(LOOKUP.0, LOOKUP.1);
    };
    asm.comment("the place of this program on this CPU");
    asm.zero(Reg::R10, at, 8);
    asm.push(Insn::store_imm(Size::Dw, Reg::R10, frame.number, point.number()));
    look_up(asm, FRAMES, Reg::R10, frame.number);
    asm.jump_imm(Cond::Eq, Reg::R0, 0, taken);
    asm.push(Insn::store(Size::Dw, Reg::R10, frame.frames, Reg::R0));
    asm.comment("the frames, and zeros behind them");
    asm.push(Insn::mov(Reg::R1, Reg::R6));
    asm.push(Insn::mov(Reg::R2, Reg::R0));
    asm.add(Reg::R2, 8);
    asm.push(Insn::mov_imm(Reg::R3, bytes));
    asm.push(Insn::mov_imm(Reg::R4, OWN_FRAMES));
    asm.call(STACK.0, STACK.1);
    asm.jump_imm(Cond::SLe, Reg::R0, 0, lost);
    known_stack(asm, point, frame, (at, depth), taken);
    look_up_frames(asm);
    asm.jump_imm(Cond::Ne, Reg::R0, 0, known);
    asm.comment("a new one: its number is count, CPU, program");
    asm.call(CPU.0, CPU.1);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.frames));
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R1, 0));
    asm.add(Reg::R2, 1);
    asm.push(Insn::store(Size::Dw, Reg::R1, 0, Reg::R2));
    asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 16));
    asm.push(Insn::alu(Alu::Or, Reg::R2, Reg::R0));
    asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 2));
    asm.add(Reg::R2, point.number());
    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R2));
    asm.push(Insn::mov(Reg::R2, Reg::R1));
    asm.add(Reg::R2, 8);
    asm.map(Reg::R1, STACKS);
    address(asm, Reg::R3, Reg::R10, at);
    asm.push(Insn::mov_imm(Reg::R4, BPF_NOEXIST));
    asm.call(UPDATE.0, UPDATE.1);
    asm.comment("another CPU may have been first");
    look_up_frames(asm);
    asm.jump_imm(Cond::Ne, Reg::R0, 0, known);
    asm.zero(Reg::R10, at, 8);
    asm.bind(lost);
    count_loss(asm, LOST, frame.number, 16, taken);
    asm.jump(taken);
    asm.bind(known);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 0));
    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
    remember_stack(asm, frame, at, depth);
    asm.bind(taken);
}
