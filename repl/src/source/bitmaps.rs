//! Walks slabs, full ones too, each with a bit for each of its objects, set for those on the slab's freelist.
//!
//! All that a walk takes of the kernel is taken before it, and kept for another one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use ebpf_templates::program::Program;
use ebpf_templates::template::objects;
use ebpf_templates::template::rows;
use query::codegen;
use query::diagnostic::Diagnostic;
use query::plan::Plan;
use query::schema::{PageArray, Schema, Unknown};
use query::suggest;
use query::value::Value;

use super::caches::Asked;
use super::pages;
use crate::kernel::held::{Held, HeldObject};
use crate::kernel::load::Loaded;
use crate::kernel::lookup::Memory;
use crate::kernel::schema::KernelSchema;
use crate::kernel::sysfs;
use crate::kernel::tracks;
use crate::kernel::zones::{self, Range};
use crate::report::error::Failure;

/// What is asked of caches.
const CACHES: &str = "select addr, name, size, object_size, red_left_pad, slabs, objects_per_slab, sysfs_id, \
    free_offset, metadata_offset, cast(flags as int)";
/// The fewest objects that a slab has bits for.
const FEWEST: u64 = 512;

/// A cache.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Its address.
    pub addr: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// From one object to the next.
    pub size: u64,
    /// What users of the cache see of an object.
    pub object_size: u64,
    /// The bytes before an object that belong to it.
    pub red_left_pad: u64,
    slabs: i128,
    objects_per_slab: u64,
    /// Its folder under /sys/kernel/slab.
    folder: Vec<u8>,
    /// How far behind the start of an object the record of its allocation is, if debugging keeps one.
    pub track: Option<u64>,
}

/// All caches.
pub(super) fn all(schema: &KernelSchema) -> Result<Vec<Cache>, Failure> {
    caches(schema, &Asked::new(schema, CACHES)?)
}

impl Cache {
    /// The objects of a slab.
    pub(super) fn objects_per_slab(&self) -> u64 {
        self.objects_per_slab
    }

    /// All names that it has: its own first, then those of what was merged into it.
    pub(super) fn names(&self) -> Result<Vec<String>, String> {
        let own = self.text();
        let aliases = sysfs::aliases()?;
        let links = aliases.of(&String::from_utf8_lossy(&self.folder)).iter();
        let others = links.filter(|alias| **alias != own).cloned();
        Ok([own.clone()].into_iter().chain(others).collect())
    }

    /// Its name as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// A slab, as the program sends it.
#[derive(Clone, Copy, Debug)]
pub struct Slab<'a> {
    /// The number of its first page.
    pub pfn: u64,
    /// Its first byte.
    pub start: u64,
    /// Its objects, used or free.
    pub objects: u64,
    /// The node whose memory it is.
    pub node: Option<u32>,
    /// Whether it stayed as it was while it was read, and its freelist fits its counters.
    pub complete: bool,
    /// Whether it stayed as it was, and its freelist does not fit.
    pub corrupt: bool,
    /// Whether a CPU holds it, alone or on its partial list, and so keeps its free objects ready.
    pub of_cpu: bool,
    /// The rows of its objects, if members are read.
    pub members: &'a [u8],
    bits: &'a [u8],
    /// An entry an object, if they are read and the slab has them.
    extensions: &'a [u8],
    /// Bytes of an entry: the owner, and behind it the site if it is read.
    entry: usize,
}

/// What the kernel keeps of an object beside it, in its `struct slabobj_ext`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extension {
    /// The `struct obj_cgroup` that it is charged to, by its address; 0 if it is charged to none.
    pub owner: u64,
    /// The `struct codetag` of the line of code that allocated it; 0 if it is not known.
    pub site: u64,
}

