//! Generates the program of a plan: fills the holes of a template.
//!
//! The order of the work is the order of its price:
//!
//! ```text
//!   conditions on members and texts ── no ──► next cache
//!   sums over NUMA nodes, if anything needs them
//!   conditions on sums ── no ──► next cache
//!   the row
//! ```
//!
//! An address is a pointer to the verifier, whatever is done with it; it becomes a number by way of the map.
//!
//! # Registers
//!
//! See [`ebpf_templates::template`]. Numbers are computed in `R1` with `R2` and `R3` beside it; `scalar` says
//! more. The frame holds, besides the template's own eight bytes, a place for each sum, for each number that waits
//! while another is computed, and for the text of a comparison.
//!
//! # Not done here
//!
//! Whether a condition runs in the kernel was decided by [`crate::plan`]; everything that arrives here has a form.

mod pred;
mod scalar;

use ebpf_templates::assembler::{Assembler, FrameFull, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::program::Program;
use ebpf_templates::template::driver::{Driver, Holes};
use ebpf_templates::template::node::{Nodes, Sum};
use ebpf_templates::template::rows;
use ebpf_templates::template::text::{self, Text};

use crate::catalog::Source;
use crate::diagnostic::{Diagnostic, Span};
use crate::layout::{Layout, Place};
use crate::plan::{Plan, Pushed, Target, Template};
use crate::schema::{Member, MemberKind, Schema};

/// The templates that the kernel has everything for, best first.
#[must_use]
pub fn templates(schema: &dyn Schema) -> Vec<Template> {
    let both = [Template::OpenCoded, Template::Iter];
    both.into_iter().filter(|template| driver(*template, schema).is_ok()).collect()
}

/// Generates the program of `plan`; `factor` multiplies the space that rows get, see [`Layout::room`].
pub fn generate(
    plan: &Plan,
    layout: &Layout,
    schema: &dyn Schema,
    factor: u32,
) -> Result<Program, Diagnostic> {
    let Target::Kernel { template, .. } = plan.target else {
        unreachable!("a plan over rows has no program")
    };
    let driver = driver(template, schema)?;
    let mut generator = Generator {
        plan,
        layout,
        schema,
        sums: Vec::new(),
        temporaries: Vec::new(),
        text_buffer: None,
    };
    driver.build(layout.room(factor), &mut generator)
}

/// What the kernel must have, and has not.
fn lacking(what: &str) -> Diagnostic {
    Diagnostic::new(Span::default(), format!("the kernel has no {what}"))
        .help("the live source needs Linux 6.13 or later")
}

fn driver(template: Template, schema: &dyn Schema) -> Result<Driver, Diagnostic> {
    let function =
        |name: &str| schema.function_id(name).ok_or_else(|| lacking(&format!("function `{name}`")));
    match template {
        Template::OpenCoded => Ok(Driver::OpenCoded {
            new: function("bpf_iter_kmem_cache_new")?,
            next: function("bpf_iter_kmem_cache_next")?,
            destroy: function("bpf_iter_kmem_cache_destroy")?,
        }),
        Template::Iter => Ok(Driver::Iter {
            attach_btf_id: function("bpf_iter_kmem_cache")?,
            ctx_meta: offset(schema, "bpf_iter__kmem_cache", "meta")?,
            ctx_cache: offset(schema, "bpf_iter__kmem_cache", "s")?,
            meta_seq: offset(schema, "bpf_iter_meta", "seq")?,
            seq_write: helper(schema, "seq_write")?,
        }),
    }
}

fn member(schema: &dyn Schema, owner: &str, path: &str) -> Result<Member, Diagnostic> {
    schema.member(owner, path).ok_or_else(|| lacking(&format!("member `{owner}.{path}`")))
}

fn offset(schema: &dyn Schema, owner: &str, path: &str) -> Result<i16, Diagnostic> {
    let offset = member(schema, owner, path)?.offset;
    i16::try_from(offset).map_err(|_| lacking(&format!("member `{owner}.{path}` within 32 KiB")))
}

fn helper(schema: &dyn Schema, name: &str) -> Result<u32, Diagnostic> {
    schema.helper(name).ok_or_else(|| lacking(&format!("helper `bpf_{name}`")))
}

/// The array of nodes: `node[]` until 7.0, `per_node[]` from 7.1 on.
fn nodes(schema: &dyn Schema) -> Result<Nodes, Diagnostic> {
    let at =
        |path: &str| schema.member("kmem_cache", path).map(|member| member.offset.cast_signed());
    let pair = |first: &str, second: &str| Some((at(first)?, at(second)?));
    let (first, second) = pair("node[0]", "node[1]")
        .or_else(|| pair("per_node[0].node", "per_node[1].node"))
        .ok_or_else(|| lacking("member `kmem_cache.node` or `kmem_cache.per_node`"))?;
    Ok(Nodes {
        first,
        stride: second - first,
        count: schema.nodes().cast_signed(),
        node_type: schema
            .struct_id("kmem_cache_node")
            .ok_or_else(|| lacking("struct `kmem_cache_node`"))?,
        rdonly_cast: schema
            .function_id("bpf_rdonly_cast")
            .ok_or_else(|| lacking("function `bpf_rdonly_cast`"))?,
        probe_read_kernel: helper(schema, "probe_read_kernel")?,
    })
}

/// Appends `dst = pointer`, as a number to the verifier too.
fn number(asm: &mut Assembler, dst: Reg, pointer: Reg) {
    asm.push(Insn::store(Size::Dw, Reg::R6, rows::NUMBER, pointer));
    asm.push(Insn::load(Size::Dw, dst, Reg::R6, rows::NUMBER));
}

struct Generator<'a> {
    plan: &'a Plan,
    layout: &'a Layout,
    schema: &'a dyn Schema,
    /// The inputs that are sums, and where they lie in the frame.
    sums: Vec<(usize, i16)>,
    /// The places for numbers that wait, by depth.
    temporaries: Vec<i16>,
    /// Where the text of a comparison lies, and its size.
    text_buffer: Option<(i16, u16)>,
}

