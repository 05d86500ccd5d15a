//! Programs that run whenever the kernel allocates or frees an object: counts by what an event is about, and the objects
//! that are held.
//!
//! Each program belongs to one of the kernel's tracepoints ([`Point`]) and reads its arguments from the context. What
//! becomes of an event is the [`Mode`]:
//!
//! ```text
//!   Counts   map 0: fields of the event ─► how often, for each CPU
//!   Objects  map 0: address ─► time, fields       allocated, and not freed since
//!            ring:  address, time freed, time, fields   a record for each that was freed, if wanted
//!   stacks   map 2: the frames of a stack ─► its number, which is what the field holds
//! ```
//!
//! Counts of what comes often are not in map 0 but in the last map, in slots that take no lookup ([`SLOT_WORDS`]).
//!
//! Where counts are of turns, the last map holds the number of the turn. Whoever reads counts begins the next turn first: then
//! nothing is added any more to those of the turn before, but by a program that runs at that moment.
//!
//! Map 1 counts what is lost for each CPU: entries of map 0 that had no room, records of the ring, stacks. Behind these it counts
//! objects that were freed and of which no record is wanted.
//!
//! # Registers
//!
//! | register | holds |
//! |---|---|
//! | `R6` | the context |
//! | `R7` | the object |
//! | `R8` | its cache, 0 where it has none or none is known; then the entry that was found |
//! | `R9` | the thread group and the thread |
//!
//! # Invariants
//!
//! - A plain addition suffices for counts: the kernel does not run a program again while it runs on the same CPU. It
//!   counts what it left out.
//! - The events of one process, slabql, are left out.
//! - A sample is one of objects, not of events ([`is_sampled`]): whoever sees an object allocated sees it freed.

mod event;
mod slots;
mod stack;

use crate::assembler::{Assembler, FrameFull, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::object::{MapKind, MapSpec};
use crate::program::{Kind, Program};
use crate::template::maps::{address, count_loss, increment, look_up};
pub use event::{Field, Point};
pub use slots::SLOT_WORDS;
use slots::{STACKS_BITS, TAKERS};
use stack::stack;

/// The map of counts or objects.
pub const ENTRIES: u32 = 0;
/// The map that counts losses.
pub const LOST: u32 = 1;
/// Where that map counts objects that were freed without a record.
const FREED: i16 = 24;
/// The map of stacks, if they are taken.
pub const STACKS: u32 = 2;
/// The map in which the frames of a stack are gathered.
const FRAMES: u32 = 3;
/// The map of the stacks that programs remember.
const KNOWN: u32 = 4;

/// The most frames of a stack.
pub const DEPTH: usize = 48;
/// The most stacks.
pub const MAX_STACKS: u32 = 1 << 14;
/// Frames that a stack begins with and that are the program's own: itself, and what calls it.
pub(super) const OWN_FRAMES: i32 = 2;

/// Bytes of the ring; a power of two.
const RING_BYTES: u32 = 8 << 20;
/// The last address that is no object: `kmalloc(0)` returns it.
pub(super) const ZERO_SIZE_PTR: i32 = 16;
/// What a hash multiplies addresses by, 2^64 divided by the golden ratio, and the first of its bits that count. Lower ones
/// are nearly those of the address, in which objects of a cache agree.
const HASH: (u64, i32) = (0x9e37_79b9_7f4a_7c15, 40);
/// The flag of an update that makes a new entry only.
pub(super) const BPF_NOEXIST: i32 = 1;

/// The helpers by their numbers, which they keep for ever.
pub(super) const LOOKUP: (u32, &str) = (1, "map_lookup_elem");
pub(super) const UPDATE: (u32, &str) = (2, "map_update_elem");
const DELETE: (u32, &str) = (3, "map_delete_elem");
pub(super) const TIME: (u32, &str) = (5, "ktime_get_ns");
const CPU: (u32, &str) = (8, "get_smp_processor_id");
pub(super) const PID: (u32, &str) = (14, "get_current_pid_tgid");
pub(super) const COMM: (u32, &str) = (16, "get_current_comm");
pub(super) const STACK: (u32, &str) = (67, "get_stack");
pub(super) const CGROUP: (u32, &str) = (80, "get_current_cgroup_id");
pub(super) const OUTPUT: (u32, &str) = (130, "ringbuf_output");

/// What becomes of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are counted by their fields.
    Counts,
    /// Objects are held from their allocation to their free.
    Objects {
        /// Whether there is a record of each that was freed.
        freed: bool,
    },
}

