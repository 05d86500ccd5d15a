//! The syntax tree of a statement, as it was written: names are not looked up, nothing is typed.
//!
//! Every node knows its [`Span`]. `Display` prints a tree as text that parses to the same tree.

use std::time::Duration;

use crate::diagnostic::Span;

/// A name as it was written. Two are equal in whatever case they were.
#[derive(Clone, Debug)]
pub struct Ident {
    /// The name: in lower case, or to the letter if it stood in double quotes.
    pub name: String,
    /// The name with the case in which it was written.
    pub written: String,
    /// Whether it stood in double quotes.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Ident {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.quoted, self.span) == (&other.name, other.quoted, other.span)
    }
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `select …`
    Query(Query),
    /// `explain select …`
    Explain(Query),
    /// `explain analyze select …`
    Analyze(Query),
    /// `explain analyze trace 5s select …`
    AnalyzeTrace(Trace),
    /// `watch 1s select …`
    Watch(Watch),
    /// `trace 5s select …`
    Trace(Trace),
    /// `whatis ADDRESS…`; at least one.
    Whatis(Vec<Address>),
}

impl Statement {
    /// The query that it runs or explains, if it is of one.
    #[must_use]
    pub fn query(&self) -> Option<&Query> {
        match self {
            Self::Query(query) | Self::Explain(query) | Self::Analyze(query) => Some(query),
            Self::Watch(watch) => Some(&watch.query),
            Self::Trace(trace) | Self::AnalyzeTrace(trace) => Some(&trace.query),
            Self::Whatis(_) => None,
        }
    }
}

/// A query that is asked again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// How often: a tick each so long, never 0.
    pub interval: Duration,
    /// How many ticks; without end if absent.
    pub count: Option<u64>,
    /// Whether the query is over what happens in each tick.
    pub traced: Option<Traced>,
    /// What is asked.
    pub query: Query,
}

/// A query over what happens meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// How long events are gathered, never 0.
    pub duration: Duration,
    /// Which of them.
    pub sample: Option<Sample>,
    /// What is asked of them.
    pub query: Query,
}

/// `trace` in a watch, whose ticks say how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Which events are gathered.
    pub sample: Option<Sample>,
}

/// `sample 16`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Of so many objects one is followed, from 1 to [`Self::MOST`].
    pub one_of: u32,
    /// Where it stands.
    pub span: Span,
}

impl Sample {
    /// The most objects of which one is followed: with more of them next to nothing would be.
    pub const MOST: u32 = 1 << 16;
    /// What may be written.
    pub const HELP: &str = "`sample 16` follows one object of 16, `sample 1` all of them";

    /// A number that is asked for, or what is wrong with it.
    pub fn checked(one_of: u64) -> Result<u32, String> {
        match u32::try_from(one_of) {
            Ok(0) => Err("a sample cannot be one object of 0".to_owned()),
            Ok(one_of @ 1..=Self::MOST) => Ok(one_of),
            _ => Err(format!("a sample cannot be less than one object of {}", Self::MOST)),
        }
    }
}

/// An address behind `whatis`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Address {
    /// The address.
    pub value: u64,
    /// Where it stands.
    pub span: Span,
}

/// A text that is handed to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `select distinct`
    pub distinct: bool,
    /// What is selected; at least one.
    pub items: Vec<Item>,
    /// `from`; the table `caches` if absent.
    pub from: Option<Ident>,
    /// The table's alias: `from caches as c`.
    pub alias: Option<Ident>,
    /// What is handed to the table, as in `from diff('before', 'live')`; nothing to most.
    pub arguments: Vec<Argument>,
    /// `where`
    pub filter: Option<Expr>,
    /// `group by`. A plain integer is the position of an item of the select list.
    pub group_by: Vec<Expr>,
    /// `with totals`, behind `group by`.
    pub totals: bool,
    /// `having`
    pub having: Option<Expr>,
    /// `order by`
    pub order_by: Vec<Key>,
    /// `limit`
    pub limit: Option<Count>,
    /// `offset`
    pub offset: Option<Count>,
    /// `format`: how the answer is written. Which formats there are is for whoever writes it.
    pub format: Option<Ident>,
    /// The whole query.
    pub span: Span,
}

impl Query {
    /// Calls `visit` on all expressions in it, but for those of its subqueries.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        let items = self.items.iter().filter_map(|item| match item {
            Item::Expr { expr, .. } => Some(expr),
            Item::Star(..) | Item::All(_) => None,
        });
        let keys = self.order_by.iter().map(|key| &key.expr);
        let groups = self.group_by.iter().chain(&self.having);
        items.chain(&self.filter).chain(groups).chain(keys).for_each(|expr| expr.walk(visit));
    }
}

/// The number behind `limit` or `offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Rows.
    pub rows: u64,
    /// Where it stands.
    pub span: Span,
}

/// One item of the select list.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// `*`: the table's choice of columns, or `table.*`, which is the same.
    Star(Option<Ident>, Span),
    /// `all` or `s.*`: every column of the table.
    All(Span),
    /// An expression and the name it is given.
    Expr {
        /// What is computed.
        expr: Expr,
        /// `as name`
        alias: Option<Ident>,
    },
}

