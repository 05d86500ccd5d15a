//! Computes expressions over the values of a row, in user space.
//!
//! This is the meaning of the language: what runs in the kernel gives the same, and tests hold the two together.
//!
//! # NULL
//!
//! An operation on NULL gives NULL, but for `and`, `or` (three-valued logic), `is null`, `case`, `coalesce`,
//! `greatest` and `least`. A division by 0 is NULL, and so are a shift by less than 0 or more than 63 bits, and a float
//! that is no finite number. No float is −0.
//!
//! # Integers
//!
//! Arithmetic is exact: an expression is computed in 128 bits from its first operator to its last, comparisons and
//! functions that choose among their arguments included, and only its value is held against 64 bits, with or without a
//! sign. One that neither holds is NULL, with a warning.

mod cast;
pub(crate) mod number;
mod term;
pub(crate) mod text;

use std::cmp::Ordering;
use std::fmt;

use crate::bound::{Arith, Expr, ExprKind};
use crate::catalog::Lookup;
use crate::exec::{Host, Interrupted};
use crate::function::{Eval, Evaluation};
use crate::pattern::{Computed, Extract, Pattern};
use crate::syntax::ast::MatchOp;
use crate::value::{Type, Value};

pub(crate) use cast::cast;
use cast::cast_wide;
pub use term::Term;

/// After so many steps the host is asked whether the run is to end: a millisecond or two.
const STEPS: usize = 1 << 16;

/// What a run has to say besides its answer, and whether it is to end.
#[derive(Clone, Default)]
pub struct Warnings<'a> {
    /// How often arithmetic left its range.
    pub range: u64,
    /// How often a text grew too long.
    pub long: u64,
    /// How often there was no room for one more text.
    pub full: u64,
    /// The bytes of the texts that were put together and may still be held.
    pub(crate) texts: usize,
    /// How often a text was too long for its pattern.
    pub steps: u64,
    /// How often a computed pattern was none.
    pub patterns: u64,
    /// The patterns that were computed so far.
    computed: Computed,
    /// The steps since the host was asked, and whether it said that the run is to end.
    taken: usize,
    interrupted: bool,
    host: Option<&'a dyn Host>,
}

impl fmt::Debug for Warnings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { range, long, full, steps, patterns, .. } = self;
        write!(f, "{range} out of range, {long} too long, {full} without room, ")?;
        write!(f, "{steps} too long for a pattern, ")?;
        write!(f, "{patterns} no patterns")
    }
}

impl<'a> Warnings<'a> {
    /// Nothing yet of a run that `host` may end.
    pub(crate) fn of(host: &'a dyn Host) -> Self {
        Self { host: Some(host), ..Self::default() }
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range + self.long + self.full + self.steps + self.patterns == 0
    }

    /// Counts steps: nodes of an expression, bytes of a text, states of a pattern. Gives whether the run is to end; then
    /// nobody looks at its values any more.
    pub(crate) fn step(&mut self, steps: usize) -> bool {
        self.taken = self.taken.saturating_add(steps);
        if self.taken >= STEPS {
            self.taken = 0;
            self.interrupted = self.interrupted || self.host.is_some_and(Host::interrupted);
        }
        self.interrupted
    }

    /// Fails if the run is to end.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.interrupted { Err(Interrupted) } else { Ok(()) }
    }

    /// Whether a text matches a computed pattern; NULL, and a word about it, where that is none.
    fn matched(&mut self, op: MatchOp, text: &[u8], pattern: &[u8]) -> Value {
        let Some(pattern) = self.computed.pattern(op, pattern) else {
            self.patterns += 1;
            return Value::Null;
        };
        self.held_against(&pattern, text)
    }

    /// Whether a text matches a pattern.
    fn held_against(&mut self, pattern: &Pattern, text: &[u8]) -> Value {
        if self.step(pattern.steps(text)) {
            return Value::Null;
        }
        pattern.matches(text).map_or_else(|| self.bounded(), Value::Bool)
    }

    /// A NULL for a text that is too long for its pattern, and a word about it.
    fn bounded(&mut self) -> Value {
        self.steps += 1;
        Value::Null
    }

    /// A NULL for what left its range, and a word about it.
    pub(crate) fn null(&mut self) -> Value {
        self.range += 1;
        Value::Null
    }
}

