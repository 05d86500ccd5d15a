//! Runs programs against a made-up kernel: first the interpreter itself, then the templates.

mod arithmetic;
mod audit;
mod caches;
mod calls;
mod contention;
mod events;
mod literals;
mod lookup;
mod templates;
mod traps;

use slabql_ebpf_templates::interpreter::{Interpreter, Kernel, Reason, Trap};
use slabql_ebpf_templates::{Assembler, Insn, Kind, Program, Reg};

/// A `syscall` program over a map value of 64 bytes; it returns 0.
fn syscall(body: impl FnOnce(&mut Assembler)) -> Program {
    let mut asm = Assembler::new(Kind::Syscall, 64);
    body(&mut asm);
    asm.set(Reg::R0, 0);
    asm.push(Insn::exit());
    asm.finish()
}

/// Runs a program and returns the map's value.
fn run(kernel: &Kernel, program: &Program) -> Result<Vec<u8>, Trap> {
    let mut interpreter = Interpreter::new(kernel.clone(), program.map_bytes).step_limit(10_000);
    interpreter.run_syscall(program)?;
    Ok(interpreter.map().to_vec())
}

/// Why a program over an empty kernel traps.
fn reason(body: impl FnOnce(&mut Assembler)) -> Reason {
    run(&Kernel::default(), &syscall(body)).unwrap_err().reason
}

/// The eight bytes at `offset`.
fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}
