//! Scans of the table `objects`: the kernel sends slabs with a bit an object, and rows of objects are made of them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use ebpf_templates::program::Program;
use ebpf_templates::template::objects::{self, Objects};
use ebpf_templates::template::rows;
use query::codegen;
use query::layout::Row;
use query::plan::Plan;
use query::schema::{PageArray, Schema};
use query::suggest;
use query::value::Value;

use super::stats::ScanStats;
use super::{ScanReport, Sink, Source, pages};
use crate::kernel::held::{Held, Holder};
use crate::kernel::load::Loaded;
use crate::kernel::lookup::Memory;
use crate::kernel::schema::KernelSchema;
use crate::kernel::zones::{self, Range};
use crate::kernel::{sysfs, vmemmap};
use crate::report::error::Failure;

/// The rows of a batch.
const BATCH: usize = 4096;
/// What is asked of caches.
const CACHES: &str =
    "select addr, name, size, object_size, red_left_pad, slabs, objects_per_slab, sysfs_id";

/// A cache.
struct Cache {
    addr: u64,
    name: Vec<u8>,
    size: u64,
    object_size: u64,
    red_left_pad: u64,
    slabs: i128,
    /// Its folder under /sys/kernel/slab.
    folder: Vec<u8>,
    objects: u64,
}

fn caches(schema: &KernelSchema) -> Result<Vec<Cache>, Failure> {
    let rows = vmemmap::of_caches(schema, CACHES).map_err(|why| Failure::environment(why, None))?;
    let text = |value: &Value| match value {
        Value::Text(text) => text.to_vec(),
        _ => Vec::new(),
    };
    let number = |value: &Value| value.unsigned().unwrap_or(0);
    let cache = |row: Vec<Value>| {
        let [addr, name, size, object_size, pad, slabs, objects, folder] = row.as_slice() else {
            return None;
        };
        Some(Cache {
            addr: number(addr),
            name: text(name),
            size: number(size),
            object_size: number(object_size),
            red_left_pad: number(pad),
            slabs: slabs.integer().unwrap_or(-1),
            folder: text(folder),
            objects: number(objects),
        })
    };
    Ok(rows.into_iter().filter_map(cache).collect())
}

/// The cache of this name, or of which it is an alias.
fn named<'a>(caches: &'a [Cache], name: &str) -> Result<&'a Cache, Failure> {
    let by_name = |wanted: &[u8]| caches.iter().find(|cache| cache.name == wanted);
    if let Some(cache) = by_name(name.as_bytes()) {
        return Ok(cache);
    }
    let aliases = sysfs::aliases().unwrap_or_default();
    let has = |cache: &&Cache| {
        let folder = String::from_utf8_lossy(&cache.folder);
        aliases.of(&folder).iter().any(|alias| alias == name)
    };
    caches.iter().find(has).ok_or_else(|| {
        let names: Vec<String> =
            caches.iter().map(|cache| String::from_utf8_lossy(&cache.name).into_owned()).collect();
        let help = suggest::meant(name, names.iter().map(String::as_str));
        Failure::environment(format!("there is no cache `{name}`"), help.as_deref())
    })
}

/// Fails where a source has no cache of this name.
pub fn is_cache(source: &dyn Source, name: &str) -> Result<(), Failure> {
    let Some(schema) = source.kernel() else { return Ok(()) };
    schema.may_run()?;
    named(&caches(schema)?, name).map(|_| ())
}

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
        _ => return None,
    })
}

/// A slab as the program sends it.
struct Slab<'a> {
    pfn: u64,
    objects: u64,
    complete: bool,
    bits: &'a [u8],
}

/// Makes rows.
struct Expander<'a> {
    array: PageArray,
    page_size: u64,
    fields: Vec<Option<Field>>,
    held: &'a Held,
}

impl Expander<'_> {
    /// The rows of the objects of a slab, added to `rows`.
    fn expand(&self, slab: &Slab<'_>, cache: &Cache, node: Option<u32>, rows: &mut Vec<Row>) {
        let start = self.array.page_offset.wrapping_add(slab.pfn * self.page_size);
        let end = start.wrapping_add(slab.objects * cache.size);
        let mut held = self.held.within(start, end).iter().peekable();
        for index in 0..slab.objects {
            let addr = start + index * cache.size + cache.red_left_pad;
            while held.peek().is_some_and(|(object, _)| *object < addr) {
                held.next();
            }
            let byte = slab.bits.get((index / 8) as usize).copied().unwrap_or(0);
            let state = match held.peek() {
                _ if byte >> (index % 8) & 1 == 1 => "free",
                Some((object, holder)) if *object == addr => Holder::name(*holder),
                _ => "used",
            };
            let value = |field: &Option<Field>| match field {
                None => Value::Null,
                Some(Field::Name) => Value::text(&cache.name),
                Some(Field::Cache) => Value::UInt(cache.addr),
                Some(Field::Addr) => Value::UInt(addr),
                Some(Field::Slab) => Value::UInt(
                    self.array.base.wrapping_add(slab.pfn.wrapping_mul(self.array.record)),
                ),
                Some(Field::Index) => Value::UInt(index),
                Some(Field::Node) => node.map_or(Value::Null, |node| Value::UInt(node.into())),
                Some(Field::Size) => Value::UInt(cache.size),
                Some(Field::ObjectSize) => Value::UInt(cache.object_size),
                Some(Field::State) => Value::text(state),
                Some(Field::Complete) => Value::Bool(slab.complete),
            };
            rows.push(Row { addr: cache.addr, values: self.fields.iter().map(value).collect() });
        }
    }
}

/// Says that the machine lacks something.
fn refused(why: &str) -> Failure {
    Failure::environment(format!("objects cannot be listed: {why}"), None)
}

