//! Finds the figures of a cache that are no members of it: sums over its nodes, and what walks count.

use ebpf_templates::assembler::Assembler;
use ebpf_templates::insn::{Insn, Reg, Size};
use ebpf_templates::template::node::Sum;
use ebpf_templates::template::partial;
use ebpf_templates::template::percpu::Own;
use ebpf_templates::template::settle::Settle;

use super::needs::{member, offset};
use super::{Generator, walk};
use crate::catalog::{Source, Walk};
use crate::diagnostic::Diagnostic;
use crate::plan::{SUM, dearest};

impl Generator<'_> {
    /// Appends that no walk has been given up yet.
    pub(super) fn begin_walks(&self, asm: &mut Assembler) {
        if let Some(incomplete) = self.incomplete {
            asm.push(Insn::store_imm(Size::Dw, Reg::R6, incomplete, 0));
        }
    }

    /// The slot of the first input that comes from `source`, if anything needs it.
    pub(super) fn slot_of(&self, source: Source) -> Option<i16> {
        let found = |(input, _): &&(usize, i16)| self.plan.inputs[*input].source() == Some(source);
        self.slots.iter().find(found).map(|(_, slot)| *slot)
    }

    /// The members of `struct kmem_cache_node` that anything needs: those that are summed over nodes, or those of
    /// the row's own node. A table has columns of one of these kinds.
    pub(super) fn sums(&self) -> Result<Vec<Sum>, Diagnostic> {
        let mut sums = Vec::new();
        for (input, slot) in &self.slots {
            let source = self.plan.inputs[*input].source();
            let Some(Source::NodeSum(path) | Source::Node(path)) = source else {
                continue;
            };
            let member = member(self.schema, "kmem_cache_node", path)?;
            let offset = offset(self.schema, "kmem_cache_node", path)?;
            let size = Size::of(member.size).unwrap_or(Size::Dw);
            sums.push(Sum { offset, size, slot: *slot });
        }
        Ok(sums)
    }

    /// The slot of a walked figure, if anything needs it.
    pub(super) fn slot(&self, walk: Walk) -> Option<i16> {
        self.slot_of(Source::Walk(walk))
    }

    /// The check of what walks find, if there is anything to hold it against.
    pub(super) fn settle(&mut self) -> Option<Settle> {
        let objects = self.slot_of(Source::NodeSum("total_objects.counter"))?;
        let places = [
            Walk::FreePartial,
            Walk::CachedCpu,
            Walk::CachedSheaves,
            Walk::CachedBarns,
            Walk::RcuPending,
        ];
        let found: Vec<i16> = places.into_iter().filter_map(|walk| self.slot(walk)).collect();
        let slabinfo: Vec<i16> = self.slot(Walk::FreeSlabinfo).into_iter().collect();
        let mut free = vec![found, slabinfo];
        free.retain(|slots| !slots.is_empty());
        let incomplete = self.incomplete.filter(|_| !free.is_empty())?;
        Some(Settle { objects, free, incomplete, tries: self.scratch.take() })
    }

    /// Appends the sums over nodes.
    pub(super) fn sum(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        let sums = self.sums()?;
        // The walk of the nodes computes them too; here they are for the conditions before it.
        let mut early = self.plan.pushed().map(|(_, pred)| dearest(pred, &self.plan.inputs));
        let walked = self.slot(Walk::FreePartial).or(self.slot(Walk::FreeSlabinfo)).is_some();
        if sums.is_empty() || (walked && !early.any(|price| price == SUM)) {
            return Ok(());
        }
        asm.comment("sums over the nodes");
        if let Some(luggage) = &self.luggage {
            return self.any_nodes(luggage)?.sum(asm, &sums).map_err(Diagnostic::from);
        }
        walk::nodes(self.schema)?.sum(asm, &sums, self.incomplete).map_err(Diagnostic::from)
    }

    /// Appends the walks of the nodes' lists and barns.
    pub(super) fn walk_nodes(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        let Some(incomplete) = self.incomplete else { return Ok(()) };
        let (free, free_slabinfo) = (self.slot(Walk::FreePartial), self.slot(Walk::FreeSlabinfo));
        if free.or(free_slabinfo).is_some() {
            let free = free.unwrap_or_else(|| self.scratch.take());
            let sums = self.sums()?;
            asm.comment("the partial lists of the nodes");
            walk::partial(
                self.schema,
                partial::Own::new(&mut self.scratch),
                free,
                free_slabinfo,
                incomplete,
            )?
            .walk(asm, &sums)?;
        }
        Ok(())
    }

    /// Appends the walks of what CPUs and barns hold ready.
    pub(super) fn walk_cpus(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        let Some(incomplete) = self.incomplete else { return Ok(()) };
        let cpu = self.slot(Walk::CachedCpu);
        let (cached, pending) = (self.slot(Walk::CachedSheaves), self.slot(Walk::RcuPending));
        let barns = self.slot(Walk::CachedBarns);
        if cpu.or(cached).or(pending).or(barns).is_none() {
            return Ok(());
        }
        let own = Own::new(&mut self.scratch);
        if let Some(cached) = barns {
            asm.comment("the barns of the nodes");
            let slab = walk::slab(self.schema)?;
            walk::barns(self.schema, cached)?.walk(asm, slab.peek, own, incomplete)?;
        }
        let cpu_slab = cpu.map(|free| walk::cpu_slab(self.schema, [free; 2])).transpose()?;
        let sheaves = match (cached, pending) {
            (None, None) => None,
            (cached, pending) => {
                let cached = cached.unwrap_or_else(|| self.scratch.take());
                let pending = pending.unwrap_or_else(|| self.scratch.take());
                Some(walk::sheaves(self.schema, [cached; 2], pending)?)
            }
        };
        if cpu_slab.is_some() || sheaves.is_some() {
            asm.comment("what the CPUs hold ready");
            walk::per_cpu(self.schema, own, cpu_slab, sheaves, incomplete, self.table)?.walk(asm);
        }
        Ok(())
    }
}
