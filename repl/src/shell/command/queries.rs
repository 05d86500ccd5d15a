//! The commands that speak of queries: how one runs, which parameters it has, which source answers.

use std::io::Write;

use query::syntax::ast::Statement;
use query::syntax::parameter::{Declaration, declarations, names};
use query::syntax::parse_given;

use super::row::{Next, Script, write};
use crate::features::input::Text;
use crate::features::library;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::shell::session::Session;
use crate::source::kind::Kind;

/// `.explain [analyze] [QUERY]`: explains a query, or the last one.
pub fn explain(session: &mut Session, argument: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let (explain, query) = match argument.split_once(char::is_whitespace) {
        _ if argument == "analyze" => ("explain analyze ", ""),
        Some(("analyze", query)) => ("explain analyze ", query.trim()),
        _ => ("explain ", argument),
    };
    let runs = explain != "explain ";
    let query = if query.is_empty() { last(session, runs)? } else { query.to_owned() };
    let text = Text { text: format!("{explain}{query}"), file: None, path: None };
    // What is explained is no new last query.
    Ok(Next::Run(Box::new(Script { text, given: None, aside: true, report: false })))
}

/// The last query, without the `explain` that it may have had. A trace that `runs` again is explained as a whole.
fn last(session: &Session, runs: bool) -> Result<String, Failure> {
    let none = || no_query("explain", "run one first");
    let text = &session.last;
    let statements = parse_given(text, &session.parameters, &signals::happened);
    signals::check()?;
    let statements = statements.map_err(|_| none())?;
    let (statement, span) = statements.last().ok_or_else(none)?;
    // Declarations of parameters stand before the statements.
    let declared = text[..span.start].lines().filter(|line| line.starts_with("--"));
    let declared: String = declared.map(|line| format!("\n{line}")).collect();
    let query = &text[span.start..span.end];
    let inner = statement.query().ok_or_else(none)?;
    let query = match statement {
        // What is watched or traced has the plan.
        Statement::Watch(_) => inner.to_string(),
        Statement::Trace(_) | Statement::AnalyzeTrace(_) if !runs => inner.to_string(),
        _ => behind(behind(query, "explain"), "analyze").to_owned(),
    };
    Ok(if declared.is_empty() { query } else { format!("{declared}\n{query}") })
}

fn no_query(what: &str, help: &str) -> Failure {
    Failure::command(format!("there is no query to {what}"), Some(help))
}

/// What stands behind a word, if the text begins with it.
fn behind<'a>(text: &'a str, word: &str) -> &'a str {
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) if first.eq_ignore_ascii_case(word) => rest.trim_start(),
        _ => text,
    }
}

/// `.params [NAME]`: the parameters of the last query, or of a saved query or a report.
pub fn params(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let text = if name.is_empty() {
        session.last.clone()
    } else {
        library::text_of(name, ".params")?.text
    };
    let declared = declarations(&text).unwrap_or_default();
    let used = names(&text).into_iter();
    let mut lines: String = used
        .map(|name| {
            let declaration = declared.iter().find(|declaration| declaration.name == name);
            line(session, &name, declaration)
        })
        .collect();
    if lines.is_empty() {
        let what = match name {
            "" if text.is_empty() => {
                return Err(no_query("look at", "`.params NAME` describes a saved one"));
            }
            "" => "the last query",
            name => name,
        };
        lines = format!("{what} has no parameters\n");
    }
    write(out, &lines)
}

/// The line of a parameter: its name, its type, its value, and what it is.
fn line(session: &Session, name: &str, declared: Option<&Declaration>) -> String {
    let kind = declared.map_or("", |declared| declared.kind.name());
    let doc = declared.map_or("", |declared| declared.doc.as_str());
    let default = declared.and_then(|declared| declared.default.as_deref());
    let value = match (session.parameters.get(name), default) {
        (Some(given), _) => format!("= {given}"),
        (None, Some(default)) => format!("= {default} by default"),
        (None, None) => "has no value".to_owned(),
    };
    let name = format!("${name}");
    let line = format!("{name:12} {kind:6} {value:24} {doc}");
    format!("{}\n", printable(line.trim_end().as_bytes()))
}

/// `.source [SOURCE]`: what answers, and of which kernel; or what is to answer.
pub fn source(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if let Some(kind) = Kind::of(name) {
        return session.engine.switch(kind).map(|()| Next::Prompt);
    }
    if !name.is_empty() {
        let names = Kind::NAMED.map(Kind::name).join("`, `");
        let message = format!("there is no source `{name}`");
        return Err(Failure::command(message, Some(&format!("there are `{names}`"))));
    }
    // Where no source answers, the best one is told.
    let _ = session.engine.settle();
    let (source, label) = (session.engine.source(), session.engine.label());
    let text = label.unwrap_or_else(|| format!("the running kernel: Linux {}", source.release()));
    write(out, &format!("{}\n", printable(text.as_bytes())))
}
