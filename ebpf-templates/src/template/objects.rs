//! Gives the slabs that [`super::vmemmap`] finds as rows that say of each object whether it is free.
//!
//! ```text
//! byte 0            16     24       28     32
//!      row header   page   objects  flags  a bit an object, set for one on the slab's freelist …  owners
//! ```
//!
//! Where owners are wanted and the slab has a vector of them ([`OWNED`]), a word an object ends the row: the address of the
//! `struct obj_cgroup` that it is charged to, with flags in its lowest bits, or 0 with flags. Where the sites of allocations
//! are wanted too, there are two words an object: behind the owner the address of the `struct codetag`, or 0.
//!
//! A row of an object would be larger than a slab's bit, so rows of objects are made by the reader. It also knows which
//! objects CPUs, sheaves and barns hold ready: to the slab they are in use.
//!
//! Where members of objects are wanted, a [`Visitor`] makes rows of those that are not on the freelist. They follow the
//! row of their slab, whose kind is [`rows::KIND_SLAB`], and all rows of a slab are those of one run.
//!
//! # Consistency
//!
//! The freelist is followed without a lock. A list that leaves the slab, is longer than the slab has objects, or has
//! another length than the counters say, marks the row: [`INCOMPLETE`] if the slab changed meanwhile, else [`CORRUPT`].
//! What could have changed is read again behind the members of all its objects.

mod freelist;
mod owners;

use std::convert::Infallible;

use super::driver::{Driver, Emitter, Hooks, Room};
use super::node::zero;
use super::rows::{self, Scratch, page};
use super::vmemmap::Vmemmap;
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::program::Program;
pub use owners::{Owners, Stride};

/// Where the number of the slab's first page lies in a row (u64).
pub const PFN: i16 = 16;
/// Where the number of its objects lies (u32).
pub const OBJECTS: i16 = 24;
/// Where its flags lie (u32): [`INCOMPLETE`], [`CORRUPT`], [`OF_CPU`], [`OWNED`], [`SITED`].
pub const FLAGS: i16 = 28;
/// Where the bits begin.
pub const BITS: i16 = 32;

/// In [`FLAGS`]: the slab changed while it was read.
pub const INCOMPLETE: i32 = 1;
/// In [`FLAGS`]: its freelist is none of this slab.
pub const CORRUPT: i32 = 2;

/// In [`FLAGS`]: a CPU holds the slab, alone or on its partial list.
pub const OF_CPU: i32 = 4;

/// In [`FLAGS`]: the owners of its objects end the row.
pub const OWNED: i32 = 8;

/// In [`FLAGS`]: behind each owner is the site of the allocation.
pub const SITED: i32 = 16;

/// The lowest bits of a vector's address, and of owners, are flags.
pub const OWNER_FLAGS: i32 = 7;

/// The most objects that a row has bits for.
pub const MAX_BITS: u16 = 8192;
/// The space for rows, in bytes.
const SPACE: u32 = 256 << 10;
/// So many steps along freelists cost a run as much as a slab.
const STEPS_A_SLAB: i32 = 2;
/// So many owners do.
const OWNERS_A_SLAB: i32 = 16;

/// The program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// The walk.
    pub vmemmap: Vmemmap,
    /// Where page 0 lies, or would.
    pub page_offset: u64,
    /// Bytes of a page.
    pub page_size: u32,
    /// The offset of `size` in `struct kmem_cache`.
    pub size: i16,
    /// The offset of `offset`.
    pub free_offset: i16,
    /// The offset of `red_left_pad`, if the kernel has it.
    pub red_left_pad: Option<i16>,
    /// The offset of `random`, if pointers of freelists are mangled with it.
    pub random: Option<i16>,
    /// The bits of a row, a multiple of 64.
    pub bits: u16,
    /// The one cache that is wanted; 0 for all.
    pub only: u64,
    /// Where the owners of objects are, if they are wanted.
    pub owners: Option<Owners>,
}

/// The numbers that a walk over the objects of slabs keeps in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The steps along the freelist.
    steps: i16,
    /// Where the slab's first page lies.
    start: i16,
    /// The flags of the row.
    flags: i16,
    /// Where the row of the slab begins, behind the first row.
    row: i16,
    /// The number of the next object.
    index: i16,
    /// The address of the object.
    pub object: i16,
    /// Where the owner of the next object is; 0 where there are no owners.
    owner: i16,
    /// The distance of owners.
    stride: i16,
    /// How far the site is behind the owner; 0 where there are no owners.
    site: i16,
}

impl Own {
    /// Takes its numbers.
    pub fn new(scratch: &mut Scratch) -> Self {
        let [steps, start, flags, row, index, object, owner, stride, site] =
            [(); 9].map(|()| scratch.take());
        Self { steps, start, flags, row, index, object, owner, stride, site }
    }
}

/// Makes rows of objects.
pub trait Visitor {
    /// Why it cannot.
    type Error;

