//! The commands that look at an answer: shows the last one again, sums one up, and goes from a row to its parts.

use std::io::Write;

use query::catalog::{Table, caches, host, parts};
use query::suggest;
use query::value::Value;

use super::row::{Next, Script};
use crate::features::input::Text;
use crate::features::summary;
use crate::report::error::Failure;
use crate::shell::session::Session;
use crate::shell::setting::{self, Origin};

/// `.last [FORMAT]`: shows the last answer again, with all of its rows.
pub fn last(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let mut settings = session.settings.clone();
    if !name.is_empty() {
        setting::set(&mut settings, "format", name, Origin::Command).map_err(Failure::Command)?;
    }
    let before = std::mem::replace(&mut session.settings.format, settings.format);
    let written = session.again(out);
    session.settings.format = before;
    written.map(|()| Next::Prompt)
}

/// `.summarize [QUERY]`: what is in each column of a query's answer, or of the last one.
pub fn summarize(session: &mut Session, query: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let output =
        if query.is_empty() { session.latest()?.output.clone() } else { session.gather(query)? };
    let options = session.options();
    let for_people = session.format().for_people;
    // What is summed up stays the last answer: of it there is more to ask.
    let latest = session.latest.take();
    let written = session.answer(&summary::summary(&output, &options, for_people), out);
    session.latest = latest;
    written.map(|()| Next::Prompt)
}

/// `.freq COLUMN [from …] [where …]`: how often each value of a column is there.
pub fn freq(_: &mut Session, words: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let (column, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
    if column.is_empty() {
        let help = "`.freq kmalloc_type`, `.freq state from slabs`, `.freq size where objects > 0`";
        return Err(Failure::command("`.freq` takes a column", Some(help)));
    }
    let text = format!(
        "select {column}, count(*) as rows, share(count(*)) as share{} group by {column} order by rows desc",
        if rest.is_empty() { String::new() } else { format!(" {}", rest.trim()) }
    );
    Ok(Next::Run(Box::new(Script {
        text: Text { text, file: None, path: None },
        given: None,
        aside: false,
    })))
}

/// `.open NAME`: all there is of a cache: its columns, its other names, its nodes and CPUs.
pub fn open(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let name = name.trim_matches(['\'', '"', '`']);
    if name.is_empty() {
        return Err(Failure::command("`.open` takes the name of a cache", Some("`.open dentry`")));
    }
    let name = own_name(session, name)?.replace('\'', "''");
    let kind = session.engine.source().kind();
    let all = |table: &'static Table| {
        let columns = table.shown().map(|column| column.name);
        format!("select {}", columns.collect::<Vec<_>>().join(", "))
    };
    let mut text = format!("{} where name = '{name}' format vertical;\n", all(&caches::CACHES));
    for table in [&host::ALIASES, &parts::NODES, &parts::CPUS] {
        if kind.has(table.rows) {
            text.push_str(&format!("select * from {} where name = '{name}';\n", table.name));
        }
    }
    Ok(Next::Run(Box::new(Script {
        text: Text { text, file: None, path: None },
        given: None,
        aside: true,
    })))
}

/// The name of the cache that is called so, itself or by an alias.
fn own_name(session: &mut Session, name: &str) -> Result<String, Failure> {
    let quoted = name.replace('\'', "''");
    let found = session.gather(&format!("select name where alias_of('{quoted}') limit 1"))?;
    let text = |row: &Vec<Value>| match row.first() {
        Some(Value::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    if let Some(own) = found.rows.first().and_then(text) {
        return Ok(own);
    }
    let names = session.gather("select name")?;
    let names: Vec<String> = names.rows.iter().filter_map(text).collect();
    let help = suggest::meant(name, names.iter().map(String::as_str));
    let help = help.unwrap_or_else(|| "`select name` lists the caches".to_owned());
    Err(Failure::command(format!("there is no cache `{name}`"), Some(&help)))
}
