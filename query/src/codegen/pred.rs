//! Tests conditions, of three values, by jumping.
//!
//! A condition has three exits: true, false, NULL. A row is wanted only if the whole condition is true, so at the
//! top false and NULL share an exit, and `not` only swaps the first two. Hence NULL always shares its exit with one
//! of the others, and neither `and` nor `or` ever has to test a side twice: where NULL goes where false goes,
//! `and` may treat them alike; where it goes where true goes, `and` goes on with the other side, whose false wins.
//!
//! # Invariants
//!
//! Something leads to every instruction, or the verifier refuses the program: where a condition may leave by one
//! exit only, it leaves by [`Exits::always`].

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::template::text::{self, Text};

use super::Generator;
use super::needs::{function, helper};
use crate::bound::Compare;
use crate::diagnostic::Diagnostic;
use crate::plan::kernel::{Order, Pred, Scalar, TextTest};

/// Where a condition's code leaves to.
#[derive(Clone, Copy)]
pub(super) struct Exits {
    /// If it is true.
    pub yes: Label,
    /// If it is false.
    pub no: Label,
    /// If it is NULL: one of the two above.
    pub null: Label,
    /// Which of the first two is bound right behind the code, and needs no jump.
    pub next: Label,
}

impl Exits {
    /// Appends the jump to `to`, unless it comes next.
    fn leave(self, asm: &mut Assembler, to: Label) {
        if to != self.next {
            asm.jump(to);
        }
    }

    /// Appends the way to `to` where it may be the only one: a jump that the verifier sees is always taken, but
    /// which leads on as well as far as its search for unreachable code knows.
    fn always(self, asm: &mut Assembler, to: Label) {
        if to != self.next {
            asm.set(Reg::R1, 0);
            asm.jump_imm(Cond::Eq, Reg::R1, 0, to);
        }
    }

    /// Appends the way out for what was equal to nothing in a list, in which NULL stands if it is `unknown`.
    fn otherwise(self, asm: &mut Assembler, empty: bool, unknown: bool) {
        match (unknown, empty) {
            // NULL may be where what was equal went.
            (true, _) => self.always(asm, self.null),
            (false, true) => self.always(asm, self.no),
            (false, false) => self.leave(asm, self.no),
        }
    }
}

