//! Walks the kernel's page descriptors, and so visits every slab, full ones too, which hang on no list.
//!
//! The kernel describes page number `pfn` by the record at `base + pfn * bytes`, and a `struct slab` is such a record.
//! Most records are those of other pages, so records are looked at 64 at a time:
//!
//! ```text
//!   block   every 512 pages: is the array mapped here? no ──► the next 512 pages
//!           a large free or compound page begins here ──────► behind it
//!           64 type bytes: is one a slab's? no ─────────────► the next 64 pages
//!   page    page by page, up to the next multiple of 64
//!   slab    its order and figures; hooks; then behind it
//! ```
//!
//! A run ends at the page that the reader names, when it has seen [`SLABS`] slabs, or when there is no room for another
//! row. Where it stands lies in the header ([`page`]), and the next run goes on there. Rows come in the order of pages, so
//! none comes twice.
//!
//! # Consistency
//!
//! Nothing is locked. A page's type and cache are read again before its row is made: if they changed, there is no row.
//! If its counters or its freelist changed, the row is marked as incomplete.
//!
//! # Not done here
//!
//! `base`, and which pages there are: the reader's. A slab that is freed behind the walk and allocated before it is
//! missed; the reader counts.

use super::driver::{Emitter, Hooks, Room, To, flag};
use super::rows::{self, page};
use super::slab::Slab;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};

/// The most slabs that a run visits: a run is not interrupted by other work on its CPU, so it must be short.
pub const SLABS: i32 = 4096;
/// The pages that are looked at together.
const BLOCK: i32 = 64;
/// The array is mapped for so many pages, and aligned to that, or not at all.
const MAPPED: i32 = 512;
/// The largest order that is believed: a page of 1 GiB.
pub const MAX_ORDER: i32 = 18;
/// The order of a block.
const BLOCK_ORDER: i32 = 6;
/// Where the helper puts what it reads.
const PROBED: i16 = -8;

/// The page descriptors, and what walking them takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vmemmap {
    /// The members of `struct slab`.
    pub slab: Slab,
    /// The offset of `freelist` in it.
    pub freelist: i16,
    /// The BTF id of `struct kmem_cache`.
    pub cache_type: u32,
    /// Where the record of page 0 lies, or would.
    pub base: u64,
    /// Bytes of a record.
    pub bytes: i32,
    /// The offset of `flags` in `struct page`.
    pub flags: i32,
    /// The offset of `page_type`, whose highest byte is the type.
    pub page_type: i32,
    /// The offset of `private`, the order of a free page.
    pub private: i32,
    /// The type of a slab.
    pub slab_page: u8,
    /// The type of a free page.
    pub buddy_page: u8,
    /// The bit of `flags` that the first page of several has.
    pub head: u8,
    /// The bit of `flags` that a slab on a node's partial list has, where CPUs have lists of their own.
    pub listed: Option<u8>,
    /// The number of the helper `bpf_probe_read_kernel`.
    pub probe_read_kernel: u32,
}

/// The labels of the walk.
struct Places {
    block: Label,
    page: Label,
    found: Label,
    next: Label,
    pause: Label,
    done: Label,
}

