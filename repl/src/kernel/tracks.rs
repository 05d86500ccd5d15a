//! Who allocated an object, where the cache is debugged with `slub_debug=U`: the record that the allocator keeps behind the
//! object, of its last allocation.
//!
//! ```text
//!   object … [freelist pointer] struct track of the allocation, struct track of the free
//! ```
//!
//! Where the freelist pointer lies in the object, the record follows at once.

use query::catalog::Track;
use query::schema::Schema;
use rustix::time::{ClockId, clock_getres};

use super::lookup::{Memory, Ticks, Words};
use super::schema::KernelSchema;
use crate::report::error::Failure;

/// Bytes of a freelist pointer.
const POINTER: u64 = 8;

/// The flag of caches that keep records; 0 if the kernel does not name it.
#[must_use]
pub fn flag(schema: &KernelSchema) -> u64 {
    let flags = Schema::slab_flags(schema).iter();
    flags.filter(|(name, _)| name == "STORE_USER").map(|(_, bit)| 1 << bit).next().unwrap_or(0)
}

/// How far behind the start of an object its record is, by `offset` and `inuse` of the cache.
#[must_use]
pub fn behind(offset: u64, inuse: u64) -> u64 {
    if offset >= inuse { inuse + POINTER } else { inuse }
}

/// Reads records.
pub struct Tracks<'a> {
    schema: &'a KernelSchema,
    memory: Memory<'a>,
    ticks: Ticks,
}

impl<'a> Tracks<'a> {
    /// Loads what reads them.
    pub fn open(schema: &'a KernelSchema) -> Result<Self, Failure> {
        Ok(Self { schema, memory: Memory::of_words(schema)?, ticks: Ticks::open(schema)? })
    }

    /// A member of each of these records; none where the address is 0, and of what was never allocated. The age is in
    /// nanoseconds.
    pub fn read(&self, records: &[u64], member: Track) -> Result<Vec<Option<u64>>, Failure> {
        let found = self.schema.member("track", member.member()).ok_or_else(|| {
            let message = format!("the kernel has no member `track.{}`", member.member());
            Failure::environment(message, None)
        })?;
        let words = self.memory.follow(records, found.offset.into())?;
        // A record is cleared when its slab is made.
        let callers = match member {
            Track::Caller => words.clone(),
            Track::Pid | Track::Age => {
                let offset = self.memory.offset("track", Track::Caller.member()).unwrap_or(0);
                self.memory.follow(records, offset)?
            }
        };
        let (now, tick) = match member {
            // Later than each of them.
            Track::Age => (self.ticks.now()?, tick()),
            Track::Caller | Track::Pid => (0, 0),
        };
        let value = |word: u64| match member {
            Track::Caller => word,
            Track::Pid => word & u64::from(u32::MAX),
            Track::Age => now.saturating_sub(word).saturating_mul(tick),
        };
        let pairs = words.into_iter().zip(callers);
        Ok(pairs.map(|(word, caller)| (caller != 0).then(|| value(word))).collect())
    }
}

/// The nanoseconds of a tick, which is what coarse clocks go by.
fn tick() -> u64 {
    let resolution = clock_getres(ClockId::MonotonicCoarse);
    u64::try_from(resolution.tv_nsec).unwrap_or(0)
}
