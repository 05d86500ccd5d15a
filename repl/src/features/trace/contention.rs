//! How long the kernel waits for the allocator's own locks while a trace lasts: the rows of `contention`.
//!
//! Each node of a cache has a lock for its list of partial slabs, and since Linux 6.18 one for its barn, which keeps full
//! sheaves. The address of a lock tells which it is, so the addresses of all nodes and barns are read before and after.

use std::collections::HashMap;

use ebpf_templates::template::contention::Contention;
use query::input::Input;
use query::plan::Plan;
use query::schema::Schema;
use query::value::Value;

use super::meanwhile::{Gathered, Report, Tracing, kernel, noted, now, refused};
use crate::engine::{Ask, Counted, Engine};
use crate::kernel::schema::KernelSchema;
use crate::kernel::signals::Interrupts;
use crate::kernel::trace::contention::{ByLock, Waits, Watcher};
use crate::kernel::trace::symbols::Names;
use crate::report::error::Failure;

/// How the functions are called that take a lock: whoever wanted it called them.
const OF_LOCKS: [&str; 9] = [
    "bpf_",
    "__bpf_",
    "__traceiter_",
    "__pv_queued_",
    "native_queued_",
    "queued_",
    "_raw_spin_",
    "__raw_spin_",
    "do_raw_spin_",
];

/// The caches whose objects hold such locks: those of nodes, and of barns.
const HOLDERS: &str = "select cast(addr as int) from caches where name = 'kmem_cache_node' or name ~ '^kmalloc-[0-9]+k?$'";

/// A lock of the allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lock {
    what: &'static str,
    name: Vec<u8>,
    cache: u64,
    node: u64,
}

/// Locks that are watched.
pub struct Watching {
    queries: Queries,
    locks: HashMap<u64, Lock>,
    names: Names,
    watcher: Watcher,
    /// When rows were made last, in nanoseconds of the monotonic clock, and what had been lost by then.
    made: u64,
    lost: u64,
    /// Notes Ctrl-C, which then ends the trace alone.
    interrupts: Option<Interrupts>,
}

impl Watching {
    /// Attaches the programs.
    pub fn begin(engine: &mut Engine, plan: &Plan, again: bool) -> Result<Self, Failure> {
        let schema = kernel(engine, plan)?;
        let get_kmem_cache = schema.function_id("bpf_get_kmem_cache");
        let queries = queries(schema);
        let holders = engine.ask(HOLDERS)?.rows;
        let caches = holders.iter().filter_map(|row| row.first()?.unsigned()).collect();
        let mut locks = HashMap::new();
        learn(engine, &queries, &mut locks)?;
        let names = Names::open().map_err(|error| refused(&error))?;
        let interrupts = if again { None } else { noted()? };
        let watcher = Watcher::attach(&Contention { get_kmem_cache, caches })?;
        Ok(Self { queries, locks, names, watcher, made: now(), lost: 0, interrupts })
    }

    /// The rows of waits, and how it went.
    fn rows(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
        (found, lost): (ByLock, u64),
    ) -> Result<(Counted, Report), Failure> {
        let ended = now();
        learn(engine, &self.queries, &mut self.locks)?;
        let frames = found.keys().flat_map(|(_, frames)| frames).copied();
        self.names.learn(frames).map_err(|error| refused(&error))?;
        let mut rows: HashMap<(u64, Option<String>), Waits> = HashMap::new();
        let mut others = 0;
        for ((lock, frames), waits) in found {
            if self.locks.contains_key(&lock) {
                let site = site(&frames, |frame| self.names.name(frame));
                rows.entry((lock, site)).or_default().add(waits);
            } else {
                others += waits.count;
            }
        }
        let row = |((lock, site), waits): (&(u64, Option<String>), &Waits)| {
            let lock = &self.locks[lock];
            let value = |input: &Input| {
                let column = input.column().map_or("", |column| column.name);
                value(column, lock, site.as_deref(), *waits)
            };
            (plan.inputs.iter().map(value).collect(), 1)
        };
        let missing = vec![
            (lost - self.lost, "lost: the map was full"),
            (others, "for other locks left out"),
        ];
        let events = rows.values().map(|waits| waits.count).sum();
        let report = Report { took: ended - self.made, events, missing };
        (self.made, self.lost) = (ended, lost);
        Ok((rows.iter().map(row).collect(), report))
    }
}

impl Tracing for Watching {
    fn relieve(&mut self, _: &mut Engine) {}

    fn tick(
        &mut self,
        engine: &mut Engine,
        plan: &Plan,
    ) -> Result<(Counted, Vec<String>), Failure> {
        let found = self.watcher.turn()?;
        let (rows, report) = self.rows(engine, plan, found)?;
        // Locks of others are left out each time.
        let lost = report.missing.iter().take(1).any(|part| part.0 > 0);
        Ok((rows, lost.then(|| report.to_string()).into_iter().collect()))
    }

    fn end(mut self: Box<Self>, engine: &mut Engine, plan: &Plan) -> Result<Gathered, Failure> {
        self.interrupts = None;
        let found = self.watcher.detach()?;
        let (rows, report) = self.rows(engine, plan, found)?;
        Ok(Gathered { rows, report, notes: Vec::new() })
    }
}

