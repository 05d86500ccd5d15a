//! BPF instructions: their encoding and their text form.
//!
//! An [`Insn`] is one 8-byte slot, laid out like the kernel's `struct bpf_insn` (little-endian; RFC 9669,
//! section 3):
//!
//! ```text
//! byte   0        1          2..4      4..8
//!        opcode   src:dst    offset    immediate
//! ```
//!
//! A constructor is named after what it does and takes exactly its operands. The text form is the verifier's
//! own, so a listing reads like `bpftool prog dump xlated` or a verifier log.
//!
//! # Units
//!
//! A memory offset counts bytes. A jump offset counts slots and is relative to the *next* slot. A 64-bit
//! immediate takes two slots: [`Insn::load_imm64`].

mod operand;

use std::fmt;

use operand::{ALUS, CONDS, SIZES};
pub use operand::{Alu, Cond, Reg, Size};

/// Marks an `lddw` whose immediate is the number of a map whose first value is meant.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// Marks an `lddw` whose immediate is the number of a map.
pub const PSEUDO_MAP: u8 = 1;
/// Marks an `lddw` whose immediate is the distance to a function of the program.
pub const PSEUDO_FUNCTION: u8 = 4;
/// Marks a call whose immediate is the BTF id of a kernel function.
pub const PSEUDO_KFUNC_CALL: u8 = 2;

/// One instruction slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, operation and source kind.
    pub opcode: u8,
    /// Destination register's number.
    pub dst: u8,
    /// Source register's number, or a pseudo source.
    pub src: u8,
    /// Bytes for a memory access, slots for a jump.
    pub off: i16,
    /// The immediate operand.
    pub imm: i32,
}

impl Insn {
    const fn new(opcode: u8, dst: Reg, src: u8, off: i16, imm: i32) -> Self {
        Self { opcode, dst: dst as u8, src, off, imm }
    }

    /// `dst = *(size *)(src + off)`, zero-extended.
    #[must_use]
    pub fn load(size: Size, dst: Reg, src: Reg, off: i16) -> Self {
        Self::new(0x61 | size.bits(), dst, src as u8, off, 0)
    }

    /// `dst = *(signed size *)(src + off)`, sign-extended. Since Linux 6.6; of 8 bytes it is a plain load.
    #[must_use]
    pub fn load_signed(size: Size, dst: Reg, src: Reg, off: i16) -> Self {
        match size {
            Size::Dw => Self::load(size, dst, src, off),
            _ => Self::new(0x81 | size.bits(), dst, src as u8, off, 0),
        }
    }

    /// `*(size *)(dst + off) = src`
    #[must_use]
    pub fn store(size: Size, dst: Reg, off: i16, src: Reg) -> Self {
        Self::new(0x63 | size.bits(), dst, src as u8, off, 0)
    }

    /// `*(size *)(dst + off) = imm`, sign-extended.
    #[must_use]
    pub fn store_imm(size: Size, dst: Reg, off: i16, imm: i32) -> Self {
        Self::new(0x62 | size.bits(), dst, 0, off, imm)
    }

    /// `dst op= src` on 64 bits.
    #[must_use]
    pub fn alu(op: Alu, dst: Reg, src: Reg) -> Self {
        let (_, bits, off, _) = op.row();
        Self::new(0x0f | bits, dst, src as u8, *off, 0)
    }

    /// `dst op= imm` on 64 bits; the immediate is sign-extended.
    #[must_use]
    pub fn alu_imm(op: Alu, dst: Reg, imm: i32) -> Self {
        let (_, bits, off, _) = op.row();
        Self::new(0x07 | bits, dst, 0, *off, imm)
    }

    /// `dst = src`
    #[must_use]
    pub fn mov(dst: Reg, src: Reg) -> Self {
        Self::alu(Alu::Mov, dst, src)
    }

    /// `dst = imm`, sign-extended.
    #[must_use]
    pub fn mov_imm(dst: Reg, imm: i32) -> Self {
        Self::alu_imm(Alu::Mov, dst, imm)
    }

