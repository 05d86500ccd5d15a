//! Shortcuts for what comes again and again: a few slots for each program on each CPU, in which a lookup takes no call.
//!
//! A lookup in a hash map hashes all of its key, of a stack 384 bytes, and most events are like one of the last few. So a
//! program first looks at the slot that a cheap hash of the fields leads to. Counts of the fields in a slot are added up there, and those of other fields that lead to the same slot
//! go to the hash map; both together are the counts. A slot for stacks remembers the number of the stack that was there last.
//!
//! Programs do not share slots, because one may interrupt another; none interrupts itself.

use super::{Events, Field, Frame, HASH, KNOWN, Point};
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::template::maps::{increment, look_up};

/// Eight bytes of the slots of a program on a CPU, how often; 8 KiB, a quarter of what the kernel allows.
pub const SLOT_WORDS: usize = 1 << 10;
/// Stacks that a program remembers on a CPU, as a power of two.
pub(super) const STACKS_BITS: i32 = 7;
/// Of programs that take stacks two run at a time: those of allocations, or those of frees.
pub(super) const TAKERS: i32 = 2;
/// The innermost frames, by which a stack finds its slot.
const HASHED_FRAMES: usize = 8;

impl Events {
    /// The eight bytes that a slot for counts takes, how often: the fields, behind them the count.
    fn slot_words(&self) -> usize {
        (self.turn_word() + 1).next_power_of_two()
    }

    /// What is counted in slots, with keys as those of the hash map. `words` are the slots of a program on a CPU.
    pub fn counts_in<'a>(
        &self,
        words: &'a [u64],
    ) -> impl Iterator<Item = (Vec<u64>, u64)> + use<'a> {
        let (fields, key) = (self.turn_word(), self.words());
        words.chunks_exact(self.slot_words()).filter(move |slot| slot[fields] > 0).map(
            move |slot| {
                let mut found = slot[..fields].to_vec();
                found.resize(key, 0);
                (found, slot[fields])
            },
        )
    }

    /// Adds 1 to the count of a slot and goes on at `out`, if it is the slot of these fields or was nobody's.
    pub(super) fn counted_in_slot(
        &self,
        asm: &mut Assembler,
        point: Point,
        frame: &Frame,
        out: Label,
    ) {
        let [other, here, none] =
            ["other_fields", "same_fields", "no_slot"].map(|name| asm.label(name));
        let words = i16::try_from(self.turn_word()).unwrap_or(0);
        let bits = (SLOT_WORDS / self.slot_words()).ilog2().cast_signed();
        let bytes = (8 * self.slot_words()).ilog2().cast_signed();
        asm.comment("the slot of such fields");
        asm.push(Insn::store_imm(Size::Dw, Reg::R10, frame.number, point.number()));
        look_up(asm, self.slots(), Reg::R10, frame.number);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, none);
        self.hash_fields(asm, point, frame);
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R3, 64 - bits));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R3, bytes));
        asm.push(Insn::alu(Alu::Add, Reg::R0, Reg::R3));
        for word in 0..words {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.key + 8 * word));
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R0, 8 * word));
            asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, other);
        }
        asm.jump(here);
        asm.bind(other);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 8 * words));
        asm.jump_imm(Cond::Ne, Reg::R1, 0, none);
        for word in 0..words {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.key + 8 * word));
            asm.push(Insn::store(Size::Dw, Reg::R0, 8 * word, Reg::R1));
        }
        asm.bind(here);
        increment(asm, 8 * words);
        asm.jump(out);
        asm.bind(none);
    }

    /// Puts a hash of the fields into `R3`. The cache is left out, for the verifier allows no arithmetic with what a kernel
    /// function returned; the size of an allocation, which decides on it, stands for it.
    fn hash_fields(&self, asm: &mut Assembler, point: Point, frame: &Frame) {
        let size =
            point.argument(Field::BytesAlloc).filter(|_| self.fields.contains(&Field::Cache));
        asm.push(match size {
            Some(number) => Insn::load(Size::Dw, Reg::R3, Reg::R6, 8 * number),
            None => Insn::mov_imm(Reg::R3, 0),
        });
        asm.set(Reg::R2, HASH.0);
        let mut at = frame.key;
        for field in &self.fields {
            for _ in 0..field.words() {
                if *field != Field::Cache {
                    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, at));
                    asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R1));
                    asm.push(Insn::alu(Alu::Mul, Reg::R3, Reg::R2));
                }
                at += 8;
            }
        }
    }
}

/// Stores the number of the stack at `at` and goes on at `taken`, if it is the one that its slot remembers. The frames lie
/// behind the first word of what `frame.frames` points to. Leaves the slot in `frame.slot` otherwise.
pub(super) fn known_stack(
    asm: &mut Assembler,
    point: Point,
    frame: &Frame,
    (at, depth): (i16, usize),
    taken: Label,
) {
    let [other, same] = ["other_stack", "same_stack"].map(|name| asm.label(name));
    asm.comment("the slot of such a stack");
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.frames));
    asm.push(Insn::mov_imm(Reg::R2, 0));
    for number in 0..i16::try_from(depth.min(HASHED_FRAMES)).unwrap_or(0) {
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R1, 8 + 8 * number));
        // Unlike a sum, this depends on the order.
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R3, 1 + 2 * i32::from(number)));
        asm.push(Insn::alu(Alu::Add, Reg::R2, Reg::R3));
    }
    asm.set(Reg::R3, HASH.0);
    asm.push(Insn::alu(Alu::Mul, Reg::R2, Reg::R3));
    asm.push(Insn::alu_imm(Alu::Rsh, Reg::R2, 64 - STACKS_BITS));
    asm.add(Reg::R2, (point.number() % TAKERS) << STACKS_BITS);
    asm.push(Insn::store(Size::Dw, Reg::R10, frame.number, Reg::R2));
    look_up(asm, KNOWN, Reg::R10, frame.number);
    asm.push(Insn::store(Size::Dw, Reg::R10, frame.slot, Reg::R0));
    asm.jump_imm(Cond::Eq, Reg::R0, 0, other);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.frames));
    for number in 1..=i16::try_from(depth).unwrap_or(0) {
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R1, 8 * number));
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R0, 8 * number));
        asm.jump_reg(Cond::Ne, Reg::R2, Reg::R3, other);
        asm.jump_imm(Cond::Eq, Reg::R2, 0, same);
    }
    asm.bind(same);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 0));
    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
    asm.jump(taken);
    asm.bind(other);
}

/// Lets the slot in `frame.slot` remember the stack whose number is at `at`.
pub(super) fn remember_stack(asm: &mut Assembler, frame: &Frame, at: i16, depth: usize) {
    let none = asm.label("not_remembered");
    asm.comment("remembered for the next time");
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, frame.slot));
    asm.jump_imm(Cond::Eq, Reg::R2, 0, none);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, frame.frames));
    asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R10, at));
    asm.push(Insn::store(Size::Dw, Reg::R2, 0, Reg::R3));
    for number in 1..=i16::try_from(depth).unwrap_or(0) {
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R1, 8 * number));
        asm.push(Insn::store(Size::Dw, Reg::R2, 8 * number, Reg::R3));
    }
    asm.bind(none);
}
