//! What of a plan can go to other kernels: conditions and columns whose places in the kernel a loader can find.
//!
//! A program that prints has no user space behind it that knows slabql: it is the whole query. Every condition runs in the
//! kernel, and every item is a [`Cell`] that the kernel prints. One that sends [`rows`] does the plan's work in the kernel,
//! and whoever reads them, with the plan, does the rest.

use std::collections::BTreeSet;

use super::kernel::{Pred, Scalar};
use super::lower::{Lowerer, Reason};
use super::{Operator, Plan};
use crate::bound::{Expr, ExprKind};
use crate::catalog::Source;
use crate::diagnostic::{Diagnostic, Span};
use crate::input::Input;
use crate::syntax::{Lexer, Token, TokenKind};
use crate::value::{Type, Unit, Value};

/// An item of the query as the kernel prints it.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its heading.
    pub name: String,
    /// What is printed.
    pub value: Printed,
}

/// How the kernel prints a value.
#[derive(Clone, Debug)]
pub enum Printed {
    /// A number without a sign.
    Unsigned(Scalar),
    /// A number with a sign.
    Signed(Scalar),
    /// An address or bits.
    Hex(Scalar),
    /// The names of slab flags.
    Flags(Scalar),
    /// `true` or `false`.
    Truth(Pred),
    /// The text that an input is.
    Text(usize),
}

impl Printed {
    /// The places in the frame that computing it takes.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Truth(pred) => pred.depth(),
            Self::Text(_) => 0,
            Self::Unsigned(scalar)
            | Self::Signed(scalar)
            | Self::Hex(scalar)
            | Self::Flags(scalar) => scalar.depth(),
        }
    }
}

/// The cells of a plan over caches, whose text is `text`; or what of it the kernel cannot do alone.
pub fn cells(plan: &Plan, text: &str) -> Result<Vec<Cell>, Diagnostic> {
    may_leave(plan, |_| true)?;
    for operator in &plan.operators {
        let (span, what, help) = match operator {
            Operator::Scan
            | Operator::Filter(_)
            | Operator::Project(_)
            | Operator::LookUp(_)
            | Operator::Compare(_) => continue,
            Operator::Group(_) | Operator::Whole(_) | Operator::Totals => {
                (first(plan), "groups", "print the rows, and group them where they arrive")
            }
            Operator::Distinct => (
                first(plan),
                "`distinct`",
                "export it with `--as rows`, or pipe what is printed into `uniq`",
            ),
            Operator::Sort { keys, .. } => {
                let span = keys.first().map_or(Span::default(), |key| key.expr.span);
                (
                    span,
                    "`order by`",
                    "export it with `--as rows`, or pipe what is printed into `sort`",
                )
            }
            Operator::Limit { .. } => (
                first(plan),
                "`limit`",
                "export it with `--as rows`, or pipe what is printed into `head`",
            ),
        };
        let message = format!("{what} cannot be exported as text: the kernel prints row by row");
        return Err(Diagnostic::new(span, message).help(help));
    }
    for condition in plan.conditions() {
        let kernel = condition.kernel.as_ref().map_err(|reason| *reason);
        if let Err(reason) = kernel.and_then(|pred| portable(pred, &plan.inputs)) {
            return Err(alone(&condition.expr, &condition.text, reason));
        }
    }
    let lowerer = Lowerer { text, inputs: &plan.inputs, texts: true, repeatable: true };
    let cell = |item: &crate::bound::Item| {
        let value = printed(&item.expr, &lowerer);
        let value = value.map_err(|reason| alone(&item.expr, &item.name, reason))?;
        Ok(Cell { name: item.name.clone(), value })
    };
    plan.items().iter().map(cell).collect()
}

/// The parameters that can be variables of the object, by where they stand; and those whose values are fixed, because
/// one of their uses is no comparison of a number.
///
/// What a comparison is lowered to depends on the sign of an integer alone, and on a fraction itself; of anything else the
/// value may decide the form.
#[must_use]
pub fn variables(
    plan: &Plan,
    cells: &[Cell],
    text: &str,
) -> (Vec<(Span, String)>, BTreeSet<String>) {
    let mut compared = Vec::new();
    let mut compare = |pred: &Pred| compared_with(pred, &mut compared);
    plan.pushed().for_each(|(_, pred)| compare(pred));
    for cell in cells {
        if let Printed::Truth(pred) = &cell.value {
            compare(pred);
        }
    }
    let mut fractions = Vec::new();
    let items = plan.items().iter().map(|item| &item.expr);
    for expr in plan.conditions().map(|condition| &condition.expr).chain(items) {
        note_floats(expr, &mut fractions);
    }
    compared.retain(|span| !fractions.contains(span));
    let used = used(text);
    let fixed: BTreeSet<String> = used
        .iter()
        .filter(|(span, _)| !compared.contains(span))
        .map(|(_, name)| name.clone())
        .collect();
    (used.into_iter().filter(|(_, name)| !fixed.contains(name)).collect(), fixed)
}

