//! Drives the kernel's iterator: the part of a program around its hooks.
//!
//! | driver | is | rows go to |
//! |---|---|---|
//! | [`Driver::Iter`] | `iter/kmem_cache`: the kernel calls the program for each cache while the iterator's file is read | the file, by `bpf_seq_write` |
//! | [`Driver::OpenCoded`] | a sleepable `syscall` program that loops over `bpf_iter_kmem_cache_next` | the map's value, which the reader maps |
//! | [`Driver::List`] | a sleepable `syscall` program that follows the list of caches itself, see [`super::list`] | the same |
//! | [`Driver::Vmemmap`] | a sleepable `syscall` program whose elements are slabs, see [`super::vmemmap`] | the same |
//!
//! The second needs one system call to run and holds a reference from element to element, so it has no position
//! to lose: no cache is shown twice and none is passed over. The first finds its place by counting at each
//! `read(2)`, which a cache created or destroyed meanwhile shifts.

use super::list::List;
use super::rows;
use super::vmemmap::Vmemmap;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::{Kind, Program};

/// Where the iterator's state (open-coded) or the `seq_file` (iter) lies in the frame.
const STATE: i16 = -8;

/// How the iterator is driven, with what that asks of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `iter/kmem_cache`, read through its file. Linux 6.13.
    Iter {
        /// The BTF id of the function `bpf_iter_kmem_cache`.
        attach_btf_id: u32,
        /// The offset of `meta` in `struct bpf_iter__kmem_cache`.
        ctx_meta: i16,
        /// The offset of `s` in `struct bpf_iter__kmem_cache`.
        ctx_cache: i16,
        /// The offset of `seq` in `struct bpf_iter_meta`.
        meta_seq: i16,
        /// The number of the helper `bpf_seq_write`.
        seq_write: u32,
    },
    /// A `syscall` program over the open-coded iterator. Linux 6.13.
    OpenCoded {
        /// The BTF id of `bpf_iter_kmem_cache_new`.
        new: u32,
        /// The BTF id of `bpf_iter_kmem_cache_next`.
        next: u32,
        /// The BTF id of `bpf_iter_kmem_cache_destroy`.
        destroy: u32,
    },
    /// A `syscall` program that follows the list, where there is no iterator.
    List(List),
    /// A `syscall` program that walks page descriptors: it calls its hooks for each slab, whose cache is in `R7`.
    Vmemmap(Vmemmap),
}

/// The room that rows have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The fixed part of a row with its header, in bytes; a multiple of 8.
    pub row_fixed: u16,
    /// The most that a row can take with its texts, in bytes; a multiple of 8.
    pub row_max: u32,
    /// The space for all rows, in bytes: at least `row_max`. The `iter` template takes one row's, unless rows are
    /// groups.
    pub space: u32,
    /// Where rows are groups, the places of their index, else 0; see [`super::group`].
    pub places: u32,
    /// How many counters lie behind the rows; see [`Driver::counter`].
    pub counters: u16,
}

/// The hooks of the template.
pub trait Hooks {
    /// Why a hook cannot do its work.
    type Error;

    /// Appends code that goes to `skip` unless the cache in `R7` is wanted.
    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Self::Error>;

    /// Appends code that fills the row at `R8`, whose fixed part is zeroed, and adds what it appends behind the
    /// fixed part to `R9`.
    fn columns(&mut self, asm: &mut Assembler) -> Result<(), Self::Error>;

    /// Appends what is done with the cache in `R7`: a row of it, if it is wanted. A table that makes several rows of
    /// a cache does it in its own way. Code that is done falls through or goes to `next`.
    fn element(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Self::Error>
    where
        Self: Sized,
    {
        self.filter(asm, next)?;
        emitter.row(asm, self)
    }
}

/// Builds rows and sends them off.
#[derive(Clone, Copy, Debug)]
pub struct Emitter {
    pub(super) room: Room,
    pub(super) to: To,
    pub(super) full: Label,
}

/// Where rows go.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// The iterator's file, by the helper of this number.
    File(u32),
    /// The map's value.
    Map,
}

