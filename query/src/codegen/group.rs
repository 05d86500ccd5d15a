//! Generates groups: the keys of an element, its group, and what it adds to the group's row.
//!
//! The keys wait in the frame until the group is found; then `R8` is its row, and what is added to it is computed in
//! `R1` to `R3`, as all numbers are. See [`ebpf_templates::template::group`].
//!
//! A condition as a value, and which keys are NULL, are made of the header's `zero`: a 0 or a 1 that the verifier knew
//! would make it follow what is behind once for each.

use ebpf_templates::assembler::{Assembler, FrameFull, Label};
use ebpf_templates::insn::{Alu, Insn, Reg, Size};
use ebpf_templates::template::driver::Emitter;
use ebpf_templates::template::group::{self, Groups};
use ebpf_templates::template::rows;

use super::Generator;
use super::pred::Exits;
use crate::diagnostic::Diagnostic;
use crate::layout::ValuePlace;
use crate::plan::Group;
use crate::plan::group::{Operand, Part, Sum};

/// Where the keys of an element wait.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The keys, in the frame.
    places: Vec<i16>,
    /// Which of them are NULL, in the frame, if one can be.
    nulls: Option<i16>,
    /// A number of the header.
    count: i16,
}

impl Generator<'_> {
    /// Gives keys their places.
    pub(super) fn reserve_keys(&mut self, asm: &mut Assembler) -> Result<(), FrameFull> {
        let Some(kernel) = self.plan.group_in_kernel() else { return Ok(()) };
        for _ in &kernel.keys {
            self.keys.places.push(asm.reserve(8)?);
        }
        if kernel.null_keys() {
            self.keys.nulls = Some(asm.reserve(8)?);
        }
        self.keys.count = self.scratch.take();
        Ok(())
    }

    /// Appends what is done with an element that is wanted: its row, or its addition to a group.
    pub(super) fn emit(
        &mut self,
        asm: &mut Assembler,
        emitter: &Emitter,
    ) -> Result<(), Diagnostic> {
        match self.plan.group() {
            Some(group) if group.in_kernel() => {
                self.count(asm, 2 * self.plan.pushed().count(), "counted: grouped");
                self.add(asm, emitter, group)
            }
            _ => emitter.row(asm, self),
        }
    }

    fn add(&self, asm: &mut Assembler, emitter: &Emitter, group: &Group) -> Result<(), Diagnostic> {
        let Ok(kernel) = &group.kernel else { unreachable!("asked before") };
        if let Some(nulls) = self.keys.nulls {
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::ZERO));
            asm.push(Insn::store(Size::Dw, Reg::R10, nulls, Reg::R1));
        }
        for (number, key) in kernel.keys.iter().enumerate() {
            asm.comment(format!("key {}", group.keys[number].name));
            self.key(asm, key, number)?;
        }
        let offset = |word: usize| match self.layout.places[word].1 {
            ValuePlace::Integer { offset, .. } => offset.cast_signed(),
            _ => unreachable!("a group has words only"),
        };
        asm.comment("the group");
        let keys = self.keys.places.iter().enumerate().map(|(number, at)| (*at, offset(number)));
        let nulls = self.keys.nulls.zip(self.layout.nulls.map(u16::cast_signed));
        Groups {
            room: emitter.room(),
            keys: keys.chain(nulls).collect(),
            count: self.keys.count,
            full: emitter.full(),
        }
        .find(asm);
        let mut word = kernel.keys.len();
        for (part, aggregate) in kernel.parts.iter().zip(&group.aggregates) {
            asm.comment(aggregate.name.clone());
            self.part(asm, part, offset(word))?;
            word += part.sum.words();
        }
        Ok(())
    }

    /// Appends the computation of a key, and puts it where it waits.
    fn key(&self, asm: &mut Assembler, key: &Operand, number: usize) -> Result<(), Diagnostic> {
        let (null, known) = (asm.label("null_key"), asm.label("known_key"));
        let place = self.keys.places[number];
        self.operand(asm, key, null)?;
        asm.push(Insn::store(Size::Dw, Reg::R10, place, Reg::R1));
        if let Some(nulls) = self.keys.nulls.filter(|_| key.can_be_null()) {
            asm.jump(known);
            asm.bind(null);
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::ZERO));
            asm.push(Insn::store(Size::Dw, Reg::R10, place, Reg::R1));
            asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R10, nulls));
            asm.push(Insn::alu_imm(Alu::Or, Reg::R1, 1 << number));
            asm.push(Insn::store(Size::Dw, Reg::R10, nulls, Reg::R1));
            asm.bind(known);
        }
        Ok(())
    }

    /// Appends what an element adds to the words at `at` of its group's row.
    fn part(&self, asm: &mut Assembler, part: &Part, at: i16) -> Result<(), Diagnostic> {
        let null = asm.label("null");
        if let Some(operand) = &part.operand {
            self.operand(asm, operand, null)?;
        }
        let counted = match part.sum {
            Sum::Count => at,
            Sum::Total => {
                group::add(asm, at, part.signed);
                at + 16
            }
            Sum::Least | Sum::Greatest => {
                let greatest = part.sum == Sum::Greatest;
                group::extreme(asm, at, at + 8, greatest, part.signed);
                at + 8
            }
        };
        group::count(asm, counted);
        if part.operand.as_ref().is_some_and(Operand::can_be_null) {
            asm.bind(null);
        }
        Ok(())
    }

    /// Appends the computation of a value into `R1`.
    fn operand(
        &self,
        asm: &mut Assembler,
        operand: &Operand,
        null: Label,
    ) -> Result<(), Diagnostic> {
        match operand {
            Operand::Number(scalar, _) => self.scalar(asm, scalar, 0, null),
            Operand::Chosen(pred, scalar) => {
                let yes = asm.label("chosen");
                self.pred(asm, pred, Exits { yes, no: null, null, next: yes })?;
                asm.bind(yes);
                self.scalar(asm, scalar, 0, null)
            }
            Operand::Truth(pred) => {
                let (yes, no, known) = (asm.label("true"), asm.label("false"), asm.label("known"));
                self.pred(asm, pred, Exits { yes, no, null: no, next: yes })?;
                asm.bind(yes);
                asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::ZERO));
                asm.add(Reg::R1, 1);
                asm.jump(known);
                asm.bind(no);
                asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::ZERO));
                asm.bind(known);
                Ok(())
            }
        }
    }
}
