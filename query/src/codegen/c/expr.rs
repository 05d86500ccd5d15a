//! Numbers and conditions as expressions of C.
//!
//! A number that can be NULL is computed into a variable, with another beside it that says whether it is NULL. A condition
//! has three values, so it is written as what is true where it holds, or as what is true where its opposite does.

use std::fmt::Write;

use super::prelude::Prelude;
use super::{Writer, identifier, quoted};
use crate::bound::{Arith, Compare};
use crate::diagnostic::{Diagnostic, Span};
use crate::plan::Plan;
use crate::plan::export::{Cell, Printed};
use crate::plan::kernel::{Operation, Order, Pred, Scalar, TextTest};
use crate::value::Type;

/// A number as an expression.
#[derive(Clone)]
pub(super) struct Number {
    text: String,
    /// Whether C takes it for one with a sign; none of a constant that is the same for both.
    signed: Option<bool>,
    /// Whether it needs no brackets.
    is_closed: bool,
}

/// A condition as an expression.
pub(super) struct Test {
    pub text: String,
    is_closed: bool,
}

/// What is computed before an expression.
#[derive(Default)]
pub(super) struct Conditions<'a> {
    /// The statements.
    pub before: String,
    /// The numbers that have variables, with those that say whether they are NULL.
    known: Vec<(&'a Scalar, String, String)>,
}

impl Conditions<'_> {
    /// The variable that says whether a number is NULL, if it can be.
    pub fn null_of(&self, scalar: &Scalar) -> Option<&str> {
        self.known.iter().find(|(known, ..)| *known == scalar).map(|(_, _, null)| null.as_str())
    }
}

impl Number {
    fn closed(text: String, signed: Option<bool>) -> Self {
        Self { text, signed, is_closed: true }
    }

    fn open(text: String, signed: Option<bool>) -> Self {
        Self { text, signed, is_closed: false }
    }

    fn operand(&self) -> String {
        if self.is_closed { self.text.clone() } else { format!("({})", self.text) }
    }
}

impl Test {
    fn closed(text: String) -> Self {
        Self { text, is_closed: true }
    }

    fn open(text: String) -> Self {
        Self { text, is_closed: false }
    }

    /// It with brackets around it.
    pub fn closed_text(&self) -> String {
        if self.is_closed { self.text.clone() } else { format!("({})", self.text) }
    }
}

/// A constant's bits.
pub(super) fn literal(bits: u64) -> String {
    match i64::try_from(bits) {
        Ok(_) if i32::try_from(bits).is_ok() => bits.to_string(),
        Ok(_) => format!("{bits}LL"),
        Err(_) => format!("{bits}ULL"),
    }
}

/// A number as one without a sign.
pub(super) fn bits_of(number: &Number) -> String {
    match number.signed {
        Some(true) => format!("(u64){}", number.operand()),
        _ => number.text.clone(),
    }
}

/// A number as one with a sign.
pub(super) fn signed(number: &Number) -> String {
    match number.signed {
        Some(false) => format!("(s64){}", number.operand()),
        _ => number.text.clone(),
    }
}

/// The parameters of a plan and its cells, with their values.
pub(super) fn parameters(plan: &Plan, cells: &[Cell]) -> Vec<(Span, u64)> {
    let mut found = Vec::new();
    let mut visit = |scalar: &Scalar| {
        if let Scalar::Parameter { at, bits } = scalar {
            found.push((*at, *bits));
        }
    };
    for (_, pred) in plan.pushed() {
        pred.scalars(&mut |scalar| visit(scalar));
    }
    for cell in cells {
        if let Printed::Truth(pred) = &cell.value {
            pred.scalars(&mut |scalar| visit(scalar));
        }
    }
    found
}

