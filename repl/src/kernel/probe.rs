//! Asks the kernel what it takes, by loading the smallest program that uses it. The program never runs.
//!
//! What has a name in the kernel's types needs no asking: [`schema`](super::schema) finds it there.

use std::io;

use ebpf_templates::{Insn, Kind, Reg};

use super::sys;
use crate::report::error::Environment;

/// Whether the kernel takes a sleepable `syscall` program at all; the error says why not.
pub fn program() -> Result<bool, Environment> {
    takes(&[Insn::mov_imm(Reg::R0, 0), Insn::exit()])
}

/// Whether the kernel has `may_goto`, which bounds loops; since Linux 6.9.
pub fn may_goto() -> Result<bool, Environment> {
    // Linux before 6.14 takes none that leads to the next instruction.
    let zero = Insn::mov_imm(Reg::R0, 0);
    takes(&[zero, Insn::may_goto(1), zero, Insn::exit()])
}

/// Whether the kernel takes these instructions. The error says why that cannot be told.
fn takes(insns: &[Insn]) -> Result<bool, Environment> {
    let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes()).collect();
    match sys::prog_load(&bytes, Kind::Syscall, None, None) {
        Ok(_) => Ok(true),
        Err(error) => refused(&error),
    }
}

/// What it means that a load failed: EINVAL is the verifier's word for an instruction that it does not know.
fn refused(error: &io::Error) -> Result<bool, Environment> {
    match Environment::of_bpf(error) {
        Some(environment) => Err(environment),
        None if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        None => Err(Environment::failed("cannot load a program", error)),
    }
}
