//! Conditions, and where they run: in the kernel if they have a form there and the program has room for them.

use super::Target;
use super::kernel::Pred;
use super::lower::{Lowerer, Reason};
use super::price::{dearest, slots};
use crate::bound::Expr;

/// The most slots of a program that conditions take. A jump reaches eight times as far, and the verifier follows
/// twice as many jumps in a row.
pub(super) const MAX_SLOTS: usize = 4096;

/// A condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What it tests, for user space.
    pub expr: Expr,
    /// The text of the query that it was.
    pub text: String,
    /// What runs in the kernel, or why it runs in user space.
    pub kernel: Result<Pred, Reason>,
}

impl Condition {
    /// The condition `expr` of a query whose text is `text`.
    pub(super) fn new(expr: Expr, text: &str, kernel: Result<Pred, Reason>) -> Self {
        let text = one_line(&text[expr.span.start..expr.span.end]);
        Self { expr, text, kernel }
    }
}

/// The conditions on rows, by where they run: in the kernel, cheapest first, and in user space before and behind
/// look-ups and changes.
pub(super) struct Conditions {
    pub pushed: Vec<Condition>,
    pub early: Vec<Condition>,
    pub late: Vec<Condition>,
    /// The slots of the program that are left.
    pub room: usize,
}

/// Says where each condition of `filter` runs.
pub(super) fn place(filter: Vec<Expr>, target: Target, lowerer: &Lowerer<'_>) -> Conditions {
    let (text, inputs) = (lowerer.text, lowerer.inputs);
    let is_late = |input: &usize| inputs[*input].is_lookup() || inputs[*input].change().is_some();
    let mut found =
        Conditions { pushed: Vec::new(), early: Vec::new(), late: Vec::new(), room: MAX_SLOTS };
    for expr in filter {
        let kernel = match target {
            Target::Kernel { pushdown: true, .. } => lowerer.condition(&expr),
            Target::Kernel { pushdown: false, .. } => Err("pushdown is disabled"),
            Target::Rows(_) => Err("the rows are in user space already"),
        };
        let kernel = kernel.and_then(|pred| match found.room.checked_sub(slots(&pred, inputs)) {
            Some(left) => {
                found.room = left;
                Ok(pred)
            }
            None => Err("there is no room left in the program"),
        });
        let of = match &kernel {
            Ok(_) => &mut found.pushed,
            Err(_) if expr.inputs().iter().any(is_late) => &mut found.late,
            Err(_) => &mut found.early,
        };
        of.push(Condition::new(expr, text, kernel));
    }
    found.pushed.sort_by_key(|condition| match &condition.kernel {
        Ok(pred) => dearest(pred, inputs),
        Err(_) => 0,
    });
    found
}

/// A piece of the query as it goes into a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