impl Slab<'_> {
    /// The same without what is known of its objects.
    #[must_use]
    pub fn bare(&self) -> Slab<'static> {
        Slab { bits: &[], members: &[], extensions: &[], ..*self }
    }

    /// Whether object number `index` is on the slab's freelist.
    #[must_use]
    pub fn is_free(&self, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|at| self.bits.get(at));
        byte.is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// What is kept of each of its objects, in their order. None if nothing is, or nothing was read.
    #[must_use]
    pub fn extensions(&self) -> impl ExactSizeIterator<Item = Extension> {
        let flags = u64::from(objects::OWNER_FLAGS.unsigned_abs());
        let word =
            move |bytes: Option<&[u8; 8]>| bytes.map_or(0, |it| u64::from_le_bytes(*it) & !flags);
        self.extensions.chunks_exact(self.entry).map(move |entry| Extension {
            owner: word(entry.first_chunk()),
            site: word(entry.get(8..).and_then(<[u8]>::first_chunk)),
        })
    }

    /// What is kept of object number `index`.
    #[must_use]
    pub fn extension(&self, index: u64) -> Extension {
        let index = usize::try_from(index).ok();
        index.and_then(|index| self.extensions().nth(index)).unwrap_or_default()
    }

    /// How many are.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.bits.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// The objects that are kept ready of those that the slab counts as used, by their numbers.
    pub fn held<'h>(
        &self,
        held: &'h Held,
        cache: &Cache,
    ) -> impl Iterator<Item = (u64, &'h HeldObject)> {
        let (slab, size) = (*self, cache.size.max(1));
        let first = slab.start.wrapping_add(cache.red_left_pad);
        let mut last = None;
        let within = held.within(slab.start, slab.start.wrapping_add(slab.objects * size)).iter();
        within.filter_map(move |held| {
            let behind = held.addr.checked_sub(first)?;
            let index = behind / size;
            // What is held twice is one object.
            let new = last.replace(index) != Some(index);
            let is_one = behind % size == 0 && index < slab.objects;
            (is_one && new && !slab.is_free(index)).then_some((index, held))
        })
    }
}

/// Takes a slab with the number of its cache, and says whether more are wanted.
pub type Take<'a> = dyn FnMut(Slab<'_>, usize) -> Result<ControlFlow<()>, Failure> + 'a;

/// Walks slabs, as often as wanted.
pub struct Walk<'a> {
    /// Where pages are described, and lie.
    pub array: PageArray,
    /// The kernel's memory, by words.
    pub memory: Memory<'a>,
    /// The caches whose slabs are wanted.
    pub caches: Vec<Cache>,
    /// The distances of CPUs' own memory.
    pub cpus: &'a [u64],
    schema: &'a KernelSchema,
    asked: Asked<'a>,
    page_size: u64,
    by_addr: HashMap<u64, usize>,
    program: Program,
    loaded: Loaded,
    ranges: Vec<Range>,
    /// The slabs that the last walk found of each of the caches.
    found: Vec<i128>,
}

/// Says that the machine lacks something.
fn refused(why: &str) -> Failure {
    Failure::environment(format!("slabs cannot be walked: {why}"), None)
}

fn caches(schema: &KernelSchema, asked: &Asked<'_>) -> Result<Vec<Cache>, Failure> {
    let rows = asked.rows()?;
    let tracked = tracks::flag(schema);
    let text = |value: &Value| match value {
        Value::Text(text) => text.to_vec(),
        _ => Vec::new(),
    };
    let number = |value: &Value| value.unsigned().unwrap_or(0);
    let cache = |row: Vec<Value>| {
        let [addr, name, size, object_size, pad, slabs, objects, folder, free, end, flags] =
            row.as_slice()
        else {
            return None;
        };
        Some(Cache {
            addr: number(addr),
            name: text(name),
            size: number(size),
            object_size: number(object_size),
            red_left_pad: number(pad),
            slabs: slabs.integer().unwrap_or(-1),
            objects_per_slab: number(objects),
            folder: text(folder),
            track: if number(flags) & tracked == 0 {
                None
            } else {
                Some(tracks::behind(number(free), number(end)))
            },
        })
    };
    Ok(rows.into_iter().filter_map(cache).collect())
}

/// For how many objects of a slab of one of these caches there must be bits.
pub(super) fn most_objects(caches: &[Cache]) -> u64 {
    caches.iter().map(|cache| cache.objects_per_slab).max().unwrap_or(0).max(FEWEST)
}

