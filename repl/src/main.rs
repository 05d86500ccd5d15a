//! The program `slabql`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    slabql::cli::main()
}
