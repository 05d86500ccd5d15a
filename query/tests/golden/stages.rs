//! Prints what the stages behind the parser make of a query, over the made-up kernel of `common`.
//!
//! | stage | prints |
//! |---|---|
//! | `bound` | expressions in prefix notation, what columns stand for behind `=`; inputs; what is missing |
//! | `typed` | the same expressions, a line a node: type, unit, range |
//! | `plan` | what `explain` shows of the plan |
//! | `layout` | the row that the kernel gives |
//! | `asm`, `iter` | the whole program, of the open-coded template and of the other |
//! | `filter`, `columns` | of the open-coded template only what that hook appends |
//! | `notes` | what is to be said of a query that can hardly mean what it says |
//! | `rows` | the answer over [`caches`], which must be the same by both templates and in user space |

use std::fmt::Write;

use slabql_query::bound::{Aggregate, Compare, Expr, ExprKind, Query, Range};
use slabql_query::catalog::Lookup;
use slabql_query::diagnostic::Diagnostic;
use slabql_query::eval::Warnings;
use slabql_query::exec::{self, Host};
use slabql_query::function::{self, Function, Meaning};
use slabql_query::layout::Layout;
use slabql_query::output::Output;
use slabql_query::pattern::Pattern;
use slabql_query::plan::{Plan, Template, explain};
use slabql_query::syntax::{self, ast};
use slabql_query::value::{Type, Value, digits};

use crate::common::{Fixture, caches, generate, kernel, plan, run};

fn parse(text: &str) -> Result<ast::Query, Diagnostic> {
    let (statement, _) = syntax::parse_text(text)?.remove(0);
    Ok(statement.query().expect("a query").clone())
}

/// What inputs are called in what is computed of rows, and in the answer, which may be of groups.
fn names(query: &Query) -> [Vec<String>; 2] {
    let rows: Vec<String> = query.inputs.iter().map(|input| input.name().to_owned()).collect();
    let groups = query.group.as_ref().map(|group| {
        let made = group.aggregates.iter().map(|made| made.name.clone());
        let totals = group.totals.then(|| "totals".to_owned());
        group.keys.iter().map(|key| key.name.clone()).chain(made).chain(totals).collect()
    });
    [rows.clone(), groups.unwrap_or(rows)]
}

/// What every clause comes to, an expression a line.
pub fn bound(text: &str) -> Result<String, Diagnostic> {
    let query = crate::common::bound(&parse(text)?, text)?;
    let [rows, mut answer] = names(&query);
    if query.group.is_some() {
        answer = (0..answer.len()).map(|place| format!("group[{place}]")).collect();
    }
    let mut out = String::new();
    for item in &query.items {
        writeln!(out, "item {}: {}", item.name, prefix(&item.expr, &answer)).unwrap();
    }
    for condition in &query.filter {
        writeln!(out, "where {}", prefix(condition, &rows)).unwrap();
    }
    if let Some(group) = &query.group {
        for key in &group.keys {
            writeln!(out, "group by {}: {}", key.name, prefix(&key.expr, &rows)).unwrap();
        }
        for made in &group.aggregates {
            let (name, function) = (&made.name, made.function.name);
            let distinct = if made.distinct { "-distinct" } else { "" };
            let argument = made.argument.as_ref().map_or("*".to_owned(), |of| prefix(of, &rows));
            let parameter = parameter(made);
            writeln!(out, "aggregate {name}: ({function}{distinct} {argument}{parameter})")
                .unwrap();
        }
        for condition in &group.having {
            writeln!(out, "having {}", prefix(condition, &answer)).unwrap();
        }
    }
    for made in &query.windows {
        let (name, function) = (&made.name, made.function.name);
        let argument = made.argument.as_ref().map_or("*".to_owned(), |of| prefix(of, &answer));
        writeln!(out, "over all rows {name}: ({function} {argument}{})", parameter(made)).unwrap();
    }
    for key in &query.order_by {
        let direction = if key.descending { " desc" } else { "" };
        let nulls = if key.nulls_first { " nulls first" } else { "" };
        writeln!(out, "order by {}{direction}{nulls}", prefix(&key.expr, &answer)).unwrap();
    }
    writeln!(out, "inputs: {}", rows.join(", ")).unwrap();
    for missing in &query.missing {
        writeln!(out, "missing: {}: {}", missing.column.name, missing.reason).unwrap();
    }
    Ok(out)
}

fn parameter(made: &Aggregate) -> String {
    match &made.parameter {
        Value::Null => String::new(),
        value => format!(" with {value:?}"),
    }
}

fn prefix(expr: &Expr, inputs: &[String]) -> String {
    let mut text = node(expr, inputs);
    if !matches!(expr.kind, ExprKind::Const(_) | ExprKind::Input(_) | ExprKind::Whole(_)) {
        expr.children(&mut |child| text = format!("{text} {}", prefix(child, inputs)));
        text = format!("({text})");
    }
    match expr.column {
        Some(column) if column.name != text => format!("{}={text}", column.name),
        _ => text,
    }
}