impl Vmemmap {
    /// Appends a program that makes what the hooks make of each slab.
    pub(super) fn walk<H: Hooks>(
        &self,
        asm: &mut Assembler,
        room: Room,
        hooks: &mut H,
    ) -> Result<(), H::Error> {
        let _ = asm.reserve(8);
        let [block, page, found, next, pause, done] =
            ["block", "page", "found", "next", "pause", "done"].map(|name| asm.label(name));
        let places = Places { block, page, found, next, pause, done };
        asm.comment("syscall: a run walks the descriptors of some pages");
        asm.map_value(Reg::R6, 0);
        asm.zero(Reg::R6, rows::CURSOR, 32);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, page::BUDGET, SLABS));
        self.block(asm, &places);
        self.page(asm, &places);
        asm.bind(found);
        self.figures(asm, &places);
        hooks.element(asm, &Emitter { room, to: To::Map, full: pause }, next)?;
        asm.bind(next);
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, page::NEXT));
        go_on(asm, &places);
        asm.bind(pause);
        flag(asm, rows::FULL);
        asm.bind(done);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(())
    }

    /// Appends the beginning of a round: the page in `R8`, its record in `R7`.
    fn round(&self, asm: &mut Assembler, places: &Places) {
        asm.may_goto(places.pause);
        asm.push(Insn::load(Size::Dw, Reg::R8, Reg::R6, page::PFN));
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R6, page::END));
        asm.jump_reg(Cond::Ge, Reg::R8, Reg::R9, places.done);
        asm.set(Reg::R7, self.base);
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, self.bytes));
        asm.push(Insn::alu(Alu::Add, Reg::R7, Reg::R1));
    }

    /// Appends the loading of a page's type into `R0`; its record lies `at` bytes behind `R7`.
    fn type_of(&self, asm: &mut Assembler, at: i32) {
        asm.push(Insn::mov(Reg::R1, Reg::R7));
        // Its highest byte: the machine is little-endian.
        self.slab.peek.byte(asm, at + self.page_type + 3);
    }

    /// Appends the look at the 64 pages from the one that the header names on.
    fn block(&self, asm: &mut Assembler, places: &Places) {
        let [mapped, unfree, large, small] =
            ["mapped", "not_free", "large", "small"].map(|name| asm.label(name));
        let peek = self.slab.peek;
        asm.bind(places.block);
        self.round(asm, places);
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.push(Insn::alu_imm(Alu::And, Reg::R1, MAPPED - 1));
        asm.jump_imm(Cond::Ne, Reg::R1, 0, mapped);
        asm.comment("a hole?");
        asm.push(Insn::mov(Reg::R3, Reg::R7));
        asm.push(Insn::mov_imm(Reg::R2, 8));
        asm.push(Insn::mov(Reg::R1, Reg::R10));
        asm.add(Reg::R1, i32::from(PROBED));
        asm.call(self.probe_read_kernel, "probe_read_kernel");
        asm.jump_imm(Cond::Eq, Reg::R0, 0, mapped);
        behind(asm, MAPPED);
        asm.jump(places.block);
        asm.bind(mapped);
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.push(Insn::alu_imm(Alu::And, Reg::R1, BLOCK - 1));
        asm.jump_imm(Cond::Ne, Reg::R1, 0, places.page);
        asm.comment("a large page that is no slab?");
        self.type_of(asm, 0);
        asm.jump_imm(Cond::Eq, Reg::R0, i32::from(self.slab_page), places.page);
        asm.jump_imm(Cond::Ne, Reg::R0, i32::from(self.buddy_page), unfree);
        asm.push(Insn::mov(Reg::R1, Reg::R7));
        peek.load(asm, self.private);
        asm.jump(large);
        asm.bind(unfree);
        asm.push(Insn::mov(Reg::R1, Reg::R7));
        peek.load(asm, self.flags);
        asm.push(Insn::alu_imm(Alu::And, Reg::R0, 1 << self.head));
        asm.jump_imm(Cond::Eq, Reg::R0, 0, small);
        self.order(asm);
        asm.bind(large);
        asm.jump_imm(Cond::Lt, Reg::R0, BLOCK_ORDER, small);
        asm.jump_imm(Cond::Gt, Reg::R0, MAX_ORDER, small);
        asm.push(Insn::mov_imm(Reg::R1, 1));
        asm.push(Insn::alu(Alu::Lsh, Reg::R1, Reg::R0));
        asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R1));
        asm.push(Insn::store(Size::Dw, Reg::R6, page::PFN, Reg::R8));
        asm.jump(places.block);
        asm.bind(small);
        asm.comment("is one of 64 pages a slab's?");
        asm.push(Insn::mov_imm(Reg::R9, 0));
        for number in 0..BLOCK {
            self.type_of(asm, number * self.bytes);
            asm.push(Insn::alu_imm(Alu::Xor, Reg::R0, i32::from(self.slab_page)));
            asm.add(Reg::R0, -1);
            asm.push(Insn::alu(Alu::Or, Reg::R9, Reg::R0));
        }
        asm.jump_imm(Cond::SLt, Reg::R9, 0, places.page);
        behind(asm, BLOCK);
        asm.jump(places.block);
    }

    /// Appends the loading of the order of the compound page whose record is at `R7` into `R0`.
    fn order(&self, asm: &mut Assembler) {
        asm.push(Insn::mov(Reg::R1, Reg::R7));
        // The lowest byte of the second page's flags (6.6).
        self.slab.peek.byte(asm, self.bytes + self.flags);
    }

    /// Appends the loading of the order of the slab whose record lies at `R1` into `R0`. Takes `R9`.
    pub fn order_of(&self, asm: &mut Assembler) {
        let [single, known] = ["single", "known"].map(|name| asm.label(name));
        let peek = self.slab.peek;
        asm.push(Insn::mov(Reg::R9, Reg::R1));
        peek.load(asm, self.flags);
        asm.push(Insn::alu_imm(Alu::And, Reg::R0, 1 << self.head));
        asm.jump_imm(Cond::Eq, Reg::R0, 0, single);
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        peek.byte(asm, self.bytes + self.flags);
        asm.jump_imm(Cond::Le, Reg::R0, MAX_ORDER, known);
        asm.bind(single);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.bind(known);
    }

    /// Appends the look at one page.
    fn page(&self, asm: &mut Assembler, places: &Places) {
        asm.bind(places.page);
        self.round(asm, places);
        self.type_of(asm, 0);
        asm.jump_imm(Cond::Eq, Reg::R0, i32::from(self.slab_page), places.found);
        asm.add(Reg::R8, 1);
        go_on(asm, places);
    }

    /// Appends the reading of what is known of the slab whose record is `R7`, and `R7 = its cache`.
    fn figures(&self, asm: &mut Assembler, places: &Places) {
        let [kfence, real, full, cpu, unlisted, some, known] =
            ["kfence", "real", "full", "cpu", "unlisted", "some", "known"]
                .map(|name| asm.label(name));
        let (peek, next) = (self.slab.peek, places.next);
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        let store = |asm: &mut Assembler, to, src| {
            asm.push(Insn::store(Size::Dw, Reg::R6, to, src));
        };
        let set = |asm: &mut Assembler, to, value| {
            asm.push(Insn::store_imm(Size::Dw, Reg::R6, to, value));
        };
        let member = |asm: &mut Assembler, offset: i32| {
            asm.push(Insn::mov(Reg::R1, Reg::R7));
            peek.load(asm, offset);
        };
        asm.comment("a slab");
        load(asm, Reg::R1, page::BUDGET);
        asm.jump_imm(Cond::SLe, Reg::R1, 0, places.pause);
        asm.add(Reg::R1, -1);
        store(asm, page::BUDGET, Reg::R1);
        store(asm, page::SLAB, Reg::R7);
        member(asm, self.flags);
        store(asm, page::FLAGS, Reg::R0);
        asm.push(Insn::mov(Reg::R1, Reg::R7));
        self.order_of(asm);
        store(asm, page::ORDER, Reg::R0);
        asm.push(Insn::mov_imm(Reg::R1, 1));
        asm.push(Insn::alu(Alu::Lsh, Reg::R1, Reg::R0));
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R8));
        store(asm, page::NEXT, Reg::R1);
        member(asm, self.slab.slab_cache.into());
        asm.jump_imm(Cond::Eq, Reg::R0, 0, next);
        store(asm, rows::SELF, Reg::R0);
        member(asm, self.freelist.into());
        store(asm, page::FREELIST, Reg::R0);
        member(asm, peek.counters.into());
        store(asm, page::COUNTERS, Reg::R0);
        asm.push(Insn::mov(Reg::R8, Reg::R0));
        self.slab.objects.extract(asm, Reg::R8);
        store(asm, page::OBJECTS, Reg::R8);
        for (slot, value) in [(page::FROZEN, 0), (page::INCOMPLETE, 0), (page::LIST, page::NONE)] {
            set(asm, slot, value);
        }
        self.free(asm);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, page::PLACE, page::UNKNOWN));
        if let Some(frozen) = self.slab.frozen {
            load(asm, Reg::R1, page::COUNTERS);
            frozen.extract(asm, Reg::R1);
            store(asm, page::FROZEN, Reg::R1);
            asm.jump_imm(Cond::Ne, Reg::R1, 0, cpu);
        }
        asm.jump_imm(Cond::Eq, Reg::R9, 0, full);
        load(asm, Reg::R1, page::FREELIST);
        // KFENCE's pages pretend to be slabs of one object that is neither in use nor free.
        asm.jump_imm(Cond::Ne, Reg::R1, 0, real);
        asm.jump_imm(Cond::Eq, Reg::R8, 1, kfence);
        asm.bind(real);
        if let Some(listed) = self.listed {
            load(asm, Reg::R1, page::FLAGS);
            asm.push(Insn::alu_imm(Alu::And, Reg::R1, 1 << listed));
            asm.jump_imm(Cond::Eq, Reg::R1, 0, unlisted);
        }
        set(asm, page::LIST, rows::resume::NODE);
        load(asm, Reg::R1, page::NODE);
        store(asm, page::PLACE, Reg::R1);
        asm.jump_reg(Cond::Ne, Reg::R8, Reg::R9, some);
        set(asm, page::STATE, page::EMPTY);
        asm.jump(known);
        asm.bind(some);
        set(asm, page::STATE, page::PARTIAL);
        asm.jump(known);
        asm.bind(full);
        set(asm, page::STATE, page::FULL);
        asm.jump(known);
        asm.bind(kfence);
        set(asm, page::STATE, page::KFENCE);
        asm.jump(known);
        if self.slab.frozen.is_some() {
            asm.bind(cpu);
            set(asm, page::LIST, rows::resume::CPU);
            set(asm, page::STATE, page::CPU);
            asm.jump(known);
        }
        if self.listed.is_some() {
            asm.bind(unlisted);
            set(asm, page::LIST, rows::resume::CPU_PARTIAL);
            set(asm, page::STATE, page::CPU);
        }
        asm.bind(known);
        load(asm, Reg::R1, rows::SELF);
        peek.cast(asm, self.cache_type);
        asm.push(Insn::mov(Reg::R7, Reg::R0));
    }

    /// Appends the number of free objects of the slab whose counters are `R0`, kept and in `R9`. Takes `R1` and `R2`.
    fn free(&self, asm: &mut Assembler) {
        let [torn, counted] = ["torn", "counted"].map(|name| asm.label(name));
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        self.slab.free(asm, torn);
        asm.jump(counted);
        asm.bind(torn);
        // More objects in use than there are: not a slab any more, or a corrupt one.
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, page::INCOMPLETE, 1));
        asm.push(Insn::mov_imm(Reg::R1, 0));
        asm.bind(counted);
        asm.push(Insn::store(Size::Dw, Reg::R6, page::FREE, Reg::R1));
        asm.push(Insn::mov(Reg::R9, Reg::R1));
    }

    /// Appends the second look at the slab that the header speaks of: goes to `next` if it is none any more, and marks
    /// it as incomplete if its figures changed. Takes `R0` to `R5`.
    pub fn check(&self, asm: &mut Assembler, next: Label) {
        let [gone, changed, same] = ["gone", "changed", "same"].map(|name| asm.label(name));
        let peek = self.slab.peek;
        asm.comment("is it what it was?");
        let slab = |asm: &mut Assembler| {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, page::SLAB));
        };
        slab(asm);
        peek.byte(asm, self.page_type + 3);
        asm.jump_imm(Cond::Ne, Reg::R0, i32::from(self.slab_page), gone);
        for (offset, was, differs) in [
            (self.slab.slab_cache, rows::SELF, gone),
            (peek.counters, page::COUNTERS, changed),
            (self.freelist, page::FREELIST, changed),
        ] {
            slab(asm);
            peek.load(asm, offset.into());
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, was));
            asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, differs);
        }
        asm.jump(same);
        asm.bind(gone);
        // Its pages may be several others' by now.
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, page::PFN));
        asm.add(Reg::R1, 1);
        asm.push(Insn::store(Size::Dw, Reg::R6, page::NEXT, Reg::R1));
        asm.jump(next);
        asm.bind(changed);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, page::INCOMPLETE, 1));
        asm.bind(same);
    }
}

/// Appends the way to the next multiple of `pages` behind `R8`, where the walk goes on.
fn behind(asm: &mut Assembler, pages: i32) {
    asm.push(Insn::alu_imm(Alu::Or, Reg::R8, pages - 1));
    asm.add(Reg::R8, 1);
    asm.push(Insn::store(Size::Dw, Reg::R6, page::PFN, Reg::R8));
}

/// Appends the way to the page in `R8`.
fn go_on(asm: &mut Assembler, places: &Places) {
    asm.push(Insn::store(Size::Dw, Reg::R6, page::PFN, Reg::R8));
    asm.push(Insn::alu_imm(Alu::And, Reg::R8, BLOCK - 1));
    asm.jump_imm(Cond::Ne, Reg::R8, 0, places.page);
    asm.jump(places.block);
}
