//! Rewrites a program for kernels that have neither `may_goto` (Linux 6.9) nor `bpf_rdonly_cast` (6.2): loops become
//! rounds of `bpf_loop` (5.17), and each load of kernel memory a call of `bpf_probe_read_kernel`.
//!
//! ```text
//!   main       bpf_loop(callback)
//!   callback   pc = 0 ──► the program from its beginning ── way back to L ──► registers saved, pc = L, next round
//!              pc = L ──► registers restored, on at L ──── exit ────────────► pc = done, no more rounds
//! ```
//!
//! So the callback has no loops of its own, and the verifier follows it once from each place where it can begin. What
//! a template knows of nothing changes:
//!
//! | in a template | becomes |
//! |---|---|
//! | a jump back | the end of a round; the registers that are read behind it wait in the map |
//! | `may_goto` at the beginning of a loop | in the last of the rounds that the kernel allows, a jump |
//! | any other `may_goto` | nothing |
//! | `r0 = bpf_rdonly_cast(r1, …)` | `r0 = r1` |
//! | a load through `r0` or `r7` | `bpf_probe_read_kernel`; registers that are read behind it wait on the stack |
//! | the frame | a place in the map, before the header: it outlives a round |
//! | a signed division (6.6) | an unsigned one, and the sign |
//! | `bswap` (6.6) | the older instruction for the same |
//!
//! # Invariants
//!
//! - Templates read kernel memory through `R0` and `R7` and nothing else through these.
//! - What waits from round to round is a number: no pointer to the map is read behind a way back.

mod live;

use std::collections::BTreeMap;

use super::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, PSEUDO_MAP_VALUE, Reg, Size};
use crate::program::{Line, Program, Text};
use live::{Old, Registers, bit};

/// Bytes of the map's value before the header.
pub const FRONT: u32 = 640;

/// Where the next round goes on: 0 at the beginning, [`DONE`] at the end. This and what follows are offsets from the
/// header; the frame takes the 512 bytes right before it.
const PC: i16 = -520;
/// In [`PC`]: there is nothing left to do.
const DONE: i32 = -1;

/// The rounds that a loop may have (`BPF_MAX_LOOPS`).
const ROUNDS: i32 = 8 << 20;
/// The rounds after which loops end: those that are left are enough to leave each of them.
const LAST: i32 = ROUNDS - 4096;

/// Where `bpf_probe_read_kernel` puts what it reads, on the stack; behind the places of the registers.
const READ: i16 = -56;
/// Where a division keeps the sign and the divisor.
const SIGN: i16 = -64;
const DIVISOR: i16 = -72;

/// What the rewritten program calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// The number of the helper `bpf_loop`.
    pub bpf_loop: u32,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub probe_read_kernel: u32,
    /// Where flags are, from the header, and the one which says that the program was ended before it was through.
    pub cut: (i16, i32),
}

/// The registers of a set, but `R6`, which is always the header, and `R10`.
fn listed(set: Registers) -> impl Iterator<Item = Reg> {
    let own = |register: &Reg| !matches!(register, Reg::R6 | Reg::R10);
    Reg::ALL.into_iter().filter(own).filter(move |register| set & bit(*register as u8) != 0)
}

/// Where a register waits from round to round.
fn waiting(register: Reg) -> i16 {
    PC - 8 * (1 + register as i16)
}

/// Where a register waits while a helper runs, on the stack.
fn spilled(register: Reg) -> i16 {
    -8 * (1 + register as i16)
}

impl Assembler {
    /// Resolves every label and returns the program, rewritten.
    #[must_use]
    pub fn finish_in_rounds(self, rounds: Rounds) -> Program {
        let old = Old::new(self);
        let kind = old.program.kind;
        let mut new = Self::new(kind, old.program.map_bytes + FRONT);
        new.program.cpu_table.clone_from(&old.program.cpu_table);
        new.program.counters = old.program.counters;
        new.program.front = FRONT;
        Rewriter::new(old, rounds, &mut new).rewrite();
        new.sweep();
        new.finish()
    }

    /// Appends `dst = the function that begins at the label`, which becomes the program's callback.
    fn callback(&mut self, dst: Reg, label: Label) {
        self.callback = Some((self.program.insns.len(), label));
        self.push_wide(Insn::load_function(dst));
    }
}

struct Rewriter<'a> {
    old: Old,
    rounds: Rounds,
    new: &'a mut Assembler,
    /// The new labels, by the numbers of the old ones.
    labels: Vec<Label>,
    /// Where rounds end, by the slot that the next one begins at.
    ends: BTreeMap<usize, Label>,
}

