//! A finished program: what the loader gives to the kernel, and what `explain` shows.

use std::borrow::Cow;

use crate::insn::{Insn, wide_text};

/// The instructions that there is room for from the start: most programs have fewer.
const USUAL: usize = 256;

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
    /// `raw_tp`: a program of a tracepoint that is named when it is attached.
    RawTracepoint,
    /// `tp_btf`: a program that is attached to a tracepoint, for rigs that watch the kernel.
    Tracepoint {
        /// The BTF id of the typedef `btf_trace_…`, which names the tracepoint.
        attach_btf_id: u32,
    },
}

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Comment(Cow<'static, str>),
    Label(&'static str),
    /// `slots` slots from `slot` on, and how they read.
    Insn {
        slot: usize,
        slots: usize,
        text: Text,
    },
}

/// How slots read in a listing. The text itself is only made for a listing: most programs never have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// As an instruction of one slot or two.
    Insn,
    /// As a jump to this label.
    Jump(&'static str),
    /// As a call of this helper, whose name is without its `bpf_`.
    Helper(&'static str),
    /// As a call of this function of the kernel.
    Function(&'static str),
    /// As one store over neighbouring places.
    Zeros,
}

impl Text {
    /// The text of `insns`.
    fn of(self, insns: &[Insn]) -> String {
        match (self, insns) {
            (Self::Insn, [low, high]) => wide_text([*low, *high]),
            (Self::Jump(label), [insn]) => {
                // A jump that leads nowhere yet reads the same but for where to.
                let text = Insn { off: 0, ..*insn }.to_string();
                format!("{}{label}", text.strip_suffix("+0").unwrap_or(&text))
            }
            (Self::Helper(name), [insn]) => format!("call bpf_{name}#{}", insn.imm),
            (Self::Function(name), [insn]) => format!("call {name}#{}", insn.imm),
            (Self::Zeros, [first, .., last]) => {
                format!("*(u64 *)(r{} {:+}..{:+}) = 0", first.dst, first.off, last.off)
            }
            (_, insns) => insns.iter().map(Insn::to_string).collect(),
        }
    }
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
    /// Bytes of the map's value before the header: 0, or [`crate::assembler::FRONT`] of a program in rounds.
    pub front: u32,
    /// The slot at which its callback begins, if it has one.
    pub callback: Option<usize>,
    /// The values of parameters, which the loader puts behind the CPU table; counted in [`Self::map_bytes`] too. With
    /// other values it is the same program.
    pub values: Vec<u64>,
    lines: Vec<Line>,
}

impl Program {
    pub(crate) fn new(kind: Kind, map_bytes: u32) -> Self {
        Self {
            kind,
            insns: Vec::with_capacity(USUAL),
            map_bytes,
            cpu_table: Vec::new(),
            counters: 0,
            groups: false,
            front: 0,
            callback: None,
            values: Vec::new(),
            lines: Vec::with_capacity(USUAL),
        }
    }

    pub(crate) fn comment(&mut self, text: Cow<'static, str>) {
        self.lines.push(Line::Comment(text));
    }

    pub(crate) fn label(&mut self, name: &'static str) {
        self.lines.push(Line::Label(name));
    }

    /// The lines of the listing.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Appends slots that read as `text`.
    pub(crate) fn push(&mut self, insns: &[Insn], text: Text) {
        self.lines.push(Line::Insn { slot: self.insns.len(), slots: insns.len(), text });
        self.insns.extend_from_slice(insns);
    }

    /// Keeps the instructions that are `reached`; `kept` counts them before each slot. Comments and labels stay.
    pub(crate) fn keep(&mut self, reached: &[bool], kept: &[usize]) {
        let mut slots = reached.iter();
        self.insns.retain(|_| slots.next() == Some(&true));
        // Nothing jumps into the middle of a line, so a line is reached as a whole or not at all.
        self.lines.retain(|line| !matches!(line, Line::Insn { slot, .. } if !reached[*slot]));
        for line in &mut self.lines {
            if let Line::Insn { slot, .. } = line {
                *slot = kept[*slot];
            }
        }
    }

    /// Gives values a place at the end of the map's value.
    pub fn set_values(&mut self, values: Vec<u64>) {
        let bytes = |values: &[u64]| u32::try_from(8 * values.len()).unwrap_or(u32::MAX);
        self.map_bytes = self.map_bytes - bytes(&self.values) + bytes(&values);
        self.values = values;
    }

    /// What the end of the map's value holds before the program runs.
    #[must_use]
    pub fn tail(&self) -> Vec<u8> {
        self.cpu_table.iter().chain(&self.values).flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Whether two programs differ in the values of parameters at most.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.insns == other.insns
            && self.map_bytes == other.map_bytes
            && self.cpu_table == other.cpu_table
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
            Line::Insn { slot, slots, text } => {
                let text = text.of(&self.insns[*slot..slot + slots]);
                match slots {
                    0..=2 => format!("{slot:4}  {text}\n"),
                    _ => format!("{slot:4}  {text}  (to {})\n", slot + slots - 1),
                }
            }
        };
        self.lines.iter().map(line).collect()
    }
}
