//! The command that writes a query as an object.

use std::io::Write;
use std::path::Path;

use query::codegen::NODES;
use query::diagnostic::Diagnostic;
use query::syntax::ast::Statement;
use query::syntax::{parameter, parse_given};

use super::row::Next;
use crate::engine::Asked;
use crate::features::export::{self, Exported, Form, pins};
use crate::file::path::{first, is_standard};
use crate::kernel::iter::Attached;
use crate::kernel::signals;
use crate::report::error::Failure;
use crate::report::message;
use crate::shell::parameters::assignment;
use crate::shell::session::Session;
use crate::sink::Medium;

/// What is called how.
const USAGE: &str = "`.export x.o select name, size where size > 1k`";

/// `.export FILE QUERY`.
pub fn export(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (file, query) = first(words).map_err(|message| Failure::command(message, Some(USAGE)))?;
    if query.is_empty() {
        return Err(Failure::command("`.export` takes a file and a query", Some(USAGE)));
    }
    write(session, &file, None, query, out)?;
    Ok(Next::Prompt)
}

/// Writes the query of a text as an object, or in the form that is asked for or that the name of the file means.
pub fn write(
    session: &mut Session,
    file: &Path,
    form: Option<Form>,
    text: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let form = form.unwrap_or_else(|| Form::of(file));
    if form == Form::Rows {
        export::rows::beside(file)?;
    }
    if form == Form::Text && is_standard(file) && session.settings.standard == Medium::Terminal {
        let help = "name a file, or send it on: `slabql export - 'select name' > x.o`";
        return Err(Failure::command("an object is no text for a terminal", Some(help)));
    }
    let exported = made(session, text, form)?;
    export::write(file, &exported, out)?;
    if !is_standard(file) {
        message::line(&format!("{}: {}", file.display(), exported.report));
    }
    Ok(())
}

/// Pins the query of a text as an iterator that those may read whom `mode` lets.
pub fn pin(session: &mut Session, name: &str, mode: u32, text: &str) -> Result<(), Failure> {
    let exported = made(session, text, Form::Text)?;
    let path = pins::pin(&exported.bytes, name, mode)?;
    message::line(&format!(
        "pinned: `cat {}`; `slabql unpin {name}` takes it away",
        path.display()
    ));
    Ok(())
}

/// The export of the query of a text.
fn made(session: &mut Session, text: &str, form: Form) -> Result<Exported, Failure> {
    let parameters = session.parameters.clone();
    let wrong = |diagnostic: Diagnostic| {
        Failure::query(parameter::explained(diagnostic, text, &parameters), text, None)
    };
    let statements = parse_given(text, &parameters, &signals::happened);
    signals::check()?;
    let statements = statements.map_err(wrong)?;
    let [(Statement::Query(query), _)] = statements.as_slice() else {
        let help = "`select name, size`";
        return Err(Failure::command("an export is made of one query", Some(help)));
    };
    session.note_parameters(text);
    let asked = Asked::new(query, text, &wrong);
    let exported = export::export(&mut session.engine, asked, &parameters, form)?;
    for note in &exported.notes {
        message::note(note);
    }
    Ok(exported)
}

/// Loads an object, whose variables get the values in `words`, and writes what it prints, or the answer that its rows are.
pub fn load(
    session: &mut Session,
    file: &Path,
    words: &[String],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let value = |word: &String| {
        let (name, value) = assignment(word)?;
        // What a comparison was lowered to holds for numbers that have a place with a sign and without.
        let number = value.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
        let wrong = || {
            let help = format!("a variable is a whole number from 0 to {}", i64::MAX);
            Failure::command(format!("`{value}` cannot be the value of `{name}`"), Some(&help))
        };
        let number = number.ok_or_else(wrong)?;
        if name == NODES {
            let message =
                format!("`{NODES}` is not to be set: slabql sets it to what this machine has");
            return Err(Failure::command(message, None));
        }
        Ok((name, number))
    };
    let values = words.iter().map(value).collect::<Result<Vec<_>, Failure>>()?;
    let object = export::read(file)?;
    let attached = Attached::load(&object, &values)?;
    if !attached.sends_rows {
        return export::print(attached, out);
    }
    let output = export::rows::answer(&mut session.engine, file, &object, attached)?;
    session.answer(&output, out)
}

/// Lists what is pinned.
pub fn pins(session: &mut Session, out: &mut dyn Write) -> Result<(), Failure> {
    session.answer(&pins::list()?, out)
}

/// Takes away what is pinned under a name.
pub fn unpin(name: &str) -> Result<(), Failure> {
    pins::unpin(name)
}

/// The forms that queries are exported in.
pub fn forms(out: &mut dyn Write) -> Result<(), Failure> {
    out.write_all(export::forms().as_bytes()).map_err(Failure::Write)
}
