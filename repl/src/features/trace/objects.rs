//! Gathers what is allocated and freed: once for a while, or tick by tick.
//!
//! A tick has the events since the one before. Counts are read by turns, which lose none. Of objects it has those that were
//! freed, whenever they were allocated, and those that were allocated and are held.

use std::collections::{HashMap, HashSet};
use std::mem::take;

use ebpf_templates::template::events::{Events, Field, Mode, Point};
use query::catalog::HostTable;
use query::plan::Plan;
use query::schema::Schema;

use super::meanwhile::{Gathered, Report, Tracing, kernel, noted, now, refused};
use super::room::{in_mib, room};
use super::rows::{Caches, Known, Maker};
use super::stacks::Stacks;
use super::wanted::{Wanted, only, passes_freed, passing};
use crate::engine::{Counted, Engine};
use crate::features::whatis;
use crate::kernel::signals::Interrupts;
use crate::kernel::trace::cgroups::Cgroups;
use crate::kernel::trace::symbols::Names;
use crate::kernel::trace::{Counts, Losses, Object, Tracer};
use crate::report::error::Failure;
use crate::report::message;

/// The most objects that are kept after they were freed.
const MAX_FREED: usize = 1 << 20;
/// What is said before stacks are taken.
const STACKS_COST: &str =
    "stacks cost the kernel 1 to 2 µs an event, ten times as much as a trace without them";

/// How a trace is made.
#[derive(Clone, Copy)]
pub struct Options {
    /// Of so many objects one is followed.
    pub one_of: u32,
    /// The most bytes that its maps take.
    pub memory: u64,
    /// The most frames of a stack that are kept.
    pub depth: usize,
}

/// A trace that goes on.
pub struct Gathering {
    wanted: Wanted,
    events: Events,
    /// The caches that the programs follow, unless these are all.
    followed: Option<Vec<u64>>,
    tracer: Tracer,
    caches: Caches,
    names: Names,
    cgroups: Cgroups,
    /// Objects that were freed since rows were made last.
    freed: Vec<Object>,
    /// How many of those there was no room for.
    dropped: u64,
    /// When it began, in nanoseconds of the monotonic clock, and when rows were made last.
    began: u64,
    made: u64,
    /// The held objects that were shown, with their times.
    shown: HashSet<(u64, u64)>,
    /// What was missed until rows were made last.
    missed: Losses,
    /// Notes Ctrl-C, which then ends the trace alone.
    interrupts: Option<Interrupts>,
}

impl Gathering {
    /// Attaches programs, for rows that are asked for once or `again` and again.
    pub fn begin(
        engine: &mut Engine,
        plan: &Plan,
        Options { one_of, memory, depth }: Options,
        again: bool,
    ) -> Result<Self, Failure> {
        let wanted = Wanted::of(plan)?;
        let caches = Caches::read(engine)?;
        let schema = kernel(engine, plan)?;
        let names = Names::open().map_err(|error| refused(&error))?;
        let mode = if wanted.objects() {
            Mode::Objects { freed: passes_freed(plan) }
        } else {
            Mode::Counts
        };
        let followed = only(plan, &caches);
        let mut events = Events {
            fields: wanted.fields(),
            mode,
            get_kmem_cache: schema.function_id("bpf_get_kmem_cache"),
            only: followed.clone().unwrap_or_default(),
            own: names.process().map_err(|error| refused(&error))?,
            entries: 0,
            sample: one_of,
            turns: again,
            depth,
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
        let cgroups = if wanted.reads("cgroup") { Cgroups::read() } else { Cgroups::default() };
        // Before anything is attached: a trace that Ctrl-C ends has an answer.
        let interrupts = if again { None } else { noted()? };
        let tracer = Tracer::attach(events.clone(), &points)?;
        let began = now();
        Ok(Self {
            wanted,
            events,
            followed,
            tracer,
            caches,
            names,
            cgroups,
            freed: Vec::new(),
            dropped: 0,
            began,
            made: began,
            shown: HashSet::new(),
            missed: Losses::default(),
            interrupts,
        })
    }

    /// The rows of counts or objects, how it went, and what there is to say besides.
    fn rows(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        (counts, objects): (&Counts, &[Object]),
        losses: Losses,
        ended: u64,
    ) -> Result<(Counted, Report, Vec<String>), Failure> {
        let stacks = self.tracer.stacks()?;
        self.caches.learn(engine)?;
        if self.wanted.reads("cgroup") {
            self.cgroups.learn();
        }
        let events = &self.events;
        let seen = || {
            let counts = counts.iter().map(|(fields, _)| fields);
            objects.iter().map(|object| &object.fields).chain(counts)
        };
        let value = |field: Field, fields: &[u64]| {
            events.place(field).and_then(|at| fields.get(at)).copied().unwrap_or(0)
        };
        let sites = seen().map(|fields| value(Field::Site, fields));
        let frames = stacks.values().flatten().copied();
        self.names.learn(sites.chain(frames)).map_err(|error| refused(&error))?;
        let sites = seen().map(|fields| (value(Field::Stack, fields), value(Field::Site, fields)));
        let sites = sites.collect::<HashMap<_, _>>();
        let stacks = Stacks::new(&stacks, &sites, &self.names, events.depth);
        let (caches, names, cgroups) = (&self.caches, &self.names, &self.cgroups);
        let known = Known { events, caches, names, stacks, cgroups };
        let mut maker = Maker::new(plan, &known, (self.began, self.made, ended));
        let told = counts.iter().map(|(fields, count)| (fields.as_slice(), *count));
        maker.look(told.chain(objects.iter().map(|object| (object.fields.as_slice(), 1))));
        let mut notes = self.notes(plan);
        let confirms = self.wanted.reads("state") || self.wanted.reads("freed");
        let knows_use = confirms && whatis::knows_use(engine);
        if confirms {
            if !knows_use {
                let note = "what no event freed is unconfirmed: Linux before 6.9 does not tell whether an object \
                            is in use, and some frees, such as those of `kfree_rcu`, are no events";
                notes.push(note.to_owned());
            }
            maker.confirm(engine, objects)?;
        }
        let rows = match events.mode {
            Mode::Counts => maker.of_counts(counts),
            Mode::Objects { .. } => maker.of_objects(objects),
        };
        let missing = vec![
            (losses.entries, "lost: the map was full"),
            (losses.records + self.dropped, "freed objects lost: there was no room"),
            (losses.missed, "lost: they interrupted another event"),
            (losses.stacks, "without their stack, which could not be taken"),
            (maker.own, "of the allocator itself left out"),
            (maker.again, "large ones told twice, counted once"),
            (maker.dropped, "held without an event of their free, but free again"),
            (
                if knows_use { maker.unconfirmed } else { 0 },
                "that no event freed could not be looked up: `state = 'unconfirmed'`",
            ),
        ];
        let took = ended - self.made;
        let report = Report {
            took,
            events: losses.freed + rows.iter().map(|row| row.1).sum::<u64>(),
            missing,
        };
        Ok((rows, report, notes))
    }

    /// What rows leave out, whatever there is.
    fn notes(&self, plan: &Plan) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(before) = &self.followed {
            let created = passing(plan, &self.caches).unwrap_or_default();
            let created = created.into_iter().filter(|cache| !before.contains(cache));
            let names = created.filter_map(|cache| self.caches.name(cache));
            let names: Vec<_> =
                names.map(|name| format!("`{}`", String::from_utf8_lossy(name))).collect();
            if !names.is_empty() {
                notes.push(format!(
                    "created during the trace, so its allocations are not among the rows: {}",
                    names.join(", ")
                ));
            }
        }
        if self.events.get_kmem_cache.is_none() {
            let note = "`name` is NULL for kmalloc: its events name no cache, and Linux before 6.13 \
                        finds it by no other way";
            notes.push(note.to_owned());
        }
        notes
    }
}

