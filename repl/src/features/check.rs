//! Checks the freelists and counters of all slabs, as `slub_debug=F` would, and changes nothing: `check`.
//!
//! ```text
//!   walk of all slabs, a bit an object ──► suspects ──► each looked at until it rests ──► faults
//!   what CPUs and barns keep ready ────────────┘                ▲── again, after a pause ──┘
//! ```
//!
//! Nothing is locked, so what looks wrong may be a slab that is being changed. A slab is a suspect first; it is then read
//! until two readings are equal, and a fault is told only if each of several looks, with pauses between them, finds it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::thread::sleep;
use std::time::Duration;

use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::kernel::held::{Held, Holder};
use crate::kernel::signals;
use crate::kernel::slab::{End, Look, Looked, Slab, Slabs};
use crate::report::error::Failure;
use crate::source::bitmaps::Walk;

/// How often a suspect is looked at.
const ROUNDS: u32 = 3;
/// The time between two looks, once and twice.
const PAUSE: Duration = Duration::from_millis(10);

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// A row for each fault.
    pub output: Output,
    /// The slabs that were visited.
    pub slabs: u64,
    /// The caches that they are of.
    pub caches: usize,
    /// The suspects that never rested.
    pub unsettled: usize,
}

/// What is wrong with a slab, or an object of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The freelist leads where no object begins.
    Elsewhere(u64),
    /// The freelist is a circle.
    Circle(u64),
    /// The freelist has so many objects, and the counters say so many.
    Count(u64, u64),
    /// The counters say that more objects are in use than there are.
    InUse,
    /// So many objects do not fit in the slab's pages.
    Objects,
    /// An object is on the slab's freelist, and kept ready too.
    Free(u64, Holder),
    /// An object is kept ready twice.
    Twice(u64, Holder, Holder),
    /// What is kept ready is of another cache.
    Foreign(u64, Holder),
    /// What is kept ready is no object.
    NoObject(u64, Holder),
}

/// Where an object is that a holder keeps.
fn place(holder: Holder) -> &'static str {
    match holder {
        Holder::Cpu => "on a CPU's freelist",
        Holder::Sheaf => "in a CPU's sheaf",
        Holder::Barn => "in a barn's sheaf",
        Holder::Rcu => "in a sheaf that waits for RCU",
    }
}

impl Fault {
    /// In words.
    fn text(self) -> String {
        match self {
            Self::Elsewhere(_) => {
                "the freelist leads here, where no object of the slab begins".to_owned()
            }
            Self::Circle(_) => "the freelist comes back to this object".to_owned(),
            Self::Count(found, counted) => {
                format!("the freelist has {found} objects, but the counters say {counted}")
            }
            Self::InUse => "more objects are counted as in use than the slab has".to_owned(),
            Self::Objects => "the slab has no room for that many objects".to_owned(),
            Self::Free(_, holder) => format!("on the slab's freelist and {}", place(holder)),
            Self::Twice(_, one, other) if one == other => format!("{} twice", place(one)),
            Self::Twice(_, one, other) => format!("{} and {}", place(one), place(other)),
            Self::Foreign(_, holder) => {
                format!("{}, but that is one of another cache", place(holder))
            }
            Self::NoObject(_, holder) => format!("{}, but no object begins here", place(holder)),
        }
    }

    /// The address that it is about, if it is about one.
    fn object(self) -> Option<u64> {
        match self {
            Self::Elsewhere(object)
            | Self::Circle(object)
            | Self::Free(object, _)
            | Self::Twice(object, ..)
            | Self::Foreign(object, _)
            | Self::NoObject(object, _) => Some(object),
            Self::Count(..) | Self::InUse | Self::Objects => None,
        }
    }
}

/// What is wrong with a slab that rested while it was looked at.
fn faults(looked: &Looked) -> Vec<Fault> {
    let Looked { slab, shape, free, held } = looked;
    if slab.is_kfence() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if slab.inuse > slab.objects {
        found.push(Fault::InUse);
    }
    if slab.objects == 0 || slab.objects * shape.size > slab.bytes {
        found.push(Fault::Objects);
    }
    match free.end {
        End::Elsewhere(object) => found.push(Fault::Elsewhere(object)),
        End::Again(object) => found.push(Fault::Circle(object)),
        End::Null => {
            let on_list = free.objects.len() as u64;
            let counted = slab.objects.saturating_sub(slab.inuse);
            // What a CPU took of a slab that it holds, the slab counts as in use.
            if !slab.frozen && on_list != counted && slab.inuse <= slab.objects {
                found.push(Fault::Count(on_list, counted));
            }
        }
    }
    for (index, one) in held.iter().enumerate() {
        let (addr, holder) = (one.addr, one.holder);
        if one.cache != slab.cache {
            found.push(Fault::Foreign(addr, holder));
        } else if !slab.has(addr, shape) {
            found.push(Fault::NoObject(addr, holder));
        }
        if free.objects.contains(&addr) {
            found.push(Fault::Free(addr, holder));
        }
        // They are in the order of their addresses.
        if let Some(next) = held.get(index + 1).filter(|next| next.addr == addr) {
            found.push(Fault::Twice(addr, holder, next.holder));
        }
    }
    found
}

