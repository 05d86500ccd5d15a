//! Conditions that run in the kernel: what code generation is given.
//!
//! Everything here has a form in BPF. Which typed expressions come to it, and why others do not, is
//! [`super::lower`]'s business.

use crate::bound::{Arith, Compare};
use crate::diagnostic::Span;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Pred {
    /// Known without a row; none is NULL.
    Const(Option<bool>),
    /// A comparison of two numbers.
    Compare(Compare, Order, Scalar, Scalar),
    /// Whether a number is one of several; with `null`, that it is none of them is unknown.
    In {
        /// What is tested.
        scalar: Scalar,
        /// The 64 bits of what it may be.
        list: Vec<u64>,
        /// Whether NULL stands in the list.
        null: bool,
    },
    /// Whether all bits of a mask are set.
    HasAll(Scalar, u64),
    /// Whether any bit of a mask is set.
    HasAny(Scalar, u64),
    /// Whether a text is one of several.
    TextIn {
        /// The input.
        input: usize,
        /// What it may be.
        list: Vec<TextTest>,
        /// Whether NULL stands in the list.
        null: bool,
    },
    /// Whether a text has another inside, or at its end.
    TextHas {
        /// The input.
        input: usize,
        /// What is looked for; not empty.
        literal: Box<[u8]>,
        /// Whether it must be the end.
        at_end: bool,
    },
    /// Whether a text cannot be read.
    TextIsNull(usize),
    /// Whether a number is NULL.
    IsNull(Scalar),
    /// A condition, with what it counts as where it is NULL.
    Known(Box<Pred>, bool),
    /// Not.
    Not(Box<Pred>),
    /// And.
    And(Box<Pred>, Box<Pred>),
    /// Or.
    Or(Box<Pred>, Box<Pred>),
}

/// A test of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// The whole text.
    Equals(Box<[u8]>),
    /// Its beginning.
    StartsWith(Box<[u8]>),
}

/// How two numbers are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Both are unsigned.
    Unsigned,
    /// Both fit 64 bits with a sign.
    Signed,
    /// The left one can be negative, and the right one greater than any number with a sign.
    SignedWithUnsigned,
    /// The other way round.
    UnsignedWithSigned,
}

/// A number in a register of 64 bits.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A constant's bits.
    Const(u64),
    /// The value of a parameter, which the program finds in the map: so with another value it is the same program.
    Parameter {
        /// Where the parameter stands in the text, by which those of a query are told apart.
        at: Span,
        /// The value's bits.
        bits: u64,
    },
    /// An input.
    Input(usize),
    /// An input that is read by calls, which lose all registers, and that can be NULL.
    Far(usize),
    /// `-x`; checked if `x` can be the least number with a sign.
    Neg(Box<Scalar>, bool),
    /// `~x`
    BitNot(Box<Scalar>),
    /// A number with a sign without it.
    Abs(Box<Scalar>),
    /// The exponent of the greatest power of two that is not above it, and whether it has a sign; NULL below 1.
    Log2(Box<Scalar>, bool),
    /// The greatest of two numbers, or the least. Neither is ever NULL.
    Extreme {
        /// Which one.
        greatest: bool,
        /// Whether they have signs; else neither has.
        signed: bool,
        /// The first.
        left: Box<Scalar>,
        /// The second.
        right: Box<Scalar>,
    },
    /// An operation.
    Arith(Operation, Box<Scalar>, Box<Scalar>),
}

/// An operation on two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which one.
    pub op: Arith,
    /// Whether the operands have signs; else neither has.
    pub signed: bool,
    /// Whether the result can leave its 64 bits, and is NULL then.
    pub checked: bool,
    /// Whether the right operand can be a divisor of 0, which gives NULL.
    pub guarded: bool,
}