/// The most steps that a constant takes while a query is bound, which nothing interrupts. One that takes more is left to
/// the run.
const FOLD_STEPS: usize = 1 << 10;

/// Ends what takes too many steps.
struct Folding;

impl Host for Folding {
    fn look_up(&self, _: Lookup, _: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        Err("it is only known while a query runs".to_owned())
    }

    fn interrupted(&self) -> bool {
        true
    }
}

/// The value of an expression that reads nothing, and whether there is something to say of it; none if it takes too long.
pub(crate) fn constant(expr: &Expr) -> Option<(Value, bool)> {
    let mut warnings = Warnings { taken: STEPS - FOLD_STEPS, ..Warnings::of(&Folding) };
    let value = eval(expr, &[], &mut warnings);
    warnings.check().ok()?;
    Some((value, !warnings.is_empty()))
}

/// The value of `expr` for the inputs `row`.
pub fn eval(expr: &Expr, row: &[Value], warnings: &mut Warnings) -> Value {
    if warnings.step(1) {
        return Value::Null;
    }
    let mut of = |inner: &Expr| eval(inner, row, warnings);
    match &expr.kind {
        ExprKind::Const(value) => value.clone(),
        ExprKind::Whole(_) => {
            unreachable!("a constant is put in its place when all rows are known")
        }
        ExprKind::Input(input) => row.get(*input).cloned().unwrap_or(Value::Null),
        ExprKind::Not(inner) => truth(&of(inner)).map_or(Value::Null, |value| Value::Bool(!value)),
        ExprKind::And(left, right) => match truth(&of(left)) {
            Some(false) => Value::Bool(false),
            left => and(left, truth(&of(right))),
        },
        ExprKind::Or(left, right) => match truth(&of(left)) {
            Some(true) => Value::Bool(true),
            left => match (left, truth(&of(right))) {
                (_, Some(true)) => Value::Bool(true),
                (Some(false), Some(false)) => Value::Bool(false),
                _ => Value::Null,
            },
        },
        ExprKind::Neg(inner) if expr.ty == Type::Float => match of(inner).float() {
            Some(value) => float(-value, warnings),
            None => Value::Null,
        },
        ExprKind::Arith(op, left, right) if expr.ty == Type::Float => {
            match (term(left, row, warnings).float(), term(right, row, warnings).float()) {
                (Some(left), Some(right)) => floats(*op, left, right, warnings),
                _ => Value::Null,
            }
        }
        ExprKind::Neg(_) | ExprKind::BitNot(_) | ExprKind::Arith(..) | ExprKind::Case(..) => {
            operand(expr, row, warnings).held(warnings)
        }
        ExprKind::Compare(op, left, right) => {
            let order = term(left, row, warnings).compare(&term(right, row, warnings));
            order.map_or(Value::Null, |order| Value::Bool(op.holds(order)))
        }
        ExprKind::Between(tested, low, high) => {
            let tested = term(tested, row, warnings);
            let least = tested.compare(&term(low, row, warnings)).map(Ordering::is_ge);
            let most = tested.compare(&term(high, row, warnings)).map(Ordering::is_le);
            and(least, most)
        }
        ExprKind::In(tested, list, sorted) => {
            let tested = term(tested, row, warnings);
            match &tested {
                Term::Value(value) => sorted.holds(value),
                Term::Wide(_) => None,
            }
            .unwrap_or_else(|| is_in(&tested, list, row, warnings))
        }
        ExprKind::Contains(list, tested) => match (of(list), of(tested)) {
            (Value::List(list), Value::Text(text)) => Value::Bool(list.contains(&text)),
            _ => Value::Null,
        },
        ExprKind::Extract(text, extract) => match of(text) {
            Value::Text(text) => extracted(extract, &text, warnings),
            _ => Value::Null,
        },
        // An input by now.
        ExprKind::Delta(..) => Value::Null,
        ExprKind::MatchBy(op, tested, pattern) => match (of(tested), of(pattern)) {
            (Value::Text(text), Value::Text(pattern)) => warnings.matched(*op, &text, &pattern),
            _ => Value::Null,
        },
        ExprKind::Match(tested, pattern) => match of(tested) {
            Value::Text(text) => warnings.held_against(pattern, &text),
            _ => Value::Null,
        },
        ExprKind::IsNull(inner) => Value::Bool(term(inner, row, warnings).is_null()),
        ExprKind::HasAll(set, mask) => has(&of(set), |bits| bits & mask == *mask),
        ExprKind::HasAny(set, mask) => has(&of(set), |bits| bits & mask != 0),
        ExprKind::Cast(inner) => match term(inner, row, warnings) {
            Term::Value(value) => cast(value, expr.ty, inner.ty, warnings),
            wide @ Term::Wide(_) => cast_wide(&wide, expr.ty, warnings),
        },
        ExprKind::Call(function, arguments) => match function.eval {
            Eval::Terms(_) => operand(expr, row, warnings).held(warnings),
            Eval::Values(eval) => {
                let arguments: Vec<Value> = arguments.iter().map(&mut of).collect();
                if function.is_null(&arguments, warnings) {
                    return Value::Null;
                }
                eval(arguments, expr.ty, warnings)
            }
        },
    }
}