/// A node a line, the deeper the further in: what it is, its type, its unit, and of an integer its range.
pub fn typed(text: &str) -> Result<String, Diagnostic> {
    let query = crate::common::bound(&parse(text)?, text)?;
    let [rows, answer] = names(&query);
    let mut out = String::new();
    for item in &query.items {
        writeln!(out, "item {}", item.name).unwrap();
        tree(&item.expr, &answer, 1, &mut out);
    }
    for condition in &query.filter {
        out.push_str("where\n");
        tree(condition, &rows, 1, &mut out);
    }
    if let Some(group) = &query.group {
        for key in &group.keys {
            writeln!(out, "group by {}", key.name).unwrap();
            tree(&key.expr, &rows, 1, &mut out);
        }
        for made in &group.aggregates {
            let distinct = if made.distinct { " of distinct values" } else { "" };
            let parameter = parameter(made);
            writeln!(out, "aggregate {}{parameter}{distinct}", made.name).unwrap();
            made.argument.iter().for_each(|argument| tree(argument, &rows, 1, &mut out));
        }
        for condition in &group.having {
            out.push_str("having\n");
            tree(condition, &answer, 1, &mut out);
        }
    }
    for key in &query.order_by {
        out.push_str("order by\n");
        tree(&key.expr, &answer, 1, &mut out);
    }
    Ok(out)
}

/// What a node is.
fn node(expr: &Expr, inputs: &[String]) -> String {
    match &expr.kind {
        ExprKind::Const(value) => shown(value, expr.ty),
        ExprKind::Input(input) => inputs[*input].clone(),
        ExprKind::Not(_) => "not".to_owned(),
        ExprKind::And(..) => "and".to_owned(),
        ExprKind::Or(..) => "or".to_owned(),
        ExprKind::Neg(_) => "-".to_owned(),
        ExprKind::BitNot(_) => "~".to_owned(),
        ExprKind::Arith(op, ..) => op.text().to_owned(),
        ExprKind::Compare(op, ..) => compare(*op).to_owned(),
        ExprKind::Between(..) => "between".to_owned(),
        ExprKind::In(..) => "in".to_owned(),
        ExprKind::Contains(..) => "contains".to_owned(),
        ExprKind::MatchBy(op, ..) => format!("matches_by {}", op.text()),
        ExprKind::Extract(..) => "extract".to_owned(),
        ExprKind::Whole(number) => format!("over_all[{number}]"),
        ExprKind::Match(_, Pattern::Other(_)) => "matches Other".to_owned(),
        ExprKind::Match(_, pattern) => format!("matches {pattern:?}"),
        ExprKind::IsNull(_) => "is null".to_owned(),
        ExprKind::HasAll(_, mask) => format!("has all {mask:#x}"),
        ExprKind::HasAny(_, mask) => format!("has any {mask:#x}"),
        ExprKind::Case(..) => "case".to_owned(),
        ExprKind::Cast(_) => "cast".to_owned(),
        ExprKind::Delta(change, _) => change.name().to_owned(),
        ExprKind::Call(evaluation, _) => {
            let is = |row: &&&Function| matches!(&row.meaning, Meaning::Values(of) if std::ptr::eq(of, *evaluation));
            function::FUNCTIONS.iter().find(is).unwrap().name.to_owned()
        }
    }
}

fn tree(expr: &Expr, inputs: &[String], depth: usize, out: &mut String) {
    let name = node(expr, inputs);
    write!(out, "{:1$}{name} : {2}", "", 2 * depth, expr.ty.name()).unwrap();
    if !expr.unit.name().is_empty() {
        write!(out, " {}", expr.unit.name()).unwrap();
    }
    let computed = expr.constant().is_none();
    if computed && (expr.ty.is_integer() || expr.ty.is_flags()) {
        let any = |value: i128| value.clamp(Range::ANY.low, Range::ANY.high);
        let (low, high) = (any(expr.range.low), any(expr.range.high));
        write!(out, " {}..{}", power(low), power(high)).unwrap();
    }
    out.push('\n');
    expr.children(&mut |child| tree(child, inputs, depth + 1, out));
}

/// A number; near a power of two from 2^16 on as that.
fn power(value: i128) -> String {
    let near = |offset: i128| {
        let power = value.unsigned_abs().checked_add_signed(offset)?;
        (power.is_power_of_two() && power >= 1 << 16).then(|| power.ilog2())
    };
    let sign = if value < 0 { "-" } else { "" };
    match (near(0), near(1)) {
        (Some(bits), _) => format!("{sign}2^{bits}"),
        (_, Some(bits)) if value < 0 => format!("-(2^{bits}-1)"),
        (_, Some(bits)) => format!("2^{bits}-1"),
        _ => value.to_string(),
    }
}

fn compare(op: Compare) -> &'static str {
    match op {
        Compare::Eq => "=",
        Compare::Ne => "!=",
        Compare::Lt => "<",
        Compare::Le => "<=",
        Compare::Gt => ">",
        Compare::Ge => ">=",
    }
}

