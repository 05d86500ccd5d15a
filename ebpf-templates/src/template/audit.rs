//! Programs that tell who creates and destroys caches: a record for each time.
//!
//! They run where the kernel's own functions do it ([`Hook::FUNCTIONS`], or by kprobes [`Hook::PROBED`]). Where a kernel
//! refuses that, the boot cache serves, whose objects the caches are: what is allocated of it is a cache, and is freed as
//! one ([`Hook::BOOT`]).
//!
//! ```text
//!   map 0: where a record is put together, a place for each program on each CPU
//!   map 1: counts the records that the ring had no room for, for each CPU
//!   map 2: the ring of records
//! ```
//!
//! # Registers
//!
//! | register | holds |
//! |---|---|
//! | `R6` | the context |
//! | `R7` | the cache |
//! | `R8` | the record |
//!
//! # Invariants
//!
//! - Of a cache that is being allocated or freed nothing is read but its address: its members are not there yet, or no
//!   longer.

use crate::assembler::{Assembler, FrameFull};
use crate::insn::{Cond, Insn, Reg, Size};
use crate::object::{MapKind, MapSpec};
use crate::program::{Kind, Program};
use crate::template::events::{CGROUP, COMM, DEPTH, OUTPUT, PID, STACK, TIME, ZERO_SIZE_PTR};
use crate::template::maps::{address, count_loss, look_up};

const PLACES: u32 = 0;
/// The map that counts losses.
pub const LOST: u32 = 1;
/// The ring of records.
pub const RING: u32 = 2;
/// Bytes of the ring; a power of two. A record is for one cache, so there are few.
const RING_BYTES: u32 = 1 << 18;

/// The most bytes of a name, with the NUL.
const NAME_BYTES: u16 = 256;
const READ: (u32, &str) = (113, "probe_read_kernel");
const READ_STR: (u32, &str) = (115, "probe_read_kernel_str");

/// Where the parts of a record begin.
mod at {
    use super::NAME_BYTES;

    pub const HOOK: i16 = 0;
    pub const CACHE: i16 = 8;
    pub const TIME: i16 = 16;
    pub const PID: i16 = 24;
    pub const COMM: i16 = 32;
    pub const CGROUP: i16 = 48;
    pub const SITE: i16 = 56;
    pub const FLAGS: i16 = 64;
    pub const SIZE: i16 = 72;
    pub const REFCOUNT: i16 = 80;
    pub const NAME: i16 = 88;
    pub const STACK: i16 = NAME + NAME_BYTES.cast_signed();
}

/// Bytes of a record.
const RECORD_BYTES: u32 = at::STACK as u32 + STACK_BYTES;
#[allow(clippy::cast_possible_truncation)] // there are 48
const STACK_BYTES: u32 = 8 * DEPTH as u32;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// At the end of `do_kmem_cache_create(s, name, size, args, flags)`, since Linux 6.12.
    Created,
    /// At the end of `__kmem_cache_create(s, flags)`, before.
    CreatedBefore,
    /// `sysfs_slab_alias(s, name)`; it is called for a new cache's own name as well, which nobody refers to yet.
    Merged,
    /// `kmem_cache_destroy(s)`; of a cache that others share only their reference goes.
    Destroyed,
    /// `slab_kmem_cache_release(s)`
    Released,
    /// At the end of `__kmem_cache_create_args(name, size, …)`, since Linux 6.12, by a kprobe. It returns also a cache that
    /// there was before and that the new one was merged into.
    ProbedCreated,
    /// At the end of `kmem_cache_create_usercopy(name, size, …)`, before, likewise.
    ProbedCreatedBefore,
    /// [`Self::Merged`] by a kprobe.
    ProbedMerged,
    /// [`Self::Destroyed`] by a kprobe.
    ProbedDestroyed,
    /// [`Self::Released`] by a kprobe.
    ProbedReleased,
    /// The tracepoint `kmem_cache_alloc(call_site, ptr, s, …)`, where `s` is the boot cache.
    Allocated,
    /// The tracepoint `kmem_cache_free(call_site, ptr, s)`, likewise.
    Freed,
}

