//! The program `slabql`.
#![forbid(unsafe_code)]

fn main() {}
