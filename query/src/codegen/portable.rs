//! Generates programs for other kernels, and finds which of their numbers are the kernel's.
//!
//! ```text
//!   schema ─► program ─┬─► slots that differ ─► relocations
//!   schema with one answer moved ─► program ─┘        once for each answer that was asked for
//! ```
//!
//! Nothing in code generation knows of relocations. What depends on the kernel shows itself by being different when the
//! kernel is, and an answer whose mark is no plain number of an instruction is refused: an export is right, or it is not
//! made.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ebpf_templates::insn::{Alu, Insn, Reg};
use ebpf_templates::object::portable::{
    Answer, Enumerator, Member as Place, Portable, Relocation, Variable,
};
use ebpf_templates::template::portable::Nodes;
use ebpf_templates::template::print::{Constant, Printer};
use ebpf_templates::{Assembler, Program};

use super::needs::{function, helper, lacking, offset};
use super::{Generator, once};
use crate::catalog::Source;
use crate::diagnostic::{Diagnostic, Span};
use crate::layout::Layout;
use crate::plan::Plan;
use crate::plan::export::Cell;
use crate::schema::{Member, MemberKind, PageArray, Schema, Shape, TypeId};

/// The enum of slab flags.
const FLAGS: &str = "_slab_flag_bits";
/// What the variable is called that holds the number of possible nodes.
pub const NODES: &str = "possible_nodes";

/// What a program takes along.
pub(super) struct Luggage<'a> {
    /// What it only reads.
    pub constants: RefCell<Constants>,
    /// How it prints, and what; none of a program that sends rows as the running kernel's does.
    pub printed: Option<(Printer, &'a [Cell])>,
    /// The parameters that are variables, by where they stand.
    pub variables: &'a [(Span, String)],
}

impl<'a> Luggage<'a> {
    /// What it prints.
    pub fn cells(&self) -> &'a [Cell] {
        self.printed.map_or(&[], |(_, cells)| cells)
    }

    /// Where the variable lies that the parameter at `at` is, if it is one.
    pub fn variable(&self, at: Span, bits: u64) -> Option<u32> {
        let (_, name) = self.variables.iter().find(|(found, _)| *found == at)?;
        Some(self.constants.borrow_mut().variable(name, bits))
    }
}

/// The bytes that a program only reads.
#[derive(Debug, Default)]
pub(super) struct Constants {
    bytes: Vec<u8>,
    variables: Vec<Variable>,
}

impl Constants {
    /// Where a text lies.
    #[expect(clippy::cast_possible_truncation, reason = "they are a few texts")]
    pub fn text(&mut self, text: &[u8]) -> Constant {
        let found = self.bytes.windows(text.len()).position(|bytes| bytes == text);
        let at = found.unwrap_or_else(|| {
            self.bytes.extend(text);
            self.bytes.len() - text.len()
        });
        Constant { at: at as u32, bytes: text.len() as u32 }
    }

    /// Where a variable lies.
    #[expect(clippy::cast_possible_truncation, reason = "they are a few numbers")]
    fn variable(&mut self, name: &str, value: u64) -> u32 {
        if let Some(found) = self.variables.iter().find(|variable| variable.name == name) {
            return found.at;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = self.bytes.len() as u32;
        self.bytes.extend(value.to_le_bytes());
        self.variables.push(Variable { name: name.to_owned(), at });
        at
    }
}

/// Generates the program of a plan for other kernels, which prints `cells`, or without them sends rows of the plan's layout.
/// Of its parameters `variables` are variables.
pub fn portable(
    plan: &Plan,
    cells: Option<&[Cell]>,
    variables: &[(Span, String)],
    schema: &dyn Schema,
) -> Result<Portable, Diagnostic> {
    let layout = Layout::new(plan);
    let generated = |moved: &Moved<'_>| {
        let printed = match cells {
            Some(cells) => Some((printer(moved)?, cells)),
            None => None,
        };
        let luggage = Luggage { constants: RefCell::default(), printed, variables };
        once(plan, &layout, moved, luggage)
    };
    let still = Moved::new(schema, None);
    let (program, constants) = generated(&still)?;
    let mut relocations: Vec<Relocation> = Vec::new();
    for answer in still.asked.into_inner() {
        let (other, _) = generated(&Moved::new(schema, Some(&answer)))?;
        for relocation in different(&program, &other, &answer, schema)? {
            if relocations.iter().any(|known| known.slot == relocation.slot) {
                return Err(entangled(&answer));
            }
            relocations.push(relocation);
        }
    }
    relocations.sort_by_key(|relocation| relocation.slot);
    let Constants { bytes: constants, variables } = constants;
    Ok(Portable { program, relocations, constants, variables })
}

