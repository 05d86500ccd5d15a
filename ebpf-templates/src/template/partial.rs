//! Walks the nodes' lists of partly filled slabs and counts the free objects on them.
//!
//! ```text
//!   node.partial ─► slab ─► slab ─► … ─► node.partial
//!                   objects − inuse
//! ```
//!
//! # What /proc/slabinfo says
//!
//! `get_slabinfo()` subtracts the same figure from the objects, but of a list of more than 10,000 slabs it counts
//! the first 5,000 and the last 5,000 and scales (`count_partial_free_approx()`, since 6.10). The walk can give that
//! figure too, by the same rule.
//!
//! # Bounds
//!
//! A list that changes under the walk can lead elsewhere or, as slabs move to its end, around and around. So a walk
//! takes at most twice the steps that the node's own count promises and a thousand, and at each step the slab says
//! whose it is. A walk that fails is begun again, three times in all; what the last one found then counts, as the
//! least there can be, and the row says that it is incomplete. The kernel bounds all loops of a run together.

use super::node::{Nodes, Sum, add_to, round, zero};
use super::rows;
use super::slab::{Slab, give_up, try_again};
use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// Of a longer list `/proc/slabinfo` counts a part (`MAX_PARTIAL_TO_SCAN`).
const SCANNED: i32 = 10_000;
/// The steps that a walk may take beyond twice the node's count.
const SLACK: i32 = 1000;

/// The walk, and where its figures go: numbers of [`rows::Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The nodes.
    pub nodes: Nodes,
    /// The slabs.
    pub slab: Slab,
    /// The offset of the list `partial` in `struct kmem_cache_node`.
    pub list: i16,
    /// The offset of `nr_partial`.
    pub nr_partial: i16,
    /// The offset of `total_objects`.
    pub total_objects: i16,
    /// Free objects on the lists.
    pub free: i16,
    /// The same as `/proc/slabinfo` counts them, if asked for.
    pub free_slabinfo: Option<i16>,
    /// Walks that did not reach their end.
    pub incomplete: i16,
    /// Numbers for the walk's own use.
    pub own: Own,
}

/// Numbers for a walk's own use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub(super) node: i16,
    pub(super) head: i16,
    limit: i16,
    found: i16,
    steps: i16,
    half: i16,
    tries: i16,
}

impl Own {
    /// Takes its numbers of `scratch`.
    pub fn new(scratch: &mut rows::Scratch) -> Self {
        Self {
            node: scratch.take(),
            head: scratch.take(),
            limit: scratch.take(),
            found: scratch.take(),
            steps: scratch.take(),
            half: scratch.take(),
            tries: scratch.take(),
        }
    }

    /// The same of a walk in several runs.
    pub fn resumed(scratch: &mut rows::Scratch) -> Self {
        Self { steps: rows::resume::STEPS, ..Self::new(scratch) }
    }
}

impl Partial {
    /// Appends the walk over all nodes of the cache in `R7`, which also computes `sums`: what the objects are
    /// subtracted from is read right before. Takes `R0` to `R5`, `R8` and `R9`.
    pub fn walk(&self, asm: &mut Assembler, sums: &[Sum]) -> Result<(), FrameFull> {
        zero(asm, sums.iter().map(|sum| sum.slot));
        zero(asm, [self.free].into_iter().chain(self.free_slabinfo));
        self.nodes.entries.each(asm, Some(self.incomplete), |asm| {
            asm.push(Insn::store(Size::Dw, Reg::R6, self.own.node, Reg::R1));
            self.nodes.add(asm, sums);
            self.list(asm);
            Ok(())
        })
    }

    /// Appends the walk of the list of one node, whose address is in `R1`. Takes `R0` to `R5` and `R9`.
    pub fn node(&self, asm: &mut Assembler) {
        zero(asm, [self.free].into_iter().chain(self.free_slabinfo));
        asm.push(Insn::store(Size::Dw, Reg::R6, self.own.node, Reg::R1));
        self.nodes.add(asm, &[]);
        self.list(asm);
    }