/// What there is to know of a [`Hook`].
struct HookRow {
    /// The kernel's function or tracepoint.
    target: &'static str,
    /// The section of the program in an object, which says how it is attached.
    section: &'static str,
    /// The name of the program.
    program: &'static str,
    /// The argument that is the cache; of a kprobe [`RETURNED`] too.
    cache: usize,
    /// The argument that is what the function returned; what is not 0 is a failure.
    result: Option<usize>,
    /// Where the name is.
    name: Name,
}

/// Where the name of a cache is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    /// A member of the cache, which is whole.
    Member,
    /// An argument; the cache is whole too.
    Argument(usize),
    /// Nowhere, and nothing of the cache is there.
    Nowhere,
}

/// What a kprobe at the end of a function reads, instead of an argument.
const RETURNED: usize = 2;

impl Hook {
    /// Those at functions of the kernel.
    pub const FUNCTIONS: [Self; 5] =
        [Self::Created, Self::CreatedBefore, Self::Merged, Self::Destroyed, Self::Released];
    /// The same by kprobes.
    pub const PROBED: [Self; 5] = [
        Self::ProbedCreated,
        Self::ProbedCreatedBefore,
        Self::ProbedMerged,
        Self::ProbedDestroyed,
        Self::ProbedReleased,
    ];
    /// Those at tracepoints.
    pub const BOOT: [Self; 2] = [Self::Allocated, Self::Freed];
    /// All of them.
    const ALL: [Self; 12] = [
        Self::Created,
        Self::CreatedBefore,
        Self::Merged,
        Self::Destroyed,
        Self::Released,
        Self::ProbedCreated,
        Self::ProbedCreatedBefore,
        Self::ProbedMerged,
        Self::ProbedDestroyed,
        Self::ProbedReleased,
        Self::Allocated,
        Self::Freed,
    ];

    #[rustfmt::skip]
    fn row(self) -> HookRow {
        let row = |target, section, program, cache, result, name| HookRow { target, section, program, cache, result, name };
        match self {
            Self::Created => row("do_kmem_cache_create", "fexit/do_kmem_cache_create", "slabql_create", 0, Some(5), Name::Member),
            Self::CreatedBefore => row("__kmem_cache_create", "fexit/__kmem_cache_create", "slabql_create", 0, Some(2), Name::Member),
            Self::Merged => row("sysfs_slab_alias", "fentry/sysfs_slab_alias", "slabql_merge", 0, None, Name::Argument(1)),
            Self::Destroyed => row("kmem_cache_destroy", "fentry/kmem_cache_destroy", "slabql_destroy", 0, None, Name::Member),
            Self::Released => row("slab_kmem_cache_release", "fentry/slab_kmem_cache_release", "slabql_release", 0, None, Name::Member),
            Self::ProbedCreated => row("__kmem_cache_create_args", "kretprobe/__kmem_cache_create_args", "slabql_create", RETURNED, None, Name::Member),
            Self::ProbedCreatedBefore => row("kmem_cache_create_usercopy", "kretprobe/kmem_cache_create_usercopy", "slabql_create", RETURNED, None, Name::Member),
            Self::ProbedMerged => row("sysfs_slab_alias", "kprobe/sysfs_slab_alias", "slabql_merge", 0, None, Name::Argument(1)),
            Self::ProbedDestroyed => row("kmem_cache_destroy", "kprobe/kmem_cache_destroy", "slabql_destroy", 0, None, Name::Member),
            Self::ProbedReleased => row("slab_kmem_cache_release", "kprobe/slab_kmem_cache_release", "slabql_release", 0, None, Name::Member),
            Self::Allocated => row("kmem_cache_alloc", "raw_tp/kmem_cache_alloc", "slabql_alloc", 1, None, Name::Nowhere),
            Self::Freed => row("kmem_cache_free", "raw_tp/kmem_cache_free", "slabql_free", 1, None, Name::Nowhere),
        }
    }

    /// The kernel's function, or its tracepoint.
    #[must_use]
    pub fn target(self) -> &'static str {
        self.row().target
    }

    /// The section of its program in an object.
    #[must_use]
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// The name of its program in the kernel.
    #[must_use]
    pub fn function(self) -> &'static str {
        self.row().program
    }

    /// Its number among all of them.
    fn number(self) -> i32 {
        let index = Self::ALL.iter().position(|hook| *hook == self);
        i32::try_from(index.unwrap_or(0)).unwrap_or(0)
    }
}

/// A member of `struct kmem_cache`: where it begins, and its bytes.
pub type Place = (i32, i32);

