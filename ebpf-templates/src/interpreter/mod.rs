//! Runs generated programs without a kernel: the stand-in for it in hermetic tests.
//!
//! A test describes a [`Kernel`]: its [`Memory`], the caches that the iterator walks, and what the numbers of
//! helpers and kernel functions mean. An [`Interpreter`] adds the map's value and runs a [`Program`] over it. What
//! the kernel's verifier would have to prove beforehand is checked while the program runs, and ends it with a
//! [`Trap`]: a register or a byte of stack is read before it is written, an access leaves the stack or the map's
//! value, kernel memory is written, an iterator is not destroyed.
//!
//! # Layout
//!
//! | address | is | a program may |
//! |---|---|---|
//! | `0xffff_8881_…` | [`Memory`] | load; outside any region it reads 0, as after a fault in the kernel |
//! | `0xffff_c900_…` | the map's value | load and store, within exact bounds |
//! | `0xffff_c901_…` | the stack, 512 bytes below `R10` | load what it stored, store |
//! | `0xffff_c904_…` | values of other maps | load and store |
//! | `0xffff_c902_…` | the context | load, within exact bounds |
//!
//! # Invariants
//!
//! - The map's value keeps its bytes from run to run, the output grows, everything else starts anew.
//! - No host address and no `unsafe`: any program ends in a result, at the latest after the step limit.
//!
//! # Not done here
//!
//! No types: that a pointer is trusted, or a scalar bounded, only the verifier knows. What passes here can still
//! be refused by a kernel. 32-bit arithmetic, atomics, calls between functions of a program but `bpf_loop`'s
//! are unknown instructions, because [`crate::insn`] builds none.

mod calls;
mod compute;
mod memory;
mod run;
mod tables;
mod trap;

use std::collections::BTreeMap;

pub use memory::Memory;
pub use tables::Table;
pub use trap::{Reason, Trap};

use crate::object::MapSpec;
use crate::program::{Kind, Program};
use crate::template::driver::Driver;
use crate::template::list::List;
use crate::template::slab::Slab;
use crate::template::vmemmap::Vmemmap;
use run::Run;

/// What a helper or a kernel function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// `bpf_probe_read_kernel(dst, size, addr)`: copies, or zeroes `dst` and returns `-EFAULT`.
    ProbeReadKernel,
    /// `bpf_probe_read_kernel_str(dst, size, addr)`: copies up to the NUL and returns the length with it, or
    /// zeroes `dst` and returns `-EFAULT`. A text that does not fit is cut, ends in a NUL, and returns `size`.
    ProbeReadKernelStr,
    /// `bpf_loop(rounds, callback, context, 0)`: calls the function of the program, until it returns 1.
    Loop,
    /// `bpf_seq_write(seq, data, len)`: appends to [`Interpreter::output`].
    SeqWrite,
    /// `bpf_rdonly_cast(obj, type)`: returns `obj`.
    RdonlyCast,
    /// `bpf_get_kmem_cache(addr)`: returns the cache of the slab that `addr` lies in, or 0.
    GetCache,
    /// `bpf_strstr(text, wanted)`: returns where it begins, or `-ENOENT`; `-EFAULT` of what cannot be read. The upper
    /// half of the register is what it happens to be.
    Strstr,
    /// `bpf_strlen(text)`: returns its bytes without the NUL, or `-EFAULT`; the upper half likewise.
    Strlen,
    /// `bpf_map_lookup_elem(map, key)`: returns where the value lies, or 0.
    MapLookup,
    /// `bpf_map_update_elem(map, key, value, flags)`
    MapUpdate,
    /// `bpf_map_delete_elem(map, key)`
    MapDelete,
    /// `bpf_ringbuf_output(ring, record, bytes, flags)`
    RingOutput,
    /// `bpf_get_current_comm(text, bytes)`: this text.
    Comm([u8; 16]),
    /// `bpf_get_stack(ctx, frames, bytes, flags)`: these frames and zeros behind them, or `-EFAULT` if the first is 0.
    Stack([u64; 3]),
    /// Takes no argument, and returns this number.
    Returns(u64),
    /// `bpf_iter_kmem_cache_new(state)`
    IterNew,
    /// `bpf_iter_kmem_cache_next(state)`: returns the next of [`Kernel::elements`], at the end 0.
    IterNext,
    /// `bpf_iter_kmem_cache_destroy(state)`
    IterDestroy,
}

