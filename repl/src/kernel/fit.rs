//! Fits a portable object to a kernel's types, as loaders do: by aya's code, which knows nothing of how it was made.

use aya_obj::btf::Btf;
use aya_obj::{Object, generated::bpf_insn};
use ebpf_templates::Insn;

/// What a loader puts in the place of an instruction whose number the kernel does not have: a call of no function.
pub const POISON: Insn = Insn { opcode: 0x85, dst: 0, src: 0, off: 0, imm: 0x0bad_2310 };

/// The instructions of an object's one program, fitted to `types`. The error is in words.
pub fn fitted(object: &[u8], types: &[u8]) -> Result<Vec<Insn>, String> {
    let mut object = Object::parse(object).map_err(|error| error.to_string())?;
    let types = Btf::parse(types, object.endianness).map_err(|error| error.to_string())?;
    object.relocate_btf(&types).map_err(|error| format!("{error}: {error:?}"))?;
    let function = object.functions.into_values().next().ok_or("there is no program")?;
    Ok(function.instructions.into_iter().map(insn).collect())
}

fn insn(insn: bpf_insn) -> Insn {
    let (dst, src) = (insn.dst_reg(), insn.src_reg());
    Insn { opcode: insn.code, dst, src, off: insn.off, imm: insn.imm }
}