    /// Appends the walk of one node's list. The node is in `R0`, its address in `own.node`.
    fn list(&self, asm: &mut Assembler) {
        let Own { found, steps, half, tries, .. } = self.own;
        let [again, step, torn, end] =
            ["again", "slab", "torn", "walked"].map(|name| asm.label(name));
        self.bound(asm);
        zero(asm, [tries].into_iter());
        asm.bind(again);
        zero(asm, [found, steps, half].into_iter());
        self.first(asm, 0);
        self.step(asm, step, [torn, torn, end]);
        self.slab.free(asm, torn);
        add_to(asm, found, Reg::R1);
        if self.free_slabinfo.is_some() {
            // What the first half of the slabs that slabinfo counts come to.
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, steps));
            asm.jump_imm(Cond::Ne, Reg::R1, SCANNED / 2, step);
            asm.push(Insn::store(Size::Dw, Reg::R6, half, Reg::R2));
        }
        asm.jump(step);
        asm.bind(torn);
        try_again(asm, tries, again, self.incomplete);
        asm.bind(end);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, found));
        add_to(asm, self.free, Reg::R1);
        if let Some(slot) = self.free_slabinfo {
            self.approximate(asm, slot);
        }
    }

    /// Appends where the list ends, and the bound of its steps by the node's own count. The node is in `R0`.
    pub(super) fn bound(&self, asm: &mut Assembler) {
        let Own { node, head, limit, .. } = self.own;
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, self.nr_partial));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R1, 1));
        asm.add(Reg::R1, SLACK);
        asm.push(Insn::store(Size::Dw, Reg::R6, limit, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, node));
        asm.add(Reg::R1, self.list.into());
        asm.push(Insn::store(Size::Dw, Reg::R6, head, Reg::R1));
    }

    /// Appends, behind the label `step`, the way to the slab that `R9` leads to: the slab is then in `R0`, its
    /// counters in `R1`, and `R9` leads to the next one. Goes to `cut` if the kernel ends the loop, to `torn` if this
    /// is not the list, to `end` at its end.
    pub(super) fn step(&self, asm: &mut Assembler, step: Label, [cut, torn, end]: [Label; 3]) {
        let Own { head, limit, steps, .. } = self.own;
        asm.bind(step);
        asm.may_goto(cut);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, head));
        asm.jump_reg(Cond::Eq, Reg::R9, Reg::R1, end);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, steps));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, limit));
        asm.jump_reg(Cond::Ge, Reg::R1, Reg::R2, torn);
        asm.add(Reg::R1, 1);
        asm.push(Insn::store(Size::Dw, Reg::R6, steps, Reg::R1));
        self.slab.visit(asm, self.slab.slab_list, torn);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R0, self.slab.slab_list));
    }

    /// Appends `R9 = the list's next or, from its other end, prev`.
    pub(super) fn first(&self, asm: &mut Assembler, end: i16) {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, self.own.node));
        self.slab.peek.cast(asm, self.nodes.node_type);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R0, self.list + end));
    }

    /// Appends the addition of what slabinfo would count; the exact figure is in `R1`.
    fn approximate(&self, asm: &mut Assembler, slot: i16) {
        /// Behind `next` lies `prev`.
        const PREV: i16 = 8;
        let Own { node, head, limit, half, steps, .. } = self.own;
        let [step, short, scale, fits, add] =
            ["from_the_end", "short", "scale", "fits", "add"].map(|name| asm.label(name));
        asm.push(Insn::mov(Reg::R9, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, node));
        self.slab.peek.cast(asm, self.nodes.node_type);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, self.nr_partial));
        asm.push(Insn::store(Size::Dw, Reg::R6, limit, Reg::R1));
        asm.jump_imm(Cond::Le, Reg::R1, SCANNED, add);
        zero(asm, [steps].into_iter());
        self.first(asm, PREV);
        asm.bind(step);
        asm.may_goto(short);
        // A list of more than 10,000 slabs does not end before 5,000, unless it has changed.
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, head));
        asm.jump_reg(Cond::Eq, Reg::R9, Reg::R1, short);
        round(asm, steps, SCANNED / 2, scale);
        self.slab.visit(asm, self.slab.slab_list, short);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R0, self.slab.slab_list + PREV));
        self.slab.free(asm, short);
        add_to(asm, half, Reg::R1);
        asm.jump(step);
        asm.bind(short);
        give_up(asm, self.incomplete);
        asm.bind(scale);
        // mult_frac(half, nr_partial, SCANNED): the quotient and the remainder are scaled apart.
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, half));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, limit));
        asm.push(Insn::mov(Reg::R2, Reg::R9));
        asm.push(Insn::alu_imm(Alu::Div, Reg::R9, SCANNED));
        asm.push(Insn::alu(Alu::Mul, Reg::R9, Reg::R1));
        asm.push(Insn::alu_imm(Alu::Mod, Reg::R2, SCANNED));
        asm.push(Insn::alu(Alu::Mul, Reg::R2, Reg::R1));
        asm.push(Insn::alu_imm(Alu::Div, Reg::R2, SCANNED));
        asm.push(Insn::alu(Alu::Add, Reg::R9, Reg::R2));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, node));
        self.slab.peek.cast(asm, self.nodes.node_type);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, self.total_objects));
        asm.jump_reg(Cond::Le, Reg::R9, Reg::R1, fits);
        asm.push(Insn::mov(Reg::R9, Reg::R1));
        asm.bind(fits);
        asm.bind(add);
        add_to(asm, slot, Reg::R9);
    }
}
