//! Lowers numbers to what registers of 64 bits compute.

use super::{BOOLEANS, DISTANCE, FLOATS, FUNCTIONS, Lowerer, MIXED, Reason, WIDE};
use crate::bound::{Arith, Compare, Expr, ExprKind, Range};
use crate::diagnostic::Span;
use crate::eval::{self, Warnings};
use crate::function::{Evaluation, Kernel};
use crate::plan::kernel::{Operation, Pred, Scalar};
use crate::value::{Type, Value};

impl Lowerer<'_> {
    pub(super) fn number_in(&self, tested: &Expr, list: &[Expr]) -> Result<Pred, Reason> {
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

/// The comparison of an integer with an integer that comes to the same as `op` with a constant float; none where there is
/// none: no integer is equal to a fraction.
pub(super) fn divided(op: Compare, float: &Expr) -> Option<(Compare, Expr)> {
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

/// What a number's register holds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // two's complement of 64 bits is what is meant
pub(super) fn to_bits(value: i128) -> u64 {
    value as u64
}