/// Which of `caches` has this name, or the alias.
pub(super) fn named(caches: &[Cache], name: &str) -> Result<usize, Failure> {
    if let Some(index) = caches.iter().position(|cache| cache.name == name.as_bytes()) {
        return Ok(index);
    }
    let aliases = sysfs::aliases().unwrap_or_default();
    let has = |cache: &Cache| {
        let folder = String::from_utf8_lossy(&cache.folder);
        aliases.of(&folder).iter().any(|alias| alias == name)
    };
    caches
        .iter()
        .position(has)
        .ok_or_else(|| no_cache(name, &caches.iter().map(Cache::text).collect::<Vec<_>>()))
}

/// That no cache has this name, of those that there are.
pub fn no_cache(name: &str, names: &[String]) -> Failure {
    let help = suggest::meant(name, names.iter().map(String::as_str));
    Failure::command(format!("there is no cache `{name}`"), help.as_deref())
}

/// Fails where the kernel has no cache of this name.
pub fn is_cache(schema: &KernelSchema, name: &str) -> Result<(), Failure> {
    schema.may_run()?;
    // Most names are a folder or a link there.
    if sysfs::has_cache(name) {
        return Ok(());
    }
    let asked = Asked::new(schema, CACHES)?;
    named(&caches(schema, &asked)?, name).map(|_| ())
}

impl<'a> Walk<'a> {
    /// Takes what walks over the slabs of all caches need, or of the one of this name.
    pub fn open(schema: &'a KernelSchema, name: Option<&str>) -> Result<Self, Failure> {
        Self::by(schema, name, |cache, most| program(schema, most, cache, None))
    }

    /// The same by the program that reads what a plan asks of objects beside them.
    pub(super) fn of(
        schema: &'a KernelSchema,
        plan: &Plan,
        name: Option<&str>,
    ) -> Result<Self, Failure> {
        Self::by(schema, name, |cache, most| program(schema, most, cache, Some(plan)))
    }

    /// The same by a program that is made for a cache, by its address or 0 for all, and for so many objects of a slab.
    pub(super) fn by(
        schema: &'a KernelSchema,
        name: Option<&str>,
        make: impl FnOnce(u64, u64) -> Result<Program, Failure>,
    ) -> Result<Self, Failure> {
        // Whoever has no rights is told that, and how to get them.
        let memory = Memory::of_words(schema)?;
        let array = schema.page_array().map_err(|why| refused(&why))?;
        let cpus = schema.cpu_offsets().map_err(|why| refused(&why))?;
        let ranges = zones::ranges().map_err(|why| refused(&why))?;
        let asked = Asked::new(schema, CACHES)?;
        let mut caches = caches(schema, &asked)?;
        if let Some(name) = name {
            caches = vec![caches.swap_remove(named(&caches, name)?)];
        }
        let only = name.and_then(|_| caches.first()).map_or(0, |cache| cache.addr);
        let most = most_objects(&caches);
        let program = make(only, most)?;
        let loaded = Loaded::load(&program)?;
        let by_addr = caches.iter().map(|cache| cache.addr).zip(0..).collect();
        let found = vec![0; caches.len()];
        let page_size = schema.page_size();
        Ok(Self {
            array,
            memory,
            caches,
            cpus,
            schema,
            asked,
            page_size,
            by_addr,
            program,
            loaded,
            ranges,
            found,
        })
    }

    /// What CPUs and barns keep ready now.
    pub fn held(&self) -> Result<Held, Failure> {
        let addresses: Vec<u64> = self.caches.iter().map(|cache| cache.addr).collect();
        Ok(Held::read(&self.memory, &addresses, self.cpus)?)
    }

    /// Whether the kernel maps memory at this address, in its mapping of all memory.
    #[must_use]
    pub fn is_memory(&self, address: u64) -> bool {
        let pfn = address.wrapping_sub(self.array.page_offset) / self.page_size;
        self.ranges.iter().any(|range| range.contains(pfn))
    }