impl Writer<'_> {
    /// A number as an expression. One that can be NULL is computed before, and is the name of its variable.
    pub(super) fn scalar<'a>(
        &mut self,
        scalar: &'a Scalar,
        tests: &mut Conditions<'a>,
    ) -> Result<Number, Diagnostic> {
        if !scalar.can_be_null() {
            return self.number(scalar, "");
        }
        if let Some((_, name, _)) = tests.known.iter().find(|(known, ..)| *known == scalar) {
            return Ok(Number::closed(name.clone(), Some(false)));
        }
        self.computed += 1;
        let (name, null) = (format!("number{}", self.computed), format!("null{}", self.computed));
        let value = bits_of(&self.number(scalar, &null)?);
        let _ = write!(tests.before, "\t_Bool {null} = 0;\n\tu64 {name} = {value};\n");
        tests.known.push((scalar, name.clone(), null));
        Ok(Number::closed(name, Some(false)))
    }

    /// A number as an expression that notes in the variable `null` that it is NULL.
    fn number(&mut self, scalar: &Scalar, null: &str) -> Result<Number, Diagnostic> {
        Ok(match scalar {
            Scalar::Const(bits) => {
                Number::closed(literal(*bits), i64::try_from(*bits).is_err().then_some(false))
            }
            Scalar::Parameter { at, bits } => {
                match self.variables.iter().find(|(found, _)| found == at) {
                    Some((_, name)) => Number::closed(self.variable(name), Some(false)),
                    None => self.number(&Scalar::Const(*bits), null)?,
                }
            }
            Scalar::Input(input) => {
                let input = &self.plan.inputs[*input];
                Number::closed(identifier(input.name()), Some(input.ty() == Type::Int))
            }
            Scalar::Far(input) => {
                unreachable!("the path `{}` may not leave", self.plan.inputs[*input].name())
            }
            Scalar::Neg(inner, false) => {
                let inner = self.number(inner, null)?;
                Number::open(format!("-{}", cast("s64", &inner)), Some(true))
            }
            Scalar::Neg(inner, true) => self.call("negate", &[(inner, true)], null)?,
            Scalar::BitNot(inner) => {
                let inner = self.number(inner, null)?;
                Number::open(format!("~{}", cast("u64", &inner)), Some(false))
            }
            Scalar::Abs(inner) => self.call("absolute", &[(inner, true)], null)?,
            Scalar::Log2(inner, signed) => {
                let name = if *signed { "log2_signed" } else { "log2" };
                self.call(name, &[(inner, *signed)], null)?
            }
            Scalar::Extreme { greatest, signed, left, right } => {
                let name = match (greatest, signed) {
                    (true, false) => "greatest",
                    (true, true) => "greatest_signed",
                    (false, false) => "least",
                    (false, true) => "least_signed",
                };
                self.call(name, &[(left, *signed), (right, *signed)], null)?
            }
            Scalar::Arith(operation, left, right) => {
                self.operation(*operation, left, right, null)?
            }
        })
    }

    fn operation(
        &mut self,
        operation: Operation,
        left: &Scalar,
        right: &Scalar,
        null: &str,
    ) -> Result<Number, Diagnostic> {
        let Operation { op, signed, checked, guarded } = operation;
        let named = match (op, signed) {
            (Arith::Add, false) => "add",
            (Arith::Add, true) => "add_signed",
            (Arith::Sub, false) => "subtract",
            (Arith::Sub, true) => "subtract_signed",
            (Arith::Mul, false) => "multiply",
            (Arith::Mul, true) => "multiply_signed",
            (Arith::Div, false) => "divide",
            (Arith::Div, true) => "divide_signed",
            (Arith::Rem, false) => "remainder",
            (Arith::Rem, true) => "remainder_signed",
            (Arith::Shl, false) => "shift_left",
            (Arith::Shl, true) => "shift_left_signed",
            (Arith::Shr | Arith::BitAnd | Arith::BitOr | Arith::BitXor, _) => "",
        };
        // BPF divides by numbers with a sign from its fourth version on alone.
        let divides = matches!(op, Arith::Div | Arith::Rem) && signed;
        if !named.is_empty() && (checked || guarded || divides) {
            let distance = op == Arith::Shl;
            return self.call(named, &[(left, signed), (right, signed && !distance)], null);
        }
        let ty = if signed { "s64" } else { "u64" };
        let (left, right) = (self.number(left, null)?, self.number(right, null)?);
        // A constant alone would be one of 32 bits.
        let left = match left.signed {
            None => format!("({ty}){}", left.operand()),
            Some(_) => cast(ty, &left),
        };
        Ok(Number::open(format!("{left} {} {}", op.text(), cast(ty, &right)), Some(signed)))
    }

    /// A call of a function of numbers, each with or without a sign.
    fn call(
        &mut self,
        name: &'static str,
        arguments: &[(&Scalar, bool)],
        null: &str,
    ) -> Result<Number, Diagnostic> {
        let mut words = Vec::new();
        for (scalar, with_sign) in arguments {
            let number = self.number(scalar, null)?;
            words.push(if *with_sign { signed(&number) } else { bits_of(&number) });
        }
        if Prelude::is_checked(name) {
            words.push(match null {
                // What a function only could give, it does not give here.
                "" => "&(_Bool){0}".to_owned(),
                null => format!("&{null}"),
            });
        }
        let name = self.prelude.function(name);
        Ok(Number::closed(format!("{name}({})", words.join(", ")), Some(false)))
    }

    /// What is true where a condition is `value`.
    pub(super) fn holds<'a>(
        &mut self,
        pred: &'a Pred,
        value: bool,
        tests: &mut Conditions<'a>,
    ) -> Result<Test, Diagnostic> {
        Ok(match pred {
            Pred::Const(known) => Test::closed(u8::from(*known == Some(value)).to_string()),
            Pred::Not(inner) => self.holds(inner, !value, tests)?,
            // It is `value` where it counts as that, unless it is known to be the other.
            Pred::Known(inner, counts) if *counts == value => {
                let other = self.holds(inner, !value, tests)?;
                Test::closed(format!("!{}", other.closed_text()))
            }
            Pred::Known(inner, _) => self.holds(inner, value, tests)?,
            Pred::And(left, right) => self.both(value, (left, right), value, tests)?,
            Pred::Or(left, right) => self.both(!value, (left, right), value, tests)?,
            Pred::Compare(op, order, left, right) => {
                let compared = self.compared_numbers(*op, *order, (left, right), tests)?;
                guarded(tests, &[left, right], negated(compared, value))
            }
            Pred::In { scalar, list, null } => {
                let number = self.scalar(scalar, tests)?;
                let tested = list
                    .iter()
                    .map(|bits| format!("{} == {}", cast("u64", &number), literal(*bits)));
                let found = any(&tested.collect::<Vec<_>>());
                let found = listed(found, *null, value);
                guarded(tests, &[scalar], found)
            }
            Pred::HasAny(scalar, mask) => {
                let number = cast("u64", &self.scalar(scalar, tests)?);
                let mask = self.mask(*mask);
                let sign = if value { "" } else { "!" };
                let masked = format!("({number} & {mask})");
                let test = if value { format!("{masked} != 0") } else { format!("{sign}{masked}") };
                guarded(tests, &[scalar], Test::open(test))
            }
            Pred::HasAll(scalar, mask) => {
                let number = cast("u64", &self.scalar(scalar, tests)?);
                let mask = self.mask(*mask);
                let sign = if value { "==" } else { "!=" };
                guarded(tests, &[scalar], Test::open(format!("({number} & {mask}) {sign} {mask}")))
            }
            Pred::IsNull(scalar) => {
                let number = self.scalar(scalar, tests)?;
                let _ = writeln!(tests.before, "\t(void){};", number.operand());
                match tests.null_of(scalar) {
                    Some(null) if value => Test::closed(null.to_owned()),
                    Some(null) => Test::closed(format!("!{null}")),
                    None => Test::closed(u8::from(!value).to_string()),
                }
            }
            Pred::TextIsNull(_) => {
                Test::closed(if value { "no_text" } else { "!no_text" }.to_owned())
            }
            Pred::TextIn { list, null, .. } => {
                let tested = list.iter().map(|test| {
                    let (text, length) = match test {
                        TextTest::Equals(text) => (text, text.len() + 1),
                        TextTest::StartsWith(text) => (text, text.len()),
                    };
                    format!("begins(text, {}, {length})", quoted(text))
                });
                let found = any(&tested.collect::<Vec<_>>());
                self.prelude.text_test();
                let found = listed(found, *null, value);
                Test::open(format!("!no_text && {}", found.closed_text()))
            }
            Pred::TextHas { .. } => unreachable!("string functions may not leave"),
        })
    }

    /// Where both sides are `value`, or where one is.
    fn both<'a>(
        &mut self,
        all: bool,
        (left, right): (&'a Pred, &'a Pred),
        value: bool,
        tests: &mut Conditions<'a>,
    ) -> Result<Test, Diagnostic> {
        let left = self.holds(left, value, tests)?.closed_text();
        let right = self.holds(right, value, tests)?.closed_text();
        Ok(Test::open(format!("{left} {} {right}", if all { "&&" } else { "||" })))
    }

    fn compared_numbers<'a>(
        &mut self,
        op: Compare,
        order: Order,
        (left, right): (&'a Scalar, &'a Scalar),
        tests: &mut Conditions<'a>,
    ) -> Result<Test, Diagnostic> {
        let (left, right) = (self.scalar(left, tests)?, self.scalar(right, tests)?);
        let sign = match op {
            Compare::Eq => "==",
            Compare::Ne => "!=",
            Compare::Lt => "<",
            Compare::Le => "<=",
            Compare::Gt => ">",
            Compare::Ge => ">=",
        };
        let ty = if order == Order::Signed { "s64" } else { "u64" };
        let compared = format!("{} {sign} {}", cast(ty, &left), cast(ty, &right));
        // A number below 0 is less than any without a sign.
        let (below, decided) = match order {
            Order::Signed | Order::Unsigned => return Ok(Test::open(compared)),
            Order::SignedWithUnsigned => (&left, op.holds(std::cmp::Ordering::Less)),
            Order::UnsignedWithSigned => (&right, op.holds(std::cmp::Ordering::Greater)),
        };
        let below = format!("{} < 0", cast("s64", below));
        Ok(Test::open(if decided {
            format!("{below} || {compared}")
        } else {
            format!("!({below}) && {compared}")
        }))
    }

    /// What a parameter's variable is called.
    pub(super) fn variable(&self, name: &str) -> String {
        let mut name = identifier(name);
        // What is computed has such names, and what belongs to the compiler.
        if ["number", "null", "__"].iter().any(|taken| name.starts_with(taken)) {
            name.push('_');
        }
        while self.plan.inputs.iter().any(|input| identifier(input.name()) == name) {
            name.push('_');
        }
        name
    }
}