impl Emitter {
    /// Appends the building of one row by the hooks' columns, and its emission. Takes all registers but `R6` and `R7`.
    pub fn row<H: Hooks>(&self, asm: &mut Assembler, hooks: &mut H) -> Result<(), H::Error> {
        let room = self.room;
        match self.to {
            To::File(_) => {
                asm.comment("the row");
                asm.map_value(Reg::R8, rows::HEADER);
            }
            To::Map => {
                asm.comment("the row, behind the rows before it");
                asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::CURSOR));
                let last = i32::try_from(room.space - room.row_max).unwrap_or(i32::MAX);
                asm.jump_imm(Cond::Gt, Reg::R1, last, self.full);
                asm.map_value(Reg::R8, rows::HEADER);
                asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R1));
            }
        }
        begin_row(asm, room);
        hooks.columns(asm)?;
        asm.comment("emit");
        asm.push(Insn::store(Size::W, Reg::R8, rows::ROW_SIZE, Reg::R9));
        match self.to {
            To::File(seq_write) => {
                asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, STATE));
                asm.push(Insn::mov(Reg::R2, Reg::R8));
                asm.push(Insn::mov(Reg::R3, Reg::R9));
                asm.call(seq_write, "seq_write");
            }
            To::Map => emitted(asm),
        }
        Ok(())
    }

    /// The room that rows have.
    #[must_use]
    pub fn room(&self) -> Room {
        self.room
    }

    /// Where a run is ended before its scan: there is no room in the map for another row. The template `iter` has such
    /// a place for groups only.
    #[must_use]
    pub fn full(&self) -> Label {
        self.full
    }
}

impl Driver {
    /// Where counter number `counter` lies in the map's value: behind the rows and their index. What they count is the
    /// business of whoever implements the hooks; the loader clears them before a run.
    #[must_use]
    pub fn counter(&self, room: Room, counter: u16) -> u32 {
        let rows = match self {
            Self::Iter { .. } if room.places == 0 => room.row_max,
            Self::Iter { .. } | Self::OpenCoded { .. } | Self::List(_) | Self::Vmemmap(_) => {
                room.space
            }
        };
        rows::HEADER + rows + 8 * room.places + 8 * u32::from(counter)
    }

    /// Where the CPU table begins in the map's value: behind the counters.
    #[must_use]
    pub fn cpu_table(&self, room: Room) -> u32 {
        self.counter(room, room.counters)
    }

    /// Builds the program. `cpus` is its CPU table, empty where the hooks walk no CPUs.
    pub fn build<H: Hooks>(
        &self,
        room: Room,
        cpus: &[u64],
        hooks: &mut H,
    ) -> Result<Program, H::Error> {
        let table = u32::try_from(8 * cpus.len()).expect("a kernel has at most 8192 CPUs");
        let map_bytes = self.cpu_table(room) + table;
        let mut program = match *self {
            Self::Iter { attach_btf_id, .. } => {
                let mut asm = Assembler::new(Kind::Iter { attach_btf_id }, map_bytes);
                asm.set_end(room.counters, cpus);
                self.called(&mut asm, room, hooks)?;
                asm.sweep();
                asm.finish()
            }
            Self::OpenCoded { .. } | Self::List(_) | Self::Vmemmap(_) => {
                let mut asm = Assembler::new(Kind::Syscall, map_bytes);
                asm.set_end(room.counters, cpus);
                let rounds = match self {
                    Self::List(list) => {
                        list.follow(&mut asm, room, hooks)?;
                        list.rounds
                    }
                    Self::Vmemmap(vmemmap) => {
                        vmemmap.walk(&mut asm, room, hooks)?;
                        None
                    }
                    _ => {
                        self.open_coded(&mut asm, room, hooks)?;
                        None
                    }
                };
                asm.sweep();
                asm.finish_for(rounds)
            }
        };
        program.groups = room.places > 0;
        Ok(program)
    }