/// Where the members of an iterator's context lie.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    meta: i16,
    cache: i16,
    seq: i16,
}

/// The made-up kernel that programs run against.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// What the kernel's pointers point to.
    pub memory: Memory,
    /// The addresses that the iterator yields, in order.
    pub elements: Vec<u64>,
    /// Where slabs lie, and of which caches.
    pub slabs: Vec<(std::ops::Range<u64>, u64)>,
    helpers: BTreeMap<i32, Behaviour>,
    kfuncs: BTreeMap<i32, Behaviour>,
    context: Context,
}

impl Kernel {
    /// Makes a kernel that knows no helper and no kernel function yet.
    #[must_use]
    pub fn new(memory: Memory, elements: Vec<u64>) -> Self {
        Self { memory, elements, ..Self::default() }
    }

    /// Gives the helper with this number a behaviour.
    #[must_use]
    pub fn helper(mut self, number: u32, behaviour: Behaviour) -> Self {
        self.helpers.insert(number.cast_signed(), behaviour);
        self
    }

    /// Gives the kernel function with this BTF id a behaviour.
    #[must_use]
    pub fn kfunc(mut self, btf_id: u32, behaviour: Behaviour) -> Self {
        self.kfuncs.insert(btf_id.cast_signed(), behaviour);
        self
    }

    /// Adds what programs of `driver` need: its helper or kernel functions, and the form of their context.
    #[must_use]
    pub fn driver(mut self, driver: &Driver) -> Self {
        match *driver {
            Driver::Iter { ctx_meta, ctx_cache, meta_seq, seq_write, .. } => {
                self.context = Context { meta: ctx_meta, cache: ctx_cache, seq: meta_seq };
                self.helper(seq_write, Behaviour::SeqWrite)
            }
            Driver::OpenCoded { new, next, destroy } => self
                .kfunc(new, Behaviour::IterNew)
                .kfunc(next, Behaviour::IterNext)
                .kfunc(destroy, Behaviour::IterDestroy),
            Driver::List(List { rounds: Some(rounds), .. }) => {
                self.helper(rounds.bpf_loop, Behaviour::Loop)
            }
            Driver::List(List { peek, .. })
            | Driver::Vmemmap(Vmemmap { slab: Slab { peek, .. }, .. }) => {
                self.kfunc(peek.rdonly_cast, Behaviour::RdonlyCast)
            }
        }
    }
}

/// The kernel's limit on a loop with `may_goto` (`BPF_MAX_LOOPS`).
const MAX_LOOPS: u64 = 8 << 20;

/// Runs programs against a [`Kernel`].
#[derive(Clone, Debug)]
pub struct Interpreter {
    kernel: Kernel,
    map: Vec<u8>,
    tables: Vec<Table>,
    output: Vec<u8>,
    step_limit: u64,
    may_goto_budget: u64,
    meanwhile: Option<(u64, Memory)>,
    steps: u64,
}

impl Interpreter {
    /// Makes an interpreter for programs whose map value has `map_bytes` bytes, zeroed as a new map's.
    #[must_use]
    pub fn new(kernel: Kernel, map_bytes: u32) -> Self {
        Self {
            kernel,
            map: vec![0; map_bytes as usize],
            tables: Vec::new(),
            output: Vec::new(),
            step_limit: 10_000_000,
            may_goto_budget: MAX_LOOPS,
            meanwhile: None,
            steps: 0,
        }
    }

