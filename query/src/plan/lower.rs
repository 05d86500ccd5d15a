//! Lowers bound conditions to what runs in the kernel, or says why one cannot.
//!
//! The kernel computes in registers of 64 bits whose sign is known beforehand. So an operation is lowered where
//! both operands are unsigned, or both fit 64 bits with a sign; every other mixture runs in user space, in 128 bits.
//! The ranges that binding found decide, and they also tell which operations need a check at all. Where a number leaves its
//! register the program raises a flag, and what it chose is not believed: [`crate::exec::wide`] chooses again.

mod case;
mod number;
mod text;

use super::Target;
use super::group::Operand;
use super::kernel::{Order, Pred, Scalar, TextTest};
use crate::bound::{Compare, Expr, ExprKind, Range};
use crate::catalog::Table;
use crate::function::{Evaluation, Kernel};
use crate::input::Input;
use crate::pattern::Pattern;
use crate::value::{Type, Value};
use number::divided;

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

    /// An input of the kernel's program as a number.
    fn input(&self, input: usize) -> Scalar {
        if self.inputs[input].is_nullable() { Scalar::Far(input) } else { Scalar::Input(input) }
    }

    /// Why an input is not the kernel's.
    fn elsewhere(&self, input: usize) -> Reason {
        if self.inputs[input].change().is_some() { CHANGE } else { LOOKUP }
    }
}

/// Whether a number is NULL.
fn is_null(scalar: Scalar) -> Pred {
    if scalar.can_be_null() { Pred::IsNull(scalar) } else { Pred::Const(Some(false)) }
}
