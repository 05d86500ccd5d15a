//! Evaluates the conditions of a price, and counts what they let pass.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::template::driver;

use super::{Generator, pred};
use crate::diagnostic::Diagnostic;
use crate::plan::dearest;
use crate::plan::kernel::Pred;

impl Generator<'_> {
    /// Appends the conditions of a price.
    pub(super) fn conditions(
        &self,
        asm: &mut Assembler,
        price: u8,
        skip: Label,
    ) -> Result<(), Diagnostic> {
        for (number, (condition, pred)) in self.plan.pushed().enumerate() {
            if dearest(pred, &self.plan.inputs) == price {
                self.count(asm, 2 * number, "counted: asked");
                self.condition(asm, &condition.text, pred, skip)?;
                self.count(asm, 2 * number + 1, "counted: holds");
            }
        }
        Ok(())
    }

    /// Appends the counting of counter number `counter`, where there are any: see
    /// [`Layout::counters`](crate::layout::Layout::counters).
    #[expect(clippy::cast_possible_truncation, reason = "it is less than the u16 of counters")]
    pub(super) fn count(&self, asm: &mut Assembler, counter: usize, what: &'static str) {
        if counter < usize::from(self.layout.counters) {
            asm.comment(what);
            driver::count(asm, self.counters + 8 * counter as u32);
        }
    }

    /// Appends code that goes to `skip` unless the condition is true.
    fn condition(
        &self,
        asm: &mut Assembler,
        text: &str,
        pred: &Pred,
        skip: Label,
    ) -> Result<(), Diagnostic> {
        asm.comment(format!("where {text}"));
        let holds = asm.label("holds");
        self.pred(asm, pred, pred::Exits { yes: holds, no: skip, null: skip, next: holds })?;
        asm.bind(holds);
        Ok(())
    }
}
