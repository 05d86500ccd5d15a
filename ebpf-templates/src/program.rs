//! A finished program: what the loader gives to the kernel, and what `explain` shows.

use crate::insn::{Insn, wide_text};

/// How the kernel runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `iter/kmem_cache`: called for each cache, and once more with none, while its file is read.
    Iter {
        /// The BTF id of the function `bpf_iter_kmem_cache`, which names the iterator.
        attach_btf_id: u32,
    },
    /// A sleepable `syscall` program, run once by `BPF_PROG_TEST_RUN`.
    Syscall,
    /// A program that is attached to a raw tracepoint, for rigs that watch the kernel.
    RawTracepoint,
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Comment(String),
    Label(String),
    /// `slots` slots from `slot` on, and their text.
    Insn {
        slot: usize,
        slots: usize,
        text: String,
    },
}

/// A value of the query that the program carries as an immediate: it can be set again without generating anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The first of the two slots of the `lddw` that loads it.
    pub slot: usize,
    /// The number of the parameter, in order of appearance.
    pub parameter: usize,
}

/// A BPF program with the map that its rows go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// How it is run.
    pub kind: Kind,
    /// Its instructions. A map is referred to by number 0; the loader puts the file descriptor there.
    pub insns: Vec<Insn>,
    /// The size of the one value of the map that rows are built in, in bytes. See [`crate::template::rows`].
    pub map_bytes: u32,
    /// What the loader puts at the end of the map's value: see [`crate::template::percpu`]. Counted in
    /// [`Self::map_bytes`].
    pub cpu_table: Vec<u64>,
    /// How many counters lie before that; see [`crate::template::driver::Driver::counter`].
    pub counters: u16,
    /// Whether its rows are groups, which stay in the map's value however it is run; see [`crate::template::group`].
    pub groups: bool,
    /// Where its parameters are.
    pub holes: Vec<Hole>,
    lines: Vec<Line>,
}

impl Program {
    pub(crate) fn new(kind: Kind, map_bytes: u32) -> Self {
        Self {
            kind,
            insns: Vec::new(),
            map_bytes,
            cpu_table: Vec::new(),
            counters: 0,
            groups: false,
            holes: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(crate) fn comment(&mut self, text: &str) {
        self.lines.push(Line::Comment(text.to_owned()));
    }

    pub(crate) fn label(&mut self, name: &str) {
        self.lines.push(Line::Label(name.to_owned()));
    }

    /// Appends slots that read as `text`.
    pub(crate) fn push(&mut self, insns: &[Insn], text: String) {
        self.lines.push(Line::Insn { slot: self.insns.len(), slots: insns.len(), text });
        self.insns.extend_from_slice(insns);
    }

    /// Keeps the instructions that are `reached`; `kept` counts them before each slot. Comments and labels stay.
    pub(crate) fn keep(&mut self, reached: &[bool], kept: &[usize]) {
        let mut slots = reached.iter();
        self.insns.retain(|_| slots.next() == Some(&true));
        self.holes.retain(|hole| reached[hole.slot]);
        for hole in &mut self.holes {
            hole.slot = kept[hole.slot];
        }
        // Nothing jumps into the middle of a line, so a line is reached as a whole or not at all.
        self.lines.retain(|line| !matches!(line, Line::Insn { slot, .. } if !reached[*slot]));
        for line in &mut self.lines {
            if let Line::Insn { slot, .. } = line {
                *slot = kept[*slot];
            }
        }
    }

    /// Puts `value` into every place where parameter `parameter` is used.
    #[allow(clippy::cast_possible_truncation)] // the two halves
    pub fn set(&mut self, parameter: usize, value: u64) {
        for hole in self.holes.iter().filter(|hole| hole.parameter == parameter) {
            self.insns[hole.slot].imm = (value as u32).cast_signed();
            self.insns[hole.slot + 1].imm = ((value >> 32) as u32).cast_signed();
            for line in &mut self.lines {
                if let Line::Insn { slot, slots: 2, text } = line
                    && *slot == hole.slot
                {
                    *text = wide_text([self.insns[hole.slot], self.insns[hole.slot + 1]]);
                }
            }
        }
    }

    /// The instructions as the kernel reads them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.insns.iter().flat_map(|insn| insn.to_bytes()).collect()
    }

    /// The listing: an instruction a line with its slot number, comments before what they explain, labels at the
    /// margin. Runs of one instruction over neighbouring places (the zeroing of a row) are one line.
    #[must_use]
    pub fn listing(&self) -> String {
        let line = |line: &Line| match line {
            Line::Comment(text) => format!("      ; {text}\n"),
            Line::Label(name) => format!("{name}:\n"),
            Line::Insn { slot, slots: 0..=2, text } => format!("{slot:4}  {text}\n"),
            Line::Insn { slot, slots, text } => {
                format!("{slot:4}  {text}  (to {})\n", slot + slots - 1)
            }
        };
        self.lines.iter().map(line).collect()
    }
}