impl Pred {
    /// Calls `visit` on every number in it.
    pub fn scalars<'a>(&'a self, visit: &mut dyn FnMut(&'a Scalar)) {
        match self {
            Self::Const(_) | Self::TextIn { .. } | Self::TextHas { .. } | Self::TextIsNull(_) => {}
            Self::Compare(_, _, left, right) => {
                visit(left);
                visit(right);
            }
            Self::In { scalar, .. }
            | Self::HasAll(scalar, _)
            | Self::HasAny(scalar, _)
            | Self::IsNull(scalar) => visit(scalar),
            Self::Not(inner) | Self::Known(inner, _) => inner.scalars(visit),
            Self::And(left, right) | Self::Or(left, right) => {
                left.scalars(visit);
                right.scalars(visit);
            }
        }
    }

    /// Calls `visit` on every text test in it: the input and the longest literal, in bytes.
    pub fn texts(&self, visit: &mut dyn FnMut(usize, usize)) {
        match self {
            Self::TextIn { input, list, .. } => {
                let longest = list.iter().map(|test| test.literal().len()).max();
                visit(*input, longest.unwrap_or(0));
            }
            Self::TextHas { input, literal, .. } => visit(*input, literal.len()),
            Self::TextIsNull(input) => visit(*input, 0),
            Self::Not(inner) | Self::Known(inner, _) => inner.texts(visit),
            Self::And(left, right) | Self::Or(left, right) => {
                left.texts(visit);
                right.texts(visit);
            }
            _ => {}
        }
    }

    /// Whether it is NULL for some row.
    #[must_use]
    pub fn can_be_null(&self) -> bool {
        match self {
            Self::Const(value) => value.is_none(),
            Self::Compare(_, _, left, right) => left.can_be_null() || right.can_be_null(),
            Self::In { scalar, null, .. } => *null || scalar.can_be_null(),
            Self::HasAll(scalar, _) | Self::HasAny(scalar, _) => scalar.can_be_null(),
            Self::TextIn { .. } | Self::TextHas { .. } => true,
            Self::TextIsNull(_) | Self::IsNull(_) | Self::Known(..) => false,
            Self::Not(inner) => inner.can_be_null(),
            Self::And(left, right) | Self::Or(left, right) => {
                left.can_be_null() || right.can_be_null()
            }
        }
    }

    /// The same, with what it counts as where it is NULL.
    #[must_use]
    pub fn known(self, value: bool) -> Self {
        if self.can_be_null() { Self::Known(self.into(), value) } else { self }
    }

    /// The places in the frame that testing it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Const(_) | Self::TextIn { .. } | Self::TextHas { .. } | Self::TextIsNull(_) => 0,
            Self::Compare(_, _, left, right) if right.is_simple() => left.depth(),
            // The right side waits while the left one is computed.
            Self::Compare(_, _, left, right) => right.depth().max(left.depth() + 1),
            Self::In { scalar, .. }
            | Self::HasAll(scalar, _)
            | Self::HasAny(scalar, _)
            | Self::IsNull(scalar) => scalar.depth(),
            Self::Not(inner) | Self::Known(inner, _) => inner.depth(),
            Self::And(left, right) | Self::Or(left, right) => left.depth().max(right.depth()),
        }
    }

    /// The slots of a program that testing it takes, or a few more.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self {
            Self::Const(_) => 2,
            Self::Compare(_, _, left, right) => left.slots() + right.slots() + 6,
            Self::In { scalar, list, .. } => scalar.slots() + 3 * list.len() + 2,
            Self::HasAll(scalar, _) | Self::HasAny(scalar, _) => scalar.slots() + 5,
            Self::TextIn { list, .. } => {
                let words = |test: &TextTest| test.literal().len() / 8 + 1;
                20 + list.iter().map(|test| 7 * words(test) + 1).sum::<usize>()
            }
            Self::TextHas { literal, .. } => 40 + 7 * (literal.len() / 8 + 1),
            Self::TextIsNull(_) => 20,
            Self::IsNull(scalar) => scalar.slots() + 4,
            Self::Not(inner) | Self::Known(inner, _) => inner.slots(),
            Self::And(left, right) | Self::Or(left, right) => left.slots() + right.slots(),
        }
    }

    /// Calls `visit` on the number of every input that it reads.
    pub fn inputs(&self, visit: &mut dyn FnMut(usize)) {
        self.scalars(&mut |scalar| scalar.inputs(visit));
        self.texts(&mut |input, _| visit(input));
    }
}

