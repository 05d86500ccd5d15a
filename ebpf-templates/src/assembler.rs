//! Builds a [`Program`]: instructions plus labels, comments and a stack frame.
//!
//! Code is written from front to back. A jump names a [`Label`], bound before (a loop) or later; and
//! [`Assembler::finish`] turns labels into offsets. No other module knows slot numbers.
//!
//! # Invariants
//!
//! - A label is bound exactly once. Two bindings, or none for a label that is jumped to, are a bug of slabql and
//!   panic with the label's name.
//! - The frame never exceeds [`MAX_FRAME`] bytes: [`Assembler::reserve`] says no, and the caller can still name
//!   what did not fit.
//!
//! Comments cost nothing in the kernel; `explain` and the golden listings show them.

mod rounds;

use std::borrow::Cow;

use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::{Kind, Program, Text};

pub use rounds::{FRONT, Rounds};

/// The stack of a program, in bytes (`MAX_BPF_STACK`).
pub const STACK: usize = 512;

/// What a program may take of it, in bytes: the kernel takes 16 for itself where there is a `may_goto`.
pub const MAX_FRAME: usize = STACK - 16;

/// A place in the program that jumps can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

struct LabelState {
    name: &'static str,
    slot: Option<usize>,
}

/// The frame is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameFull;

/// A program being written.
pub struct Assembler {
    program: Program,
    labels: Vec<LabelState>,
    fixups: Vec<(usize, Label)>,
    /// Where the address of the callback is taken, and where the callback begins, if there is one.
    callback: Option<(usize, Label)>,
    frame: usize,
    /// The most of it that was ever reserved.
    deepest: usize,
}

impl Assembler {
    /// Starts a program whose map value has `map_bytes` bytes.
    #[must_use]
    pub fn new(kind: Kind, map_bytes: u32) -> Self {
        let program = Program::new(kind, map_bytes);
        Self {
            program,
            labels: Vec::new(),
            fixups: Vec::new(),
            callback: None,
            frame: 0,
            deepest: 0,
        }
    }

    /// Appends one instruction that is no jump.
    pub fn push(&mut self, insn: Insn) {
        debug_assert!(!insn.is_jump() && !insn.is_wide(), "{insn} has a method of its own");
        self.program.push(&[insn], Text::Insn);
    }

    /// Appends a comment, on a line of its own.
    pub fn comment(&mut self, text: impl Into<Cow<'static, str>>) {
        self.program.comment(text.into());
    }

    /// Appends `dst = value` in the shortest form.
    pub fn set(&mut self, dst: Reg, value: u64) {
        match i32::try_from(value.cast_signed()) {
            Ok(imm) => self.push(Insn::mov_imm(dst, imm)),
            Err(_) => self.push_wide(Insn::load_imm64(dst, value)),
        }
    }

    /// Appends `dst = address of byte `offset` of the map's value`.
    pub fn map_value(&mut self, dst: Reg, offset: u32) {
        self.push_wide(Insn::load_map_value(dst, 0, offset));
    }

    /// Appends `dst = address of a byte of the first value of the map of this number`.
    pub fn map_value_of(&mut self, dst: Reg, number: u32, offset: u32) {
        self.push_wide(Insn::load_map_value(dst, number, offset));
    }

    /// Appends `dst = the map of this number`.
    pub fn map(&mut self, dst: Reg, number: u32) {
        self.push_wide(Insn::load_map(dst, number));
    }

    fn push_wide(&mut self, pair: [Insn; 2]) {
        self.program.push(&pair, Text::Insn);
    }

    /// Appends stores of 0 over `bytes` bytes from `base + off` on. Both are multiples of 8.
    pub fn zero(&mut self, base: Reg, off: i16, bytes: u16) {
        debug_assert!(off % 8 == 0 && bytes.is_multiple_of(8), "zeroing {bytes} bytes at {off}");
        let insns: Vec<Insn> = (0..bytes)
            .step_by(8)
            .map(|at| Insn::store_imm(Size::Dw, base, off + at.cast_signed(), 0))
            .collect();
        match insns.as_slice() {
            [] => {}
            [one] => self.push(*one),
            [first, second] => {
                self.push(*first);
                self.push(*second);
            }
            _ => self.program.push(&insns, Text::Zeros),
        }
    }

    /// Appends `*(u64 *)(base + off) |= bits`. `R0` is lost.
    pub fn or_into(&mut self, base: Reg, off: i16, bits: i32) {
        self.push(Insn::load(Size::Dw, Reg::R0, base, off));
        self.push(Insn::alu_imm(Alu::Or, Reg::R0, bits));
        self.push(Insn::store(Size::Dw, base, off, Reg::R0));
    }

    /// Appends `call name`, a helper by its number.
    pub fn call(&mut self, helper: u32, name: &'static str) {
        self.program.push(&[Insn::call(helper.cast_signed())], Text::Helper(name));
    }

    /// Appends `call name`, a kernel function by its BTF id.
    pub fn call_kfunc(&mut self, btf_id: u32, name: &'static str) {
        self.program.push(&[Insn::call_kfunc(btf_id.cast_signed())], Text::Function(name));
    }

    /// Makes a label. Its name is for the listing.
    pub fn label(&mut self, name: &'static str) -> Label {
        self.labels.push(LabelState { name, slot: None });
        Label(self.labels.len() - 1)
    }

    /// Puts `label` before the next instruction.
    pub fn bind(&mut self, label: Label) {
        let slot = self.program.insns.len();
        let state = &mut self.labels[label.0];
        assert!(state.slot.is_none(), "label `{}` bound twice", state.name);
        state.slot = Some(slot);
        self.program.label(state.name);
    }

