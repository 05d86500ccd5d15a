//! Scans of the table `objects`: the kernel sends slabs with a bit an object, and rows of objects are made of them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use query::input::Input;
use query::layout::Row;
use query::plan::Plan;
use query::schema::PageArray;
use query::value::Value;

use super::bitmaps::{Cache, Extension, Slab, Walk};
use super::resolve::{self, Resolver, Word};
use super::stats::ScanStats;
use super::{ScanReport, Sink};
use crate::kernel::held::{Held, Holder};
use crate::kernel::schema::KernelSchema;
use crate::report::error::Failure;

/// The rows of a batch.
const BATCH: usize = 4096;

/// What a column of the table is.
#[derive(Clone, Copy)]
enum Field {
    Name,
    Cache,
    Addr,
    Slab,
    Index,
    Node,
    Size,
    ObjectSize,
    State,
    Complete,
    /// What a word of the kernel leads to, which is in the row until it is resolved.
    Word(Word),
}

fn field(input: &Input) -> Option<Field> {
    Some(match input.name() {
        "name" => Field::Name,
        "cache" => Field::Cache,
        "addr" => Field::Addr,
        "slab" => Field::Slab,
        "index" => Field::Index,
        "node" => Field::Node,
        "size" => Field::Size,
        "object_size" => Field::ObjectSize,
        "state" => Field::State,
        "complete" => Field::Complete,
        _ => Field::Word(resolve::word(input)?),
    })
}

/// The state of an object on the slab's freelist.
fn free_in(slab: &Slab<'_>) -> &'static str {
    if slab.of_cpu { Holder::Cpu.name() } else { "free" }
}

/// The state of an object that is handed out.
pub(super) const USED: &str = "used";
/// The states of objects.
const STATES: [&str; 6] = [USED, "free", "cpu", "sheaf", "barn", "rcu"];

/// Makes rows.
pub(super) struct Expander<'a> {
    array: PageArray,
    fields: Vec<Option<Field>>,
    held: &'a Held,
}

impl<'a> Expander<'a> {
    /// Makes rows of a plan, of a walk.
    pub(super) fn new(plan: &Plan, array: PageArray, held: &'a Held) -> Self {
        let fields = plan.inputs.iter().map(field).collect();
        Self { array, fields, held }
    }

    /// A row, but that words are not resolved.
    pub(super) fn row(
        &self,
        slab: &Slab<'_>,
        cache: &Cache,
        index: u64,
        state: &str,
        extension: Extension,
    ) -> Row {
        let addr = slab.start + index * cache.size + cache.red_left_pad;
        let value = |field: &Option<Field>| match field {
            None => Value::Null,
            Some(Field::Name) => Value::text(&cache.name),
            Some(Field::Cache) => Value::UInt(cache.addr),
            Some(Field::Addr) => Value::UInt(addr),
            Some(Field::Slab) => {
                Value::UInt(self.array.base.wrapping_add(slab.pfn.wrapping_mul(self.array.record)))
            }
            Some(Field::Index) => Value::UInt(index),
            Some(Field::Node) => slab.node.map_or(Value::Null, |node| Value::UInt(node.into())),
            Some(Field::Size) => Value::UInt(cache.size),
            Some(Field::ObjectSize) => Value::UInt(cache.object_size),
            Some(Field::State) => Value::text(state),
            Some(Field::Complete) => Value::Bool(slab.complete),
            Some(Field::Word(word)) => Value::UInt(match word {
                Word::Owner(_) => extension.owner,
                Word::Site => extension.site,
                Word::Track(_) if state != USED => 0,
                Word::Track(_) => cache.track.map_or(0, |track| addr.wrapping_add(track)),
            }),
        };
        Row { addr: cache.addr, values: self.fields.iter().map(value).collect() }
    }

    /// The rows of the objects of a slab, added to `rows`.
    fn expand(&self, slab: &Slab<'_>, cache: &Cache, rows: &mut Vec<Row>) {
        let mut held = slab.held(self.held, cache).peekable();
        for index in 0..slab.objects {
            let holder = held.next_if(|(number, _)| *number == index);
            let state = match holder {
                _ if slab.is_free(index) => free_in(slab),
                Some((_, held)) => held.holder.name(),
                None => USED,
            };
            let extension =
                if state == USED { slab.extension(index) } else { Extension::default() };
            rows.push(self.row(slab, cache, index, state, extension));
        }
    }

