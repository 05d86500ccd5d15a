//! Generates the program of a plan: implements the hooks of a template.
//!
//! The order of the work is the order of its price:
//!
//! ```text
//!   conditions on members and texts ── no ──► next cache
//!   sums over NUMA nodes, if anything needs them
//!   conditions on sums ── no ──► next cache
//!   walks of the nodes' lists, conditions on them
//!   walks over CPUs and barns; more free than there is? ──► again, from the sums
//!   conditions on them
//!   the row
//! ```
//!
//! An address is a pointer to the verifier, whatever is done with it; it becomes a number by way of the map.
//!
//! # Registers
//!
//! See [`ebpf_templates::template`]. Numbers are computed in `R1` with `R2` and `R3` beside it; `scalar` says
//! more. The frame holds, besides the template's own eight bytes, a place for each number that waits while another is
//! computed, and for the text of a comparison; sums and walked figures lie in the map's header.
//!
//! # Not done here
//!
//! Whether a condition runs in the kernel was decided by [`crate::plan`]; everything that arrives here has a form.

pub mod c;
mod conditions;
mod figures;
mod frame;
mod group;
mod inputs;
mod needs;
mod objects;
mod pages;
mod parts;
mod path;
mod portable;
mod pred;
mod print;
mod scalar;
mod slabs;
mod text;
mod walk;

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Insn, Reg, Size};
use ebpf_templates::program::Program;
use ebpf_templates::template::driver::{Emitter, Hooks};
use ebpf_templates::template::objects::Objects;
use ebpf_templates::template::rows::{self, Scratch};

pub use needs::{has_texts, templates};
pub use objects::{extensions, objects, owners, site};
pub use portable::{NODES, portable};
pub use walk::{pages, rounds};

use crate::catalog::{Rows, Source};
use crate::diagnostic::{Diagnostic, Span};
use crate::layout::{Layout, ValuePlace};
use crate::plan::group::InKernel;
use crate::plan::kernel::Scalar;
use crate::plan::{AFTER_ALL, CPU_WALK, NODE_WALK, Plan, SUM, Target, Template};
use crate::schema::Schema;
use group::Keys;
use needs::driver;
use portable::{Constants, Luggage};

/// Generates the program of `plan`; `factor` multiplies the space that rows get, see [`Layout::room`].
pub fn generate(
    plan: &Plan,
    layout: &Layout,
    schema: &dyn Schema,
    factor: u32,
) -> Result<Program, Diagnostic> {
    let mut generator = Generator::new(plan, layout, schema);
    let driver = driver(generator.template, schema)?;
    generator.objects = match plan.table.rows {
        Rows::Objects => Some(objects::of(plan, schema)?),
        _ => None,
    };
    let room = layout.room(factor);
    let room = generator.objects.map_or(room, |objects| objects.room(room));
    let by_cpu = |input: usize| match plan.inputs[input].source() {
        Some(Source::Walk(walk)) => walk.by_cpu(),
        _ => false,
    };
    let walks_cpus = match plan.table.rows {
        Rows::Cpus => true,
        Rows::Slabs if generator.by_pages => pages::of_cpus(plan, schema),
        Rows::Slabs => slabs::on_cpus(schema),
        _ => read(plan).into_iter().any(by_cpu),
    };
    let cpus = if walks_cpus { schema.cpu_offsets().unwrap_or_default() } else { &[] };
    let table = u32::try_from(8 * cpus.len()).expect("a kernel has at most 8192 CPUs");
    generator.counters = driver.counter(room, 0);
    generator.table = driver.cpu_table(room);
    generator.values = generator.table + table;
    let mut program = driver.build(room, cpus, &mut generator)?;
    program.set_values(generator.parameters.iter().map(|(_, bits)| *bits).collect());
    Ok(program)
}

/// Generates the program of `plan` for other kernels than that of `schema`, with what it takes along.
fn once(
    plan: &Plan,
    layout: &Layout,
    schema: &dyn Schema,
    luggage: Luggage<'_>,
) -> Result<(Program, Constants), Diagnostic> {
    let text = luggage.printed;
    let mut generator =
        Generator { luggage: Some(luggage), ..Generator::new(plan, layout, schema) };
    let program = match text {
        Some((printer, cells)) => {
            let headings = generator.constant(&print::headings(cells));
            printer.build(headings, Generator::numbers(plan), &mut generator)?
        }
        None => driver(generator.template, schema)?.build(layout.room(1), &[], &mut generator)?,
    };
    let constants = generator.luggage.map(|luggage| luggage.constants.into_inner());
    Ok((program, constants.unwrap_or_default()))
}

