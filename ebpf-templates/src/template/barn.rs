//! Counts the objects in the full sheaves of the nodes' barns (from 6.18 on).

use super::node::{Entries, add_to, round, zero};
use super::peek::Peek;
use super::percpu::{Own, add_size};
use super::slab::try_again;
use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Cond, Insn, Reg, Size};

/// The most sheaves that a barn's list is followed for: it holds at most ten full ones.
const SHEAVES: i32 = 64;

/// Where a cache keeps its barns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barns {
    /// The pointers: to barns (from 7.1 on), or to nodes that have one.
    pub entries: Entries,
    /// Until 7.0 the offset of `barn` in `struct kmem_cache_node`.
    pub in_node: Option<i32>,
    /// The offset of the list `sheaves_full` in `struct node_barn`.
    pub full: i32,
    /// The offset of `barn_list` in `struct slab_sheaf`.
    pub list: i32,
    /// The offset of `size` in `struct slab_sheaf`.
    pub size: i32,
    /// The offset of `sheaf_capacity` in `struct kmem_cache`.
    pub capacity: i16,
    /// Where the objects go.
    pub cached: i16,
}

impl Barns {
    /// Appends the count of the objects in the full sheaves of all barns of the cache in `R7`. Takes `R0` to `R5`,
    /// `R8` and `R9`.
    pub fn walk(
        &self,
        asm: &mut Assembler,
        peek: Peek,
        own: Own,
        incomplete: i16,
    ) -> Result<(), FrameFull> {
        let done = asm.label("barns_done");
        zero(asm, [self.cached].into_iter());
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, self.capacity));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, done);
        self.entries.each(asm, Some(incomplete), |asm| {
            self.barn(asm, peek, own, incomplete);
            Ok::<(), FrameFull>(())
        })?;
        asm.bind(done);
        Ok(())
    }

    /// Appends `R1 = the barn of an entry`, where the entry's pointer is in `R1`; goes to `none` if it has none.
    /// Takes `R0` to `R5`.
    pub fn of_entry(&self, asm: &mut Assembler, peek: Peek, none: Label) {
        if let Some(barn) = self.in_node {
            peek.load(asm, barn);
            asm.push(Insn::mov(Reg::R1, Reg::R0));
            asm.jump_imm(Cond::Eq, Reg::R1, 0, none);
        }
    }

    /// Appends the addition of the objects in the full sheaves of one barn, whose entry's pointer is in `R1`. Takes
    /// `R0` to `R5` and `R9`.
    pub fn barn(&self, asm: &mut Assembler, peek: Peek, own: Own, incomplete: i16) {
        let Own { base: head, found, steps, tries, .. } = own;
        let [again, sheaf, torn, end, none] =
            ["again", "sheaf", "torn", "barn_end", "no_barn"].map(|name| asm.label(name));
        self.of_entry(asm, peek, none);
        asm.add(Reg::R1, self.full);
        asm.push(Insn::store(Size::Dw, Reg::R6, head, Reg::R1));
        zero(asm, [tries].into_iter());
        asm.bind(again);
        zero(asm, [found, steps].into_iter());
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, head));
        peek.load(asm, 0);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        asm.bind(sheaf);
        asm.may_goto(torn);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, head));
        asm.jump_reg(Cond::Eq, Reg::R9, Reg::R1, end);
        round(asm, steps, SHEAVES, torn);
        // A list that was read while it changed can end nowhere.
        asm.jump_imm(Cond::Eq, Reg::R9, 0, torn);
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        add_size(asm, peek, self.size - self.list, found);
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        peek.load(asm, 0);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        asm.jump(sheaf);
        asm.bind(torn);
        try_again(asm, tries, again, incomplete);
        asm.bind(end);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, found));
        add_to(asm, self.cached, Reg::R1);
        asm.bind(none);
    }
}
