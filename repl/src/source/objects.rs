//! Scans of the table `objects`: the kernel sends slabs with a bit an object, and rows of objects are made of them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use query::layout::Row;
use query::plan::Plan;
use query::schema::PageArray;
use query::value::Value;

use super::bitmaps::{Cache, Slab, Walk};
use super::stats::ScanStats;
use super::{ScanReport, Sink};
use crate::kernel::cgroups::Cgroups;
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
    Cgroup,
    CgroupId,
}

fn field(name: &str) -> Option<Field> {
    Some(match name {
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
        "cgroup" => Field::Cgroup,
        "cgroup_id" => Field::CgroupId,
        _ => return None,
    })
}

/// The state of an object on the slab's freelist.
fn free_in(slab: &Slab<'_>) -> &'static str {
    if slab.of_cpu { Holder::Cpu.name() } else { "free" }
}

/// The state of an object that is handed out.
const USED: &str = "used";
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
        let fields = plan.inputs.iter().map(|input| field(input.name())).collect();
        Self { array, fields, held }
    }

    /// A row, as far as it is that of a slab. Where a cgroup is asked for, it has the owner: see [`Self::settle`].
    pub(super) fn row(
        &self,
        slab: &Slab<'_>,
        cache: &Cache,
        index: u64,
        state: &str,
        owner: u64,
    ) -> Row {
        let value = |field: &Option<Field>| match field {
            None => Value::Null,
            Some(Field::Name) => Value::text(&cache.name),
            Some(Field::Cache) => Value::UInt(cache.addr),
            Some(Field::Addr) => Value::UInt(slab.start + index * cache.size + cache.red_left_pad),
            Some(Field::Slab) => {
                Value::UInt(self.array.base.wrapping_add(slab.pfn.wrapping_mul(self.array.record)))
            }
            Some(Field::Index) => Value::UInt(index),
            Some(Field::Node) => slab.node.map_or(Value::Null, |node| Value::UInt(node.into())),
            Some(Field::Size) => Value::UInt(cache.size),
            Some(Field::ObjectSize) => Value::UInt(cache.object_size),
            Some(Field::State) => Value::text(state),
            Some(Field::Complete) => Value::Bool(slab.complete),
            Some(Field::Cgroup | Field::CgroupId) => Value::UInt(owner),
        };
        Row { addr: cache.addr, values: self.fields.iter().map(value).collect() }
    }

    /// Puts the cgroups of owners into rows instead of them.
    pub(super) fn settle(
        &self,
        rows: &mut [Row],
        cgroups: &mut Cgroups<'_>,
    ) -> Result<(), Failure> {
        let asked: Vec<(usize, Field)> = self
            .fields
            .iter()
            .enumerate()
            .filter_map(|(at, field)| Some((at, (*field)?)))
            .filter(|(_, field)| matches!(field, Field::Cgroup | Field::CgroupId))
            .collect();
        let Some((first, _)) = asked.first().copied() else { return Ok(()) };
        cgroups.learn(rows.iter().filter_map(|row| row.values[first].unsigned()))?;
        for row in rows {
            for (at, field) in &asked {
                let cgroup = row.values[*at].unsigned().and_then(|owner| cgroups.of(owner));
                row.values[*at] = match (cgroup, field) {
                    (None, _) => Value::Null,
                    (Some(cgroup), Field::Cgroup) => Value::Text(cgroup.path.clone()),
                    (Some(cgroup), _) => Value::UInt(cgroup.id),
                };
            }
        }
        Ok(())
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
            let owner = if state == USED { slab.owner(index) } else { 0 };
            rows.push(self.row(slab, cache, index, state, owner));
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

    /// How many of the used objects of a slab each owner has.
    fn owners(&self, slab: &Slab<'_>, cache: &Cache) -> Vec<(u64, u64)> {
        let mut owners = Vec::<(u64, u64)>::new();
        let mut held = slab.held(self.held, cache).map(|(index, _)| index).peekable();
        for (index, owner) in (0..).zip(slab.owners()) {
            let is_held = held.next_if_eq(&index).is_some();
            if is_held || slab.is_free(index) {
                continue;
            }
            match owners.iter_mut().find(|(known, _)| *known == owner) {
                Some((_, count)) => *count += 1,
                None => owners.push((owner, 1)),
            }
        }
        owners
    }
}

/// What objects have in common that share a row: the cache, the node, the state, whether their slabs are complete, the slab
/// where it is asked for, and the owner.
type Place = (usize, Option<u32>, usize, bool, u64, u64);

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
        let mut put = |state: usize, owner: u64, count: u64| {
            let place = (number, slab.node, state, slab.complete, pfn, owner);
            let at = *self.places.entry(place).or_insert_with(|| {
                self.rows.push((expander.row(slab, cache, 0, STATES[state], owner), 0));
                self.rows.len() - 1
            });
            self.rows[at].1 += count;
        };
        let counts = expander.count(slab, cache);
        for (state, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            if slab.owners().len() > 0 && STATES[state] == USED {
                for (owner, count) in expander.owners(slab, cache) {
                    put(state, owner, count);
                }
            } else {
                put(state, 0, count);
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
    let mut walk = Walk::by(schema, name, None, plan.reads_owners())?;
    report.stats.stages.lap("load");
    let held = walk.held()?;
    let expander = Expander::new(plan, walk.array, &held);
    let mut cgroups = Cgroups::new(schema);
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
        expander.settle(&mut rows, &mut cgroups)?;
        sink(rows)
    })?;
    report.stats.stages.lap("run");
    if ended.is_continue() {
        rows.append(&mut counted.take());
        expander.settle(&mut rows, &mut cgroups)?;
        let _ = sink(rows)?;
    }
    report.notes.append(&mut walk.notes(ended, corrupt)?);
    Ok(report)
}