/// A key of `order by`.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// What is sorted by. A plain integer is the position of an item of the select list.
    pub expr: Expr,
    /// `desc`
    pub descending: bool,
    /// `nulls first` or `nulls last`; NULLs come last if absent.
    pub nulls_first: Option<bool>,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl Expr {
    /// Calls `visit` on it, and on all that it is made of.
    fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        self.children(&mut |child| child.walk(visit));
    }

    /// Calls `visit` on the expressions that it is made of, one level down, in the order of the text.
    pub fn children<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        match &self.kind {
            ExprKind::Literal(_)
            | ExprKind::Column(_)
            | ExprKind::Qualified(..)
            | ExprKind::Path(_)
            | ExprKind::Subquery(_)
            | ExprKind::CallStar(_) => {}
            ExprKind::Unary(_, inner)
            | ExprKind::IsNull { expr: inner, .. }
            | ExprKind::Has { expr: inner, .. }
            | ExprKind::InQuery { expr: inner, .. }
            | ExprKind::Over(inner)
            | ExprKind::Cast(inner, _) => visit(inner),
            ExprKind::Binary(_, left, right)
            | ExprKind::Match { expr: left, pattern: right, .. }
            | ExprKind::InColumn { expr: left, list: right, .. } => {
                visit(left);
                visit(right);
            }
            ExprKind::Between { expr, low, high, .. } => {
                visit(expr);
                visit(low);
                visit(high);
            }
            ExprKind::In { expr, list, .. } => {
                visit(expr);
                list.iter().for_each(visit);
            }
            ExprKind::Case { arms, otherwise } => {
                for (when, then) in arms {
                    visit(when);
                    visit(then);
                }
                otherwise.as_deref().into_iter().for_each(visit);
            }
            ExprKind::Call(_, arguments) | ExprKind::CallDistinct(_, arguments) => {
                arguments.iter().for_each(visit);
            }
        }
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A value.
    Literal(Literal),
    /// A column or an alias.
    Column(Ident),
    /// `table.column`: the table's name or alias, and a column.
    Qualified(Ident, Ident),
    /// `s->kobj.name`: a member of a struct of the kernel.
    Path(Path),
    /// An operator before its operand.
    Unary(UnaryOp, Box<Expr>),
    /// An operator between its operands.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `expr [not] between low and high`
    Between {
        /// What is tested.
        expr: Box<Expr>,
        /// The least that passes.
        low: Box<Expr>,
        /// The greatest that passes.
        high: Box<Expr>,
        /// `not between`
        negated: bool,
    },
    /// `expr [not] in (…)`
    In {
        /// What is tested.
        expr: Box<Expr>,
        /// What it may be; at least one.
        list: Vec<Expr>,
        /// `not in`
        negated: bool,
    },
    /// `expr [not] in column`
    InColumn {
        /// What is tested.
        expr: Box<Expr>,
        /// The column, which is a list.
        list: Box<Expr>,
        /// `not in`
        negated: bool,
    },
    /// `expr [not] in (select …)`
    InQuery {
        /// What is tested.
        expr: Box<Expr>,
        /// Its answer is what it may be.
        query: Box<Query>,
        /// `not in`
        negated: bool,
    },
    /// `(select …)`
    Subquery(Box<Query>),
    /// `expr [not] like pattern` and its kin.
    Match {
        /// What kind of pattern.
        op: MatchOp,
        /// What is tested.
        expr: Box<Expr>,
        /// The pattern.
        pattern: Box<Expr>,
        /// `not like`, `!~`
        negated: bool,
    },
    /// `expr is [not] null`
    IsNull {
        /// What is tested.
        expr: Box<Expr>,
        /// `is not null`
        negated: bool,
    },
    /// `expr has FLAG`, `expr has any (…)`, `expr has all (…)`
    Has {
        /// The flag set.
        expr: Box<Expr>,
        /// Whether all of the flags are asked for, or any. Of one flag it is `All`.
        quantifier: Quantifier,
        /// The flags' names; at least one.
        flags: Vec<Ident>,
    },
    /// `case when … then … else … end`
    Case {
        /// Conditions and results; at least one.
        arms: Vec<(Expr, Expr)>,
        /// `else`
        otherwise: Option<Box<Expr>>,
    },
    /// `cast(expr as type)`
    Cast(Box<Expr>, Ident),
    /// `name(arguments)`
    Call(Ident, Vec<Expr>),
    /// `name(distinct arguments)`
    CallDistinct(Ident, Vec<Expr>),
    /// `name(*)`
    CallStar(Ident),
    /// `name(…) over ()`: a call of an aggregate, over all rows of the answer.
    Over(Box<Expr>),
}

/// The way from a row's struct to one of the kernel's members.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// What the row's struct is called.
    pub base: Ident,
    /// The steps; at least one.
    pub steps: Vec<Step>,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// Where it stands.
    pub span: Span,
}

/// What a step is. Names are to the letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// `->name`
    Arrow(String),
    /// `.name`
    Dot(String),
    /// `[0]`
    Index(u64),
}

/// A value in the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1000`, `0xff`. An integer that does not fit is the lexer's error.
    Int(u64),
    /// `4k`, `1.5MiB`: bytes, and how they were written.
    Size(u64, String),
    /// `1.5`, `1e3`
    Float(f64),
    /// `'text'`
    Text(String),
}

/// An operator before its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `not`
    Not,
    /// `-`
    Neg,
    /// `~`
    BitNot,
}

/// An operator between its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Concat,
    BitOr,
    BitXor,
    BitAnd,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

/// The kind of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `%` any text, `_` one character.
    Like,
    /// The same, letters of either case.
    Ilike,
    /// `*`, `?`, `[a-z]`.
    Glob,
    /// A regular expression, found anywhere.
    Regex,
}

/// How many of several flags are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Quantifier {
    Any,
    All,
}

impl BinaryOp {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Concat => "||",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::BitAnd => "&",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }
}

impl MatchOp {
    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Like => "like",
            Self::Ilike => "ilike",
            Self::Glob => "glob",
            Self::Regex => "~",
        }
    }
}
