//! The values of parameters: `--set`, `.set` and `.unset`, and the words `name=value` behind `.run` and `.report`.

use std::io::Write;

use query::suggest;
use query::syntax::parameter::{ParameterValues, is_name, names, value_length};

use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::shell::command::row::{Next, write};
use crate::shell::session::Session;

/// The name and the value of `name=value`, as an option of the command line has it.
pub fn assignment(word: &str) -> Result<(String, String), Failure> {
    let wrong = || {
        Failure::command(format!("`{word}` does not set a parameter"), Some("write `name=value`"))
    };
    let (name, value) = word.split_once('=').ok_or_else(wrong)?;
    let name = name.strip_prefix('$').unwrap_or(name);
    if is_name(name) { Ok((name.to_ascii_lowercase(), value.to_owned())) } else { Err(wrong()) }
}

/// The values in `name=value name='a b' …`.
pub fn assignments(text: &str) -> Result<ParameterValues, Failure> {
    let mut given = ParameterValues::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let value = rest.find(['=', ' ']).map_or(rest.len(), |at| at + 1);
        let length = value + value_length(&rest[value.min(rest.len())..]);
        let (word, behind) = rest.split_at(length);
        given.extend([assignment(word.trim_end())?]);
        rest = behind.trim_start();
    }
    Ok(given)
}

/// `.set`, `.set name`, `.set name value` and `.set name=value`.
pub fn set(session: &mut Session, argument: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let end = argument.find(|c: char| c == '=' || c.is_whitespace());
    let Some(end) = end else {
        return write(out, &shown(session, argument)?);
    };
    let value = argument[end..].trim_start();
    let value = value.strip_prefix('=').unwrap_or(value).trim();
    let (name, value) = assignment(&format!("{}={value}", argument[..end].trim()))?;
    session.parameters.insert(name, value);
    Ok(Next::Prompt)
}

/// The line of a parameter, or of all.
fn shown(session: &Session, name: &str) -> Result<String, Failure> {
    let line =
        |(name, value): (&String, &String)| format!("{name} = {}\n", printable(value.as_bytes()));
    if name.is_empty() {
        return Ok(session.parameters.iter().map(line).collect());
    }
    let (name, _) = assignment(&format!("{name}="))?;
    let found = session.parameters.get_key_value(&name);
    found.map(line).ok_or_else(|| not_set(session, &name))
}

/// `.unset name`.
pub fn unset(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let (name, _) = assignment(&format!("{name}="))?;
    if session.parameters.remove(&name).is_none() {
        return Err(not_set(session, &name));
    }
    Ok(Next::Prompt)
}

fn not_set(session: &Session, name: &str) -> Failure {
    let help = suggest::meant(name, session.parameters.keys().map(String::as_str));
    Failure::command(format!("`${name}` is not set"), help.as_deref())
}

/// Whether every value of `given` is of a parameter that `text`, called `title`, has.
pub fn all_known(given: &ParameterValues, text: &str, title: &str) -> Result<(), Failure> {
    let names = names(text);
    let Some(unknown) = given.keys().find(|name| !names.contains(*name)) else { return Ok(()) };
    let help = suggest::help(unknown, names.iter().map(String::as_str))
        .unwrap_or_else(|| "it has no parameters".to_owned());
    Err(Failure::command(format!("{title} has no parameter `${unknown}`"), Some(&help)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_give_values() {
        let given = |text: &str| assignments(text).map_err(|failure| failure.text());
        let of = |pairs: &[(&str, &str)]| {
            Ok(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        assert_eq!(given("  "), of(&[]));
        assert_eq!(
            given("min=1MiB  Like='a ''b' $x= y=a=b"),
            of(&[("min", "1MiB"), ("like", "'a ''b'"), ("x", ""), ("y", "a=b")])
        );
        for wrong in ["min", "1=2", "=2", "min = 2", "a=1 b"] {
            let text = given(wrong).unwrap_err();
            assert!(text.ends_with("help: write `name=value`\n"), "{wrong}: {text}");
        }
    }
}