/// Slabs, by their first pages, and addresses that are kept ready but lie in no slab that was visited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Suspects {
    slabs: BTreeSet<u64>,
    strays: BTreeSet<u64>,
}

/// Walks over all slabs. Gives those that a second look is to be taken at, and how many there are.
fn suspects(walk: &mut Walk<'_>, held: &Held) -> Result<(Suspects, u64), Failure> {
    let caches = walk.caches.clone();
    let (mut suspects, mut count) = (Suspects::default(), 0);
    suspects.strays.extend(held.all().iter().map(|held| held.addr));
    let _ = walk.run(&mut |slab, cache| {
        count += 1;
        let cache = &caches[cache];
        let within = held.within(slab.start, slab.start.wrapping_add(slab.objects * cache.size));
        for held in within {
            suspects.strays.remove(&held.addr);
        }
        let own = within.iter().all(|held| held.cache == cache.addr);
        // An object that is free, held twice or none is not counted.
        if !slab.complete || !own || slab.held(held, cache).count() < within.len() {
            suspects.slabs.insert(slab.pfn);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((suspects, count))
}

/// Checks all slabs, or those of the cache of this name.
pub fn check(ask: &dyn Ask, name: Option<&str>) -> Result<Checked, Failure> {
    let kind = ask.source().kind();
    let Some(schema) = ask.source().kernel().filter(|_| kind.reads_memory()) else {
        let message = if kind.is_here() {
            format!("the source `{}` cannot look into memory", kind.name())
        } else {
            "a recording does not contain memory".to_owned()
        };
        return Err(Failure::environment(message, Some("`check` needs the running kernel")));
    };
    schema.may_run()?;
    let mut walk = Walk::open(schema, name)?;
    let held = walk.held()?;
    let (mut suspects, slabs) = suspects(&mut walk, &held)?;
    let mut found = Vec::new();
    let mut unsettled = 0;
    for round in 0..ROUNDS {
        if suspects == Suspects::default() {
            break;
        }
        sleep(round * PAUSE);
        signals::check()?;
        (found, unsettled) = look(&walk, &mut suspects)?;
    }
    let mut rows = Vec::new();
    for (slab, faults) in &found {
        let cache = walk.caches.iter().find(|cache| cache.addr == slab.cache);
        for fault in faults {
            rows.push(vec![
                cache.map_or(Value::Null, |cache| Value::text(&cache.name)),
                Value::UInt(slab.cache),
                Value::UInt(slab.description),
                Value::UInt(slab.objects),
                Value::UInt(slab.inuse),
                fault.object().map_or(Value::Null, Value::UInt),
                Value::text(fault.text()),
            ]);
        }
    }
    let held = walk.held()?;
    let strays = held.all().iter().filter(|held| suspects.strays.contains(&held.addr));
    for held in strays {
        let cache = walk.caches.iter().find(|cache| cache.addr == held.cache);
        rows.push(vec![
            cache.map_or(Value::Null, |cache| Value::text(&cache.name)),
            Value::UInt(held.cache),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::UInt(held.addr),
            Value::text(format!("{}, but it lies in no slab", place(held.holder))),
        ]);
    }
    let output = Output { columns: columns(), rows, warnings: Vec::new() };
    Ok(Checked { output, slabs, caches: walk.caches.len(), unsettled })
}

/// Slabs, and what is wrong with each.
type Faulty = Vec<(Slab, Vec<Fault>)>;

/// Looks at suspects, and leaves those that still are. Gives what is wrong with slabs, and how many never rested.
fn look(walk: &Walk<'_>, suspects: &mut Suspects) -> Result<(Faulty, usize), Failure> {
    let slabs = Slabs::new(&walk.memory, walk.cpus)
        .map_err(|why| Failure::environment(format!("slabs cannot be checked: {why}"), None))?;
    if !suspects.strays.is_empty() {
        // They may have gone meanwhile, or their slab came after the walk had passed.
        let held = walk.held()?;
        let is_held = |addr: &u64| !held.within(*addr, addr.saturating_add(1)).is_empty();
        suspects.strays.retain(is_held);
        let there: Vec<u64> =
            suspects.strays.iter().filter(|addr| walk.is_memory(**addr)).copied().collect();
        for (addr, slab) in there.iter().zip(slabs.of(&there)?) {
            if let Some(slab) = slab {
                suspects.strays.remove(addr);
                suspects.slabs.insert(slab.pfn);
            }
        }
    }
    let pages: Vec<u64> = suspects.slabs.iter().copied().collect();
    let (mut found, mut unsettled) = (Vec::new(), 0);
    for (pfn, look) in pages.iter().zip(slabs.look(&pages)?) {
        match look {
            Look::Changes => unsettled += 1,
            Look::Rests(looked) if !faults(&looked).is_empty() => {
                found.push((looked.slab, faults(&looked)));
            }
            Look::Rests(_) | Look::Gone => {
                suspects.slabs.remove(pfn);
            }
        }
    }
    Ok((found, unsettled))
}

/// The columns of the answer, in their order.
fn columns() -> Vec<OutputColumn> {
    [
        ("name", Type::Text, Unit::None),
        ("cache", Type::UInt, Unit::Hex),
        ("slab", Type::UInt, Unit::Hex),
        ("objects", Type::UInt, Unit::Count),
        ("active", Type::UInt, Unit::Count),
        ("object", Type::UInt, Unit::Hex),
        ("fault", Type::Text, Unit::None),
    ]
    .map(|(name, ty, unit)| OutputColumn::new(name, ty, unit))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::held::HeldObject;
    use crate::kernel::slab::{Freelist, Shape};

    const START: u64 = 0xffff_8880_0000_2000;
    const CACHE: u64 = 0xffff_8880_0001_0000;
    const SIZE: u64 = 192;

    /// Where object number `index` begins.
    fn object(index: u64) -> u64 {
        START + SIZE * index
    }

    /// A slab of 21 objects, of which 3 are free.
    fn sound() -> Looked {
        let free = [2, 7, 20].map(object);
        Looked {
            slab: Slab {
                description: 9,
                pfn: 2,
                order: 0,
                start: START,
                bytes: 4096,
                cache: CACHE,
                freelist: free[0],
                counters: 0,
                objects: 21,
                inuse: 18,
                frozen: false,
            },
            shape: Shape {
                size: SIZE,
                object_size: 190,
                red_left_pad: 0,
                free_offset: 96,
                random: None,
                has_sheaves: true,
            },
            free: Freelist { objects: free.into(), end: End::Null },
            held: vec![held(1, Holder::Sheaf), held(3, Holder::Barn)],
        }
    }

    fn held(index: u64, holder: Holder) -> HeldObject {
        HeldObject { addr: object(index), holder, cache: CACHE }
    }

    #[test]
    fn each_kind_of_fault_is_found() {
        let told = |change: &dyn Fn(&mut Looked)| {
            let mut looked = sound();
            change(&mut looked);
            faults(&looked)
        };
        assert_eq!(told(&|_| {}), []);
        let astray = object(30);
        assert_eq!(told(&|it| it.free.end = End::Elsewhere(astray)), [Fault::Elsewhere(astray)]);
        assert_eq!(told(&|it| it.free.end = End::Again(object(7))), [Fault::Circle(object(7))]);
        let lost = |it: &mut Looked| assert!(it.free.objects.remove(&object(7)));
        assert_eq!(told(&lost), [Fault::Count(2, 3)]);
        // A CPU took the object.
        assert_eq!(told(&|it| (lost(it), it.slab.frozen = true).1), []);
        assert_eq!(told(&|it| it.slab.inuse = 22), [Fault::InUse]);
        assert_eq!(told(&|it| it.slab.bytes = 2048), [Fault::Objects]);
        let one = held(7, Holder::Cpu);
        assert_eq!(told(&|it| it.held.push(one)), [Fault::Free(object(7), Holder::Cpu)]);
        assert_eq!(
            told(&|it| it.held.insert(1, held(1, Holder::Barn))),
            [Fault::Twice(object(1), Holder::Sheaf, Holder::Barn)]
        );
        assert_eq!(told(&|it| it.held[0].cache = 1), [Fault::Foreign(object(1), Holder::Sheaf)]);
        assert_eq!(
            told(&|it| it.held[0].addr += 8),
            [Fault::NoObject(object(1) + 8, Holder::Sheaf)]
        );
        for fault in [
            Fault::Twice(1, Holder::Sheaf, Holder::Barn),
            Fault::Count(2, 3),
            Fault::NoObject(1, Holder::Rcu),
        ] {
            assert!(!fault.text().is_empty());
        }
    }

    #[test]
    fn pages_of_kfence_are_no_slabs() {
        let mut looked = sound();
        looked.held.clear();
        looked.free.objects.clear();
        (looked.slab.objects, looked.slab.inuse, looked.slab.freelist) = (1, 0, 0);
        assert_eq!(faults(&looked), []);
        // With two objects it is none of KFENCE's.
        looked.slab.objects = 2;
        assert_eq!(faults(&looked), [Fault::Count(0, 2)]);
    }
}
