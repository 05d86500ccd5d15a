//! Attaches programs to the kernel's tracepoints, and reads what they gathered.
//!
//! ```text
//!   Events ── object ──► ELF ── aya ──► programs, maps, links ── detach ──► Gathered
//! ```
//!
//! Only a trace comes here. The programs are aya's to load and attach, by descriptors alone: when the [`Tracer`] is dropped,
//! or the process ends however it ends, nothing stays attached.
//!
//! # Not done here
//!
//! What the numbers mean: names of caches and rows of tables are made by whoever asked for the trace.

pub mod audit;
pub mod cgroups;
pub mod contention;
pub mod symbols;
mod turns;

use std::collections;
use std::error::Error;
use std::io;

use aya::maps::{
    HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues, RingBuf,
};
use aya::programs::{ProgramError, RawTracePoint};
use aya::util::nr_cpus;
use aya::{Ebpf, EbpfLoader, Pod};
use ebpf_templates::Program;
use ebpf_templates::assembler::FrameFull;
use ebpf_templates::object::{self, Function, MapKind, MapSpec};
use ebpf_templates::template::events::{DEPTH, ENTRIES, Events, LOST, Point, SLOT_WORDS, STACKS};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::sys;
use crate::report::error::{Environment, Failure};
pub use turns::Counts;
use turns::Turns;

/// The most words of the fields of an event.
const MOST: usize = 12;
/// The same with the number of a turn, made even.
const MOST_COUNTED: usize = 2 + MOST;
/// The same behind the time.
const MOST_HELD: usize = 1 + MOST;

/// The frames of stacks by the numbers of the stacks, the innermost first.
pub type Stacks = collections::HashMap<u64, Vec<u64>>;

/// Programs that are attached.
pub struct Tracer {
    ebpf: Ebpf,
    events: Events,
    points: Vec<Point>,
    turns: Turns,
    freed: Option<RingBuf<MapData>>,
}

/// An object that was allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where it lies.
    pub addr: u64,
    /// When it was freed, in nanoseconds of the monotonic clock; 0 if that had no event. None if it was not.
    pub freed: Option<u64>,
    /// When it was allocated.
    pub time: u64,
    /// The fields of [`Events::fields`], in their order.
    pub fields: Vec<u64>,
}

/// What a trace missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Events that a full map had no room for.
    pub entries: u64,
    /// Freed objects that the ring had no room for.
    pub records: u64,
    /// Stacks that could not be taken, or that there was no room for.
    pub stacks: u64,
    /// Events in the middle of the same program on the same CPU.
    pub missed: u64,
    /// Objects that were freed and of which no record was wanted, which is no loss.
    pub freed: u64,
}

impl Losses {
    /// Whether anything was missed.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self { freed: self.freed, ..Self::default() }
    }

    /// What was missed since it was `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            entries: self.entries - before.entries,
            records: self.records - before.records,
            stacks: self.stacks - before.stacks,
            missed: self.missed - before.missed,
            freed: self.freed - before.freed,
        }
    }
}

impl Tracer {
    /// Loads the programs of `points` and attaches them.
    pub fn attach(events: Events, points: &[Point]) -> Result<Self, Failure> {
        let maps = events.maps();
        let program_of =
            |point: &Point| (point.section(), point.function(), events.program(*point));
        let mut ebpf = load(&maps, points.iter().map(program_of))?;
        let ring = maps.iter().find(|map| map.kind == MapKind::RingBuffer);
        let freed = match ring.and_then(|map| ebpf.take_map(map.name)) {
            None => None,
            Some(map) => {
                let ring = RingBuf::try_from(map);
                Some(ring.map_err(|error| refused("read the ring buffer", &error))?)
            }
        };
        // All are loaded before any runs.
        for point in points {
            let what = format!("load the program for `{}`", point.tracepoint());
            let program = program(&mut ebpf, *point)?;
            verified(|| program.load()).map_err(|error| refused(&what, &error))?;
        }
        for point in points {
            let what = format!("attach to the tracepoint `{}`", point.tracepoint());
            let attached = program(&mut ebpf, *point)?.attach(point.tracepoint());
            attached.map_err(|error| refused(&what, &error))?;
        }
        let (points, turns) = (points.to_vec(), Turns::default());
        Ok(Self { ebpf, events, points, turns, freed })
    }

    /// The objects that were freed since this was asked last.
    pub fn freed(&mut self) -> Vec<Object> {
        let mut found = Vec::new();
        while let Some(record) = self.freed.as_mut().and_then(RingBuf::next) {
            let words: Vec<u64> =
                record.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            if let [addr, freed, time, fields @ ..] = words.as_slice() {
                let (addr, freed, time) = (*addr, Some(*freed), *time);
                found.push(Object { addr, freed, time, fields: fields.to_vec() });
            }
        }
        found
    }