/// The frame is full. The planner bounds what a query puts there, so that no query that was ever seen comes here.
fn full(_: FrameFull) -> Diagnostic {
    Diagnostic::new(Span::default(), "the query needs more stack than a BPF program has")
        .help("split the condition, or run it in user space with `--no-pushdown`")
}

impl Holes for Generator<'_> {
    type Error = Diagnostic;

    fn filter(&mut self, asm: &mut Assembler, skip: Label) -> Result<(), Diagnostic> {
        self.reserve(asm).map_err(full)?;
        let plan = self.plan;
        let (dear, cheap): (Vec<_>, Vec<_>) =
            plan.pushed.iter().partition(|pushed| plan.reads_sums(&pushed.pred));
        for pushed in cheap {
            self.condition(asm, pushed, skip)?;
        }
        self.sum(asm)?;
        for pushed in dear {
            self.condition(asm, pushed, skip)?;
        }
        Ok(())
    }

    fn columns(&mut self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        for (input, place) in &self.layout.places {
            match *place {
                Place::Address => {}
                Place::Integer { offset, size, .. } => {
                    asm.comment(self.plan.inputs[*input].name);
                    self.load_input(asm, Reg::R1, *input)?;
                    let size = Size::of(size.into()).unwrap_or(Size::Dw);
                    asm.push(Insn::store(size, Reg::R8, offset.cast_signed(), Reg::R1));
                }
                Place::Text { offset } => {
                    asm.comment(self.plan.inputs[*input].name);
                    self.text(*input)?.append(asm, offset.cast_signed());
                }
            }
        }
        Ok(())
    }
}

