//! Computes numbers in registers.
//!
//! The number ends in `R1`; `R2` and `R3` are lost. Of an operation with two sides that both need work, the right
//! side is computed first and waits in the frame.
//!
//! What a jump has chosen goes through the map, so that the verifier takes both ways for one from there on: it follows
//! what it can tell apart to the end, and ways multiply.
//!
//! A number that leaves its 64 bits, a division by 0 and a shift by too much are NULL: the code goes to `null`,
//! and the first of these also sets a flag, for the warning. So is one that a pointer leads to which is NULL.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg, Size};
use ebpf_templates::object::portable::CONSTANTS;
use ebpf_templates::template::{driver, rows};

use super::{Generator, number};
use crate::bound::Arith;
use crate::diagnostic::Diagnostic;
use crate::plan::kernel::{Operation, Scalar};

impl Generator<'_> {
    /// Appends the computation of `scalar` into `R1`. `depth` counts the numbers that wait.
    pub(super) fn scalar(
        &self,
        asm: &mut Assembler,
        scalar: &Scalar,
        depth: usize,
        null: Label,
    ) -> Result<(), Diagnostic> {
        match scalar {
            Scalar::Const(_) | Scalar::Parameter { .. } | Scalar::Input(_) => {
                self.simple(asm, Reg::R1, scalar)?;
            }
            Scalar::Far(input) => self.far(asm, *input, null)?,
            Scalar::Neg(inner, checked) => {
                self.scalar(asm, inner, depth, null)?;
                if *checked {
                    let fine = asm.label("in_range");
                    asm.set(Reg::R2, i64::MIN.cast_unsigned());
                    asm.jump_reg(Cond::Ne, Reg::R1, Reg::R2, fine);
                    out_of_range(asm, null);
                    asm.bind(fine);
                }
                asm.push(Insn::neg(Reg::R1));
            }
            Scalar::BitNot(inner) => {
                self.scalar(asm, inner, depth, null)?;
                asm.push(Insn::alu_imm(Alu::Xor, Reg::R1, -1));
            }
            Scalar::Abs(inner) => {
                self.scalar(asm, inner, depth, null)?;
                let positive = asm.label("positive");
                asm.jump_imm(Cond::SGe, Reg::R1, 0, positive);
                asm.push(Insn::neg(Reg::R1));
                asm.bind(positive);
                number(asm, Reg::R1, Reg::R1);
            }
            Scalar::Log2(inner, signed) => {
                self.scalar(asm, inner, depth, null)?;
                asm.jump_imm(if *signed { Cond::SLe } else { Cond::Eq }, Reg::R1, 0, null);
                log2(asm);
                number(asm, Reg::R1, Reg::R1);
            }
            Scalar::Arith(operation, left, right) => {
                self.both(asm, left, right, depth, null)?;
                operate(asm, *operation, null);
            }
            Scalar::Extreme { greatest, signed, left, right } => {
                self.both(asm, left, right, depth, null)?;
                let kept = asm.label("kept");
                let cond = match (greatest, signed) {
                    (true, false) => Cond::Ge,
                    (true, true) => Cond::SGe,
                    (false, false) => Cond::Le,
                    (false, true) => Cond::SLe,
                };
                asm.jump_reg(cond, Reg::R1, Reg::R2, kept);
                asm.push(Insn::mov(Reg::R1, Reg::R2));
                asm.bind(kept);
                number(asm, Reg::R1, Reg::R1);
            }
        }
        Ok(())
    }

    /// Appends the computation of two numbers into `R1` and `R2`.
    fn both(
        &self,
        asm: &mut Assembler,
        left: &Scalar,
        right: &Scalar,
        depth: usize,
        null: Label,
    ) -> Result<(), Diagnostic> {
        if right.is_simple() {
            self.scalar(asm, left, depth, null)?;
            return self.simple(asm, Reg::R2, right);
        }
        let waiting = self.temporaries[depth];
        self.scalar(asm, right, depth, null)?;
        asm.push(Insn::store(Size::Dw, Reg::R10, waiting, Reg::R1));
        self.scalar(asm, left, depth + 1, null)?;
        asm.push(Insn::load(Size::Dw, Reg::R2, Reg::R10, waiting));
        Ok(())
    }

    /// Appends the loading of a constant or an input.
    pub(super) fn simple(
        &self,
        asm: &mut Assembler,
        dst: Reg,
        scalar: &Scalar,
    ) -> Result<(), Diagnostic> {
        match scalar {
            Scalar::Const(bits) => {
                asm.set(dst, *bits);
                Ok(())
            }
            Scalar::Parameter { at, bits } if let Some(luggage) = &self.luggage => {
                match luggage.variable(*at, *bits) {
                    Some(at) => {
                        asm.map_value_of(dst, CONSTANTS, at);
                        asm.push(Insn::load(Size::Dw, dst, dst, 0));
                    }
                    None => asm.set(dst, *bits),
                }
                Ok(())
            }
            Scalar::Parameter { at, bits } => {
                match self.parameters.iter().position(|found| found == &(*at, *bits)) {
                    Some(number) => {
                        let behind = u32::try_from(8 * number).expect("fewer than slots");
                        asm.map_value(dst, self.values + behind);
                        asm.push(Insn::load(Size::Dw, dst, dst, 0));
                    }
                    None => asm.set(dst, *bits),
                }
                Ok(())
            }
            Scalar::Input(input) => self.load_input(asm, dst, *input),
            _ => unreachable!("only constants and inputs are simple"),
        }
    }
}

