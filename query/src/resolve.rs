//! Resolves a query: every name becomes what it means.
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
mod flags;
mod group;
mod order;

use std::collections::{BTreeMap, HashSet};

pub use call::TYPES;
pub use flags::{KNOWN_FLAGS, flag_name};
pub use group::{MAX_AGGREGATES, MAX_KEYS};

use crate::catalog::{self, Column, Source, Table};
use crate::diagnostic::{Diagnostic, Span};
use crate::input::Input;
use crate::offer::Offer;
use crate::path::{self, Base};
use crate::resolved::{Aggregate, Expr, ExprKind, Item, Missing, Query};
use crate::suggest;
use crate::syntax::ast::{self, Ident};
use crate::value::Type;
use group::Place;

/// How deep definitions may name definitions. The catalog is a constant, so this only guards against a circle.
const MAX_DEPTH: usize = 8;

/// The most nodes that aliases and definitions stand for in one query. An alias may be long and used often; what
/// it comes to is written out at every use.
const MAX_WRITTEN_OUT: usize = 1 << 18;

/// Resolves `query` against the catalog and what `offer` can give.
pub fn resolve(query: &ast::Query, offer: &dyn Offer) -> Result<Query, Diagnostic> {
    let table = match &query.from {
        None => catalog::TABLES[0],
        Some(name) => catalog::table(&name.name).ok_or_else(|| {
            let tables = catalog::TABLES.iter().map(|table| table.name);
            let mut error = Diagnostic::new(name.span, format!("unknown table `{}`", name.name));
            error.help = suggest::help(&name.name, tables);
            error
        })?,
    };
    check_arguments(query, table)?;
    let mut resolver = Resolver {
        table,
        offer,
        inputs: Vec::new(),
        missing: Vec::new(),
        aliases: BTreeMap::new(),
        hidden: alias_names(query),
        written_out: 0,
        place: Place::Answer,
        aggregates: Vec::new(),
    };
    let mut items = resolver.items(&query.items)?;
    resolver.hidden = HashSet::new();
    for item in &query.items {
        if let ast::Item::Expr { expr, alias: Some(alias) } = item {
            // Of two items of one name the first is meant.
            resolver.aliases.entry(alias.name.clone()).or_insert_with(|| expr.clone());
        }
    }
    resolver.place = Place::Where;
    let filter = query.filter.as_ref().map(|filter| resolver.expr(filter)).transpose()?;
    let keys = resolver.group_keys(query, &items)?;
    let having = query.having.as_ref().map(|having| resolver.expr(having)).transpose()?;
    let mut order_by = resolver.order_by(query, &items)?;
    let aggregates = resolver.aggregates;
    let group = group::grouped(keys, aggregates, having, &mut items, &mut order_by)?;
    Ok(Query {
        table,
        arguments: query.arguments.clone(),
        distinct: query.distinct,
        items,
        filter,
        group,
        order_by,
        limit: query.limit.map(|count| count.rows),
        offset: query.offset.map_or(0, |count| count.rows),
        inputs: resolver.inputs,
        missing: resolver.missing,
    })
}

/// Whether the table is handed what it takes.
fn check_arguments(query: &ast::Query, table: &Table) -> Result<(), Diagnostic> {
    let (takes, name) = (table.takes(), table.name);
    let Some(from) = query.from.as_ref().filter(|_| takes.len() != query.arguments.len()) else {
        return Ok(());
    };
    let end = query.arguments.last().map_or(from.span, |last| last.span).end;
    let span = Span { end, ..from.span };
    Err(if takes.is_empty() {
        Diagnostic::new(span, format!("the table `{name}` takes no texts"))
            .help(format!("write `from {name}`"))
    } else {
        let example: Vec<String> = takes.iter().map(|text| format!("'{text}'")).collect();
        Diagnostic::new(span, format!("the table `{name}` takes {} texts", takes.len()))
            .help(format!("write `from {name}({})`", example.join(", ")))
    })
}

struct Resolver<'a> {
    table: &'static Table,
    offer: &'a dyn Offer,
    inputs: Vec<Input>,
    missing: Vec<Missing>,
    /// What the aliases that can be named stand for.
    aliases: BTreeMap<String, ast::Expr>,
    /// The aliases that cannot be named where resolution is.
    hidden: HashSet<String>,
    /// How many nodes came from aliases and definitions.
    written_out: usize,
    /// Where resolution is.
    place: Place,
    /// The aggregates so far, each once.
    aggregates: Vec<Aggregate>,
}

/// The names that the select list gives.
fn alias_names(query: &ast::Query) -> HashSet<String> {
    let alias = |item: &ast::Item| match item {
        ast::Item::Expr { alias, .. } => alias.as_ref().map(|alias| alias.name.clone()),
        ast::Item::Star(_) | ast::Item::All(_) => None,
    };
    query.items.iter().filter_map(alias).collect()
}

