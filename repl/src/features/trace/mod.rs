//! Gathers what the kernel allocates and frees for a while, for a query to be answered over it: `trace 5s select …`.
//!
//! ```text
//!   plan ─► columns read ─► fields, mode ─► programs ─ a while ─► counts, objects ─► names, symbols, states ─► rows
//! ```
//!
//! A query that reads nothing of single objects is answered by counts: what it reads is what the kernel counts by, so
//! that only groups come out. Otherwise each object is followed, and freed ones come out one by one.
//!
//! # Invariants
//!
//! - Nothing is attached before this is asked for, and nothing stays so behind it.
//! - What is shown as held was looked at behind the end of the trace, and was found in use.
//! - What is missing is told: the last line of a trace says what was lost and what was left out.

mod audit;
mod contention;
pub mod leak;
mod meanwhile;
mod rows;
mod stacks;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ebpf_templates::template::events::{Events, Field, Mode, Point};
use query::catalog::{HostTable, Made, Rows};
use query::eval::{self, Warnings};
use query::input::Input;
use query::plan::{Operator, Plan};
use query::schema::Schema;
use query::value::Value;

use crate::engine::Engine;
use crate::kernel::trace::cgroups::Cgroups;
use crate::kernel::trace::symbols::Names;
use crate::kernel::trace::{Losses, Object, Tracer};
use crate::report::error::Failure;
use crate::report::message;
pub use meanwhile::Gathered;
use meanwhile::{kernel, lasted, nap, noted, now, refused};
use rows::{Caches, Known, Maker};
use stacks::Stacks;

/// The memory that maps may take if nothing else is said, in bytes.
pub const DEFAULT_MEMORY: u64 = 128 << 20;
/// The fewest entries of a map that are worth a trace, and the most.
const ENTRIES: (u64, u64) = (1 << 10, 1 << 18);
/// The most objects that are kept after they were freed.
const MAX_FREED: usize = 1 << 20;
/// What is said before stacks are taken.
const STACKS_COST: &str =
    "stacks cost the kernel 1 to 2 µs an event, ten times as much as a trace without them";
/// The most caches that the kernel is asked to tell from others.
const MAX_ONLY: usize = 16;

/// What a trace is for.
struct Wanted {
    table: HostTable,
    /// The columns that are read.
    columns: Vec<&'static str>,
}

/// Whether rows are gathered that are not of objects.
#[must_use]
pub fn has_no_objects(plan: &Plan) -> bool {
    let others = [HostTable::Audit, HostTable::Contention];
    matches!(plan.table.rows, Rows::Host(Made { table, .. }) if others.contains(&table))
}

impl Wanted {
    fn of(plan: &Plan) -> Result<Self, Failure> {
        let traced = [HostTable::Allocations, HostTable::Frees];
        match plan.table.rows {
            Rows::Host(Made { table, .. }) if traced.contains(&table) => {
                let columns = plan.inputs.iter().filter_map(Input::column);
                Ok(Self { table, columns: columns.map(|column| column.name).collect() })
            }
            _ => {
                let message = format!("`{}` is not a table of a trace", plan.table.name);
                let help = "`trace` gathers `allocations`, `frees`, `audit` and `contention`; other tables need no trace";
                Err(Failure::command(message, Some(help)))
            }
        }
    }

