//! Lowers bound conditions to what runs in the kernel, or says why one cannot.
//!
//! The kernel computes in registers of 64 bits whose sign is known beforehand. So an operation is lowered where
//! both operands are unsigned, or both fit 64 bits with a sign; every other mixture runs in user space, in 128 bits.
//! The ranges that binding found decide, and they also tell which operations need a check at all. Where a number leaves its
//! register the program raises a flag, and what it chose is not believed: [`crate::exec::wide`] chooses again.

mod case;

use ebpf_templates::template::text::LITERAL_MAX;

use super::Target;
use super::group::Operand;
use super::kernel::{Operation, Order, Pred, Scalar, TextTest};
use crate::bound::{Arith, Compare, Expr, ExprKind, Range};
use crate::catalog::Table;
use crate::diagnostic::Span;
use crate::eval::{self, Warnings};
use crate::function::{Evaluation, Kernel};
use crate::input::Input;
use crate::path::{Names, Path};
use crate::pattern::Pattern;
use crate::value::{Type, Value};

/// Why a condition runs in user space.
pub type Reason = &'static str;

/// The slots of a condition that is worth testing twice.
const SHORT: usize = 256;
/// The deepest nesting of parentheses that the frame has room for; see [`Pred::depth`].
const MAX_DEPTH: usize = 16;

const FLOATS: Reason = "the kernel has no floating-point numbers";
pub(crate) const MIXED: Reason = "it mixes numbers below 0 with numbers above 2^63";
const WIDE: Reason = "it may overflow 64 bits";
const DISTANCE: Reason = "it may shift by less than 0 or more than 63 bits";
pub(crate) const FUNCTIONS: Reason = "functions run in user space";
const LOOKUP: Reason = "the value is looked up in user space";
const CHANGE: Reason = "changes are computed in user space";
const TEXTS: Reason = "the kernel keeps no texts for groups";
const DEEP: Reason = "it is nested too deeply for the kernel's stack";
const TWICE: Reason = "it would be tested twice, and is too long for that";
const BOOLEANS: Reason = "a condition used as a value cannot run in the kernel";

/// Lowers expressions over the inputs of a query.
pub struct Lowerer<'a> {
    /// The text whose spans the expressions have.
    pub(super) text: &'a str,
    pub(crate) inputs: &'a [Input],
    /// Whether the kernel has functions of texts.
    pub(super) texts: bool,
    /// Whether rows can be computed again in user space, if a number leaves the registers of the program.
    pub(super) repeatable: bool,
}

impl<'a> Lowerer<'a> {
    /// Lowers what runs at `target`, for a query of `table` whose text is `text`.
    pub(super) fn new(text: &'a str, inputs: &'a [Input], target: Target, table: &Table) -> Self {
        let (texts, repeatable) = match target {
            Target::Kernel { texts, repeatable, .. } => (texts, repeatable),
            Target::Rows(_) => (false, false),
        };
        // Of several runs the first are shown by then.
        let repeatable = repeatable && !table.rows.in_several_runs();
        Self { text, inputs, texts, repeatable }
    }
}

