//! Prints: `iter/kmem_cache` whose file reads as text, a line a cache below a line of headings, for readers that know
//! nothing of rows.
//!
//! A pinned program may be read by several processes at once, so nothing is kept in a map: what other templates keep in
//! the header of the map's value lies in the frame, and `R6` points there. Texts are in the object's constants; see
//! [`crate::object::portable`].
//!
//! # Invariants
//!
//! What does not fit into the kernel's buffer is printed again by the next read, from the beginning of the cache: the
//! headings go with the first cache, by the kernel's count of caches.

use super::driver::Hooks;
use super::rows;
use crate::assembler::Assembler;
use crate::insn::{Cond, Insn, Reg, Size};
use crate::object::portable::CONSTANTS;
use crate::program::{Kind, Program};

/// Where the `seq_file` lies in the frame.
const FILE: i16 = -8;
/// Where the number lies that is printed.
const ARGUMENT: i16 = -16;

/// How a file is printed to, with what that asks of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printer {
    /// The BTF id of the function `bpf_iter_kmem_cache`.
    pub attach_btf_id: u32,
    /// The offset of `meta` in `struct bpf_iter__kmem_cache`.
    pub ctx_meta: i16,
    /// The offset of `s` in `struct bpf_iter__kmem_cache`.
    pub ctx_cache: i16,
    /// The offset of `seq` in `struct bpf_iter_meta`.
    pub meta_seq: i16,
    /// The offset of `seq_num` in `struct bpf_iter_meta`.
    pub meta_seq_num: i16,
    /// The number of the helper `bpf_seq_write`.
    pub seq_write: u32,
    /// The number of the helper `bpf_seq_printf`.
    pub seq_printf: u32,
}

/// Where a text lies in the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Bytes from their start.
    pub at: u32,
    /// How many bytes it has.
    pub bytes: u32,
}

impl Printer {
    /// Builds a program that keeps `numbers` of [`rows::Scratch`].
    pub fn build<H: Hooks>(
        &self,
        headings: Constant,
        numbers: usize,
        hooks: &mut H,
    ) -> Result<Program, H::Error>
    where
        H::Error: From<crate::assembler::FrameFull>,
    {
        let mut asm = Assembler::new(Kind::Iter { attach_btf_id: self.attach_btf_id }, 0);
        let (begun, next) = (asm.label("begun"), asm.label("next"));
        asm.reserve(16)?;
        let header = asm.reserve(rows::SCRATCH.unsigned_abs() as usize + 8 * numbers)?;
        asm.comment("iter/kmem_cache: called once a cache, and once with none at the end");
        asm.push(Insn::load(Size::Dw, Reg::R7, Reg::R1, self.ctx_cache));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R1, self.ctx_meta));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R2, self.meta_seq));
        asm.push(Insn::store(Size::Dw, Reg::R10, FILE, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R2, self.meta_seq_num));
        asm.jump_imm(Cond::Ne, Reg::R2, 0, begun);
        asm.comment("the headings");
        self.text(&mut asm, headings);
        asm.bind(begun);
        asm.jump_imm(Cond::Eq, Reg::R7, 0, next);
        asm.push(Insn::mov(Reg::R6, Reg::R10));
        asm.add(Reg::R6, header.into());
        asm.zero(Reg::R6, rows::FLAGS, 16);
        hooks.filter(&mut asm, next)?;
        hooks.columns(&mut asm)?;
        asm.bind(next);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        asm.sweep();
        Ok(asm.finish())
    }

    /// Appends the printing of a text. `R0` to `R5` are lost.
    pub fn text(&self, asm: &mut Assembler, text: Constant) {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, FILE));
        asm.map_value_of(Reg::R2, CONSTANTS, text.at);
        asm.push(Insn::mov_imm(Reg::R3, text.bytes.cast_signed()));
        asm.call(self.seq_write, "seq_write");
    }

    /// Appends the printing of the number, or of the text at the address, in `value` by a format, which ends in a NUL.
    /// `R0` to `R5` are lost.
    pub fn value(&self, asm: &mut Assembler, format: Constant, value: Reg) {
        asm.push(Insn::store(Size::Dw, Reg::R10, ARGUMENT, value));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, FILE));
        asm.map_value_of(Reg::R2, CONSTANTS, format.at);
        asm.push(Insn::mov_imm(Reg::R3, format.bytes.cast_signed()));
        asm.push(Insn::mov(Reg::R4, Reg::R10));
        asm.add(Reg::R4, ARGUMENT.into());
        asm.push(Insn::mov_imm(Reg::R5, 8));
        asm.call(self.seq_printf, "seq_printf");
    }
}
