//! `.help`: the table of commands, or one of them.

use std::io::Write;

use query::syntax::Keyword;
use query::{aggregate, function};

use super::catalog;
use super::row::{Command, Next, found, listed, unknown, write};
use crate::report::error::Failure;
use crate::shell::session::Session;

/// The columns of a command's call.
const CALL: usize = 26;

/// What a query is made of, for those who look a keyword up.
const QUERY: &str = "\
select [distinct] item, … [from table] [where condition] [group by key, …] [having condition]
  [order by key [desc], …] [limit count] [offset count]
";

/// `.help [COMMAND]`: of a word that is no command, what it is in a query.
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
    let function = function::find(&word).map(|found| (found.call, found.described()));
    let aggregate = || aggregate::find(&word).map(|found| (found.call, found.described()));
    if let Some((call, doc)) = function.or_else(aggregate) {
        return write(out, &format!("{call}\n  {doc}\n"));
    }
    if query::catalog::table(&word).is_some() {
        return catalog::schema(session, &word, out);
    }
    if query::catalog::TABLES.iter().any(|table| table.column(&word).is_some()) {
        return catalog::why(session, &word, out);
    }
    if Keyword::find(&word).is_some() {
        return write(out, QUERY);
    }
    Err(unknown(commands, if name.starts_with(['.', '\\']) { name } else { &dotted }))
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