    /// Appends the row of the object whose address is at [`Own::object`]; goes to `skip` if it is not wanted. `R6` and
    /// `R7`, the cache, stay.
    fn object(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Self::Error>;
}

impl Objects {
    /// Builds the program that gives slabs alone.
    #[must_use]
    pub fn build(&self) -> Program {
        let (row_fixed, row_max) = (self.slab_row(), self.slab_max(0));
        let room = Room { row_fixed, row_max, space: SPACE, places: 0, counters: 0 };
        let own = Own::new(&mut Scratch::behind_page());
        let mut rows = SlabRows { objects: *self, own, next: None, alone: true };
        Driver::Vmemmap(self.vmemmap)
            .build(room, &[], &mut rows)
            .unwrap_or_else(|never| match never {})
    }

    /// Bytes of the row of a slab, without owners.
    fn slab_row(&self) -> u16 {
        BITS.unsigned_abs() + self.bits / 8
    }

    /// The most that a slab takes with its objects, of which a row takes at most `row_max` bytes.
    fn slab_max(&self, row_max: u32) -> u32 {
        let entry = self.owners.map_or(0, |owners| owners.entry());
        u32::from(self.slab_row()) + u32::from(self.bits) * (row_max + u32::from(entry))
    }

    /// The room for rows of objects, with the space that they take together with those of their slabs.
    #[must_use]
    pub fn room(&self, of_objects: Room) -> Room {
        /// So many slabs fit into a run, however large they are.
        const SLABS: u32 = 2;
        let space = of_objects.space.max(SLABS * self.slab_max(of_objects.row_max));
        Room { space, ..of_objects }
    }

    /// Appends the rows of the slab that the header speaks of, whose cache is in `R7`: its own, and those that `visitor`
    /// makes of its objects. Code goes to `next` if the slab is not wanted.
    pub fn walk<V: Visitor>(
        &self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
        own: Own,
        visitor: &mut V,
    ) -> Result<(), V::Error> {
        let [object, cut, done, gone] =
            ["each_object", "cut", "objects_done", "slab_gone"].map(|name| asm.label(name));
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        let mut rows = SlabRows { objects: *self, own, next: None, alone: false };
        rows.filter(asm, next).unwrap_or_else(|never| match never {});
        load(asm, Reg::R1, rows::CURSOR);
        asm.push(Insn::store(Size::Dw, Reg::R6, own.row, Reg::R1));
        let row_max = self.slab_max(emitter.room.row_max);
        let room = Room { row_fixed: self.slab_row(), row_max, ..emitter.room };
        let of_slabs = Emitter { room, ..*emitter };
        of_slabs.row(asm, &mut rows).unwrap_or_else(|never| match never {});
        asm.comment("the objects that are not on the freelist");
        zero(asm, [own.index].into_iter());
        asm.bind(object);
        asm.may_goto(cut);
        load(asm, Reg::R1, own.index);
        load(asm, Reg::R2, page::OBJECTS);
        asm.jump_reg(Cond::Ge, Reg::R1, Reg::R2, done);
        asm.jump_imm(Cond::Ge, Reg::R1, self.bits.into(), done);
        asm.push(Insn::mov(Reg::R2, Reg::R1));
        asm.add(Reg::R2, 1);
        asm.push(Insn::store(Size::Dw, Reg::R6, own.index, Reg::R2));
        self.slab_row_at(asm, room, own, cut);
        asm.push(Insn::mov(Reg::R2, Reg::R1));
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R2, 6));
        asm.push(Insn::alu_imm(Alu::Lsh, Reg::R2, 3));
        asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R2));
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R8, BITS));
        asm.push(Insn::mov(Reg::R3, Reg::R1));
        asm.push(Insn::alu_imm(Alu::And, Reg::R3, 63));
        asm.push(Insn::alu(Alu::Rsh, Reg::R2, Reg::R3));
        asm.push(Insn::alu_imm(Alu::And, Reg::R2, 1));
        asm.jump_imm(Cond::Ne, Reg::R2, 0, object);
        asm.push(Insn::load(Size::W, Reg::R2, Reg::R7, self.size));
        asm.push(Insn::alu(Alu::Mul, Reg::R1, Reg::R2));
        load(asm, Reg::R2, own.start);
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
        if let Some(pad) = self.red_left_pad {
            asm.push(Insn::load(Size::W, Reg::R2, Reg::R7, pad));
            asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
        }
        asm.push(Insn::store(Size::Dw, Reg::R6, own.object, Reg::R1));
        visitor.object(asm, object)?;
        asm.jump(object);
        asm.bind(cut);
        asm.comment("the run ends before the slab");
        load(asm, Reg::R1, own.row);
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::CURSOR, Reg::R1));
        asm.jump(emitter.full());
        asm.bind(gone);
        load(asm, Reg::R1, own.row);
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::CURSOR, Reg::R1));
        asm.jump(next);
        asm.bind(done);
        self.vmemmap.check(asm, gone);
        rows.flags(asm);
        asm.push(Insn::store(Size::Dw, Reg::R6, own.flags, Reg::R1));
        self.slab_row_at(asm, room, own, cut);
        load(asm, Reg::R1, own.flags);
        asm.push(Insn::store(Size::W, Reg::R8, FLAGS, Reg::R1));
        // Its members cost about as much as a slab.
        load(asm, Reg::R1, page::BUDGET);
        load(asm, Reg::R2, page::OBJECTS);
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        asm.push(Insn::store(Size::Dw, Reg::R6, page::BUDGET, Reg::R1));
        Ok(())
    }

    /// Appends `R8 = the row of the slab`. Takes `R3`.
    fn slab_row_at(&self, asm: &mut Assembler, room: Room, own: Own, cut: Label) {
        let last = i32::try_from(room.space - u32::from(self.slab_row())).unwrap_or(i32::MAX);
        asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, own.row));
        asm.jump_imm(Cond::Gt, Reg::R3, last, cut);
        asm.map_value(Reg::R8, rows::HEADER);
        asm.push(Insn::alu(Alu::Add, Reg::R8, Reg::R3));
    }
}