fn open_coded(text: &str) -> Result<Plan, Diagnostic> {
    plan(text, kernel(Template::OpenCoded, true))
}

/// The operators, and where each runs.
pub fn planned(text: &str) -> Result<String, Diagnostic> {
    Ok(open_coded(text)?.to_string())
}

/// The row that the kernel gives.
pub fn layout(text: &str) -> Result<String, Diagnostic> {
    let plan = open_coded(text)?;
    Ok(explain::row(&plan, &Layout::new(&plan)))
}

/// The program of one template.
pub fn listing(text: &str, template: Template) -> Result<String, Diagnostic> {
    Ok(generate(&plan(text, kernel(template, true))?).1.listing())
}

/// What the hook for conditions appends: from the first that is tested up to the row.
pub fn filter(text: &str) -> Result<String, Diagnostic> {
    let listing = listing(text, Template::OpenCoded)?;
    let starts = |line: &&str| line.contains("; where") || line.contains(": summed over");
    let lines = listing.lines().skip_while(|line| !starts(line));
    Ok(lines
        .take_while(|line| !line.contains("; the row,"))
        .map(|line| format!("{line}\n"))
        .collect())
}

/// What the hook for columns appends, and the zeroing and the header before it.
pub fn columns(text: &str) -> Result<String, Diagnostic> {
    let listing = listing(text, Template::OpenCoded)?;
    let lines = listing.lines().skip_while(|line| !line.contains("; the row,"));
    Ok(lines.take_while(|line| !line.contains("; emit")).map(|line| format!("{line}\n")).collect())
}

/// User space of the made-up kernel: one constructor, and the aliases of one cache.
struct Machine;

impl Host for Machine {
    fn look_up(&self, lookup: Lookup, arguments: &[Vec<Value>]) -> Result<Vec<Value>, String> {
        let answer = |arguments: &Vec<Value>| match (lookup, arguments.as_slice()) {
            (Lookup::Symbol, [Value::UInt(0)]) => Value::Null,
            (Lookup::Symbol, _) => Value::text("tcp_init_once"),
            (Lookup::Aliases, [_, name]) if *name == Value::text("kmalloc-64") => {
                Value::List([(*b"biovec-4").into(), (*b"eventpoll").into()].into())
            }
            (Lookup::Online, _) => Value::Bool(true),
            (Lookup::Aliases, _) => Value::List([].into()),
            (Lookup::Type, _) => Value::text("kset"),
            (Lookup::Superblock, _) => Value::text("ext4 vda 254:0"),
            (Lookup::Comm, _) => Value::text("bash"),
            (Lookup::Path, _) => Value::text("/etc/passwd"),
            (Lookup::Local | Lookup::Remote, _) => Value::text("127.0.0.1:80"),
        };
        Ok(arguments.iter().map(answer).collect())
    }

    fn interrupted(&self) -> bool {
        false
    }
}

/// A line a note.
pub fn notes(text: &str) -> Result<String, Diagnostic> {
    let plan = plan(text, kernel(Template::OpenCoded, true))?;
    let notes = slabql_query::lint::notes(&parse(text)?, &plan, &Fixture::new());
    Ok(notes.iter().map(|note| format!("note: {note}\n")).collect())
}

/// The answer over [`caches`], however it is come by.
pub fn rows(text: &str) -> Result<String, Diagnostic> {
    let answer = |template, pushdown| -> Result<Output, Diagnostic> {
        let plan = plan(text, kernel(template, pushdown))?;
        let rows = run(&plan, &caches());
        Ok(exec::run(&plan, rows, &Machine, &Fixture::new(), Warnings::default()).unwrap())
    };
    let output = answer(Template::OpenCoded, false)?;
    for template in [Template::OpenCoded, Template::Iter] {
        let pushed = answer(template, true)?;
        assert_eq!(pushed.rows, output.rows, "in the kernel by {}: {text}", template.name());
        assert_eq!(pushed.columns, output.columns, "{text}");
    }
    let line = |cells: Vec<String>| cells.join(" | ") + "\n";
    let mut out = line(output.columns.iter().map(|column| column.name.clone()).collect());
    for row in &output.rows {
        let cells = row.iter().zip(&output.columns).map(|(value, column)| shown(value, column.ty));
        out.push_str(&line(cells.collect()));
    }
    for note in &output.warnings {
        writeln!(out, "note: {note}").unwrap();
    }
    Ok(out)
}

fn shown(value: &Value, ty: Type) -> String {
    let text = |text: &[u8]| format!("'{}'", String::from_utf8_lossy(text));
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) if ty.is_flags() => format!("{value:#x}"),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => digits(*value),
        Value::Text(value) => text(value),
        Value::List(list) => {
            let list: Vec<String> = list.iter().map(|item| text(item)).collect();
            format!("[{}]", list.join(", "))
        }
    }
}
