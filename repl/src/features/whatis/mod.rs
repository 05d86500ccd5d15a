//! Says what lies at an address: `whatis`.
//!
//! ```text
//!   bpf_get_kmem_cache ── a cache ──► slab ──► where its objects are ──► is it free, are its neighbours
//!          └── none ──► what the architecture and the kernel's lists say
//! ```
//!
//! What cannot be told for certain is NULL, and the column `note` says why.

mod place;

use std::collections::{BTreeMap, BTreeSet};

use ebpf_templates::template::lookup::Owner;
use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::kernel::held::Holder;
use crate::kernel::lookup::Memory;
use crate::kernel::schema::KernelSchema;
use crate::kernel::slab::{End, Look, Looked, Object, Shape, Slab, Slabs};
use crate::report::error::Failure;
use crate::source::kind::Kind;
use place::{Lists, Place};

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
        ("slab_state", Type::Text, Unit::None),
        ("previous", Type::Text, Unit::None),
        ("next", Type::Text, Unit::None),
        ("note", Type::Text, Unit::None),
    ]
    .map(|(name, ty, unit)| OutputColumn::new(name, ty, unit))
    .to_vec()
}

/// A row of the answer, as far as it is known.
#[derive(Debug, Default)]
struct Row {
    kind: &'static str,
    owner: Option<Owner>,
    object_size: Option<u64>,
    object: Option<Object>,
    state: Option<&'static str>,
    slab: Option<u64>,
    slab_state: Option<&'static str>,
    /// The states of the objects before and behind it.
    neighbours: [Option<&'static str>; 2],
    notes: Vec<String>,
}

impl Row {
    fn values(self, address: u64) -> Vec<Value> {
        let number = |value: Option<u64>| value.map_or(Value::Null, Value::UInt);
        let text = |value: Option<&str>| value.map_or(Value::Null, Value::text);
        let owner = self.owner.as_ref();
        let name = owner.and_then(|owner| owner.name.as_ref());
        let [previous, next] = self.neighbours;
        let note = self.notes.join("; ");
        vec![
            Value::UInt(address),
            Value::text(self.kind),
            name.map_or(Value::Null, Value::text),
            number(owner.map(|owner| owner.cache)),
            number(self.object_size),
            number(self.object.map(|object| object.start)),
            number(self.object.map(|object| object.index)),
            self.object.map_or(Value::Null, |object| Value::Int(object.offset)),
            text(self.state),
            number(self.slab),
            text(self.slab_state),
            text(previous),
            text(next),
            text(Some(note.as_str()).filter(|note| !note.is_empty())),
        ]
    }
}

/// What lies at each of `addresses` of the running kernel.
pub fn whatis(ask: &mut dyn Ask, addresses: &[u64]) -> Result<Output, Failure> {
    if !ask.source().kind().reads_memory() {
        return Err(refused(ask.source().kind()));
    }
    let schema = schema(ask)?;
    schema.may_run()?;
    let memory = Memory::open(schema)?;
    let slabs = slabs(schema, &memory);
    let mut lists = None;
    let mut rows = Vec::with_capacity(addresses.len());
    for (address, owner) in addresses.iter().zip(memory.owners(addresses)?) {
        let row = if let Some(owner) = owner {
            of_slab(&memory, &slabs, *address, owner)?
        } else {
            let Place { kind, note } = lists.get_or_insert_with(Lists::read).place(*address);
            Row { kind, notes: note.into_iter().collect(), ..Row::default() }
        };
        rows.push(row.values(*address));
    }
    Ok(Output { columns: columns(), rows, warnings: Vec::new() })
}

/// Whether this kernel can be asked which objects are in use: since Linux 6.9.
pub fn knows_use(ask: &dyn Ask) -> bool {
    ask.source().kernel().is_some_and(|schema| Memory::is_readable(schema))
}

/// Where an object was when it was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In a slab of this cache.
    Cache(u64),
    /// In pages of its own.
    Pages,
    /// It is not known.
    Unknown,
}

/// Whether each of these objects is in use; none where that is not known. A slab with many of them is read once.
pub fn in_use(ask: &dyn Ask, objects: &[(u64, Home)]) -> Result<Vec<Option<bool>>, Failure> {
    let schema = schema(ask)?;
    if !Memory::is_readable(schema) {
        return Ok(vec![None; objects.len()]);
    }
    let memory = Memory::of_words(schema)?;
    let Ok(slabs) = slabs(schema, &memory) else { return Ok(vec![None; objects.len()]) };
    let addresses: Vec<u64> = objects.iter().map(|(object, _)| *object).collect();
    let of = slabs.of(&addresses)?;
    let pages: BTreeSet<u64> = of.iter().flatten().map(|slab| slab.pfn).collect();
    let pages: Vec<u64> = pages.into_iter().collect();
    let looks = slabs.look(&pages)?;
    let alone = objects.iter().filter(|(_, home)| *home == Home::Pages);
    let alone: Vec<u64> = alone.map(|(object, _)| *object).collect();
    let large = slabs.are_large(&alone)?;
    let large: Option<BTreeMap<_, _>> = large.map(|large| alone.into_iter().zip(large).collect());
    let state = |((object, home), slab): (&(u64, Home), &Option<Slab>)| {
        let slab = match (home, slab) {
            (Home::Cache(cache), Some(slab)) if *cache != slab.cache => return Some(false),
            // Where its pages became a slab or its slab is gone, so is the object.
            (Home::Pages, Some(_)) | (Home::Cache(_), None) => return Some(false),
            (_, Some(slab)) => slab,
            (Home::Pages, None) => return large.as_ref().map(|large| large[object]),
            (Home::Unknown, None) => return None,
        };
        let look = pages.binary_search(&slab.pfn).ok().map(|at| &looks[at]);
        match look {
            Some(Look::Rests(looked)) if is_whole(looked) => {
                Some(matches!(state(looked, *object), State::InUse))
            }
            _ => None,
        }
    };
    Ok(objects.iter().zip(&of).map(state).collect())
}

