//! Texts of the kernel: copied into a row, or compared inside the kernel; by functions of its own, from Linux 6.17 on.

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

    /// Appends code that copies the first `bytes` bytes, a multiple of 8, of the text whose address is in `R3` to the
    /// frame at `buffer`, zeros behind it; goes to `null` where it cannot be read.
    pub fn to_frame(&self, asm: &mut Assembler, buffer: i16, bytes: u16, null: Label) {
        asm.zero(Reg::R10, buffer, bytes);
        asm.push(Insn::mov_imm(Reg::R2, i32::from(bytes.min(self.bytes))));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, i32::from(buffer));
        asm.call(self.read_str, "probe_read_kernel_str");
        asm.jump_imm(Cond::SLe, Reg::R0, 0, null);
    }
}

/// What the tests of a text's end call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Functions {
    /// The BTF id of `bpf_strlen`.
    pub strlen: u32,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub read: u32,
}

/// `-ENOENT`
const ENOENT: i32 = -2;
/// The bytes of a text that its reader sees; behind them it is cut.
const SEEN: i32 = rows::TEXT_BYTES as i32 - 2;

impl Text {
    /// Appends code that goes to `differs` unless `literal` is in the part of the text at `R3` that is seen, and to
    /// `null` where the text cannot be read. The literal is put into the frame at `buffer`, for `bpf_strstr`, whose BTF
    /// id is `strstr`.
    pub fn contains(
        asm: &mut Assembler,
        buffer: i16,
        literal: &[u8],
        strstr: u32,
        differs: Label,
        null: Label,
    ) {
        let mut at = buffer;
        let mut whole = literal.to_vec();
        whole.push(0);
        for chunk in whole.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            asm.set(Reg::R1, u64::from_le_bytes(word));
            asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
            at += 8;
        }
        asm.push(Insn::mov(Reg::R1, Reg::R3));
        asm.push(Insn::mov(Reg::R2, Reg::R10));
        asm.add(Reg::R2, buffer.into());
        asm.call_kfunc(strstr, "bpf_strstr");
        sign(asm);
        asm.jump_imm(Cond::Eq, Reg::R0, ENOENT, differs);
        asm.jump_imm(Cond::SLt, Reg::R0, 0, null);
        asm.jump_imm(Cond::SGt, Reg::R0, SEEN - length(literal), differs);
    }

    /// Appends code that goes to `differs` unless the text at `R3` ends with `literal`, and to `null` where it cannot be
    /// read. Its end is copied to the frame at `buffer`, which has so many bytes. A text that is seen cut has no end.
    pub fn ends_with(
        asm: &mut Assembler,
        (buffer, bytes): (i16, u16),
        literal: &[u8],
        functions: Functions,
        differs: Label,
        null: Label,
    ) {
        // To the verifier the address may be a pointer, with which nothing is computed; by way of the map it is a number.
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::NUMBER, Reg::R3));
        asm.push(Insn::mov(Reg::R1, Reg::R3));
        asm.call_kfunc(functions.strlen, "bpf_strlen");
        sign(asm);
        asm.jump_imm(Cond::SLt, Reg::R0, 0, null);
        asm.jump_imm(Cond::SLt, Reg::R0, length(literal), differs);
        asm.jump_imm(Cond::SGt, Reg::R0, SEEN, differs);
        asm.zero(Reg::R10, buffer, bytes);
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, rows::NUMBER));
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R0));
        asm.add(Reg::R3, -length(literal));
        asm.push(Insn::mov_imm(Reg::R2, length(literal)));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, buffer.into());
        asm.call(functions.read, "probe_read_kernel");
        asm.jump_imm(Cond::Ne, Reg::R0, 0, null);
        compare(asm, buffer, literal, differs);
    }
}

/// Appends that `R0`, which a kernel function returned as 32 bits, has its sign in all 64.
fn sign(asm: &mut Assembler) {
    asm.push(Insn::alu_imm(Alu::Lsh, Reg::R0, 32));
    asm.push(Insn::alu_imm(Alu::Arsh, Reg::R0, 32));
}

/// The bytes of a literal.
fn length(literal: &[u8]) -> i32 {
    debug_assert!(literal.len() <= LITERAL_MAX);
    i32::try_from(literal.len()).unwrap_or(i32::MAX)
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
