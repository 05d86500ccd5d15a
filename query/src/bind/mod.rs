//! Binds a query: every name becomes what it means, and every expression gets a type, a unit and a range.
//!
//! ```text
//!   ast::Expr ── what it names ──► inputs, definitions, flags, functions ── rules of `typing` ──► bound::Expr
//! ```
//!
//! Columns become inputs (what the scan is to give), derived columns their definitions, aliases what they stand
//! for, flags bits, functions their rows. Behind this stage there are no names left to look up.
//!
//! # What a name means
//!
//! In `where` a name is a column, else an alias of the select list. In `order by` a bare name is an alias first,
//! as SQL has it, and a bare integer the position of an item. The items of the select list do not see the aliases of
//! each other, so what an alias stands for is no larger than its text but for derived columns.
//!
//! # Invariants
//!
//! - A column that the source cannot give becomes NULL, with its reason kept in [`Query::missing`].
//! - An expression that came from a definition or an alias carries the span of its use, so that later errors mark
//!   the text that the user wrote.
//! - What names stand for is bounded, so a short query cannot grow without end.

mod call;
mod definition;
mod expr;
mod flags;
mod group;
mod name;
mod order;
pub mod typing;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use call::TYPES;
pub use flags::{KNOWN_FLAGS, flag_name};
pub use group::{MAX_AGGREGATES, MAX_KEYS};

use crate::bound::{Aggregate, Expr, ExprKind, Item, Missing, Query};
use crate::capabilities::Capabilities;
use crate::catalog::{self, Column, Table};
use crate::diagnostic::{Diagnostic, Span};
use crate::foreign;
use crate::input::Input;
use crate::path::Roots;
use crate::subquery::Answers;
use crate::suggest;
use crate::syntax::ast::{self, BinaryOp};
use group::Clause;

/// Binds `query`, which has no subqueries, to the catalog and to what the source can give.
pub fn bind(query: &ast::Query, capabilities: &dyn Capabilities) -> Result<Query, Diagnostic> {
    bind_with(query, capabilities, Answers::NONE, &|| false)
}

/// The same of a query whose subqueries have run. It ends with some error once it is `interrupted`, which is asked at
/// every operand.
pub fn bind_with(
    query: &ast::Query,
    capabilities: &dyn Capabilities,
    answers: &Answers,
    interrupted: &dyn Fn() -> bool,
) -> Result<Query, Diagnostic> {
    let table = match &query.from {
        None => catalog::TABLES[0],
        Some(name) => catalog::table(&name.name).ok_or_else(|| {
            let tables = catalog::TABLES.iter().map(|table| table.name);
            let mut error = Diagnostic::new(name.span, format!("unknown table `{}`", name.name));
            error.help = foreign::instead(foreign::TABLES, &name.name)
                .map(str::to_owned)
                .or_else(|| suggest::meant(&name.name, tables.clone()))
                .or_else(|| {
                    let list = suggest::help("", tables)?;
                    let one = format!(
                        "`where name = '{0}'`, its objects: `from objects('{0}')`",
                        name.name
                    );
                    Some(format!("{list}; for one cache: {one}"))
                });
            error
        })?,
    };
    check_arguments(query, table)?;
    let mut binder = Binder {
        table,
        prefix: query.alias.as_ref().map_or(table.name, |alias| &alias.name),
        capabilities,
        answers,
        interrupted,
        roots: Roots::new(&query.arguments),
        inputs: Once::default(),
        missing: Vec::new(),
        aliases: BTreeMap::new(),
        hidden: alias_names(query),
        used: None,
        depth: 0,
        written_out: 0,
        clause: Clause::Answer,
        aggregates: Once::default(),
        windows: Once::default(),
    };
    let mut items = binder.items(&query.items)?;
    binder.hidden = HashSet::new();
    for item in &query.items {
        if let ast::Item::Expr { expr, alias: Some(alias) } = item {
            // Of two items of one name the first is meant.
            binder.aliases.entry(alias.name.clone()).or_insert_with(|| expr.clone());
        }
    }
    binder.clause = Clause::Where;
    let filter = binder.conditions(query.filter.as_ref())?;
    let keys = binder.group_keys(query, &items)?;
    // It is split when its keys are found, of which one may be an `and`.
    binder.clause = Clause::Having;
    let having = query.having.as_ref().map(|having| binder.condition(having)).transpose()?;
    binder.clause = Clause::Answer;
    let mut order_by = binder.order_by(query, &items)?;
    let group = binder.grouped(query, keys, having, &mut items, &mut order_by)?;
    let windows = binder.windows.all;
    let mut missing = binder.missing;
    if !missing.is_empty() {
        // It is worth a word where something is NULL for it, and not where the query does without.
        let shown = items.iter().map(|item| &item.expr);
        let sorted = order_by.iter().map(|key| &key.expr);
        let of_groups = group.iter().flat_map(group::of_rows);
        let of_all = windows.iter().filter_map(|window| window.argument.as_ref());
        if !of_all.chain(shown).chain(&filter).chain(sorted).chain(of_groups).any(Expr::is_null) {
            missing.clear();
        }
    }
    Ok(Query {
        table,
        arguments: query.arguments.clone(),
        distinct: query.distinct,
        items,
        filter,
        group,
        windows,
        order_by,
        limit: query.limit.map(|count| count.rows),
        offset: query.offset.map_or(0, |count| count.rows),
        inputs: binder.inputs.all,
        missing,
        subqueries: answers.told(),
        notes: answers.notes.clone(),
    })
}

