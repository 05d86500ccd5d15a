//! Walks what CPUs hold back for themselves: CPU slabs and CPU partial lists (until 6.19), sheaves (from 6.18 on).
//!
//! ```text
//!   kmem_cache.cpu_slab ── + offset of the CPU ─► slab       free: freelist, and objects − inuse
//!                                                 partial ─► slab ─► slab ─► NULL
//!   kmem_cache.cpu_sheaves ── + offset ─────────► main, spare, rcu_free: size each
//! ```
//!
//! A per-CPU pointer is followed by adding the CPU's offset, which the loader has put into the CPU table.
//!
//! # Consistency
//!
//! The CPU goes on allocating meanwhile. Its `tid` changes with every operation on the CPU slab, so it is read
//! before and after: if it changed, that CPU is walked again, three times in all, and then the row says that it is
//! incomplete. A freelist has at most 32,767 entries, and a CPU partial list is bounded likewise.

use super::node::{add_to, ended, round, zero};
use super::peek::Peek;
use super::rows;
use super::slab::{Slab, next_free, try_again};
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// The most objects of a slab, and so the most entries of a freelist (`MAX_OBJS_PER_PAGE`).
const FREELIST: i32 = 32_767;
/// The most slabs that a CPU partial list is followed for.
const CPU_PARTIAL: i32 = 32_767;

/// Where a cache keeps its CPU slabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSlab {
    /// The offset of `cpu_slab` in `struct kmem_cache`.
    pub pointer: i32,
    /// The offset of `slab` in `struct kmem_cache_cpu`.
    pub slab: i32,
    /// The offset of `freelist`, if the free objects of the CPU slab are asked for.
    pub freelist: Option<i32>,
    /// The offset of `tid`.
    pub tid: i32,
    /// The offset of `partial`, if the kernel has CPU partial lists and they are asked for.
    pub partial: Option<i32>,
    /// The offset of `next` in `struct slab`.
    pub next: i16,
    /// The offset of `offset` in `struct kmem_cache`: where a free object keeps the pointer to the next.
    pub free_offset: i16,
    /// The offset of `random` in `struct kmem_cache`, if pointers of freelists are mangled with it.
    pub random: Option<i16>,
    /// Where the free objects of the CPU slab go.
    pub free: i16,
    /// Where those on the CPU partial list go.
    pub partial_free: i16,
    /// Where the number of slabs on the CPU partial list goes, if asked for.
    pub partial_slabs: Option<i16>,
    /// Where the address of the CPU slab goes, if asked for.
    pub address: Option<i16>,
}

/// Where a cache keeps its sheaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sheaves {
    /// The offset of `cpu_sheaves` in `struct kmem_cache`.
    pub pointer: i32,
    /// The offset of `sheaf_capacity` in `struct kmem_cache`.
    pub capacity: i16,
    /// The offsets of `main` and `spare` in `struct slub_percpu_sheaves`.
    pub held: [i32; 2],
    /// The offset of `rcu_free`.
    pub rcu_free: i32,
    /// The offset of `size` in `struct slab_sheaf`.
    pub size: i32,
    /// Where the objects in main and spare sheaves go.
    pub cached: [i16; 2],
    /// Where the objects in `rcu_free` sheaves go.
    pub pending: i16,
}

/// The walk over CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerCpu {
    /// The slabs.
    pub slab: Slab,
    /// How many CPUs are possible: the entries of the CPU table.
    pub cpus: i32,
    /// CPU slabs, if asked for.
    pub cpu_slab: Option<CpuSlab>,
    /// Sheaves, if asked for.
    pub sheaves: Option<Sheaves>,
    /// Walks that did not reach their end.
    pub incomplete: i16,
    /// Where the CPU table begins in the map's value.
    pub table: u32,
    /// Numbers for the walk's own use.
    pub own: Own,
}

/// Numbers for a walk's own use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    pub(super) base: i16,
    pub(super) found: i16,
    pub(super) found_partial: i16,
    pub(super) found_slabs: i16,
    pub(super) steps: i16,
    pub(super) tries: i16,
    pub(super) tid: i16,
}