/// The value of a column.
fn value(column: &str, lock: &Lock, site: Option<&str>, waits: Waits) -> Value {
    match column {
        "lock" => Value::text(lock.what),
        "name" => Value::text(&lock.name),
        "cache" => Value::UInt(lock.cache),
        "node" => Value::UInt(lock.node),
        "site" => site.map_or(Value::Null, Value::text),
        "waits" => Value::UInt(waits.count),
        "total" => Value::UInt(waits.total),
        "longest" => Value::UInt(waits.longest),
        _ => Value::Null,
    }
}

/// What asks for the addresses of nodes and barns: a query for each node of the machine. With it, where the locks lie in
/// both.
struct Queries {
    texts: Vec<String>,
    list: u64,
    barn: u64,
}

fn queries(schema: &KernelSchema) -> Queries {
    let offset =
        |of: &str, path: &str| schema.member(of, path).map_or(0, |member| u64::from(member.offset));
    let new = schema.has_member("kmem_cache", "per_node");
    let text = |node: u32| {
        let (node, barn) = if new {
            (format!("s->per_node[{node}].node"), format!("s->per_node[{node}].barn"))
        } else {
            (format!("s->node[{node}]"), format!("s->node[{node}]->barn"))
        };
        let there = if new { "per_node[0].barn" } else { "barn" };
        let of = if new { "kmem_cache" } else { "kmem_cache_node" };
        let barn = if schema.has_member(of, there) { barn } else { "null".to_owned() };
        format!(
            "select name, cast(addr as int), cast({node} as int), cast({barn} as int) from caches"
        )
    };
    let texts = (0..schema.nodes()).map(text).collect();
    Queries {
        texts,
        list: offset("kmem_cache_node", "list_lock"),
        barn: offset("node_barn", "lock"),
    }
}

/// Adds the locks that are new.
fn learn(
    ask: &mut dyn Ask,
    queries: &Queries,
    locks: &mut HashMap<u64, Lock>,
) -> Result<(), Failure> {
    for (node, text) in queries.texts.iter().enumerate() {
        for row in ask.ask(text)?.rows {
            let [Value::Text(name), cache, list, barn] = row.as_slice() else { continue };
            let (name, cache) = (name.to_vec(), cache.unsigned().unwrap_or(0));
            for (what, at, offset) in [("list", list, queries.list), ("barn", barn, queries.barn)] {
                if let Some(at) = at.unsigned().filter(|at| *at != 0) {
                    let lock = Lock { what, name: name.clone(), cache, node: node as u64 };
                    locks.entry(at + offset).or_insert(lock);
                }
            }
        }
    }
    Ok(())
}

/// Who wanted the lock: the innermost function that is not one of locks.
fn site<'a>(frames: &[u64], name: impl Fn(u64) -> Option<&'a str>) -> Option<String> {
    let names = frames.iter().map(|frame| name(*frame));
    let mut wanted = names
        .skip_while(|name| name.is_some_and(|name| OF_LOCKS.iter().any(|of| name.starts_with(of))));
    wanted.next().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_who_wanted_the_lock() {
        let names = [
            "bpf_prog_6deef7357e7b4530_slabql_begin+0x2c/0x90",
            "bpf_trace_run2+0x60/0x140",
            "__traceiter_contention_begin+0x3a/0x60",
            "native_queued_spin_lock_slowpath+0x1aa/0x2d0",
            "_raw_spin_lock_irqsave+0x3d/0x50",
            "get_partial_node+0x44/0x3a0",
            "___slab_alloc+0x1/0x2",
        ];
        let name = |frame: u64| names.get(usize::try_from(frame).unwrap()).copied();
        let all: Vec<u64> = (0..names.len() as u64).collect();
        assert_eq!(site(&all, name).as_deref(), Some(names[5]));
        assert_eq!(site(&all[..5], name), None);
        // One without a name is nobody's neighbour.
        assert_eq!(site(&[0, 99, 5], name), None);
        assert_eq!(site(&[], name), None);
    }

    #[test]
    fn columns_are_those_of_the_lock_and_its_waits() {
        let lock = Lock { what: "list", name: b"dentry".to_vec(), cache: 9, node: 1 };
        let mut waits = Waits { count: 2, total: 70, longest: 40 };
        waits.add(Waits { count: 1, total: 50, longest: 50 });
        let columns = ["lock", "name", "cache", "node", "site", "waits", "total", "longest"];
        let numbers = [3, 120, 50].map(Value::UInt);
        let values = columns.map(|column| value(column, &lock, Some("f+0x1/0x2"), waits));
        let first = [Value::text("list"), Value::text("dentry"), Value::UInt(9), Value::UInt(1)];
        assert_eq!(values[..4], first);
        assert_eq!(values[4], Value::text("f+0x1/0x2"));
        assert_eq!(values[5..], numbers);
        assert_eq!(value("site", &lock, None, waits), Value::Null);
    }
}