/// The programs of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// What is kept of an event.
    pub fields: Vec<Field>,
    /// What becomes of it.
    pub mode: Mode,
    /// The BTF id of `bpf_get_kmem_cache`, where the kernel has it; without it the caches of `kmalloc` are unknown.
    pub get_kmem_cache: Option<u32>,
    /// The caches that count; all where none are named.
    pub only: Vec<u64>,
    /// The process whose events are left out.
    pub own: u32,
    /// The most entries.
    pub entries: u32,
    /// Of so many objects one is followed, which the hash of its address decides; all where it is 1.
    pub sample: u32,
    /// Whether counts are of turns: the number of a turn, which a map holds, is a part of keys then.
    pub turns: bool,
    /// The most frames of a stack, up to [`DEPTH`].
    pub depth: usize,
}

/// Whether the object at `addr` is one of those that are followed if only one of `sample` is. Its allocation and its free
/// agree on that.
#[must_use]
pub fn is_sampled(addr: u64, sample: u32) -> bool {
    (addr.wrapping_mul(HASH.0) >> HASH.1).is_multiple_of(sample.max(1).into())
}

/// Where a program keeps what it makes, from the frame pointer.
struct Frame {
    key: i16,
    value: i16,
    record: i16,
    /// The key of an array.
    number: i16,
    /// Where the frames of the stack are gathered.
    frames: i16,
    /// The slot that remembers such a stack.
    slot: i16,
}

impl Events {
    /// The eight bytes that all fields take, how often, with the turn and zeros behind them: an even number, because readers know
    /// a size each.
    #[must_use]
    pub fn words(&self) -> usize {
        let turn = usize::from(self.turns && self.mode == Mode::Counts);
        (self.turn_word() + turn).max(2).next_multiple_of(2)
    }

    /// The first word of a field.
    #[must_use]
    pub fn place(&self, field: Field) -> Option<usize> {
        let index = self.fields.iter().position(|found| *found == field)?;
        Some(self.fields[..index].iter().map(|field| field.words()).sum())
    }

    /// The word of a key that is the number of its turn.
    #[must_use]
    pub fn turn_word(&self) -> usize {
        self.fields.iter().map(|field| field.words()).sum()
    }

    /// The maps of the programs, by number.
    #[must_use]
    pub fn maps(&self) -> Vec<MapSpec> {
        let bytes = 8 * u32::try_from(self.words()).unwrap_or(u32::MAX / 8);
        let (kind, key_bytes, value_bytes) = match self.mode {
            Mode::Counts => (MapKind::PercpuHash, bytes, 8),
            Mode::Objects { .. } => (MapKind::Hash, 8, bytes + 8),
        };
        let entries = self.entries;
        let mut maps = vec![
            MapSpec::new("slabql_entries", kind, key_bytes, value_bytes, entries),
            MapSpec::new("slabql_lost", MapKind::PercpuArray, 4, 32, 1),
        ];
        if self.takes_stacks() {
            let bytes = 8 * u32::try_from(DEPTH).unwrap_or(0);
            let remembered = (TAKERS << STACKS_BITS).unsigned_abs();
            maps.extend([
                MapSpec::new("slabql_stacks", MapKind::Hash, bytes, 8, MAX_STACKS),
                MapSpec::new("slabql_frames", MapKind::PercpuArray, 4, bytes + 8, 4),
                MapSpec::new("slabql_known", MapKind::PercpuArray, 4, bytes + 8, remembered),
            ]);
        }
        match self.mode {
            Mode::Objects { freed: true } => {
                maps.push(MapSpec::new("slabql_freed", MapKind::RingBuffer, 0, 0, RING_BYTES));
            }
            Mode::Counts if self.turns => {
                maps.push(MapSpec::new("slabql_turn", MapKind::PercpuArray, 4, 8, 1));
            }
            Mode::Counts => {
                let bytes = 8 * u32::try_from(SLOT_WORDS).unwrap_or(0);
                maps.push(MapSpec::new("slabql_slots", MapKind::PercpuArray, 4, bytes, 4));
            }
            Mode::Objects { freed: false } => {}
        }
        maps
    }

