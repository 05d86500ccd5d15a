//! Says what lies at an address: `whatis`.
//!
//! ```text
//!   bpf_get_kmem_cache ── a cache ──► slab ──► where its objects are ──► is it free
//!          └── none ──► what the architecture and the kernel's lists say
//! ```
//!
//! What cannot be told for certain is NULL, and the column `note` says why.

mod place;
mod slab;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::kernel::lookup::Memory;
use crate::report::error::Failure;
use crate::source::kind::Kind;
use place::{Lists, Place};
use slab::{Cache, Looked, Object, Slabs, State};

/// The columns of the answer, in their order.
fn columns() -> Vec<OutputColumn> {
    [
        ("address", Type::UInt, Unit::Hex),
        ("kind", Type::Text, Unit::None),
        ("cache", Type::Text, Unit::None),
        ("cache_addr", Type::UInt, Unit::Hex),
        ("object_size", Type::UInt, Unit::Bytes),
        ("object", Type::UInt, Unit::Hex),
        ("index", Type::UInt, Unit::Count),
        ("offset", Type::Int, Unit::None),
        ("state", Type::Text, Unit::None),
        ("slab", Type::UInt, Unit::Hex),
        ("note", Type::Text, Unit::None),
    ]
    .map(|(name, ty, unit)| OutputColumn::new(name, ty, unit))
    .to_vec()
}

/// A row of the answer, as far as it is known.
#[derive(Debug, Default)]
struct Row {
    kind: &'static str,
    cache: Option<Cache>,
    object: Option<Object>,
    state: Option<&'static str>,
    slab: Option<u64>,
    notes: Vec<String>,
}

impl Row {
    fn values(self, address: u64) -> Vec<Value> {
        let number = |value: Option<u64>| value.map_or(Value::Null, Value::UInt);
        let cache = self.cache.as_ref();
        let name = cache.and_then(|cache| cache.name.as_ref());
        let note = self.notes.join("; ");
        vec![
            Value::UInt(address),
            Value::text(self.kind),
            name.map_or(Value::Null, Value::text),
            number(cache.map(|cache| cache.addr)),
            number(cache.map(|cache| cache.object_size)),
            number(self.object.map(|object| object.start)),
            number(self.object.map(|object| object.index)),
            self.object.map_or(Value::Null, |object| Value::Int(object.offset)),
            self.state.map_or(Value::Null, Value::text),
            number(self.slab),
            if note.is_empty() { Value::Null } else { Value::text(note) },
        ]
    }
}

/// What lies at each of `addresses` of the running kernel.
pub fn whatis(ask: &mut dyn Ask, addresses: &[u64]) -> Result<Output, Failure> {
    if !ask.source().kind().reads_memory() {
        return Err(refused(ask.source().kind()));
    }
    let schema = ask.source().kernel().ok_or_else(|| refused(ask.source().kind()))?;
    schema.may_run()?;
    let memory = Memory::open(schema, slab::members(schema))?;
    let slabs = Slabs::new(&memory);
    let mut lists = None;
    let mut rows = Vec::with_capacity(addresses.len());
    for (address, owner) in addresses.iter().zip(memory.owners(addresses)?) {
        let row = match owner.map(|owner| Cache::new(owner, schema)) {
            Some(Some(cache)) => of_slab(&slabs, *address, cache)?,
            Some(None) => {
                let notes = vec!["this kernel has no such members of struct kmem_cache".to_owned()];
                Row { kind: "slab", notes, ..Row::default() }
            }
            None => {
                let Place { kind, note } = lists.get_or_insert_with(Lists::read).place(*address);
                Row { kind, notes: note.into_iter().collect(), ..Row::default() }
            }
        };
        rows.push(row.values(*address));
    }
    Ok(Output { columns: columns(), rows, warnings: Vec::new() })
}

/// Whether each of these objects is in use; none where that is not known. A slab with many of them is read once.
pub fn in_use(ask: &dyn Ask, objects: &[u64]) -> Result<Vec<Option<bool>>, Failure> {
    let schema = ask.source().kernel().ok_or_else(|| refused(ask.source().kind()))?;
    let memory = Memory::open(schema, slab::members(schema))?;
    let slabs = Slabs::new(&memory);
    let mut looked: HashMap<u64, Result<Looked, String>> = HashMap::new();
    let mut found = Vec::with_capacity(objects.len());
    for (address, owner) in objects.iter().zip(memory.owners(objects)?) {
        let Some(owner) = owner else {
            // Its slab is gone, and it with it.
            found.push(Some(false));
            continue;
        };
        let Some(cache) = Cache::new(owner, schema) else {
            found.push(None);
            continue;
        };
        let state = match slabs.find(*address, &cache)? {
            Err(_) => None,
            Ok(slab) => {
                let looked = match looked.entry(slab.description) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(slabs.look(&slab, &cache)?),
                };
                let state = looked.as_ref().ok().map(|looked| looked.state(*address));
                state.map(|state| matches!(state, State::InUse { .. }))
            }
        };
        found.push(state);
    }
    Ok(found)
}

/// That a source has no memory.
fn refused(kind: Kind) -> Failure {
    if kind.is_here() {
        let message = format!("the source `{}` cannot look into memory", kind.name());
        return Failure::environment(message, Some("`whatis` needs the source `live`"));
    }
    let message = "a recording does not contain memory";
    Failure::environment(message, Some("`whatis` needs the running kernel"))
}

/// What lies at an address of a slab of `cache`.
fn of_slab(slabs: &Slabs<'_>, address: u64, cache: Cache) -> Result<Row, Failure> {
    let slab = match slabs.find(address, &cache)? {
        Ok(slab) => slab,
        Err(reason) => {
            let notes = vec![format!("the slab is unknown: {reason}")];
            return Ok(Row { kind: "slab", cache: Some(cache), notes, ..Row::default() });
        }
    };
    let mut row = Row { kind: "slab", slab: Some(slab.description), ..Row::default() };
    match slab.object(address, &cache) {
        None => row.notes.push("after the last object of the slab".to_owned()),
        Some(object) => {
            let inside = u64::try_from(object.offset).is_ok_and(|at| at < cache.object_size);
            row.kind = if inside { "object" } else { "padding" };
            row.object = Some(object);
            let looked = slabs.look(&slab, &cache)?;
            match looked.map(|looked| looked.state(object.start)) {
                Ok(State::Free) => row.state = Some("free"),
                Ok(State::InUse { sheaves }) => {
                    row.state = Some("in use");
                    if sheaves {
                        row.notes.push("or in a sheaf held by no CPU or barn".to_owned());
                    }
                }
                Ok(State::Pending) => {
                    row.state = Some("free");
                    row.notes.push("freed, but kept until an RCU grace period ends".to_owned());
                }
                Err(reason) => {
                    row.notes.push(format!("the state is unknown: {reason}"));
                }
            }
        }
    }
    row.cache = Some(cache);
    Ok(row)
}
