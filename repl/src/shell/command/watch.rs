//! `.watch [INTERVAL] [QUERY]`

use std::io::Write;

use query::syntax::ast::Statement;
use query::syntax::parse_given;

use super::row::Next;
use crate::features::watch::{Options, interval};
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::shell::session::Session;

/// How it is called, for those who call it otherwise.
pub const CALL: &str = "`.watch 2s`, `\\watch 2`, `\\watch i=2 c=5`";

/// Watches a query, or else the last one.
pub fn run(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (Options { interval, count, .. }, query) = options(argument)?;
    let query = if query.is_empty() { last(session)? } else { query.to_owned() };
    let count = count.map_or(String::new(), |count| format!("count {count} "));
    session.run(&format!("watch {}ms {count}{query}", interval.as_millis()), None, out)?;
    Ok(Next::Prompt)
}

/// What `.top` watches: what there is no room for is hidden from the right.
const TOP: &str = "select name, memory, rate(memory) as growth, sparkline(memory) as history, active, utilization, \
    slabs, objects, size, objects_per_slab, pages_per_slab where slabs > 0 order by memory desc";

/// `.top [INTERVAL]`: watches the largest caches, as slabtop does. What the command line says of watches holds for it.
pub fn top(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let line = session.watch.map_or(String::new(), |line| {
        let count = line.count.map_or(String::new(), |count| format!("c={count} "));
        format!("i={}ms {count}", line.interval.as_millis())
    });
    let words = format!("{line}{argument}");
    let (_, rest) = options(&words)?;
    if !rest.is_empty() {
        let help = "`.top 2s`, and then the keys of slabtop sort it: `c` by memory, `a` by active objects; `.watch 2s select …` watches a query";
        return Err(Failure::command("`.top` takes only an interval", Some(help)));
    }
    session.opens = true;
    let ran = run(session, &format!("{words} {TOP}"), out);
    session.opens = false;
    ran
}

/// The interval and the number of ticks that an argument begins with, and what is left of it: `2s`, `0.5`, and as psql
/// has them `i=2 c=5`; `2s count 5` as statements have them.
pub fn options(argument: &str) -> Result<(Options, &str), Failure> {
    let mut options = Options { interval: interval::DEFAULT, count: None, until: None };
    let mut rest = argument.trim();
    loop {
        let (word, mut behind) = first(rest);
        match word.split_once('=') {
            Some(("i" | "interval", value)) => options.interval = interval::parse(value)?,
            Some(("c" | "count", value)) => options.count = Some(ticks(value)?),
            Some(("m" | "min_rows", _)) => {
                let help = "`slabql --watch 1s --until-empty 'select …'` ends with an empty answer";
                return Err(Failure::command(format!("`{word}` is not supported"), Some(help)));
            }
            None if word == "count" => {
                let (count, after) = first(behind);
                options.count = Some(ticks(count)?);
                behind = after;
            }
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                options.interval = interval::parse(word)?;
            }
            _ => return Ok((options, rest)),
        }
        rest = behind;
    }
}

/// The first word of a text, and what comes behind it.
fn first(text: &str) -> (&str, &str) {
    let (word, behind) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, behind.trim_start())
}

/// The number of ticks that a word is.
fn ticks(word: &str) -> Result<u64, Failure> {
    word.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| Failure::command(format!("`{word}` is no number of ticks"), Some(CALL)))
}

/// The query that ran last, without what stood around it.
fn last(session: &Session) -> Result<String, Failure> {
    let statements = parse_given(&session.last, &session.parameters, &signals::happened);
    signals::check()?;
    let statements = statements.unwrap_or_default();
    let query = |(statement, _): &(Statement, _)| statement.query().cloned();
    let query = statements.iter().rev().find_map(query);
    query.map(|query| query.to_string()).ok_or_else(|| {
        let help = "`.watch 1s select name, active`";
        Failure::command("there is no query to watch yet", Some(help))
    })
}
