//! Visits every slab of a cache that can be reached: on the nodes' partial lists, in CPU slabs, on CPU partial lists.
//!
//! ```text
//!   for each node     list ─► slab ─► slab ─► …
//!   for each CPU      CPU slab
//!                     CPU partial list ─► slab ─► …
//! ```
//!
//! There can be more slabs than the map has room for. A program cannot wait until its reader has made some, so it runs
//! in rounds: where it is stands in the header ([`rows::resume`]) at every moment, a run that finds no room ends, and
//! the next one goes on there.
//!
//! # Consistency
//!
//! No lock is held, least of all between runs. A run finds the cache by going through all caches again and comparing
//! addresses. In a node's list it goes on with the slab that it had no room for, if `prev` of that slab is what it was:
//! else the slab may have moved past others, and the list is begun again. So is one that led elsewhere, three times
//! in all. A run ends when a list is to be begun again, so that the reader, who has its rows, can tell those apart that
//! come again. In a CPU partial list, which has no `prev`, the slab need only be one of the cache.
//!
//! # Not done here
//!
//! Conditions and rows: the [`Visitor`]'s.

use super::driver::flag;
use super::node::zero;
use super::partial::Partial;
use super::percpu::{CpuSlab, PerCpu};
use super::rows::{self, resume};
use super::slab::{Slab, TRIES, try_again};
use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Cond, Insn, Reg, Size};

/// The offset of `prev` in a list's link.
const PREV: i32 = 8;

/// The visit, and where its figures go: numbers of [`rows::Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slabs {
    /// The nodes' lists.
    pub partial: Partial,
    /// The CPUs with their CPU slabs, if the kernel has these.
    pub cpus: Option<(PerCpu, CpuSlab)>,
    /// The figures of a slab that are asked for.
    pub figures: Figures,
    /// Above 0 if the list was begun again before this slab, or the CPU slab changed each time it was looked at.
    pub incomplete: i16,
    /// For the walk's own use: what follows the slab in its list.
    pub next: i16,
}

/// Where the figures of a slab go, if they are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The room for objects.
    pub objects: Option<i16>,
    /// The free objects.
    pub free: Option<i16>,
    /// Whether it belongs to a CPU.
    pub frozen: Option<i16>,
}

/// What is done on the way.
pub trait Visitor {
    /// Why it cannot be done.
    type Error: From<FrameFull>;