/// The running kernel.
fn schema(ask: &dyn Ask) -> Result<&KernelSchema, Failure> {
    ask.source().kernel().ok_or_else(|| refused(ask.source().kind()))
}

/// What reads its slabs; or why nothing does.
fn slabs<'a>(schema: &'a KernelSchema, memory: &'a Memory<'_>) -> Result<Slabs<'a>, String> {
    use query::schema::Schema;
    Slabs::new(memory, schema.cpu_offsets()?)
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

/// What is known of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// On its slab's freelist.
    Free,
    /// Free to the kernel's users, but kept ready.
    Held(Holder),
    /// Handed out.
    InUse,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Free | Self::Held(_) => "free",
            Self::InUse => "in use",
        }
    }

    /// What else is to be said.
    fn note(self, shape: &Shape) -> Option<&'static str> {
        match self {
            Self::Held(Holder::Rcu) => Some("freed, but kept until an RCU grace period ends"),
            Self::InUse if shape.has_sheaves => Some("or in a sheaf held by no CPU or barn"),
            Self::Free | Self::Held(_) | Self::InUse => None,
        }
    }
}

/// Whether a slab's freelist leads to its end.
fn is_whole(looked: &Looked) -> bool {
    looked.free.end == End::Null
}

/// What is known of an object of a slab.
fn state(looked: &Looked, object: u64) -> State {
    let held = looked.held.iter().find(|held| held.addr == object);
    match held {
        Some(held) => State::Held(held.holder),
        None if looked.free.objects.contains(&object) => State::Free,
        None => State::InUse,
    }
}

/// The word for a slab, as in `slabs`.
fn slab_state(slab: &Slab) -> &'static str {
    match slab.inuse {
        _ if slab.frozen => "cpu",
        0 => "empty",
        inuse if inuse >= slab.objects => "full",
        _ => "partial",
    }
}

/// What lies at an address of a slab of a cache.
fn of_slab(
    memory: &Memory<'_>,
    slabs: &Result<Slabs<'_>, String>,
    address: u64,
    owner: Owner,
) -> Result<Row, Failure> {
    let shape = Shape::read(memory, &[owner.cache])?.pop().flatten();
    let object_size = shape.map(|shape| shape.object_size);
    let unknown = |reason: &str, owner: Owner| {
        let notes = vec![format!("the slab is unknown: {reason}")];
        Row { kind: "slab", owner: Some(owner), object_size, notes, ..Row::default() }
    };
    let slabs = match slabs {
        Ok(slabs) => slabs,
        Err(reason) => return Ok(unknown(reason, owner)),
    };
    let found = slabs.of(&[address])?.pop().flatten();
    let Some((slab, shape)) = found.filter(|slab| slab.cache == owner.cache).zip(shape) else {
        return Ok(unknown("no page descriptor that it could begin at names the cache", owner));
    };
    let mut row = Row {
        kind: "slab",
        owner: Some(owner),
        object_size,
        slab: Some(slab.description),
        slab_state: Some(slab_state(&slab)),
        ..Row::default()
    };
    let Some(object) = slab.object(address, &shape) else {
        row.notes.push("after the last object of the slab".to_owned());
        return Ok(row);
    };
    let inside = u64::try_from(object.offset).is_ok_and(|at| at < shape.object_size);
    row.kind = if inside { "object" } else { "padding" };
    row.object = Some(object);
    match slabs.look(&[slab.pfn])?.pop() {
        Some(Look::Rests(looked)) if is_whole(&looked) => {
            let own = state(&looked, object.start);
            row.state = Some(own.text());
            row.notes.extend(own.note(&shape).map(str::to_owned));
            let neighbours =
                [object.start.wrapping_sub(shape.size), object.start.wrapping_add(shape.size)];
            let is_one = |object: &u64| looked.slab.has(*object, &shape);
            row.neighbours = neighbours
                .map(|object| Some(object).filter(is_one).map(|it| state(&looked, it).text()));
        }
        Some(Look::Rests(_)) => {
            let note = "the state is unknown: the freelist is corrupt; `slabql check` says where";
            row.notes.push(note.to_owned());
        }
        _ => {
            let note = "the state is unknown: the slab changed while its free objects were read";
            row.notes.push(note.to_owned());
        }
    }
    Ok(row)
}