impl Own {
    /// Takes its numbers of `scratch`.
    pub fn new(scratch: &mut rows::Scratch) -> Self {
        Self {
            base: scratch.take(),
            found: scratch.take(),
            found_partial: scratch.take(),
            found_slabs: scratch.take(),
            steps: scratch.take(),
            tries: scratch.take(),
            tid: scratch.take(),
        }
    }

    /// The same of a walk in several runs.
    pub fn resumed(scratch: &mut rows::Scratch) -> Self {
        Self { steps: rows::resume::STEPS, ..Self::new(scratch) }
    }
}

impl PerCpu {
    /// Appends the walk over all CPUs for the cache in `R7`. Takes `R0` to `R5`, `R8` and `R9`.
    pub fn walk(&self, asm: &mut Assembler) {
        self.clear(asm);
        self.each::<std::convert::Infallible>(asm, |asm| {
            self.cpu(asm);
            Ok(())
        })
        .unwrap_or_else(|never| match never {});
    }

    /// Appends zeros for all figures.
    pub fn clear(&self, asm: &mut Assembler) {
        let slab = self.cpu_slab.into_iter().flat_map(|slab| {
            let asked = [slab.partial_slabs, slab.address].into_iter().flatten();
            [slab.free, slab.partial_free].into_iter().chain(asked)
        });
        let sheaves = self.sheaves.into_iter();
        let sheaves =
            sheaves.flat_map(|sheaves| [sheaves.cached[0], sheaves.cached[1], sheaves.pending]);
        zero(asm, slab.chain(sheaves));
    }

    /// Appends the addition of what the CPU numbered in `R8` holds. Takes `R0` to `R5` and `R9`.
    pub fn cpu(&self, asm: &mut Assembler) {
        if let Some(cpu_slab) = self.cpu_slab {
            self.cpu_slab(asm, cpu_slab);
        }
        if let Some(sheaves) = self.sheaves {
            self.sheaves(asm, sheaves);
        }
    }

    /// Appends a loop over all CPUs. The body finds the CPU's number in `R8` and must leave it there.
    pub fn each<E>(
        &self,
        asm: &mut Assembler,
        body: impl FnOnce(&mut Assembler) -> Result<(), E>,
    ) -> Result<(), E> {
        let [cut, done] = ["cut", "cpus_done"].map(|name| asm.label(name));
        self.each_from(asm, rows::ZERO, [cut, done], body)?;
        asm.bind(cut);
        ended(asm, Some(self.incomplete));
        asm.bind(done);
        Ok(())
    }

