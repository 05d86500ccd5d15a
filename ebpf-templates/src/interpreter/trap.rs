//! Why a program was ended.

use std::fmt;

use crate::insn::{Insn, wide_text};

/// What a program did that no kernel would let it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A program of the other kind was given.
    WrongKind,
    /// The program's map value has another size than the interpreter's.
    WrongMap {
        /// The program's size, in bytes.
        wanted: u32,
    },
    /// No instruction that [`crate::insn`] builds.
    UnknownInsn,
    /// Control left the program.
    OutsideProgram,
    /// A register was read that nothing has set, or that a call has lost.
    UnsetRegister(u8),
    /// `R10` was written.
    ReadOnlyRegister,
    /// A byte of stack was read that nothing has written.
    UnsetStack {
        /// The byte's offset from the frame pointer.
        offset: i64,
    },
    /// An access left the stack.
    OutsideStack {
        /// The first byte's offset from the frame pointer.
        offset: i64,
    },
    /// An access left the map's value.
    OutsideMap {
        /// The first byte's offset in the value.
        offset: i64,
    },
    /// A load left the context.
    OutsideContext {
        /// The address.
        addr: u64,
    },
    /// A store to memory that is not the program's own, or a helper's buffer there.
    NotOwnMemory {
        /// The address.
        addr: u64,
    },
    /// A map other than number 0.
    UnknownMap,
    /// A helper or kernel function without a behaviour.
    UnknownCall,
    /// `bpf_seq_write` to something that is not the context's `seq_file`.
    NotSeqFile,
    /// The iterator was used against its rules; the text says how.
    Iterator(&'static str),
    /// The step limit was reached.
    StepLimit,
    /// The program returned something else than 0.
    Returned(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WrongKind => f.write_str("program of the other kind"),
            Self::WrongMap { wanted } => write!(f, "program wants a map value of {wanted} bytes"),
            Self::UnknownInsn => f.write_str("unknown instruction"),
            Self::OutsideProgram => f.write_str("control left the program"),
            Self::UnsetRegister(number) => write!(f, "read of unset register r{number}"),
            Self::ReadOnlyRegister => f.write_str("write of the frame pointer"),
            Self::UnsetStack { offset } => write!(f, "read of unset stack at r10 {offset:+}"),
            Self::OutsideStack { offset } => {
                write!(f, "access outside the stack at r10 {offset:+}")
            }
            Self::OutsideMap { offset } => {
                write!(f, "access outside the map's value at {offset:+}")
            }
            Self::OutsideContext { addr } => write!(f, "access outside the context at {addr:#x}"),
            Self::NotOwnMemory { addr } => write!(f, "{addr:#x} is not the program's own memory"),
            Self::UnknownMap => f.write_str("unknown map"),
            Self::UnknownCall => f.write_str("unknown helper or kernel function"),
            Self::NotSeqFile => f.write_str("not the context's seq_file"),
            Self::Iterator(text) => f.write_str(text),
            Self::StepLimit => f.write_str("step limit reached"),
            Self::Returned(value) => write!(f, "returned {value}"),
        }
    }
}

/// Where and why a program was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The slot of the instruction.
    pub slot: usize,
    /// The instruction's text.
    pub insn: String,
    /// What it did.
    pub reason: Reason,
}

impl Trap {
    pub(super) fn new(insns: &[Insn], slot: usize, reason: Reason) -> Self {
        let insn = match insns.get(slot..) {
            Some([first, second, ..]) if first.is_wide() => wide_text([*first, *second]),
            Some([first, ..]) => first.to_string(),
            _ => "no instruction".to_owned(),
        };
        Self { slot, insn, reason }
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}: {}: {}", self.slot, self.insn, self.reason)
    }
}

impl std::error::Error for Trap {}