impl Lowerer<'_> {
    /// Lowers a condition.
    pub(super) fn condition(&self, expr: &Expr) -> Result<Pred, Reason> {
        let pred = self.pred(expr)?;
        if pred.depth() > MAX_DEPTH { Err(DEEP) } else { Ok(pred) }
    }

    /// Lowers a value that is computed of each row.
    pub(super) fn operand(&self, expr: &Expr) -> Result<Operand, Reason> {
        let operand = match expr.ty {
            _ if let ExprKind::Input(input) = expr.kind
                && !self.inputs[input].in_kernel() =>
            {
                return Err(self.elsewhere(input));
            }
            Type::Bool => Operand::Truth(self.pred(expr)?),
            Type::Text => return Err(TEXTS),
            _ if let Some((when, then)) = case::chosen(expr) => {
                Operand::Chosen(self.pred(when)?, self.scalar(then)?)
            }
            _ => {
                let scalar = self.scalar(expr)?;
                let null = scalar.can_be_null();
                Operand::Number(scalar, null)
            }
        };
        match &operand {
            Operand::Truth(pred) if pred.can_be_null() => {
                Err("the kernel keeps no condition for groups that can be NULL")
            }
            operand if operand.depth() > MAX_DEPTH => Err(DEEP),
            _ => Ok(operand),
        }
    }

    pub(crate) fn pred(&self, expr: &Expr) -> Result<Pred, Reason> {
        if let Some(plain) = case::taken_apart(expr, self.inputs) {
            return self.pred(&plain);
        }
        Ok(match &expr.kind {
            ExprKind::Const(Value::Bool(value)) => Pred::Const(Some(*value)),
            ExprKind::Const(_) => Pred::Const(None),
            ExprKind::Not(inner) => Pred::Not(self.pred(inner)?.into()),
            ExprKind::And(left, right) => {
                Pred::And(self.pred(left)?.into(), self.pred(right)?.into())
            }
            ExprKind::Or(left, right) => {
                Pred::Or(self.pred(left)?.into(), self.pred(right)?.into())
            }
            ExprKind::Compare(op, left, right) => self.compare(*op, left, right)?,
            ExprKind::Between(tested, low, high) => Pred::And(
                self.compare(Compare::Ge, tested, low)?.into(),
                self.compare(Compare::Le, tested, high)?.into(),
            ),
            ExprKind::In(tested, list, _) if tested.ty == Type::Text => {
                self.text_in(tested, list)?
            }
            ExprKind::In(tested, list, _) => self.number_in(tested, list)?,
            ExprKind::Match(tested, pattern) => match pattern {
                Pattern::Exactly(text) => self.text(tested, text.as_bytes(), TextTest::Equals)?,
                Pattern::Prefix(text) => {
                    self.text(tested, text.as_bytes(), TextTest::StartsWith)?
                }
                Pattern::Suffix(text) => self.found(tested, text, true)?,
                Pattern::Contains(text) => self.found(tested, text, false)?,
                Pattern::Other(_) => return Err("the kernel matches plain texts, not patterns"),
            },
            // A set of flags is a column, which is never NULL; what is computed can be, and then the answer is.
            ExprKind::HasAny(set, 0) if matches!(set.kind, ExprKind::Input(_)) => {
                Pred::Const(Some(false))
            }
            ExprKind::HasAll(set, mask) => Pred::HasAll(self.scalar(set)?, *mask),
            ExprKind::HasAny(set, mask) => Pred::HasAny(self.scalar(set)?, *mask),
            ExprKind::Call(
                Evaluation { kernel: Kernel::Pred(lower) | Kernel::Either(_, lower), .. },
                arguments,
            ) => lower(self, arguments)?,
            ExprKind::Input(input) if self.inputs[*input].in_kernel() => {
                let zero = Scalar::Const(0);
                Pred::Compare(Compare::Ne, Order::Unsigned, self.input(*input), zero)
            }
            ExprKind::MatchBy(..) => {
                return Err("the kernel matches only patterns that are written out");
            }
            ExprKind::Contains(..) => return Err(LOOKUP),
            ExprKind::IsNull(inner) if inner.ty == Type::Text => match self.named(inner) {
                Some((scalar, _)) => is_null(scalar),
                None => Pred::TextIsNull(self.text_input(inner)?),
            },
            ExprKind::IsNull(inner) if inner.ty == Type::List => return Err(LOOKUP),
            ExprKind::IsNull(inner) if inner.ty == Type::Bool => match self.pred(inner)? {
                pred if !pred.can_be_null() => Pred::Const(Some(false)),
                pred if pred.slots() > SHORT => return Err(TWICE),
                // It is NULL if it counts as whatever NULL does.
                pred => Pred::And(
                    pred.clone().known(true).into(),
                    Pred::Not(pred.known(false).into()).into(),
                ),
            },
            ExprKind::IsNull(inner) => is_null(self.scalar(inner)?),
            ExprKind::Case(..) => return Err("`case` runs in user space"),
            ExprKind::Call(..) => return Err(FUNCTIONS),
            _ => return Err(BOOLEANS),
        })
    }

    fn compare(&self, op: Compare, left: &Expr, right: &Expr) -> Result<Pred, Reason> {
        if left.ty == Type::Text || right.ty == Type::Text {
            let (tested, literal, op) = match (left.constant(), right.constant()) {
                (_, Some(literal)) => (left, literal, op),
                (Some(literal), _) => (right, literal, op),
                _ => return Err("the kernel compares texts only with constants"),
            };
            let Value::Text(literal) = literal else { return Ok(Pred::Const(None)) };
            let equals = self.text(tested, literal, TextTest::Equals)?;
            return match op {
                Compare::Eq => Ok(equals),
                Compare::Ne => Ok(Pred::Not(equals.into())),
                _ => Err("the kernel compares texts only for equality"),
            };
        }
        if left.ty == Type::Bool || right.ty == Type::Bool {
            return Err(BOOLEANS);
        }
        if left.constant() == Some(&Value::Null) || right.constant() == Some(&Value::Null) {
            return Ok(Pred::Const(None));
        }
        // A float that is written out, or that a subquery came to, divides the integers.
        if let Some((op, whole)) = divided(op, right) {
            return self.compare(op, left, &whole);
        }
        if let Some((op, whole)) = divided(op.turned(), left) {
            return self.compare(op.turned(), &whole, right);
        }
        let order = match (left.range.register(), right.range.register()) {
            (l, r) if l.within(Range::UINT) && r.within(Range::UINT) => Order::Unsigned,
            (l, r) if l.within(Range::INT) && r.within(Range::INT) => Order::Signed,
            (l, _) if l.within(Range::UINT) => Order::UnsignedWithSigned,
            _ => Order::SignedWithUnsigned,
        };
        Ok(Pred::Compare(op, order, self.scalar(left)?, self.scalar(right)?))
    }

    fn number_in(&self, tested: &Expr, list: &[Expr]) -> Result<Pred, Reason> {
        let scalar = self.scalar(tested)?;
        let (mut bits, mut null) = (Vec::new(), false);
        for item in list {
            match item.constant() {
                Some(Value::Null) => null = true,
                // What the value cannot be is no bits that it could be taken for.
                Some(value @ (Value::Int(_) | Value::UInt(_))) => {
                    let can_be = |value: &i128| Range::of(*value).within(tested.range.register());
                    let value = value.integer().filter(can_be);
                    bits.extend(value.map(to_bits));
                }
                Some(Value::Float(_)) => return Err(FLOATS),
                _ => return Err("the list contains more than constants"),
            }
        }
        Ok(Pred::In { scalar, list: bits, null })
    }

    fn text_in(&self, tested: &Expr, list: &[Expr]) -> Result<Pred, Reason> {
        if let Some((scalar, names)) = self.named(tested) {
            let (mut bits, mut null) = (Vec::new(), false);
            for item in list {
                match item.constant() {
                    Some(Value::Null) => null = true,
                    Some(Value::Text(text)) => {
                        bits.extend(values_named(names, text, TextTest::Equals)?);
                    }
                    _ => return Err("the list contains more than constants"),
                }
            }
            return Ok(Pred::In { scalar, list: bits, null });
        }
        let input = self.text_input(tested)?;
        let (mut tests, mut null) = (Vec::new(), false);
        for item in list {
            match item.constant() {
                Some(Value::Null) => null = true,
                Some(Value::Text(text)) => tests.extend(text_test(text, TextTest::Equals)?),
                _ => return Err("the list contains more than constants"),
            }
        }
        Ok(Pred::TextIn { input, list: tests, null })
    }

    pub(crate) fn text(
        &self,
        tested: &Expr,
        literal: &[u8],
        test: fn(Box<[u8]>) -> TextTest,
    ) -> Result<Pred, Reason> {
        if let Some((scalar, names)) = self.named(tested) {
            let list = values_named(names, literal, test)?;
            return Ok(Pred::In { scalar, list, null: false });
        }
        let input = self.text_input(tested)?;
        let list = text_test(literal, test)?.into_iter().collect();
        Ok(Pred::TextIn { input, list, null: false })
    }

    /// The number of which `expr` is the name, and the names.
    fn named(&self, expr: &Expr) -> Option<(Scalar, &Names)> {
        let ExprKind::Input(input) = expr.kind else { return None };
        let names = self.inputs[input].names()?;
        Some((self.input(input), names))
    }

    /// An input of the kernel's program as a number.
    fn input(&self, input: usize) -> Scalar {
        if self.inputs[input].is_nullable() { Scalar::Far(input) } else { Scalar::Input(input) }
    }

    /// Whether a text has `literal` inside, or at its end.
    fn found(&self, tested: &Expr, literal: &str, at_end: bool) -> Result<Pred, Reason> {
        let input = self.text_input(tested)?;
        if !self.texts {
            return Err("the kernel has no string functions, which Linux 6.17 and later have");
        }
        if self.inputs[input].path().is_some_and(Path::is_array) {
            return Err("an array may lack a terminating NUL");
        }
        // User space sees a long text cut, with this sign behind.
        if literal.contains('…') {
            return Err("`…` marks text that was cut off");
        }
        match text_test(literal.as_bytes(), TextTest::Equals)? {
            Some(_) => Ok(Pred::TextHas { input, literal: literal.as_bytes().into(), at_end }),
            None => Ok(Pred::TextIn { input, list: Vec::new(), null: false }),
        }
    }

    /// Why an input is not the kernel's.
    fn elsewhere(&self, input: usize) -> Reason {
        if self.inputs[input].change().is_some() { CHANGE } else { LOOKUP }
    }

    fn text_input(&self, expr: &Expr) -> Result<usize, Reason> {
        match expr.kind {
            ExprKind::Input(input) if self.inputs[input].is_text() => Ok(input),
            ExprKind::Input(input) => Err(self.elsewhere(input)),
            _ => Err("computed texts cannot be compared in the kernel"),
        }
    }

    pub(crate) fn scalar(&self, expr: &Expr) -> Result<Scalar, Reason> {
        if !(expr.ty.is_integer() || expr.ty.is_flags()) {
            return Err(if expr.ty == Type::Float { FLOATS } else { BOOLEANS });
        }
        Ok(match &expr.kind {
            ExprKind::Const(value) => match value.integer() {
                Some(value) => self.constant(expr.span, to_bits(value)),
                None => return Err("NULL cannot be used in the kernel"),
            },
            ExprKind::Input(input) if self.inputs[*input].in_kernel() => self.input(*input),
            ExprKind::Input(input) => return Err(self.elsewhere(*input)),
            ExprKind::Neg(inner) => {
                let range = inner.range.register();
                if !range.within(Range::INT) {
                    return Err(MIXED);
                }
                // Where the result has no sign, 2^63 is one that it can be.
                let checked = range.low == Range::INT.low && expr.ty == Type::Int;
                if checked && !self.repeatable {
                    return Err(WIDE);
                }
                Scalar::Neg(self.scalar(inner)?.into(), checked)
            }
            ExprKind::BitNot(inner) => Scalar::BitNot(self.scalar(inner)?.into()),
            ExprKind::Arith(op, left, right) => {
                let operation = operation(*op, left.range.register(), right.range.register())?;
                if operation.checked && !self.repeatable {
                    return Err(WIDE);
                }
                // The check of a signed result would refuse what only an unsigned one holds.
                if operation.signed && operation.checked && expr.ty == Type::UInt {
                    return Err(MIXED);
                }
                Scalar::Arith(operation, self.scalar(left)?.into(), self.scalar(right)?.into())
            }
            // A cast between integers keeps the bits of every value that has a place in both.
            ExprKind::Cast(inner)
                if (inner.ty.is_integer() || inner.ty.is_flags())
                    && inner.range.register().within(expr.range.register()) =>
            {
                self.scalar(inner)?
            }
            ExprKind::Call(
                Evaluation { kernel: Kernel::Scalar(lower) | Kernel::Either(lower, _), .. },
                arguments,
            ) => lower(self, expr, arguments)?,
            ExprKind::Case(..) => return Err("`case` runs in user space"),
            ExprKind::Call(..) => return Err(FUNCTIONS),
            _ => return Err("it cannot run in the kernel"),
        })
    }
}

