//! Binds what makes groups of rows: the keys of `group by`, aggregates, and what may be said of a group.
//!
//! Aggregates are found while expressions are bound, and numbered. When all clauses are, a query that has keys or
//! aggregates is one over groups, whose rows have keys, then aggregates: in its items, in `having` and in `order by`
//! what equals a key is read there, and a column that is left is of no group.
//!
//! In `group by` a name is a column, else an alias, and a bare integer the position of an item.

use super::call::wrong_arguments;
use super::order::item_at;
use super::{Binder, split, typing};
use crate::aggregate;
use crate::bound::{Aggregate, Expr, ExprKind, Group, Item, Key};
use crate::diagnostic::{Diagnostic, Span};
use crate::function;
use crate::input::Input;
use crate::syntax::ast::{self, Ident};
use crate::value::Type;

/// The most keys of `group by`. What is said of a group is compared with each.
pub const MAX_KEYS: usize = 64;

/// The most aggregates of a query.
pub const MAX_AGGREGATES: usize = 1024;

/// Until the keys are known, an aggregate is read from this place on. A row has far fewer inputs.
const AGGREGATES: usize = usize::MAX / 2;

/// Where binding is, as far as aggregates go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    /// In what is said of groups, if there are groups.
    Answer,
    /// In `where`.
    Where,
    /// In a key of `group by`.
    Key,
    /// In the argument of an aggregate.
    Aggregate,
    /// In `having`.
    Having,
    /// In the argument of an aggregate over all rows of the answer.
    Window,
}

