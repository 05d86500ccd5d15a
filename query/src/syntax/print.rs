//! Prints a tree as text that parses to the same tree, in lower case and on one line.
//!
//! Parentheses stand only where the tree needs them: around an operand that binds less tightly than its place asks
//! for. The places' levels are those of `expr`.

use std::fmt::{self, Display, Formatter};

use super::ast::{
    Address, Argument, Count, Expr, ExprKind, Ident, Item, Key, Literal, Path, Quantifier, Query,
    Sample, Statement, StepKind, Trace, Traced, UnaryOp, Watch,
};
use super::expr::{BIT_OR, COMPARISON, Level, NOT, PRIMARY, UNARY, level};
use super::token::Keyword;
use crate::value::digits;

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whatis(addresses) => {
                f.write_str("whatis ")?;
                list(f, addresses)
            }
            Self::Watch(Watch { interval, count, traced, query }) => {
                let count = count.map_or_else(String::new, |count| format!("count {count} "));
                let traced = traced.map_or_else(String::new, |traced| traced.to_string());
                write!(f, "watch {}ms {count}{traced}{query}", interval.as_millis())
            }
            Self::Trace(trace) => trace.fmt(f),
            Self::AnalyzeTrace(trace) => write!(f, "explain analyze {trace}"),
            Self::Query(query) => query.fmt(f),
            Self::Explain(query) => write!(f, "explain {query}"),
            Self::Analyze(query) => write!(f, "explain analyze {query}"),
        }
    }
}

impl Display for Trace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { duration, sample, query } = self;
        let sample = sample.map_or_else(String::new, |sample| format!("{sample} "));
        write!(f, "trace {}ms {sample}{query}", duration.as_millis())
    }
}

impl Display for Traced {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("trace ")?;
        self.sample.map_or(Ok(()), |sample| write!(f, "{sample} "))
    }
}

impl Display for Sample {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "sample {}", self.one_of)
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.value)
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.distinct { "select distinct " } else { "select " })?;
        list(f, &self.items)?;
        if let Some(table) = &self.from {
            write!(f, " from {table}")?;
            if !self.arguments.is_empty() {
                f.write_str("(")?;
                list(f, &self.arguments)?;
                f.write_str(")")?;
            }
            if let Some(alias) = &self.alias {
                write!(f, " as {alias}")?;
            }
        }
        if let Some(filter) = &self.filter {
            write!(f, " where {filter}")?;
        }
        if !self.group_by.is_empty() {
            f.write_str(" group by ")?;
            list(f, &self.group_by)?;
        }
        if self.totals {
            f.write_str(" with totals")?;
        }
        if let Some(having) = &self.having {
            write!(f, " having {having}")?;
        }
        if !self.order_by.is_empty() {
            f.write_str(" order by ")?;
            list(f, &self.order_by)?;
        }
        if let Some(limit) = &self.limit {
            write!(f, " limit {limit}")?;
        }
        if let Some(offset) = &self.offset {
            write!(f, " offset {offset}")?;
        }
        if let Some(format) = &self.format {
            write!(f, " format {format}")?;
        }
        Ok(())
    }
}

impl Display for Argument {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Literal::Text(self.text.clone()).fmt(f)
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Star(None, _) => f.write_str("*"),
            Self::Star(Some(table), _) => write!(f, "{table}.*"),
            Self::All(_) => f.write_str("all"),
            Self::Expr { expr, alias: None } => expr.fmt(f),
            Self::Expr { expr, alias: Some(alias) } if !alias.quoted && is_plain(&alias.name) => {
                write!(f, "{expr} as {}", alias.written)
            }
            Self::Expr { expr, alias: Some(alias) } => write!(f, "{expr} as {alias}"),
        }
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)?;
        if self.descending {
            f.write_str(" desc")?;
        }
        f.write_str(match self.nulls_first {
            None => "",
            Some(true) => " nulls first",
            Some(false) => " nulls last",
        })
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.rows.fmt(f)
    }
}

impl Display for Ident {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.quoted || !is_plain(&self.name) {
            write!(f, "\"{}\"", self.name.replace('"', "\"\""))
        } else {
            f.write_str(&self.name)
        }
    }
}

/// Whether `name` is read as itself without quotes.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.contains(|c: char| c.is_ascii_uppercase())
        && Keyword::find(name).is_none_or(|keyword| !keyword.is_reserved())
}

