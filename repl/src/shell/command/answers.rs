//! The commands that look at an answer: shows the last one again, sums one up, and goes from a row to its parts.

use std::io::Write;

use query::catalog::{self, caches};
use query::suggest;
use query::syntax::quoted;
use query::value::Value;

use super::row::{Next, Script, path, write};
use crate::features::cache;
use crate::features::chart::{Chart, Kind};
use crate::features::input::Text;
use crate::features::summary;
use crate::file::path::words as words_of;
use crate::file::whole::{Readers, WholeFile};
use crate::render;
use crate::report::error::Failure;
use crate::report::terminal;
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

/// `.chart bar|line|hist [COLUMN] [FILE.svg|FILE.html]`: draws the last answer.
pub fn chart(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(words).map_err(|message| Failure::command(message, None))?;
    let (kind, mut rest) = match words.split_first() {
        Some((first, rest)) => (Kind::of(first), rest),
        None => (None, &[][..]),
    };
    let Some(kind) = kind else {
        let help = "`.chart bar`, `.chart line active`, `.chart hist size sizes.svg`";
        return Err(Failure::command("`.chart` draws a `bar`, a `line` or a `hist`", Some(help)));
    };
    let ends = |name: &str, ending: &str| name.to_ascii_lowercase().ends_with(ending);
    let is_file = |name: &str| ends(name, ".svg") || ends(name, ".html");
    let file = rest.split_last().filter(|(last, _)| is_file(last)).map(|(last, before)| {
        rest = before;
        last
    });
    if let [_, more, ..] = rest {
        let help = Some("the name of a file ends in `.svg` or `.html`");
        return Err(Failure::command(format!("`.chart` has no use for `{more}`"), help));
    }
    let sorted = session.latest()?.sorted.first().copied();
    let chart =
        Chart::new(kind, &session.latest_rows()?, rest.first().map(String::as_str), sorted)?;
    let options = session.options();
    let Some(file) = file else {
        return write(out, &chart.text(&options, terminal::columns()));
    };
    let path = path(file)?;
    let failed = |error: std::io::Error| Failure::file("write", &path, &error);
    let mut whole = WholeFile::create(&path, Readers::Usual).map_err(failed)?;
    let write = if ends(file, ".html") { Chart::html } else { Chart::svg };
    write(&chart, options, &mut whole).and_then(|()| whole.commit()).map_err(failed)?;
    Ok(Next::Prompt)
}

/// `.flame FILE.svg`: draws the stacks of the last answer as a flame graph.
pub fn flame(session: &mut Session, words: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(words).map_err(|message| Failure::command(message, None))?;
    let help = Some("`.flame stacks.svg`");
    let file = match words.as_slice() {
        [file] if file.to_ascii_lowercase().ends_with(".svg") => file,
        [_] => {
            return Err(Failure::command("the name of a flame graph's file ends in `.svg`", help));
        }
        _ => return Err(Failure::command("`.flame` takes a file", help)),
    };
    let output = session.latest_rows()?;
    render::is_flame(&output.columns).map_err(Failure::Write)?;
    let path = path(file)?;
    let failed = |error: std::io::Error| Failure::file("write", &path, &error);
    let mut whole = WholeFile::create(&path, Readers::Usual).map_err(failed)?;
    render::render(&render::SVG, &output, session.options(), &mut whole).map_err(Failure::Write)?;
    whole.commit().map_err(failed)?;
    Ok(Next::Prompt)
}

/// `.summarize [QUERY|TABLE]`: what is in each column of a query's answer, or of the last one.
pub fn summarize(session: &mut Session, query: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let output = if query.is_empty() {
        session.latest_rows()?
    } else if let Some(table) = catalog::table(query) {
        session.gather(&format!("select * from {}", table.name))?
    } else {
        session.gather(query)?
    };
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
        report: false,
    })))
}

/// `.open NAME`: all there is of a cache: its columns, its other names, its nodes and CPUs.
pub fn open(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let name = name.trim_matches(['\'', '"', '`']);
    if name.is_empty() {
        return Err(Failure::command("`.open` takes the name of a cache", Some("`.open dentry`")));
    }
    let name = own_name(session, name)?;
    let mut text = String::new();
    for (table, query) in cache::queries(session.engine.source().kind(), &name) {
        let format = if table == caches::CACHES.name { " format vertical" } else { "" };
        text.push_str(&format!("{query}{format};\n"));
    }
    Ok(Next::Run(Box::new(Script {
        text: Text { text, file: None, path: None },
        given: None,
        aside: true,
        report: false,
    })))
}

/// The name of the cache that is called so, itself or by an alias.
fn own_name(session: &mut Session, name: &str) -> Result<String, Failure> {
    let query = format!("select name where alias_of({}) limit 1", quoted(name));
    let found = session.gather(&query)?;
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