impl Generator<'_> {
    /// Appends the test of `pred`.
    pub(super) fn pred(
        &self,
        asm: &mut Assembler,
        pred: &Pred,
        exits: Exits,
    ) -> Result<(), Diagnostic> {
        let Exits { yes, no, null, next } = exits;
        match pred {
            Pred::Const(value) => {
                let to = match value {
                    Some(true) => yes,
                    Some(false) => no,
                    None => null,
                };
                exits.always(asm, to);
            }
            Pred::Not(inner) => {
                self.pred(asm, inner, Exits { yes: no, no: yes, null, next })?;
            }
            Pred::Known(inner, value) => {
                let null = if *value { yes } else { no };
                self.pred(asm, inner, Exits { yes, no, null, next })?;
            }
            Pred::And(left, right) => {
                let other = asm.label("and");
                let null_left = if null == no { no } else { other };
                let first = Exits { yes: other, no, null: null_left, next: other };
                self.pred(asm, left, first)?;
                asm.bind(other);
                self.pred(asm, right, exits)?;
            }
            Pred::Or(left, right) => {
                let other = asm.label("or");
                let null_left = if null == yes { yes } else { other };
                let first = Exits { yes, no: other, null: null_left, next: other };
                self.pred(asm, left, first)?;
                asm.bind(other);
                self.pred(asm, right, exits)?;
            }
            Pred::Compare(op, order, left, right) => {
                self.compare(asm, *op, *order, (left, right), exits)?;
            }
            Pred::In { scalar, list, null: unknown } => {
                self.scalar(asm, scalar, 0, null)?;
                for bits in list {
                    jump_if_equal(asm, *bits, yes);
                }
                exits.otherwise(asm, list.is_empty(), *unknown);
            }
            Pred::HasAny(scalar, mask) => {
                self.scalar(asm, scalar, 0, null)?;
                self.mask(asm, *mask)?;
                asm.push(Insn::alu(Alu::And, Reg::R1, Reg::R2));
                branch(asm, Cond::Ne, |asm, cond, to| asm.jump_imm(cond, Reg::R1, 0, to), exits);
            }
            Pred::HasAll(scalar, mask) => {
                self.scalar(asm, scalar, 0, null)?;
                self.mask(asm, *mask)?;
                asm.push(Insn::alu(Alu::And, Reg::R1, Reg::R2));
                branch(
                    asm,
                    Cond::Eq,
                    |asm, cond, to| asm.jump_reg(cond, Reg::R1, Reg::R2, to),
                    exits,
                );
            }
            Pred::IsNull(scalar) => {
                self.scalar(asm, scalar, 0, yes)?;
                exits.always(asm, no);
            }
            Pred::TextIsNull(input) => {
                let (buffer, bytes) = self.text_buffer.expect("reserved for every text test");
                self.text_address(asm, *input, yes)?;
                self.text(*input)?.to_frame(asm, buffer, bytes, yes);
                exits.always(asm, no);
            }
            Pred::TextHas { input, literal, at_end } => {
                self.text_has(asm, (*input, literal), *at_end, exits)?;
            }
            Pred::TextIn { input, list, null: unknown } => {
                let (buffer, bytes) = self.text_buffer.expect("reserved for every text test");
                self.text_address(asm, *input, null)?;
                self.text(*input)?.to_frame(asm, buffer, bytes, null);
                // Every text begins with the empty one.
                if list.iter().any(TextTest::is_always_true) {
                    exits.always(asm, yes);
                    return Ok(());
                }
                for test in list {
                    let differs = asm.label("differs");
                    match test {
                        TextTest::Equals(literal) => text::equals(asm, buffer, literal, differs),
                        TextTest::StartsWith(prefix) => {
                            text::starts_with(asm, buffer, prefix, differs);
                        }
                    }
                    asm.jump(yes);
                    asm.bind(differs);
                }
                exits.otherwise(asm, list.is_empty(), *unknown);
            }
        }
        Ok(())
    }

    fn text_has(
        &self,
        asm: &mut Assembler,
        (input, literal): (usize, &[u8]),
        at_end: bool,
        exits: Exits,
    ) -> Result<(), Diagnostic> {
        let Exits { yes, no, null, .. } = exits;
        let (buffer, bytes) = self.text_buffer.expect("reserved for every text test");
        self.text_address(asm, input, null)?;
        if at_end {
            let functions = text::Functions {
                strlen: function(self.schema, "bpf_strlen")?,
                read: helper(self.schema, "probe_read_kernel")?,
            };
            Text::ends_with(asm, (buffer, bytes), literal, functions, no, null);
        } else {
            let strstr = function(self.schema, "bpf_strstr")?;
            Text::contains(asm, buffer, literal, strstr, no, null);
        }
        exits.leave(asm, yes);
        Ok(())
    }

    fn compare(
        &self,
        asm: &mut Assembler,
        op: Compare,
        order: Order,
        (left, right): (&Scalar, &Scalar),
        exits: Exits,
    ) -> Result<(), Diagnostic> {
        let immediate = match right {
            Scalar::Const(bits) => i32::try_from(bits.cast_signed()).ok(),
            _ => None,
        };
        if right.is_simple() {
            self.scalar(asm, left, 0, exits.null)?;
            if immediate.is_none() {
                self.simple(asm, Reg::R2, right)?;
            }
        } else {
            self.pair(asm, left, right, exits.null)?;
        }
        // A number below 0 is less than any without a sign; apart from that both are compared without one.
        let decided = |op: Compare, order| if op.holds(order) { exits.yes } else { exits.no };
        let cond = match order {
            Order::Signed => cond(op, true),
            Order::Unsigned => cond(op, false),
            Order::SignedWithUnsigned => {
                asm.jump_imm(Cond::SLt, Reg::R1, 0, decided(op, std::cmp::Ordering::Less));
                cond(op, false)
            }
            Order::UnsignedWithSigned => {
                let greater = decided(op, std::cmp::Ordering::Greater);
                match (immediate, right) {
                    (_, Scalar::Const(bits)) if bits.cast_signed() >= 0 => {}
                    (Some(_), _) => {
                        exits.always(asm, greater);
                        return Ok(());
                    }
                    _ => asm.jump_imm(Cond::SLt, Reg::R2, 0, greater),
                }
                cond(op, false)
            }
        };
        let jump = |asm: &mut Assembler, cond, to| match immediate {
            Some(imm) => asm.jump_imm(cond, Reg::R1, imm, to),
            None => asm.jump_reg(cond, Reg::R1, Reg::R2, to),
        };
        branch(asm, cond, jump, exits);
        Ok(())
    }

    /// Appends the computation of two numbers into `R1` and `R2`.
    fn pair(
        &self,
        asm: &mut Assembler,
        left: &Scalar,
        right: &Scalar,
        null: Label,
    ) -> Result<(), Diagnostic> {
        let waiting = self.temporaries[0];
        self.scalar(asm, right, 0, null)?;
        asm.push(Insn::store(Size::Dw, Reg::R10, waiting, Reg::R1));
        self.scalar(asm, left, 1, null)?;
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, waiting));
        Ok(())
    }
}

/// Appends `if R1 == bits goto to`.
fn jump_if_equal(asm: &mut Assembler, bits: u64, to: Label) {
    if let Ok(imm) = i32::try_from(bits.cast_signed()) {
        asm.jump_imm(Cond::Eq, Reg::R1, imm, to);
    } else {
        asm.set(Reg::R2, bits);
        asm.jump_reg(Cond::Eq, Reg::R1, Reg::R2, to);
    }
}

/// Appends the jumps of a condition that holds by `cond`: one where an exit comes next, else two.
fn branch(
    asm: &mut Assembler,
    cond: Cond,
    jump: impl Fn(&mut Assembler, Cond, Label),
    exits: Exits,
) {
    match cond.negated() {
        Some(negated) if exits.next == exits.yes => jump(asm, negated, exits.no),
        _ => {
            jump(asm, cond, exits.yes);
            exits.leave(asm, exits.no);
        }
    }
}

fn cond(op: Compare, signed: bool) -> Cond {
    match (op, signed) {
        (Compare::Eq, _) => Cond::Eq,
        (Compare::Ne, _) => Cond::Ne,
        (Compare::Lt, false) => Cond::Lt,
        (Compare::Le, false) => Cond::Le,
        (Compare::Gt, false) => Cond::Gt,
        (Compare::Ge, false) => Cond::Ge,
        (Compare::Lt, true) => Cond::SLt,
        (Compare::Le, true) => Cond::SLe,
        (Compare::Gt, true) => Cond::SGt,
        (Compare::Ge, true) => Cond::SGe,
    }
}
