//! `.help`: the table of commands, or what a word is: a command, a setting, or a part of a query.

use std::io::Write;

use query::catalog::host::FLAG_MEANINGS;
use query::catalog::{Column, Table};
use query::syntax::Keyword;
use query::{aggregate, function};

use super::catalog;
use super::row::{Command, Next, found, instead_of, listed, unknown, write};
use crate::report::error::Failure;
use crate::shell::session::Session;
use crate::shell::setting::{self, Setting};

/// The columns of a command's call.
const CALL: usize = 26;

/// What a query is made of, for those who look a keyword up.
const QUERY: &str = "\
select [distinct] item, … [from table] [where condition] [group by key, …] [having condition]
  [order by key [desc], …] [limit count] [offset count] [format name]
";

/// The clauses and operators of a query, each with a sentence and an example.
#[rustfmt::skip]
const CLAUSES: &[(&str, &str, &str)] = &[
    ("select", "What is asked for: columns, expressions, aggregates; `*` is a choice of columns, `all` is every one.", "select name, memory / 1024 / 1024 as MiB"),
    ("distinct", "Leaves out rows that repeat another one.", "select distinct kmalloc_type"),
    ("from", "The table; `caches` if it is left out.", "select name, node, slabs from nodes"),
    ("where", "Which rows are wanted. Whatever the kernel can decide never leaves it.", "select name where objects > 1000 and name not like 'kmalloc-%'"),
    ("group", "One row for all rows with the same keys, for aggregates.", "select kmalloc_type, sum(memory) group by kmalloc_type"),
    ("having", "Which groups are wanted.", "select size, count(*) group by size having count(*) > 3"),
    ("order", "Sorts the answer by columns, expressions or positions in the select list; NULL comes last.", "select name, memory order by memory desc, name"),
    ("limit", "The most rows that are wanted. `offset` leaves out the first ones.", "select name order by size limit 10 offset 10"),
    ("offset", "Leaves out the first rows of the answer.", "select name order by size limit 10 offset 10"),
    ("format", "How this one answer is written.", "select name, memory limit 3 format json"),
    ("as", "Gives a column of the answer a name, which other clauses know.", "select name, size * objects as bytes order by bytes desc"),
    ("with", "`with totals` adds a row over all groups, computed from all rows.", "select kmalloc_type, sum(memory) group by kmalloc_type with totals"),
    ("filter", "An aggregate over the rows of a condition.", "select count(*) filter (where size > 1k)"),
    ("over", "An aggregate over all rows of the answer, beside each of them.", "select name, 100 * memory / sum(memory) over () as part"),
    ("and", "Both conditions hold; with `or` one of them, with `not` the opposite. NULL is neither true nor false.", "select name where size > 64 and not reclaimable"),
    ("between", "Whether a value lies between two others, both included.", "select name where size between 64 and 128"),
    ("in", "Whether a value is in a list, or in the answer of a subquery.", "select size where name in ('dentry', 'filp')"),
    ("like", "Whether a text has a pattern: `%` is any characters, `_` one. `ilike` ignores case, `glob` has `*` and `?`, and `~` tests a regular expression.", "select name where name like 'kmalloc-%'"),
    ("has", "Whether flags have one of this name; `has any (…)` and `has all (…)` test several.", "select name where flags has any (ACCOUNT, RECLAIM_ACCOUNT)"),
    ("is", "Tests for `null`, `true` or `false`, which `=` cannot; `is distinct from` takes NULL for a value.", "select name where ctor is not null"),
    ("case", "The first value whose condition holds: `when` … `then` …, else that behind `else`.", "select name, case when size > 4k then 'large' else 'small' end as class"),
    ("cast", "Makes another type of a value.", "select cast(size as text)"),
    ("explain", "Shows the plan of a query and its program; `explain analyze` runs it and counts.", "explain analyze select name where objects > 1000"),
    ("watch", "Repeats a query.", "watch 2s select name, active, delta(active) where delta(active) != 0"),
    ("trace", "Answers a query over what the kernel allocates and frees for a while; `trace 5s sample 16 …` follows one object of 16, `watch 1s trace …` goes on.", "trace 5s select name, count(*) from allocations group by name"),
    ("whatis", "Says what lies at kernel addresses.", "whatis ffff888100bea600"),
];