/// The comparison of an integer with an integer that comes to the same as `op` with a constant float; none where there is
/// none: no integer is equal to a fraction.
fn divided(op: Compare, float: &Expr) -> Option<(Compare, Expr)> {
    let Some(Value::Float(value)) = float.constant() else { return None };
    #[allow(clippy::cast_possible_truncation)] // saturates, and then is beyond the range
    let whole = value.floor() as i128;
    let op = match op {
        op if value.fract() == 0.0 => op,
        Compare::Lt | Compare::Le => Compare::Le,
        Compare::Gt | Compare::Ge => Compare::Gt,
        Compare::Eq | Compare::Ne => return None,
    };
    let range = Range::of(whole);
    let exact = eval::integer(whole, range.ty(), &mut Warnings::default());
    let kind = ExprKind::Const(exact.integer().map(|_| exact)?);
    Some((op, Expr { kind, ty: range.ty(), range, ..float.clone() }))
}

impl Lowerer<'_> {
    /// A constant; what the text writes with a parameter or a subquery is one that is likely to change.
    fn constant(&self, span: Span, bits: u64) -> Scalar {
        let changes = |text: &str| {
            let words = || text.split(|c: char| !c.is_alphanumeric());
            text.contains('$') || words().any(|word| word.eq_ignore_ascii_case("select"))
        };
        match self.text.get(span.start..span.end) {
            Some(text) if changes(text) => Scalar::Parameter { at: span, bits },
            _ => Scalar::Const(bits),
        }
    }

    /// The first of several conditions that is not NULL.
    pub(crate) fn first(&self, conditions: &[Expr]) -> Result<Pred, Reason> {
        let mut lowered = conditions.iter().map(|condition| self.pred(condition)).rev();
        let last = lowered.next().unwrap_or(Ok(Pred::Const(None)))?;
        lowered.try_fold(last, |rest, pred| {
            let pred = pred?;
            Ok(match rest {
                _ if !pred.can_be_null() => pred,
                Pred::Const(None) => pred,
                Pred::Const(Some(value)) => pred.known(value),
                _ if pred.slots() > SHORT => return Err(TWICE),
                rest => Pred::Or(
                    pred.clone().known(false).into(),
                    Pred::And(pred.known(true).into(), rest.into()).into(),
                ),
            })
        })
    }

    /// The greatest or the least of several numbers.
    pub(crate) fn extreme(&self, greatest: bool, arguments: &[Expr]) -> Result<Scalar, Reason> {
        let all = |range: Range| arguments.iter().all(|it| it.range.register().within(range));
        let signed = match (all(Range::UINT), all(Range::INT)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => return Err(MIXED),
        };
        let scalars = arguments.iter().map(|argument| {
            let scalar = self.scalar(argument)?;
            // One that is NULL would be passed over.
            if scalar.can_be_null() { Err("one of its arguments can be NULL") } else { Ok(scalar) }
        });
        let scalars = scalars.collect::<Result<Vec<_>, _>>()?;
        let join = |left: Scalar, right: Scalar| Scalar::Extreme {
            greatest,
            signed,
            left: left.into(),
            right: right.into(),
        };
        scalars.into_iter().reduce(join).ok_or("it cannot run in the kernel")
    }
}