    /// What was missed so far.
    pub fn losses(&mut self) -> Result<Losses, Failure> {
        let mut missed = 0;
        for point in self.points.clone() {
            let program = program(&mut self.ebpf, point)?;
            let info = program.fd().ok().and_then(|fd| sys::prog_info(fd).ok());
            missed += info.map_or(0, |info| info.missed);
        }
        let map: PerCpuArray<_, [u64; 4]> = self.map(LOST)?.try_into().map_err(unreadable)?;
        let lost = map.get(&0, 0).map_err(unreadable)?;
        let sum = |at: usize| lost.iter().map(|lost| lost[at]).sum();
        Ok(Losses { entries: sum(0), records: sum(1), stacks: sum(2), missed, freed: sum(3) })
    }

    /// Detaches the programs: what is in the maps then stays as it is. Gives what was missed.
    pub fn detach(&mut self) -> Result<Losses, Failure> {
        let losses = self.losses()?;
        for point in self.points.clone() {
            let program = program(&mut self.ebpf, point)?;
            program.unload().map_err(|error| refused("detach a program", &error))?;
        }
        Ok(losses)
    }

    /// How often each combination of fields was seen.
    pub fn counts(&mut self) -> Result<Counts, Failure> {
        let mut sums = collections::HashMap::new();
        for (fields, count) in self.counts_until(0)?.into_iter().chain(self.counts_of_slots()?) {
            *sums.entry(fields).or_insert(0) += count;
        }
        Ok(sums.into_iter().collect())
    }

    /// What was counted in slots; the same fields may be in some of them.
    fn counts_of_slots(&self) -> Result<Counts, Failure> {
        let map: PerCpuArray<_, [u64; SLOT_WORDS]> =
            self.map(self.events.slots())?.try_into().map_err(unreadable)?;
        let mut counts = Counts::new();
        for program in 0..map.len() {
            let cpus = map.get(&program, 0).map_err(unreadable)?;
            counts.extend(cpus.iter().flat_map(|slots| self.events.counts_in(slots)));
        }
        Ok(counts)
    }

    /// Ends a turn. Gives how often each combination of fields was seen since the one before.
    pub fn turn(&mut self) -> Result<Counts, Failure> {
        let ended = self.turns.now;
        self.turns.now += 1;
        let begun = self.turns.now;
        begin_turn(self.map_mut(self.events.turn())?, begun)?;
        let found = self.counts_until(ended)?;
        Ok(self.turns.end(ended, self.events.turn_word(), found))
    }

    /// The counts, of which those of turns before `turn` leave the map.
    fn counts_until(&mut self, turn: u64) -> Result<Counts, Failure> {
        match self.events.words() {
            2 => self.counts_of::<2>(turn),
            4 => self.counts_of::<4>(turn),
            6 => self.counts_of::<6>(turn),
            8 => self.counts_of::<8>(turn),
            10 => self.counts_of::<10>(turn),
            12 => self.counts_of::<12>(turn),
            _ => self.counts_of::<MOST_COUNTED>(turn),
        }
    }

    fn counts_of<const WORDS: usize>(&mut self, turn: u64) -> Result<Counts, Failure>
    where
        [u64; WORDS]: Pod,
    {
        let at = self.events.turn_word();
        let map = self.map_mut(ENTRIES)?;
        sums_until::<WORDS, _, _>(map, at, turn, |counts: &[u64]| counts.iter().sum())
    }

    /// The objects that are held.
    pub fn held(&self) -> Result<Vec<Object>, Failure> {
        match 1 + self.events.words() {
            3 => self.held_of::<3>(),
            5 => self.held_of::<5>(),
            7 => self.held_of::<7>(),
            9 => self.held_of::<9>(),
            11 => self.held_of::<11>(),
            _ => self.held_of::<MOST_HELD>(),
        }
    }

    fn held_of<const WORDS: usize>(&self) -> Result<Vec<Object>, Failure>
    where
        [u64; WORDS]: Pod,
    {
        let map: HashMap<_, u64, [u64; WORDS]> =
            self.map(ENTRIES)?.try_into().map_err(unreadable)?;
        let mut objects = Vec::new();
        for entry in &map {
            let (addr, value) = entry.map_err(unreadable)?;
            if let [time, fields @ ..] = value.as_slice() {
                let (time, fields) = (*time, fields.to_vec());
                objects.push(Object { addr, freed: None, time, fields });
            }
        }
        Ok(objects)
    }

    /// The stacks that events had.
    pub fn stacks(&self) -> Result<Stacks, Failure> {
        if !self.events.takes_stacks() {
            return Ok(Stacks::new());
        }
        let map: HashMap<_, [u64; DEPTH], u64> =
            self.map(STACKS)?.try_into().map_err(unreadable)?;
        let stack = |entry: Result<([u64; DEPTH], u64), MapError>| {
            let (frames, number) = entry.map_err(unreadable)?;
            Ok((number, frames.into_iter().take_while(|frame| *frame != 0).collect()))
        };
        map.iter().map(stack).collect()
    }