/// The program that gives slabs with bits for so many objects.
fn program(
    schema: &KernelSchema,
    array: PageArray,
    most: u64,
    only: u64,
) -> Result<Program, Failure> {
    let vmemmap = codegen::pages(schema).map_err(|lacking| refused(&lacking.message))?;
    let offset = |path: &str| {
        let member = schema.member("kmem_cache", path);
        member.and_then(|member| i16::try_from(member.offset).ok())
    };
    let needed = |path: &str| {
        offset(path)
            .ok_or_else(|| refused(&format!("the kernel has no member `kmem_cache.{path}`")))
    };
    let most = u16::try_from(most).unwrap_or(u16::MAX).clamp(64, objects::MAX_BITS);
    Ok(Objects {
        vmemmap: ebpf_templates::template::vmemmap::Vmemmap { base: array.base, ..vmemmap },
        page_offset: array.page_offset,
        page_size: u32::try_from(schema.page_size()).unwrap_or(4096),
        size: needed("size")?,
        free_offset: needed("offset")?,
        random: offset("random"),
        bits: most.next_multiple_of(64),
        only,
    }
    .build())
}

/// Scans, and hands the rows of objects to `sink`, a few thousand at a time.
pub fn scan(
    schema: &KernelSchema,
    plan: &Plan,
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let mut report = ScanReport { stats: ScanStats::default(), ..ScanReport::default() };
    let array = schema.page_array().map_err(|why| refused(&why))?;
    let cpus = schema.cpu_offsets().map_err(|why| refused(&why))?;
    let memory = Memory::of_words(schema)?;
    let all = caches(schema)?;
    let only = plan.arguments.first().map(|name| named(&all, &name.text)).transpose()?;
    let wanted: Vec<&Cache> = match only {
        Some(cache) => vec![cache],
        None => all.iter().collect(),
    };
    let most = wanted.iter().map(|cache| cache.objects).max().unwrap_or(0).max(512);
    let program = program(schema, array, most, only.map_or(0, |cache| cache.addr))?;
    report.stats.stages.lap("generate");
    let mut loaded = Loaded::load(&program)?;
    report.stats.stages.lap("load");
    let addresses: Vec<u64> = wanted.iter().map(|cache| cache.addr).collect();
    let held = Held::read(&memory, &addresses, cpus)?;
    let expander = Expander {
        array,
        page_size: schema.page_size(),
        fields: plan.inputs.iter().map(|input| field(input.name())).collect(),
        held: &held,
    };
    let by_addr: HashMap<u64, &Cache> = wanted.iter().map(|cache| (cache.addr, *cache)).collect();
    let mut found = HashMap::<u64, i128>::new();
    let (mut rows, mut corrupt) = (Vec::new(), 0);
    let ranges = zones::ranges().map_err(|why| refused(&why))?;
    let ended = pages::walk(&ranges, &program, &mut loaded, &mut |_, output, range: &Range| {
        report.stats.stages.lap("run");
        let mut at = 0;
        while let Some((size, cache, flags, slab)) = slab(&output.bytes[at..]) {
            at += size;
            // One that was made meanwhile is not known.
            let Some(cache) = by_addr.get(&cache) else { continue };
            *found.entry(cache.addr).or_default() += 1;
            corrupt += u64::from(flags & objects::CORRUPT.unsigned_abs() != 0);
            expander.expand(&slab, cache, range.node, &mut rows);
            if rows.len() >= BATCH && sink(std::mem::take(&mut rows))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if ended.is_continue() {
        let _ = sink(rows)?;
        report.notes.extend(changed(schema, &wanted, &found)?);
    }
    if corrupt > 0 {
        report.notes.push(format!(
            "the freelists of {corrupt} slabs do not fit their counters: see `complete`"
        ));
    }
    Ok(report)
}

/// The slab at the start of `bytes`: the row's size, the cache, the flags.
fn slab(bytes: &[u8]) -> Option<(usize, u64, u32, Slab<'_>)> {
    let word = |at: i16| {
        let bytes = bytes.get(usize::from(at.unsigned_abs())..)?;
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    };
    let half = |at: i16| {
        let bytes = bytes.get(usize::from(at.unsigned_abs())..)?;
        Some(u32::from_le_bytes(*bytes.first_chunk()?))
    };
    let size = half(rows::ROW_SIZE)? as usize;
    let flags = half(objects::FLAGS)?;
    let slab = Slab {
        pfn: word(objects::PFN)?,
        objects: half(objects::OBJECTS)?.into(),
        complete: flags == 0,
        bits: bytes.get(usize::from(objects::BITS.unsigned_abs())..size)?,
    };
    Some((size, word(rows::ROW_ADDR)?, flags, slab))
}

/// What is to be said of caches whose slabs came or went during the walk, so that some may not have been seen.
fn changed(
    schema: &KernelSchema,
    wanted: &[&Cache],
    found: &HashMap<u64, i128>,
) -> Result<Option<String>, Failure> {
    let after: HashMap<u64, i128> =
        caches(schema)?.into_iter().map(|cache| (cache.addr, cache.slabs)).collect();
    let moved = |cache: &&&Cache| {
        let found = found.get(&cache.addr).copied().unwrap_or(0);
        let after = after.get(&cache.addr).copied().unwrap_or(cache.slabs);
        cache.slabs >= 0 && found < cache.slabs.min(after)
    };
    let names: Vec<String> = wanted
        .iter()
        .filter(moved)
        .map(|cache| String::from_utf8_lossy(&cache.name).into_owned())
        .collect();
    Ok((!names.is_empty()).then(|| {
        format!("slabs moved during the walk: objects may be missing of {}", names.join(", "))
    }))
}
