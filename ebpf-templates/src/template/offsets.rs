//! Finds the distance from a per-CPU pointer to each CPU's copy, without any symbol of the kernel.
//!
//! A per-CPU array map hands out the address of its element on a given CPU, and the map itself holds the per-CPU
//! pointer that this address was made of. Their difference is the CPU's offset, the same for every per-CPU pointer:
//!
//! ```text
//!   bpf_map_lookup_percpu_elem(map, 0, cpu) − map.pptrs[0] = offset of the CPU
//! ```
//!
//! The offsets go behind the header of the program's own map, eight bytes a CPU. The per-CPU map is map number 1.

use super::rows;
use crate::assembler::{Assembler, FrameFull, Rounds};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::{Kind, Program};

/// The number of the per-CPU array map in the program.
pub const PERCPU_MAP: u32 = 1;

/// What the program asks of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// Possible CPUs: the highest number and 1.
    pub cpus: u32,
    /// The BTF id of `struct bpf_array`.
    pub array_type: u32,
    /// The offset of `pptrs` in it.
    pub pptrs: i32,
    /// The BTF id of `bpf_rdonly_cast`.
    pub rdonly_cast: u32,
    /// What the program calls in rounds, where the kernel has no other loops.
    pub rounds: Option<Rounds>,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub probe_read_kernel: u32,
    /// The number of the helper `bpf_map_lookup_percpu_elem`.
    pub lookup: u32,
}

impl Offsets {
    /// Builds the program.
    pub fn build(&self) -> Result<Program, FrameFull> {
        let cpus = i32::try_from(self.cpus).unwrap_or(i32::MAX);
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER + 8 * self.cpus);
        let (raw, key) = (asm.reserve(8)?, asm.reserve(8)?);
        let [cpu, done] = ["cpu", "done"].map(|name| asm.label(name));
        asm.comment("the per-CPU pointer that the map holds");
        asm.map_value(Reg::R6, 0);
        asm.zero(Reg::R10, key, 8);
        asm.map(Reg::R1, PERCPU_MAP);
        asm.set(Reg::R2, u64::from(self.array_type));
        asm.call_kfunc(self.rdonly_cast, "bpf_rdonly_cast");
        // A pointer comes back from the map as a number.
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::SELF, Reg::R0));
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, rows::SELF));
        asm.add(Reg::R3, self.pptrs);
        asm.push(Insn::mov_imm(Reg::R2, 8));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, raw.into());
        asm.call(self.probe_read_kernel, "probe_read_kernel");
        asm.comment("its address on each CPU");
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, rows::ZERO));
        asm.bind(cpu);
        asm.may_goto(done);
        asm.jump_imm(Cond::Ge, Reg::R8, cpus, done);
        asm.map(Reg::R1, PERCPU_MAP);
        asm.push(Insn::mov(Reg::R2, Reg::R10));
        asm.add(Reg::R2, key.into());
        asm.push(Insn::mov(Reg::R3, Reg::R8));
        asm.call(self.lookup, "map_lookup_percpu_elem");
        asm.jump_imm(Cond::Eq, Reg::R0, 0, done);
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::SELF, Reg::R0));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::SELF));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, raw));
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        asm.push(Insn::mov(Reg::R2, Reg::R8));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 3));
        asm.map_value(Reg::R3, rows::HEADER);
        asm.push(Insn::alu(Alu::Add, Reg::R3, Reg::R2));
        asm.push(Insn::store(Size::Dw, Reg::R3, 0, Reg::R1));
        asm.add(Reg::R8, 1);
        // How many there are, for the reader to see that none is missing.
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::ROWS, Reg::R8));
        asm.jump(cpu);
        asm.bind(done);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(asm.finish_for(self.rounds))
    }
}
