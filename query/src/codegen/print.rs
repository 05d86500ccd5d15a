//! Prints rows as CSV, a value at a time; what they are printed with is [`ebpf_templates::template::print`].
//!
//! A text goes out as it is: the kernel has no quotes to put around one that has a comma in it.

use ebpf_templates::assembler::{Assembler, Label};
use ebpf_templates::insn::{Alu, Cond, Insn, Reg};
use ebpf_templates::template::print::Printer;

use super::pred::Exits;
use super::{Generator, number};
use crate::diagnostic::Diagnostic;
use crate::plan::export::{Cell, Printed};
use crate::plan::kernel::{Pred, Scalar};

/// What stands before and behind a value.
type Around<'a> = (&'a str, &'a str);

/// The line above the rows.
pub(super) fn headings(cells: &[Cell]) -> String {
    let heading = |cell: &Cell| {
        if cell.name.contains([',', '"', '\r', '\n']) {
            format!("\"{}\"", cell.name.replace('"', "\"\""))
        } else {
            cell.name.clone()
        }
    };
    cells.iter().map(heading).collect::<Vec<_>>().join(",") + "\n"
}

impl Generator<'_> {
    /// Appends the printing of the row of the cache in `R7`. Takes all registers but `R6` and `R7`.
    pub(super) fn print(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        cells: &[Cell],
    ) -> Result<(), Diagnostic> {
        for (at, cell) in cells.iter().enumerate() {
            let last = at + 1 == cells.len();
            let around = (if at > 0 { "," } else { "" }, if last { "\n" } else { "" });
            asm.comment(cell.name.clone());
            match &cell.value {
                Printed::Unsigned(scalar) => self.cell(asm, printer, "%llu", scalar, around)?,
                Printed::Signed(scalar) => self.cell(asm, printer, "%lld", scalar, around)?,
                Printed::Hex(scalar) => self.cell(asm, printer, "0x%llx", scalar, around)?,
                Printed::Flags(scalar) => self.names(asm, printer, scalar, around)?,
                Printed::Truth(pred) => self.truth(asm, printer, pred, around)?,
                Printed::Text(input) => {
                    let null = asm.label("null");
                    self.text_address(asm, *input, null)?;
                    self.value(asm, printer, "%s", Reg::R3, around);
                    asm.bind(null);
                }
            }
        }
        Ok(())
    }

    /// Appends the printing of a number; of NULL there is nothing.
    fn cell(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        format: &str,
        scalar: &Scalar,
        around: Around<'_>,
    ) -> Result<(), Diagnostic> {
        let (null, done) = (asm.label("null"), asm.label("printed"));
        self.scalar(asm, scalar, 0, null)?;
        self.value(asm, printer, format, Reg::R1, around);
        self.otherwise(asm, printer, null, done, around);
        Ok(())
    }

    /// Appends the way around what is printed of NULL, which is nothing.
    fn otherwise(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        null: Label,
        done: Label,
        (before, behind): Around<'_>,
    ) {
        asm.jump(done);
        asm.bind(null);
        self.text_of(asm, printer, &format!("{before}{behind}"));
        asm.bind(done);
    }

    fn truth(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        pred: &Pred,
        (before, behind): Around<'_>,
    ) -> Result<(), Diagnostic> {
        let [yes, no, null, done] = ["yes", "not_true", "null", "printed"].map(|l| asm.label(l));
        self.pred(asm, pred, Exits { yes, no, null: no, next: yes })?;
        asm.bind(yes);
        self.text_of(asm, printer, &format!("{before}true{behind}"));
        asm.jump(done);
        asm.bind(no);
        // What is NULL leaves by an exit that it shares, so it is told from the other one by testing again.
        if pred.can_be_null() {
            let no = asm.label("no");
            self.pred(asm, pred, Exits { yes: null, no, null, next: null })?;
            asm.bind(null);
            self.text_of(asm, printer, &format!("{before}{behind}"));
            asm.jump(done);
            asm.bind(no);
        }
        self.text_of(asm, printer, &format!("{before}false{behind}"));
        asm.bind(done);
        Ok(())
    }

    /// Appends the printing of the names of flags, and of the bits without a name as one number behind them.
    fn names(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        scalar: &Scalar,
        (before, behind): Around<'_>,
    ) -> Result<(), Diagnostic> {
        let (null, done) = (asm.label("null"), asm.label("printed"));
        self.scalar(asm, scalar, 0, null)?;
        asm.push(Insn::mov(Reg::R8, Reg::R1));
        asm.push(Insn::mov_imm(Reg::R9, 0));
        self.text_of(asm, printer, before);
        for (name, _) in self.schema.slab_flags() {
            let (first, next) = (asm.label("first"), asm.label("flag"));
            asm.push(Insn::mov_imm(Reg::R1, self.has_flag(name).into()));
            asm.jump_imm(Cond::Eq, Reg::R1, 0, next);
            self.bit(asm, name)?;
            asm.push(Insn::mov(Reg::R1, Reg::R8));
            asm.push(Insn::alu(Alu::And, Reg::R1, Reg::R3));
            asm.jump_imm(Cond::Eq, Reg::R1, 0, next);
            asm.push(Insn::alu(Alu::Xor, Reg::R8, Reg::R3));
            asm.jump_imm(Cond::Eq, Reg::R9, 0, first);
            self.text_of(asm, printer, "|");
            asm.bind(first);
            asm.push(Insn::mov_imm(Reg::R9, 1));
            self.text_of(asm, printer, name);
            asm.bind(next);
        }
        let (alone, none) = (asm.label("first"), asm.label("named"));
        asm.jump_imm(Cond::Eq, Reg::R8, 0, none);
        asm.jump_imm(Cond::Eq, Reg::R9, 0, alone);
        self.text_of(asm, printer, "|");
        asm.bind(alone);
        self.value(asm, printer, "0x%llx", Reg::R8, ("", ""));
        asm.bind(none);
        self.text_of(asm, printer, behind);
        self.otherwise(asm, printer, null, done, (before, behind));
        Ok(())
    }

    /// Appends the printing of a register by a format.
    fn value(
        &self,
        asm: &mut Assembler,
        printer: &Printer,
        format: &str,
        value: Reg,
        (before, behind): Around<'_>,
    ) {
        let format = format!("{before}{format}{behind}\0");
        let format = self.constant(&format);
        printer.value(asm, format, value);
    }

    /// Appends the printing of a text, unless it is empty.
    fn text_of(&self, asm: &mut Assembler, printer: &Printer, text: &str) {
        if !text.is_empty() {
            printer.text(asm, self.constant(text));
        }
    }

    /// Where a text lies.
    pub(super) fn constant(&self, text: &str) -> ebpf_templates::template::print::Constant {
        let luggage = self.luggage.as_ref().expect("only an exported program has constants");
        luggage.constants.borrow_mut().text(text.as_bytes())
    }

    /// Appends `dst = pointer`, as a number to the verifier too.
    pub(super) fn number(&self, asm: &mut Assembler, dst: Reg, pointer: Reg) {
        if self.luggage.is_none() {
            number(asm, dst, pointer);
            return;
        }
        // What lies in the frame stays a pointer, but one that is negated is none, nor is one that is negated back.
        if dst != pointer {
            asm.push(Insn::mov(dst, pointer));
        }
        asm.push(Insn::neg(dst));
        asm.push(Insn::neg(dst));
    }
}