/// The inputs that the kernel's program reads, each once.
fn read(plan: &Plan) -> Vec<usize> {
    let mut inputs = plan.projected.clone();
    let mut visit = |input| inputs.push(input);
    for operand in plan.group_in_kernel().into_iter().flat_map(InKernel::operands) {
        operand.inputs(&mut visit);
    }
    for (_, pred) in plan.pushed() {
        pred.inputs(&mut visit);
    }
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

/// Appends `dst = pointer`, as a number to the verifier too.
fn number(asm: &mut Assembler, dst: Reg, pointer: Reg) {
    asm.push(Insn::store(Size::Dw, Reg::R6, rows::NUMBER, pointer));
    asm.push(Insn::load(Size::Dw, dst, Reg::R6, rows::NUMBER));
}

struct Generator<'a> {
    plan: &'a Plan,
    template: Template,
    layout: &'a Layout,
    schema: &'a dyn Schema,
    /// Whether slabs are found by page descriptors.
    by_pages: bool,
    /// Where the counters begin in the map's value.
    counters: u32,
    /// Where the CPU table begins in the map's value.
    table: u32,
    /// Where the values of parameters begin in it.
    values: u32,
    /// The parameters whose values are there: where each stands in the text, and its value.
    parameters: Vec<(Span, u64)>,
    /// Hands out the numbers of the header.
    scratch: Scratch,
    /// The inputs that are summed or walked for, and where their numbers lie in the header.
    slots: Vec<(usize, i16)>,
    /// Where walks that did not reach their end are counted, if there are walks.
    incomplete: Option<i16>,
    /// The places for numbers that wait, by depth.
    temporaries: Vec<i16>,
    /// Where the text of a comparison lies, and its size.
    text_buffer: Option<(i16, u16)>,
    /// Where the keys of a group wait.
    keys: Keys,
    /// Where the helper puts what it reads, if a path needs it.
    read: Option<i16>,
    /// Where the address of the row's node lies in the header.
    node: Option<i16>,
    /// The walk over objects, if rows are theirs.
    objects: Option<Objects>,
    /// Where the address of the row's object lies in the header.
    object: Option<i16>,
    /// What a program for other kernels takes along; none of the running one's.
    luggage: Option<Luggage<'a>>,
}

impl Hooks for Generator<'_> {
    type Error = Diagnostic;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        self.reserve(asm)?;
        if self.incomplete.is_some() {
            asm.push(Insn::store(Size::Dw, Reg::R6, rows::SELF, Reg::R7));
        }
        self.begin_walks(asm);
        let settle = self.settle();
        let mut again = None;
        for price in 0..=AFTER_ALL {
            match price {
                SUM => {
                    again = settle.as_ref().map(|settle| settle.begin(asm));
                    self.sum(asm)?;
                }
                NODE_WALK => self.walk_nodes(asm)?,
                CPU_WALK => {
                    self.walk_cpus(asm)?;
                    if let (Some(settle), Some(again)) = (&settle, again) {
                        asm.comment("no more free than there is");
                        settle.end(asm, again);
                    }
                }
                _ => {}
            }
            self.conditions(asm, price, skip)?;
        }
        Ok(())
    }

    fn element(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
        next: Label,
    ) -> Result<(), Diagnostic> {
        match self.plan.table.rows {
            Rows::Nodes => self.nodes(asm, emitter, next),
            Rows::Cpus => self.cpus(asm, emitter, next),
            Rows::Slabs if self.by_pages => self.pages(asm, emitter, next),
            Rows::Slabs => self.slabs(asm, emitter, next),
            Rows::Objects => self.objects(asm, emitter, next),
            Rows::Caches | Rows::Host(_) => {
                self.filter(asm, next)?;
                self.emit(asm, emitter)
            }
        }
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        if let Some((printer, cells)) = self.luggage.as_ref().and_then(|luggage| luggage.printed) {
            return self.print(asm, &printer, cells);
        }
        if let Some(object) = self.object {
            // By its address the reader knows the rest.
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, object));
            asm.push(Insn::store(Size::Dw, Reg::R8, rows::ROW_ADDR, Reg::R1));
        }
        for (input, place) in &self.layout.places {
            match *place {
                ValuePlace::Address => {}
                ValuePlace::Integer { offset, size, present, .. } => {
                    asm.comment(self.plan.inputs[*input].name().to_owned());
                    let size = Size::of(size.into()).unwrap_or(Size::Dw);
                    let store = Insn::store(size, Reg::R8, offset.cast_signed(), Reg::R1);
                    if let Some(present) = present {
                        let null = asm.label("null");
                        self.far(asm, *input, null)?;
                        asm.push(store);
                        asm.push(Insn::store_imm(Size::B, Reg::R8, present.cast_signed(), 1));
                        asm.bind(null);
                    } else {
                        self.load_input(asm, Reg::R1, *input)?;
                        asm.push(store);
                    }
                }
                ValuePlace::Text { offset } => {
                    asm.comment(self.plan.inputs[*input].name().to_owned());
                    let text = self.text(*input)?;
                    text.append(asm, offset.cast_signed(), |asm, null| {
                        self.text_address(asm, *input, null)
                    })?;
                }
            }
        }
        Ok(())
    }
}

impl<'a> Generator<'a> {
    /// A generator of a program whose map is still without places for counters, CPUs and parameters.
    fn new(plan: &'a Plan, layout: &'a Layout, schema: &'a dyn Schema) -> Self {
        let Target::Kernel { template, .. } = plan.target else {
            unreachable!("a plan over rows has no program")
        };
        let mut parameters = Vec::new();
        let mut visit = |scalar: &Scalar| {
            scalar.parameters(&mut |at, bits| {
                if !parameters.contains(&(at, bits)) {
                    parameters.push((at, bits));
                }
            });
        };
        for (_, pred) in plan.pushed() {
            pred.scalars(&mut visit);
        }
        for operand in plan.group_in_kernel().into_iter().flat_map(InKernel::operands) {
            operand.scalars(&mut visit);
        }
        Self {
            plan,
            template,
            layout,
            schema,
            counters: 0,
            table: 0,
            values: 0,
            parameters,
            scratch: match (plan.table.rows, template) {
                (_, Template::Vmemmap) => Scratch::behind_page(),
                (Rows::Slabs, _) => Scratch::behind_resume(),
                _ => Scratch::default(),
            },
            by_pages: template == Template::Vmemmap,
            slots: Vec::new(),
            incomplete: None,
            temporaries: Vec::new(),
            text_buffer: None,
            keys: Keys::default(),
            read: None,
            node: None,
            objects: None,
            object: None,
            luggage: None,
        }
    }
}
