//! The commands that say what there is to ask: tables, columns, functions, and why a column is NULL.

use std::io::Write;

use query::catalog::{self, Column, Source, Table};
use query::suggest;
use query::{aggregate, function};

use super::row::{Next, listed, write};
use crate::engine::Ask;
use crate::features::members;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::shell::session::Session;

/// `.tables`.
pub fn tables(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let lines: String =
        catalog::TABLES.iter().map(|table| format!("{:11} {}\n", table.name, table.doc)).collect();
    write(out, &lines)
}

/// `.schema [TABLE|s->…]`.
pub fn schema(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    // Where no source answers, the best one is described.
    let _ = session.engine.settle();
    if members::is_path(name) {
        return write(out, &members::describe(session.engine.source().capabilities(), name)?);
    }
    let table = if name.is_empty() { Some(catalog::TABLES[0]) } else { catalog::table(name) };
    let Some(table) = table else {
        return Err(unknown_table(name));
    };
    let mut text = format!("{}: {}\n", table.name, table.doc);
    for column in table.shown() {
        text.push_str(&describe(session, table, column));
    }
    write(out, &text)
}

/// `\d [TABLE]`.
pub fn described(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() { tables(session, "", out) } else { schema(session, name, out) }
}

fn unknown_table(name: &str) -> Failure {
    let tables = || catalog::TABLES.iter().map(|table| table.name);
    let of = catalog::TABLES.iter().find(|table| table.column(name).is_some());
    let help = match of {
        Some(of) if suggest::nearest(name, tables()).is_none() => {
            Some(format!("`{name}` is a column of `{}`: `.help {name}`", of.name))
        }
        _ => suggest::help(name, tables()),
    };
    let message = format!("unknown table `{name}`");
    Failure::command(message, help.as_deref())
}

/// The lines of `.schema` for a column: what it is, where it comes from, and why it is NULL here or elsewhere.
pub(super) fn describe(
    session: &Session,
    table: &'static Table,
    column: &'static Column,
) -> String {
    let Column { name, ty, unit, doc, .. } = column;
    let mut text = format!("  {name:18} {:6} {:6} {doc}\n", ty.name(), unit.name());
    let missing = session.engine.unavailable(table, column);
    let elsewhere = match column.absent {
        reason if reason.is_empty() || missing.as_deref() == Some(reason) => String::new(),
        reason => format!("; on some kernels NULL: {reason}"),
    };
    let origin = match column.source {
        Source::Derived(_) => format!("= {}{elsewhere}", column.origin().replace('`', "")),
        Source::Given => elsewhere,
        _ => format!("from: {}{elsewhere}", column.origin()),
    };
    if !origin.is_empty() {
        text.push_str(&format!("  {:32} {origin}\n", ""));
    }
    if let Some(reason) = missing {
        text.push_str(&format!("  {:32} NULL here: {}\n", "", printable(reason.as_bytes())));
    }
    text
}

/// `.why [COLUMN]`.
pub fn why(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let _ = session.engine.settle();
    let name = name.to_lowercase();
    let (table, column) = name.rsplit_once('.').unwrap_or(("", &name));
    if !table.is_empty() && catalog::table(table).is_none() {
        return Err(unknown_table(table));
    }
    let tables = catalog::TABLES.iter().filter(|found| table.is_empty() || found.name == table);
    let all = tables.flat_map(|table| table.columns.iter().map(move |column| (*table, column)));
    let found: Vec<_> = all.clone().filter(|(_, found)| found.name == column).collect();
    if !name.is_empty() && found.is_empty() {
        let near = suggest::help(column, all.map(|(_, column)| column.name));
        let help = near.unwrap_or_else(|| "`select * from columns` lists the columns".to_owned());
        let message = format!("unknown column `{name}`");
        return Err(Failure::command(message, Some(&help)));
    }
    if name.is_empty() {
        return write(out, &all_missing(session));
    }
    let mut text = String::new();
    for (table, column) in found {
        let says = match session.engine.unavailable(table, column) {
            Some(reason) => format!("is NULL: {}", printable(reason.as_bytes())),
            None => format!("is available: {}", column.doc),
        };
        text.push_str(&format!("{}.{} {says}\n", table.name, column.name));
    }
    write(out, &text)
}

/// A line for each column that is NULL here; one for a table of which all are for one reason.
fn all_missing(session: &Session) -> String {
    let mut text = String::new();
    for table in catalog::TABLES.iter() {
        let source = session.engine.source();
        if let Some(remark) = source.remark(table).filter(|_| source.has(table).is_ok()) {
            text.push_str(&format!("{remark}\n"));
        }
        let reason = |column| session.engine.unavailable(table, column);
        let reasons: Vec<Option<String>> = table.columns.iter().map(reason).collect();
        if let [Some(first), rest @ ..] = reasons.as_slice()
            && rest.iter().all(|reason| reason.as_ref() == Some(first))
        {
            text.push_str(&format!("{}.* is NULL: {}\n", table.name, printable(first.as_bytes())));
            continue;
        }
        for (column, reason) in table.columns.iter().zip(reasons) {
            if let Some(reason) = reason {
                let reason = printable(reason.as_bytes());
                text.push_str(&format!("{}.{} is NULL: {reason}\n", table.name, column.name));
            }
        }
    }
    if text.is_empty() { "every column is available\n".to_owned() } else { text }
}

/// `.functions`.
pub fn functions(_: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let functions = function::FUNCTIONS.iter().map(|row| (row.call, row.described()));
    let aggregates = aggregate::AGGREGATES.iter().map(|row| (row.call, row.described()));
    let lines = functions.chain([("", String::new())]).chain(aggregates);
    let line = |(call, doc): (&str, String)| listed(call, 30, 0, &doc).trim_end().to_owned() + "\n";
    let lines: String = lines.map(line).collect();
    write(out, &lines)
}
