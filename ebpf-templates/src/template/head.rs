//! Finds the head of the kernel's list of caches.
//!
//! | by | needs |
//! |---|---|
//! | its symbol, `slab_caches` | `bpf_kallsyms_lookup_name` (Linux 5.16), symbols of data (`CONFIG_KALLSYMS_ALL`), and the right to see addresses |
//! | a cache, from which the list is followed to the link that is no cache's | `bpf_get_kmem_cache` (6.13) |
//!
//! A `struct kmem_cache` is an object of a slab, so of each link of the list but the head `bpf_get_kmem_cache` knows the
//! slab. The first cache is that of the running task's `struct task_struct`.

use super::peek::Peek;
use super::rows;
use crate::assembler::{Assembler, FrameFull};
use crate::insn::{Cond, Insn, Reg, Size};
use crate::program::{Kind, Program};

/// The symbol, with its NUL.
const SYMBOL: &[u8; 12] = b"slab_caches\0";

/// Where the address lies in the header afterwards; 0 if it was not found.
pub const FOUND: i16 = rows::SCRATCH;
/// What the search for the symbol returned, below 0 an error.
pub const RETURNED: i16 = rows::SCRATCH + 8;

/// The program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the helper `bpf_kallsyms_lookup_name`, if the kernel has it.
    pub lookup_name: Option<u32>,
    /// How it is found without a symbol, if the kernel has what that needs.
    pub caches: Option<Caches>,
}

/// How the head is found by the caches in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caches {
    /// The number of the helper `bpf_get_current_task`.
    pub current_task: u32,
    /// The BTF id of `bpf_get_kmem_cache`.
    pub get_kmem_cache: u32,
    /// How numbers are read.
    pub peek: Peek,
    /// The offset of `list` in `struct kmem_cache`.
    pub list: i16,
}

impl Head {
    /// Builds the program.
    pub fn build(&self) -> Result<Program, FrameFull> {
        let mut asm = Assembler::new(Kind::Syscall, rows::HEADER);
        let done = asm.label("done");
        asm.map_value(Reg::R6, 0);
        asm.zero(Reg::R6, FOUND, 16);
        if let Some(lookup_name) = self.lookup_name {
            asm.comment("the symbol");
            let (name, found) = (asm.reserve(16)?, asm.reserve(8)?);
            let mut text = [0; 16];
            text[..SYMBOL.len()].copy_from_slice(SYMBOL);
            for (at, word) in [name, name + 8].into_iter().zip(text.as_chunks().0) {
                asm.set(Reg::R1, u64::from_le_bytes(*word));
                asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
            }
            asm.zero(Reg::R10, found, 8);
            asm.push(Insn::mov(Reg::R1, Reg::R10));
            asm.add(Reg::R1, name.into());
            asm.set(Reg::R2, SYMBOL.len() as u64);
            asm.push(Insn::mov_imm(Reg::R3, 0));
            asm.push(Insn::mov(Reg::R4, Reg::R10));
            asm.add(Reg::R4, found.into());
            asm.call(lookup_name, "kallsyms_lookup_name");
            asm.push(Insn::store(Size::Dw, Reg::R6, RETURNED, Reg::R0));
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, found));
            asm.push(Insn::store(Size::Dw, Reg::R6, FOUND, Reg::R1));
            asm.jump_imm(Cond::Eq, Reg::R0, 0, done);
        }
        if let Some(caches) = &self.caches {
            caches.search(&mut asm);
        }
        asm.bind(done);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(asm.finish())
    }
}

impl Caches {
    /// Appends the way from a cache to the head.
    fn search(&self, asm: &mut Assembler) {
        let [step, none] = ["step", "none"].map(|name| asm.label(name));
        asm.comment("a cache of the list");
        asm.call(self.current_task, "get_current_task");
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        asm.call_kfunc(self.get_kmem_cache, "bpf_get_kmem_cache");
        asm.jump_imm(Cond::Eq, Reg::R0, 0, none);
        // A pointer comes back from the map as a number.
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::NUMBER, Reg::R0));
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, rows::NUMBER));
        asm.add(Reg::R9, self.list.into());
        asm.comment("on to what is no object of a slab");
        asm.bind(step);
        asm.may_goto(none);
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        self.peek.load(asm, 0);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        asm.call_kfunc(self.get_kmem_cache, "bpf_get_kmem_cache");
        asm.jump_imm(Cond::Ne, Reg::R0, 0, step);
        asm.push(Insn::store(Size::Dw, Reg::R6, FOUND, Reg::R9));
        asm.bind(none);
    }
}