/// The programs of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The cache whose objects are the caches.
    pub boot: u64,
    /// The member `name`.
    pub name: Place,
    /// The member `size`.
    pub size: Place,
    /// The member `flags`.
    pub flags: Place,
    /// The member `refcount`.
    pub refcount: Place,
    /// Where registers are in `struct pt_regs`: those of the first two arguments, and of what a function returns.
    pub registers: [i16; 3],
}

/// What a program told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it ran.
    pub hook: Hook,
    /// The address of the cache.
    pub cache: u64,
    /// When that was, in nanoseconds of the monotonic clock.
    pub time: u64,
    /// The process.
    pub pid: u64,
    /// The name of the thread.
    pub comm: Vec<u8>,
    /// The number of the process's cgroup in the hierarchy of version 2.
    pub cgroup: u64,
    /// The address behind the call of the allocator; 0 at a function.
    pub site: u64,
    /// The name of the cache, or of the one that is merged into it; empty where it could not be read.
    pub name: Vec<u8>,
    /// The flags of the cache, its size, and how many refer to it; none at a tracepoint.
    pub figures: Option<[u64; 3]>,
    /// The stack, the innermost frame first; empty if it could not be taken.
    pub stack: Vec<u64>,
}

impl Record {
    /// Reads a record; None of bytes that are none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let part = |at: i16, length: usize| {
            let at = usize::from(at.unsigned_abs());
            bytes.get(at..at + length)
        };
        let word = |at: i16| Some(u64::from_le_bytes(*part(at, 8)?.first_chunk()?));
        let text = |at: i16, length: usize| {
            let bytes = part(at, length)?;
            Some(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
        };
        let hook = *Hook::ALL.get(usize::try_from(word(at::HOOK)?).ok()?)?;
        let whole = hook.row().name != Name::Nowhere;
        let figures = [word(at::FLAGS)?, word(at::SIZE)?, word(at::REFCOUNT)?];
        let frames = part(at::STACK, STACK_BYTES as usize)?.as_chunks::<8>().0.iter();
        let frames = frames.map(|frame| u64::from_le_bytes(*frame));
        Some(Self {
            hook,
            cache: word(at::CACHE)?,
            time: word(at::TIME)?,
            pid: word(at::PID)?,
            comm: text(at::COMM, 16)?,
            cgroup: word(at::CGROUP)?,
            site: word(at::SITE)?,
            name: text(at::NAME, NAME_BYTES.into())?,
            figures: whole.then_some(figures),
            stack: frames.take_while(|frame| *frame != 0).collect(),
        })
    }
}

impl Audit {
    /// The maps of the programs, by number.
    #[must_use]
    pub fn maps() -> Vec<MapSpec> {
        let places = u32::try_from(Hook::ALL.len()).unwrap_or(0);
        vec![
            MapSpec::new("slabql_places", MapKind::PercpuArray, 4, RECORD_BYTES, places),
            MapSpec::new("slabql_lost", MapKind::PercpuArray, 4, 8, 1),
            MapSpec::new("slabql_audit", MapKind::RingBuffer, 0, 0, RING_BYTES),
        ]
    }

