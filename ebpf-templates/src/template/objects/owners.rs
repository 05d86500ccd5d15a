//! Reads the vector that a slab has for its objects: the owner of each, and the site that allocated it.

use super::{INCOMPLETE, OWNER_FLAGS, OWNERS_A_SLAB, Objects, SlabRows};
use crate::assembler::{Assembler, Label};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::template::node::zero;
use crate::template::rows::page;
use crate::template::slab::Bits;

/// Bytes of an owner.
const WORD: i32 = 8;

/// Where the owners of a slab's objects are: a vector with an entry for each, which begins with the address of a
/// `struct obj_cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The offset of `obj_exts` in `struct slab`.
    pub vector: i32,
    /// The distance of entries.
    pub stride: Stride,
    /// The offset in an entry of the address of the `struct codetag`, if sites are wanted.
    pub site: Option<i32>,
}

impl Owners {
    /// Bytes of an object's entry in a row.
    #[must_use]
    pub fn entry(&self) -> u16 {
        if self.site.is_some() { 16 } else { 8 }
    }
}

/// How far entries lie from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// So many bytes.
    Fixed(i32),
    /// What these bits of the slab's counters say (7.0).
    Counted(Bits),
    /// Where `in_objects` is set in the slab's counters, the size of objects, in which entries lie; else so many bytes. Where
    /// `owned` is not set, entries have no owners, and begin with what is behind them elsewhere (7.3).
    Marked {
        /// Whether there are owners.
        owned: Bits,
        /// Whether entries lie in objects.
        in_objects: Bits,
        /// The distance of entries that lie elsewhere and have owners.
        bytes: i32,
    },
}

