//! Members of objects: which struct they are, and scans that read them.
//!
//! The kernel sends rows of the objects that are on no freelist. What they lack is added here, and those that are kept ready
//! are left out, as nothing is in them.
//!
//! # Consistency
//!
//! What is kept ready is read before the members and again behind them. An object whose state changed meanwhile has the
//! later one, and is not `complete`.

use std::ops::ControlFlow;

use ebpf_templates::program::Program;
use query::layout::{Layout, Row};
use query::plan::Plan;
use query::schema::{Objects, Unknown};
use query::suggest;

use super::bitmaps::{self, Cache, Extension, Slab, Walk};
use super::objects::{Expander, USED};
use super::resolve::Resolver;
use super::stats::ScanStats;
use super::{ScanReport, Sink};
use crate::kernel::held::Held;
use crate::kernel::lookup::Memory;
use crate::kernel::schema::KernelSchema;
use crate::kernel::types::{self, Extent, Types};
use crate::report::error::{Failure, Message};

/// So many rows wait for another look at what is kept ready.
const FLUSH: usize = 32_768;

/// The members of an object, in the row that the kernel sent, where it lies, in its slab and the cache of this number, and what
/// is kept beside it.
struct Read {
    row: Row,
    slab: Slab<'static>,
    cache: usize,
    extension: Extension,
}

/// The number of the object at an address in its slab.
fn number(addr: u64, slab: &Slab<'_>, cache: &Cache) -> u64 {
    let first = slab.start + cache.red_left_pad;
    addr.wrapping_sub(first).checked_div(cache.size).unwrap_or(0)
}

/// Makes rows of what was read between two looks at what is kept ready.
fn made(
    plan: &Plan,
    expander: &Expander<'_>,
    caches: &[Cache],
    [before, after]: [&Held; 2],
    read: &mut Vec<Read>,
) -> Vec<Row> {
    let row = |Read { row, mut slab, cache, extension }: Read| {
        let (addr, cache) = (row.addr, &caches[cache]);
        let is_held = |held: &Held| !held.within(addr, addr + 1).is_empty();
        if is_held(after) {
            return None;
        }
        slab.complete &= !is_held(before);
        let index = number(addr, &slab, cache);
        let mut made = expander.row(&slab, cache, index, USED, extension);
        for ((value, input), member) in made.values.iter_mut().zip(&plan.inputs).zip(row.values) {
            if input.in_kernel() {
                *value = member;
            }
        }
        Some(made)
    };
    read.drain(..).filter_map(row).collect()
}

/// Scans by a program that reads members, and hands rows of objects to `sink`.
pub fn scan(
    schema: &KernelSchema,
    plan: &Plan,
    (layout, program): (Layout, Program),
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let mut report = ScanReport { stats: ScanStats::default(), ..ScanReport::default() };
    let name = plan.arguments.first().map(|name| name.text.as_str());
    let mut walk = Walk::by(schema, name, |_, _| Ok(program))?;
    report.stats.stages.lap("load");
    let memory = Memory::of_words(schema)?;
    let (caches, cpus) = (walk.caches.clone(), walk.cpus);
    let addresses: Vec<u64> = caches.iter().map(|cache| cache.addr).collect();
    let held = || Held::read(&memory, &addresses, cpus);
    let nothing = Held::default();
    let expander = Expander::new(plan, walk.array, &nothing);
    let mut resolver = Resolver::new(schema, plan);
    let mut before = held()?;
    let (mut read, mut corrupt) = (Vec::new(), 0);
    // The first rows are told at once: there may be a limit.
    let mut flush = 1;
    let ended = walk.run(&mut |slab, cache| {
        corrupt += u64::from(slab.corrupt);
        let mut at = 0;
        while let Some((size, row)) = layout.row(&slab.members[at..]) {
            at += size;
            let extension = slab.extension(number(row.addr, &slab, &caches[cache]));
            read.push(Read { row, slab: slab.bare(), cache, extension });
        }
        if read.len() < flush {
            return Ok(ControlFlow::Continue(()));
        }
        flush = FLUSH;
        let after = held()?;
        let mut rows = made(plan, &expander, &caches, [&before, &after], &mut read);
        before = after;
        resolver.resolve(&mut rows)?;
        sink(rows)
    })?;
    report.stats.stages.lap("run");
    if ended.is_continue() {
        let after = held()?;
        let mut rows = made(plan, &expander, &caches, [&before, &after], &mut read);
        resolver.resolve(&mut rows)?;
        let _ = sink(rows)?;
    }
    report.notes.append(&mut walk.notes(ended, corrupt)?);
    report.notes.append(&mut Resolver::notes(plan, &walk.caches));
    Ok(report)
}