/// Makes the rows of slabs; the numbers lie in the header.
struct SlabRows {
    objects: Objects,
    own: Own,
    /// Where the next slab is looked for.
    next: Option<Label>,
    /// Whether no rows of objects follow, behind which the slab is looked at again.
    alone: bool,
}

impl Hooks for SlabRows {
    type Error = Infallible;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Infallible> {
        self.next = Some(skip);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, page::STATE));
        asm.jump_imm(Cond::Eq, Reg::R1, page::KFENCE, skip);
        if self.objects.only != 0 {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::SELF));
            asm.set(Reg::R2, self.objects.only);
            asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, skip);
        }
        Ok(())
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), Infallible> {
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        load(asm, Reg::R1, page::PFN);
        asm.push(Insn::store(Size::Dw, Reg::R8, PFN, Reg::R1));
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, self.objects.page_size.cast_signed()));
        asm.set(Reg::R2, self.objects.page_offset);
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
        asm.push(Insn::store(Size::Dw, Reg::R6, self.own.start, Reg::R1));
        load(asm, Reg::R1, page::OBJECTS);
        asm.push(Insn::store(Size::W, Reg::R8, OBJECTS, Reg::R1));
        asm.push(Insn::store_imm(Size::W, Reg::R8, rows::ROW_KIND, rows::KIND_SLAB));
        zero(asm, [self.own.steps, self.own.flags].into_iter());
        self.freelist(asm);
        asm.push(Insn::mov_imm(Reg::R9, self.objects.slab_row().into()));
        if let Some(owners) = self.objects.owners {
            self.owners(asm, owners);
        }
        if self.alone {
            let next = self.next.unwrap_or_else(|| unreachable!("the filter comes first"));
            self.objects.vmemmap.check(asm, next);
            self.flags(asm);
            asm.push(Insn::store(Size::W, Reg::R8, FLAGS, Reg::R1));
        }
        load(asm, Reg::R1, page::BUDGET);
        load(asm, Reg::R2, self.own.steps);
        asm.push(Insn::alu_imm(Alu::Div, Reg::R2, STEPS_A_SLAB));
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        asm.push(Insn::store(Size::Dw, Reg::R6, page::BUDGET, Reg::R1));
        Ok(())
    }
}

impl SlabRows {
    /// Appends `R1 = the flags of the row`, behind the second look at the slab. Takes `R2` and `R3`.
    fn flags(&self, asm: &mut Assembler) {
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        let [known, same, other] = ["flags", "same", "of_no_cpu"].map(|name| asm.label(name));
        load(asm, Reg::R1, self.own.flags);
        load(asm, Reg::R2, page::INCOMPLETE);
        asm.jump_imm(Cond::Eq, Reg::R2, 0, same);
        asm.push(Insn::mov_imm(Reg::R1, INCOMPLETE));
        asm.jump(known);
        asm.bind(same);
        asm.comment("as many as the counters say");
        load(asm, Reg::R2, page::FROZEN);
        asm.jump_imm(Cond::Ne, Reg::R2, 0, known);
        load(asm, Reg::R2, page::FREE);
        load(asm, Reg::R3, self.own.steps);
        asm.jump_reg(Cond::Eq, Reg::R2, Reg::R3, known);
        asm.push(Insn::mov_imm(Reg::R1, CORRUPT));
        asm.bind(known);
        load(asm, Reg::R2, page::STATE);
        asm.jump_imm(Cond::Ne, Reg::R2, page::CPU, other);
        asm.push(Insn::alu_imm(Alu::Or, Reg::R1, OF_CPU));
        asm.bind(other);
        if let Some(owners) = self.objects.owners {
            let unowned = asm.label("unowned");
            let kinds = if owners.site.is_some() { OWNED | SITED } else { OWNED };
            load(asm, Reg::R2, self.own.owner);
            asm.jump_imm(Cond::Eq, Reg::R2, 0, unowned);
            asm.push(Insn::alu_imm(Alu::Or, Reg::R1, kinds));
            asm.bind(unowned);
        }
    }
}