impl<'a> Rewriter<'a> {
    fn new(old: Old, rounds: Rounds, new: &'a mut Assembler) -> Self {
        let labels = old.labels.iter().map(|(name, _)| new.label(name)).collect();
        let ends = old.loops().into_iter().map(|slot| (slot, new.label("next_round"))).collect();
        Self { old, rounds, new, labels, ends }
    }

    fn rewrite(mut self) {
        let callback = self.new.label("callback");
        self.main(callback);
        self.new.bind(callback);
        self.new.comment("a round: on where the last one ended");
        self.new.map_value(Reg::R6, FRONT);
        self.new.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, PC));
        let (late, begin) = (self.new.label("last_rounds"), self.new.label("begin"));
        self.new.jump_imm(Cond::Gt, Reg::R1, LAST, late);
        self.dispatch(false);
        self.new.jump(begin);
        self.new.bind(late);
        self.dispatch(true);
        self.new.bind(begin);
        let mut at = BTreeMap::<usize, Vec<usize>>::new();
        for (number, (_, slot)) in self.old.labels.iter().enumerate() {
            if let Some(slot) = slot {
                at.entry(*slot).or_default().push(number);
            }
        }
        for line in self.old.program.lines().to_vec() {
            match line {
                Line::Comment(text) => self.new.comment(text),
                Line::Label(_) => {}
                Line::Insn { slot, slots, text } => {
                    let insns = self.old.program.insns[slot..slot + slots].to_vec();
                    for label in at.remove(&slot).into_iter().flatten() {
                        self.new.bind(self.labels[label]);
                    }
                    self.line(slot, text, &insns);
                }
            }
        }
        self.ends();
    }

    /// Appends the program around the rounds.
    fn main(&mut self, callback: Label) {
        let asm = &mut *self.new;
        let done = asm.label("done");
        asm.comment("the program below in rounds");
        asm.map_value(Reg::R6, FRONT);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, PC, 0));
        asm.push(Insn::mov_imm(Reg::R1, ROUNDS));
        asm.callback(Reg::R2, callback);
        asm.push(Insn::mov_imm(Reg::R3, 0));
        asm.push(Insn::mov_imm(Reg::R4, 0));
        asm.call(self.rounds.bpf_loop, "loop");
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, PC));
        asm.jump_imm(Cond::Eq, Reg::R1, DONE, done);
        let (flags, cut) = self.rounds.cut;
        asm.or_into(Reg::R6, flags, cut);
        asm.bind(done);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
    }

    /// Appends the ways to where rounds begin, by the number in `R2`; in the last rounds to where loops end.
    fn dispatch(&mut self, last: bool) {
        for (number, slot) in self.old.loops().into_iter().enumerate() {
            let is_bound = last && self.old.program.insns[slot].opcode == 0xe5;
            let to = if is_bound { self.old.targets[&slot] } else { slot };
            let other = self.new.label("other");
            self.new.jump_imm(Cond::Ne, Reg::R2, place(number), other);
            for register in listed(self.old.live[to]) {
                self.new.push(Insn::load(Size::Dw, register, Reg::R6, waiting(register)));
            }
            let label = self.labels[self.label_at(to)];
            self.new.jump(label);
            self.new.bind(other);
        }
    }

    /// Appends the ends of rounds.
    fn ends(&mut self) {
        let ends = std::mem::take(&mut self.ends);
        for (number, (slot, label)) in ends.into_iter().enumerate() {
            self.new.bind(label);
            for register in listed(self.old.live[slot]) {
                self.new.push(Insn::store(Size::Dw, Reg::R6, waiting(register), register));
            }
            self.new.push(Insn::store_imm(Size::Dw, Reg::R6, PC, place(number)));
            self.new.push(Insn::mov_imm(Reg::R0, 0));
            self.new.push(Insn::exit());
        }
    }

    /// A label before a slot that something jumps to.
    fn label_at(&self, slot: usize) -> usize {
        let found = self.old.labels.iter().position(|(_, at)| *at == Some(slot));
        found.expect("a jump leads to a label")
    }

    /// Appends what a line of the program becomes.
    fn line(&mut self, slot: usize, text: Text, insns: &[Insn]) {
        match (insns, text) {
            ([low, high], _) if low.is_wide() => {
                let mut pair = [*low, *high];
                if low.src == PSEUDO_MAP_VALUE && low.imm == 0 {
                    pair[1].imm += FRONT.cast_signed();
                }
                self.new.push_wide(pair);
            }
            ([insn], Text::Function("bpf_rdonly_cast")) => {
                debug_assert_eq!(insn.opcode, 0x85);
                self.new.push(Insn::mov(Reg::R0, Reg::R1));
            }
            ([insn], Text::Helper(_) | Text::Function(_)) => self.new.program.push(&[*insn], text),
            ([insn], _) if insn.opcode == 0xe5 => {}
            ([insn], _) if insn.is_jump() => self.jump(slot, *insn),
            (insns, Text::Zeros) => {
                let moved: Vec<Insn> = insns.iter().map(|insn| in_map(*insn)).collect();
                self.new.program.push(&moved, text);
            }
            (insns, _) => {
                for insn in insns {
                    self.insn(slot, *insn);
                }
            }
        }
    }

    fn jump(&mut self, slot: usize, insn: Insn) {
        let target = self.old.targets[&slot];
        let label = match self.ends.get(&target) {
            Some(end) if target <= slot => *end,
            _ => self.labels[self.label_at(target)],
        };
        self.new.push_jump(insn, label);
    }

    fn insn(&mut self, slot: usize, insn: Insn) {
        match insn.opcode {
            0x95 => {
                self.new.push(Insn::store_imm(Size::Dw, Reg::R6, PC, DONE));
                self.new.push(Insn::mov_imm(Reg::R0, 1));
                self.new.push(Insn::exit());
            }
            // Of a load the source, R0 or R7, is an address of the kernel.
            opcode if opcode & 0x07 == 0x01 && matches!(insn.src, 0 | 7) => self.read(slot, insn),
            0xd7 => self.new.push(Insn { opcode: 0xdc, ..insn }),
            0x3f | 0x9f if insn.off == 1 => self.divide(insn),
            _ => self.new.push(in_map(insn)),
        }
    }

    /// Appends a load of kernel memory.
    fn read(&mut self, slot: usize, insn: Insn) {
        let asm = &mut *self.new;
        // A helper loses these.
        let kept = self.old.after(slot) & !bit(insn.dst) & 0x3f;
        for register in listed(kept) {
            asm.push(Insn::store(Size::Dw, Reg::R10, spilled(register), register));
        }
        let bytes = match insn.opcode & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        };
        let base = Reg::ALL[usize::from(insn.src)];
        asm.push(Insn::mov(Reg::R3, base));
        asm.add(Reg::R3, insn.off.into());
        asm.push(Insn::mov_imm(Reg::R2, bytes));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, READ.into());
        asm.call(self.rounds.probe_read_kernel, "probe_read_kernel");
        asm.push(Insn { src: Reg::R10 as u8, off: READ, ..insn });
        for register in listed(kept) {
            asm.push(Insn::load(Size::Dw, register, Reg::R10, spilled(register)));
        }
    }

    /// Appends a signed division or remainder by an unsigned one.
    fn divide(&mut self, insn: Insn) {
        let asm = &mut *self.new;
        let [dst, src] = [insn.dst, insn.src].map(|register| Reg::ALL[usize::from(register)]);
        let [dividend, divisor, positive] =
            ["dividend", "divisor", "positive"].map(|name| asm.label(name));
        asm.push(Insn::store(Size::Dw, Reg::R10, DIVISOR, src));
        asm.push(Insn::store(Size::Dw, Reg::R10, SIGN, dst));
        if insn.opcode == 0x3f {
            // The sign of a quotient is that of both; of a remainder, that of the dividend.
            asm.push(Insn::alu(Alu::Xor, dst, src));
            asm.push(Insn::store(Size::Dw, Reg::R10, READ, dst));
            asm.push(Insn::load(Size::Dw, dst, Reg::R10, SIGN));
            asm.push(Insn::load(Size::Dw, src, Reg::R10, READ));
            asm.push(Insn::store(Size::Dw, Reg::R10, SIGN, src));
            asm.push(Insn::load(Size::Dw, src, Reg::R10, DIVISOR));
        }
        asm.jump_imm(Cond::SGe, dst, 0, dividend);
        asm.push(Insn::neg(dst));
        asm.bind(dividend);
        asm.jump_imm(Cond::SGe, src, 0, divisor);
        asm.push(Insn::neg(src));
        asm.bind(divisor);
        let op = if insn.opcode == 0x3f { Alu::Div } else { Alu::Mod };
        asm.push(Insn::alu(op, dst, src));
        asm.push(Insn::load(Size::Dw, src, Reg::R10, SIGN));
        asm.jump_imm(Cond::SGe, src, 0, positive);
        asm.push(Insn::neg(dst));
        asm.bind(positive);
        asm.push(Insn::load(Size::Dw, src, Reg::R10, DIVISOR));
    }
}

/// The number in [`PC`] of a place where rounds begin.
fn place(number: usize) -> i32 {
    i32::try_from(number + 1).unwrap_or(i32::MAX)
}

/// The instruction with the frame in the map.
fn in_map(insn: Insn) -> Insn {
    let (frame, header) = (Reg::R10 as u8, Reg::R6 as u8);
    let moved = |register: u8| if register == frame { header } else { register };
    match insn.opcode & 0x07 {
        0x00 => insn,
        _ => Insn { dst: moved(insn.dst), src: moved(insn.src), ..insn },
    }
}
