//! Groups elements by keys: a group is a row that stays in the map's value while elements are added to it.
//!
//! ```text
//!   keys ── hash ──► place in the index ── empty? ──► a new row, zeroed, with the keys
//!                        │ a row                          │
//!                        ├── other keys ──► next place    │
//!                        └── these ──────────────────────►┴──► the row, in R8
//! ```
//!
//! The index lies behind the rows: a word a place, the row's first byte and 1. A place counts as empty if its row lies
//! behind the cursor, so an index that an earlier run left is as good as one of zeros: a place that a key passed over
//! once is never empty for it later. There are four places for each row that fits, so two runs do not fill it.
//!
//! Nothing is written for an element but to the map, so this serves only where an element is run once: where nothing
//! is emitted before the end.

use super::driver::{self, Room};
use super::node::round;
use super::rows;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// What a key is multiplied by before its upper bits are taken: 2^64 by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The places of the index for each row that fits.
const PLACES: u32 = 4;

/// The places of the index for rows of `row_fixed` bytes in `space` bytes: a power of two.
#[must_use]
pub fn places(row_fixed: u16, space: u32) -> u32 {
    (PLACES * (space / u32::from(row_fixed)).max(1)).next_power_of_two()
}

/// The groups.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The room of their rows.
    pub room: Room,
    /// The keys, eight bytes each: where in the frame they are found, and where in the row they are kept. Without keys
    /// there is one group.
    pub keys: Vec<(i16, i16)>,
    /// A number of the header for counting.
    pub count: i16,
    /// Where to go if there is no room for another group.
    pub full: Label,
}

impl Groups {
    /// Appends `R8 = the row of the keys`, a new one if there is none. Takes all registers but `R6` and `R7`.
    pub fn find(&self, asm: &mut Assembler) {
        let found = asm.label("group");
        if self.keys.is_empty() {
            asm.map_value(Reg::R8, rows::HEADER);
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::CURSOR));
            asm.jump_imm(Cond::Ne, Reg::R2, 0, found);
            self.begin(asm);
            asm.bind(found);
            return;
        }
        let (probe, vacant) = (asm.label("probe"), asm.label("vacant"));
        self.hash(asm);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, self.count, 0));
        asm.bind(probe);
        asm.may_goto(self.full);
        let places = self.room.places.cast_signed();
        round(asm, self.count, places, self.full);
        asm.push(Insn::alu_imm(Alu::And, Reg::R9, places - 1));
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R1, 3));
        asm.map_value(Reg::R3, rows::HEADER + self.room.space);
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R1));
        asm.add(Reg::R9, 1);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R3, 0));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::CURSOR));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, vacant);
        asm.jump_reg(Cond::Gt, Reg::R1, Reg::R2, vacant);
        asm.add(Reg::R1, -1);
        // Every row begins before that; the verifier is to know it.
        asm.jump_imm(Cond::Gt, Reg::R1, self.last(), self.full);
        asm.map_value(Reg::R8, rows::HEADER);
        asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R1));
        for (frame, row) in &self.keys {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R8, *row));
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, *frame));
            asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, probe);
        }
        asm.jump(found);
        asm.bind(vacant);
        asm.jump_imm(Cond::Gt, Reg::R2, self.last(), self.full);
        asm.map_value(Reg::R8, rows::HEADER);
        asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R2));
        asm.add(Reg::R2, 1);
        asm.push(Insn::store(Size::Dw, Reg::R3, 0, Reg::R2));
        self.begin(asm);
        asm.bind(found);
    }

    /// Appends `R9 = the place where to begin`; its upper bits are not for the index.
    fn hash(&self, asm: &mut Assembler) {
        // A place that the verifier knew would be another one in every round.
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, rows::ZERO));
        asm.set(Reg::R2, SPREAD);
        for (frame, _) in &self.keys {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, *frame));
            asm.push(Insn::alu(Alu::Xor, Reg::R9, Reg::R1));
            asm.push(Insn::alu(Alu::Mul, Reg::R9, Reg::R2));
        }
        // What a product mixes best are its upper bits.
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R9, 32));
    }

    /// Appends the making of the row at `R8`, and counts it.
    fn begin(&self, asm: &mut Assembler) {
        driver::begin_row(asm, self.room);
        asm.push(Insn::store(Size::W, Reg::R8, rows::ROW_SIZE, Reg::R9));
        for (frame, row) in &self.keys {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, *frame));
            asm.push(Insn::store(Size::Dw, Reg::R8, *row, Reg::R1));
        }
        driver::emitted(asm);
    }

    /// The last byte at which a row may begin, counted from the first row.
    fn last(&self) -> i32 {
        i32::try_from(self.room.space - u32::from(self.room.row_fixed)).unwrap_or(i32::MAX)
    }
}

/// Appends `row[at] += 1` for the row in `R8`. `R2` is lost.
pub fn count(asm: &mut Assembler, at: i16) {
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R8, at));
    asm.add(Reg::R2, 1);
    asm.push(Insn::store(Size::Dw, Reg::R8, at, Reg::R2));
}

/// Appends the addition of `R1` to the sum at `at` of the row in `R8`: 128 bits, the lower half first. `R1` to `R3` are
/// lost.
pub fn add(asm: &mut Assembler, at: i16, signed: bool) {
    let exact = asm.label("no_carry");
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R8, at));
    asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R8, at + 8));
    asm.push(Insn::alu(Alu::Add, Reg::R2, Reg::R1));
    asm.push(Insn::store(Size::Dw, Reg::R8, at, Reg::R2));
    // A sum that wrapped is less than either operand.
    asm.jump_reg(Cond::Ge, Reg::R2, Reg::R1, exact);
    asm.add(Reg::R3, 1);
    asm.bind(exact);
    if signed {
        // The upper half of a number below 0 is all ones.
        asm.push(Insn::alu_imm(Alu::Arsh, Reg::R1, 63));
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R1));
    }
    asm.push(Insn::store(Size::Dw, Reg::R8, at + 8, Reg::R3));
}

/// Appends `row[at] = R1` for the row in `R8`, if `R1` is less than it, or greater if `greatest`, or if the count at
/// `counted` is 0. `R2` is lost.
pub fn extreme(asm: &mut Assembler, at: i16, counted: i16, greatest: bool, signed: bool) {
    let (take, kept) = (asm.label("first"), asm.label("kept"));
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R8, counted));
    asm.jump_imm(Cond::Eq, Reg::R2, 0, take);
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R8, at));
    let cond = match (greatest, signed) {
        (false, false) => Cond::Ge,
        (false, true) => Cond::SGe,
        (true, false) => Cond::Le,
        (true, true) => Cond::SLe,
    };
    asm.jump_reg(cond, Reg::R1, Reg::R2, kept);
    asm.bind(take);
    asm.push(Insn::store(Size::Dw, Reg::R8, at, Reg::R1));
    asm.bind(kept);
}
