//! The parts of the program `slabql` that tests and benchmarks use on their own.
#![deny(unsafe_code)]

pub mod render;