    fn map_mut(&mut self, number: u32) -> Result<&mut Map, Failure> {
        let spec = self.events.maps().into_iter().nth(number as usize);
        let map = spec.and_then(|spec| self.ebpf.map_mut(spec.name));
        map.ok_or_else(missing)
    }

    fn map(&self, number: u32) -> Result<&Map, Failure> {
        let spec = self.events.maps().into_iter().nth(number as usize);
        let map = spec.and_then(|spec| self.ebpf.map(spec.name));
        map.ok_or_else(missing)
    }
}

/// Loads the object of programs that use `maps`, each with its section and its name.
fn load(
    maps: &[MapSpec],
    programs: impl Iterator<Item = (&'static str, &'static str, Result<Program, FrameFull>)>,
) -> Result<Ebpf, Failure> {
    let too_wide = |_| Failure::bug("the program of a trace does not fit its frame", String::new());
    let programs = programs
        .map(|(section, name, program)| Ok((section, name, program.map_err(too_wide)?)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let functions: Vec<Function<'_>> = programs
        .iter()
        .map(|(section, name, program)| Function { section, name, program })
        .collect();
    let elf = object::write(maps, &functions).map_err(|error| {
        Failure::bug("the object of a trace cannot be written", error.to_string())
    })?;
    let loaded = loader().btf(None).load(&elf);
    loaded.map_err(|error| refused("load the programs", &error))
}

/// A loader that knows nothing of the kernel's types. aya 0.14 reads and unpacks them whenever it makes one, also for an object that
/// needs none, in 20 ms and as many megabytes; from 0.15 on, which Rust 1.98 compiles, it does so when they are needed. A process
/// that may open no more files for a moment makes one without them.
fn loader() -> EbpfLoader<'static> {
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit { current: Some(0), ..before };
    let limited = setrlimit(Resource::Nofile, none).is_ok();
    let loader = EbpfLoader::new();
    if limited {
        // Raising a limit again up to the same maximum is always allowed.
        let _ = setrlimit(Resource::Nofile, before);
    }
    loader
}

/// Loads a program of an object, however many signals come meanwhile.
pub(super) fn verified(load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    sys::until_verified(load, |error| match error {
        ProgramError::LoadError { io_error, .. } => Some(io_error),
        _ => None,
    })
}

/// Lets programs count in another turn, whose number `map` holds for each CPU.
fn begin_turn(map: &mut Map, turn: u64) -> Result<(), Failure> {
    let cpus = nr_cpus().map_err(|(_, error)| Failure::Write(error))?;
    let mut map: PerCpuArray<_, u64> = map.try_into().map_err(unreadable)?;
    let values = PerCpuValues::try_from(vec![turn; cpus]).map_err(|_| missing())?;
    map.set(0, values, 0).map_err(unreadable)
}

/// What a map holds by its keys, each the `sum` of what the CPUs have. What is of turns before `turn`, which are word `at`
/// of keys, leaves the map.
fn sums_until<const WORDS: usize, V: Pod, S>(
    map: &mut Map,
    at: usize,
    turn: u64,
    sum: impl Fn(&[V]) -> S,
) -> Result<Counts<S>, Failure>
where
    [u64; WORDS]: Pod,
{
    let mut map: PerCpuHashMap<_, [u64; WORDS], V> = map.try_into().map_err(unreadable)?;
    let mut sums = Counts::new();
    for entry in &map {
        let (key, values) = entry.map_err(unreadable)?;
        sums.push((key.to_vec(), sum(&values)));
    }
    for (key, _) in sums.iter().filter(|(key, _)| turn > 0 && key[at] < turn) {
        let key = <[u64; WORDS]>::try_from(key.as_slice()).map_err(|_| missing())?;
        map.remove(&key).map_err(unreadable)?;
    }
    Ok(sums)
}

/// A part of what was loaded is not there.
fn missing() -> Failure {
    Failure::bug("a part of the trace's object is missing", String::new())
}

/// The program of a tracepoint.
fn program(ebpf: &mut Ebpf, point: Point) -> Result<&mut RawTracePoint, Failure> {
    let found = ebpf.program_mut(point.function()).and_then(|program| program.try_into().ok());
    found.ok_or_else(missing)
}

/// A map that cannot be read.
fn unreadable(error: impl Into<MapError>) -> Failure {
    refused("read a map of the trace", &error.into())
}

/// Says why the machine does not do something by aya.
pub(super) fn refused(what: &str, error: &(dyn Error + 'static)) -> Failure {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            let failed = Environment::failed(&format!("cannot {what}"), cause);
            return Environment::of_bpf(cause).unwrap_or(failed).into();
        }
        causes.push(cause.to_string());
        next = cause.source();
    }
    Failure::bug(format!("cannot {what}"), causes.join(": "))
}
