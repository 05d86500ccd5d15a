//! Makes rows of what a trace gathered: names of caches, symbols, states.

use std::collections::HashMap;
use std::time::Duration;

use ebpf_templates::template::events::{Events, Field};
use query::plan::Plan;
use query::value::Value;

use super::stacks::Stacks;
use crate::engine::{Ask, Engine};
use crate::features::whatis::{self, Home};
use crate::kernel::trace::Object;
use crate::kernel::trace::cgroups::Cgroups;
use crate::kernel::trace::symbols::Names;
use crate::report::error::Failure;

/// What the functions are called in which the allocator allocates for itself.
const OWN: [&str; 5] = [
    "alloc_slab_obj_exts",
    "alloc_empty_sheaf",
    "__alloc_empty_sheaf",
    "__pcs_",
    "init_percpu_sheaves",
];

/// The functions that tell of a large allocation in their own name, before their caller's name follows for the same object.
const AGAIN: [&str; 7] = [
    "__do_kmalloc_node",
    "__kmalloc",
    "__kmalloc_node",
    KMALLOC_NODE,
    "__kmalloc_node_track_caller",
    "__kmalloc_node_track_caller_noprof",
    "__kmalloc_noprof",
];

const KMALLOC_NODE: &str = "__kmalloc_node_noprof";

/// It is one of these where it passes its caller on. On other kernels it calls [`KMALLOC_NODE`], which tells of it again in
/// its name.
const KVMALLOC: &str = "__kvmalloc_node_noprof";

/// What is known of a cache.
struct Cache {
    name: Vec<u8>,
    object_size: u64,
    size: u64,
}

/// The caches, by their addresses.
#[derive(Default)]
pub struct Caches(HashMap<u64, Cache>);

impl Caches {
    /// All there are.
    pub fn read(engine: &mut Engine) -> Result<Self, Failure> {
        let mut caches = Self::default();
        caches.learn(engine)?;
        Ok(caches)
    }

    /// Adds those that are new.
    pub fn learn(&mut self, ask: &mut dyn Ask) -> Result<(), Failure> {
        for row in ask.ask("select addr, name, object_size, size from caches")?.rows {
            if let [Value::UInt(addr), Value::Text(name), object_size, size] = row.as_slice() {
                let number = |value: &Value| value.unsigned().unwrap_or(0);
                let (name, object_size, size) = (name.to_vec(), number(object_size), number(size));
                self.0.entry(*addr).or_insert(Cache { name, object_size, size });
            }
        }
        Ok(())
    }

    /// The name of a cache.
    pub fn name(&self, cache: u64) -> Option<&[u8]> {
        self.0.get(&cache).map(|cache| cache.name.as_slice())
    }

    /// Their addresses and names.
    pub fn all(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.0.iter().map(|(addr, cache)| (*addr, cache.name.as_slice()))
    }
}

/// What is known of the numbers in events.
pub struct Known<'a> {
    pub events: &'a Events,
    pub caches: &'a Caches,
    pub names: &'a Names,
    pub stacks: Stacks,
    pub cgroups: &'a Cgroups,
}

/// Makes rows.
pub struct Maker<'a> {
    /// The columns that are read, in the order of the plan's inputs.
    columns: Vec<&'static str>,
    known: &'a Known<'a>,
    /// When the trace began, when rows were made last, and when it ended.
    span: (u64, u64, u64),
    /// Of each object that no event freed, whether it is in use.
    in_use: HashMap<u64, Option<bool>>,
    /// Whether [`KVMALLOC`] is one of [`AGAIN`].
    kvmalloc: bool,
    /// Events of the allocator itself.
    pub own: u64,
    /// Events that are told again.
    pub again: u64,
    /// Objects that no event freed, and that are free.
    pub dropped: u64,
    /// Objects that no event freed, and that could not be looked up.
    pub unconfirmed: u64,
}

impl<'a> Maker<'a> {
    /// Begins.
    pub fn new(plan: &Plan, known: &'a Known<'a>, span: (u64, u64, u64)) -> Self {
        let column = |input: &query::input::Input| input.column().map_or("", |column| column.name);
        let columns = plan.inputs.iter().map(column).collect();
        let (in_use, kvmalloc) = (HashMap::new(), false);
        let (own, again, dropped, unconfirmed) = (0, 0, 0, 0);
        Self { columns, known, span, in_use, kvmalloc, own, again, dropped, unconfirmed }
    }