impl Binder<'_> {
    /// Binds a call of an aggregate.
    pub(super) fn aggregate(
        &mut self,
        call: &ast::Expr,
        function: &'static aggregate::Aggregate,
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let clause = std::mem::replace(&mut self.clause, Clause::Aggregate);
        allowed(clause, span)?;
        let aggregate = self.made(call, function, span)?;
        self.clause = clause;
        let number = self.aggregates.number(&call.to_string(), aggregate);
        if number == MAX_AGGREGATES {
            let message = format!("a query has at most {MAX_AGGREGATES} aggregates");
            return Err(Diagnostic::new(span, message));
        }
        let Expr { ty, unit, range, .. } = self.aggregates.all[number].result;
        let kind = ExprKind::Input(AGGREGATES + number);
        Ok(Expr { kind, ty, unit, range, span, column: None })
    }

    /// Binds a call of an aggregate over all rows of the answer.
    pub(super) fn over(&mut self, call: &ast::Expr, span: Span) -> Result<Expr, Diagnostic> {
        let (ast::ExprKind::Call(name, _)
        | ast::ExprKind::CallDistinct(name, _)
        | ast::ExprKind::CallStar(name)) = &call.kind
        else {
            unreachable!("only a call has a window")
        };
        let clause = self.begin_window(span)?;
        let Some(function) = aggregate::find(&name.name) else {
            unreachable!("the parser has found it")
        };
        let window = self.made(call, function, span)?;
        self.clause = clause;
        self.window(window, span)
    }

    /// Binds what `x` is to an aggregate of all `x`: `share(x)` is its percentage of the sum, `bar(x)` its part of the
    /// greatest. The names are those of the call, of the aggregate, and of the function of both.
    pub(super) fn of_all(
        &mut self,
        x: &ast::Expr,
        (call, aggregate, function): (&str, &str, &str),
        span: Span,
    ) -> Result<Expr, Diagnostic> {
        let clause = self.begin_window(span)?;
        let part = self.expr(x)?;
        self.clause = clause;
        let name = format!("{aggregate}({x})");
        let found = (aggregate::find(aggregate), function::find(function));
        let (Some(aggregate), Some(ratio)) = found else { unreachable!("there are both") };
        let (parameter, result) = (aggregate.ty)(call, &part, None)?;
        let (function, argument) = (aggregate, Some(part.clone()));
        let all = Aggregate { name, function, parameter, distinct: false, argument, result };
        let all = self.window(all, span)?;
        typing::call(ratio, call, vec![part, all], span)
    }

    /// Notes that binding is in the argument of an aggregate over all rows; says no where there is none. Gives where it
    /// was before.
    fn begin_window(&mut self, span: Span) -> Result<Clause, Diagnostic> {
        let error = |message: &str| Diagnostic::new(span, message);
        let place = match self.clause {
            Clause::Answer => return Ok(std::mem::replace(&mut self.clause, Clause::Window)),
            Clause::Where => "`where`",
            Clause::Key => "`group by`",
            Clause::Having => "`having`",
            Clause::Aggregate | Clause::Window => {
                return Err(error("an aggregate over all rows cannot stand in another aggregate")
                    .label("computed only when all rows are known"));
            }
        };
        Err(error(&format!("an aggregate over all rows is not allowed in {place}"))
            .label("computed only when all rows are known")
            .help("a subquery can be compared: `where memory > 0.1 * (select sum(memory))`"))
    }

    fn window(&mut self, window: Aggregate, span: Span) -> Result<Expr, Diagnostic> {
        let number = self.windows.number(&window.name.clone(), window);
        if number == MAX_AGGREGATES {
            let message = format!("a query has at most {MAX_AGGREGATES} aggregates");
            return Err(Diagnostic::new(span, message));
        }
        let Expr { ty, unit, range, .. } = self.windows.all[number].result;
        Ok(Expr { kind: ExprKind::Whole(number), ty, unit, range, span, column: None })
    }

    /// An aggregate as it is called.
    fn made(
        &mut self,
        call: &ast::Expr,
        function: &'static aggregate::Aggregate,
        span: Span,
    ) -> Result<Aggregate, Diagnostic> {
        let (called, arguments, distinct): (&str, &[ast::Expr], bool) = match &call.kind {
            ast::ExprKind::Call(name, arguments) => (&name.name, arguments, false),
            ast::ExprKind::CallDistinct(name, arguments) => (&name.name, arguments, true),
            _ => (function.name, &[], false),
        };
        let star = matches!(call.kind, ast::ExprKind::CallStar(_));
        if star && !function.star {
            let message = format!("`{}(*)` is not supported", function.name);
            return Err(Diagnostic::new(span, message)
                .label("only `count` takes `*`")
                .help(format!("write it as `{}`", function.call)));
        }
        if !star {
            wrong_arguments(function.arguments, (called, function.call), arguments.len(), span)?;
        }
        let mut arguments = self.list(arguments)?;
        let second = if arguments.len() > 1 { arguments.pop() } else { None };
        let argument = arguments.pop();
        let shape = argument.clone().unwrap_or_else(|| typing::null(Span::default()));
        let (parameter, result) = (function.ty)(called, &shape, second.as_ref())?;
        let name = call.to_string();
        Ok(Aggregate { name, function, parameter, distinct, argument, result })
    }

    /// Binds `group by`.
    pub(super) fn group_keys(
        &mut self,
        query: &ast::Query,
        items: &[Item],
    ) -> Result<Vec<Item>, Diagnostic> {
        self.clause = Clause::Key;
        let mut keys: Vec<Item> = Vec::new();
        for key in &query.group_by {
            let span = key.span;
            let bound = match &key.kind {
                ast::ExprKind::Literal(ast::Literal::Int(position)) => {
                    let mut item = items[item_at(*position, span, items.len())?].clone();
                    item.expr.span = span;
                    if item.expr.inputs().iter().any(|input| *input >= AGGREGATES) {
                        allowed(Clause::Key, span)?;
                    }
                    if item.expr.names_whole() {
                        self.begin_window(span)?;
                    }
                    item
                }
                ast::ExprKind::Literal(_) => {
                    return Err(Diagnostic::new(span, "cannot group by a constant")
                        .label("the same for every row")
                        .help(
                            "write column names without quotes, or refer to an item by position",
                        ));
                }
                ast::ExprKind::Column(name) | ast::ExprKind::Qualified(_, name) => {
                    Item { name: name.name.clone(), expr: self.expr(key)? }
                }
                _ => Item { name: key.to_string(), expr: self.expr(key)? },
            };
            if keys.iter().all(|known| known.expr != bound.expr) {
                keys.push(bound);
            }
            if keys.len() > MAX_KEYS {
                let message = format!("`group by` has at most {MAX_KEYS} keys");
                return Err(Diagnostic::new(span, message));
            }
        }
        self.clause = Clause::Answer;
        Ok(keys)
    }

    /// Makes a query over groups of one that has keys or aggregates: see the head of this module.
    pub(super) fn grouped(
        &mut self,
        query: &ast::Query,
        keys: Vec<Item>,
        mut having: Option<Box<Expr>>,
        items: &mut Vec<Item>,
        order_by: &mut [Key],
    ) -> Result<Option<Group>, Diagnostic> {
        let aggregates = std::mem::take(&mut self.aggregates.all);
        let rows = keys.is_empty() && aggregates.is_empty();
        // As in SQL, `having` alone makes one group of all rows.
        if rows && query.having.is_none() {
            return Ok(None);
        }
        let shown = items.iter_mut().map(|item| &mut item.expr);
        let sorted = order_by.iter_mut().map(|key| &mut key.expr);
        let windows = self.windows.all.iter_mut().filter_map(|window| window.argument.as_mut());
        for expr in shown.chain(having.as_deref_mut()).chain(sorted).chain(windows) {
            // Of the totals a key is NULL, even if it is a constant.
            let key = keys.iter().position(|key| query.totals && key.expr == *expr);
            if let Some(number) = key {
                expr.kind = ExprKind::Input(number);
                continue;
            }
            of_group(expr, &keys, &self.inputs.all).map_err(|error| {
                if rows { error.help("put conditions on rows in `where`") } else { error }
            })?;
        }
        let mut conditions = Vec::new();
        if let Some(having) = having {
            split(*having, &mut conditions);
        }
        let group = Group { keys, aggregates, totals: query.totals, having: conditions };
        if let Some(at) = group.totals_at() {
            let kind = ExprKind::Input(at);
            let expr = Expr { kind, ty: Type::Bool, ..typing::null(Span::default()) };
            items.push(Item { name: "total".to_owned(), expr });
        }
        Ok(Some(group))
    }
}