    /// `dst = -dst`
    #[must_use]
    pub fn neg(dst: Reg) -> Self {
        Self::new(0x87, dst, 0, 0, 0)
    }

    /// `dst = bswap64 dst`: its bytes in the other order. Since Linux 6.6.
    #[must_use]
    pub fn swap(dst: Reg) -> Self {
        Self::new(0xd7, dst, 0, 0, 64)
    }

    /// `dst = value` as two slots.
    #[must_use]
    pub fn load_imm64(dst: Reg, value: u64) -> [Self; 2] {
        Self::wide(dst, 0, value)
    }

    /// `dst = address of byte `offset` of map number `map`'s first value`, as two slots. The loader puts the
    /// map's file descriptor in the place of its number.
    #[must_use]
    pub fn load_map_value(dst: Reg, map: u32, offset: u32) -> [Self; 2] {
        Self::wide(dst, PSEUDO_MAP_VALUE, u64::from(map) | (u64::from(offset) << 32))
    }

    /// `dst = the map of this number`, as two slots. The loader puts the descriptor in the place of the number.
    #[must_use]
    pub fn load_map(dst: Reg, map: u32) -> [Self; 2] {
        Self::wide(dst, PSEUDO_MAP, u64::from(map))
    }

    /// `dst = the function of the program that begins so many slots behind the next one`, as two slots. The distance
    /// is to be filled in.
    #[must_use]
    pub fn load_function(dst: Reg) -> [Self; 2] {
        Self::wide(dst, PSEUDO_FUNCTION, 0)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // both halves are kept
    fn wide(dst: Reg, src: u8, value: u64) -> [Self; 2] {
        [
            Self::new(0x18, dst, src, 0, value as u32 as i32),
            Self { imm: (value >> 32) as u32 as i32, ..Self::default() },
        ]
    }

    /// `goto off`
    #[must_use]
    pub fn jump(off: i16) -> Self {
        Self::new(0x05, Reg::R0, 0, off, 0)
    }

    /// `if dst cond src goto off` on 64 bits.
    #[must_use]
    pub fn jump_reg(cond: Cond, dst: Reg, src: Reg, off: i16) -> Self {
        Self::new(0x0d | cond.row().1, dst, src as u8, off, 0)
    }

    /// `if dst cond imm goto off` on 64 bits; the immediate is sign-extended.
    #[must_use]
    pub fn jump_imm(cond: Cond, dst: Reg, imm: i32, off: i16) -> Self {
        Self::new(0x05 | cond.row().1, dst, 0, off, imm)
    }

    /// `may_goto off`: falls through, until the kernel ends the loop by jumping. Since Linux 6.9.
    #[must_use]
    pub fn may_goto(off: i16) -> Self {
        Self::new(0xe5, Reg::R0, 0, off, 0)
    }

    /// `call helper`, by its number in `enum bpf_func_id`.
    #[must_use]
    pub fn call(helper: i32) -> Self {
        Self::new(0x85, Reg::R0, 0, 0, helper)
    }

    /// `call kfunc`, by the BTF id of the kernel's function.
    #[must_use]
    pub fn call_kfunc(btf_id: i32) -> Self {
        Self::new(0x85, Reg::R0, PSEUDO_KFUNC_CALL, 0, btf_id)
    }

    /// `exit`
    #[must_use]
    pub fn exit() -> Self {
        Self::new(0x95, Reg::R0, 0, 0, 0)
    }

    /// Whether this is the first slot of a two-slot `lddw`.
    #[must_use]
    pub fn is_wide(self) -> bool {
        self.opcode == 0x18
    }

    /// Whether it loads from memory into a register.
    #[must_use]
    pub fn is_load(self) -> bool {
        self.opcode & 0x07 == 0x01
    }

    /// Whether its offset is a jump's.
    #[must_use]
    pub fn is_jump(self) -> bool {
        matches!(self.opcode & 0x07, 0x05 | 0x06) && !matches!(self.opcode, 0x85 | 0x95)
    }

    /// Whether the next slot can follow: not behind `goto`, `exit` and the first slot of two.
    #[must_use]
    pub fn falls_through(self) -> bool {
        !matches!(self.opcode, 0x05 | 0x06 | 0x95 | 0x18)
    }

    /// The slot as the kernel reads it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let [o0, o1] = self.off.to_le_bytes();
        let [i0, i1, i2, i3] = self.imm.to_le_bytes();
        [self.opcode, (self.src << 4) | self.dst, o0, o1, i0, i1, i2, i3]
    }

