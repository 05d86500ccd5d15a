//! Reserves places: in the frame for what waits, in the map's header for sums and walked figures.

use ebpf_templates::assembler::{Assembler, FrameFull};
use ebpf_templates::template::text::buffer_bytes;

use super::portable::Luggage;
use super::{Generator, pages, read, slabs};
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::export::Printed;
use crate::plan::group::InKernel;
use crate::plan::{AFTER_ALL, SUM, cost};

/// The frame is full. The planner bounds what a query puts there, so that no query that was ever seen comes here.
impl From<FrameFull> for Diagnostic {
    fn from(_: FrameFull) -> Self {
        Self::new(Span::default(), "the query needs more stack than a BPF program has")
            .help("split the condition, or run it in user space with `--no-pushdown`")
    }
}

impl Generator<'_> {
    /// Gives every part of the frame its place.
    pub(super) fn reserve(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        let mut depth = 0;
        let mut longest = None;
        for operand in self.plan.group_in_kernel().into_iter().flat_map(InKernel::operands) {
            depth = depth.max(operand.depth());
            operand.texts(&mut |_, bytes| longest = longest.max(Some(bytes)));
        }
        for (_, pred) in self.plan.pushed() {
            depth = depth.max(pred.depth());
            pred.texts(&mut |_, bytes| longest = longest.max(Some(bytes)));
        }
        for cell in self.luggage.iter().flat_map(Luggage::cells) {
            depth = depth.max(cell.value.depth());
            if let Printed::Truth(pred) = &cell.value {
                pred.texts(&mut |_, bytes| longest = longest.max(Some(bytes)));
            }
        }
        for input in read(self.plan) {
            if let Some(path) = self.plan.inputs[input].path() {
                if !path.is_direct() && self.read.is_none() {
                    self.read = Some(asm.reserve(8)?);
                }
                continue;
            }
            let price = cost(&self.plan.inputs[input]);
            let source = self.plan.inputs[input].source();
            let kept = if self.by_pages { pages::kept(source) } else { slabs::kept(source) };
            if let Some(slot) = kept {
                self.slots.push((input, slot));
            } else if (SUM..AFTER_ALL).contains(&price) {
                self.slots.push((input, self.scratch.take()));
            }
            if price > SUM && self.incomplete.is_none() {
                self.incomplete = Some(self.scratch.take());
            }
        }
        for _ in 0..depth {
            self.temporaries.push(asm.reserve(8)?);
        }
        if let Some(longest) = longest {
            let bytes = buffer_bytes(longest);
            self.text_buffer = Some((asm.reserve(bytes.into())?, bytes));
        }
        self.reserve_keys(asm)
    }
}
