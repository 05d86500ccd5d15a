//! Plans how rows become groups: by the kernel's program, or in user space.
//!
//! The kernel makes groups where it chooses the rows alone, where every key is a number, a set of flags or a condition
//! that is never NULL, and where every aggregate can be added to: counts, sums, means (a sum and a count), least and
//! greatest. A row of the kernel is then a group with what its aggregates have come to, and user space adds such rows up
//! as it would add up values, so that the answer is the same.

use super::Target;
use super::condition::MAX_SLOTS;
use super::kernel::{Pred, Scalar};
use super::lower::{Lowerer, Reason};
use crate::bound::{self, Aggregate, Expr, Item};
use crate::catalog::objects::OF_EACH;
use crate::catalog::{Rows, Table};
use crate::input::Input;
use crate::value::Type;

/// The most keys that the frame of a program has room for beside what conditions take.
const MAX_KEYS: usize = 8;
/// The most words of a group's row, a number that stores reach easily.
const MAX_WORDS: usize = 128;
/// The slots that a program takes to find a group, at most, and for each key and each aggregate.
const SLOTS: [usize; 3] = [64, 16, 32];

/// How rows become groups. A group is a row of its own: the keys, then the aggregates, and with totals whether the row is
/// the totals.
#[derive(Clone, Debug)]
pub struct Group {
    /// The values that the rows of a group have in common; without any all rows are one group, even if there are none.
    pub keys: Vec<Item>,
    /// What is computed of each group.
    pub aggregates: Vec<Aggregate>,
    /// The place in a group's row that says whether it is the totals, if there are totals.
    pub totals: Option<usize>,
    /// What the kernel's program does, or why it does not.
    pub kernel: Result<InKernel, Reason>,
}

/// What makes groups in the kernel.
#[derive(Clone, Debug)]
pub struct InKernel {
    /// The keys.
    pub keys: Vec<Operand>,
    /// What is added to a group's row, an aggregate each.
    pub parts: Vec<Part>,
}

/// A value in the kernel.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A number, and whether it can be NULL.
    Number(Scalar, bool),
    /// A condition, which is never NULL.
    Truth(Pred),
    /// A number where a condition is true, and else NULL.
    Chosen(Pred, Scalar),
}

/// What an aggregate is in the kernel.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is added to; none of `count(*)`.
    pub operand: Option<Operand>,
    /// What it comes to.
    pub sum: Sum,
    /// Whether its numbers have signs.
    pub signed: bool,
    /// How its numbers are read.
    pub ty: Type,
}

/// What the values of a group come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Their number.
    Count,
    /// Their sum, of 128 bits, the lower half first; then their number.
    Total,
    /// The least, then their number.
    Least,
    /// The greatest, then their number.
    Greatest,
}

impl Group {
    /// The expressions that are computed of rows.
    pub fn of_rows(&self) -> impl Iterator<Item = &Expr> {
        let arguments = self.aggregates.iter().filter_map(|aggregate| aggregate.argument.as_ref());
        self.keys.iter().map(|key| &key.expr).chain(arguments)
    }

    /// Whether the kernel makes the groups.
    #[must_use]
    pub fn in_kernel(&self) -> bool {
        self.kernel.is_ok()
    }
}

impl InKernel {
    /// All values that are computed.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.keys.iter().chain(self.parts.iter().filter_map(|part| part.operand.as_ref()))
    }

    /// Whether a key can be NULL.
    #[must_use]
    pub fn null_keys(&self) -> bool {
        self.keys.iter().any(Operand::can_be_null)
    }

    /// The words of a group's row, without that for keys that are NULL.
    #[must_use]
    pub fn words(&self) -> usize {
        self.keys.len() + self.parts.iter().map(|part| part.sum.words()).sum::<usize>()
    }
}

impl Sum {
    /// The words that it takes in a group's row.
    #[must_use]
    pub fn words(self) -> usize {
        match self {
            Self::Count => 1,
            Self::Total => 3,
            Self::Least | Self::Greatest => 2,
        }
    }
}

impl Operand {
    /// Whether it is NULL for some row.
    #[must_use]
    pub fn can_be_null(&self) -> bool {
        match self {
            Self::Number(_, null) => *null,
            Self::Truth(_) => false,
            Self::Chosen(..) => true,
        }
    }