    /// Looks at all events there are, with their numbers, before rows are made of them.
    pub fn look<'e>(&mut self, events: impl Iterator<Item = (&'e [u64], u64)>) {
        let (mut inner, mut outer) = (0, 0);
        for (fields, count) in events.filter(|(fields, _)| self.cache_of(fields) == 0) {
            match self.function(fields) {
                Some(KMALLOC_NODE) => inner += count,
                Some(KVMALLOC) => outer += count,
                _ => {}
            }
        }
        // Where the one calls the other, it has no event without one of the other. A kernel that does not tell the cache
        // does not tell large allocations from others either.
        self.kvmalloc = self.known.events.get_kmem_cache.is_some() && outer > inner;
    }

    /// Looks which objects are in use that no event freed.
    pub fn confirm(&mut self, ask: &mut dyn Ask, objects: &[Object]) -> Result<(), Failure> {
        let names_none = self.known.events.get_kmem_cache.is_none();
        let home = |object: &Object| match self.cache_of(&object.fields) {
            0 if names_none => Home::Unknown,
            0 => Home::Pages,
            cache => Home::Cache(cache),
        };
        let held = objects.iter().filter(|object| object.freed.is_none());
        let held: Vec<(u64, Home)> = held.map(|object| (object.addr, home(object))).collect();
        let states = whatis::in_use(ask, &held)?;
        self.in_use = held.iter().map(|(object, _)| *object).zip(states).collect();
        self.dropped = self.in_use.values().filter(|state| **state == Some(false)).count() as u64;
        Ok(())
    }

    /// The rows of counts.
    pub fn of_counts(&mut self, counts: &[(Vec<u64>, u64)]) -> Vec<(Vec<Value>, u64)> {
        let mut rows = Vec::with_capacity(counts.len());
        for (fields, count) in counts {
            if self.counts(fields, *count) {
                rows.push((self.row(fields, None), *count));
            }
        }
        rows
    }

    /// The rows of objects.
    pub fn of_objects(&mut self, objects: &[Object]) -> Vec<(Vec<Value>, u64)> {
        let mut rows = Vec::with_capacity(objects.len());
        for object in objects {
            if self.counts(&object.fields, 1) {
                self.unconfirmed += u64::from(self.in_use(object).is_none());
                rows.push((self.row(&object.fields, Some(object)), 1));
            }
        }
        rows
    }

    fn row(&self, fields: &[u64], object: Option<&Object>) -> Vec<Value> {
        self.columns.iter().map(|column| self.value(column, fields, object)).collect()
    }

    fn value(&self, column: &str, fields: &[u64], object: Option<&Object>) -> Value {
        let known = || self.known.caches.0.get(&self.cache_of(fields));
        let field = |field| self.field(field, fields);
        let number = |value: Option<u64>| value.map_or(Value::Null, Value::UInt);
        // What `kmem_cache_alloc` does not tell is the cache's.
        let bytes = |of: Field, cache: fn(&Cache) -> u64| {
            number(field(of).filter(|bytes| *bytes > 0).or_else(|| known().map(cache)))
        };
        match column {
            "name" => known().map_or(Value::Null, |cache| Value::text(&cache.name)),
            "cache" => number(Some(self.cache_of(fields)).filter(|cache| *cache != 0)),
            "bytes_req" => bytes(Field::BytesReq, |cache| cache.object_size),
            "bytes_alloc" => bytes(Field::BytesAlloc, |cache| cache.size),
            "gfp" => number(field(Field::Gfp)),
            "node" => field(Field::Node).map_or(Value::Null, |node| {
                let low = u32::try_from(node & 0xffff_ffff).unwrap_or_default();
                Value::Int(low.cast_signed().into())
            }),
            "cpu" => number(field(Field::Cpu)),
            "pid" => number(field(Field::Pid)),
            "comm" => self.comm(fields),
            "cgroup" => {
                let path = field(Field::Cgroup).and_then(|cgroup| self.known.cgroups.path(cgroup));
                path.map_or(Value::Null, Value::text)
            }
            "site" => {
                let name = field(Field::Site).and_then(|site| self.known.names.name(site));
                name.map_or(Value::Null, Value::text)
            }
            "stack" => {
                field(Field::Stack).map_or(Value::Null, |stack| self.known.stacks.text(stack))
            }
            "elapsed" => {
                let (_, last, ended) = self.span;
                Value::real(Duration::from_nanos(ended.saturating_sub(last)).as_secs_f64())
            }
            _ => object.map_or(Value::Null, |object| self.of_object(column, object)),
        }
    }

    /// The value of a column of single objects.
    fn of_object(&self, column: &str, object: &Object) -> Value {
        let (began, _, ended) = self.span;
        let in_use = self.in_use(object);
        match column {
            "addr" => Value::UInt(object.addr),
            "time" => Value::UInt(object.time.saturating_sub(began)),
            "age" => Value::UInt(ended.saturating_sub(object.time)),
            "lifetime" => match object.freed.filter(|freed| *freed > 0) {
                Some(freed) => Value::UInt(freed.saturating_sub(object.time)),
                None => Value::Null,
            },
            "freed" => in_use.map_or(Value::Null, |in_use| Value::Bool(!in_use)),
            "state" => Value::text(match in_use {
                Some(true) => "held",
                Some(false) => "freed",
                None => "unconfirmed",
            }),
            _ => Value::Null,
        }
    }

    /// Whether an object is in use at the end, as far as that is known.
    fn in_use(&self, object: &Object) -> Option<bool> {
        match object.freed {
            Some(_) => Some(false),
            None => self.in_use.get(&object.addr).copied().flatten(),
        }
    }

    fn comm(&self, fields: &[u64]) -> Value {
        let Some(at) = self.known.events.place(Field::Comm) else { return Value::Null };
        let bytes: Vec<u8> =
            fields.iter().skip(at).take(2).flat_map(|word| word.to_le_bytes()).collect();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Value::text(&bytes[..end])
    }

    /// Whether events are somebody's allocations. Others are what the allocator allocated for itself, in the name of
    /// whoever ran, or are told again.
    fn counts(&mut self, fields: &[u64], count: u64) -> bool {
        let Some(function) = self.function(fields) else { return true };
        let again = AGAIN.contains(&function) || self.kvmalloc && function == KVMALLOC;
        if OWN.iter().any(|own| function.starts_with(own)) {
            self.own += count;
        } else if again && self.cache_of(fields) == 0 {
            self.again += count;
        } else {
            return true;
        }
        false
    }

    /// The function that called the allocator.
    fn function(&self, fields: &[u64]) -> Option<&'a str> {
        let name = self.known.names.name(self.field(Field::Site, fields)?)?;
        name.split(['+', '.']).next()
    }

    fn cache_of(&self, fields: &[u64]) -> u64 {
        self.field(Field::Cache, fields).unwrap_or(0)
    }

    fn field(&self, field: Field, fields: &[u64]) -> Option<u64> {
        self.known.events.place(field).and_then(|at| fields.get(at)).copied()
    }
}
