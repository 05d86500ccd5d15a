//! Generates the rows of a cache's slabs.
//!
//! ```text
//!   conditions on the cache ── no ──► next cache
//!   for each list
//!     conditions on the list ── no ──► next list
//!     for each slab
//!       conditions on its figures ── no ──► next slab
//!       the row; no room: the run ends, and the next one goes on with this slab
//! ```

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::rows::{self, page, resume};
use ebpf_templates::template::slabs::{Figures, Slabs, Visitor};
use ebpf_templates::template::{partial, percpu};

use super::{Generator, walk};
use crate::catalog::{SlabFigure, Source};
use crate::diagnostic::Diagnostic;
use crate::plan::{AFTER_ALL, NODE_WALK, SUM};
use crate::schema::Schema;

/// Whether CPUs hold slabs.
pub(super) fn on_cpus(schema: &dyn Schema) -> bool {
    schema.member("kmem_cache", "cpu_slab").is_some() && schema.cpu_offsets().is_ok()
}

/// Where the visit itself keeps a figure of the slab.
pub(super) fn kept(source: Option<Source>) -> Option<i16> {
    match source {
        Some(Source::Slab(SlabFigure::List)) => Some(resume::LIST),
        Some(Source::Slab(SlabFigure::Place)) => Some(resume::PLACE),
        Some(Source::Slab(SlabFigure::Address)) => Some(resume::SLAB),
        _ => None,
    }
}

/// Makes rows of the slabs that are visited.
struct SlabRows<'a, 'b> {
    generator: &'a mut Generator<'b>,
    emitter: &'a Emitter,
    /// Where its objects and the free ones are counted.
    counts: [i16; 2],
}

impl Visitor for SlabRows<'_, '_> {
    type Error = Diagnostic;

    fn list(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        self.generator.node_of_list(asm);
        self.generator.conditions(asm, SUM, skip)
    }

    fn slab(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        self.generator.of_page(asm)?;
        self.generator.state_by_list(asm, self.counts);
        for price in NODE_WALK..=AFTER_ALL {
            self.generator.conditions(asm, price, skip)?;
        }
        self.emitter.row(asm, self.generator)
    }
}

impl Generator<'_> {
    /// Appends the rows of a cache's slabs.
    pub(super) fn slabs(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        let stop = emitter.full();
        self.reserve(asm)?;
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::SELF, Reg::R7));
        Slabs::enter(asm, next, |asm| {
            (0..SUM).try_for_each(|price| self.conditions(asm, price, next))
        })?;
        let slab = |figure| self.slot_of(Source::Slab(figure));
        let (objects, free, state) =
            (slab(SlabFigure::Objects), slab(SlabFigure::Free), slab(SlabFigure::State));
        let frozen = slab(SlabFigure::Frozen);
        let mut counted = |slot: Option<i16>| match (slot, state) {
            (None, Some(_)) => Some(self.scratch.take()),
            (slot, _) => slot,
        };
        let (objects, free) = (counted(objects), counted(free));
        let figures = Figures { objects, free, frozen };
        let incomplete = self.incomplete.unwrap_or_else(|| self.scratch.take());
        // Where the walks of whole lists would count.
        let uncounted = self.scratch.take();
        let own = partial::Own::resumed(&mut self.scratch);
        let partial = walk::partial(self.schema, own, uncounted, None, incomplete)?;
        let cpus = if on_cpus(self.schema) {
            let own = percpu::Own::resumed(&mut self.scratch);
            let cpu_slab = walk::cpu_slab(self.schema, [uncounted; 2])?;
            let per_cpu = walk::per_cpu(self.schema, own, None, None, incomplete, self.table)?;
            Some((per_cpu, cpu_slab))
        } else {
            None
        };
        let next = self.scratch.take();
        let slabs = Slabs { partial, cpus, figures, incomplete, next };
        let counts = [objects, free].map(Option::unwrap_or_default);
        slabs.walk(asm, stop, &mut SlabRows { generator: self, emitter, counts })
    }

    /// Appends the node of the slabs of a list: of a node's list that node.
    fn node_of_list(&self, asm: &mut Assembler) {
        let Some(slot) = self.slot_of(Source::Slab(SlabFigure::Node)) else { return };
        let known = asm.label("node_known");
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::LIST));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, resume::PLACE));
        asm.jump_imm(Cond::Eq, Reg::R1, resume::NODE, known);
        asm.push(Insn::mov_imm(Reg::R2, page::UNKNOWN));
        asm.bind(known);
        asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R2));
    }

    /// Appends the state of a slab that is on a list.
    fn state_by_list(&self, asm: &mut Assembler, [objects, free]: [i16; 2]) {
        let Some(slot) = self.slot_of(Source::Slab(SlabFigure::State)) else { return };
        let known = asm.label("state_known");
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        load(asm, Reg::R1, resume::LIST);
        asm.push(Insn::mov_imm(Reg::R2, page::CPU));
        asm.jump_imm(Cond::Ne, Reg::R1, resume::NODE, known);
        asm.push(Insn::mov_imm(Reg::R2, page::PARTIAL));
        load(asm, Reg::R1, objects);
        load(asm, Reg::R3, free);
        asm.jump_reg(Cond::Ne, Reg::R1, Reg::R3, known);
        asm.push(Insn::mov_imm(Reg::R2, page::EMPTY));
        asm.bind(known);
        asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R2));
    }

    /// Appends what the descriptor of the slab's first page says.
    fn of_page(&self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        if let Some(slot) = self.slot_of(Source::Slab(SlabFigure::Pfn)) {
            let pages = walk::vmemmap(self.schema)?;
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::SLAB));
            asm.set(Reg::R2, pages.base);
            asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
            asm.push(Insn::alu_imm(Alu::Div, Reg::R1, pages.bytes));
            asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R1));
        }
        if let Some(slot) = self.slot_of(Source::Slab(SlabFigure::Order)) {
            let pages = walk::pages(self.schema)?;
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, resume::SLAB));
            pages.order_of(asm);
            asm.push(Insn::store(Size::Dw, Reg::R6, slot, Reg::R0));
        }
        Ok(())
    }
}