impl SlabRows {
    /// Appends the entries of the slab's objects to the row at `R8`, and their bytes to `R9`. Takes `R0` to `R5`.
    pub(super) fn owners(&self, asm: &mut Assembler, owners: Owners) {
        let Objects { vmemmap, bits, .. } = self.objects;
        let own = self.own;
        let first = self.objects.slab_row().cast_signed();
        let entry = i32::from(owners.entry());
        let [each, apart, all, cut, none, end] =
            ["owner", "owners_apart", "owners_all", "owners_cut", "no_owners", "owners_end"]
                .map(|name| asm.label(name));
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        let store = |asm: &mut Assembler, to, src| {
            asm.push(Insn::store(Size::Dw, Reg::R6, to, src));
        };
        asm.comment("the owners of its objects");
        load(asm, Reg::R1, page::SLAB);
        vmemmap.slab.peek.load(asm, owners.vector);
        asm.push(Insn::alu_imm(Alu::And, Reg::R0, !OWNER_FLAGS));
        store(asm, own.owner, Reg::R0);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, end);
        load(asm, Reg::R1, page::OBJECTS);
        asm.jump_imm(Cond::Gt, Reg::R1, bits.into(), none);
        self.stride(asm, owners, none, apart);
        if owners.stride != Stride::Fixed(entry) {
            asm.jump_imm(Cond::Ne, Reg::R1, entry, apart);
        }
        asm.comment("side by side, so all at once");
        load(asm, Reg::R2, page::OBJECTS);
        asm.jump_imm(Cond::Gt, Reg::R2, bits.into(), none);
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R2, entry));
        load(asm, Reg::R3, own.owner);
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.add(Reg::R1, first.into());
        asm.call(vmemmap.probe_read_kernel, "probe_read_kernel");
        asm.jump_imm(Cond::Ne, Reg::R0, 0, cut);
        asm.jump(all);
        asm.bind(apart);
        store(asm, own.stride, Reg::R1);
        zero(asm, [own.index].into_iter());
        asm.bind(each);
        asm.may_goto(cut);
        load(asm, Reg::R9, own.index);
        load(asm, Reg::R1, page::OBJECTS);
        asm.jump_reg(Cond::Ge, Reg::R9, Reg::R1, all);
        asm.jump_imm(Cond::Ge, Reg::R9, bits.into(), all);
        self.entry(asm, owners, first);
        load(asm, Reg::R1, own.owner);
        load(asm, Reg::R2, own.stride);
        asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
        store(asm, own.owner, Reg::R1);
        asm.add(Reg::R9, 1);
        store(asm, own.index, Reg::R9);
        asm.jump(each);
        asm.bind(cut);
        asm.push(Insn::store_imm(Size::Dw, Reg::R6, own.flags, INCOMPLETE));
        asm.bind(none);
        asm.push(Insn::mov_imm(Reg::R9, first.into()));
        zero(asm, [own.owner].into_iter());
        asm.jump(end);
        asm.bind(all);
        load(asm, Reg::R9, page::OBJECTS);
        load(asm, Reg::R1, page::BUDGET);
        asm.push(Insn::mov(Reg::R2, Reg::R9));
        asm.push(Insn::alu_imm(Alu::Div, Reg::R2, OWNERS_A_SLAB * WORD / entry));
        asm.push(Insn::alu(Alu::Sub, Reg::R1, Reg::R2));
        store(asm, page::BUDGET, Reg::R1);
        asm.push(Insn::alu_imm(Alu::Mul, Reg::R9, entry));
        asm.add(Reg::R9, first.into());
        asm.bind(end);
    }

    /// Appends `R1 = the distance of entries`, and notes where in them the site is. Goes to `none` where they have nothing that
    /// is wanted, and to `apart` where they have less than an entry of a row. Takes `R2`.
    fn stride(&self, asm: &mut Assembler, owners: Owners, none: Label, apart: Label) {
        let Objects { size, .. } = self.objects;
        let load = |asm: &mut Assembler, dst, from| {
            asm.push(Insn::load(Size::Dw, dst, Reg::R6, from));
        };
        match owners.stride {
            Stride::Fixed(bytes) => asm.push(Insn::mov_imm(Reg::R1, bytes)),
            Stride::Counted(bits) => {
                load(asm, Reg::R1, page::COUNTERS);
                bits.extract(asm, Reg::R1);
            }
            Stride::Marked { owned, in_objects, bytes } => {
                let known = asm.label("stride_known");
                load(asm, Reg::R1, page::COUNTERS);
                asm.push(Insn::mov(Reg::R2, Reg::R1));
                owned.extract(asm, Reg::R1);
                in_objects.extract(asm, Reg::R2);
                if owners.site.is_some() {
                    asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, WORD));
                    asm.push(Insn::store(Size::Dw, Reg::R6, self.own.site, Reg::R1));
                    asm.add(Reg::R1, bytes - WORD);
                } else {
                    asm.jump_imm(Cond::Eq, Reg::R1, 0, none);
                    asm.push(Insn::mov_imm(Reg::R1, bytes));
                }
                asm.jump_imm(Cond::Eq, Reg::R2, 0, known);
                asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, size));
                if owners.site.is_some() {
                    // An object may be as large as an entry that has no owner.
                    asm.jump(apart);
                }
                asm.bind(known);
            }
        }
    }

    /// Appends the entry of the object whose number is in `R9` to the row at `R8`. Takes `R0` to `R5`.
    fn entry(&self, asm: &mut Assembler, owners: Owners, first: i16) {
        let peek = self.objects.vmemmap.slab.peek;
        let own = self.own;
        let marked = matches!(owners.stride, Stride::Marked { .. });
        let put = |asm: &mut Assembler, at: i16| {
            asm.push(Insn::mov(Reg::R1, Reg::R9));
            asm.push(Insn::alu_imm(Alu::Mul, Reg::R1, owners.entry().into()));
            asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R8));
            asm.push(Insn::store(Size::Dw, Reg::R1, at, Reg::R0));
        };
        let Some(site) = owners.site else {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, own.owner));
            peek.load(asm, 0);
            put(asm, first);
            return;
        };
        let no_owner = asm.label("no_owner");
        if marked {
            asm.push(Insn::mov_imm(Reg::R0, 0));
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, own.site));
            asm.jump_imm(Cond::Eq, Reg::R2, 0, no_owner);
        }
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, own.owner));
        peek.load(asm, 0);
        asm.bind(no_owner);
        put(asm, first);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, own.owner));
        if marked {
            asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R6, own.site));
            asm.push(Insn::alu(Alu::Add, Reg::R1, Reg::R2));
            peek.load(asm, 0);
        } else {
            peek.load(asm, site);
        }
        put(asm, first + 8);
    }
}
