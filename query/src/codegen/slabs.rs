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
use ebpf_templates::insn::{Insn, Reg, Size};
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::rows::{self, resume};
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
}

impl Visitor for SlabRows<'_, '_> {
    type Error = Diagnostic;

    fn list(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        self.generator.conditions(asm, SUM, skip)
    }

    fn slab(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
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
        let figures = Figures {
            objects: slab(SlabFigure::Objects),
            free: slab(SlabFigure::Free),
            frozen: slab(SlabFigure::Frozen),
        };
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
        slabs.walk(asm, stop, &mut SlabRows { generator: self, emitter })
    }
}