    /// The slot that eight bytes hold.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [opcode, regs, o0, o1, i0, i1, i2, i3] = bytes;
        Self {
            opcode,
            dst: regs & 0x0f,
            src: regs >> 4,
            off: i16::from_le_bytes([o0, o1]),
            imm: i32::from_le_bytes([i0, i1, i2, i3]),
        }
    }
}

/// The verifier's spelling. The second slot of an `lddw` prints as nothing of use; print the pair with
/// [`wide_text`].
impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opcode, dst, src, off, imm } = *self;
        let size = |signed: bool| {
            SIZES
                .iter()
                .find(|row| row.1 == opcode & 0x18)
                .map_or("?", |row| if signed { row.4 } else { row.3 })
        };
        match (opcode & 0x07, opcode) {
            (_, 0x18) => write!(f, "r{dst} = {imm} ll"),
            (_, 0x85) if src == PSEUDO_KFUNC_CALL => write!(f, "call kfunc#{imm}"),
            (_, 0x85) => write!(f, "call helper#{imm}"),
            (_, 0x95) => f.write_str("exit"),
            (_, 0xe5) => write!(f, "may_goto {off:+}"),
            (_, 0x05) => write!(f, "goto {off:+}"),
            (_, 0x87) => write!(f, "r{dst} = -r{dst}"),
            (_, 0xd7) => write!(f, "r{dst} = bswap{imm} r{dst}"),
            (_, 0xdc) => write!(f, "r{dst} = be{imm} r{dst}"),
            (0x01, _) if opcode & 0xe0 == 0x60 => {
                write!(f, "r{dst} = *({} *)(r{src} {off:+})", size(false))
            }
            (0x01, _) => write!(f, "r{dst} = *({} *)(r{src} {off:+})", size(true)),
            (0x02, _) => write!(f, "*({} *)(r{dst} {off:+}) = {imm}", size(false)),
            (0x03, _) => write!(f, "*({} *)(r{dst} {off:+}) = r{src}", size(false)),
            (0x07, _) => {
                let op = ALUS.iter().find(|row| row.1 == opcode & 0xf0 && row.2 == off);
                let op = op.map_or("?", |row| row.3);
                match opcode & 0x08 {
                    0 => write!(f, "r{dst} {op} {imm}"),
                    _ => write!(f, "r{dst} {op} r{src}"),
                }
            }
            (0x05, _) => {
                let cond = CONDS.iter().find(|row| row.1 == opcode & 0xf0).map_or("?", |row| row.2);
                match opcode & 0x08 {
                    0 => write!(f, "if r{dst} {cond} {imm} goto {off:+}"),
                    _ => write!(f, "if r{dst} {cond} r{src} goto {off:+}"),
                }
            }
            _ => write!(f, "?{opcode:#04x}"),
        }
    }
}

/// The spelling of an `lddw`'s pair of slots.
#[must_use]
pub fn wide_text(pair: [Insn; 2]) -> String {
    let [low, high] = pair;
    let (low_imm, high_imm) = (low.imm.cast_unsigned(), high.imm.cast_unsigned());
    match low.src {
        PSEUDO_FUNCTION => format!("r{} = function {:+}", low.dst, low.imm),
        PSEUDO_MAP => format!("r{} = map#{low_imm}", low.dst),
        PSEUDO_MAP_VALUE => format!("r{} = map_value#{low_imm} {high_imm:+}", low.dst),
        _ => {
            format!("r{} = {:#x} ll", low.dst, (u64::from(high_imm) << 32) | u64::from(low_imm))
        }
    }
}