    /// Builds the program of a hook.
    pub fn program(&self, hook: Hook) -> Result<Program, FrameFull> {
        let row = hook.row();
        // At a function the context is the same: the arguments, and what it returned behind them. That of a kprobe are
        // the registers.
        let mut asm = Assembler::new(Kind::RawTracepoint, 0);
        let number = asm.reserve(8)?;
        let out = asm.label("out");
        asm.comment(row.section);
        asm.push(Insn::mov(Reg::R6, Reg::R1));
        asm.push(Insn::load(Size::Dw, Reg::R7, Reg::R6, self.argument(hook, row.cache)));
        asm.jump_imm(Cond::Le, Reg::R7, ZERO_SIZE_PTR, out);
        if Hook::BOOT.contains(&hook) {
            asm.comment("an object of the boot cache");
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, 16));
            asm.set(Reg::R2, self.boot);
            asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, out);
        }
        if let Some(result) = row.result {
            asm.comment("it succeeded");
            asm.push(Insn::load(Size::W, Reg::R1, Reg::R6, self.argument(hook, result)));
            asm.jump_imm(Cond::Ne, Reg::R1, 0, out);
        }
        asm.comment("the place of this program on this CPU");
        asm.push(Insn::store_imm(Size::Dw, Reg::R10, number, hook.number()));
        look_up(&mut asm, PLACES, Reg::R10, number);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
        asm.push(Insn::mov(Reg::R8, Reg::R0));
        asm.comment("what, and who");
        asm.push(Insn::store_imm(Size::Dw, Reg::R8, at::HOOK, hook.number()));
        asm.push(Insn::store(Size::Dw, Reg::R8, at::CACHE, Reg::R7));
        let shifted = Insn::alu_imm(crate::insn::Alu::Rsh, Reg::R0, 32);
        for ((helper, name), shift, at) in
            [(TIME, None, at::TIME), (PID, Some(shifted), at::PID), (CGROUP, None, at::CGROUP)]
        {
            asm.call(helper, name);
            if let Some(shift) = shift {
                asm.push(shift);
            }
            asm.push(Insn::store(Size::Dw, Reg::R8, at, Reg::R0));
        }
        address(&mut asm, Reg::R1, Reg::R8, at::COMM);
        asm.push(Insn::mov_imm(Reg::R2, 16));
        asm.call(COMM.0, COMM.1);
        self.of_cache(&mut asm, hook, row.name);
        asm.comment("the stack, and zeros behind it");
        asm.push(Insn::mov(Reg::R1, Reg::R6));
        address(&mut asm, Reg::R2, Reg::R8, at::STACK);
        asm.push(Insn::mov_imm(Reg::R3, STACK_BYTES.cast_signed()));
        asm.push(Insn::mov_imm(Reg::R4, 0));
        asm.call(STACK.0, STACK.1);
        asm.comment("a record");
        asm.map(Reg::R1, RING);
        asm.push(Insn::mov(Reg::R2, Reg::R8));
        asm.push(Insn::mov_imm(Reg::R3, RECORD_BYTES.cast_signed()));
        asm.push(Insn::mov_imm(Reg::R4, 0));
        asm.call(OUTPUT.0, OUTPUT.1);
        asm.jump_imm(Cond::Eq, Reg::R0, 0, out);
        count_loss(&mut asm, LOST, number, 0, out);
        asm.bind(out);
        asm.push(Insn::mov_imm(Reg::R0, 0));
        asm.push(Insn::exit());
        Ok(asm.finish())
    }

    /// Where an argument of a hook is in its context.
    fn argument(&self, hook: Hook, number: usize) -> i16 {
        if Hook::PROBED.contains(&hook) {
            return self.registers.get(number).copied().unwrap_or(0);
        }
        i16::try_from(8 * number).unwrap_or(0)
    }

    /// Stores what the cache is, as far as it is there.
    fn of_cache(&self, asm: &mut Assembler, hook: Hook, name: Name) {
        asm.comment("the cache");
        // Behind the call that allocated it.
        if name == Name::Nowhere {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, 0));
            asm.push(Insn::store(Size::Dw, Reg::R8, at::SITE, Reg::R1));
            asm.push(Insn::store_imm(Size::Dw, Reg::R8, at::NAME, 0));
            return;
        }
        asm.zero(Reg::R8, at::SITE, 40);
        let members =
            [(at::FLAGS, self.flags), (at::SIZE, self.size), (at::REFCOUNT, self.refcount)];
        for (at, place) in members {
            read(asm, at, place);
        }
        if let Name::Argument(number) = name {
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R6, self.argument(hook, number)));
        } else {
            read(asm, at::NAME, self.name);
            asm.push(Insn::load(Size::Dw, Reg::R3, Reg::R8, at::NAME));
        }
        asm.push(Insn::store_imm(Size::Dw, Reg::R8, at::NAME, 0));
        address(asm, Reg::R1, Reg::R8, at::NAME);
        asm.push(Insn::mov_imm(Reg::R2, NAME_BYTES.into()));
        asm.call(READ_STR.0, READ_STR.1);
    }
}

/// Reads a member of the cache to its place in the record.
fn read(asm: &mut Assembler, at: i16, (offset, bytes): Place) {
    address(asm, Reg::R1, Reg::R8, at);
    asm.push(Insn::mov_imm(Reg::R2, bytes));
    asm.push(Insn::mov(Reg::R3, Reg::R7));
    asm.add(Reg::R3, offset);
    asm.call(READ.0, READ.1);
}
