//! Generates the rows of slabs that are found by page descriptors.
//!
//! ```text
//!   conditions on the cache ── no ──► next slab
//!   a slab that a CPU holds: which CPU, and its free objects, if asked for
//!   conditions on its figures ── no ──► next slab
//!   is it the same slab yet? ── no ──► next slab
//!   the row; no room: the run ends, and the next one goes on with this slab
//! ```

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Cond, Insn, Reg, Size};
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::percpu;
use ebpf_templates::template::rows::{page, resume};

use super::{Generator, number, read, slabs, walk};
use crate::catalog::{SlabFigure, Source};
use crate::diagnostic::Diagnostic;
use crate::plan::{AFTER_ALL, Plan, SUM};
use crate::schema::Schema;

/// Where the walk itself keeps a figure of the slab.
pub(super) fn kept(source: Option<Source>) -> Option<i16> {
    let Some(Source::Slab(figure)) = source else { return None };
    Some(match figure {
        SlabFigure::List => page::LIST,
        SlabFigure::Place => page::PLACE,
        SlabFigure::Address => page::SLAB,
        SlabFigure::Objects => page::OBJECTS,
        SlabFigure::Free => page::FREE,
        SlabFigure::Frozen => page::FROZEN,
        SlabFigure::State => page::STATE,
        SlabFigure::Node => page::NODE,
        SlabFigure::Pfn => page::PFN,
        SlabFigure::Order => page::ORDER,
    })
}

/// Whether the program of `plan` looks at what CPUs hold.
pub(super) fn of_cpus(plan: &Plan, schema: &dyn Schema) -> bool {
    let of_cpus = [SlabFigure::Place, SlabFigure::Free].map(|figure| Some(Source::Slab(figure)));
    slabs::on_cpus(schema)
        && read(plan).iter().any(|input| of_cpus.contains(&plan.inputs[*input].source()))
}

impl Generator<'_> {
    /// Appends the row of the slab that the header speaks of, whose cache is in `R7`.
    pub(super) fn pages(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        self.incomplete = Some(page::INCOMPLETE);
        self.reserve(asm)?;
        for price in 0..SUM {
            self.conditions(asm, price, next)?;
        }
        if of_cpus(self.plan, self.schema) {
            self.holder(asm)?;
        }
        for price in SUM..=AFTER_ALL {
            self.conditions(asm, price, next)?;
        }
        walk::vmemmap(self.schema)?.check(asm, next);
        emitter.row(asm, self)
    }

    /// Appends the search for the CPU that holds the slab, if one does. Takes all registers but `R6` and `R7`.
    fn holder(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        let [listed, done, torn] = ["cpu_partial", "held", "torn"].map(|name| asm.label(name));
        let uncounted = self.scratch.take();
        let own = percpu::Own::new(&mut self.scratch);
        let cpu_slab = walk::cpu_slab(self.schema, [uncounted; 2])?;
        let per_cpu = walk::per_cpu(self.schema, own, None, None, page::INCOMPLETE, self.table)?;
        asm.comment("which CPU holds the slab?");
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, page::LIST));
        if cpu_slab.partial.is_some() {
            asm.jump_imm(Cond::Eq, Reg::R1, resume::CPU_PARTIAL, listed);
        }
        asm.jump_imm(Cond::Ne, Reg::R1, resume::CPU, done);
        per_cpu.each(asm, |asm| {
            let other = asm.label("next_cpu");
            per_cpu.holds(asm, cpu_slab, other);
            asm.push(Insn::store(Size::Dw, Reg::R6, page::PLACE, Reg::R8));
            per_cpu.free(asm, cpu_slab, page::FREE, torn);
            asm.jump(done);
            asm.bind(other);
            Ok::<_, Diagnostic>(())
        })?;
        asm.jump(done);
        if let Some(list) = cpu_slab.partial {
            asm.bind(listed);
            per_cpu.each(asm, |asm| {
                let other = asm.label("next_cpu");
                per_cpu.lists(asm, cpu_slab, list, [other, torn], |asm| {
                    number(asm, Reg::R1, Reg::R0);
                });
                asm.push(Insn::store(Size::Dw, Reg::R6, page::PLACE, Reg::R8));
                asm.jump(done);
                asm.bind(other);
                Ok::<_, Diagnostic>(())
            })?;
            asm.jump(done);
        }
        asm.bind(torn);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, page::INCOMPLETE, 1));
        asm.bind(done);
        Ok(())
    }
}