/// `.help [WORD]`: of a word that is no command, what it is in a query.
pub fn help(
    commands: &'static [Command],
    session: &mut Session,
    name: &str,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    if name.is_empty() {
        return write(out, &all(commands));
    }
    // With or without its dot.
    let dotted = format!(".{name}");
    if let Some(command) = found(commands, name).or_else(|| found(commands, &dotted)) {
        return write(out, &one(commands, command));
    }
    let word = name.to_lowercase();
    // `order by` and `is null` are known by their first words, options by their names.
    let word = word.split_whitespace().next().unwrap_or_default();
    let (option, word) = (word.starts_with("--"), word.trim_start_matches("--").to_owned());
    let clause = CLAUSES.iter().find(|(clause, ..)| *clause == word).filter(|_| !option);
    if let Some((_, doc, example)) = clause {
        write(out, &format!("{QUERY}\n  {doc}\n  {example}\n"))?;
    }
    let in_query = !option && query_word(session, &word, out)?;
    if in_query || clause.is_some() {
        return Ok(Next::Prompt);
    }
    let flag = name.to_uppercase();
    let flag = flag.strip_prefix("SLAB_").unwrap_or(&flag);
    if let Some((flag, meaning)) = FLAG_MEANINGS.iter().find(|(found, _)| *found == flag) {
        let example = format!("select name where flags has {flag}");
        return write(out, &format!("{flag}, a flag of caches\n  {meaning}\n  {example}\n"));
    }
    let quoted = format!("`{word}`");
    let told = CLAUSES.iter().find(|(_, doc, _)| doc.contains(&quoted));
    if let Some((_, doc, example)) = told.filter(|_| !option) {
        return write(out, &format!("{QUERY}\n  {doc}\n  {example}\n"));
    }
    if Keyword::find(&word).is_some() && !option {
        return write(out, QUERY);
    }
    if let Ok(setting) = setting::find(&word) {
        let Setting { name, doc, .. } = setting;
        let calls = format!("`.config {name}`, --{name}, {}", setting.variable());
        return write(out, &format!("{name}, a setting: {calls}\n  {doc}\n"));
    }
    if name.starts_with(['.', '\\']) {
        return Err(unknown(commands, name));
    }
    if name.starts_with('-') {
        let help = "`slabql --help` describes the options of the command line";
        return Err(Failure::command(format!("`{name}` is no setting"), Some(help)));
    }
    let message = format!("there is no help on `{name}`");
    Err(Failure::command(message, Some(&instead_of(commands, &dotted))))
}

/// Writes what a word is in a query: a function, a table, columns, or several of these. Gives whether it is any.
fn query_word(session: &mut Session, word: &str, out: &mut dyn Write) -> Result<bool, Failure> {
    let function = function::find(word).map(|found| (found.call, found.described()));
    let aggregate = || aggregate::find(word).map(|found| (found.call, found.described()));
    let called = function.or_else(aggregate);
    if let Some((call, doc)) = &called {
        write(out, &format!("{call}\n  {doc}\n"))?;
    }
    let is_table = query::catalog::table(word).is_some();
    if is_table {
        catalog::schema(session, word, out)?;
    }
    let tables = query::catalog::TABLES.iter();
    let columns: Vec<_> = tables.filter_map(|table| Some((*table, table.column(word)?))).collect();
    if !columns.is_empty() && !is_table {
        let _ = session.engine.settle();
        let text = |(table, column): &(&'static Table, &'static Column)| {
            format!("in {}:\n{}", table.name, catalog::describe(session, table, column))
        };
        write(out, &columns.iter().map(text).collect::<String>())?;
    }
    Ok(called.is_some() || is_table || !columns.is_empty())
}

/// Whether a word is of the catalog: a function, an aggregate or a table.
pub fn knows(word: &str) -> bool {
    let word = word.to_lowercase();
    function::find(&word).is_some()
        || aggregate::find(&word).is_some()
        || query::catalog::table(&word).is_some()
}

fn all(commands: &[Command]) -> String {
    let mut text = String::from("End queries with `;`. A command is a line of its own:\n");
    for command in commands.iter().filter(|command| command.name.starts_with('.')) {
        text.push_str(&format!("  {}\n", listed(&command.call(), CALL, 2, command.doc)));
    }
    let of_psql = commands
        .iter()
        .flat_map(|command| [command.name].into_iter().chain(command.aliases.iter().copied()));
    let of_psql: Vec<&str> = of_psql.filter(|name| name.starts_with('\\')).collect();
    text.push_str(&format!("As in psql: {}. `.help NAME` describes one.\n", of_psql.join(" ")));
    text.push_str("Try: select name, size, objects where objects > 1000 order by objects desc;\n");
    text
}

fn one(commands: &[Command], command: &Command) -> String {
    let mut text = format!("{}\n  {}\n", command.call(), command.doc);
    if let Some(words) = command.takes.words(commands) {
        text.push_str(&format!("  There are {}.\n", words.join(", ")));
    }
    if !command.aliases.is_empty() {
        let aliases: Vec<String> =
            command.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        text.push_str(&format!("  Also {}.\n", aliases.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use query::syntax::parse_text;

    use super::*;

    #[test]
    fn clauses_have_examples_that_parse() {
        for (clause, doc, example) in CLAUSES {
            assert!(doc.ends_with('.') && example.contains(clause), "{clause}");
            assert!(parse_text(example).is_ok(), "{example}");
        }
        // Each word that a statement or a clause begins with is told of.
        let starts = query::complete::STARTS.iter().map(|(word, _)| word.text());
        let clauses = ["from", "where", "group", "having", "order", "limit", "offset", "format"];
        for word in starts.chain(clauses) {
            assert!(CLAUSES.iter().any(|(clause, ..)| *clause == word), "{word}");
        }
    }
}
