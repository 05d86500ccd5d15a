//! Generates the rows of objects whose members are read.
//!
//! ```text
//!   conditions on the cache ── no ──► next slab
//!   the row of the slab, with a bit for each object on its freelist
//!   for each object that is not on it
//!     conditions on members ── no ──► next object
//!     its row
//!   is it the same slab yet? ── no ──► next slab, without these rows
//! ```
//!
//! What the row of an object says besides its members is made of its address by the reader, who also knows what CPUs and
//! barns keep ready.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::objects::{self, Objects, Own, Owners, Stride, Visitor};
use ebpf_templates::template::slab::Bits;

use super::needs::{lacking, member, offset};
use super::{Generator, walk};
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::{AFTER_ALL, Plan, SUM};
use crate::schema::{self, Schema, TypeId, Unknown};

/// The walk over the objects that a plan reads.
pub(super) fn of(plan: &Plan, schema: &dyn Schema) -> Result<Objects, Diagnostic> {
    let arguments: Vec<&str> = plan.arguments.iter().map(|argument| &*argument.text).collect();
    let unknown = |Unknown { message, help, .. }| Diagnostic {
        help,
        ..Diagnostic::new(Span::default(), message)
    };
    let walk = objects(schema, &schema.objects(&arguments).map_err(unknown)?)?;
    Ok(Objects { owners: extensions(plan, schema)?, ..walk })
}

/// Where the owners of objects are and the sites that allocated them, as far as a plan reads them.
pub fn extensions(plan: &Plan, schema: &dyn Schema) -> Result<Option<Owners>, Diagnostic> {
    if !plan.reads_owners() && !plan.reads_sites() {
        return Ok(None);
    }
    let site = if plan.reads_sites() { site(schema) } else { None };
    Ok(Some(Owners { site, ..owners(schema)? }))
}

/// The offset of the site of an allocation in a `struct slabobj_ext`, if the kernel was built to keep it.
pub fn site(schema: &dyn Schema) -> Option<i32> {
    // It was renamed in 7.3, which counts it from the end of the owner.
    let member = ["ref", "_ctref"].iter().find_map(|path| schema.member("slabobj_ext", path))?;
    i32::try_from(member.offset).ok()
}

/// Where the owners of objects are, in each form that they have had.
pub fn owners(schema: &dyn Schema) -> Result<Owners, Diagnostic> {
    let slab = |path: &str| member(schema, "slab", path);
    let counters = slab("counters")?.offset;
    let bits = |path: &str| {
        let found = slab(path)?;
        let outside = || lacking(&format!("member `slab.{path}` beside the counters"));
        let before = found.offset.checked_sub(counters).ok_or_else(outside)?;
        let whole = u8::try_from(8 * found.size).map_err(|_| outside())?;
        let (first, count) = found.bits.unwrap_or((0, whole));
        let first = 8 * before + u32::from(first);
        if first + u32::from(count) > 64 {
            Err(outside())
        } else {
            Ok(Bits { first: first.cast_signed(), count })
        }
    };
    let vector = slab("obj_exts")?.offset.cast_signed();
    let entry = schema.struct_id("slabobj_ext").map(TypeId);
    let bytes = entry.and_then(|entry| schema.size_of(entry));
    let bytes = bytes.and_then(|bytes| i32::try_from(bytes).ok());
    let stride = if schema.has_member("slab", "obj_exts_in_object") {
        // An entry has a word for its owner, and one for the site of its allocation if the kernel has profiled those since it
        // was booted.
        let sites = site(schema).is_some() && schema.profiling().is_ok();
        let (owned, in_objects) = (bits("obj_exts_needs_objcg")?, bits("obj_exts_in_object")?);
        Stride::Marked { owned, in_objects, bytes: if sites { 16 } else { 8 } }
    } else if schema.has_member("slab", "stride") {
        Stride::Counted(bits("stride")?)
    } else {
        Stride::Fixed(bytes.ok_or_else(|| lacking("struct `slabobj_ext`"))?)
    };
    Ok(Owners { vector, stride, site: None })
}

/// The walk over these objects.
pub fn objects(schema: &dyn Schema, of: &schema::Objects) -> Result<Objects, Diagnostic> {
    let array = schema.page_array().map_err(|why| Diagnostic::new(Span::default(), why))?;
    let most = u16::try_from(of.most).unwrap_or(u16::MAX).clamp(64, objects::MAX_BITS);
    Ok(Objects {
        vmemmap: walk::vmemmap(schema)?,
        page_offset: array.page_offset,
        page_size: u32::try_from(schema.page_size()).map_err(|_| lacking("page size"))?,
        size: offset(schema, "kmem_cache", "size")?,
        free_offset: offset(schema, "kmem_cache", "offset")?,
        random: offset(schema, "kmem_cache", "random").ok(),
        red_left_pad: offset(schema, "kmem_cache", "red_left_pad").ok(),
        bits: most.next_multiple_of(64),
        only: of.cache,
        owners: None,
    })
}

/// Makes rows of the objects that are visited.
struct ObjectRows<'a, 'b> {
    generator: &'a mut Generator<'b>,
    emitter: &'a Emitter,
}

impl Visitor for ObjectRows<'_, '_> {
    type Error = Diagnostic;

    fn object(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        for price in SUM..=AFTER_ALL {
            self.generator.conditions(asm, price, skip)?;
        }
        self.emitter.row(asm, self.generator)
    }
}

impl Generator<'_> {
    /// Appends the rows of the slab that the header speaks of, whose cache is in `R7`, and of its objects.
    pub(super) fn objects(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        let objects = self.objects.expect("rows of objects have their walk");
        let own = Own::new(&mut self.scratch);
        self.object = Some(own.object);
        self.reserve(asm)?;
        for price in 0..SUM {
            self.conditions(asm, price, next)?;
        }
        objects.walk(asm, emitter, next, own, &mut ObjectRows { generator: self, emitter })
    }
}