/// Appends the way out for a number that left its range.
fn out_of_range(asm: &mut Assembler, null: Label) {
    driver::flag(asm, rows::RANGE);
    asm.jump(null);
}

/// Appends `R1 = the number of the highest bit of R1`, which is not 0: by halves. It begins with a 0 that the verifier
/// does not know, or it would follow each of the 64 numbers that there can be.
fn log2(asm: &mut Assembler) {
    asm.push(Insn::mov(Reg::R2, Reg::R1));
    asm.push(Insn::load(Size::Dw, Reg::R1, Reg::R6, rows::ZERO));
    for half in [32, 16, 8, 4, 2, 1] {
        let lower = asm.label("lower");
        asm.push(Insn::mov(Reg::R3, Reg::R2));
        asm.push(Insn::alu_imm(Alu::Rsh, Reg::R3, half));
        asm.jump_imm(Cond::Eq, Reg::R3, 0, lower);
        asm.push(Insn::mov(Reg::R2, Reg::R3));
        asm.add(Reg::R1, half);
        asm.bind(lower);
    }
}

/// Appends `R1 = R1 op R2`.
fn operate(asm: &mut Assembler, operation: Operation, null: Label) {
    let Operation { op, signed, checked, guarded } = operation;
    if guarded {
        asm.jump_imm(Cond::Eq, Reg::R2, 0, null);
    }
    let alu = match (op, signed) {
        (Arith::Add, _) => Alu::Add,
        (Arith::Sub, _) => Alu::Sub,
        (Arith::Mul, _) => Alu::Mul,
        (Arith::Div, false) => Alu::Div,
        (Arith::Div, true) => Alu::SDiv,
        (Arith::Rem, false) => Alu::Mod,
        (Arith::Rem, true) => Alu::SMod,
        (Arith::BitAnd, _) => Alu::And,
        (Arith::BitOr, _) => Alu::Or,
        (Arith::BitXor, _) => Alu::Xor,
        (Arith::Shl, _) => Alu::Lsh,
        (Arith::Shr, false) => Alu::Rsh,
        (Arith::Shr, true) => Alu::Arsh,
    };
    if !checked {
        asm.push(Insn::alu(alu, Reg::R1, Reg::R2));
        return;
    }
    let fine = asm.label("in_range");
    // R3 keeps the left operand; every check below is a fact about it, the right one and the result.
    asm.push(Insn::mov(Reg::R3, Reg::R1));
    asm.push(Insn::alu(alu, Reg::R1, Reg::R2));
    match (op, signed) {
        // A sum without a sign that wrapped is less than either operand.
        (Arith::Add, false) => asm.jump_reg(Cond::Ge, Reg::R1, Reg::R3, fine),
        // With signs it wrapped if its sign is neither operand's.
        (Arith::Add, true) => {
            asm.push(Insn::alu(Alu::Xor, Reg::R3, Reg::R1));
            asm.push(Insn::alu(Alu::Xor, Reg::R2, Reg::R1));
            asm.push(Insn::alu(Alu::And, Reg::R2, Reg::R3));
            asm.jump_imm(Cond::SGe, Reg::R2, 0, fine);
        }
        // The difference of two numbers without signs has one: it must be negative if the left one is less.
        (Arith::Sub, false) => {
            let less = asm.label("less");
            let wrong = asm.label("out_of_range");
            asm.jump_reg(Cond::Lt, Reg::R3, Reg::R2, less);
            asm.jump_imm(Cond::SGe, Reg::R1, 0, fine);
            asm.jump(wrong);
            asm.bind(less);
            asm.jump_imm(Cond::SLt, Reg::R1, 0, fine);
            asm.bind(wrong);
        }
        // With signs it wrapped if the operands' signs differ and its own is not the left one's.
        (Arith::Sub, true) => {
            asm.push(Insn::alu(Alu::Xor, Reg::R2, Reg::R3));
            asm.push(Insn::alu(Alu::Xor, Reg::R3, Reg::R1));
            asm.push(Insn::alu(Alu::And, Reg::R2, Reg::R3));
            asm.jump_imm(Cond::SGe, Reg::R2, 0, fine);
        }
        // A product is right if dividing it gives back the left operand; a division by 0 gives 0 in BPF, and
        // then the product is 0 too.
        (Arith::Mul, _) => {
            asm.jump_imm(Cond::Eq, Reg::R2, 0, fine);
            let wrong = asm.label("out_of_range");
            if signed {
                // The one product that divides back although it wrapped: the least number by -1.
                let ordinary = asm.label("ordinary");
                asm.jump_imm(Cond::Ne, Reg::R2, -1, ordinary);
                asm.set(Reg::R0, i64::MIN.cast_unsigned());
                asm.jump_reg(Cond::Eq, Reg::R3, Reg::R0, wrong);
                asm.bind(ordinary);
            }
            asm.push(Insn::mov(Reg::R0, Reg::R1));
            asm.push(Insn::alu(if signed { Alu::SDiv } else { Alu::Div }, Reg::R0, Reg::R2));
            asm.jump_reg(Cond::Eq, Reg::R0, Reg::R3, fine);
            asm.bind(wrong);
        }
        // Only the least number by -1 leaves its range.
        (Arith::Div | Arith::Rem, _) => {
            asm.jump_imm(Cond::Ne, Reg::R2, -1, fine);
            asm.set(Reg::R0, i64::MIN.cast_unsigned());
            asm.jump_reg(Cond::Ne, Reg::R3, Reg::R0, fine);
        }
        // A shift is right if shifting back gives the left operand.
        (Arith::Shl, _) => {
            asm.push(Insn::mov(Reg::R0, Reg::R1));
            asm.push(Insn::alu(if signed { Alu::Arsh } else { Alu::Rsh }, Reg::R0, Reg::R2));
            asm.jump_reg(Cond::Eq, Reg::R0, Reg::R3, fine);
        }
        (Arith::BitAnd | Arith::BitOr | Arith::BitXor | Arith::Shr, _) => {
            unreachable!("{op:?} cannot leave its range")
        }
    }
    out_of_range(asm, null);
    asm.bind(fine);
}
