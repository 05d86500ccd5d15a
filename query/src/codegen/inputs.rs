//! Loads the integers that are inputs of a query: slots of sums and walks, members of paths, and members of the cache.

use ebpf_templates::assembler::Assembler;
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};

use super::needs::{member, offset};
use super::{Generator, path};
use crate::catalog::{Source, Walk};
use crate::diagnostic::Diagnostic;
use crate::plan::{Target, Template};
use crate::schema::MemberKind;

impl Generator<'_> {
    /// Appends the loading of an integer input into `dst`, with the sign of its column.
    pub(super) fn load_input(
        &self,
        asm: &mut Assembler,
        dst: Reg,
        input: usize,
    ) -> Result<(), Diagnostic> {
        if let Some((_, slot)) = self.slots.iter().find(|(found, _)| *found == input) {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, *slot));
            return Ok(());
        }
        if let Some(path) = self.plan.inputs[input].path() {
            path::direct(asm, dst, path);
            return Ok(());
        }
        let source = self.plan.inputs[input].source();
        let path = match source {
            Some(Source::Walk(Walk::Complete)) => {
                self.complete(asm, dst);
                return Ok(());
            }
            Some(Source::Address) => {
                self.number(asm, dst, Reg::R7);
                return Ok(());
            }
            Some(Source::Refcount) => "refcount",
            Some(Source::Member(path)) => path,
            _ => unreachable!("`{}` is no integer of the kernel", self.plan.inputs[input].name()),
        };
        let found = member(self.schema, "kmem_cache", path)?;
        let size = Size::of(found.size).unwrap_or(Size::Dw);
        asm.push(Insn::load(size, dst, Reg::R7, offset(self.schema, "kmem_cache", path)?));
        if found.kind == MemberKind::Pointer {
            self.number(asm, dst, dst);
        }
        if found.signed && size != Size::Dw {
            let unused = 64 - 8 * i32::from(size.bytes());
            asm.push(Insn::alu_imm(Alu::Lsh, dst, unused));
            asm.push(Insn::alu_imm(Alu::Arsh, dst, unused));
        }
        if source == Some(Source::Refcount) && self.iterates() {
            // The iterator holds a reference of its own, but for boot caches, whose count is negative.
            let kept = asm.label("boot_cache");
            asm.jump_imm(Cond::SLe, dst, 0, kept);
            asm.add(dst, -1);
            asm.bind(kept);
        }
        Ok(())
    }

    /// Whether the kernel's iterator holds the cache.
    fn iterates(&self) -> bool {
        !self.by_pages
            && !matches!(self.plan.target, Target::Kernel { template: Template::List, .. })
    }

    /// Appends `dst = whether no walk was given up`.
    fn complete(&self, asm: &mut Assembler, dst: Reg) {
        let known = asm.label("known");
        let Some(incomplete) = self.incomplete else {
            asm.set(dst, 1);
            return;
        };
        asm.push(Insn::load(Size::Dw, Reg::R0, Reg::R6, incomplete));
        asm.set(dst, 1);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, known);
        asm.set(dst, 0);
        asm.bind(known);
    }
}
