//! A bound query: no names are left in it, and every expression has a type, a unit, and for integers a range.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::aggregate;
use crate::catalog::{Column, Table};
use crate::delta::Change;
use crate::diagnostic::Span;
use crate::function::Evaluation;
use crate::input::Input;
use crate::pattern::{Extract, Pattern};
use crate::syntax::ast::{Argument, MatchOp};
use crate::value::{Type, Unit, Value};

/// A query without names, whose expressions are typed.
#[derive(Debug)]
pub struct Query {
    /// What is read.
    pub table: &'static Table,
    /// What is handed to it.
    pub arguments: Vec<Argument>,
    /// Whether equal rows are shown once.
    pub distinct: bool,
    /// What is shown.
    pub items: Vec<Item>,
    /// The conditions that a row must all satisfy.
    pub filter: Vec<Expr>,
    /// How rows become groups, if they do. Then the inputs of items and sort keys are those of a group's row.
    pub group: Option<Group>,
    /// What is computed of all rows of the answer, or of its groups; [`ExprKind::Whole`] counts in it.
    pub windows: Vec<Aggregate>,
    /// How rows are sorted.
    pub order_by: Vec<Key>,
    /// The most rows that are shown.
    pub limit: Option<u64>,
    /// The rows that are passed over first.
    pub offset: u64,
    /// What the query reads of a row; [`ExprKind::Input`] counts in it.
    pub inputs: Vec<Input>,
    /// The columns that the query names and the source cannot give.
    pub missing: Vec<Missing>,
    /// The subqueries, each by where it stands, and what they came to.
    pub subqueries: Vec<(Span, String)>,
    /// What there is to say of their answers.
    pub notes: Vec<String>,
}

/// A column that the source cannot give.
#[derive(Clone, Debug)]
pub struct Missing {
    /// The column.
    pub column: &'static Column,
    /// Why.
    pub reason: String,
}

/// An item of the select list.
#[derive(Clone, Debug)]
pub struct Item {
    /// The heading.
    pub name: String,
    /// The value.
    pub expr: Expr,
}

/// How rows become groups. A group is a row of its own: the keys, then the aggregates, and with totals whether the row is
/// the totals.
#[derive(Clone, Debug)]
pub struct Group {
    /// The values that the rows of a group have in common; without any all rows are one group, even if there are none.
    pub keys: Vec<Item>,
    /// What is computed of each group.
    pub aggregates: Vec<Aggregate>,
    /// Whether there is a row over all groups: what the aggregates come to over all rows, under keys that are NULL.
    pub totals: bool,
    /// The conditions on a group's row that it must all satisfy.
    pub having: Vec<Expr>,
}

impl Group {
    /// The place in a group's row that says whether it is the totals, if there are totals.
    #[must_use]
    pub fn totals_at(&self) -> Option<usize> {
        self.totals.then_some(self.keys.len() + self.aggregates.len())
    }
}

/// An aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// As it is written.
    pub name: String,
    /// Which one.
    pub function: &'static aggregate::Aggregate,
    /// The value of its parameter: the percentage of `percentile`, the text between those of `group_concat`.
    pub parameter: Value,
    /// Whether equal values count once.
    pub distinct: bool,
    /// What is computed of each row; rows where it is NULL are passed over. None counts rows.
    pub argument: Option<Expr>,
    /// What the result is: of the expression only type, unit and range mean something.
    pub result: Expr,
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The value that is sorted by.
    pub expr: Expr,
    /// Greatest first.
    pub descending: bool,
    /// NULLs first.
    pub nulls_first: bool,
}

/// The least and the greatest value that an integer expression can have.
///
/// An expression that cannot be negative has the type [`Type::UInt`], any other [`Type::Int`]. The range is that of the
/// exact number, computed in 128 bits. A value is NULL where neither 64 bits with a sign nor 64 bits without hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub low: i128,
    /// The greatest.
    pub high: i128,
}

impl Range {
    /// All that 64 bits hold without a sign.
    pub const UINT: Self = Self { low: 0, high: u64::MAX as i128 };
    /// All that 64 bits hold with a sign.
    pub const INT: Self = Self { low: i64::MIN as i128, high: i64::MAX as i128 };

    /// All that 64 bits hold, with a sign or without.
    pub const ANY: Self = Self { low: i64::MIN as i128, high: u64::MAX as i128 };

    /// The range of one value.
    #[must_use]
    pub fn of(value: i128) -> Self {
        Self { low: value, high: value }
    }

