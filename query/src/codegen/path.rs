//! Reads members by their paths.
//!
//! What lies in the cache itself is loaded through the iterator's pointer, in one instruction. All else is read by the
//! helper `bpf_probe_read_kernel` at addresses that are computed as numbers: it says whether the memory could be read,
//! so what cannot be is NULL and not 0; and the verifier neither searches for what a pointer points to nor minds
//! unions and bit-fields. What lies in an object of a slab is mapped memory, and is loaded as walks load words.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::template::rows::resume;

use super::needs::helper;
use super::{Generator, walk};
use crate::diagnostic::Diagnostic;
use crate::path::{Base, Number, Path, Stored};

/// Appends `dst = the number at the end of a path that is direct`.
pub(super) fn direct(asm: &mut Assembler, dst: Reg, path: &Path) {
    let (size, offset) = (size(path), i16::try_from(path.offset));
    let offset = offset.unwrap_or_else(|_| unreachable!("`{}` is not direct", path.text));
    asm.push(Insn::load(size, dst, Reg::R7, offset));
    extract(asm, dst, path);
}

impl Generator<'_> {
    /// Appends `R1 = the number at the end of the path that input `input` is`; goes to `null` where a pointer on the
    /// way is NULL or leads to what cannot be read. `R0` to `R5` are lost.
    pub(super) fn far(
        &self,
        asm: &mut Assembler,
        input: usize,
        null: Label,
    ) -> Result<(), Diagnostic> {
        let path = self.plan.inputs[input].path().expect("only a path is far");
        let size = size(path);
        if path.base == Base::Object && path.hops.is_empty() {
            self.peek(asm, size, path.offset)?;
            asm.push(Insn::mov(Reg::R1, Reg::R0));
        } else {
            self.address(asm, path, null)?;
            self.read(asm, size, null)?;
            asm.push(Insn::load(size, Reg::R1, Reg::R10, self.frame()));
        }
        extract(asm, Reg::R1, path);
        if path.is_null_by_zero() {
            asm.jump_imm(Cond::Eq, Reg::R1, 0, null);
        }
        Ok(())
    }

    /// Appends `R3 = the address at the end of a path`; goes to `null` where a pointer on the way is NULL or cannot be
    /// read.
    pub(super) fn address(
        &self,
        asm: &mut Assembler,
        path: &Path,
        null: Label,
    ) -> Result<(), Diagnostic> {
        let mut hops = path.hops.as_slice();
        match path.base {
            Base::Object => match hops.split_first() {
                Some((first, rest)) => {
                    self.peek(asm, Size::Dw, *first)?;
                    asm.push(Insn::mov(Reg::R3, Reg::R0));
                    asm.jump_imm(Cond::Eq, Reg::R3, 0, null);
                    hops = rest;
                }
                None => asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, self.object())),
            },
            Base::Cache => asm.push(Insn::mov(Reg::R3, Reg::R7)),
            Base::Slab => asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, resume::SLAB)),
            Base::Node => {
                let node = self.node.expect("a row of a node has its address");
                asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, node));
            }
        }
        for hop in hops {
            asm.add(Reg::R3, hop.cast_signed());
            self.read(asm, Size::Dw, null)?;
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R10, self.frame()));
            asm.jump_imm(Cond::Eq, Reg::R3, 0, null);
        }
        asm.add(Reg::R3, path.offset.cast_signed());
        Ok(())
    }

    /// Appends `R0 = what lies so far in the row's object`, of `size` bytes. An object is memory that is mapped, so nothing
    /// is asked of a helper.
    fn peek(&self, asm: &mut Assembler, size: Size, offset: u32) -> Result<(), Diagnostic> {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, self.object()));
        walk::slab(self.schema)?.peek.read(asm, size, offset.cast_signed());
        Ok(())
    }

    /// Where the address of the row's object lies.
    fn object(&self) -> i16 {
        self.object.expect("a row of an object has its address")
    }

    /// Appends the reading of `size` bytes at `R3` into the frame; goes to `null` where they cannot be read.
    fn read(&self, asm: &mut Assembler, size: Size, null: Label) -> Result<(), Diagnostic> {
        asm.push(Insn::mov_imm(Reg::R2, size.bytes().into()));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, self.frame().into());
        asm.call(helper(self.schema, "probe_read_kernel")?, "probe_read_kernel");
        asm.jump_imm(Cond::Ne, Reg::R0, 0, null);
        Ok(())
    }

    /// Where the helper puts what it reads.
    fn frame(&self) -> i16 {
        self.read.expect("reserved for every path that needs it")
    }
}

/// The integer that holds the number at the end of a path.
fn size(path: &Path) -> Size {
    match path.value {
        Stored::Number { size, .. } => Size::of(size.into()).unwrap_or(Size::Dw),
        Stored::Text { .. } => unreachable!("`{}` is a text", path.text),
    }
}

/// Appends `register = the number in it`: its bits, with its sign.
fn extract(asm: &mut Assembler, register: Reg, path: &Path) {
    let Stored::Number { size, bits, kind } = &path.value else { return };
    let signed =
        matches!(kind, Number::Integer { signed: true } | Number::Enum { signed: true, .. });
    let (first, count) = bits.unwrap_or((0, 8 * size));
    let above = 64 - i32::from(first) - i32::from(count);
    if bits.is_none() && (!signed || above == 0) {
        return;
    }
    let right = if signed { Alu::Arsh } else { Alu::Rsh };
    asm.push(Insn::alu_imm(Alu::Lsh, register, above));
    asm.push(Insn::alu_imm(right, register, above + i32::from(first)));
}
