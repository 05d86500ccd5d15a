//! Programs that measure how long the kernel waits for the allocator's own locks.
//!
//! ```text
//!   map 0: the lock, frames of the stack, the turn ─► waits, nanoseconds in all, the longest      for each CPU
//!   map 1: counts the waits that map 0 had no room for, for each CPU
//!   map 2: the wait that is going on: since when, the lock, frames                                for each CPU
//!   map 3: the turn in which waits are counted that end now                                       for each CPU
//! ```
//!
//! Whoever reads the waits begins the next turn first, and then has all of those before.
//!
//! Whoever waits for a spinlock of the allocator has interrupts off and stays on its CPU, so that what a CPU began to wait
//! for is what it ends to wait for.
//!
//! # Registers
//!
//! | register | holds |
//! |---|---|
//! | `R6` | the context |
//! | `R7` | the lock |
//! | `R8` | the cache of the lock, then the wait that is going on |
//! | `R9` | how long it was |

use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::object::{MapKind, MapSpec};
use crate::program::{Kind, Program};
use crate::template::events::{BPF_NOEXIST, OWN_FRAMES, STACK, TIME, UPDATE};
use crate::template::maps::{address, count_loss, increment, look_up};

/// The map of waits.
pub const WAITS: u32 = 0;
/// The map that counts losses.
pub const LOST: u32 = 1;
const BEGUN: u32 = 2;
/// The map that holds the number of the turn.
pub const TURN: u32 = 3;

/// The frames of a stack that are kept, the innermost first: those of the tracepoint and the lock, and who wanted it.
pub const FRAMES: usize = 10;
/// The words of a key: the lock, the frames, and the turn.
pub const KEY_WORDS: usize = 2 + FRAMES;
/// The most keys.
const ENTRIES: u32 = 4096;
/// Bytes of a key.
#[allow(clippy::cast_possible_truncation)] // there are 96
const KEY_BYTES: u32 = 8 * KEY_WORDS as u32;

/// Where the parts of a wait that is going on begin; the lock and the frames are the key.
const SINCE: i16 = 0;
const LOCK: i16 = 8;
const STACK_AT: i16 = 16;
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // it is 96
const TURN_AT: i16 = STACK_AT + 8 * FRAMES as i16;

/// A tracepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `contention_begin(lock, flags)`
    Begin,
    /// `contention_end(lock, result)`
    End,
}

impl Point {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Begin, Self::End];

    /// The tracepoint's name.
    #[must_use]
    pub fn tracepoint(self) -> &'static str {
        match self {
            Self::Begin => "contention_begin",
            Self::End => "contention_end",
        }
    }

    /// The section of its program in an object.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Begin => "raw_tp/contention_begin",
            Self::End => "raw_tp/contention_end",
        }
    }

    /// The name of its program in the kernel.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Self::Begin => "slabql_begin",
            Self::End => "slabql_end",
        }
    }
}

/// The programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contention {
    /// The BTF id of `bpf_get_kmem_cache`, where the kernel has it.
    pub get_kmem_cache: Option<u32>,
    /// With it, the caches that locks lie in; others do not count.
    pub caches: Vec<u64>,
}

impl Contention {
    /// The maps of the programs, by number.
    #[must_use]
    pub fn maps() -> Vec<MapSpec> {
        vec![
            MapSpec::new("slabql_waits", MapKind::PercpuHash, KEY_BYTES, 24, ENTRIES),
            MapSpec::new("slabql_lost", MapKind::PercpuArray, 4, 8, 1),
            MapSpec::new("slabql_begun", MapKind::PercpuArray, 4, 8 + KEY_BYTES, 1),
            MapSpec::new("slabql_turn", MapKind::PercpuArray, 4, 8, 1),
        ]
    }

    /// Builds the program of a tracepoint.
    pub fn program(&self, point: Point) -> Result<Program, FrameFull> {
        let mut asm = Assembler::new(Kind::RawTracepoint, 0);
        let (number, value) = (asm.reserve(8)?, asm.reserve(24)?);
        let out = asm.label("out");
        asm.comment(point.section());
        asm.push(Insn::mov(Reg::R6, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R7, Reg::R6, 0));
        match point {
            Point::Begin => self.begun(&mut asm, number, out),
            Point::End => ended(&mut asm, number, value, out),
        }
        asm.bind(out);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(asm.finish())
    }

