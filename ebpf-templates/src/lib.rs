//! BPF programs over the kernel's slab caches, built without a compiler.
//!
//! A *template* is a program skeleton with hooks: it knows how the kernel's `kmem_cache` iterator is driven,
//! where a row is built and how it leaves the kernel. The caller implements the hooks: the filter, the columns, the
//! row's layout, the parameters. What comes out is a [`Program`]: instructions, the map they use, and a listing
//! that says in words what each part is for.
//!
//! Reading order: [`insn`] (one instruction), [`assembler`] (labels and comments), [`program`] (the result),
//! [`template`] (the skeletons), [`object`] (programs and their maps as an ELF object), `interpreter` (behind the feature of that name: runs a program without a kernel,
//! for tests).
//!
//! # Not done here
//!
//! This crate knows no SQL, no running kernel and does no I/O. Member offsets, type and function ids are numbers
//! that the caller looked up.
#![forbid(unsafe_code)]

// Here, because every build begins with this crate.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!(
    "slabql reads the kernel of 64-bit x86 Linux: where objects, slabs and per-CPU memory lie was proved on no other \
     architecture"
);

pub mod assembler;
pub mod insn;
#[cfg(feature = "interpreter")]
pub mod interpreter;
pub mod object;
pub mod program;
pub mod template;

pub use assembler::{Assembler, Label};
pub use insn::{Alu, Cond, Insn, Reg, Size};
pub use program::{Kind, Program};