/// The expressions of a group that are computed of rows.
pub(super) fn of_rows(group: &Group) -> impl Iterator<Item = &Expr> {
    let arguments = group.aggregates.iter().filter_map(|aggregate| aggregate.argument.as_ref());
    group.keys.iter().map(|key| &key.expr).chain(arguments)
}

/// Makes an expression of rows one of their group: see the head of this module.
fn of_group(expr: &mut Expr, keys: &[Item], inputs: &[Input]) -> Result<(), Diagnostic> {
    // A constant is the same for every group, and some places ask for one.
    if expr.constant().is_some() && expr.column.is_none() {
        return Ok(());
    }
    if let Some(number) = keys.iter().position(|key| key.expr == *expr) {
        expr.kind = ExprKind::Input(number);
        return Ok(());
    }
    if let Some(column) = expr.column {
        return Err(neither(&quoted(column.name), column.ty, keys, expr.span));
    }
    if let ExprKind::Input(input) = &mut expr.kind {
        if let Some(number) = input.checked_sub(AGGREGATES) {
            *input = keys.len() + number;
            return Ok(());
        }
        let input = &inputs[*input];
        return Err(neither(input.name(), input.ty(), keys, expr.span));
    }
    let mut done = Ok(());
    expr.children_mut(&mut |child| {
        if done.is_ok() {
            done = of_group(child, keys, inputs);
        }
    });
    done
}

/// A column's name as a query has it.
fn quoted(name: &str) -> String {
    let (name, written) = (name.to_owned(), name.to_owned());
    Ident { name, written, quoted: false, span: Span::default() }.to_string()
}

/// The error for a value of rows where one of groups is asked for.
fn neither(name: &str, ty: Type, keys: &[Item], span: Span) -> Diagnostic {
    let how = match ty {
        Type::List | Type::SlabFlags | Type::GfpFlags => "count",
        _ => "min",
    };
    let group = if keys.is_empty() {
        format!("`group by {name}`")
    } else {
        "add it to `group by`".to_owned()
    };
    Diagnostic::new(span, format!("`{name}` is neither grouped nor aggregated"))
        .label("has a value per row, not per group")
        .help(format!("{group}, or aggregate it: `{how}({name})`"))
}

/// Says no to an aggregate where there are no groups yet.
fn allowed(clause: Clause, span: Span) -> Result<(), Diagnostic> {
    let error = |message: &str| Diagnostic::new(span, message);
    match clause {
        Clause::Answer | Clause::Having | Clause::Window => Ok(()),
        Clause::Where => Err(error("aggregates are not allowed in `where`")
            .label("computed only after `where` has selected the rows")
            .help("put conditions on groups in `having`")),
        Clause::Key => Err(error("cannot group by an aggregate")
            .label("computed only after grouping")
            .help("group by a column, or by an expression of the row")),
        Clause::Aggregate => Err(error("aggregates cannot be nested")
            .label("a query groups rows only once")
            .help("aggregate an expression of row values")),
    }
}
