//! Sums over NUMA nodes in a program that goes to other kernels; [`super::node`] is the same for the running one.
//!
//! Such a program calls no function of the kernel, whose number only libbpf would fit, so nodes are read by the helper
//! alone. Both forms of the array of nodes are in it, and one of them runs: `node[]` until 7.0, `per_node[]` from 7.1 on.
//! How many nodes a kernel may have is nowhere to be read, so it is a variable of the object.

use super::node::{Sum, add_to, zero};
use crate::assembler::{Assembler, FrameFull};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::object::portable::CONSTANTS;

/// The nodes of a cache, in all forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Whether `node[]` is there.
    pub plain: bool,
    /// The offsets of its first two pointers, and of those of `per_node[]`.
    pub pointers: [[u32; 2]; 2],
    /// Where their number lies in the constants.
    pub count: u32,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub read: u32,
}

impl Nodes {
    /// Appends the loop that fills the slot of each sum, for the cache in `R7`. Takes `R0` to `R5`, `R8` and `R9`.
    pub fn sum(&self, asm: &mut Assembler, sums: &[Sum]) -> Result<(), FrameFull> {
        let per_node = asm.label("per_node");
        let (found, node, done) = (asm.label("array"), asm.label("node"), asm.label("nodes_done"));
        let (stride, pointer, value) = (asm.reserve(8)?, asm.reserve(8)?, asm.reserve(8)?);
        let [plain, other] = self.pointers.map(|pair| pair.map(u32::cast_signed));
        zero(asm, sums.iter().map(|sum| sum.slot));
        asm.push(Insn::mov_imm(Reg::R1, self.plain.into()));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, per_node);
        asm.push(Insn::mov_imm(Reg::R9, plain[0]));
        asm.push(Insn::mov_imm(Reg::R1, plain[1]));
        asm.jump(found);
        asm.bind(per_node);
        asm.push(Insn::mov_imm(Reg::R9, other[0]));
        asm.push(Insn::mov_imm(Reg::R1, other[1]));
        asm.bind(found);
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R9));
        asm.push(Insn::store(Size::Dw, Reg::R10, stride, Reg::R1));
        asm.push(Insn::alu(Alu::Add, Reg::R9, Reg::R7));
        asm.push(Insn::mov_imm(Reg::R8, 0));
        asm.bind(node);
        asm.map_value_of(Reg::R1, CONSTANTS, self.count);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R1, 0));
        asm.jump_reg(Cond::Ge, Reg::R8, Reg::R1, done);
        asm.push(Insn::mov(Reg::R3, Reg::R9));
        self.read(asm, Size::Dw, pointer);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, stride));
        asm.push(Insn::alu(Alu::Add, Reg::R9, Reg::R1));
        asm.add(Reg::R8, 1);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, pointer));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, node);
        for sum in sums {
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R10, pointer));
            asm.push(Insn::mov_imm(Reg::R1, sum.offset.into()));
            asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R1));
            self.read(asm, sum.size, value);
            asm.push(Insn::load(sum.size, Reg::R1, Reg::R10, value));
            add_to(asm, sum.slot, Reg::R1);
        }
        asm.jump(node);
        asm.bind(done);
        asm.release(24);
        Ok(())
    }

    /// Appends the reading of what lies at `R3` into the frame at `to`; 0 if it cannot be read.
    fn read(&self, asm: &mut Assembler, size: Size, to: i16) {
        asm.push(Insn::mov_imm(Reg::R2, size.bytes().into()));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, to.into());
        asm.call(self.read, "probe_read_kernel");
    }
}
