//! Goes through the NUMA nodes of a cache, and sums members of `struct kmem_cache_node` over them.
//!
//! Until 7.0 a cache has `node[]`, an array of pointers; from 7.1 on `per_node[]`, an array of `{ barn, node }`.
//! BTF says 1024 entries for both, but only as many as there are possible nodes are allocated: what lies behind
//! them is another object. An entry of a node without memory is NULL.

use super::{driver, rows};
use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// An array of pointers in a cache, an entry a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries {
    /// The offset of the first pointer in `struct kmem_cache`.
    pub first: i32,
    /// The distance from one to the next, in bytes.
    pub stride: i32,
    /// How many entries are allocated: the highest possible node and 1.
    pub count: i32,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub probe_read_kernel: u32,
}

/// The nodes of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// Where the pointers are.
    pub entries: Entries,
    /// The BTF id of `struct kmem_cache_node`.
    pub node_type: u32,
    /// The BTF id of `bpf_rdonly_cast`.
    pub rdonly_cast: u32,
}

/// One sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The member's offset in `struct kmem_cache_node`.
    pub offset: i16,
    /// The member's width.
    pub size: Size,
    /// Where the sum lies in the header: a number of [`rows::Scratch`].
    pub slot: i16,
}

impl Entries {
    /// Appends a loop over the pointers that are not null, for the cache in `R7`. The body finds the pointer in
    /// `R1`, a number; it must leave `R8`, the count, alone. A loop that the kernel ends counts in the slot
    /// `incomplete`, if there is one.
    pub fn each<E: From<FrameFull>>(
        &self,
        asm: &mut Assembler,
        incomplete: Option<i16>,
        body: impl FnOnce(&mut Assembler) -> Result<(), E>,
    ) -> Result<(), E> {
        let (cut, done) = (asm.label("cut"), asm.label("nodes_done"));
        self.each_from(asm, rows::ZERO, [cut, done], body)?;
        asm.bind(cut);
        ended(asm, incomplete);
        asm.bind(done);
        Ok(())
    }

    /// The same from the entry that the header's number `from` counts on. A loop that the kernel ends goes to `cut`,
    /// one that ends by its count to `done`.
    pub fn each_from<E: From<FrameFull>>(
        &self,
        asm: &mut Assembler,
        from: i16,
        [cut, done]: [Label; 2],
        body: impl FnOnce(&mut Assembler) -> Result<(), E>,
    ) -> Result<(), E> {
        let node = asm.label("node");
        let pointer = asm.reserve(8)?;
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, from));
        asm.bind(node);
        asm.may_goto(cut);
        asm.jump_imm(Cond::Ge, Reg::R8, self.count, done);
        asm.push(Insn::mov(Reg::R4, Reg::R8));
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R4, self.stride));
        asm.add(Reg::R4, self.first);
        asm.push(Insn::mov(Reg::R3, Reg::R7));
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R4));
        asm.push(Insn::mov_imm(Reg::R2, 8));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, i32::from(pointer));
        asm.call(self.probe_read_kernel, "probe_read_kernel");
        asm.add(Reg::R8, 1);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, pointer));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, node);
        body(asm)?;
        asm.jump(node);
        asm.release(8);
        Ok(())
    }
}

impl Nodes {
    /// Appends the loop that fills the slot of each sum, for the cache in `R7`. Takes `R0` to `R5` and `R8`. See
    /// [`Entries::each`] for `incomplete`.
    pub fn sum(
        &self,
        asm: &mut Assembler,
        sums: &[Sum],
        incomplete: Option<i16>,
    ) -> Result<(), FrameFull> {
        zero(asm, sums.iter().map(|sum| sum.slot));
        self.entries.each(asm, incomplete, |asm| {
            self.add(asm, sums);
            Ok(())
        })
    }

    /// Appends the reading of members of the node whose address is in `R1` into their slots. Takes `R0` to `R5`.
    pub fn read(&self, asm: &mut Assembler, members: &[Sum]) {
        zero(asm, members.iter().map(|member| member.slot));
        self.add(asm, members);
    }

    /// Appends `R0 = (struct kmem_cache_node *)R1`, and adds the node's members to the sums.
    pub(super) fn add(&self, asm: &mut Assembler, sums: &[Sum]) {
        asm.set(Reg::R2, u64::from(self.node_type));
        asm.call_kfunc(self.rdonly_cast, "bpf_rdonly_cast");
        for sum in sums {
            asm.push(Insn::load(sum.size, Reg::R1, Reg::R0, sum.offset));
            add_to(asm, sum.slot, Reg::R1);
        }
    }
}

/// Appends what is to be said of a loop that the kernel ended. `R0` to `R2` are lost.
pub(super) fn ended(asm: &mut Assembler, incomplete: Option<i16>) {
    driver::flag(asm, rows::CUT);
    if let Some(incomplete) = incomplete {
        asm.push(Insn::mov_imm(Reg::R1, 1));
        add_to(asm, incomplete, Reg::R1);
    }
}

/// Appends the counting of a round of a loop in `header[slot]`; goes to `over` instead if `most` have been counted. `R1`
/// is lost.
pub(super) fn round(asm: &mut Assembler, slot: i16, most: i32, over: Label) {
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, slot));
    asm.jump_imm(Cond::Ge, Reg::R1, most, over);
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R1));
}

/// Appends `header[slot] = 0` for each slot.
pub(super) fn zero(asm: &mut Assembler, slots: impl Iterator<Item = i16>) {
    for slot in slots {
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, slot, 0));
    }
}

/// Appends `header[slot] += src`. `R2` is lost.
pub(super) fn add_to(asm: &mut Assembler, slot: i16, src: Reg) {
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, slot));
    asm.push(Insn::alu(Alu::Add, Reg::R2, src));
    asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R2));
}
