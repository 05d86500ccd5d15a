//! Names code addresses, as the kernel itself does: `vm_area_dup+0x1e/0x190`, behind it the module if it is in one.
//!
//! A `syscall` program prints each address of a list by `bpf_snprintf` and its format `%pS`, which reads no file and
//! needs no right to see addresses. The format lies in map number 1, which has to be read-only and frozen.
//!
//! ```text
//! byte 0       320                                     320 + count × 128
//!      header  text, NUL (128 bytes), text, NUL, …     address, address, address, …
//! ```
//!
//! In the header stands which process ran the program, by the kernel's own numbers.

use super::rows;
use crate::assembler::Assembler;
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::{Kind, Program};

/// What the map number 1 holds.
pub const FORMAT: &[u8] = b"%pS\0";
/// Bytes of a text: the kernel's longest symbol has 512, but is cut where it is shown.
const TEXT: u32 = 128;
/// Where the process that ran the program is told, in the header.
const PROCESS: i16 = rows::SCRATCH;

/// The program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols {
    /// How many addresses there are.
    pub count: u32,
}

impl Symbols {
    /// Builds it.
    #[must_use]
    pub fn build(&self) -> Program {
        let map_bytes = rows::HEADER + self.count * (TEXT + 8);
        let mut asm = Assembler::new(Kind::Syscall, map_bytes);
        let next = asm.label("next");
        asm.comment("syscall: the symbol of each address");
        asm.map_value(Reg::R6, 0);
        asm.call(14, "get_current_pid_tgid");
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R0, 32));
        asm.push(Insn::store(Size::Dw, Reg::R6, PROCESS, Reg::R0));
        asm.push(Insn::mov_imm(Reg::R7, 0));
        asm.bind(next);
        asm.comment("the place of its text");
        asm.map_value(Reg::R1, rows::HEADER);
        asm.push(Insn::mov(Reg::R2, Reg::R7));
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R2, TEXT.cast_signed()));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
        asm.comment("the address");
        asm.map_value(Reg::R4, rows::HEADER + self.count * TEXT);
        asm.push(Insn::mov(Reg::R2, Reg::R7));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 3));
        asm.push(Insn::alu(Alu::Add, Reg::R4, Reg::R2));
        asm.push(Insn::mov_imm(Reg::R2, TEXT.cast_signed()));
        asm.map_value_of(Reg::R3, 1, 0);
        asm.push(Insn::mov_imm(Reg::R5, 8));
        asm.call(165, "snprintf");
        asm.comment("the next one: a loop that every verifier follows to its end");
        asm.add(Reg::R7, 1);
        asm.jump_imm(Cond::Lt, Reg::R7, self.count.cast_signed(), next);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        asm.finish()
    }

    /// The text of address number `index`; none if the kernel printed none.
    #[must_use]
    pub fn decode<'a>(&self, value: &'a [u8], index: usize) -> Option<&'a [u8]> {
        let start = rows::HEADER as usize + index * TEXT as usize;
        let text = value.get(start..start + TEXT as usize)?;
        let end = text.iter().position(|byte| *byte == 0)?;
        (end > 0).then(|| &text[..end])
    }

    /// The process that ran the program.
    #[must_use]
    pub fn process(value: &[u8]) -> Option<u32> {
        let at = usize::from(PROCESS.unsigned_abs());
        let word = value.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))?;
        u32::try_from(word).ok()
    }
}