/// The instructions that `answer` makes different.
fn different(
    program: &Program,
    other: &Program,
    answer: &Answer,
    schema: &dyn Schema,
) -> Result<Vec<Relocation>, Diagnostic> {
    let (insns, others) = (&program.insns, &other.insns);
    let moved = Moved::new(schema, Some(answer)).number(answer);
    if insns.len() != others.len() {
        return Err(entangled(answer));
    }
    let mut found = Vec::new();
    for slot in (0..insns.len()).filter(|slot| insns[*slot] != others[*slot]) {
        let relocation = Relocation { slot, answer: answer.clone() };
        let mut fitted = insns.clone();
        relocation.put(&mut fitted, moved);
        // Loaders put numbers into loads and into what computes with an immediate.
        let takes_one = insns[slot].is_load() || insns[slot].opcode & 0x0f == 0x07;
        if fitted[slot] != others[slot] || !takes_one {
            return Err(entangled(answer));
        }
        found.push(relocation);
    }
    Ok(found)
}

/// What the program makes of an answer is no relocation.
fn entangled(answer: &Answer) -> Diagnostic {
    let message = format!("what the query makes of {answer} cannot be fitted to other kernels");
    Diagnostic::new(Span::default(), message)
}

fn printer(schema: &dyn Schema) -> Result<Printer, Diagnostic> {
    Ok(Printer {
        attach_btf_id: function(schema, "bpf_iter_kmem_cache")?,
        ctx_meta: offset(schema, "bpf_iter__kmem_cache", "meta")?,
        ctx_cache: offset(schema, "bpf_iter__kmem_cache", "s")?,
        meta_seq: offset(schema, "bpf_iter_meta", "seq")?,
        meta_seq_num: offset(schema, "bpf_iter_meta", "seq_num")?,
        seq_write: helper(schema, "seq_write")?,
        seq_printf: helper(schema, "seq_printf")?,
    })
}

impl Generator<'_> {
    /// The nodes of a cache on any kernel.
    pub(super) fn any_nodes(&self, luggage: &Luggage<'_>) -> Result<Nodes, Diagnostic> {
        let schema = self.schema;
        let pointer = |path: &str| schema.member("kmem_cache", path).map_or(0, |m| m.offset);
        let count = luggage.constants.borrow_mut().variable(NODES, schema.nodes().into());
        Ok(Nodes {
            plain: schema.has_member("kmem_cache", "node[0]"),
            pointers: [
                [pointer("node[0]"), pointer("node[1]")],
                [pointer("per_node[0].node"), pointer("per_node[1].node")],
            ],
            count,
            read: helper(schema, "probe_read_kernel")?,
        })
    }

    /// Appends `R2 = mask`, the bits of slab flags where the program is for other kernels. `R0` and `R3` are lost.
    pub(super) fn mask(&self, asm: &mut Assembler, mask: u64) -> Result<(), Diagnostic> {
        if self.luggage.is_none() {
            asm.set(Reg::R2, mask);
            return Ok(());
        }
        asm.set(Reg::R2, 0);
        for (name, bit) in self.schema.slab_flags() {
            if mask >> bit & 1 == 1 {
                self.bit(asm, name)?;
                asm.push(Insn::alu(Alu::Or, Reg::R2, Reg::R3));
            }
        }
        Ok(())
    }

    /// Appends `R3 = the bit of a slab flag`. `R0` is lost.
    pub(super) fn bit(&self, asm: &mut Assembler, name: &str) -> Result<(), Diagnostic> {
        let bit = self.schema.enumerator(FLAGS, &format!("_SLAB_{name}"));
        let bit = bit.and_then(|bit| i32::try_from(bit).ok());
        let bit = bit.ok_or_else(|| lacking(&format!("flag `{name}`")))?;
        asm.push(Insn::mov_imm(Reg::R3, 1));
        asm.push(Insn::mov_imm(Reg::R0, bit));
        asm.push(Insn::alu(Alu::Lsh, Reg::R3, Reg::R0));
        Ok(())
    }

    /// Whether the kernel has a slab flag.
    pub(super) fn has_flag(&self, name: &str) -> bool {
        self.schema.has_enumerator(FLAGS, &format!("_SLAB_{name}"))
    }

    /// How many numbers of the header the sums take.
    pub(super) fn numbers(plan: &Plan) -> usize {
        let sums =
            |input: &&usize| matches!(plan.inputs[**input].source(), Some(Source::NodeSum(_)));
        super::read(plan).iter().filter(sums).count()
    }
}