impl Generator<'_> {
    /// Gives every part of the frame its place.
    fn reserve(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        let (mut depth, mut longest) = (0, None);
        let mut inputs = self.plan.sent.clone();
        for pushed in &self.plan.pushed {
            depth = depth.max(pushed.pred.depth());
            pushed.pred.texts(&mut |_, bytes| longest = longest.max(Some(bytes)));
            inputs.extend(pushed.pred.inputs());
        }
        inputs.sort_unstable();
        inputs.dedup();
        for input in inputs {
            if matches!(self.plan.inputs[input].source, Source::NodeSum(_)) {
                self.sums.push((input, asm.reserve(8)?));
            }
        }
        for _ in 0..depth {
            self.temporaries.push(asm.reserve(8)?);
        }
        if let Some(longest) = longest {
            let bytes = text::buffer_bytes(longest);
            self.text_buffer = Some((asm.reserve(bytes.into())?, bytes));
        }
        Ok(())
    }

    /// Appends the sums over nodes that anything needs.
    fn sum(&self, asm: &mut Assembler) -> Result<(), Diagnostic> {
        if self.sums.is_empty() {
            return Ok(());
        }
        let mut sums = Vec::new();
        for (input, slot) in &self.sums {
            let Source::NodeSum(path) = self.plan.inputs[*input].source else { continue };
            let member = member(self.schema, "kmem_cache_node", path)?;
            let offset = offset(self.schema, "kmem_cache_node", path)?;
            sums.push(Sum { offset, size: Size::of(member.size).unwrap_or(Size::Dw), slot: *slot });
        }
        let names: Vec<&str> =
            self.sums.iter().map(|(input, _)| self.plan.inputs[*input].name).collect();
        asm.comment(&format!("{}: summed over the nodes", names.join(", ")));
        nodes(self.schema)?.sum(asm, &sums).map_err(full)
    }

    /// Appends code that goes to `skip` unless the condition is true.
    fn condition(
        &self,
        asm: &mut Assembler,
        pushed: &Pushed,
        skip: Label,
    ) -> Result<(), Diagnostic> {
        asm.comment(&format!("where {}", pushed.text));
        let holds = asm.label("holds");
        self.pred(
            asm,
            &pushed.pred,
            pred::Exits { yes: holds, no: skip, null: skip, next: holds },
        )?;
        asm.bind(holds);
        Ok(())
    }

    /// Appends the loading of an integer input into `dst`, with the sign of its column.
    fn load_input(&self, asm: &mut Assembler, dst: Reg, input: usize) -> Result<(), Diagnostic> {
        let column = self.plan.inputs[input];
        if let Some((_, slot)) = self.sums.iter().find(|(sum, _)| *sum == input) {
            asm.push(Insn::load(Size::Dw, dst, Reg::R10, *slot));
            return Ok(());
        }
        let path = match column.source {
            Source::Address => {
                number(asm, dst, Reg::R7);
                return Ok(());
            }
            Source::Refcount => "refcount",
            Source::Member(path) => path,
            _ => unreachable!("`{}` is no integer of the kernel", column.name),
        };
        let found = member(self.schema, "kmem_cache", path)?;
        let size = Size::of(found.size).unwrap_or(Size::Dw);
        asm.push(Insn::load(size, dst, Reg::R7, offset(self.schema, "kmem_cache", path)?));
        if found.signed && size != Size::Dw {
            let unused = 64 - 8 * i32::from(size.bytes());
            asm.push(Insn::alu_imm(Alu::Lsh, dst, unused));
            asm.push(Insn::alu_imm(Alu::Arsh, dst, unused));
        }
        if found.kind == MemberKind::Pointer {
            number(asm, dst, dst);
        }
        if column.source == Source::Refcount {
            // The iterator holds a reference of its own, but for boot caches, whose count is negative.
            let kept = asm.label("boot_cache");
            asm.jump_imm(Cond::SLe, dst, 0, kept);
            asm.add(dst, -1);
            asm.bind(kept);
        }
        Ok(())
    }

    fn text(&self, input: usize) -> Result<Text, Diagnostic> {
        let Source::Text(path) = self.plan.inputs[input].source else {
            unreachable!("`{}` is no text of the kernel", self.plan.inputs[input].name)
        };
        Ok(Text {
            pointer: offset(self.schema, "kmem_cache", path)?,
            read_str: helper(self.schema, "probe_read_kernel_str")?,
        })
    }
}
