//! Runs the scripts under `tests/scripts`: every stage of the compiler, as text.
//!
//! A line `[stage]> query` prints what the stage makes of the query, several stages one after the other; a line
//! `> query` prints it anew. What the stages show is said where they are: `tokens`, `ast` and `print` here, those
//! behind the parser in `stages`. A mistake is printed as the user sees it. `\n` in a query is a line break.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p slabql-query --test golden` writes the output into the scripts; the review is to read
//! the difference. The scripts are listed when this file is compiled: after adding one, `touch` it.

#![allow(clippy::unwrap_used)] // tests

#[path = "../common/mod.rs"]
mod common;
mod coverage;
mod stages;

use std::error::Error;
use std::path::Path;

use goldenscript::{Command, Context};
use slabql_query::diagnostic::{Diagnostic, Span};
use slabql_query::plan::Template;
use slabql_query::syntax::ast::{Expr, ExprKind, Item, Query, Statement, Trace, Watch};
use slabql_query::syntax::{Token, TokenKind, lex, parse_text};

test_each_file::test_each_path! { in "./query/tests/scripts" => golden }

fn golden(path: &Path) {
    goldenscript::run(&mut Runner, path).unwrap();
}

/// What a line without a stage shows.
const LAST: &str = "print";

struct Runner;

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &Context) -> Result<String, Box<dyn Error>> {
        if !command.args.is_empty() {
            return Err("a query stands behind `>`".into());
        }
        let query = command.name.replace("\\n", "\n");
        let stages: Vec<&str> = context.tags.iter().map(String::as_str).collect();
        let stages = if stages.is_empty() { vec![LAST] } else { stages };
        Ok(stages.into_iter().map(|stage| run(stage, &query)).collect())
    }
}

/// What `stage` makes of `query`.
fn run(stage: &str, query: &str) -> String {
    let result = match stage {
        "tokens" => tokens(query),
        "ast" => ast(query),
        "print" => print(query),
        "bound" => stages::bound(query),
        "typed" => stages::typed(query),
        "plan" => stages::planned(query),
        "layout" => stages::layout(query),
        "asm" => stages::listing(query, Template::OpenCoded),
        "iter" => stages::listing(query, Template::Iter),
        "filter" => stages::filter(query),
        "columns" => stages::columns(query),
        "rows" => stages::rows(query),
        "notes" => stages::notes(query),
        _ => panic!("there is no stage `{stage}`"),
    };
    result.unwrap_or_else(|error| error.render(query).to_string())
}

/// A line a token: its span, its kind.
fn tokens(query: &str) -> Result<String, Diagnostic> {
    let line = |Token { kind, span }: Token| {
        let kind = match kind {
            TokenKind::Keyword(word) => format!("keyword {}", word.text()),
            TokenKind::Symbol(mark) => format!("symbol {}", mark.text()),
            TokenKind::Ident { name, quoted: true } => format!("ident {name:?}"),
            TokenKind::Ident { name, quoted: false } => format!("ident {name}"),
            TokenKind::Text(text) => format!("text {text:?}"),
            TokenKind::Int(value) => format!("int {value}"),
            TokenKind::Size(bytes) => format!("size {bytes}"),
            TokenKind::Float(value) => format!("float {value:?}"),
            TokenKind::Address(value) => format!("address {value:#x}"),
            TokenKind::Duration(time) => format!("duration {time:?}"),
            TokenKind::Parameter(name) => format!("parameter {name}"),
        };
        format!("{}..{} {kind}\n", span.start, span.end)
    };
    Ok(lex(query)?.into_iter().map(line).collect())
}

/// A line a statement, as `Display` prints it.
fn print(query: &str) -> Result<String, Diagnostic> {
    let lines: Vec<String> =
        parse_text(query)?.iter().map(|(statement, _)| statement.to_string() + "\n").collect();
    Ok(lines.concat())
}

/// A line a node of the tree, the deeper the further in, with the text that its span marks.
fn ast(query: &str) -> Result<String, Diagnostic> {
    let mut tree = Tree { query, text: String::new() };
    for (statement, _) in parse_text(query)? {
        match statement {
            Statement::Whatis(addresses) => {
                tree.line(0, "whatis");
                for address in addresses {
                    tree.line(1, &address.to_string());
                }
            }
            Statement::Watch(Watch { interval, count, traced, query }) => {
                let count = count.map_or_else(String::new, |count| format!(" count {count}"));
                let traced = traced.map_or(String::new(), |traced| format!(" {traced}"));
                let watch = format!("watch {interval:?}{count}{traced}");
                tree.line(0, watch.trim_end());
                tree.query(1, "query", &query);
            }
            Statement::Trace(trace) => tree.trace("", &trace),
            Statement::AnalyzeTrace(trace) => tree.trace("explain analyze ", &trace),
            Statement::Query(query) => tree.query(0, "query", &query),
            Statement::Explain(query) => tree.query(0, "explain", &query),
            Statement::Analyze(query) => tree.query(0, "explain analyze", &query),
        }
    }
    Ok(tree.text)
}

struct Tree<'a> {
    query: &'a str,
    text: String,
}

