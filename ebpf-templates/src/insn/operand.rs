//! What instructions are made of: registers, sizes, conditions and operations, each a row of a table.

use std::fmt;

/// A register. `R0` returns, `R1` to `R5` are arguments and lost in calls, `R6` to `R9` are kept, `R10` is the
/// frame pointer and read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", *self as u8)
    }
}

impl Reg {
    /// All registers by number.
    pub const ALL: [Self; 11] = [
        Self::R0,
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
        Self::R10,
    ];
}

/// The width of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    Dw,
}

/// Each [`Size`] with its opcode bits, its bytes and C's names for it.
pub(super) const SIZES: [(Size, u8, u8, &str, &str); 4] = [
    (Size::W, 0x00, 4, "u32", "s32"),
    (Size::H, 0x08, 2, "u16", "s16"),
    (Size::B, 0x10, 1, "u8", "s8"),
    (Size::Dw, 0x18, 8, "u64", "s64"),
];

impl Size {
    pub(super) fn row(self) -> &'static (Self, u8, u8, &'static str, &'static str) {
        // Every variant has a row: SIZES is checked by the unit test below.
        SIZES.iter().find(|row| row.0 == self).unwrap_or(&SIZES[3])
    }

    /// Its bits in a load's or store's opcode.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.row().1
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(self) -> u8 {
        self.row().2
    }

    /// The width of `bytes` bytes: 1, 2, 4 or 8.
    #[must_use]
    pub fn of(bytes: u32) -> Option<Self> {
        SIZES.iter().find(|row| u32::from(row.2) == bytes).map(|row| row.0)
    }
}

/// The condition of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cond {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    SGt,
    SGe,
    SLt,
    SLe,
    /// `dst & src` is not 0.
    Set,
}

/// Each [`Cond`] with its opcode bits and the verifier's spelling.
#[rustfmt::skip]
pub(super) const CONDS: [(Cond, u8, &str); 11] = [
    (Cond::Eq,  0x10, "=="),  (Cond::Ne,  0x50, "!="),
    (Cond::Gt,  0x20, ">"),   (Cond::Ge,  0x30, ">="),
    (Cond::Lt,  0xa0, "<"),   (Cond::Le,  0xb0, "<="),
    (Cond::SGt, 0x60, "s>"),  (Cond::SGe, 0x70, "s>="),
    (Cond::SLt, 0xc0, "s<"),  (Cond::SLe, 0xd0, "s<="),
    (Cond::Set, 0x40, "&"),
];

impl Cond {
    pub(super) fn row(self) -> &'static (Self, u8, &'static str) {
        CONDS.iter().find(|row| row.0 == self).unwrap_or(&CONDS[0])
    }

    /// The condition that holds exactly when this one does not; none for [`Cond::Set`].
    #[must_use]
    pub fn negated(self) -> Option<Self> {
        Some(match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::SGt => Self::SLe,
            Self::SLe => Self::SGt,
            Self::SGe => Self::SLt,
            Self::SLt => Self::SGe,
            Self::Set => return None,
        })
    }
}

/// An arithmetic operation on 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Alu {
    Add,
    Sub,
    Mul,
    /// Unsigned division; by 0 gives 0.
    Div,
    /// Signed division, since Linux 6.6.
    SDiv,
    Or,
    And,
    Lsh,
    Rsh,
    /// Arithmetic shift right: the sign is kept.
    Arsh,
    /// Unsigned remainder; by 0 gives the dividend.
    Mod,
    /// Signed remainder, since Linux 6.6.
    SMod,
    Xor,
    Mov,
}

/// Each [`Alu`] with its opcode bits, the offset that marks a signed form, and its spelling.
#[rustfmt::skip]
pub(super) const ALUS: [(Alu, u8, i16, &str); 14] = [
    (Alu::Add, 0x00, 0, "+="), (Alu::Sub,  0x10, 0, "-="), (Alu::Mul,  0x20, 0, "*="),
    (Alu::Div, 0x30, 0, "/="), (Alu::SDiv, 0x30, 1, "s/="),
    (Alu::Or,  0x40, 0, "|="), (Alu::And,  0x50, 0, "&="),
    (Alu::Lsh, 0x60, 0, "<<="), (Alu::Rsh, 0x70, 0, ">>="), (Alu::Arsh, 0xc0, 0, "s>>="),
    (Alu::Mod, 0x90, 0, "%="), (Alu::SMod, 0x90, 1, "s%="),
    (Alu::Xor, 0xa0, 0, "^="), (Alu::Mov,  0xb0, 0, "="),
];

impl Alu {
    pub(super) fn row(self) -> &'static (Self, u8, i16, &'static str) {
        ALUS.iter().find(|row| row.0 == self).unwrap_or(&ALUS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_complete() {
        for size in [Size::B, Size::H, Size::W, Size::Dw] {
            assert_eq!(Size::of(u32::from(size.bytes())), Some(size));
        }
        for (cond, _, text) in CONDS {
            assert_eq!(cond.row().2, text);
            assert!(cond.negated().is_none_or(|negated| negated.negated() == Some(cond)));
        }
    }
}
