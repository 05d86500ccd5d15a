//! Follows the kernel's list of caches, where the kernel has no iterator over it.
//!
//! ```text
//!   head ─► cache ─► cache ─► … ─► head          next
//!        ◄─       ◄─       ◄─   ◄─               prev
//! ```
//!
//! Nothing holds the list: a cache can be made, destroyed, or destroyed and made again in the same place while the
//! program stands on it. So nothing is believed until its neighbours say the same:
//!
//! | before | is checked |
//! |---|---|
//! | a step to a cache | that `prev` of the next one leads back here |
//! | a step from a cache | that `prev` of the cache is where the program came from: it is where it was when its row was made, and when its `next` was read |
//! | a row | that the sizes of the cache are some, and that it has a name |
//! | the end | that this is the head, by then at the latest after [`MOST`] steps |
//!
//! A walk that fails a check ends the run with [`rows::LOST`]: what is in the map then is not the answer, and the
//! reader runs the program again.
//!
//! # Not done here
//!
//! What is read later in the program is taken to be later in the memory, as on x86-64.
//!
//! A cache that is destroyed and made again between two steps, in the same place of the memory and of the list, is one
//! cache to the program.

use super::driver::{Emitter, Hooks, Room, To, flag};
use super::node::round;
use super::peek::Peek;
use super::rows;
use crate::assembler::{Assembler, Rounds};
use crate::insn::{Cond, Insn, Reg, Size};

/// The most caches that a list is believed to have.
pub const MOST: i32 = 1 << 17;

/// The offset of `prev` in a list's link.
const PREV: i32 = 8;

/// The list, and what the members of a cache are that are asked on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// The address of its head, `slab_caches`.
    pub head: u64,
    /// How numbers are read.
    pub peek: Peek,
    /// The BTF id of `struct kmem_cache`.
    pub cache_type: u32,
    /// The offset of `list` in it.
    pub list: i16,
    /// The offset of `name`.
    pub name: i16,
    /// The offset of `size`, an `unsigned int`.
    pub size: i16,
    /// The offset of `object_size`, an `unsigned int`.
    pub object_size: i16,
    /// What the program calls in rounds, where the kernel has no other loops.
    pub rounds: Option<Rounds>,
}

impl List {
    /// Appends a program that makes what the hooks make of each cache.
    pub(super) fn follow<H: Hooks>(
        &self,
        asm: &mut Assembler,
        room: Room,
        hooks: &mut H,
    ) -> Result<(), H::Error> {
        // The first reservations of a frame are its top bytes.
        let [node, before] = [-8, -16];
        let _ = (asm.reserve(8), asm.reserve(8));
        let [next, step, first, again, cut, torn, full, done] =
            ["next", "step", "first", "again", "cut", "torn", "full", "done"]
                .map(|name| asm.label(name));
        asm.comment("syscall: one run follows the list of all caches");
        asm.map_value(Reg::R6, 0);
        asm.zero(Reg::R6, rows::CURSOR, 32);
        asm.set(Reg::R9, self.head);
        asm.push(Insn::store(Size::Dw, Reg::R10, node, Reg::R9));
        asm.jump(step);
        asm.bind(next);
        asm.may_goto(cut);
        asm.bind(step);
        asm.comment("the next one, which leads back");
        asm.push(Insn::load(Size::Dw, Reg::R9, Reg::R10, node));
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        self.peek.load(asm, 0);
        asm.push(Insn::mov(Reg::R8, Reg::R0));
        asm.push(Insn::mov(Reg::R1, Reg::R0));
        self.peek.load(asm, PREV);
        asm.jump_reg(Cond::Ne, Reg::R0, Reg::R9, torn);
        asm.set(Reg::R1, self.head);
        asm.jump_reg(Cond::Eq, Reg::R9, Reg::R1, first);
        asm.comment("it is where it was, so the next one is too");
        asm.push(Insn::mov(Reg::R1, Reg::R9));
        self.peek.load(asm, PREV);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, before));
        asm.jump_reg(Cond::Ne, Reg::R0, Reg::R1, torn);
        asm.bind(first);
        asm.set(Reg::R1, self.head);
        asm.jump_reg(Cond::Eq, Reg::R8, Reg::R1, done);
        asm.push(Insn::store(Size::Dw, Reg::R10, before, Reg::R9));
        asm.push(Insn::store(Size::Dw, Reg::R10, node, Reg::R8));
        round(asm, rows::ELEMENTS, MOST, torn);
        self.cache(asm);
        asm.comment("it is a cache");
        asm.push(Insn::load(Size::W, Reg::R1, Reg::R7, self.object_size));
        asm.push(Insn::load(Size::W, Reg::R2, Reg::R7, self.size));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, torn);
        asm.jump_reg(Cond::Lt, Reg::R2, Reg::R1, torn);
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R7, self.name));
        // A pointer is never NULL to the verifier; a number may be 0.
        asm.push(Insn::store(Size::Dw, Reg::R6, rows::NUMBER, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::NUMBER));
        asm.jump_imm(Cond::Eq, Reg::R1, 0, torn);
        hooks.element(asm, &Emitter { room, to: To::Map, full }, again)?;
        asm.bind(again);
        if self.rounds.is_none() {
            // The verifier compares each way back with those before it, and forgets one that 65 others did not match:
            // among many names, a constant in the frame keeps it from ever seeing the same loop again.
            asm.comment("the same frame from everywhere");
            asm.wipe_frame(16);
        }
        asm.jump(next);
        asm.bind(full);
        flag(asm, rows::FULL);
        asm.jump(done);
        asm.bind(cut);
        flag(asm, rows::CUT);
        asm.jump(done);
        asm.bind(torn);
        flag(asm, rows::LOST);
        asm.bind(done);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(())
    }

    /// Appends `R7 = the cache whose link is at R8`.
    fn cache(&self, asm: &mut Assembler) {
        asm.push(Insn::mov(Reg::R1, Reg::R8));
        asm.add(Reg::R1, -i32::from(self.list));
        self.peek.cast(asm, self.cache_type);
        asm.push(Insn::mov(Reg::R7, Reg::R0));
    }
}
