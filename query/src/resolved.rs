//! A resolved query: no names are left in it.

use crate::aggregate;
use crate::catalog::{Column, Table};
use crate::diagnostic::Span;
use crate::function::Function;
use crate::input::Input;
use crate::syntax::ast::{Argument, BinaryOp, Literal, MatchOp, Quantifier, UnaryOp};
use crate::value::Type;

/// A query whose names are resolved.
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
    /// What a row must satisfy.
    pub filter: Option<Expr>,
    /// How rows become groups, if they do. Then what is shown, and what is sorted by, is of a group.
    pub group: Option<Group>,
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

/// How rows become groups.
#[derive(Debug)]
pub struct Group {
    /// The values that the rows of a group have in common; without any all rows are one group.
    pub keys: Vec<Item>,
    /// What is computed of each group, each once.
    pub aggregates: Vec<Aggregate>,
    /// What a group must satisfy.
    pub having: Option<Expr>,
}

/// An aggregate with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub function: &'static aggregate::Aggregate,
    /// Whether equal values count once.
    pub distinct: bool,
    /// The arguments; none of `count(*)`.
    pub arguments: Vec<Expr>,
    /// As it is written, without what it names written out.
    pub name: String,
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

/// An expression. Two are equal if they mean the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The text of the query that it stands for.
    pub span: Span,
}

/// What an expression is. Operators are as in [`crate::syntax::ast::ExprKind`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ExprKind {
    Literal(Literal),
    /// What is read, by its number among the inputs.
    Input(usize, Input),
    /// A column that the source cannot give: NULL.
    Missing(&'static Column),
    /// A derived column and its definition.
    Derived(&'static Column, Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InColumn {
        expr: Box<Expr>,
        list: Box<Expr>,
        negated: bool,
    },
    Match {
        op: MatchOp,
        expr: Box<Expr>,
        pattern: Box<Expr>,
        negated: bool,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Has {
        expr: Box<Expr>,
        quantifier: Quantifier,
        /// The bits of the flags that this kernel defines.
        mask: u64,
        /// Whether a flag was named that this kernel does not define: it is never set.
        undefined: bool,
    },
    Case {
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast(Box<Expr>, Type),
    Call(&'static Function, Vec<Expr>),
    /// A key of the group: the place of its value in the group's row, which has keys, then aggregates; and what it
    /// was computed of.
    GroupKey(usize, Box<Expr>),
    /// An aggregate: the place of its value in the group's row.
    Aggregate(usize, Box<Aggregate>),
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Expr {
    /// The same expression, used at another place of the text.
    #[must_use]
    pub fn at(&self, span: Span) -> Self {
        Self { kind: self.kind.clone(), span }
    }

    /// Calls `visit` on the expressions that it is made of, one level down. What stands behind a column, a key or
    /// an aggregate is no part of it.
    pub fn children_mut<E>(
        &mut self,
        visit: &mut dyn FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.kind {
            ExprKind::Literal(_)
            | ExprKind::Input(..)
            | ExprKind::Missing(_)
            | ExprKind::Derived(..)
            | ExprKind::GroupKey(..)
            | ExprKind::Aggregate(..) => Ok(()),
            ExprKind::Unary(_, inner)
            | ExprKind::IsNull { expr: inner, .. }
            | ExprKind::Has { expr: inner, .. }
            | ExprKind::Cast(inner, _) => visit(inner),
            ExprKind::Binary(_, left, right)
            | ExprKind::InColumn { expr: left, list: right, .. }
            | ExprKind::Match { expr: left, pattern: right, .. } => {
                visit(left)?;
                visit(right)
            }
            ExprKind::Between { expr, low, high, .. } => {
                visit(expr)?;
                visit(low)?;
                visit(high)
            }
            ExprKind::In { expr, list, .. } => {
                visit(expr)?;
                list.iter_mut().try_for_each(visit)
            }
            ExprKind::Case { arms, otherwise } => {
                for (when, then) in arms {
                    visit(when)?;
                    visit(then)?;
                }
                otherwise.iter_mut().try_for_each(|otherwise| visit(otherwise))
            }
            ExprKind::Call(_, arguments) => arguments.iter_mut().try_for_each(visit),
        }
    }

    /// The type of flag set that a reference to a column has.
    #[must_use]
    pub fn flag_type(&self) -> Option<Type> {
        let ty = match &self.kind {
            ExprKind::Derived(column, _) | ExprKind::Missing(column) => column.ty,
            ExprKind::Input(_, input) => input.ty(),
            _ => return None,
        };
        ty.is_flags().then_some(ty)
    }
}