/// A kernel of which one answer is another, and which notes what it is asked.
struct Moved<'a> {
    schema: &'a dyn Schema,
    other: Option<&'a Answer>,
    asked: RefCell<BTreeSet<Answer>>,
}

impl<'a> Moved<'a> {
    fn new(schema: &'a dyn Schema, other: Option<&'a Answer>) -> Self {
        Self { schema, other, asked: RefCell::default() }
    }

    /// What an answer comes to, as a number.
    fn number(&self, answer: &Answer) -> i32 {
        let number = match answer {
            Answer::Offset(Place { owner, path, .. }) => {
                i64::from(self.member(owner, path).map_or(0, |member| member.offset))
            }
            Answer::Exists(Place { owner, path, .. }) => i64::from(self.has_member(owner, path)),
            Answer::Value(Enumerator { owner, name }) => {
                self.enumerator(owner, name).unwrap_or_default()
            }
            Answer::Has(Enumerator { owner, name }) => i64::from(self.has_enumerator(owner, name)),
        };
        i32::try_from(number).unwrap_or(i32::MAX)
    }

    /// Notes an answer. Gives whether it is the one that is moved.
    fn is_moved(&self, answer: Answer) -> bool {
        let moved = self.other == Some(&answer);
        self.asked.borrow_mut().insert(answer);
        moved
    }
}

/// The pointer to a node where this kernel has its array in another form.
const ELSEWHERE: Member =
    Member { offset: 0, size: 8, signed: false, bits: None, kind: MemberKind::Pointer };

fn place(owner: &str, path: &str, member: &Member) -> Place {
    Place {
        owner: owner.to_owned(),
        path: path.to_owned(),
        integer: (member.kind == MemberKind::Integer).then_some(member.size),
        signed: member.signed,
    }
}

impl Schema for Moved<'_> {
    fn member(&self, type_name: &str, path: &str) -> Option<Member> {
        let of_nodes = type_name == "kmem_cache" && path.contains("node[");
        let found = self.schema.member(type_name, path).or(of_nodes.then_some(ELSEWHERE))?;
        let moved = self.is_moved(Answer::Offset(place(type_name, path, &found)));
        Some(Member { offset: found.offset + if moved { 8 } else { 0 }, ..found })
    }

    fn has_member(&self, type_name: &str, path: &str) -> bool {
        let found = self.schema.member(type_name, path);
        let member = place(type_name, path, &found.unwrap_or(ELSEWHERE));
        self.is_moved(Answer::Exists(member)) != found.is_some()
    }

    fn enumerator(&self, type_name: &str, name: &str) -> Option<i64> {
        let found = self.schema.enumerator(type_name, name)?;
        let (owner, name) = (type_name.to_owned(), name.to_owned());
        let moved = self.is_moved(Answer::Value(Enumerator { owner, name }));
        Some(found + i64::from(moved))
    }

    fn has_enumerator(&self, type_name: &str, name: &str) -> bool {
        let found = self.schema.enumerator(type_name, name).is_some();
        let (owner, name) = (type_name.to_owned(), name.to_owned());
        self.is_moved(Answer::Has(Enumerator { owner, name })) != found
    }

    fn struct_id(&self, name: &str) -> Option<u32> {
        self.schema.struct_id(name)
    }

    fn function_id(&self, name: &str) -> Option<u32> {
        self.schema.function_id(name)
    }

    fn helper(&self, name: &str) -> Option<u32> {
        self.schema.helper(name)
    }

    fn slab_flags(&self) -> &[(String, u32)] {
        self.schema.slab_flags()
    }

    fn gfp_flags(&self) -> &[(String, u32)] {
        self.schema.gfp_flags()
    }

    fn page_size(&self) -> u64 {
        self.schema.page_size()
    }

    fn nodes(&self) -> u32 {
        self.schema.nodes()
    }

    fn cpu_offsets(&self) -> Result<&[u64], String> {
        Err("an exported program walks no CPUs".to_owned())
    }

    fn page_array(&self) -> Result<PageArray, String> {
        Err("an exported program walks no pages".to_owned())
    }

    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.schema.shape(id)
    }

    fn size_of(&self, id: TypeId) -> Option<u64> {
        self.schema.size_of(id)
    }

    fn spelling(&self, id: TypeId) -> String {
        self.schema.spelling(id)
    }

    fn release(&self) -> &str {
        self.schema.release()
    }
}