/// What a number's register holds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // two's complement of 64 bits is what is meant
fn to_bits(value: i128) -> u64 {
    value as u64
}

/// The numbers whose names a test of a literal finds. A number without a name is shown as it is, so what may be one is
/// left to user space.
fn values_named(
    names: &Names,
    literal: &[u8],
    test: fn(Box<[u8]>) -> TextTest,
) -> Result<Vec<u64>, Reason> {
    if literal.first().is_none_or(|first| *first == b'-' || first.is_ascii_digit()) {
        return Err("it may refer to an unnamed enum value");
    }
    let found = |name: &str| match test(literal.into()) {
        TextTest::Equals(wanted) => *wanted == *name.as_bytes(),
        TextTest::StartsWith(prefix) => name.as_bytes().starts_with(&prefix),
    };
    let values = names.iter().enumerate().filter(|(at, (name, value))| {
        // Of several names of one number the first is shown.
        found(name) && !names[..*at].iter().any(|(_, earlier)| earlier == value)
    });
    Ok(values.map(|(_, (_, value))| to_bits((*value).into())).collect())
}

/// Whether a number is NULL.
fn is_null(scalar: Scalar) -> Pred {
    if scalar.can_be_null() { Pred::IsNull(scalar) } else { Pred::Const(Some(false)) }
}

