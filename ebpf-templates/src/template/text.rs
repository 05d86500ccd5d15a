//! Texts of the kernel: copied into a row, or compared inside the kernel.

use super::rows;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// A text that ends with a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// The bytes that it has at most, its NUL included; no more than [`rows::TEXT_BYTES`].
    pub bytes: u16,
    /// The number of the helper `bpf_probe_read_kernel_str`.
    pub read_str: u32,
}

impl Text {
    /// Appends code that puts the text behind the row's fixed part at `R8 + R9`, its length with the NUL at
    /// `R8 + length`, and adds its room to `R9`. The eight bytes behind the NUL are zeroed, within which the next
    /// text, or the next row, begins on a multiple of 8. `address` appends code that puts the text's address into
    /// `R3`, or goes to the label where there is none.
    pub fn append<E>(
        &self,
        asm: &mut Assembler,
        length: i16,
        address: impl FnOnce(&mut Assembler, Label) -> Result<(), E>,
    ) -> Result<(), E> {
        let (null, done) = (asm.label("text_null"), asm.label("text_done"));
        address(asm, null)?;
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R9));
        asm.push(Insn::mov_imm(Reg::R2, i32::from(self.bytes)));
        asm.call(self.read_str, "probe_read_kernel_str");
        asm.jump_imm(Cond::SLe, Reg::R0, 0, null);
        asm.push(Insn::store(Size::H, Reg::R8, length, Reg::R0));
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R9));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R0));
        asm.push(Insn::store_imm(Size::Dw, Reg::R1, 0, 0));
        asm.push(Insn::alu(Alu::Add, Reg::R9, Reg::R0));
        asm.add(Reg::R9, 7);
        asm.push(Insn::alu_imm(Alu::And, Reg::R9, -8));
        asm.jump(done);
        asm.bind(null);
        asm.push(Insn::store_imm(Size::H, Reg::R8, length, i32::from(rows::TEXT_NULL)));
        asm.bind(done);
        Ok(())
    }

    /// Appends code that copies the first bytes of the text whose address is in `R3` to the frame at `buffer`, which
    /// has `bytes` bytes, a multiple of 8, that are zero; goes to `null` where it cannot be read.
    pub fn to_frame(&self, asm: &mut Assembler, buffer: i16, bytes: u16, null: Label) {
        asm.push(Insn::mov_imm(Reg::R2, i32::from(bytes.min(self.bytes))));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, i32::from(buffer));
        asm.call(self.read_str, "probe_read_kernel_str");
        asm.jump_imm(Cond::SLe, Reg::R0, 0, null);
    }
}

/// The longest literal that is compared in the kernel, in bytes.
pub const LITERAL_MAX: usize = 64;

/// The bytes of text that a comparison with a literal needs in the frame. Two more than the literal has: a copy
/// that was cut ends in a NUL too, and must not be taken for the whole text.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // at most LITERAL_MAX
pub fn buffer_bytes(literal: usize) -> u16 {
    debug_assert!(literal <= LITERAL_MAX);
    (literal + 2).next_multiple_of(8) as u16
}

/// Appends code that goes to `differs` unless the text at `buffer` is `literal`.
pub fn equals(asm: &mut Assembler, buffer: i16, literal: &[u8], differs: Label) {
    let mut whole = literal.to_vec();
    whole.push(0);
    compare(asm, buffer, &whole, differs);
}

/// Appends code that goes to `differs` unless the text at `buffer` begins with `prefix`.
pub fn starts_with(asm: &mut Assembler, buffer: i16, prefix: &[u8], differs: Label) {
    compare(asm, buffer, prefix, differs);
}

/// Compares eight bytes at a time; of the last word only the bytes that `wanted` has.
fn compare(asm: &mut Assembler, buffer: i16, wanted: &[u8], differs: Label) {
    let mut at = buffer;
    for chunk in wanted.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, at));
        if chunk.len() < 8 {
            let mask = (1_u64 << (8 * chunk.len())) - 1;
            asm.set(Reg::R2, mask);
            asm.push(Insn::alu(Alu::And, Reg::R1, Reg::R2));
        }
        asm.set(Reg::R2, u64::from_le_bytes(word));
        asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, differs);
        at += 8;
    }
}
