//! The program `slabql`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use slabql::kernel::sys::Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    slabql::cli::main()
}
