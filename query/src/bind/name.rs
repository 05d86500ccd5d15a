//! Binds names: columns, aliases, and paths to the kernel's members.

use super::definition;
use super::flags::{KNOWN_FLAGS, flag_name};
use super::{Binder, typing};
use crate::bound::{Expr, Missing};
use crate::catalog::{self, Column, Source};
use crate::diagnostic::{Diagnostic, Span};
use crate::escape::short;
use crate::foreign;
use crate::input::Input;
use crate::path::{self, Base};
use crate::suggest;
use crate::syntax::ast::{self, Ident};

/// How deep definitions may name definitions. The catalog is a constant, so this only guards against a circle.
const MAX_DEPTH: usize = 8;

impl Binder<'_> {
    pub(super) fn name(&mut self, name: &Ident, span: Span) -> Result<Expr, Diagnostic> {
        if let Some(column) = self.table.column(&name.name) {
            return self.column(column, span);
        }
        if let Some(expr) = self.aliases.get(&name.name) {
            let expr = expr.clone();
            return self.stands_for(&expr, span);
        }
        Err(self.unknown(name, span))
    }

    /// Binds a column with its table before it, which is never an alias of the select list.
    pub(super) fn qualified(
        &mut self,
        table: &Ident,
        column: &Ident,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        self.is_table(table, &column.written, span)?;
        match self.table.column(&column.name) {
            Some(column) => self.column(column, span),
            None => Err(self.unknown(column, self.used.unwrap_or(column.span))),
        }
    }

    /// Says no to a prefix that is not the table's; `what` stands behind it, and `span` is that of both.
    pub(super) fn is_table(
        &self,
        prefix: &Ident,
        what: &str,
        span: Span,
    ) -> Result<(), Diagnostic> {
        if prefix.name == self.prefix {
            return Ok(());
        }
        let message = format!("unknown table or alias `{}`", prefix.name);
        let aliased = self.prefix != self.table.name;
        let label = if aliased {
            format!("`{}` has the alias `{}` here", self.table.name, self.prefix)
        } else {
            format!("this query reads `{}`", self.table.name)
        };
        let help = format!("write `{}.{what}` or `{what}`", self.prefix);
        Err(Diagnostic::new(span, message).label(label).help(help))
    }

    /// The error for a name that means nothing.
    fn unknown(&self, name: &Ident, span: Span) -> Diagnostic {
        let mut error = Diagnostic::new(span, format!("unknown column `{}`", name.name))
            .label(format!("not in table `{}`", self.table.name));
        if self.hidden.contains(&name.name) {
            return error
                .label("an alias of the select list, which other items cannot use")
                .help("repeat the aliased expression here");
        }
        let is_base =
            |base: &Base| base.name() == name.name && base.is_of(self.table.rows) && !name.quoted;
        if let Some(base) = Base::ALL.iter().find(|base| is_base(base)) {
            let (label, of) = match base.structure() {
                Some(structure) => (format!("the row's `struct {structure}`"), ""),
                None => ("the row's object".to_owned(), " from objects('dentry')"),
            };
            let name = &name.name;
            return error
                .label(label)
                .help(format!("`{name}->…` reads a member; `.schema {name}{of}` lists them"));
        }
        let aliases = self.aliases.keys().map(String::as_str);
        let names = self.table.shown().map(|column| column.name).chain(aliases);
        let flag = flag_name(&name.name);
        let of_caches = self.table == catalog::TABLES[0];
        let foreign = foreign::instead(foreign::COLUMNS, &name.name).filter(|_| of_caches);
        error.help = Some(match suggest::meant(&name.name, names) {
            _ if let Some(help) = foreign => help.to_owned(),
            _ if KNOWN_FLAGS.contains(&flag.as_str()) => {
                format!("test for a flag with `flags has {flag}`")
            }
            Some(question) => question,
            None if name.quoted => {
                format!("put text in single quotes: '{}'", short(&name.name))
            }
            None => format!(
                "`.schema {}` lists the columns; put text in single quotes",
                self.table.name
            ),
        });
        error
    }

    pub(super) fn column(
        &mut self,
        column: &'static Column,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        if let Some(reason) = self.capabilities.missing(self.table, column) {
            if !self.missing.iter().any(|missing| missing.column == column) {
                self.missing.push(Missing { column, reason });
            }
            return Ok(typing::missing(column, span));
        }
        if let Source::Derived(definition) = column.source
            && !self.capabilities.given(self.table, column)
        {
            assert!(self.depth < MAX_DEPTH, "the definition of `{}` goes in a circle", column.name);
            self.depth += 1;
            let definition = definition::definition(column, definition);
            let bound = self.stands_for(&definition, span)?;
            self.depth -= 1;
            return Ok(Expr { unit: column.unit, column: Some(column), ..bound });
        }
        Ok(self.input_at(&column.into(), span))
    }

    /// Binds what a name stands for, which sees no aliases: what an alias stands for is an expression over columns.
    fn stands_for(&mut self, expr: &ast::Expr, span: Span) -> Result<Expr, Diagnostic> {
        let aliases = std::mem::take(&mut self.aliases);
        let used = self.used.replace(span);
        let bound = self.operand(expr)?;
        self.used = used;
        self.aliases = aliases;
        Ok(*bound)
    }

    /// Binds a member of the kernel's structs; with `number`, an enum as its number.
    pub(super) fn path(
        &mut self,
        path: &ast::Path,
        span: Span,
        number: bool,
    ) -> Result<Expr, Diagnostic> {
        let input = path::input(self.capabilities, self.table, path, number, &mut self.roots)?;
        Ok(self.input_at(&input, span))
    }

    pub(super) fn input_at(&mut self, input: &Input, span: Span) -> Expr {
        typing::stored(self.input(input), input, span)
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
        self.inputs.number(input.name(), input.clone())
    }
}
