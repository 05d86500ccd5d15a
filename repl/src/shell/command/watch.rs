//! `.watch [INTERVAL] [QUERY]`

use std::io::Write;

use query::syntax::ast::Statement;
use query::syntax::parse_given;

use super::Next;
use crate::features::watch::interval;
use crate::report::error::Failure;
use crate::shell::session::Session;

/// Watches a query, or else the last one.
pub fn run(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (first, rest) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let (interval, query) = if first.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        (interval::parse(first)?, rest.trim())
    } else {
        (interval::DEFAULT, argument)
    };
    let query = if query.is_empty() { last(session)? } else { query.to_owned() };
    session.run(&format!("watch {}ms {query}", interval.as_millis()), None, out)?;
    Ok(Next::Prompt)
}

/// The query that ran last, without what stood around it.
fn last(session: &Session) -> Result<String, Failure> {
    let statements = parse_given(&session.last, &session.parameters).unwrap_or_default();
    let query = |(statement, _): &(Statement, _)| statement.query().cloned();
    let query = statements.iter().rev().find_map(query);
    query.map(|query| query.to_string()).ok_or_else(|| {
        let help = "`.watch 1s select name, active`";
        Failure::command("there is no query yet that could be watched", Some(help))
    })
}