    /// Whether the stack of an event is one of the fields.
    #[must_use]
    pub fn takes_stacks(&self) -> bool {
        self.fields.contains(&Field::Stack)
    }

    /// The number of the ring of objects that were freed.
    #[must_use]
    pub fn ring(&self) -> u32 {
        if self.takes_stacks() { KNOWN + 1 } else { LOST + 1 }
    }

    /// The number of the map that holds the number of the turn. There is no ring where counts are of turns.
    #[must_use]
    pub fn turn(&self) -> u32 {
        self.ring()
    }

    /// The number of the map of slots for counts: a value of [`SLOT_WORDS`] words for each program. There are none where counts
    /// are of turns, which hash maps alone tell apart.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.ring()
    }

    /// The tracepoints whose programs make the rows of allocations.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        match self.mode {
            Mode::Counts => Point::ALLOCATIONS.to_vec(),
            Mode::Objects { .. } => [Point::ALLOCATIONS, Point::FREES].concat(),
        }
    }

    /// Builds the program of a tracepoint.
    pub fn program(&self, point: Point) -> Result<Program, FrameFull> {
        let mut asm = Assembler::new(Kind::RawTracepoint, 0);
        let (words, objects) = (8 * self.words(), self.mode != Mode::Counts);
        let frame = Frame {
            key: asm.reserve(if objects { 8 } else { words })?,
            value: asm.reserve(if objects { words + 8 } else { 8 })?,
            record: asm.reserve(if objects { words + 24 } else { 0 })?,
            number: asm.reserve(8)?,
            frames: asm.reserve(8)?,
            slot: asm.reserve(8)?,
        };
        let [out, lost] = ["out", "lost"].map(|name| asm.label(name));
        asm.comment(format!("raw_tp/{}", point.tracepoint()));
        asm.push(Insn::mov(Reg::R6, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R7, Reg::R6, 8));
        asm.jump_imm(Cond::Le, Reg::R7, ZERO_SIZE_PTR, out);
        self.sampled(&mut asm, out);
        if objects && point.is_free() {
            self.freed(&mut asm, &frame, out);
        } else {
            self.found(&mut asm, point, out);
            match self.mode {
                Mode::Counts => self.counted(&mut asm, point, &frame, [lost, out]),
                Mode::Objects { freed } => self.held(&mut asm, point, &frame, freed, lost),
            }
            asm.jump(out);
            asm.bind(lost);
            count_loss(&mut asm, LOST, frame.number, 0, out);
        }
        asm.bind(out);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(asm.finish())
    }

    /// Leaves out objects that are not of the sample.
    fn sampled(&self, asm: &mut Assembler, out: Label) {
        if self.sample > 1 {
            asm.comment(format!("one object of {}", self.sample));
            asm.set(Reg::R1, HASH.0);
            asm.push(Insn::alu(Alu::Mul, Reg::R1, Reg::R7));
            asm.push(Insn::alu_imm(Alu::Rsh, Reg::R1, HASH.1));
            asm.push(Insn::alu_imm(Alu::Mod, Reg::R1, self.sample.cast_signed()));
            asm.jump_imm(Cond::Ne, Reg::R1, 0, out);
        }
    }

    /// Finds who and which cache, and leaves out what does not count.
    fn found(&self, asm: &mut Assembler, point: Point, out: Label) {
        asm.comment("not of slabql itself");
        asm.call(PID.0, PID.1);
        asm.push(Insn::mov(Reg::R9, Reg::R0));
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R0, 32));
        asm.jump_imm(Cond::Eq, Reg::R0, self.own.cast_signed(), out);
        if !self.only.is_empty() || self.fields.contains(&Field::Cache) {
            asm.comment("its cache");
            self.cache(asm, point);
        }
        if !self.only.is_empty() {
            let counts = asm.label("counts");
            asm.comment("one of those asked for");
            for cache in &self.only {
                asm.set(Reg::R1, *cache);
                asm.jump_reg(Cond::Eq, Reg::R8, Reg::R1, counts);
            }
            asm.jump(out);
            asm.bind(counts);
        }
    }

    /// Puts the cache into `R8`.
    fn cache(&self, asm: &mut Assembler, point: Point) {
        match (point, self.get_kmem_cache) {
            (Point::CacheAlloc | Point::CacheFree, _) => {
                asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, 16));
            }
            (_, Some(id)) => {
                let known = asm.label("known");
                asm.push(Insn::mov(Reg::R1, Reg::R7));
                asm.call_kfunc(id, "bpf_get_kmem_cache");
                asm.push(Insn::mov(Reg::R8, Reg::R0));
                asm.jump_imm(Cond::Ne, Reg::R8, 0, known);
                asm.push(Insn::mov_imm(Reg::R8, 0));
                asm.bind(known);
            }
            (_, None) => asm.push(Insn::mov_imm(Reg::R8, 0)),
        }
    }

    /// Stores the fields from `at` on, and what is behind them up to the size of all.
    fn store(&self, asm: &mut Assembler, point: Point, frame: &Frame, at: i16) {
        asm.comment("its fields");
        let end = at + i16::try_from(8 * self.words()).unwrap_or(0);
        let mut at = at;
        for field in &self.fields {
            match (field, point.argument(*field)) {
                (Field::Node, Some(number)) => {
                    asm.push(Insn::load(Size::W, Reg::R1, Reg::R6, 8 * number));
                    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
                }
                (_, Some(number)) => {
                    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, 8 * number));
                    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
                }
                (Field::Cache, None) => asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R8)),
                (Field::Cpu, None) => {
                    asm.call(CPU.0, CPU.1);
                    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R0));
                }
                (Field::Pid, None) => {
                    asm.push(Insn::mov(Reg::R1, Reg::R9));
                    asm.push(Insn::alu_imm(Alu::Rsh, Reg::R1, 32));
                    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
                }
                (Field::Comm, None) => {
                    asm.zero(Reg::R10, at, 16);
                    address(asm, Reg::R1, Reg::R10, at);
                    asm.push(Insn::mov_imm(Reg::R2, 16));
                    asm.call(COMM.0, COMM.1);
                }
                (Field::Cgroup, None) => {
                    asm.call(CGROUP.0, CGROUP.1);
                    asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R0));
                }
                (Field::Stack, None) => stack(asm, point, frame, at, self.depth),
                (_, None) => asm.zero(Reg::R10, at, 8),
            }
            at += 8 * i16::try_from(field.words()).unwrap_or(1);
        }
        asm.zero(Reg::R10, at, (end - at).unsigned_abs());
        if self.turns && self.mode == Mode::Counts {
            let first = asm.label("first_turn");
            asm.comment("the turn");
            asm.zero(Reg::R10, frame.number, 8);
            look_up(asm, self.turn(), Reg::R10, frame.number);
            asm.jump_imm(Cond::Eq, Reg::R0, 0, first);
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R0, 0));
            asm.push(Insn::store(Size::Dw, Reg::R10, at, Reg::R1));
            asm.bind(first);
        }
    }

    /// Adds 1 to the count of the fields.
    fn counted(&self, asm: &mut Assembler, point: Point, frame: &Frame, [lost, out]: [Label; 2]) {
        let there = asm.label("there");
        self.store(asm, point, frame, frame.key);
        if !self.turns {
            self.counted_in_slot(asm, point, frame, out);
        }
        asm.comment("one more");
        look_up(asm, ENTRIES, Reg::R10, frame.key);
        asm.jump_imm(Cond::Ne, Reg::R0, 0, there);
        asm.zero(Reg::R10, frame.value, 8);
        update(asm, frame, BPF_NOEXIST);
        // Another CPU may have been first.
        look_up(asm, ENTRIES, Reg::R10, frame.key);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, lost);
        asm.bind(there);
        increment(asm, 0);
    }

    /// Keeps an object that was allocated.
    fn held(&self, asm: &mut Assembler, point: Point, frame: &Frame, freed: bool, lost: Label) {
        self.store(asm, point, frame, frame.value + 8);
        asm.call(TIME.0, TIME.1);
        asm.push(Insn::store(Size::Dw, Reg::R10, frame.value, Reg::R0));
        asm.push(Insn::store(Size::Dw, Reg::R10, frame.key, Reg::R7));
        if freed {
            let [new, next] = ["new", "next"].map(|name| asm.label(name));
            asm.comment("an object that was there before was freed without an event");
            look_up(asm, ENTRIES, Reg::R10, frame.key);
            asm.jump_imm(Cond::Eq, Reg::R0, 0, new);
            asm.push(Insn::mov(Reg::R8, Reg::R0));
            asm.zero(Reg::R10, frame.record + 8, 8);
            self.output(asm, frame, next);
            asm.bind(next);
            asm.bind(new);
        }
        asm.comment("held from now on");
        update(asm, frame, 0);
        asm.jump_imm(Cond::Ne, Reg::R0, 0, lost);
    }

    /// Lets go of an object that was freed.
    fn freed(&self, asm: &mut Assembler, frame: &Frame, out: Label) {
        let records = self.mode == (Mode::Objects { freed: true });
        asm.push(Insn::store(Size::Dw, Reg::R10, frame.key, Reg::R7));
        // To remove an object takes a lock, also if it is not there, as most objects of other caches.
        if records || !self.only.is_empty() {
            look_up(asm, ENTRIES, Reg::R10, frame.key);
            asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
        }
        if records {
            let written = asm.label("written");
            asm.push(Insn::mov(Reg::R8, Reg::R0));
            asm.call(TIME.0, TIME.1);
            asm.push(Insn::store(Size::Dw, Reg::R10, frame.record + 8, Reg::R0));
            self.output(asm, frame, written);
            asm.bind(written);
        }
        asm.comment("no longer held");
        asm.map(Reg::R1, ENTRIES);
        address(asm, Reg::R2, Reg::R10, frame.key);
        asm.call(DELETE.0, DELETE.1);
        if !records {
            asm.jump_imm(Cond::Ne, Reg::R0, 0, out);
            asm.comment("freed, without a record");
            asm.zero(Reg::R10, frame.number, 8);
            look_up(asm, LOST, Reg::R10, frame.number);
            asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
            increment(asm, FREED);
        }
    }

    /// Writes the record of the entry that `R8` points to, whose object is in `R7`, and goes on at `next`.
    fn output(&self, asm: &mut Assembler, frame: &Frame, next: Label) {
        asm.push(Insn::store(Size::Dw, Reg::R10, frame.record, Reg::R7));
        let words = 1 + i16::try_from(self.words()).unwrap_or(0);
        for word in 0..words {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R8, 8 * word));
            asm.push(Insn::store(Size::Dw, Reg::R10, frame.record + 16 + 8 * word, Reg::R1));
        }
        asm.map(Reg::R1, self.ring());
        address(asm, Reg::R2, Reg::R10, frame.record);
        asm.push(Insn::mov_imm(Reg::R3, i32::from(16 + 8 * words)));
        asm.push(Insn::mov_imm(Reg::R4, 0));
        asm.call(OUTPUT.0, OUTPUT.1);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, next);
        count_loss(asm, LOST, frame.number, 8, next);
    }
}

/// Gives the key the value.
fn update(asm: &mut Assembler, frame: &Frame, flags: i32) {
    asm.map(Reg::R1, ENTRIES);
    address(asm, Reg::R2, Reg::R10, frame.key);
    address(asm, Reg::R3, Reg::R10, frame.value);
    asm.push(Insn::mov_imm(Reg::R4, flags));
    asm.call(UPDATE.0, UPDATE.1);
}
