//! Which tables a statement can read: those of a trace while there is one, and then only those.

use crate::catalog::{self, Made, Needs, Rows, Table};
use crate::diagnostic::{Diagnostic, Span};
use crate::subquery;
use crate::syntax::ast::{Query, Statement};

impl Table {
    /// Whether its rows are gathered by a trace.
    #[must_use]
    pub fn is_traced(&self) -> bool {
        let Rows::Host(Made { needs, .. }) = self.rows else { return false };
        matches!(needs, Needs::Tracepoints | Needs::Looks)
    }
}

/// Checks the tables of a statement, also those of its subqueries, which run before a trace begins.
///
/// # Errors
///
/// If it reads the rows of a trace without one, or traces what has none.
pub fn check(statement: &Statement) -> Result<(), Diagnostic> {
    let (query, traced) = match statement {
        Statement::Trace(trace) | Statement::AnalyzeTrace(trace) => (&trace.query, true),
        Statement::Watch(watch) => (&watch.query, watch.traced.is_some()),
        Statement::Query(query) | Statement::Analyze(query) => (query, false),
        // What would be done there is to explain.
        Statement::Explain(_) | Statement::Whatis(_) => return Ok(()),
    };
    of(query, traced)
}

fn of(query: &Query, traced: bool) -> Result<(), Diagnostic> {
    let (name, span) = match &query.from {
        Some(table) => (table.name.as_str(), table.span),
        None => (catalog::TABLES[0].name, Span { end: query.span.start, ..query.span }),
    };
    match catalog::table(name) {
        Some(table) if table.is_traced() && !traced => return Err(untraced(table, span)),
        Some(table) if !table.is_traced() && traced => return Err(not_traced(table, span)),
        _ => {}
    }
    subquery::of(query)?.iter().try_for_each(|subquery| of(subquery.query, false))
}

/// That a table is read without a trace.
#[must_use]
pub fn untraced(table: &Table, span: Span) -> Diagnostic {
    let name = table.name;
    Diagnostic::new(span, format!("`{name}` has rows only while it is traced"))
        .help(format!("`trace 5s select … from {name}` gathers rows for five seconds"))
}

/// That a trace has no such rows.
#[must_use]
pub fn not_traced(table: &Table, span: Span) -> Diagnostic {
    let tables = catalog::TABLES.iter().filter(|table| table.is_traced());
    let names: Vec<String> = tables.map(|table| format!("`{}`", table.name)).collect();
    Diagnostic::new(span, format!("`{}` is not a table of a trace", table.name))
        .help(format!("`trace` gathers {}; other tables need no trace", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse_text;

    /// What is wrong with a statement, and the text that is marked.
    fn wrong(text: &str) -> Option<(String, &str)> {
        let statements = parse_text(text).unwrap();
        let Diagnostic { message, span, .. } = check(&statements[0].0).err()?;
        Some((message, &text[span.start..span.end]))
    }

    #[test]
    fn tables_of_a_trace_are_read_in_one() {
        let untraced = |name| Some((format!("`{name}` has rows only while it is traced"), name));
        let other = |marked| Some(("`caches` is not a table of a trace".to_owned(), marked));
        for (text, expected) in [
            ("select name from allocations", untraced("allocations")),
            ("explain analyze select name from frees", untraced("frees")),
            ("watch 1s select name from audit", untraced("audit")),
            ("select name where name in (select name from contention)", untraced("contention")),
            (
                "trace 1s select name from frees where 1 = (select max(1) from frees)",
                untraced("frees"),
            ),
            ("trace 1s select name from caches", other("caches")),
            ("watch 1s trace select name", other("")),
            ("trace 1s select name from frees where name in (select name)", None),
            ("watch 1s trace select name from audit", None),
            ("explain select name from allocations", None),
            ("select name from nowhere", None),
        ] {
            assert_eq!(wrong(text), expected, "{text}");
        }
    }
}
