//! Finds which registers are read behind each instruction of a program before they are written.

use std::collections::{BTreeMap, BTreeSet};

use crate::assembler::{Assembler, Label};
use crate::insn::Insn;
use crate::program::{Line, Program, Text};

/// A set of registers.
pub(super) type Registers = u16;

pub(super) const fn bit(register: u8) -> Registers {
    1 << register
}

/// The program as it was written.
pub(super) struct Old {
    pub(super) program: Program,
    /// The slot that each label stands before; none of one that nothing jumps to.
    pub(super) labels: Vec<(&'static str, Option<usize>)>,
    /// Where each jump goes.
    pub(super) targets: BTreeMap<usize, usize>,
    /// What calls are, by their slots.
    pub(super) texts: BTreeMap<usize, Text>,
    /// The registers that are read behind the beginning of each slot before they are written.
    pub(super) live: Vec<Registers>,
}

impl Old {
    pub(super) fn new(old: Assembler) -> Self {
        let labels: Vec<_> = old.labels.iter().map(|label| (label.name, label.slot)).collect();
        let target = |label: &Label| {
            let (name, slot) = labels[label.0];
            slot.unwrap_or_else(|| panic!("label `{name}` never bound"))
        };
        let targets = old.fixups.iter().map(|(slot, label)| (*slot, target(label))).collect();
        let texts = old.program.lines().iter().filter_map(|line| match line {
            Line::Insn { slot, text, .. } => Some((*slot, *text)),
            _ => None,
        });
        let texts = texts.collect();
        let mut found = Self { labels, targets, texts, live: Vec::new(), program: old.program };
        found.find_live();
        found
    }

    /// Fills `live`, from the end on until nothing changes.
    fn find_live(&mut self) {
        let slots = self.program.insns.len();
        self.live = vec![0; slots + 1];
        loop {
            let mut changed = false;
            for slot in (0..slots).rev() {
                let insn = self.program.insns[slot];
                let after = self.after(slot);
                let (reads, writes) = self.effect(slot, insn);
                let live = reads | (after & !writes);
                changed |= live != self.live[slot];
                self.live[slot] = live;
            }
            if !changed {
                return;
            }
        }
    }

    /// The registers that are read behind the instruction at `slot`.
    pub(super) fn after(&self, slot: usize) -> Registers {
        let insn = self.program.insns[slot];
        let next = if insn.is_wide() { self.live.get(slot + 2) } else { self.live.get(slot + 1) };
        let next = next.filter(|_| insn.falls_through() || insn.is_wide());
        let jumped = self.targets.get(&slot).map(|target| self.live[*target]);
        next.copied().unwrap_or(0) | jumped.unwrap_or(0)
    }

    /// The registers that an instruction reads, and those that it writes.
    fn effect(&self, slot: usize, insn: Insn) -> (Registers, Registers) {
        let (dst, src) = (bit(insn.dst), bit(insn.src));
        let by_register = insn.opcode & 0x08 != 0;
        match insn.opcode {
            0x18 => (0, dst),
            0x85 => {
                let arguments = match self.texts.get(&slot) {
                    Some(Text::Function("bpf_rdonly_cast")) => bit(1),
                    _ => bit(1) | bit(2) | bit(3),
                };
                (arguments, 0x3f)
            }
            // The second slot of two, and what reads nothing that counts.
            0x00 | 0x05 | 0x95 | 0xe5 => (0, 0),
            opcode => match opcode & 0x07 {
                0x01 => (src, dst),
                0x03 => (dst | src, 0),
                0x05 if by_register => (dst | src, 0),
                0x02 | 0x05 => (dst, 0),
                _ if opcode & 0xf0 == 0xb0 => (if by_register { src } else { 0 }, dst),
                _ if matches!(opcode, 0x87 | 0xd7) || !by_register => (dst, dst),
                _ => (dst | src, dst),
            },
        }
    }

    /// The slots that something jumps back to, in order.
    pub(super) fn loops(&self) -> Vec<usize> {
        let back = self.targets.iter().filter(|(slot, target)| target <= slot);
        let found: BTreeSet<usize> = back
            .filter(|(slot, _)| self.program.insns[**slot].opcode != 0xe5)
            .map(|(_, target)| *target)
            .collect();
        found.into_iter().collect()
    }
}