/// Adds where constants are floats.
fn note_floats(expr: &Expr, into: &mut Vec<Span>) {
    if let ExprKind::Const(Value::Float(_)) = expr.kind {
        into.push(expr.span);
    }
    expr.children(&mut |child| note_floats(child, into));
}

/// The parameters of a text, by where they stand.
fn used(text: &str) -> Vec<(Span, String)> {
    Lexer::new(text)
        .filter_map(|item| match item.ok()? {
            Token { kind: TokenKind::Parameter(name), span } => Some((span, name)),
            _ => None,
        })
        .collect()
}

/// Fails if a parameter of a text has the name of a variable that objects have.
pub fn reserved(text: &str, name: &str) -> Result<(), Diagnostic> {
    match used(text).into_iter().find(|(_, used)| used == name) {
        Some((span, _)) => {
            let message = format!("`${name}` cannot be a parameter of an export");
            let label = "each object has a variable of this name";
            Err(Diagnostic::new(span, message).label(label).help("give it another name"))
        }
        None => Ok(()),
    }
}

/// Adds where the parameters stand that are a side of a comparison.
fn compared_with(pred: &Pred, into: &mut Vec<Span>) {
    match pred {
        Pred::Compare(_, _, left, right) => {
            for side in [left, right] {
                if let Scalar::Parameter { at, bits } = side
                    && i64::try_from(*bits).is_ok()
                {
                    into.push(*at);
                }
            }
        }
        Pred::Not(inner) | Pred::Known(inner, _) => compared_with(inner, into),
        Pred::And(left, right) | Pred::Or(left, right) => {
            compared_with(left, into);
            compared_with(right, into);
        }
        _ => {}
    }
}

/// How the kernel prints an expression.
fn printed(expr: &Expr, lowerer: &Lowerer<'_>) -> Result<Printed, Reason> {
    let number = || {
        let scalar = lowerer.scalar(expr)?;
        in_range(&scalar, lowerer.inputs).map(|()| scalar)
    };
    Ok(match expr.ty {
        Type::UInt if expr.unit == Unit::Hex => Printed::Hex(number()?),
        Type::Int if expr.unit == Unit::Hex => {
            return Err("the kernel prints no hexadecimal numbers below 0");
        }
        Type::UInt => Printed::Unsigned(number()?),
        Type::Int => Printed::Signed(number()?),
        Type::SlabFlags => Printed::Flags(lowerer.scalar(expr)?),
        Type::GfpFlags => return Err(GFP),
        Type::Bool => {
            let pred = lowerer.pred(expr)?;
            portable(&pred, lowerer.inputs)?;
            Printed::Truth(pred)
        }
        Type::Text => match expr.kind {
            ExprKind::Input(input) if lowerer.inputs[input].is_text() => Printed::Text(input),
            _ => return Err("the kernel prints no computed texts"),
        },
        Type::Float => return Err("the kernel has no floating-point numbers"),
        Type::List | Type::Null => return Err("it is made in user space"),
    })
}

/// Why flags of the page allocator stay here.
const GFP: Reason = "loaders cannot find the kernel's GFP flags, whose enum has no name";

/// What overflows in practice too. Sizes and counts of caches have far fewer than 64 bits.
const OVERFLOWS: Reason =
    "it computes with addresses or numbers beyond 32 bits, which may overflow 64 bits";

/// Fails where what may overflow has such numbers in it: a program that prints cannot compute it again in 128 bits.
fn in_range(scalar: &Scalar, inputs: &[Input]) -> Result<(), Reason> {
    let mut fits = true;
    scalar.walk(&mut |part| {
        fits &= !(part.may_overflow() && is_large(part, inputs));
    });
    if fits { Ok(()) } else { Err(OVERFLOWS) }
}

/// Whether an address or a number beyond 32 bits is part of it.
fn is_large(scalar: &Scalar, inputs: &[Input]) -> bool {
    let mut large = false;
    scalar.walk(&mut |part| {
        large |= match part {
            Scalar::Const(bits) | Scalar::Parameter { bits, .. } => {
                bits.cast_signed().unsigned_abs() > u64::from(u32::MAX)
            }
            Scalar::Input(input) | Scalar::Far(input) => {
                let input = &inputs[*input];
                input.unit() == Unit::Hex && input.range().1 > i128::from(i64::MAX)
            }
            _ => false,
        };
    });
    large
}

