//! Subqueries: a query in parentheses whose answer is a value, or behind `in` a list of values, of the query around it.
//!
//! ```text
//!   ast::Query ── of ──► subqueries ── whoever runs queries ──► Answers ── bind ──► constants
//! ```
//!
//! A subquery knows nothing of the rows of the query around it, so it runs once, before the query around it is bound.
//! There its values are constants like those that are written out, and are compared in the kernel like these.
//!
//! # Not done here
//!
//! Running them.

use std::collections::HashSet;

use crate::catalog;
use crate::diagnostic::{Diagnostic, Span};
use crate::exec::identity::encode;
use crate::output::OutputColumn;
use crate::syntax::ast;
use crate::value::{Type, Unit, Value};

/// The most different values of a subquery behind `in`.
pub const MAX_VALUES: usize = 1 << 16;

/// A subquery, where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Subquery<'a> {
    /// The query.
    pub query: &'a ast::Query,
    /// Whether it stands behind `in`.
    pub list: bool,
}

/// The subqueries of `query`, in the order of the text.
///
/// # Errors
///
/// If one refers to a column of the query around it.
pub fn of(query: &ast::Query) -> Result<Vec<Subquery<'_>>, Diagnostic> {
    let mut found: Vec<Subquery> = Vec::new();
    query.walk(&mut |expr| {
        found.extend(match &expr.kind {
            ast::ExprKind::Subquery(query) => Some(Subquery { query, list: false }),
            ast::ExprKind::InQuery { query, .. } => Some(Subquery { query, list: true }),
            _ => None,
        });
    });
    found.sort_by_key(|subquery| subquery.query.span.start);
    // What was rewritten may name one twice.
    found.dedup_by_key(|subquery| subquery.query.span);
    match found.iter().find_map(|subquery| correlated(subquery.query, query)) {
        Some(span) => Err(Diagnostic::new(span, "there are no correlated subqueries")
            .label("belongs to the outer query")
            .help("a subquery runs once, before the outer query, and does not see its rows")),
        None => Ok(found),
    }
}

/// Where `inner` names a column of `outer`.
fn correlated(inner: &ast::Query, outer: &ast::Query) -> Option<Span> {
    let table = |query: &ast::Query| match &query.from {
        Some(name) => catalog::table(&name.name),
        None => Some(catalog::TABLES[0]),
    };
    let prefix = |query: &ast::Query| match (&query.alias, table(query)) {
        (Some(alias), _) => Some(alias.name.clone()),
        (None, table) => table.map(|table| table.name.to_owned()),
    };
    let names = |query: &ast::Query, name: &str| {
        let aliased = query.items.iter().any(
            |item| matches!(item, ast::Item::Expr { alias: Some(alias), .. } if alias.name == name),
        );
        aliased || table(query).is_some_and(|table| table.column(name).is_some())
    };
    let (own, others) = (prefix(inner), prefix(outer));
    let mut found = None;
    inner.walk(&mut |expr| {
        let of_outer = match &expr.kind {
            ast::ExprKind::Column(name) => !names(inner, &name.name) && names(outer, &name.name),
            ast::ExprKind::Qualified(table, _) => {
                let is = |prefix: &Option<String>| prefix.as_ref() == Some(&table.name);
                !is(&own) && is(&others)
            }
            _ => false,
        };
        if of_outer && found.is_none() {
            found = Some(expr.span);
        }
    });
    found
}

/// The answers to the subqueries of a query.
#[derive(Debug, Default)]
pub struct Answers {
    /// Each by where its query stands.
    all: Vec<(Span, Answer)>,
    /// What there is to say of them.
    pub notes: Vec<String>,
}

impl Answers {
    /// Those of a query without subqueries.
    pub const NONE: &'static Self = &Self { all: Vec::new(), notes: Vec::new() };

    /// Adds one.
    pub fn add(&mut self, answer: Answer) {
        self.all.push((answer.span, answer));
    }

    /// The answer to `query`.
    pub(crate) fn to(&self, query: &ast::Query) -> Option<&Answer> {
        self.all.iter().find(|(span, _)| *span == query.span).map(|(_, answer)| answer)
    }

    /// What `explain` says of them: where each stands, and what it came to.
    #[must_use]
    pub(crate) fn told(&self) -> Vec<(Span, String)> {
        self.all.iter().map(|(span, answer)| (*span, answer.told())).collect()
    }
}

/// The answer to a subquery.
#[derive(Debug)]
pub struct Answer {
    span: Span,
    list: bool,
    ty: Type,
    unit: Unit,
    values: Vec<Value>,
    /// Those of a list, each once.
    seen: HashSet<Box<[u8]>>,
}

impl Answer {
    /// The answer to `of` before its first row.
    ///
    /// # Errors
    ///
    /// If it has more than one column.
    pub fn new(of: Subquery<'_>, columns: &[OutputColumn]) -> Result<Self, Diagnostic> {
        let span = of.query.span;
        let [OutputColumn { ty, unit, .. }] = columns else {
            let error = Diagnostic::new(span, "a subquery must return only one column");
            return Err(error.label(format!("returns {} columns", columns.len())));
        };
        let (ty, unit) = (*ty, *unit);
        Ok(Self { span, list: of.list, ty, unit, values: Vec::new(), seen: HashSet::new() })
    }

    /// Takes rows.
    ///
    /// # Errors
    ///
    /// If there are more than the place of the subquery has room for.
    pub fn push(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Diagnostic> {
        for value in rows.into_iter().filter_map(|row| row.into_iter().next()) {
            let mut bytes = Vec::new();
            if self.list {
                encode(&value, &mut bytes);
            }
            if self.list && !self.seen.insert(bytes.into()) {
                continue;
            }
            self.values.push(value);
            if !self.list && self.values.len() > 1 {
                let message = "more than one row returned by a subquery used as an expression";
                return Err(Diagnostic::new(self.span, message).help(
                    "use an aggregate such as `max(…)`, `limit 1`, or `in (select …)` for a list",
                ));
            }
            if self.values.len() > MAX_VALUES {
                let message = format!("the subquery has more than {MAX_VALUES} different values");
                return Err(Diagnostic::new(self.span, message)
                    .label("too long a list for `in`")
                    .help("select fewer values with `where`"));
            }
        }
        Ok(())
    }

    /// The type of its values, and what they count.
    pub(crate) fn ty(&self) -> (Type, Unit) {
        (self.ty, self.unit)
    }

    /// Its values: of one that is no list one or none.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    fn told(&self) -> String {
        match (self.list, self.values.as_slice()) {
            (true, [_]) => "1 value".to_owned(),
            (true, values) => format!("{} values", values.len()),
            (false, []) => "NULL, because it has no row".to_owned(),
            (false, [value, ..]) => match value {
                Value::Null => "NULL".to_owned(),
                Value::Bool(value) => value.to_string(),
                Value::Int(value) => value.to_string(),
                Value::UInt(value) => value.to_string(),
                Value::Float(value) => value.to_string(),
                Value::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
                Value::List(list) => format!("a list of {}", list.len()),
            },
        }
    }
}