/// The objects that the arguments of the table `objects` name.
pub fn objects(schema: &KernelSchema, arguments: &[&str]) -> Result<Objects, Unknown> {
    let types = Types { schema, structs: schema.structs() };
    let unknown = |failure: Failure| {
        let Message { message, help } = failure.into_message();
        Unknown { message, help, argument: None }
    };
    schema.may_run().map_err(|refused| unknown(refused.into()))?;
    let all = bitmaps::all(schema).map_err(unknown)?;
    let Some((name, structure)) = arguments.split_first() else {
        let most = bitmaps::most_objects(&all);
        let structure = Err(Unknown::new(
            "the objects of all caches have no common type",
            "name a cache: `from objects('dentry')`",
        ));
        return Ok(Objects { cache: 0, most, size: 0, structure });
    };
    let at = bitmaps::named(&all, name).map_err(|failure| unknown(failure).of(0))?;
    let cache = &all[at];
    let structure = match structure.first() {
        Some(structure) => said(types, cache, structure),
        None => told(types, cache),
    };
    Ok(Objects {
        cache: cache.addr,
        most: cache.objects_per_slab(),
        size: cache.object_size,
        structure,
    })
}

/// The struct that the query says.
fn said(types: Types<'_>, cache: &Cache, text: &str) -> Result<String, Unknown> {
    let name = text.trim().strip_prefix("struct ").unwrap_or(text).trim();
    let Some(Extent { least, .. }) = types.extent(name) else {
        let help = suggest::meant(name, types.structs.keys().map(String::as_str));
        let message = format!("the kernel's types have no `struct {name}`");
        return Err(Unknown { message, help, argument: Some(1) });
    };
    if least > cache.object_size {
        let message = format!("`struct {name}` does not fit into objects of `{}`", cache.text());
        let help = format!("it has {least} bytes, and an object {}", cache.object_size);
        return Err(Unknown::new(message, help).of(1));
    }
    Ok(name.to_owned())
}

/// The struct that the names of a cache tell.
fn told(types: Types<'_>, cache: &Cache) -> Result<String, Unknown> {
    let name = cache.text();
    // Without sysfs nobody knows what was merged.
    let names = cache.names().map_err(|why| {
        let help = format!("name it: `objects('{name}', 'struct …')`");
        Unknown::new(format!("the type of `{name}` is not known: {why}"), help).of(0)
    })?;
    types::of(types, &names, cache.object_size).ok_or_else(|| {
        let said = |structure: &str| format!("`objects('{name}', 'struct {structure}')`");
        match names.as_slice() {
            [_] => {
                let message = format!("the type of the objects of `{name}` is not known");
                Unknown::new(message, format!("name it, as in {}", said("pipe_buffer")))
            }
            merged => {
                let quoted: Vec<_> = merged.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("several caches are merged: {}", quoted.join(", "));
                let one =
                    merged.iter().find_map(|name| types::told_by(types, name, cache.object_size));
                let example = said(one.as_deref().unwrap_or("…"));
                let help = format!(
                    "name the type that its objects are to be read as, as in {example}, or boot \
                     with `slab_nomerge`"
                );
                Unknown::new(message, help)
            }
        }
        .of(0)
    })
}