/// Why a condition stays here, if it does.
fn portable(pred: &Pred, inputs: &[Input]) -> Result<(), Reason> {
    match pred {
        Pred::TextHas { .. } => Err("loaders cannot find the kernel's string functions"),
        Pred::HasAll(scalar, _) | Pred::HasAny(scalar, _) => match scalar {
            Scalar::Input(input) if inputs[*input].ty() == Type::SlabFlags => Ok(()),
            _ => Err(GFP),
        },
        Pred::Not(inner) | Pred::Known(inner, _) => portable(inner, inputs),
        Pred::And(left, right) | Pred::Or(left, right) => {
            portable(left, inputs).and_then(|()| portable(right, inputs))
        }
        Pred::Compare(_, _, left, right) => {
            in_range(left, inputs).and_then(|()| in_range(right, inputs))
        }
        Pred::In { scalar, .. } | Pred::IsNull(scalar) => in_range(scalar, inputs),
        Pred::Const(_) | Pred::TextIn { .. } | Pred::TextIsNull(_) => Ok(()),
    }
}

/// Whether the rows of a plan over caches can be made on another kernel.
pub fn rows(plan: &Plan) -> Result<(), Diagnostic> {
    if let Some(group) = plan.group() {
        let span = group.of_rows().next().map_or_else(|| first(plan), |expr| expr.span);
        let help = "export the rows, and group them where they arrive";
        return Err(Diagnostic::new(span, "groups cannot be exported").help(help));
    }
    let mut read: BTreeSet<usize> = plan.projected.iter().copied().collect();
    for (_, pred) in plan.pushed() {
        pred.inputs(&mut |input| _ = read.insert(input));
    }
    may_leave(plan, |input| read.contains(&input))?;
    for (condition, pred) in plan.pushed() {
        portable(pred, &plan.inputs).map_err(|reason| {
            let message = format!("`{}` cannot be exported", condition.text);
            Diagnostic::new(condition.expr.span, message).label(reason)
        })?;
    }
    Ok(())
}

/// Whether a loader can find on another kernel the inputs of a plan that are `read` there.
fn may_leave(plan: &Plan, read: impl Fn(usize) -> bool) -> Result<(), Diagnostic> {
    if plan.change().is_some() {
        let message = "changes cannot be exported: a program knows nothing of its last run";
        return Err(Diagnostic::new(first(plan), message));
    }
    if let Some(missing) = plan.missing.first() {
        let message = format!("`{}` cannot be exported: it is NULL here", missing.column.name);
        return Err(Diagnostic::new(first(plan), message).label(missing.reason.clone()));
    }
    let exprs = plan.items().iter().map(|item| &item.expr);
    let exprs = exprs.chain(plan.conditions().map(|condition| &condition.expr));
    for expr in exprs.chain(plan.order_by().iter().map(|key| &key.expr)) {
        for input in expr.inputs().into_iter().filter(|input| read(*input)) {
            let Some(input) = plan.inputs.get(input) else { continue };
            if let Some(reason) = stays(input) {
                let name = expr.column.map_or(input.name(), |column| column.name);
                let message = format!("`{name}` cannot be exported");
                return Err(Diagnostic::new(expr.span, message).label(reason).help(
                    "members of caches and sums over their nodes can be: `size`, `objects`, `slabs`, `memory`",
                ));
            }
        }
    }
    Ok(())
}

/// Why an input stays here; none if it need not.
fn stays(input: &Input) -> Option<String> {
    match input.source() {
        Some(
            Source::Address
            | Source::Member(_)
            | Source::Text(_)
            | Source::Refcount
            | Source::NodeSum(_),
        ) => None,
        Some(Source::Walk(_)) => Some(format!("`{}` is found by walking lists", input.name())),
        Some(Source::Host(..)) => Some(format!("`{}` is looked up in user space", input.name())),
        _ => Some(format!("`{}` is no column of caches", input.name())),
    }
}

fn alone(expr: &Expr, written: &str, reason: Reason) -> Diagnostic {
    Diagnostic::new(expr.span, format!("`{written}` cannot be exported as text")).label(reason)
}

fn first(plan: &Plan) -> Span {
    plan.items().first().map_or(Span::default(), |item| item.expr.span)
}
