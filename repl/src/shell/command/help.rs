//! `.help`: the table of commands, or one of them.

use std::io::Write;

use super::{COMMANDS, Command, Next, find, listed, unknown, write};
use crate::report::error::Failure;
use crate::shell::session::Session;

/// The columns of a command's call.
const CALL: usize = 26;

/// `.help [COMMAND]`.
pub fn help(_: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        return write(out, &all());
    }
    // With or without its dot.
    let dotted = format!(".{name}");
    let command = find(name).or_else(|| find(&dotted)).ok_or_else(|| {
        let call = if name.starts_with(['.', '\\']) { name } else { &dotted };
        unknown(call)
    })?;
    write(out, &one(command))
}

fn all() -> String {
    let mut text = String::from("A query ends with `;`. Commands are a line each:\n");
    for command in COMMANDS.iter().filter(|command| command.name.starts_with('.')) {
        text.push_str(&format!("  {}\n", listed(&command.call(), CALL, 2, command.doc)));
    }
    let of_psql = COMMANDS
        .iter()
        .flat_map(|command| [command.name].into_iter().chain(command.aliases.iter().copied()));
    let of_psql: Vec<&str> = of_psql.filter(|name| name.starts_with('\\')).collect();
    text.push_str(&format!("As in psql: {}. `.help NAME` tells of one.\n", of_psql.join(" ")));
    text.push_str("Try: select name, size, objects where objects > 1000 order by objects desc;\n");
    text
}

fn one(command: &Command) -> String {
    let mut text = format!("{}\n  {}\n", command.call(), command.doc);
    if let Some(words) = command.takes.words() {
        text.push_str(&format!("  There are {}.\n", words.join(", ")));
    }
    if !command.aliases.is_empty() {
        let aliases: Vec<String> =
            command.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        text.push_str(&format!("  Also {}.\n", aliases.join(", ")));
    }
    text
}