    /// Gives programs these maps, by number.
    #[must_use]
    pub fn maps(mut self, specs: &[MapSpec]) -> Self {
        self.tables = specs.iter().map(|spec| Table::new(*spec)).collect();
        self
    }

    /// The map of a number.
    #[must_use]
    pub fn table(&self, number: u32) -> &Table {
        &self.tables[number as usize]
    }

    /// The same, to put something into.
    pub fn table_mut(&mut self, number: u32) -> &mut Table {
        &mut self.tables[number as usize]
    }

    /// Ends a program that runs for more than `steps` instructions, in one call, with a trap.
    #[must_use]
    pub fn step_limit(mut self, steps: u64) -> Self {
        self.step_limit = steps;
        self
    }

    /// Lets `may_goto` fall through `times` times in one call, then jump.
    #[must_use]
    pub fn may_goto_budget(mut self, times: u64) -> Self {
        self.may_goto_budget = times;
        self
    }

    /// Makes another memory the kernel's after so many instructions of a call: somebody writes while the program runs.
    #[must_use]
    pub fn meanwhile(mut self, steps: u64, memory: Memory) -> Self {
        self.meanwhile = Some((steps, memory));
        self
    }

    /// How many instructions the last call executed.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The kernel that programs run against.
    pub fn kernel_mut(&mut self) -> &mut Kernel {
        &mut self.kernel
    }

    /// The map's value.
    #[must_use]
    pub fn map(&self) -> &[u8] {
        &self.map
    }

    /// The map's value, for a test to fill. The header's `ZERO` stays 0: programs count on it.
    pub fn map_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// What `bpf_seq_write` wrote.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Empties the output and returns it.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Runs a `syscall` program once, with an empty context.
    pub fn run_syscall(&mut self, program: &Program) -> Result<(), Trap> {
        self.check(program, program.kind == Kind::Syscall)?;
        let context = run::empty_context();
        self.call(program, context)
    }

    /// Runs a `raw_tp` program once, with the arguments of its tracepoint.
    pub fn run_tracepoint(&mut self, program: &Program, arguments: &[u64]) -> Result<(), Trap> {
        self.check(program, program.kind == Kind::RawTracepoint)?;
        self.call(program, run::arguments(arguments))
    }

    /// Runs an `iter/kmem_cache` program for each element, and once more with none.
    pub fn run_iter(&mut self, program: &Program) -> Result<(), Trap> {
        self.check(program, matches!(program.kind, Kind::Iter { .. }))?;
        let elements = self.kernel.elements.clone();
        for element in elements.into_iter().chain([0]) {
            let context = run::iter_context(self.kernel.context, element);
            self.call(program, context)?;
        }
        Ok(())
    }

    fn check(&self, program: &Program, kind: bool) -> Result<(), Trap> {
        let reason = if !kind {
            Reason::WrongKind
        } else if program.map_bytes as usize != self.map.len() {
            Reason::WrongMap { wanted: program.map_bytes }
        } else {
            return Ok(());
        };
        Err(Trap::new(&program.insns, 0, reason))
    }

    fn call(&mut self, program: &Program, context: Memory) -> Result<(), Trap> {
        let mut run = Run {
            insns: &program.insns,
            kernel: &self.kernel,
            memory: &self.kernel.memory,
            meanwhile: self.meanwhile.as_ref(),
            steps: 0,
            map: &mut self.map,
            tables: &mut self.tables,
            output: &mut self.output,
            context,
            registers: run::registers_at_entry(),
            stack: [None; crate::assembler::STACK],
            iterator: None,
            pc: 0,
            may_goto_left: self.may_goto_budget,
            steps_left: self.step_limit,
        };
        let done = run.execute();
        self.steps = run.steps;
        done.map_err(|reason| Trap::new(run.insns, run.pc, reason))
    }
}