    fn called<H: Hooks>(
        &self,
        asm: &mut Assembler,
        room: Room,
        hooks: &mut H,
    ) -> Result<(), H::Error> {
        let Self::Iter { ctx_meta, ctx_cache, meta_seq, seq_write, .. } = *self else {
            unreachable!("called for an iter driver only")
        };
        // The first reservation of a frame is its top eight bytes, STATE.
        let _ = asm.reserve(8);
        let (end, next, full) = (asm.label("end"), asm.label("next"), asm.label("full"));
        asm.comment("iter/kmem_cache: called once a cache, and once with none at the end");
        asm.push(Insn::load(Size::Dw, Reg::R7, Reg::R1, ctx_cache));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R1, ctx_meta));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R2, meta_seq));
        asm.push(Insn::store(Size::Dw, Reg::R10, STATE, Reg::R2));
        asm.map_value(Reg::R6, 0);
        asm.jump_imm(Cond::Eq, Reg::R7, 0, end);
        hooks.element(asm, &Emitter { room, to: To::File(seq_write), full }, next)?;
        asm.jump(next);
        if room.places > 0 {
            asm.bind(full);
            flag(asm, rows::FULL);
            asm.jump(next);
        }
        asm.bind(end);
        asm.comment("the trailer: what the header's flags say");
        // Groups stay where rows are; the element's numbers are of no use any more.
        let trailer =
            if room.places > 0 { u32::from(rows::SELF.unsigned_abs()) } else { rows::HEADER };
        asm.map_value(Reg::R8, trailer);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::FLAGS));
        asm.push(Insn::store_imm(Size::W, Reg::R8, rows::ROW_SIZE, i32::from(rows::ROW_HEADER)));
        asm.push(Insn::store_imm(Size::W, Reg::R8, rows::ROW_KIND, rows::KIND_END));
        asm.push(Insn::store(Size::Dw, Reg::R8, rows::ROW_ADDR, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, STATE));
        asm.push(Insn::mov(Reg::R2, Reg::R8));
        asm.push(Insn::mov_imm(Reg::R3, i32::from(rows::ROW_HEADER)));
        asm.call(seq_write, "seq_write");
        asm.bind(next);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(())
    }

    fn open_coded<H: Hooks>(
        &self,
        asm: &mut Assembler,
        room: Room,
        hooks: &mut H,
    ) -> Result<(), H::Error> {
        let Self::OpenCoded { new, next: next_id, destroy } = *self else {
            unreachable!("called for an open-coded driver only")
        };
        let _ = asm.reserve(8);
        let (next, full, done) = (asm.label("next"), asm.label("full"), asm.label("done"));
        asm.comment("syscall: one run walks all caches");
        asm.map_value(Reg::R6, 0);
        asm.zero(Reg::R6, rows::CURSOR, 32);
        iterator(asm, new, "bpf_iter_kmem_cache_new");
        asm.bind(next);
        iterator(asm, next_id, "bpf_iter_kmem_cache_next");
        asm.jump_imm(Cond::Eq, Reg::R0, 0, done);
        asm.push(Insn::mov(Reg::R7, Reg::R0));
        increment(asm, rows::ELEMENTS);
        hooks.element(asm, &Emitter { room, to: To::Map, full }, next)?;
        asm.jump(next);
        asm.bind(full);
        flag(asm, rows::FULL);
        asm.bind(done);
        iterator(asm, destroy, "bpf_iter_kmem_cache_destroy");
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(())
    }
}

/// Appends a call of one of the iterator's functions on its state.
fn iterator(asm: &mut Assembler, btf_id: u32, name: &'static str) {
    asm.push(Insn::mov(Reg::R1, Reg::R10));
    asm.add(Reg::R1, i32::from(STATE));
    asm.call_kfunc(btf_id, name);
}

/// Appends that the row at the cursor, of `R9` bytes, is whole.
pub(super) fn emitted(asm: &mut Assembler) {
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::CURSOR));
    asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R9));
    asm.push(Insn::store(Size::Dw, Reg::R6, rows::CURSOR, Reg::R1));
    increment(asm, rows::ROWS);
}

/// Appends `header[field] += 1`.
fn increment(asm: &mut Assembler, field: i16) {
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, field));
    asm.add(Reg::R1, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, field, Reg::R1));
}

/// Appends the addition of 1 to the counter at byte `at` of the map's value. `R1` and `R2` are lost.
pub fn count(asm: &mut Assembler, at: u32) {
    asm.map_value(Reg::R1, at);
    asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R1, 0));
    asm.add(Reg::R2, 1);
    asm.push(Insn::store(Size::Dw, Reg::R1, 0, Reg::R2));
}

/// Appends `header.flags |= bit`. `R0` is lost.
pub fn flag(asm: &mut Assembler, bit: i32) {
    asm.or_into(Reg::R6, rows::FLAGS, bit);
}

/// Appends the zeroing of a row's fixed part and the filling of its header.
pub(super) fn begin_row(asm: &mut Assembler, room: Room) {
    asm.zero(Reg::R8, 0, room.row_fixed);
    asm.push(Insn::store_imm(Size::W, Reg::R8, rows::ROW_KIND, rows::KIND_ROW));
    asm.push(Insn::store(Size::Dw, Reg::R8, rows::ROW_ADDR, Reg::R7));
    asm.push(Insn::mov_imm(Reg::R9, i32::from(room.row_fixed)));
}