/// A test of a literal; none where no name of the kernel can be it.
fn text_test(literal: &[u8], test: fn(Box<[u8]>) -> TextTest) -> Result<Option<TextTest>, Reason> {
    if literal.contains(&0) {
        return Ok(None);
    }
    if literal.len() > LITERAL_MAX {
        return Err("the kernel compares at most 64 bytes of text");
    }
    Ok(Some(test(literal.into())))
}

/// How an operation on operands of these ranges is done in registers.
fn operation(op: Arith, left: Range, right: Range) -> Result<Operation, Reason> {
    let unsigned = left.within(Range::UINT) && right.within(Range::UINT);
    let signed = left.within(Range::INT) && right.within(Range::INT);
    let shift = matches!(op, Arith::Shl | Arith::Shr);
    // A distance to shift by has a range of its own: only the left side's sign counts.
    let (unsigned, signed) = if shift {
        (left.within(Range::UINT), left.within(Range::INT))
    } else {
        (unsigned, signed)
    };
    if op == Arith::BitAnd && (left.low >= 0 || right.low >= 0) {
        // A number without a sign has no bits where a sign would be.
        return Ok(Operation { op, signed: false, checked: false, guarded: false });
    }
    if !unsigned && !signed {
        return Err(MIXED);
    }
    if shift && !right.within(Range { low: 0, high: 63 }) {
        return Err(DISTANCE);
    }
    Ok(Operation {
        op,
        signed: !unsigned,
        checked: crate::bind::typing::can_leave(op, left, right),
        guarded: matches!(op, Arith::Div | Arith::Rem) && right.low <= 0 && right.high >= 0,
    })
}