/// Whether the table is handed what it takes.
fn check_arguments(query: &ast::Query, table: &Table) -> Result<(), Diagnostic> {
    let (takes, name) = (table.takes(), table.name);
    let fits = table.takes_so_many().contains(&query.arguments.len());
    let Some(from) = query.from.as_ref().filter(|_| !fits) else {
        return Ok(());
    };
    let end = query.arguments.last().map_or(from.span, |last| last.span).end;
    let span = Span { end, ..from.span };
    Err(if takes.is_empty() {
        Diagnostic::new(span, format!("the table `{name}` takes no arguments"))
            .help(format!("write `from {name}`"))
    } else {
        let (least, most) = table.takes_so_many().into_inner();
        let many = if least == most { "" } else { "at most " };
        let example: Vec<String> = takes.iter().map(|text| format!("'{text}'")).collect();
        Diagnostic::new(span, format!("the table `{name}` takes {many}{most} arguments"))
            .help(format!("write `from {name}({})`", example.join(", ")))
    })
}

struct Binder<'a> {
    table: &'static Table,
    /// What may stand before a column: the table's alias, or its name if it has none.
    prefix: &'a str,
    capabilities: &'a dyn Capabilities,
    /// What the subqueries came to.
    answers: &'a Answers,
    interrupted: &'a dyn Fn() -> bool,
    /// What paths begin at.
    roots: Roots<'a>,
    inputs: Once<Input>,
    missing: Vec<Missing>,
    /// What the aliases that can be named stand for.
    aliases: BTreeMap<String, ast::Expr>,
    /// The aliases that cannot be named where binding is.
    hidden: HashSet<String>,
    /// In what a name stands for, where the name is used: it replaces every span.
    used: Option<Span>,
    /// How many definitions binding is in.
    depth: usize,
    /// How many nodes came from aliases and definitions.
    written_out: usize,
    /// Where binding is.
    clause: Clause,
    /// The aggregates so far, each once.
    aggregates: Once<Aggregate>,
    /// Those over all rows of the answer.
    windows: Once<Aggregate>,
}

/// Things that a query names, each once. Those of one name are told apart by what they are.
struct Once<T> {
    all: Vec<T>,
    named: HashMap<String, Vec<usize>>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { all: Vec::new(), named: HashMap::new() }
    }
}

impl<T: PartialEq> Once<T> {
    /// The number of a thing of this name, which comes behind all others if it is new.
    fn number(&mut self, name: &str, thing: T) -> usize {
        let known = self.named.entry(name.to_owned()).or_default();
        if let Some(number) = known.iter().find(|number| self.all[**number] == thing) {
            return *number;
        }
        known.push(self.all.len());
        self.all.push(thing);
        self.all.len() - 1
    }
}

/// The names that the select list gives.
fn alias_names(query: &ast::Query) -> HashSet<String> {
    let alias = |item: &ast::Item| match item {
        ast::Item::Expr { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        ast::Item::Star(..) | ast::Item::All(_) => None,
    };
    query.items.iter().filter_map(alias).collect()
}

impl Binder<'_> {
    fn items(&mut self, items: &[ast::Item]) -> Result<Vec<Item>, Diagnostic> {
        let mut bound = Vec::new();
        for item in items {
            match item {
                ast::Item::Star(prefix, span) => {
                    if let Some(prefix) = prefix {
                        self.is_table(prefix, "*", *span)?;
                    }
                    for name in self.table.star {
                        if let Some(column) = self.table.column(name) {
                            bound.push(self.column_item(column, *span)?);
                        }
                    }
                }
                ast::Item::All(span) => {
                    for column in self.table.shown() {
                        bound.push(self.column_item(column, *span)?);
                    }
                }
                ast::Item::Expr { expr, alias } => {
                    let name = match alias {
                        Some(alias) => alias.written.clone(),
                        None => match &expr.kind {
                            ast::ExprKind::Column(name) | ast::ExprKind::Qualified(_, name) => {
                                name.name.clone()
                            }
                            _ => expr.to_string(),
                        },
                    };
                    bound.push(Item { name, expr: self.expr(expr)? });
                }
            }
        }
        Ok(bound)
    }

    fn column_item(&mut self, column: &'static Column, span: Span) -> Result<Item, Diagnostic> {
        Ok(Item { name: column.name.to_owned(), expr: self.column(column, span)? })
    }

    /// Binds the conditions that a clause is made of: what its topmost `and`s join, so that each part can run where
    /// it can.
    fn conditions(&mut self, clause: Option<&ast::Expr>) -> Result<Vec<Expr>, Diagnostic> {
        let mut conditions = Vec::new();
        let mut rest: Vec<&ast::Expr> = clause.into_iter().collect();
        while let Some(condition) = rest.pop() {
            if let ast::ExprKind::Binary(BinaryOp::And, left, right) = &condition.kind {
                rest.extend([&**right, left]);
            } else {
                split(*self.condition(condition)?, &mut conditions);
            }
        }
        Ok(conditions)
    }
}

/// Splits what an alias stands for. A column whose definition is an `and` is one condition.
fn split(condition: Expr, into: &mut Vec<Expr>) {
    match condition {
        Expr { kind: ExprKind::And(left, right), column: None, .. } => {
            split(*left, into);
            split(*right, into);
        }
        condition => into.push(condition),
    }
}

/// "1 item", "2 items".
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