impl Resolver<'_> {
    fn items(&mut self, items: &[ast::Item]) -> Result<Vec<Item>, Diagnostic> {
        let mut resolved = Vec::new();
        for item in items {
            match item {
                ast::Item::Star(span) => {
                    for name in self.table.star {
                        if let Some(column) = self.table.column(name) {
                            resolved.push(self.column_item(column, *span)?);
                        }
                    }
                }
                ast::Item::All(span) => {
                    for column in self.table.shown() {
                        resolved.push(self.column_item(column, *span)?);
                    }
                }
                ast::Item::Expr { expr, alias } => {
                    let name = match alias {
                        Some(alias) => alias.name.clone(),
                        None => match &expr.kind {
                            ast::ExprKind::Column(name) => name.name.clone(),
                            _ => expr.to_string(),
                        },
                    };
                    resolved.push(Item { name, expr: self.expr(expr)? });
                }
            }
        }
        Ok(resolved)
    }

    fn column_item(&mut self, column: &'static Column, span: Span) -> Result<Item, Diagnostic> {
        Ok(Item { name: column.name.to_owned(), expr: self.column(column, span, 0)? })
    }

    fn expr(&mut self, expr: &ast::Expr) -> Result<Expr, Diagnostic> {
        self.expr_at(expr, None, 0)
    }

    /// Resolves an expression. Of a definition or an alias, `used` is where it is used, and replaces every span.
    fn expr_at(
        &mut self,
        expr: &ast::Expr,
        used: Option<Span>,
        depth: usize,
    ) -> Result<Expr, Diagnostic> {
        let span = used.unwrap_or(expr.span);
        if used.is_some() {
            self.written_out += 1;
            if self.written_out > MAX_WRITTEN_OUT {
                let error = Diagnostic::new(span, "the query is too large");
                return Err(error.label("with what the names in it stand for written out"));
            }
        }
        let kind = match &expr.kind {
            ast::ExprKind::Literal(literal) => ExprKind::Literal(literal.clone()),
            ast::ExprKind::Column(name) => return self.name(name, span, depth),
            ast::ExprKind::Path(path) => return self.path(path, span, false),
            ast::ExprKind::Unary(op, inner) => {
                ExprKind::Unary(*op, self.boxed(inner, used, depth)?)
            }
            ast::ExprKind::Binary(op, left, right) => {
                let left = self.boxed(left, used, depth)?;
                ExprKind::Binary(*op, left, self.boxed(right, used, depth)?)
            }
            ast::ExprKind::Call(name, _)
            | ast::ExprKind::CallDistinct(name, _)
            | ast::ExprKind::CallStar(name) => return self.call(expr, name, used, depth),
            _ => self.test(&expr.kind, used, depth)?,
        };
        Ok(Expr { kind, span })
    }

    /// Resolves what has a syntax of its own. Apart from the operators, as what a frame keeps is multiplied by the
    /// height of the tree.
    fn test(
        &mut self,
        kind: &ast::ExprKind,
        used: Option<Span>,
        depth: usize,
    ) -> Result<ExprKind, Diagnostic> {
        let mut sub = |inner: &ast::Expr| self.boxed(inner, used, depth);
        Ok(match kind {
            ast::ExprKind::Between { expr, low, high, negated } => {
                let (expr, low) = (sub(expr)?, sub(low)?);
                ExprKind::Between { expr, low, high: sub(high)?, negated: *negated }
            }
            ast::ExprKind::In { expr, list, negated } => {
                let expr = sub(expr)?;
                ExprKind::In { expr, list: self.list(list, used, depth)?, negated: *negated }
            }
            ast::ExprKind::InColumn { expr, list, negated } => {
                let expr = sub(expr)?;
                ExprKind::InColumn { expr, list: sub(list)?, negated: *negated }
            }
            ast::ExprKind::Match { op, expr, pattern, negated } => {
                let expr = sub(expr)?;
                ExprKind::Match { op: *op, expr, pattern: sub(pattern)?, negated: *negated }
            }
            ast::ExprKind::IsNull { expr, negated } => {
                ExprKind::IsNull { expr: sub(expr)?, negated: *negated }
            }
            ast::ExprKind::Has { expr, quantifier, flags } => {
                let expr = sub(expr)?;
                let (mask, undefined) = flags::mask(self.offer, expr.flag_type(), flags)?;
                ExprKind::Has { expr, quantifier: *quantifier, mask, undefined }
            }
            ast::ExprKind::Case { arms, otherwise } => {
                let mut resolved = Vec::with_capacity(arms.len());
                for (when, then) in arms {
                    let when = sub(when)?;
                    resolved.push((*when, *sub(then)?));
                }
                let otherwise = otherwise.as_deref().map(&mut sub).transpose()?;
                ExprKind::Case { arms: resolved, otherwise }
            }
            ast::ExprKind::Cast(inner, name) => {
                let ty = call::cast_type(name)?;
                let inner = match &inner.kind {
                    // Of an enum a number is wanted, not the name.
                    ast::ExprKind::Path(path) if ty != Type::Text => {
                        Box::new(self.path(path, used.unwrap_or(inner.span), true)?)
                    }
                    _ => sub(inner)?,
                };
                ExprKind::Cast(inner, ty)
            }
            ast::ExprKind::Literal(_)
            | ast::ExprKind::Column(_)
            | ast::ExprKind::Path(_)
            | ast::ExprKind::Unary(..)
            | ast::ExprKind::Binary(..)
            | ast::ExprKind::Call(..)
            | ast::ExprKind::CallDistinct(..)
            | ast::ExprKind::CallStar(_) => unreachable!("these are resolved before"),
        })
    }

    fn boxed(
        &mut self,
        expr: &ast::Expr,
        used: Option<Span>,
        depth: usize,
    ) -> Result<Box<Expr>, Diagnostic> {
        self.expr_at(expr, used, depth).map(Box::new)
    }

    fn list(
        &mut self,
        list: &[ast::Expr],
        used: Option<Span>,
        depth: usize,
    ) -> Result<Vec<Expr>, Diagnostic> {
        list.iter().map(|item| self.expr_at(item, used, depth)).collect()
    }

    fn name(&mut self, name: &Ident, span: Span, depth: usize) -> Result<Expr, Diagnostic> {
        if let Some(column) = self.table.column(&name.name) {
            return self.column(column, span, depth);
        }
        if let Some(expr) = self.aliases.get(&name.name) {
            // An alias stands for an expression over columns: aliases do not see each other.
            let expr = expr.clone();
            let aliases = std::mem::take(&mut self.aliases);
            let resolved = self.expr_at(&expr, Some(span), depth);
            self.aliases = aliases;
            return resolved;
        }
        let mut error = Diagnostic::new(span, format!("unknown column `{}`", name.name))
            .label(format!("not in table `{}`", self.table.name));
        if self.hidden.contains(&name.name) {
            return Err(error
                .label("an alias of the select list, which its other items cannot name")
                .help("write out here what it stands for"));
        }
        let is_base =
            |base: &Base| base.name() == name.name && base.is_of(self.table.rows) && !name.quoted;
        if let Some(base) = Base::ALL.iter().find(|base| is_base(base)) {
            return Err(error
                .label(format!("the row's `struct {}`", base.structure()))
                .help(format!("`{0}->…` reads a member; `.schema {0}` lists them", name.name)));
        }
        let aliases = self.aliases.keys().map(String::as_str);
        let names = self.table.shown().map(|column| column.name).chain(aliases);
        let flag = flag_name(&name.name);
        error.help = Some(match suggest::nearest(&name.name, names) {
            _ if KNOWN_FLAGS.contains(&flag.as_str()) => {
                format!("whether a flag is set: `flags has {flag}`")
            }
            Some(near) => format!("did you mean `{near}`?"),
            None if name.quoted => {
                format!("a text is written in single quotes: '{}'", short(&name.name))
            }
            None => format!(
                "`.schema {}` lists the columns; a text is written in single quotes",
                self.table.name
            ),
        });
        Err(error)
    }

    fn column(
        &mut self,
        column: &'static Column,
        span: Span,
        depth: usize,
    ) -> Result<Expr, Diagnostic> {
        if let Some(reason) = self.offer.missing(self.table, column) {
            if !self.missing.iter().any(|missing| missing.column == column) {
                self.missing.push(Missing { column, reason });
            }
            return Ok(Expr { kind: ExprKind::Missing(column), span });
        }
        if let Source::Derived(definition) = column.source
            && !self.offer.given(self.table, column)
        {
            assert!(depth < MAX_DEPTH, "the definition of `{}` goes in a circle", column.name);
            let definition = definition::definition(column, definition);
            let aliases = std::mem::take(&mut self.aliases);
            let expr = self.expr_at(&definition, Some(span), depth + 1);
            self.aliases = aliases;
            return Ok(Expr { kind: ExprKind::Derived(column, Box::new(expr?)), span });
        }
        let input = Input::Column(column);
        Ok(Expr { kind: ExprKind::Input(self.input(&input), input), span })
    }

    /// Resolves a member of the kernel's structs; with `number`, an enum as its number.
    fn path(&mut self, path: &ast::Path, span: Span, number: bool) -> Result<Expr, Diagnostic> {
        let input = path::input(self.offer, self.table, path, number)?;
        Ok(Expr { kind: ExprKind::Input(self.input(&input), input), span })
    }

    /// The number of an input among those of the query. What a look-up needs becomes an input too.
    fn input(&mut self, input: &Input) -> usize {
        if let Some(Source::Host(_, by)) = input.source() {
            for name in by {
                if let Some(column) = self.table.column(name) {
                    self.input(&column.into());
                }
            }
        }
        if let Some(at) = self.inputs.iter().position(|known| known == input) {
            return at;
        }
        self.inputs.push(input.clone());
        self.inputs.len() - 1
    }
}

/// The start of a name that may be of any length.
fn short(name: &str) -> String {
    let start: String = name.chars().take(40).collect();
    if start.len() < name.len() { start + "…" } else { start }
}

/// "1 item", "2 items".
fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