    fn push_jump(&mut self, insn: Insn, target: Label) {
        self.fixups.push((self.program.insns.len(), target));
        self.program.push(&[insn], Text::Jump(self.labels[target.0].name));
    }

    /// Appends `goto target`.
    pub fn jump(&mut self, target: Label) {
        self.push_jump(Insn::jump(0), target);
    }

    /// Appends `may_goto target`: the kernel's bound on a loop.
    pub fn may_goto(&mut self, target: Label) {
        self.push_jump(Insn::may_goto(0), target);
    }

    /// Appends `if dst cond imm goto target`.
    pub fn jump_imm(&mut self, cond: Cond, dst: Reg, imm: i32, target: Label) {
        self.push_jump(Insn::jump_imm(cond, dst, imm, 0), target);
    }

    /// Appends `if dst cond src goto target`.
    pub fn jump_reg(&mut self, cond: Cond, dst: Reg, src: Reg, target: Label) {
        self.push_jump(Insn::jump_reg(cond, dst, src, 0), target);
    }

    /// Appends `dst += imm`, for any `imm`.
    pub fn add(&mut self, dst: Reg, imm: i32) {
        if imm != 0 {
            self.push(Insn::alu_imm(Alu::Add, dst, imm));
        }
    }

    /// Reserves `bytes` bytes of stack, rounded up to a multiple of 8. Returns the offset of the first byte from
    /// the frame pointer, which is negative.
    pub fn reserve(&mut self, bytes: usize) -> Result<i16, FrameFull> {
        let frame = self.frame + bytes.next_multiple_of(8);
        if frame > MAX_FRAME {
            return Err(FrameFull);
        }
        self.frame = frame;
        self.deepest = self.deepest.max(frame);
        i16::try_from(frame).map(|frame| -frame).map_err(|_| FrameFull)
    }

    /// Zeroes what of the frame was ever reserved behind its first `kept` bytes, so that the verifier sees the same
    /// frame wherever the program came from.
    pub fn wipe_frame(&mut self, kept: usize) {
        let bytes = self.deepest.saturating_sub(kept);
        let (Ok(first), Ok(bytes)) = (i16::try_from(self.deepest), u16::try_from(bytes)) else {
            unreachable!("a frame has at most {MAX_FRAME} bytes");
        };
        self.zero(Reg::R10, -first, bytes);
    }

    /// Gives back the `bytes` bytes that were reserved last.
    pub fn release(&mut self, bytes: usize) {
        self.frame -= bytes.next_multiple_of(8);
    }

    /// Sets the CPU table that the map's value ends in, see [`crate::template::percpu`], and how many counters lie
    /// before it.
    pub fn set_end(&mut self, counters: u16, offsets: &[u64]) {
        self.program.counters = counters;
        self.program.cpu_table = offsets.to_vec();
    }

    /// Removes the instructions that nothing leads to: the verifier refuses a program that has any. Where a part
    /// of a condition is always true, the parts behind it are such.
    pub fn sweep(&mut self) {
        let mut targets = vec![None; self.program.insns.len()];
        for (slot, label) in &self.fixups {
            targets[*slot] = self.labels[label.0].slot;
        }
        let mut reached = vec![false; self.program.insns.len()];
        let begins = self.callback.and_then(|(_, label)| self.labels[label.0].slot);
        let mut open: Vec<usize> = [0].into_iter().chain(begins).collect();
        while let Some(slot) = open.pop() {
            // Behind the last instruction there is none; a label that is not bound is for `finish` to name.
            if reached.get(slot) != Some(&false) {
                continue;
            }
            reached[slot] = true;
            let insn = self.program.insns[slot];
            open.extend(targets[slot]);
            if insn.falls_through() {
                open.push(slot + 1);
            }
            if insn.is_wide() {
                reached[slot + 1] = true;
                open.push(slot + 2);
            }
        }
        if reached.iter().all(|reached| *reached) {
            return;
        }
        // The number of instructions kept before each slot, and before the end.
        let mut kept = vec![0];
        kept.extend(reached.iter().scan(0, |count, reached| {
            *count += usize::from(*reached);
            Some(*count)
        }));
        self.program.keep(&reached, &kept);
        self.fixups.retain(|(slot, _)| reached[*slot]);
        for (slot, _) in self.fixups.iter_mut().chain(&mut self.callback) {
            *slot = kept[*slot];
        }
        for slot in self.labels.iter_mut().filter_map(|label| label.slot.as_mut()) {
            *slot = kept[*slot];
        }
    }

    /// Resolves every label and returns the program, in rounds where the kernel has no other loops.
    #[must_use]
    pub fn finish_for(self, rounds: Option<Rounds>) -> Program {
        match rounds {
            Some(rounds) => self.finish_in_rounds(rounds),
            None => self.finish(),
        }
    }

    /// Resolves every label and returns the program.
    #[must_use]
    pub fn finish(mut self) -> Program {
        for (slot, label) in self.fixups {
            let LabelState { name, slot: target } = &self.labels[label.0];
            let target = target.unwrap_or_else(|| panic!("label `{name}` never bound"));
            let distance = target.cast_signed() - slot.cast_signed() - 1;
            self.program.insns[slot].off = i16::try_from(distance)
                .unwrap_or_else(|_| panic!("label `{name}` is {distance} slots away"));
        }
        if let Some((slot, label)) = self.callback {
            let LabelState { name, slot: target } = &self.labels[label.0];
            let target = target.unwrap_or_else(|| panic!("label `{name}` never bound"));
            let distance = target.cast_signed() - slot.cast_signed() - 1;
            self.program.insns[slot].imm = i32::try_from(distance).unwrap_or(i32::MAX);
            self.program.callback = Some(target);
        }
        self.program
    }
}