    /// Walks, and hands each slab to `take` with its cache, a number in `caches`.
    pub fn run(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, Failure> {
        let Self { array, by_addr, program, loaded, ranges, found, page_size, .. } = self;
        found.fill(0);
        pages::walk(ranges, program, loaded, &mut |_, output, range: &Range| {
            let mut at = 0;
            while let Some((size, cache, mut slab)) = slab(&output.bytes[at..]) {
                at += size;
                // One that was made meanwhile is not known.
                let Some(cache) = by_addr.get(&cache).copied() else { continue };
                found[cache] += 1;
                slab.node = range.node;
                slab.start = array.page_offset.wrapping_add(slab.pfn.wrapping_mul(*page_size));
                if take(slab, cache)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// What is to be said of the last walk: that slabs moved, unless it was broken off, and how many were corrupt.
    pub(super) fn notes(
        &self,
        ended: ControlFlow<()>,
        corrupt: u64,
    ) -> Result<Vec<String>, Failure> {
        let mut notes = Vec::new();
        let moved = if ended.is_continue() { self.moved()?.join(", ") } else { String::new() };
        if !moved.is_empty() {
            notes.push(format!("slabs moved during the walk: objects may be missing of {moved}"));
        }
        if corrupt > 0 {
            notes.push(format!(
                "the freelists of {corrupt} slabs do not fit their counters: see `complete`"
            ));
        }
        Ok(notes)
    }

    /// Of which caches slabs came or went during the last walk, so that some may not have been seen.
    fn moved(&self) -> Result<Vec<String>, Failure> {
        let after =
            caches(self.schema, &self.asked)?.into_iter().map(|cache| (cache.addr, cache.slabs));
        let after: HashMap<u64, i128> = after.collect();
        let moved = |(cache, found): &(&Cache, &i128)| {
            let after = after.get(&cache.addr).copied().unwrap_or(cache.slabs);
            cache.slabs >= 0 && **found < cache.slabs.min(after)
        };
        Ok(self
            .caches
            .iter()
            .zip(&self.found)
            .filter(moved)
            .map(|(cache, _)| cache.text())
            .collect())
    }
}

/// The program that gives slabs with bits for so many objects, and what a plan asks of objects beside them.
fn program(
    schema: &KernelSchema,
    most: u64,
    cache: u64,
    plan: Option<&Plan>,
) -> Result<Program, Failure> {
    let structure = Err(Unknown { message: String::new(), help: None, argument: None });
    let of = query::schema::Objects { cache, most, size: 0, structure };
    let lacks = |lacking: Diagnostic| refused(&lacking.message);
    let mut walk = codegen::objects(schema, &of).map_err(lacks)?;
    if let Some(plan) = plan {
        walk.owners = codegen::extensions(plan, schema).map_err(lacks)?;
    }
    Ok(walk.build())
}

/// The slab at the start of `bytes`: the row's size, the cache, and what the row itself says.
fn slab(bytes: &[u8]) -> Option<(usize, u64, Slab<'_>)> {
    let word = |at: i16| {
        let bytes = bytes.get(usize::from(at.unsigned_abs())..)?;
        Some(u64::from_le_bytes(*bytes.first_chunk()?))
    };
    let half = |at: i16| {
        let bytes = bytes.get(usize::from(at.unsigned_abs())..)?;
        Some(u32::from_le_bytes(*bytes.first_chunk()?))
    };
    let row = half(rows::ROW_SIZE)? as usize;
    let mut size = row;
    let header = usize::from(rows::ROW_HEADER);
    while let Some(next) = bytes.get(size..size + header) {
        let half = |at: i16| {
            let at = usize::from(at.unsigned_abs());
            next.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
        };
        if half(rows::ROW_KIND)? != rows::KIND_ROW.unsigned_abs() {
            break;
        }
        size += half(rows::ROW_SIZE)? as usize;
    }
    let flags = half(objects::FLAGS)?;
    let has = |flag: i32| flags & flag.unsigned_abs() != 0;
    let entry = if has(objects::SITED) { 16 } else { 8 };
    let of_all = if has(objects::OWNED) { entry * half(objects::OBJECTS)? as usize } else { 0 };
    let extensions = row.checked_sub(of_all)?;
    let slab = Slab {
        pfn: word(objects::PFN)?,
        start: 0,
        objects: half(objects::OBJECTS)?.into(),
        node: None,
        complete: !has(objects::INCOMPLETE) && !has(objects::CORRUPT),
        of_cpu: has(objects::OF_CPU),
        corrupt: has(objects::CORRUPT),
        members: bytes.get(row..size)?,
        bits: bytes.get(usize::from(objects::BITS.unsigned_abs())..extensions)?,
        extensions: bytes.get(extensions..row)?,
        entry,
    };
    Some((size, word(rows::ROW_ADDR)?, slab))
}