impl Tracing for Gathering {
    /// Empties the ring of freed objects.
    fn relieve(&mut self, _: &mut Engine) {
        self.freed.extend(self.tracer.freed());
        self.dropped += self.freed.len().saturating_sub(MAX_FREED) as u64;
        self.freed.truncate(MAX_FREED);
    }

    fn tick(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
    ) -> Result<(Counted, Vec<String>), Failure> {
        let ended = now();
        self.relieve(engine);
        let mut objects = take(&mut self.freed);
        let counts = match self.events.mode {
            Mode::Counts => self.tracer.turn()?,
            Mode::Objects { .. } => {
                let held = self.tracer.held()?;
                let all = held.iter().map(|object| (object.addr, object.time)).collect();
                let shown = std::mem::replace(&mut self.shown, all);
                let new = |object: &Object| !shown.contains(&(object.addr, object.time));
                objects.extend(held.into_iter().filter(new));
                Vec::new()
            }
        };
        let now = self.tracer.losses()?;
        let before = std::mem::replace(&mut self.missed, now);
        let losses = now.since(before);
        let (mut rows, report, mut notes) =
            self.rows(engine, plan, (&counts, &objects), losses, ended)?;
        // It is worth telling where something is missing.
        if losses.any() || self.dropped > 0 {
            notes.push(report.to_string());
        }
        (self.made, self.dropped) = (ended, 0);
        let one_of = u64::from(self.events.sample);
        if one_of > 1 {
            let grouped = plan.group().is_some();
            let what =
                if grouped { "counts and sums are estimates" } else { "the others are not shown" };
            notes.insert(0, format!("one object of {one_of} is followed: {what}"));
        }
        scale(plan, one_of, &mut rows);
        Ok((rows, notes))
    }

    fn end(mut self: Box<Self>, engine: &mut Engine, plan: &Plan) -> Result<Gathered, Failure> {
        let ended = now();
        self.interrupts = None;
        let losses = self.tracer.detach()?;
        self.freed.extend(self.tracer.freed());
        let mut objects = take(&mut self.freed);
        let counts = match self.events.mode {
            Mode::Counts => self.tracer.counts()?,
            Mode::Objects { .. } => {
                objects.extend(self.tracer.held()?);
                Vec::new()
            }
        };
        let (mut rows, report, mut notes) =
            self.rows(engine, plan, (&counts, &objects), losses, ended)?;
        let one_of = u64::from(self.events.sample);
        if one_of > 1 {
            let seen: u64 = rows.iter().map(|row| row.1).sum();
            let what = if plan.group().is_some() {
                format!(
                    "counts and sums are estimates, {one_of} times those of the {seen} events seen"
                )
            } else {
                format!("these are {seen} events of some {}", one_of * seen)
            };
            notes.insert(0, format!("one object of {one_of} was followed: {what}"));
        }
        scale(plan, one_of, &mut rows);
        Ok(Gathered { rows, report, notes })
    }
}

/// Makes rows of a sample stand for all, as far as they are counted and summed up.
fn scale(plan: &Plan, one_of: u64, rows: &mut Counted) {
    if plan.group().is_some() {
        for row in rows {
            row.1 *= one_of;
        }
    }
}
