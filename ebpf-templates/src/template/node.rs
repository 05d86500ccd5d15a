//! Sums members of `struct kmem_cache_node` over all possible NUMA nodes.
//!
//! Until 7.0 a cache has `node[]`, an array of pointers; from 7.1 on `per_node[]`, an array of `{ barn, node }`.
//! BTF says 1024 entries for both, but only as many as there are possible nodes are allocated: what lies behind
//! them is another object. An entry of a node without memory is NULL.

use super::rows;
use crate::assembler::{Assembler, FrameFull};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// The array of nodes in a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The offset of the first `struct kmem_cache_node *` in `struct kmem_cache`.
    pub first: i32,
    /// The distance from one to the next, in bytes.
    pub stride: i32,
    /// How many entries are allocated: the highest possible node and 1.
    pub count: i32,
    /// The BTF id of `struct kmem_cache_node`.
    pub node_type: u32,
    /// The BTF id of `bpf_rdonly_cast`.
    pub rdonly_cast: u32,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub probe_read_kernel: u32,
}

/// One sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The member's offset in `struct kmem_cache_node`.
    pub offset: i16,
    /// The member's width.
    pub size: Size,
    /// Where the sum lies in the frame: eight bytes.
    pub slot: i16,
}

impl Nodes {
    /// Appends the loop that fills the slot of each sum, for the cache in `R7`. Takes `R0` to `R5` and `R8`.
    pub fn sum(&self, asm: &mut Assembler, sums: &[Sum]) -> Result<(), FrameFull> {
        let (node, done) = (asm.label("node"), asm.label("nodes_done"));
        let pointer = asm.reserve(8)?;
        for sum in sums {
            asm.push(Insn::store_imm(Size::Dw, Reg::R10, sum.slot, 0));
        }
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, rows::ZERO));
        asm.bind(node);
        asm.may_goto(done);
        asm.jump_imm(Cond::Ge, Reg::R8, self.count, done);
        asm.push(Insn::mov(Reg::R3, Reg::R8));
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R3, self.stride));
        asm.add(Reg::R3, self.first);
        asm.push(Insn::mov(Reg::R4, Reg::R7));
        asm.push(Insn::alu(Alu::Add, Reg::R4, Reg::R3));
        asm.push(Insn::mov(Reg::R3, Reg::R4));
        asm.push(Insn::mov_imm(Reg::R2, 8));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, i32::from(pointer));
        asm.call(self.probe_read_kernel, "probe_read_kernel");
        asm.add(Reg::R8, 1);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, pointer));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, node);
        asm.set(Reg::R2, u64::from(self.node_type));
        asm.call_kfunc(self.rdonly_cast, "bpf_rdonly_cast");
        for sum in sums {
            asm.push(Insn::load(sum.size, Reg::R1, Reg::R0, sum.offset));
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, sum.slot));
            asm.push(Insn::alu(Alu::Add, Reg::R2, Reg::R1));
            asm.push(Insn::store(Size::Dw, Reg::R10, sum.slot, Reg::R2));
        }
        asm.jump(node);
        asm.bind(done);
        Ok(())
    }
}
