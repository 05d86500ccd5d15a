//! Reads kernel memory at a computed address, as a number.
//!
//! A pointer that the verifier knows may only be followed at constant offsets, and what it finds there is a typed
//! pointer again. Walks compute with addresses, so they read through `bpf_rdonly_cast`: the address is declared to
//! lie in a `struct slab`, so that eight bytes there are the slab's `counters`, a plain number. The cast costs one
//! `mov`, and a load from an address that is not mapped gives 0, as every such load does.

use crate::assembler::Assembler;
use crate::insn::{Insn, Reg, Size};

/// How numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The BTF id of `bpf_rdonly_cast`.
    pub rdonly_cast: u32,
    /// The BTF id of `struct slab`.
    pub slab_type: u32,
    /// The offset of `counters` in `struct slab`.
    pub counters: i16,
}

impl Peek {
    /// Appends `R0 = *(u64 *)(R1 + offset)`. Takes `R1` to `R5`.
    pub fn load(&self, asm: &mut Assembler, offset: i32) {
        self.read(asm, Size::Dw, offset);
    }

    /// Appends `R0 = *(u8 *)(R1 + offset)`. Takes `R1` to `R5`.
    pub fn byte(&self, asm: &mut Assembler, offset: i32) {
        self.read(asm, Size::B, offset);
    }

    /// Appends `R0 = *(R1 + offset)`, of so many bytes. Takes `R1` to `R5`.
    pub fn read(&self, asm: &mut Assembler, size: Size, offset: i32) {
        asm.add(Reg::R1, offset - i32::from(self.counters));
        self.cast(asm, self.slab_type);
        asm.push(Insn::load(size, Reg::R0, Reg::R0, self.counters));
    }

    /// Appends `R0 = (type *)R1`. Takes `R1` to `R5`.
    pub fn cast(&self, asm: &mut Assembler, type_id: u32) {
        asm.set(Reg::R2, u64::from(type_id));
        asm.call_kfunc(self.rdonly_cast, "bpf_rdonly_cast");
    }

    /// Appends `R0 = the low 32 bits of R0`.
    pub fn low_half(asm: &mut Assembler) {
        use crate::insn::Alu;
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R0, 32));
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R0, 32));
    }
}