/// The value of `expr` for the inputs `row` as an operand, which 64 bits need not hold.
fn term(expr: &Expr, row: &[Value], warnings: &mut Warnings) -> Term {
    if expr.is_wide() { operand(expr, row, warnings) } else { eval(expr, row, warnings).into() }
}

/// The same of what can make such an operand: arithmetic of integers, and what chooses one.
fn operand(expr: &Expr, row: &[Value], warnings: &mut Warnings) -> Term {
    match &expr.kind {
        ExprKind::Neg(_) | ExprKind::BitNot(_) | ExprKind::Arith(..) => {
            let exact = exact(expr, row, warnings);
            exact.map_or(Value::Null.into(), |exact| Term::exact(exact, expr.ty))
        }
        ExprKind::Case(arms, otherwise) => {
            let holds = |when: &Expr, warnings: &mut Warnings| {
                truth(&eval(when, row, warnings)) == Some(true)
            };
            let arm = arms.iter().find(|(when, _)| holds(when, warnings));
            let chosen = arm.map(|(_, then)| then).or(otherwise.as_deref());
            chosen.map_or(Value::Null.into(), |then| term(then, row, warnings).of_type(expr.ty))
        }
        ExprKind::Call(Evaluation { eval: Eval::Terms(of), .. }, arguments) => {
            if warnings.step(arguments.len()) {
                return Value::Null.into();
            }
            let arguments = arguments.iter().map(|argument| term(argument, row, warnings));
            of(arguments.collect(), expr.ty)
        }
        _ => eval(expr, row, warnings).into(),
    }
}