impl Tree<'_> {
    fn line(&mut self, depth: usize, text: &str) {
        self.text.extend(["  ".repeat(depth).as_str(), text, "\n"]);
    }

    fn trace(&mut self, before: &str, trace: &Trace) {
        let Trace { duration, sample, query } = trace;
        let sample = sample.map_or_else(String::new, |sample| {
            format!(" {sample}   <- {}", &self.query[sample.span.start..sample.span.end])
        });
        self.line(0, &format!("{before}trace {duration:?}{sample}"));
        self.query(1, "query", query);
    }

    fn query(&mut self, depth: usize, name: &str, query: &Query) {
        self.line(depth, &format!("{name}{}", if query.distinct { " distinct" } else { "" }));
        for item in &query.items {
            match item {
                Item::Star(None, _) => self.line(depth + 1, "star"),
                Item::Star(Some(table), _) => self.line(depth + 1, &format!("star of {table}")),
                Item::All(_) => self.line(depth + 1, "all"),
                Item::Expr { expr, alias } => {
                    let alias = alias.as_ref().map_or(String::new(), |name| format!(" as {name}"));
                    self.line(depth + 1, &format!("item{alias}"));
                    self.expr(depth + 2, expr);
                }
            }
        }
        if let Some(table) = &query.from {
            self.line(depth + 1, &format!("from {table}"));
            for argument in &query.arguments {
                let Span { start, end } = argument.span;
                let source = &self.query[start..end];
                self.line(depth + 2, &format!("text {argument}   <- {source}"));
            }
            if let Some(alias) = &query.alias {
                self.line(depth + 2, &format!("as {alias}"));
            }
        }
        if let Some(filter) = &query.filter {
            self.line(depth + 1, "where");
            self.expr(depth + 2, filter);
        }
        for key in &query.group_by {
            self.line(depth + 1, "group by");
            self.expr(depth + 2, key);
        }
        if query.totals {
            self.line(depth + 1, "with totals");
        }
        if let Some(having) = &query.having {
            self.line(depth + 1, "having");
            self.expr(depth + 2, having);
        }
        for key in &query.order_by {
            let direction = if key.descending { "desc" } else { "asc" };
            let nulls = match key.nulls_first {
                None => "",
                Some(true) => ", nulls first",
                Some(false) => ", nulls last",
            };
            self.line(depth + 1, &format!("order by {direction}{nulls}"));
            self.expr(depth + 2, &key.expr);
        }
        for (clause, count) in [("limit", query.limit), ("offset", query.offset)] {
            if let Some(count) = count {
                self.line(depth + 1, &format!("{clause} {count}"));
            }
        }
    }

    fn expr(&mut self, depth: usize, expr: &Expr) {
        let not = |negated: bool| if negated { "not " } else { "" };
        let (name, children): (String, Vec<&Expr>) = match &expr.kind {
            ExprKind::Literal(literal) => (format!("literal {literal}"), vec![]),
            ExprKind::Column(name) => (format!("column {name}"), vec![]),
            ExprKind::Qualified(table, name) => (format!("column {table}.{name}"), vec![]),
            ExprKind::Path(path) => (format!("path {path}"), vec![]),
            ExprKind::Unary(op, inner) => (format!("{op:?}").to_lowercase(), vec![inner]),
            ExprKind::Binary(op, left, right) => (op.text().to_owned(), vec![left, right]),
            ExprKind::Between { expr, low, high, negated } => {
                (format!("{}between", not(*negated)), vec![expr, low, high])
            }
            ExprKind::In { expr, list, negated } => {
                let children = [&**expr].into_iter().chain(list).collect();
                (format!("{}in", not(*negated)), children)
            }
            ExprKind::InColumn { expr, list, negated } => {
                (format!("{}in column", not(*negated)), vec![expr, list])
            }
            ExprKind::InQuery { expr, query, negated } => {
                let source = &self.query[expr.span.start..query.span.end];
                self.line(depth, &format!("{}in query   <- {source})", not(*negated)));
                self.expr(depth + 1, expr);
                return self.query(depth + 1, "query", query);
            }
            ExprKind::Subquery(query) => return self.query(depth, "subquery", query),
            ExprKind::Match { op, expr, pattern, negated } => {
                (format!("{}{}", not(*negated), op.text()), vec![expr, pattern])
            }
            ExprKind::IsNull { expr, negated } => (format!("is {}null", not(*negated)), vec![expr]),
            ExprKind::Has { expr, quantifier, flags } => {
                let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
                (format!("has {quantifier:?} {}", flags.join(" ")).to_lowercase(), vec![expr])
            }
            ExprKind::Case { arms, otherwise } => {
                let arms = arms.iter().flat_map(|(condition, result)| [condition, result]);
                ("case".to_owned(), arms.chain(otherwise.as_deref()).collect())
            }
            ExprKind::Cast(inner, to) => (format!("cast to {to}"), vec![inner]),
            ExprKind::Call(name, arguments) => (format!("call {name}"), arguments.iter().collect()),
            ExprKind::CallDistinct(name, arguments) => {
                (format!("call {name} distinct"), arguments.iter().collect())
            }
            ExprKind::CallStar(name) => (format!("call {name} star"), vec![]),
            ExprKind::Over(call) => ("over all rows".to_owned(), vec![call]),
        };
        let source = &self.query[expr.span.start..expr.span.end];
        self.line(depth, &format!("{name}   <- {source}"));
        for child in children {
            self.expr(depth + 1, child);
        }
    }
}