/// A number as an operand of a type.
fn cast(ty: &str, number: &Number) -> String {
    match (number.signed, ty) {
        (Some(true), "u64") | (Some(false), "s64") => format!("({ty}){}", number.operand()),
        _ => number.operand(),
    }
}

/// A test of numbers where none of them is NULL.
fn guarded(tests: &Conditions<'_>, scalars: &[&Scalar], test: Test) -> Test {
    let mut words: Vec<String> =
        scalars.iter().filter_map(|scalar| Some(format!("!{}", tests.null_of(scalar)?))).collect();
    if words.is_empty() {
        return test;
    }
    words.push(test.closed_text());
    Test::open(words.join(" && "))
}

fn negated(test: Test, value: bool) -> Test {
    if value { test } else { Test::closed(format!("!{}", test.closed_text())) }
}

/// What is true where one of several tests is.
fn any(tests: &[String]) -> Test {
    match tests {
        [] => Test::closed("0".to_owned()),
        _ => Test::open(tests.join(" || ")),
    }
}

/// What is true where something is in a list, or where it is not; in one with NULL in it nothing is known not to be.
fn listed(found: Test, null: bool, value: bool) -> Test {
    match (value, null) {
        (true, _) => found,
        (false, true) => Test::closed("0".to_owned()),
        (false, false) => negated(found, false),
    }
}