    /// Whether every value of `self` is one of `other`.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        other.low <= self.low && self.high <= other.high
    }

    /// The values that a register of 64 bits holds: without a sign if none is negative, else with one.
    #[must_use]
    pub fn register(self) -> Self {
        let bounds = if self.low >= 0 { Self::UINT } else { Self::INT };
        let clamp = |value: i128| value.clamp(bounds.low, bounds.high);
        Self { low: clamp(self.low), high: clamp(self.high) }
    }

    /// The type of integers in it.
    #[must_use]
    pub fn ty(self) -> Type {
        if self.low >= 0 { Type::UInt } else { Type::Int }
    }

    /// The values of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// An expression. Two are equal if they mean the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// What its value is.
    pub ty: Type,
    /// What it counts.
    pub unit: Unit,
    /// The range of an integer or a flag set; of others without meaning.
    pub range: Range,
    /// The text of the query that it stands for.
    pub span: Span,
    /// The column that the query names here, whether it is read, computed by its definition, or missing.
    pub column: Option<&'static Column>,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A value.
    Const(Value),
    /// What is read, by its number among the inputs.
    Input(usize),
    /// Not, of three values.
    Not(Box<Expr>),
    /// And, of three values.
    And(Box<Expr>, Box<Expr>),
    /// Or, of three values.
    Or(Box<Expr>, Box<Expr>),
    /// `-x`
    Neg(Box<Expr>),
    /// `~x`, on 64 bits.
    BitNot(Box<Expr>),
    /// An operation on two numbers. Of integers the result is exact, or NULL where 64 bits do not hold it.
    Arith(Arith, Box<Expr>, Box<Expr>),
    /// A comparison of two numbers, two texts, or two booleans.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// Whether a value is neither less than the second nor greater than the third.
    Between(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Whether a value is one of several.
    In(Box<Expr>, Vec<Expr>, Sorted),
    /// Whether a text is an entry of a list: the list, and the text.
    Contains(Box<Expr>, Box<Expr>),
    /// Whether a text matches a pattern.
    Match(Box<Expr>, Pattern),
    /// Whether a text matches a pattern that is computed.
    MatchBy(MatchOp, Box<Expr>, Box<Expr>),
    /// Whether a value is NULL.
    IsNull(Box<Expr>),
    /// Whether all bits of a mask are set in a flag set.
    HasAll(Box<Expr>, u64),
    /// Whether any bit of a mask is set in a flag set.
    HasAny(Box<Expr>, u64),
    /// The first result whose condition is true.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// The value as this expression's type.
    Cast(Box<Expr>),
    /// What a group of a regular expression matches in a text.
    Extract(Box<Expr>, Extract),
    /// How much a value changed since the previous tick, or with `true` how much a second.
    Delta(Change, Box<Expr>),
    /// What an aggregate over all rows of the answer comes to, by its number among those of the query.
    Whole(usize),
    /// A function.
    Call(&'static Evaluation, Vec<Expr>),
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Arith {
    Add,
    Sub,
    Mul,
    /// Toward zero for integers; by 0 it is NULL.
    Div,
    /// With the sign of the dividend; by 0 it is NULL.
    Rem,
    BitAnd,
    BitOr,
    BitXor,
    /// By 0 to 63 bits; by more it is NULL.
    Shl,
    /// By 0 to 63 bits, the sign kept; by more it is NULL.
    Shr,
}

impl Arith {
    /// As it is written, here and in C.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::Shl => "<<",
            Self::Shr => ">>",
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Compare {
    /// The same with its operands in the other order.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }

    /// Whether it holds of two values in this order.
    #[must_use]
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

/// The values of a long list of constants in their order, and whether there is a NULL among them; nothing of any other list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sorted(Option<Arc<(Vec<Value>, bool)>>);

impl Sorted {
    /// A shorter list is gone through as fast.
    const LONG: usize = 16;

    /// Those of a list whose values compare with each other.
    pub(crate) fn of(list: &[Expr]) -> Self {
        if list.len() < Self::LONG {
            return Self::default();
        }
        let Some(mut values) =
            list.iter().map(|item| item.constant().cloned()).collect::<Option<Vec<_>>>()
        else {
            return Self::default();
        };
        values.retain(|value| *value != Value::Null);
        let null = values.len() < list.len();
        let first = values.first().cloned().unwrap_or(Value::Null);
        if !values.iter().all(|value| value.compare(&first).is_some()) || first == Value::Null {
            return Self::default();
        }
        values.sort_by(|left, right| left.compare(right).unwrap_or(Ordering::Equal));
        Self(Some(Arc::new((values, null))))
    }

    /// Whether a value is one of them, or NULL where that is not known; none where there are none.
    pub(crate) fn holds(&self, tested: &Value) -> Option<Value> {
        let (values, null) = &**self.0.as_ref()?;
        // It compares with all of them or with none.
        if tested.compare(&values[0]).is_none() {
            return Some(Value::Null);
        }
        let order = |value: &Value| value.compare(tested).unwrap_or(Ordering::Less);
        Some(match values.binary_search_by(order) {
            Ok(_) => Value::Bool(true),
            Err(_) if *null => Value::Null,
            Err(_) => Value::Bool(false),
        })
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        // The parts decide the type, unless it is what they are cast to. NULL alone has the type that its use asks for.
        let cast = matches!(self.kind, ExprKind::Cast(_));
        self.column == other.column
            && self.unit == other.unit
            && self.kind == other.kind
            && (self.ty == other.ty || !cast)
    }
}

/// Calls `$visit` on the expressions that an expression is made of, which are borrowed as `$kind` is.
macro_rules! visit_children {
    ($kind:expr, $iter:ident, $visit:ident) => {
        match $kind {
            ExprKind::Const(_) | ExprKind::Input(_) | ExprKind::Whole(_) => {}
            ExprKind::Not(inner)
            | ExprKind::Neg(inner)
            | ExprKind::BitNot(inner)
            | ExprKind::Match(inner, _)
            | ExprKind::IsNull(inner)
            | ExprKind::HasAll(inner, _)
            | ExprKind::HasAny(inner, _)
            | ExprKind::Extract(inner, _)
            | ExprKind::Delta(_, inner)
            | ExprKind::Cast(inner) => $visit(inner),
            ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Arith(_, left, right)
            | ExprKind::MatchBy(_, left, right)
            | ExprKind::Compare(_, left, right)
            | ExprKind::Contains(left, right) => {
                $visit(left);
                $visit(right);
            }
            ExprKind::Between(expr, low, high) => {
                $visit(expr);
                $visit(low);
                $visit(high);
            }
            ExprKind::In(expr, list, _) => {
                $visit(expr);
                list.$iter().for_each($visit);
            }
            ExprKind::Case(arms, otherwise) => {
                for (when, then) in arms {
                    $visit(when);
                    $visit(then);
                }
                if let Some(otherwise) = otherwise {
                    $visit(otherwise);
                }
            }
            ExprKind::Call(_, arguments) => arguments.$iter().for_each($visit),
        }
    };
}

impl Expr {
    /// Its value, if it is a constant.
    #[must_use]
    pub fn constant(&self) -> Option<&Value> {
        match &self.kind {
            ExprKind::Const(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it can be an integer that 64 bits do not hold.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.ty.is_integer() && self.range.register() != self.range
    }

    /// Calls `visit` on the expressions that it is made of, one level down.
    pub fn children<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit_children!(&self.kind, iter, visit);
    }

    /// The same, for `visit` to change them.
    pub fn children_mut(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        visit_children!(&mut self.kind, iter_mut, visit);
    }

    /// Whether it is NULL whatever the row: not each such expression, but each that what is missing makes one.
    #[must_use]
    pub fn is_null(&self) -> bool {
        let mut parts = Vec::new();
        self.children(&mut |part| parts.push(part));
        let (mut parts, null) = (parts.into_iter(), |part: &Self| part.is_null());
        match &self.kind {
            ExprKind::Const(value) => *value == Value::Null,
            ExprKind::Input(_) | ExprKind::Whole(_) | ExprKind::IsNull(_) => false,
            ExprKind::And(..) | ExprKind::Or(..) => parts.all(null),
            ExprKind::Between(first, ..) | ExprKind::In(first, ..) => first.is_null(),
            ExprKind::Case(arms, otherwise) => {
                // What is NULL is not taken.
                arms.iter().all(|(when, then)| null(when) || null(then))
                    && otherwise.as_deref().is_none_or(null)
            }
            ExprKind::Call(function, _) => function.nulls.holds(parts.map(null)),
            _ => parts.any(null),
        }
    }

    /// Whether a part of it is computed of all rows of the answer.
    #[must_use]
    pub fn names_whole(&self) -> bool {
        let mut found = matches!(self.kind, ExprKind::Whole(_));
        self.children(&mut |child| found |= child.names_whole());
        found
    }

    /// The numbers of the inputs that it reads, each as often as it does.
    #[must_use]
    pub fn inputs(&self) -> Vec<usize> {
        let mut found = Vec::new();
        let mut rest = vec![self];
        while let Some(expr) = rest.pop() {
            if let ExprKind::Input(input) = expr.kind {
                found.push(input);
            }
            expr.children(&mut |child| rest.push(child));
        }
        found
    }
}