    fn reads(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// Whether single objects matter.
    fn objects(&self) -> bool {
        ["addr", "time", "age", "lifetime", "freed", "state"].iter().any(|name| self.reads(name))
    }

    /// What is kept of an event. Cache and site are always: by them it is known what the allocator does for itself.
    fn fields(&self) -> Vec<Field> {
        let needed = |field: &Field| match field {
            Field::Cache | Field::Site => true,
            Field::BytesReq => self.reads("bytes_req"),
            Field::BytesAlloc => self.reads("bytes_alloc"),
            Field::Gfp => self.reads("gfp"),
            Field::Node => self.reads("node"),
            Field::Cpu => self.reads("cpu"),
            Field::Pid => self.reads("pid"),
            Field::Comm => self.reads("comm"),
            Field::Cgroup => self.reads("cgroup"),
            Field::Stack => self.reads("stack"),
        };
        Field::ALL.into_iter().filter(needed).collect()
    }
}

/// How a trace is made.
#[derive(Clone, Copy)]
pub struct Options {
    /// Of so many objects one is followed.
    pub one_of: u32,
    /// The most bytes that its maps take.
    pub memory: u64,
}

/// Gathers for `duration`, or until Ctrl-C.
pub fn gather(
    engine: &mut Engine,
    plan: &Plan,
    duration: Duration,
    options: Options,
) -> Result<Gathered, Failure> {
    match plan.table.rows {
        Rows::Host(Made { table: HostTable::Audit, .. }) => audit::gather(engine, plan, duration),
        Rows::Host(Made { table: HostTable::Contention, .. }) => {
            contention::gather(engine, plan, duration)
        }
        _ => gather_objects(engine, plan, duration, options),
    }
}

/// Gathers what is allocated and freed.
fn gather_objects(
    engine: &mut Engine,
    plan: &Plan,
    duration: Duration,
    Options { one_of, memory }: Options,
) -> Result<Gathered, Failure> {
    let wanted = Wanted::of(plan)?;
    let caches = Caches::read(engine)?;
    let schema = kernel(engine, plan)?;
    let get_kmem_cache = schema.function_id("bpf_get_kmem_cache");
    let mut names = Names::open().map_err(|error| refused(&error))?;
    let mode = if wanted.objects() { Mode::Objects { freed: true } } else { Mode::Counts };
    let followed = only(plan, &caches);
    let mut events = Events {
        fields: wanted.fields(),
        mode,
        get_kmem_cache,
        only: followed.clone().unwrap_or_default(),
        own: names.process().map_err(|error| refused(&error))?,
        entries: 0,
        sample: one_of,
    };
    let cpus = schema.cpu_offsets().map_or(1, <[u64]>::len);
    let (entries, bytes) = room(&events, cpus as u64, memory)?;
    events.entries = entries;
    let points = match wanted.table {
        HostTable::Frees => Point::FREES.to_vec(),
        _ => events.points(),
    };
    message::note(&format!("the trace takes {} of the kernel's memory", in_mib(bytes)));
    if wanted.reads("stack") {
        message::note(STACKS_COST);
    }
    let mut cgroups = if wanted.reads("cgroup") { Cgroups::read() } else { Cgroups::default() };
    // Before anything is attached: a trace that Ctrl-C ends has an answer.
    let interrupts = noted()?;
    let mut tracer = Tracer::attach(events.clone(), &points)?;
    let meanwhile = wait(&mut tracer, duration);
    drop(interrupts);
    let mut objects = meanwhile.objects;
    let losses = tracer.detach()?;
    objects.extend(tracer.freed());
    let counts = if mode == Mode::Counts {
        tracer.counts()?
    } else {
        objects.extend(tracer.held()?);
        Vec::new()
    };
    let stacks = tracer.stacks()?;
    drop(tracer);

    let mut caches = caches;
    caches.learn(engine)?;
    if wanted.reads("cgroup") {
        cgroups.learn();
    }
    let seen = || {
        let counts = counts.iter().map(|(fields, _)| fields);
        objects.iter().map(|object| &object.fields).chain(counts)
    };
    let value = |field: Field, fields: &[u64]| {
        events.place(field).and_then(|at| fields.get(at)).copied().unwrap_or(0)
    };
    let sites = seen().map(|fields| value(Field::Site, fields));
    let frames = stacks.values().flatten().copied();
    names.learn(sites.chain(frames)).map_err(|error| refused(&error))?;
    let sites = seen().map(|fields| (value(Field::Stack, fields), value(Field::Site, fields)));
    let stacks = Stacks::new(&stacks, &sites.collect::<HashMap<_, _>>(), &names);
    let known = Known { events: &events, caches, names, stacks, cgroups };
    let mut maker = Maker::new(plan, &known, meanwhile.span);
    if wanted.reads("state") || wanted.reads("freed") {
        maker.confirm(engine, &objects)?;
    }
    let mut rows = match mode {
        Mode::Counts => maker.of_counts(&counts),
        Mode::Objects { .. } => maker.of_objects(&objects),
    };
    let took = meanwhile.span.1 - meanwhile.span.0;
    let report = report(took, &rows, &maker, losses, meanwhile.dropped);
    let mut notes = Vec::new();
    notes.extend(scaled(plan, one_of, &mut rows));
    if let Some(before) = &followed {
        let created = passing(plan, &known.caches).unwrap_or_default();
        let created = created.into_iter().filter(|cache| !before.contains(cache));
        let names = created.filter_map(|cache| known.caches.name(cache));
        let names: Vec<_> =
            names.map(|name| format!("`{}`", String::from_utf8_lossy(name))).collect();
        if !names.is_empty() {
            notes.push(format!(
                "created during the trace, so its allocations are not among the rows: {}",
                names.join(", ")
            ));
        }
    }
    if get_kmem_cache.is_none() {
        let note = "`name` is NULL for kmalloc: its events name no cache, and Linux before 6.13 \
                    finds it by no other way";
        notes.push(note.to_owned());
    }
    Ok(Gathered { rows, report, notes })
}

/// Makes rows of a sample stand for all, as far as they are counted and summed up. Says that it is an estimate.
fn scaled(plan: &Plan, one_of: u32, rows: &mut [(Vec<Value>, u64)]) -> Option<String> {
    if one_of < 2 {
        return None;
    }
    let seen: u64 = rows.iter().map(|row| row.1).sum();
    if plan.group().is_none() {
        return Some(format!(
            "one object of {one_of} was followed: these are {seen} events of some {}",
            u64::from(one_of) * seen
        ));
    }
    for row in rows.iter_mut() {
        row.1 *= u64::from(one_of);
    }
    Some(format!(
        "one object of {one_of} was followed: counts and sums are estimates, {one_of} times those of the {seen} events seen"
    ))
}

/// How many entries there is room for in `memory` bytes besides all else, and the bytes that all of it takes.
fn room(events: &Events, cpus: u64, memory: u64) -> Result<(u32, u64), Failure> {
    let other: u64 = events.maps().iter().skip(1).map(|map| map.memory(cpus)).sum();
    let all = |entries: u64| {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        let maps = Events { entries, ..events.clone() }.maps();
        other + maps.first().map_or(0, |map| map.memory(cpus))
    };
    let (fewest, most) = ENTRIES;
    let each = (all(most) - other).div_ceil(most).max(1);
    if all(fewest) > memory {
        let needed = in_mib(all(fewest));
        let message = format!(
            "the maps of this trace take {needed} at least, and may take {}",
            in_mib(memory)
        );
        let help = format!("`--memory {}MiB` suffices", all(fewest).div_ceil(1 << 20));
        return Err(Failure::command(message, Some(&help)));
    }
    let entries = ((memory - other) / each).clamp(fewest, most);
    Ok((u32::try_from(entries).unwrap_or(u32::MAX), all(entries)))
}

/// A number of bytes as people read it.
fn in_mib(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// The caches that the kernel is told to follow; none where that is all of them.
fn only(plan: &Plan, caches: &Caches) -> Option<Vec<u64>> {
    match passing(plan, caches)? {
        // No cache has this address.
        only if only.is_empty() => Some(vec![u64::MAX]),
        only if only.len() <= MAX_ONLY => Some(only),
        _ => None,
    }
}

/// The caches that conditions on their names let pass; none if what has no name passes too.
fn passing(plan: &Plan, caches: &Caches) -> Option<Vec<u64>> {
    let at = plan.inputs.iter().position(|input| input.column().is_some_and(|c| c.name == "name"));
    let at = at?;
    let conditions: Vec<_> = plan
        .operators
        .iter()
        .filter_map(|operator| match operator {
            Operator::Filter(condition) => Some(&condition.expr),
            _ => None,
        })
        .filter(|expr| expr.inputs().iter().all(|input| *input == at))
        .collect();
    let passes = |name: Value| {
        let mut row = vec![Value::Null; plan.inputs.len()];
        row[at] = name;
        let mut warnings = Warnings::default();
        conditions.iter().all(|expr| {
            let value = eval::eval(expr, &row, &mut warnings);
            eval::truth(&value) == Some(true)
        })
    };
    if conditions.is_empty() || passes(Value::Null) {
        return None;
    }
    Some(caches.all().filter(|(_, name)| passes(Value::text(name))).map(|cache| cache.0).collect())
}

/// What came meanwhile.
struct Meanwhile {
    /// Objects that were freed.
    objects: Vec<Object>,
    /// How many of those there was no room for.
    dropped: u64,
    /// When it began and ended, in nanoseconds of the monotonic clock.
    span: (u64, u64),
}

/// Waits, and empties the ring. Ctrl-C ends it early, and the trace with it; what was gathered is shown.
fn wait(tracer: &mut Tracer, duration: Duration) -> Meanwhile {
    // In this order, so that what is told is never shorter than what was asked for.
    let (began, start) = (now(), Instant::now());
    let mut objects = Vec::new();
    let mut dropped = 0;
    nap(duration, start, &mut || {
        objects.extend(tracer.freed());
        dropped += objects.len().saturating_sub(MAX_FREED) as u64;
        objects.truncate(MAX_FREED);
    });
    Meanwhile { objects, dropped, span: (began, now()) }
}

/// How a trace went.
fn report(
    took: u64,
    rows: &[(Vec<Value>, u64)],
    maker: &Maker<'_>,
    losses: Losses,
    dropped: u64,
) -> String {
    let events: u64 = rows.iter().map(|row| row.1).sum();
    let parts = [
        (losses.entries, "lost: the map was full"),
        (losses.records + dropped, "freed objects lost: there was no room"),
        (losses.missed, "lost: they interrupted another event"),
        (losses.stacks, "without their stack, which could not be taken"),
        (maker.own, "of the allocator itself left out"),
        (maker.dropped, "held without an event of their free, but free again"),
    ];
    lasted(took, events, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_fit_their_memory_or_say_what_would_do() {
        let fields = vec![Field::Cache, Field::Site, Field::Stack];
        for mode in [Mode::Counts, Mode::Objects { freed: true }] {
            let (only, fields) = (Vec::new(), fields.clone());
            let events =
                Events { fields, mode, get_kmem_cache: None, only, own: 1, entries: 0, sample: 1 };
            for cpus in [1, 2, 64, 512] {
                let (mut least, mut before) = (None, 0);
                for memory in (0..512).map(|mib| mib << 20) {
                    match room(&events, cpus, memory) {
                        Ok((entries, bytes)) => {
                            least.get_or_insert(memory);
                            assert!(bytes <= memory, "{mode:?} {cpus} {memory}: {bytes}");
                            assert!(entries >= before && u64::from(entries) <= ENTRIES.1);
                            before = entries;
                        }
                        Err(failure) => {
                            assert_eq!(least, None, "more memory is enough as well");
                            let text = failure.text();
                            assert!(text.contains("`--memory "), "{text}");
                        }
                    }
                }
                let least = least.unwrap_or_default();
                let below = room(&events, cpus, least - (1 << 20)).unwrap_err().text();
                assert!(below.contains(&format!("`--memory {}MiB`", least >> 20)), "{below}");
            }
        }
    }
}
