//! Lists the members of the kernel's structs: `.schema s->kobj`.

use query::capabilities::Capabilities;
use query::diagnostic::{Diagnostic, Span};
use query::path::{Base, Listed, Roots, list};
use query::syntax::ast::{Argument, Expr, ExprKind, Item, Path, Statement};
use query::syntax::parse_text;

use crate::report::error::Failure;
use crate::report::escape::printable;

/// What makes a query of a path.
const SELECT: &str = "select ";

/// Whether `.schema text` asks for a struct, and not for a table.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.contains("->") || Base::ALL.iter().any(|base| base.name() == &text[..end])
}

/// The members of the struct that `text` leads to, a line each.
pub fn describe(capabilities: &dyn Capabilities, text: &str) -> Result<String, Failure> {
    let Some(schema) = capabilities.schema() else {
        let message = "a recording has no members";
        return Err(Failure::command(message, Some("only the running kernel has members")));
    };
    let wrong = |mut diagnostic: Diagnostic| {
        // The query's text is the user's with a word before it.
        let Span { start, end } = diagnostic.span;
        let shorter = |at: usize| at.saturating_sub(SELECT.len()).min(text.len());
        diagnostic.span = Span { start: shorter(start), end: shorter(end) };
        Failure::query(diagnostic, text, None)
    };
    let (path, arguments) = path(&format!("{SELECT}{text}")).map_err(wrong)?;
    let Some(base) = Base::ALL.into_iter().find(|base| base.name() == path.base.name) else {
        let help = "paths start with `s`, the cache; `n`, a node; `slab`; or `o`, an object";
        let error = Diagnostic::new(path.base.span, format!("unknown struct `{}`", path.base.name));
        return Err(wrong(error.help(help)));
    };
    if base == Base::Object && arguments.is_empty() {
        let message = "which struct an object is depends on its cache";
        let help = format!("`.schema {path} from objects('dentry')` lists the members");
        return Err(wrong(Diagnostic::new(path.base.span, message).help(help)));
    }
    let root = Roots::new(&arguments).of(schema, base, path.base.span).map_err(wrong)?;
    let (spelling, size, members) = list(schema, &root, &path).map_err(wrong)?;
    let mut lines = format!("{spelling}: {size} bytes\n");
    lines.extend(members.iter().map(line));
    Ok(lines)
}

/// The path that a query selects, and what is handed to its table.
fn path(text: &str) -> Result<(Path, Vec<Argument>), Diagnostic> {
    let statement = parse_text(text)?.into_iter().next();
    let Some((Statement::Query(query), _)) = statement else {
        return Err(Diagnostic::new(Span::default(), "expected a path"));
    };
    let (span, arguments) = (query.span, query.arguments);
    let path = match query.items.into_iter().next() {
        Some(Item::Expr { expr: Expr { kind: ExprKind::Path(path), .. }, alias: None }) => path,
        Some(Item::Expr { expr: Expr { kind: ExprKind::Column(base), .. }, alias: None }) => {
            Path { base, steps: Vec::new() }
        }
        _ => {
            let error = Diagnostic::new(span, "this is not a path");
            return Err(error.help("`.schema s->kobj` lists members"));
        }
    };
    Ok((path, arguments))
}

/// A member: its offset, its size, its type and its name, as `pahole` orders them.
fn line(member: &Listed) -> String {
    let Listed { name, ty, offset, size, bits, depth } = member;
    let place = match bits {
        Some((first, 1)) => format!("{offset}:{first}  1 bit"),
        Some((first, count)) => format!("{offset}:{first}  {count} bits"),
        None => format!("{offset}  {size}"),
    };
    let indent = "  ".repeat(*depth);
    let name = if name.is_empty() { "(unnamed)" } else { name };
    let line = format!("  {place:14} {indent}{name:24} {ty}");
    printable(line.as_bytes()) + "\n"
}
