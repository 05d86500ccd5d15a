//! The parts of the program `slabql`: how the kernel is reached.
//!
//! [`kernel`] finds out what the running kernel looks like, loads a program and brings its rows back.
//!
//! # Invariants
//!
//! `kernel::sys` is the only module with `unsafe` code.
#![deny(unsafe_code)]

pub mod kernel;
