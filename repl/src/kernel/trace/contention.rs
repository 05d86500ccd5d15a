//! Attaches the programs that measure waits for locks. What may be said of [`super::Tracer`] holds here too.

use std::collections;

use aya::Ebpf;
use aya::maps::{PerCpuArray, PerCpuHashMap};
use aya::programs::RawTracePoint;
use ebpf_templates::template::contention::{Contention, KEY_WORDS, LOST, Point, WAITS};

use super::{load, missing, refused, unreadable, verified};
use crate::report::error::Failure;

/// Programs that are attached.
pub struct Watcher(Ebpf);

/// Waits: how many, nanoseconds in all, the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub count: u64,
    /// How long in all, in nanoseconds.
    pub total: u64,
    /// The longest of them.
    pub longest: u64,
}

/// The waits by the lock, and frames of the stack, the innermost first.
pub type ByLock = collections::HashMap<(u64, Vec<u64>), Waits>;

impl Waits {
    /// Adds other waits.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.total = self.total.saturating_add(other.total);
        self.longest = self.longest.max(other.longest);
    }
}

impl Watcher {
    /// Loads the programs and attaches them.
    pub fn attach(contention: &Contention) -> Result<Self, Failure> {
        let program = |point: Point| (point.section(), point.function(), contention.program(point));
        let mut ebpf = load(&Contention::maps(), Point::ALL.into_iter().map(program))?;
        // The end comes first: a wait that begins before has no end otherwise.
        for point in [Point::End, Point::Begin] {
            let what = format!("attach to the tracepoint `{}`", point.tracepoint());
            let program = ebpf.program_mut(point.function()).ok_or_else(missing)?;
            let program: &mut RawTracePoint =
                program.try_into().map_err(|error| refused(&what, &error))?;
            verified(|| program.load()).map_err(|error| refused(&what, &error))?;
            program.attach(point.tracepoint()).map_err(|error| refused(&what, &error))?;
        }
        Ok(Self(ebpf))
    }

    /// Detaches the programs, and gives the waits that ended and how many had no room.
    pub fn detach(mut self) -> Result<(ByLock, u64), Failure> {
        for point in Point::ALL {
            let what = "detach a program";
            let program = self.0.program_mut(point.function()).ok_or_else(missing)?;
            let program: &mut RawTracePoint =
                program.try_into().map_err(|error| refused(what, &error))?;
            program.unload().map_err(|error| refused(what, &error))?;
        }
        let maps = Contention::maps();
        let map = |number: u32| self.0.map(maps[number as usize].name).ok_or_else(missing);
        let waits: PerCpuHashMap<_, [u64; KEY_WORDS], [u64; 3]> =
            map(WAITS)?.try_into().map_err(unreadable)?;
        let mut found = ByLock::new();
        for entry in &waits {
            let ([lock, frames @ ..], values) = entry.map_err(unreadable)?;
            let frames = frames.into_iter().take_while(|frame| *frame != 0).collect();
            let waits = found.entry((lock, frames)).or_default();
            for [count, total, longest] in values.iter().copied() {
                waits.add(Waits { count, total, longest });
            }
        }
        let lost: PerCpuArray<_, u64> = map(LOST)?.try_into().map_err(unreadable)?;
        let lost = lost.get(&0, 0).map_err(unreadable)?.iter().sum();
        Ok((found, lost))
    }
}