impl TextTest {
    /// The text that is compared with.
    #[must_use]
    pub fn literal(&self) -> &[u8] {
        match self {
            Self::Equals(literal) | Self::StartsWith(literal) => literal,
        }
    }

    /// Whether it is true of every text.
    #[must_use]
    pub fn is_always_true(&self) -> bool {
        matches!(self, Self::StartsWith(prefix) if prefix.is_empty())
    }
}

impl Scalar {
    /// Calls `visit` on it and on every number in it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        match self {
            Self::Const(_) | Self::Parameter { .. } | Self::Input(_) | Self::Far(_) => {}
            Self::Neg(inner, _) | Self::BitNot(inner) | Self::Abs(inner) | Self::Log2(inner, _) => {
                inner.walk(visit);
            }
            Self::Arith(_, left, right) | Self::Extreme { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
        }
    }

    /// Calls `visit` on every parameter in it.
    pub fn parameters(&self, visit: &mut dyn FnMut(Span, u64)) {
        self.walk(&mut |part| {
            if let Self::Parameter { at, bits } = part {
                visit(*at, *bits);
            }
        });
    }

    /// Calls `visit` on the number of every input that it reads.
    pub fn inputs(&self, visit: &mut dyn FnMut(usize)) {
        self.walk(&mut |part| {
            if let Self::Input(input) | Self::Far(input) = part {
                visit(*input);
            }
        });
    }

    /// The slots of a program that computing it takes, or a few more.
    #[must_use]
    pub fn slots(&self) -> usize {
        match self {
            Self::Const(_) => 2,
            Self::Parameter { .. } => 3,
            Self::Input(_) => 6,
            // Its pointers are the plan's business, which knows them.
            Self::Far(_) => 16,
            Self::Neg(inner, _) => inner.slots() + 8,
            Self::BitNot(inner) => inner.slots() + 1,
            Self::Abs(inner) => inner.slots() + 4,
            Self::Log2(inner, _) => inner.slots() + 36,
            Self::Arith(_, left, right) | Self::Extreme { left, right, .. } => {
                left.slots() + right.slots() + 20
            }
        }
    }

    /// Whether it can leave its register itself, and is checked for that.
    #[must_use]
    pub fn may_overflow(&self) -> bool {
        matches!(self, Self::Arith(Operation { checked: true, .. }, ..) | Self::Neg(_, true))
    }

    /// Whether a number in it can leave its register, and is checked for that.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        let mut checked = false;
        self.walk(&mut |part| checked |= part.may_overflow());
        checked
    }

    /// Whether there are rows of which it is NULL.
    #[must_use]
    pub fn can_be_null(&self) -> bool {
        match self {
            Self::Const(_) | Self::Parameter { .. } | Self::Input(_) => false,
            Self::Neg(inner, checked) => *checked || inner.can_be_null(),
            Self::BitNot(inner) | Self::Abs(inner) => inner.can_be_null(),
            Self::Far(_) | Self::Log2(..) => true,
            Self::Extreme { left, right, .. } => left.can_be_null() || right.can_be_null(),
            Self::Arith(operation, left, right) => {
                operation.checked || operation.guarded || left.can_be_null() || right.can_be_null()
            }
        }
    }

    /// Whether it is loaded by one instruction or two, without a place in the frame.
    #[must_use]
    pub fn is_simple(&self) -> bool {
        matches!(self, Self::Const(_) | Self::Parameter { .. } | Self::Input(_))
    }

    /// The places in the frame that computing it takes.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::Const(_) | Self::Parameter { .. } | Self::Input(_) | Self::Far(_) => 0,
            Self::Neg(inner, _) | Self::BitNot(inner) | Self::Abs(inner) | Self::Log2(inner, _) => {
                inner.depth()
            }
            Self::Arith(_, left, right) | Self::Extreme { left, right, .. }
                if right.is_simple() =>
            {
                left.depth()
            }
            // The right side is computed first and kept while the left one is.
            Self::Arith(_, left, right) | Self::Extreme { left, right, .. } => {
                right.depth().max(left.depth() + 1)
            }
        }
    }
}
