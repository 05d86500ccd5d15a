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
use ebpf_templates::template::objects::{self, Objects, Own, Visitor};

use super::needs::{lacking, offset};
use super::{Generator, walk};
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::{AFTER_ALL, Plan, SUM};
use crate::schema::{self, Schema, Unknown};

/// The walk over the objects that a plan reads.
pub(super) fn of(plan: &Plan, schema: &dyn Schema) -> Result<Objects, Diagnostic> {
    let arguments: Vec<&str> = plan.arguments.iter().map(|argument| &*argument.text).collect();
    let unknown = |Unknown { message, help, .. }| Diagnostic {
        help,
        ..Diagnostic::new(Span::default(), message)
    };
    objects(schema, &schema.objects(&arguments).map_err(unknown)?)
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