    /// Appends code that goes to `skip` unless slabs of the list that the header speaks of are wanted.
    fn list(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Self::Error>;

    /// Appends what is done with the slab that the header speaks of; code that is done falls through or goes to
    /// `skip`. It may take all registers but `R6` and `R7`.
    fn slab(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Self::Error>;
}

impl Slabs {
    /// Appends the choice of the cache in `R7`, whose address lies in the header too: goes to `next` if an earlier run
    /// stopped behind it. `wanted` appends code that goes to `next` unless the cache is wanted.
    pub fn enter<E>(
        asm: &mut Assembler,
        next: Label,
        wanted: impl FnOnce(&mut Assembler) -> Result<(), E>,
    ) -> Result<(), E> {
        let [begin, go_on] = ["begin", "go_on"].map(|name| asm.label(name));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::CACHE));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, begin);
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::SELF));
        asm.jump_reg(Cond::Eq, Reg::R1, Reg::R2, go_on);
        asm.jump(next);
        asm.bind(begin);
        wanted(asm)?;
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::SELF));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::CACHE, Reg::R1));
        zero(asm, [resume::LIST, resume::PLACE].into_iter());
        begin_list(asm);
        asm.bind(go_on);
        Ok(())
    }

    /// Appends the visit of all slabs of the cache in `R7`, from where the header says on. Goes to `pause` to end the
    /// run. Takes all registers but `R6` and `R7`.
    pub fn walk<V: Visitor>(
        &self,
        asm: &mut Assembler,
        pause: Label,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let [with_cpus, nodes_done] = ["cpus", "nodes_done"].map(|name| asm.label(name));
        if self.cpus.is_some() {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::LIST));
            asm.jump_imm(Cond::Ne, Reg::R1, resume::NODE, with_cpus);
        }
        asm.comment("the partial lists of the nodes");
        let entries = self.partial.nodes.entries;
        entries.each_from(asm, resume::PLACE, [pause, nodes_done], |asm| {
            self.node(asm, pause, visitor)
        })?;
        asm.bind(nodes_done);
        if let Some((per_cpu, cpu_slab)) = &self.cpus {
            asm.push(Insn::store_imm(Size::Dw, Reg::R6, resume::LIST, resume::CPU));
            zero(asm, [resume::PLACE].into_iter());
            asm.bind(with_cpus);
            asm.comment("what the CPUs hold");
            let done = asm.label("cpus_done");
            per_cpu.each_from(asm, resume::PLACE, [pause, done], |asm| {
                self.cpu(asm, per_cpu, *cpu_slab, pause, visitor)
            })?;
            asm.bind(done);
        }
        zero(asm, [resume::CACHE].into_iter());
        Ok(())
    }

    /// Appends the visit of the list of the node whose address is in `R1`; the count behind it is in `R8`.
    fn node<V: Visitor>(
        &self,
        asm: &mut Assembler,
        pause: Label,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let partial = &self.partial;
        let [from_head, moved, step, skip, torn, end] =
            ["from_head", "moved", "slab", "next_slab", "torn", "list_end"]
                .map(|name| asm.label(name));
        asm.push(Insn::store(Size::Dw, Reg::R6, partial.own.node, Reg::R1));
        // The loop counts on before its body.
        asm.push(Insn::mov(Reg::R2, Reg::R8));
        asm.add(Reg::R2, -1);
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::PLACE, Reg::R2));
        visitor.list(asm, end)?;
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, partial.own.node));
        partial.nodes.add(asm, &[]);
        partial.bound(asm);
        self.begun_again(asm);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, resume::SLAB));
        asm.jump_imm(Cond::Eq, Reg::R9, 0, from_head);
        asm.add(Reg::R9, partial.slab.slab_list.into());
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        partial.slab.peek.load(asm, PREV);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::BEFORE));
        asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, moved);
        asm.jump(step);
        asm.bind(from_head);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, partial.own.head));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::BEFORE, Reg::R1));
        partial.first(asm, 0);
        partial.step(asm, step, [pause, torn, end]);
        asm.push(Insn::store(Size::Dw, Reg::R6, self.next, Reg::R9));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::SLAB, Reg::R0));
        self.figures(asm, &partial.slab, torn);
        visitor.slab(asm, skip)?;
        asm.bind(skip);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::SLAB));
        asm.add(Reg::R1, partial.slab.slab_list.into());
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::BEFORE, Reg::R1));
        self.go_on(asm, partial.slab.slab_list);
        asm.jump(step);
        asm.bind(moved);
        // The last time it goes on from there rather than not at all.
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::TRIES));
        asm.jump_imm(Cond::Lt, Reg::R1, TRIES - 1, torn);
        flag(asm, rows::TORN);
        asm.jump(step);
        asm.bind(torn);
        again(asm, pause);
        asm.bind(end);
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, resume::PLACE));
        asm.add(Reg::R8, 1);
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::PLACE, Reg::R8));
        begin_list(asm);
        Ok(())
    }

    /// Appends the visit of what the CPU numbered in `R8` holds.
    fn cpu<V: Visitor>(
        &self,
        asm: &mut Assembler,
        per_cpu: &PerCpu,
        cpu_slab: CpuSlab,
        pause: Label,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let [list, done] = ["cpu_list", "cpu_done"].map(|name| asm.label(name));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::PLACE, Reg::R8));
        per_cpu.base(asm, cpu_slab.pointer, done);
        if cpu_slab.partial.is_some() {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::LIST));
            asm.jump_imm(Cond::Eq, Reg::R1, resume::CPU_PARTIAL, list);
        }
        self.cpu_slab(asm, per_cpu, cpu_slab, pause, visitor)?;
        if let Some(partial) = cpu_slab.partial {
            asm.push(Insn::store_imm(Size::Dw, Reg::R6, resume::LIST, resume::CPU_PARTIAL));
            begin_list(asm);
            asm.bind(list);
            self.cpu_partial(asm, per_cpu, (cpu_slab.next, partial), pause, visitor)?;
        }
        asm.bind(done);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, resume::LIST, resume::CPU));
        begin_list(asm);
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, resume::PLACE));
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.add(Reg::R1, 1);
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::PLACE, Reg::R1));
        Ok(())
    }

    /// Appends the visit of the CPU slab.
    fn cpu_slab<V: Visitor>(
        &self,
        asm: &mut Assembler,
        per_cpu: &PerCpu,
        cpu_slab: CpuSlab,
        pause: Label,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let own = per_cpu.own;
        let [begin, torn, same, done] =
            ["again", "torn", "same", "cpu_slab_done"].map(|name| asm.label(name));
        visitor.list(asm, done)?;
        zero(asm, [own.tries, self.incomplete].into_iter());
        asm.bind(begin);
        zero(asm, [own.found].into_iter());
        per_cpu.member(asm, cpu_slab.tid);
        asm.push(Insn::store(Size::Dw, Reg::R6, own.tid, Reg::R0));
        per_cpu.member(asm, cpu_slab.slab);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, done);
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::SLAB, Reg::R0));
        if let (Some(list), Some(_)) = (cpu_slab.freelist, self.figures.free) {
            per_cpu.held(asm, cpu_slab, list, [pause, torn]);
        }
        per_cpu.member(asm, cpu_slab.tid);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, own.tid));
        asm.jump_reg(Cond::Eq, Reg::R0, Reg::R1, same);
        asm.bind(torn);
        try_again(asm, own.tries, begin, self.incomplete);
        asm.bind(same);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::SLAB));
        per_cpu.slab.peek.load(asm, per_cpu.slab.peek.counters.into());
        self.objects(asm, &per_cpu.slab, Reg::R0);
        if let Some(free) = self.figures.free {
            // A count that was disturbed each time may be above what there is.
            let fits = asm.label("fits");
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, own.found));
            per_cpu.slab.objects.extract(asm, Reg::R0);
            asm.jump_reg(Cond::Le, Reg::R1, Reg::R0, fits);
            asm.push(Insn::mov(Reg::R1, Reg::R0));
            asm.bind(fits);
            asm.push(Insn::store(Size::Dw, Reg::R6, free, Reg::R1));
        }
        visitor.slab(asm, done)?;
        asm.bind(done);
        Ok(())
    }

    /// Appends the visit of the CPU partial list.
    fn cpu_partial<V: Visitor>(
        &self,
        asm: &mut Assembler,
        per_cpu: &PerCpu,
        (next, list): (i16, i32),
        pause: Label,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let [step, skip, torn, end] =
            ["cpu_partial", "next_slab", "torn", "cpu_partial_end"].map(|name| asm.label(name));
        visitor.list(asm, end)?;
        self.begun_again(asm);
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, resume::SLAB));
        asm.jump_imm(Cond::Ne, Reg::R9, 0, step);
        per_cpu.member(asm, list);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        per_cpu.step(asm, next, step, [pause, torn, end]);
        asm.push(Insn::store(Size::Dw, Reg::R6, self.next, Reg::R9));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::SLAB, Reg::R0));
        self.figures(asm, &per_cpu.slab, torn);
        visitor.slab(asm, skip)?;
        asm.bind(skip);
        self.go_on(asm, 0);
        // A slab of 0 would be the beginning to the next run.
        asm.jump_imm(Cond::Ne, Reg::R9, 0, step);
        asm.jump(end);
        asm.bind(torn);
        again(asm, pause);
        asm.bind(end);
        Ok(())
    }

    /// Appends the figures of a slab whose counters are in `R1`; goes to `torn` if they are not a slab's.
    fn figures(&self, asm: &mut Assembler, slab: &Slab, torn: Label) {
        self.objects(asm, slab, Reg::R1);
        if let Some(free) = self.figures.free {
            slab.free(asm, torn);
            asm.push(Insn::store(Size::Dw, Reg::R6, free, Reg::R1));
        }
    }

    /// Appends the figures that the counters in `counters` hold by themselves. Takes `R2`.
    fn objects(&self, asm: &mut Assembler, slab: &Slab, counters: Reg) {
        let objects = self.figures.objects.map(|to| (to, slab.objects));
        let frozen = self.figures.frozen.zip(slab.frozen);
        for (to, bits) in objects.into_iter().chain(frozen) {
            asm.push(Insn::mov(Reg::R2, counters));
            bits.extract(asm, Reg::R2);
            asm.push(Insn::store(Size::Dw, Reg::R6, to, Reg::R2));
        }
    }

    /// Appends what rows say of a list that was begun again.
    fn begun_again(&self, asm: &mut Assembler) {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::TRIES));
        asm.push(Insn::store(Size::Dw, Reg::R6, self.incomplete, Reg::R1));
    }

    /// Appends `R9 = what follows in the list`, and that a run that ends here goes on there. `link` is the offset of
    /// what leads from slab to slab.
    fn go_on(&self, asm: &mut Assembler, link: i16) {
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, self.next));
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        asm.add(Reg::R1, -i32::from(link));
        asm.push(Insn::store(Size::Dw, Reg::R6, resume::SLAB, Reg::R1));
    }
}

/// Appends that the list is at its beginning.
fn begin_list(asm: &mut Assembler) {
    zero(asm, [resume::SLAB, resume::STEPS, resume::TRIES].into_iter());
}

/// Appends the end of a walk that failed: to `pause`, so that the next run begins the list again, or, the third time, on
/// without the rest of it.
fn again(asm: &mut Assembler, pause: Label) {
    let given_up = asm.label("given_up");
    zero(asm, [resume::SLAB, resume::STEPS].into_iter());
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::TRIES));
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, resume::TRIES, Reg::R1));
    asm.jump_imm(Cond::Ge, Reg::R1, TRIES, given_up);
    flag(asm, rows::AGAIN);
    asm.jump(pause);
    asm.bind(given_up);
    flag(asm, rows::TORN);
}