    /// Keeps who waits for what, and since when.
    fn begun(&self, asm: &mut Assembler, number: i16, out: Label) {
        if let Some(id) = self.get_kmem_cache {
            let [known, counts] = ["known", "counts"].map(|name| asm.label(name));
            asm.comment("a lock within an object of these caches");
            asm.push(Insn::mov(Reg::R1, Reg::R7));
            asm.call_kfunc(id, "bpf_get_kmem_cache");
            asm.push(Insn::mov(Reg::R8, Reg::R0));
            asm.jump_imm(Cond::Ne, Reg::R8, 0, known);
            asm.jump(out);
            asm.bind(known);
            for cache in &self.caches {
                asm.set(Reg::R1, *cache);
                asm.jump_reg(Cond::Eq, Reg::R8, Reg::R1, counts);
            }
            asm.jump(out);
            asm.bind(counts);
        }
        this_wait(asm, number, out);
        asm.comment("who");
        asm.push(Insn::store(Size::Dw, Reg::R8, LOCK, Reg::R7));
        asm.push(Insn::mov(Reg::R1, Reg::R6));
        address(asm, Reg::R2, Reg::R8, STACK_AT);
        asm.push(Insn::mov_imm(Reg::R3, i32::from(TURN_AT - STACK_AT)));
        asm.push(Insn::mov_imm(Reg::R4, OWN_FRAMES));
        asm.call(STACK.0, STACK.1);
        asm.comment("since when");
        asm.call(TIME.0, TIME.1);
        asm.push(Insn::store(Size::Dw, Reg::R8, SINCE, Reg::R0));
    }
}

/// Adds a wait that is over.
fn ended(asm: &mut Assembler, number: i16, value: i16, out: Label) {
    let [there, lost, shorter] = ["there", "lost", "shorter"].map(|name| asm.label(name));
    this_wait(asm, number, out);
    asm.comment("it is the end of the wait that began here");
    asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R8, SINCE));
    asm.jump_imm(Cond::Eq, Reg::R9, 0, out);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R8, LOCK));
    asm.jump_reg(Cond::Ne, Reg::R1, Reg::R7, out);
    asm.push(Insn::store_imm(Size::Dw, Reg::R8, SINCE, 0));
    asm.call(TIME.0, TIME.1);
    asm.push(Insn::alu(Alu::Sub, Reg::R0, Reg::R9));
    asm.push(Insn::mov(Reg::R9, Reg::R0));
    asm.comment("the turn");
    look_up(asm, TURN, Reg::R10, number);
    asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 0));
    asm.push(Insn::store(Size::Dw, Reg::R8, TURN_AT, Reg::R1));
    asm.comment("one more");
    look_up(asm, WAITS, Reg::R8, LOCK);
    asm.jump_imm(Cond::Ne, Reg::R0, 0, there);
    asm.zero(Reg::R10, value, 24);
    asm.map(Reg::R1, WAITS);
    address(asm, Reg::R2, Reg::R8, LOCK);
    address(asm, Reg::R3, Reg::R10, value);
    asm.push(Insn::mov_imm(Reg::R4, BPF_NOEXIST));
    asm.call(UPDATE.0, UPDATE.1);
    asm.comment("another CPU may have been first");
    look_up(asm, WAITS, Reg::R8, LOCK);
    asm.jump_imm(Cond::Eq, Reg::R0, 0, lost);
    asm.bind(there);
    increment(asm, 0);
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 8));
    asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R9));
    asm.push(Insn::store(Size::Dw, Reg::R0, 8, Reg::R1));
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 16));
    asm.jump_reg(Cond::Le, Reg::R9, Reg::R1, shorter);
    asm.push(Insn::store(Size::Dw, Reg::R0, 16, Reg::R9));
    asm.bind(shorter);
    asm.jump(out);
    asm.bind(lost);
    count_loss(asm, LOST, number, 0, out);
}

/// Puts the wait of this CPU into `R8`.
fn this_wait(asm: &mut Assembler, number: i16, out: Label) {
    asm.comment("the wait of this CPU");
    asm.zero(Reg::R10, number, 8);
    look_up(asm, BEGUN, Reg::R10, number);
    asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
    asm.push(Insn::mov(Reg::R8, Reg::R0));
}