    /// How many objects of a slab are in each state.
    fn count(&self, slab: &Slab<'_>, cache: &Cache) -> [u64; STATES.len()] {
        let mut counts = [0; STATES.len()];
        let at = |name: &str| STATES.iter().position(|state| *state == name).unwrap_or_default();
        let free = slab.free();
        counts[at(free_in(slab))] = free;
        let mut held = 0;
        for (_, object) in slab.held(self.held, cache) {
            counts[at(object.holder.name())] += 1;
            held += 1;
        }
        counts[at(USED)] = slab.objects.saturating_sub(free + held);
        counts
    }

    /// Of how many of the used objects of a slab the same is kept.
    fn alike(&self, slab: &Slab<'_>, cache: &Cache) -> Vec<(Extension, u64)> {
        let mut alike = Vec::<(Extension, u64)>::new();
        let mut held = slab.held(self.held, cache).map(|(index, _)| index).peekable();
        for (index, extension) in (0..).zip(slab.extensions()) {
            let is_held = held.next_if_eq(&index).is_some();
            if is_held || slab.is_free(index) {
                continue;
            }
            match alike.iter_mut().find(|(known, _)| *known == extension) {
                Some((_, count)) => *count += 1,
                None => alike.push((extension, 1)),
            }
        }
        alike
    }
}

/// What objects have in common that share a row: the cache, the node, the state, whether their slabs are complete, the slab
/// where it is asked for, and what is kept beside them.
type Place = (usize, Option<u32>, usize, bool, u64, Extension);

/// Rows that stand for as many objects as their last values say. Objects of several slabs share one where the slab is not
/// asked for.
#[derive(Default)]
struct Counted {
    rows: Vec<(Row, u64)>,
    /// Where the row of each place is.
    places: HashMap<Place, usize>,
}

impl Counted {
    /// Adds the objects of a slab.
    fn add(&mut self, expander: &Expander<'_>, slab: &Slab<'_>, cache: &Cache, number: usize) {
        let of_slab = expander.fields.iter().any(|field| matches!(field, Some(Field::Slab)));
        let pfn = if of_slab { slab.pfn } else { 0 };
        let mut put = |state: usize, extension: Extension, count: u64| {
            let place = (number, slab.node, state, slab.complete, pfn, extension);
            let at = *self.places.entry(place).or_insert_with(|| {
                self.rows.push((expander.row(slab, cache, 0, STATES[state], extension), 0));
                self.rows.len() - 1
            });
            self.rows[at].1 += count;
        };
        let counts = expander.count(slab, cache);
        for (state, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            if slab.extensions().len() > 0 && STATES[state] == USED {
                for (extension, count) in expander.alike(slab, cache) {
                    put(state, extension, count);
                }
            } else {
                put(state, Extension::default(), count);
            }
        }
        if of_slab {
            // None of another slab is like these.
            self.places.clear();
        }
    }

    /// The rows so far.
    fn take(&mut self) -> Vec<Row> {
        self.places.clear();
        let row = |(mut row, count): (Row, u64)| {
            row.values.push(Value::UInt(count));
            row
        };
        std::mem::take(&mut self.rows).into_iter().map(row).collect()
    }
}

/// Scans, and hands the rows of objects to `sink`, a few thousand at a time.
pub fn scan(
    schema: &KernelSchema,
    plan: &Plan,
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let mut report = ScanReport { stats: ScanStats::default(), ..ScanReport::default() };
    let name = plan.arguments.first().map(|name| name.text.as_str());
    let mut walk = Walk::of(schema, plan, name)?;
    report.stats.stages.lap("load");
    let held = walk.held()?;
    let expander = Expander::new(plan, walk.array, &held);
    let mut resolver = Resolver::new(schema, plan);
    let caches = walk.caches.clone();
    let (mut rows, mut counted, mut corrupt) = (Vec::new(), Counted::default(), 0);
    let ended = walk.run(&mut |slab, cache| {
        corrupt += u64::from(slab.corrupt);
        if plan.counted {
            counted.add(&expander, &slab, &caches[cache], cache);
        } else {
            expander.expand(&slab, &caches[cache], &mut rows);
        }
        if counted.rows.len() >= BATCH {
            rows.append(&mut counted.take());
        }
        if rows.len() < BATCH {
            return Ok(ControlFlow::Continue(()));
        }
        let mut rows = std::mem::take(&mut rows);
        resolver.resolve(&mut rows)?;
        sink(rows)
    })?;
    report.stats.stages.lap("run");
    if ended.is_continue() {
        rows.append(&mut counted.take());
        resolver.resolve(&mut rows)?;
        let _ = sink(rows)?;
    }
    report.notes.append(&mut walk.notes(ended, corrupt)?);
    report.notes.append(&mut Resolver::notes(plan, &walk.caches));
    Ok(report)
}
