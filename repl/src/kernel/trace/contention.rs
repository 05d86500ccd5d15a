//! Attaches the programs that measure waits for locks. What may be said of [`super::Tracer`] holds here too.

use std::collections;

use aya::Ebpf;
use aya::maps::{Map, PerCpuArray};
use aya::programs::RawTracePoint;
use ebpf_templates::template::contention::{Contention, KEY_WORDS, LOST, Point, TURN, WAITS};

use super::turns::{Sum, Turns};
use super::{begin_turn, load, missing, refused, sums_until, unreadable, verified};
use crate::report::error::Failure;

/// Programs that are attached.
pub struct Watcher {
    ebpf: Ebpf,
    turns: Turns<Waits>,
}

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

impl Sum for Waits {
    fn since(self, before: Option<Self>) -> Option<Self> {
        let before = before.unwrap_or_default();
        let count = self.count.checked_sub(before.count).filter(|late| *late > 0)?;
        let total = self.total.saturating_sub(before.total);
        // The longest may be one of before; none was longer than all together.
        Some(Self { count, total, longest: self.longest.min(total) })
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
        Ok(Self { ebpf, turns: Turns::default() })
    }

    /// Ends a turn. Gives the waits that ended since the one before, and how many had no room since the beginning.
    pub fn turn(&mut self) -> Result<(ByLock, u64), Failure> {
        let ended = self.turns.now;
        self.turns.now += 1;
        begin_turn(self.map(TURN)?, ended + 1)?;
        let at = KEY_WORDS - 1;
        let sum = |values: &[[u64; 3]]| {
            let mut waits = Waits::default();
            for [count, total, longest] in values.iter().copied() {
                waits.add(Waits { count, total, longest });
            }
            waits
        };
        let found = sums_until::<KEY_WORDS, _, _>(self.map(WAITS)?, at, ended, sum)?;
        let mut by_lock = ByLock::new();
        for (key, waits) in self.turns.end(ended, at, found) {
            let frames = key[1..].iter().copied().take_while(|frame| *frame != 0).collect();
            by_lock.entry((key[0], frames)).or_default().add(waits);
        }
        let lost: PerCpuArray<_, u64> = self.map(LOST)?.try_into().map_err(unreadable)?;
        Ok((by_lock, lost.get(&0, 0).map_err(unreadable)?.iter().sum()))
    }

    /// Detaches the programs, and gives what [`Self::turn`] does.
    pub fn detach(&mut self) -> Result<(ByLock, u64), Failure> {
        for point in Point::ALL {
            let what = "detach a program";
            let program = self.ebpf.program_mut(point.function()).ok_or_else(missing)?;
            let program: &mut RawTracePoint =
                program.try_into().map_err(|error| refused(what, &error))?;
            program.unload().map_err(|error| refused(what, &error))?;
        }
        self.turn()
    }

    fn map(&mut self, number: u32) -> Result<&mut Map, Failure> {
        self.ebpf.map_mut(Contention::maps()[number as usize].name).ok_or_else(missing)
    }
}