/// A text as a literal of the language: in quotes, of which those in it stand twice.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Size(_, written) => f.write_str(written),
            // They have a dot or an exponent, without which it would be an integer.
            Self::Float(value) => f.write_str(&digits(*value)),
            Self::Text(text) => f.write_str(&quoted(text)),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Literal(literal) => literal.fmt(f),
            ExprKind::Column(name) => name.fmt(f),
            ExprKind::Qualified(table, name) => write!(f, "{table}.{name}"),
            ExprKind::Path(path) => path.fmt(f),
            ExprKind::Unary(UnaryOp::Not, expr) => write!(f, "not {}", at(NOT, expr)),
            // Two signs stay apart: `--` would start a comment.
            ExprKind::Unary(UnaryOp::Neg, expr) => match expr.kind {
                ExprKind::Unary(UnaryOp::Neg, _) => write!(f, "- {}", at(UNARY, expr)),
                _ => write!(f, "-{}", at(UNARY, expr)),
            },
            ExprKind::Unary(UnaryOp::BitNot, expr) => write!(f, "~{}", at(UNARY, expr)),
            ExprKind::Binary(op, left, right) => {
                // All operators group to the left, but comparisons do not group at all.
                let level = level(*op);
                let first = if level == COMPARISON { BIT_OR } else { level };
                write!(f, "{} {} {}", at(first, left), op.text(), at(level + 1, right))
            }
            ExprKind::Between { expr, low, high, negated } => {
                let (low, high) = (at(BIT_OR, low), at(BIT_OR, high));
                write!(f, "{} {}between {low} and {high}", at(BIT_OR, expr), not(*negated))
            }
            ExprKind::In { expr, list: values, negated } => {
                write!(f, "{} {}in (", at(BIT_OR, expr), not(*negated))?;
                list(f, values)?;
                f.write_str(")")
            }
            ExprKind::InColumn { expr, list, negated } => {
                write!(f, "{} {}in {list}", at(BIT_OR, expr), not(*negated))
            }
            ExprKind::InQuery { expr, query, negated } => {
                write!(f, "{} {}in ({query})", at(BIT_OR, expr), not(*negated))
            }
            ExprKind::Over(call) => write!(f, "{call} over ()"),
            ExprKind::Subquery(query) => write!(f, "({query})"),
            ExprKind::Match { op, expr, pattern, negated } => {
                let (expr, pattern) = (at(BIT_OR, expr), at(BIT_OR, pattern));
                match (op.text(), negated) {
                    ("~", true) => write!(f, "{expr} !~ {pattern}"),
                    (op, negated) => write!(f, "{expr} {}{op} {pattern}", not(*negated)),
                }
            }
            ExprKind::IsNull { expr, negated } => {
                write!(f, "{} is {}null", at(BIT_OR, expr), not(*negated))
            }
            ExprKind::Has { expr, quantifier, flags } => {
                write!(f, "{} has ", at(BIT_OR, expr))?;
                if let [flag] = flags.as_slice() {
                    return flag.fmt(f);
                }
                f.write_str(match quantifier {
                    Quantifier::Any => "any (",
                    Quantifier::All => "all (",
                })?;
                list(f, flags)?;
                f.write_str(")")
            }
            ExprKind::Case { arms, otherwise } => {
                f.write_str("case")?;
                for (condition, result) in arms {
                    write!(f, " when {condition} then {result}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " else {otherwise}")?;
                }
                f.write_str(" end")
            }
            ExprKind::Cast(expr, to) => write!(f, "cast({expr} as {to})"),
            ExprKind::Call(name, arguments) => {
                write!(f, "{name}(")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            ExprKind::CallDistinct(name, arguments) => {
                write!(f, "{name}(distinct ")?;
                list(f, arguments)?;
                f.write_str(")")
            }
            ExprKind::CallStar(name) => write!(f, "{name}(*)"),
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)?;
        self.steps.iter().try_for_each(|step| step.kind.fmt(f))
    }
}

impl Display for StepKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (mark, name) = match self {
            Self::Arrow(name) => ("->", name),
            Self::Dot(name) => (".", name),
            Self::Index(index) => return write!(f, "[{index}]"),
        };
        // Any word is a name here, to the letter.
        let word = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if word {
            write!(f, "{mark}{name}")
        } else {
            write!(f, "{mark}\"{}\"", name.replace('"', "\"\""))
        }
    }
}

/// An expression in a place that asks for a level.
struct At<'a>(Level, &'a Expr);

/// `expr` in a place that asks for `level` or tighter.
fn at(level: Level, expr: &Expr) -> At<'_> {
    At(level, expr)
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if level_of(&self.1.kind) < self.0 { write!(f, "({})", self.1) } else { self.1.fmt(f) }
    }
}

/// How tightly an expression binds.
fn level_of(kind: &ExprKind) -> Level {
    match kind {
        ExprKind::Unary(UnaryOp::Not, _) => NOT,
        ExprKind::Unary(..) => UNARY,
        ExprKind::Binary(op, ..) => level(*op),
        ExprKind::Between { .. }
        | ExprKind::In { .. }
        | ExprKind::InColumn { .. }
        | ExprKind::InQuery { .. }
        | ExprKind::Match { .. }
        | ExprKind::IsNull { .. }
        | ExprKind::Has { .. } => COMPARISON,
        _ => PRIMARY,
    }
}

/// "not " of a test that is negated.
fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

/// Prints `items` with commas between.
fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
