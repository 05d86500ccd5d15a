//! Generates the rows of a cache's parts: of its NUMA nodes, or of its CPUs.
//!
//! ```text
//!   conditions on the cache ── no ──► next cache
//!   for each part
//!     figures of the part, cheapest first, conditions on them ── no ──► next part
//!     the row
//! ```
//!
//! The count of the loop lies in the header while a row is built, which takes all registers.

use ebpf_templates::assembler::Assembler;
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::template::barn::Barns;
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::partial;
use ebpf_templates::template::peek::Peek;
use ebpf_templates::template::percpu::Own;
use ebpf_templates::template::rows;

use super::needs::member;
use super::{Generator, Label, walk};
use crate::catalog::CpuFigure::{Free, Main, PartialFree, PartialSlabs, RcuFree, Slab, Spare};
use crate::catalog::{CpuFigure, Source, Walk};
use crate::diagnostic::Diagnostic;
use crate::plan::{AFTER_ALL, CPU_WALK, NODE_WALK, SUM};

impl Generator<'_> {
    /// Appends what is the same for all parts of a cache.
    fn whole(&mut self, asm: &mut Assembler, next: Label) -> Result<(), Diagnostic> {
        self.reserve(asm)?;
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::SELF, Reg::R7));
        for price in 0..SUM {
            self.conditions(asm, price, next)?;
        }
        Ok(())
    }

    /// Appends the rows of a cache's nodes.
    pub(super) fn nodes(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        self.whole(asm, next)?;
        let nodes = walk::nodes(self.schema)?;
        let (count, pointer) = (self.scratch.take(), self.scratch.take());
        self.node = Some(pointer);
        nodes.entries.each(asm, self.incomplete, |asm| {
            let skip = asm.label("next_node");
            asm.push(Insn::store(Size::Dw, Reg::R6, count, Reg::R8));
            asm.push(Insn::store(Size::Dw, Reg::R6, pointer, Reg::R1));
            self.begin_walks(asm);
            let sums = self.sums()?;
            nodes.read(asm, &sums);
            if let Some(slot) = self.slot_of(Source::Index) {
                // The loop counts on before its body.
                asm.push(Insn::mov(Reg::R1, Reg::R8));
                asm.add(Reg::R1, -1);
                asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R1));
            }
            self.conditions(asm, SUM, skip)?;
            if let (Some(free), Some(incomplete)) = (self.slot(Walk::FreePartial), self.incomplete)
            {
                asm.comment("the partial list of the node");
                asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, pointer));
                walk::partial(
                    self.schema,
                    partial::Own::new(&mut self.scratch),
                    free,
                    None,
                    incomplete,
                )?
                .node(asm);
            }
            self.conditions(asm, NODE_WALK, skip)?;
            self.barn(asm, count, pointer)?;
            self.conditions(asm, CPU_WALK, skip)?;
            self.conditions(asm, AFTER_ALL, skip)?;
            self.emit(asm, emitter)?;
            asm.bind(skip);
            asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, count));
            Ok(())
        })
    }

    /// Appends the figures of the barn of the node whose pointer, and the count behind it, lie in the header.
    fn barn(&mut self, asm: &mut Assembler, count: i16, pointer: i16) -> Result<(), Diagnostic> {
        let mut figures = Vec::new();
        for (input, slot) in &self.slots {
            let Some(Source::Barn(path)) = self.plan.inputs[*input].source() else { continue };
            let at = member(self.schema, "node_barn", path)?.offset.cast_signed();
            figures.push((at, *slot));
        }
        let (cached, Some(incomplete)) = (self.slot(Walk::CachedBarns), self.incomplete) else {
            return Ok(());
        };
        if figures.is_empty() && cached.is_none() {
            return Ok(());
        }
        asm.comment("the barn of the node");
        let peek = walk::slab(self.schema)?.peek;
        let (own, entry) = (Own::new(&mut self.scratch), self.scratch.take());
        let barns = walk::barns(self.schema, cached.unwrap_or(entry))?;
        for slot in figures.iter().map(|(_, slot)| *slot).chain(cached) {
            asm.push(Insn::store_imm(Size::Dw, Reg::R6, slot, 0));
        }
        let none = asm.label("no_barn");
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, barns.capacity));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, none);
        barn_entry(asm, &barns, peek, count, pointer);
        asm.jump_imm(Cond::Eq, Reg::R1, 0, none);
        asm.push(Insn::store(Size::Dw, Reg::R6, entry, Reg::R1));
        for (at, slot) in figures {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, entry));
            barns.of_entry(asm, peek, none);
            peek.load(asm, at);
            Peek::low_half(asm);
            asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R0));
        }
        if cached.is_some() {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, entry));
            barns.barn(asm, peek, own, incomplete);
        }
        asm.bind(none);
        Ok(())
    }

    /// Appends the rows of a cache's CPUs.
    pub(super) fn cpus(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        self.whole(asm, next)?;
        let count = self.scratch.take();
        let own = Own::new(&mut self.scratch);
        let incomplete = self.incomplete.unwrap_or_else(|| self.scratch.take());
        // Where a figure goes that nobody asked for.
        let unasked = self.scratch.take();
        let asked = |figures: &[CpuFigure]| {
            figures.iter().any(|figure| self.slot_of(Source::Cpu(*figure)).is_some())
        };
        let slabs = asked(&[Slab, Free, PartialSlabs, PartialFree]);
        let sheaves = asked(&[Main, Spare, RcuFree]);
        let slot = |figure| self.slot_of(Source::Cpu(figure)).unwrap_or(unasked);
        let cpu_slab = if slabs {
            let mut found = walk::cpu_slab(self.schema, [slot(Free), slot(PartialFree)])?;
            found.partial_slabs = self.slot_of(Source::Cpu(PartialSlabs));
            found.address = self.slot_of(Source::Cpu(Slab));
            found.freelist = found.freelist.filter(|_| asked(&[Free]));
            found.partial = found.partial.filter(|_| asked(&[PartialSlabs, PartialFree]));
            Some(found)
        } else {
            None
        };
        let sheaves = if sheaves {
            Some(walk::sheaves(self.schema, [slot(Main), slot(Spare)], slot(RcuFree))?)
        } else {
            None
        };
        let walk = walk::per_cpu(self.schema, own, cpu_slab, sheaves, incomplete, self.table)?;
        walk.each(asm, |asm| {
            let skip = asm.label("next_cpu");
            asm.push(Insn::store(Size::Dw, Reg::R6, count, Reg::R8));
            if let Some(slot) = self.slot_of(Source::Index) {
                asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R8));
            }
            self.conditions(asm, SUM, skip)?;
            self.begin_walks(asm);
            walk.clear(asm);
            walk.cpu(asm);
            self.conditions(asm, CPU_WALK, skip)?;
            self.conditions(asm, AFTER_ALL, skip)?;
            self.emit(asm, emitter)?;
            asm.bind(skip);
            asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, count));
            Ok(())
        })
    }
}

/// Appends `R1 = what leads to the node's barn`: from 7.1 on an entry of `per_node[]`, before that the node.
fn barn_entry(asm: &mut Assembler, barns: &Barns, peek: Peek, count: i16, pointer: i16) {
    if barns.in_node.is_some() {
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, pointer));
        return;
    }
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, count));
    asm.add(Reg::R1, -1);
    asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, barns.entries.stride));
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, rows::SELF));
    asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
    peek.load(asm, barns.entries.first);
    asm.push(Insn::mov(Reg::R1, Reg::R0));
}