    /// Calls `visit` on the number of every input that it reads.
    pub fn inputs(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Self::Number(scalar, _) => scalar.inputs(visit),
            Self::Truth(pred) => pred.inputs(visit),
            Self::Chosen(pred, scalar) => {
                pred.inputs(visit);
                scalar.inputs(visit);
            }
        }
    }

    /// Calls `visit` on every number in it.
    pub fn scalars<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        match self {
            Self::Number(scalar, _) => visit(scalar),
            Self::Truth(pred) => pred.scalars(visit),
            Self::Chosen(pred, scalar) => {
                pred.scalars(visit);
                visit(scalar);
            }
        }
    }

    /// Calls `visit` on every text test in it; see [`Pred::texts`].
    pub fn texts(&self, visit: &mut dyn FnMut(usize, usize)) {
        match self {
            Self::Number(..) => {}
            Self::Truth(pred) | Self::Chosen(pred, _) => pred.texts(visit),
        }
    }

    /// The places in the frame that computing it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Number(scalar, _) => scalar.depth(),
            Self::Truth(pred) => pred.depth(),
            Self::Chosen(pred, scalar) => pred.depth().max(scalar.depth()),
        }
    }

    /// The slots of a program that computing it takes, or a few more.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self {
            Self::Number(scalar, _) => scalar.slots(),
            Self::Truth(pred) => pred.slots(),
            Self::Chosen(pred, scalar) => pred.slots() + scalar.slots(),
        }
    }
}

/// Lowers keys and aggregates to what runs in the kernel, or says why they do not. `room` is the slots that conditions
/// leave, and `filtered` says whether there are others in user space.
pub(super) fn lower(
    keys: &[Item],
    aggregates: &[Aggregate],
    filtered: bool,
    (table, target): (&Table, Target),
    lowerer: &Lowerer<'_>,
    room: usize,
) -> Result<InKernel, Reason> {
    match target {
        Target::Kernel { pushdown: true, .. } => {}
        Target::Kernel { pushdown: false, .. } => {
            return Err("pushdown is disabled");
        }
        Target::Rows(_) => return Err("the rows are in user space already"),
    }
    if table.rows.in_several_runs() {
        return Err("the rows of this table come in several runs");
    }
    if filtered {
        return Err("a condition runs in user space");
    }
    if keys.len() > MAX_KEYS {
        return Err("the program holds at most eight keys");
    }
    let keys = keys.iter().map(|key| lowerer.operand(&key.expr)).collect::<Result<_, _>>()?;
    let parts =
        aggregates.iter().map(|aggregate| part(aggregate, lowerer)).collect::<Result<_, _>>()?;
    let made = InKernel { keys, parts };
    let [find, key, part] = SLOTS;
    let slots = find + key * made.keys.len() + part * made.parts.len();
    let slots = made.operands().map(Operand::slots).sum::<usize>() + slots;
    if slots > room.min(MAX_SLOTS) || made.words() > MAX_WORDS {
        return Err("there is no room left in the program");
    }
    Ok(made)
}

/// Whether groups of rows of `table` can be made of rows that are counted: what is read is the same for all objects of a
/// slab in one state, and no aggregate minds their order.
pub(super) fn counts(table: &Table, group: &bound::Group, inputs: &[Input]) -> bool {
    let counts = |made: &Aggregate| {
        made.distinct || made.function.kernel.is_some() || made.argument.is_none()
    };
    table.rows == Rows::Objects
        && group.aggregates.iter().all(counts)
        && !inputs.iter().any(|input| input.in_kernel() || OF_EACH.contains(&input.name()))
}

fn part(aggregate: &Aggregate, lowerer: &Lowerer<'_>) -> Result<Part, Reason> {
    if aggregate.distinct {
        return Err("distinct values are found in user space");
    }
    let sum = aggregate.function.kernel.ok_or("the kernel only counts, adds and compares")?;
    let Some(argument) = &aggregate.argument else {
        return Ok(Part { operand: None, sum, signed: false, ty: Type::UInt });
    };
    let operand = Some(lowerer.operand(argument)?);
    Ok(Part { operand, sum, signed: argument.ty == Type::Int, ty: argument.ty })
}
