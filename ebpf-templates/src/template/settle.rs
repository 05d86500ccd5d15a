//! Checks that a cache's walks found no more free objects than the cache has objects.
//!
//! Objects are counted first and free ones later, place by place. A slab that is added meanwhile, or moves from a
//! place that was walked to one that will be, makes more free objects than there are: a figure that cannot be. Then
//! all is read again, three times in all, and at last the row says that it is incomplete.
//!
//! A walk that was given up in one try counts in the next too: the header's flag has been raised for it.
//!
//! # Not done here
//!
//! What moves and still can be is not noticed: no lock is held, so figures of a busy cache are those of the time that
//! its walks take.

use super::node::zero;
use super::slab::try_again;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// The check. All are numbers of [`rows::Scratch`](super::rows::Scratch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The objects.
    pub objects: i16,
    /// Figures whose sums are each at most the objects.
    pub free: Vec<Vec<i16>>,
    /// Walks that did not reach their end.
    pub incomplete: i16,
    /// For the check's own use.
    pub tries: i16,
}

impl Settle {
    /// Appends the beginning: what follows is done again if it does not settle.
    pub fn begin(&self, asm: &mut Assembler) -> Label {
        let again = asm.label("again");
        zero(asm, [self.tries].into_iter());
        asm.bind(again);
        again
    }

    /// Appends the check. `R0` to `R2` are lost.
    pub fn end(&self, asm: &mut Assembler, again: Label) {
        let [unsettled, settled] = ["unsettled", "settled"].map(|name| asm.label(name));
        for free in &self.free {
            asm.push(Insn::mov_imm(Reg::R1, 0));
            for slot in free {
                asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, *slot));
                asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
            }
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, self.objects));
            asm.jump_reg(Cond::Gt, Reg::R1, Reg::R2, unsettled);
        }
        asm.jump(settled);
        asm.bind(unsettled);
        try_again(asm, self.tries, again, self.incomplete);
        asm.bind(settled);
    }
}
