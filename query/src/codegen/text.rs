//! Texts: where they lie, and how far they go.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Insn, Reg, Size};
use ebpf_templates::template::rows;
use ebpf_templates::template::text::Text;

use super::Generator;
use super::needs::{helper, offset};
use crate::catalog::Source;
use crate::diagnostic::Diagnostic;
use crate::input::Input;
use crate::path::Stored;

impl Generator<'_> {
    /// The text that an input is.
    pub(super) fn text(&self, input: usize) -> Result<Text, Diagnostic> {
        let bytes = match self.plan.inputs[input].path().map(|path| &path.value) {
            Some(Stored::Text { size: Some(size) }) => rows::TEXT_BYTES.min(*size),
            _ => rows::TEXT_BYTES,
        };
        Ok(Text { bytes, read_str: helper(self.schema, "probe_read_kernel_str")? })
    }

    /// Appends `R3 = the address of the text of an input`; goes to `null` where there is none.
    pub(super) fn text_address(
        &self,
        asm: &mut Assembler,
        input: usize,
        null: Label,
    ) -> Result<(), Diagnostic> {
        let path = match &self.plan.inputs[input] {
            Input::Path(path) => return self.address(asm, path, null),
            Input::Delta(_) | Input::Call(_) => {
                unreachable!("user space fills what changed or is looked up")
            }
            Input::Column(column) => match column.source {
                Source::Text(path) => path,
                _ => unreachable!("`{}` is no text of the kernel", column.name),
            },
        };
        let pointer = offset(self.schema, "kmem_cache", path)?;
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R7, pointer));
        Ok(())
    }
}