    /// The same from the CPU on that the header's number `from` counts. A loop that the kernel ends goes to `cut`, one
    /// that ends by its count to `done`.
    pub fn each_from<E>(
        &self,
        asm: &mut Assembler,
        from: i16,
        [cut, done]: [Label; 2],
        body: impl FnOnce(&mut Assembler) -> Result<(), E>,
    ) -> Result<(), E> {
        let cpu = asm.label("cpu");
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, from));
        asm.bind(cpu);
        asm.may_goto(cut);
        asm.jump_imm(Cond::Ge, Reg::R8, self.cpus, done);
        body(asm)?;
        asm.add(Reg::R8, 1);
        asm.jump(cpu);
        Ok(())
    }

    /// Appends `header[base] = the cache's pointer + the CPU's offset`; goes to `none` if the pointer is null.
    pub(super) fn base(&self, asm: &mut Assembler, pointer: i32, none: Label) {
        // Not through R7: for a pointer that is loaded from a trusted one the verifier searches all of the kernel's
        // types by name, three times, which takes longer than everything else together.
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::SELF));
        self.slab.peek.load(asm, pointer);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, none);
        // The loop said so, but the verifier forgets it where a round of the loop began behind that.
        asm.jump_imm(Cond::Ge, Reg::R8, self.cpus, none);
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        asm.push(Insn::mov(Reg::R2, Reg::R8));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 3));
        asm.map_value(Reg::R3, self.table);
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R2));
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R3, 0));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R3));
        asm.push(Insn::store(Size::Dw, Reg::R6, self.own.base, Reg::R1));
    }

    /// Appends `R0 = *(u64 *)(header[base] + offset)`.
    pub(super) fn member(&self, asm: &mut Assembler, offset: i32) {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, self.own.base));
        self.slab.peek.load(asm, offset);
    }

    fn cpu_slab(&self, asm: &mut Assembler, cpu_slab: CpuSlab) {
        let Own { found, found_partial, found_slabs, tries, tid, .. } = self.own;
        let [again, partial, torn, same, done] =
            ["again", "partial", "torn", "same", "cpu_slab_done"].map(|name| asm.label(name));
        self.base(asm, cpu_slab.pointer, done);
        zero(asm, [tries].into_iter());
        asm.bind(again);
        zero(asm, [found, found_partial, found_slabs].into_iter());
        self.member(asm, cpu_slab.tid);
        asm.push(Insn::store(Size::Dw, Reg::R6, tid, Reg::R0));
        self.member(asm, cpu_slab.slab);
        if let Some(address) = cpu_slab.address {
            asm.push(Insn::store(Size::Dw, Reg::R6, address, Reg::R0));
        }
        if let Some(list) = cpu_slab.freelist {
            asm.jump_imm(Cond::Eq, Reg::R0, 0, partial);
            self.held(asm, cpu_slab, list, [torn, torn]);
            asm.bind(partial);
        }
        if let Some(list) = cpu_slab.partial {
            self.cpu_partial(asm, cpu_slab, list, torn);
        }
        self.member(asm, cpu_slab.tid);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, tid));
        asm.jump_reg(Cond::Eq, Reg::R0, Reg::R1, same);
        asm.bind(torn);
        try_again(asm, tries, again, self.incomplete);
        asm.bind(same);
        let slabs = cpu_slab.partial_slabs.map(|to| (found_slabs, to));
        for (from, to) in [(found, cpu_slab.free), (found_partial, cpu_slab.partial_free)]
            .into_iter()
            .chain(slabs)
        {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, from));
            add_to(asm, to, Reg::R1);
        }
        asm.bind(done);
    }

    /// Appends the count of the free objects of the CPU slab, whose address is in `R0`, into `own.found`. Goes to `cut`
    /// if the kernel ends the loop.
    pub(super) fn held(
        &self,
        asm: &mut Assembler,
        cpu_slab: CpuSlab,
        list: i32,
        [cut, torn]: [Label; 2],
    ) {
        asm.comment("the CPU slab: what others freed to it, then its freelist");
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        self.slab.peek.load(asm, self.slab.peek.counters.into());
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        self.slab.free(asm, torn);
        add_to(asm, self.own.found, Reg::R1);
        self.freelist(asm, cpu_slab, list, [cut, torn]);
    }

    /// Appends, for a slab that [`super::vmemmap`] found, a jump to `other` unless it is the CPU slab of the CPU numbered
    /// in `R8`.
    pub fn holds(&self, asm: &mut Assembler, cpu_slab: CpuSlab, other: Label) {
        self.base(asm, cpu_slab.pointer, other);
        self.member(asm, cpu_slab.slab);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::page::SLAB));
        asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, other);
    }

    /// Appends `header[free] = the free objects of this CPU slab`; goes to `torn` if the CPU works with it meanwhile.
    /// Takes `R9`.
    pub fn free(&self, asm: &mut Assembler, cpu_slab: CpuSlab, free: i16, torn: Label) {
        let Own { found, tid, .. } = self.own;
        let Some(list) = cpu_slab.freelist else { return };
        zero(asm, [found].into_iter());
        self.member(asm, cpu_slab.tid);
        asm.push(Insn::store(Size::Dw, Reg::R6, tid, Reg::R0));
        asm.push(Insn::load(Size::Dw, Reg::R0, Reg::R6, rows::page::SLAB));
        self.held(asm, cpu_slab, list, [torn, torn]);
        self.member(asm, cpu_slab.tid);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, tid));
        asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, torn);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, found));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::page::OBJECTS));
        asm.jump_reg(Cond::Gt, Reg::R1, Reg::R2, torn);
        asm.push(Insn::store(Size::Dw, Reg::R6, free, Reg::R1));
    }

    /// Appends, for a slab that [`super::vmemmap`] found, a jump to `other` unless it is on the partial list of the CPU
    /// numbered in `R8`, or to `torn` if the list cannot be followed. `number` appends `R1 = the pointer R0`, as a number.
    /// Takes `R9`.
    pub fn lists(
        &self,
        asm: &mut Assembler,
        cpu_slab: CpuSlab,
        list: i32,
        [other, torn]: [Label; 2],
        number: impl FnOnce(&mut Assembler),
    ) {
        let [step, found] = ["cpu_partial", "on_list"].map(|name| asm.label(name));
        self.base(asm, cpu_slab.pointer, other);
        self.member(asm, list);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        zero(asm, [self.own.steps].into_iter());
        self.step(asm, cpu_slab.next, step, [torn, torn, other]);
        number(asm);
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::page::SLAB));
        asm.jump_reg(Cond::Eq, Reg::R1, Reg::R2, found);
        asm.jump(step);
        asm.bind(found);
    }

    /// Appends the count of the CPU's freelist.
    fn freelist(&self, asm: &mut Assembler, cpu_slab: CpuSlab, list: i32, [cut, torn]: [Label; 2]) {
        let Own { found, steps, .. } = self.own;
        let [object, end] = ["object", "freelist_end"].map(|name| asm.label(name));
        self.member(asm, list);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        zero(asm, [steps].into_iter());
        asm.bind(object);
        asm.may_goto(cut);
        asm.jump_imm(Cond::Eq, Reg::R9, 0, end);
        round(asm, steps, FREELIST, torn);
        next_free(asm, self.slab.peek, cpu_slab.free_offset, cpu_slab.random);
        asm.jump(object);
        asm.bind(end);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, steps));
        add_to(asm, found, Reg::R1);
    }

    /// Appends the count of the free objects on the CPU's partial list.
    fn cpu_partial(&self, asm: &mut Assembler, cpu_slab: CpuSlab, list: i32, torn: Label) {
        let Own { found_partial, found_slabs, steps, .. } = self.own;
        let [slab, end] = ["cpu_partial", "cpu_partial_end"].map(|name| asm.label(name));
        self.member(asm, list);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        zero(asm, [steps].into_iter());
        self.step(asm, cpu_slab.next, slab, [torn, torn, end]);
        self.slab.free(asm, torn);
        add_to(asm, found_partial, Reg::R1);
        asm.jump(slab);
        asm.bind(end);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, steps));
        asm.push(Insn::store(Size::Dw, Reg::R6, found_slabs, Reg::R1));
    }

    /// Appends, behind the label `step`, the way to the slab of a CPU partial list whose address is in `R9`: the slab
    /// is then in `R0`, its counters in `R1`, and the address of the next one in `R9`. Goes to `cut` if the kernel
    /// ends the loop, to `torn` if this is not the list, to `end` at its end.
    pub(super) fn step(
        &self,
        asm: &mut Assembler,
        next: i16,
        step: Label,
        [cut, torn, end]: [Label; 3],
    ) {
        let steps = self.own.steps;
        asm.bind(step);
        asm.may_goto(cut);
        asm.jump_imm(Cond::Eq, Reg::R9, 0, end);
        round(asm, steps, CPU_PARTIAL, torn);
        self.slab.visit(asm, 0, torn);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R0, next));
    }

    fn sheaves(&self, asm: &mut Assembler, sheaves: Sheaves) {
        let done = asm.label("sheaves_done");
        // Without a capacity the pointer leads to one empty sheaf that all such caches share (7.0).
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, sheaves.capacity));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, done);
        self.base(asm, sheaves.pointer, done);
        let [main, spare] = sheaves.held;
        for (offset, slot) in [
            (main, sheaves.cached[0]),
            (spare, sheaves.cached[1]),
            (sheaves.rcu_free, sheaves.pending),
        ] {
            let none = asm.label("no_sheaf");
            self.member(asm, offset);
            asm.jump_imm(Cond::Eq, Reg::R0, 0, none);
            asm.push(Insn::mov(Reg::R1, Reg::R0));
            add_size(asm, self.slab.peek, sheaves.size, slot);
            asm.bind(none);
        }
        asm.bind(done);
    }
}

/// Appends `header[slot] += *(u32 *)(R1 + offset)`.
pub(super) fn add_size(asm: &mut Assembler, peek: Peek, offset: i32, slot: i16) {
    peek.load(asm, offset);
    Peek::low_half(asm);
    add_to(asm, slot, Reg::R0);
}