/// Whether one of a list is equal; unknown where none is and one is NULL.
fn is_in(tested: &Term, list: &[Expr], row: &[Value], warnings: &mut Warnings) -> Value {
    warnings.step(list.len());
    let mut unknown = false;
    for item in list {
        let order = match item.constant() {
            Some(item) => tested.compare_with(item),
            None => tested.compare(&term(item, row, warnings)),
        };
        match order {
            Some(Ordering::Equal) => return Value::Bool(true),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { Value::Null } else { Value::Bool(false) }
}

/// What is made of a text by a regular expression.
fn extracted(extract: &Extract, text: &[u8], warnings: &mut Warnings) -> Value {
    if warnings.step(extract.steps(text)) {
        return Value::Null;
    }
    match extract.of(text) {
        Some(Some(made)) => text::grown(made.into_bytes(), warnings),
        Some(None) => Value::Null,
        None => warnings.bounded(),
    }
}

/// And, of three values.
fn and(left: Option<bool>, right: Option<bool>) -> Value {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Value::Bool(false),
        (Some(true), Some(true)) => Value::Bool(true),
        _ => Value::Null,
    }
}

/// The truth of a condition; none if it is unknown.
#[must_use]
pub fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    }
}

/// The integer that an expression is before it is held against 64 bits; none where it is NULL.
fn exact(expr: &Expr, row: &[Value], warnings: &mut Warnings) -> Option<i128> {
    let exact = match &expr.kind {
        ExprKind::Neg(inner) => exact(inner, row, warnings)?.checked_neg(),
        ExprKind::BitNot(inner) => match exact(inner, row, warnings)? {
            exact if exact < 0 => i64::try_from(exact).ok().map(|value| i128::from(!value)),
            exact => u64::try_from(exact).ok().map(|value| i128::from(!value)),
        },
        ExprKind::Arith(op, left, right) => {
            let left = exact(left, row, warnings);
            let (left, right) = (left?, exact(right, row, warnings)?);
            match op {
                Arith::Add => left.checked_add(right),
                Arith::Sub => left.checked_sub(right),
                Arith::Mul => left.checked_mul(right),
                Arith::Div | Arith::Rem if right == 0 => return None,
                Arith::Div => left.checked_div(right),
                Arith::Rem => left.checked_rem(right),
                Arith::BitAnd => Some(left & right),
                Arith::BitOr => Some(left | right),
                Arith::BitXor => Some(left ^ right),
                Arith::Shl if left == 0 => distance(right).map(|_| 0),
                Arith::Shl => match distance(right)? {
                    by @ ..127 => left.checked_mul(1 << by),
                    _ => None,
                },
                Arith::Shr => Some(left >> distance(right)?),
            }
        }
        _ => return term(expr, row, warnings).integer(),
    };
    // What even 128 bits do not hold.
    warnings.range += u64::from(exact.is_none());
    exact
}

/// An exact integer as a value of its type, or NULL and a warning.
pub(crate) fn integer(exact: i128, ty: Type, warnings: &mut Warnings) -> Value {
    whole_value(exact, ty).unwrap_or_else(|| warnings.null())
}

/// An exact integer as a value of its type; none where 64 bits do not hold it.
fn whole_value(exact: i128, ty: Type) -> Option<Value> {
    let signed = i64::try_from(exact).ok().filter(|_| ty != Type::UInt).map(Value::Int);
    signed.or_else(|| u64::try_from(exact).ok().map(Value::UInt))
}

/// A float as a value, or NULL and a warning.
pub(crate) fn float(value: f64, warnings: &mut Warnings) -> Value {
    if value.is_finite() { Value::real(value) } else { warnings.null() }
}

fn has(set: &Value, test: impl Fn(u64) -> bool) -> Value {
    match set {
        Value::UInt(bits) => Value::Bool(test(*bits)),
        _ => Value::Null,
    }
}

fn floats(op: Arith, left: f64, right: f64, warnings: &mut Warnings) -> Value {
    match op {
        Arith::Add => float(left + right, warnings),
        Arith::Sub => float(left - right, warnings),
        Arith::Mul => float(left * right, warnings),
        Arith::Div if right != 0.0 => float(left / right, warnings),
        Arith::Rem if right != 0.0 => float(left % right, warnings),
        _ => Value::Null,
    }
}

/// A distance to shift by; none where it is negative. Beyond 127 bits nothing changes.
fn distance(by: i128) -> Option<u32> {
    u32::try_from(by.min(127)).ok()
}
