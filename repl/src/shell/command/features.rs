//! The commands that stand for features.

use std::io::{self, IsTerminal, Write};

use super::row::{Next, path};
use crate::features::doctor::Finding;
use crate::features::trace::leak::Leak;
use crate::features::{check, diff, doctor, snapshot, verify};
use crate::file::path::words as words_of;
use crate::report::error::Failure;
use crate::report::message;
use crate::shell::session::Session;
use crate::shell::setting::Settings;

/// The most wrong figures that are told one by one.
const TOLD: usize = 10;

/// `.verify`: shows the table, and fails if a figure is wrong.
pub fn verify(session: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let (output, wrong) = verify::verify(&mut session.engine)?;
    session.answer(&output, out)?;
    if wrong.is_empty() {
        return Ok(Next::Prompt);
    }
    for text in wrong.iter().take(TOLD) {
        message::note(text);
    }
    let plural = if wrong.len() == 1 { "figure is" } else { "figures are" };
    let message = format!("{} {plural} different from the kernel's", wrong.len());
    Err(Failure::command(message, None))
}

/// `.check [CACHE]`.
pub fn check(session: &mut Session, name: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(name).map_err(|message| Failure::command(message, None))?;
    let name = match words.as_slice() {
        [] => None,
        [name] => Some(name.as_str()),
        _ => return Err(Failure::command("`.check` takes the name of one cache", None)),
    };
    show_check(session, name, out)
}

/// Shows what is wrong with slabs, and fails if something is.
pub fn show_check(
    session: &mut Session,
    name: Option<&str>,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let checked = check::check(&session.engine, name)?;
    session.answer(&checked.output, out)?;
    let plural = |count: u64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    if checked.unsettled > 0 {
        let slabs = plural(checked.unsettled as u64, "slab");
        message::note(&format!("{slabs} changed at every look: nothing is known of them"));
    }
    let of = plural(checked.caches as u64, "cache");
    let slabs = plural(checked.slabs, "slab");
    let faults = checked.output.rows.len() as u64;
    if faults == 0 {
        message::line(&format!("{slabs} of {of} checked: nothing is wrong"));
        return Ok(Next::Prompt);
    }
    let faults = plural(faults, "fault");
    Err(Failure::command(format!("{faults} found in {slabs} of {of}"), None))
}

/// `.whatis ADDRESS…`.
pub fn whatis(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    session.run(&format!("whatis {words}"), None, out)?;
    Ok(Next::Prompt)
}

/// `.leak [CACHE] [DURATION] [sample N]`.
pub fn leak(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(words).map_err(|message| Failure::command(message, None))?;
    show_leak(session, &words.iter().map(String::as_str).collect::<Vec<_>>(), out)
}

/// Shows what is allocated for a while and still held.
pub fn show_leak(
    session: &mut Session,
    words: &[&str],
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let leak = Leak::of(&mut session.engine, words)?;
    leak.note.iter().for_each(|note| message::note(note));
    let traced = session.run(&leak.query(&session.engine), None, out);
    let kind = session.engine.source().kind();
    if matches!(traced, Err(Failure::Environment(_))) && kind.is_here() && !kind.reads_memory() {
        message::note(&format!(
            "the source `{}` cannot trace: these are the caches that grew, without who allocated",
            kind.name()
        ));
        let grown = leak.grown(&mut session.engine)?;
        session.answer(&grown, out)?;
        return Ok(Next::Prompt);
    }
    traced?;
    Ok(Next::Prompt)
}

/// `.doctor`: a text, unless a format was chosen.
pub fn doctor(session: &mut Session, _: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    show_doctor(&doctor::examine(), &session.settings, out)
}

/// Shows what the doctor found.
pub fn show_doctor(
    findings: &[Finding],
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    if let Some(format) = settings.format {
        if format.for_people {
            message::line(&doctor::verdict(findings));
        }
        settings.answer(&doctor::output(findings), out)?;
    } else {
        let text = doctor::report(findings, &settings.options());
        out.write_all(text.as_bytes()).map_err(Failure::Write)?;
    }
    Ok(Next::Prompt)
}

/// `.snapshot save NAME`, `.snapshot list`, `.snapshot drop NAME`.
pub fn snapshot(
    session: &mut Session,
    argument: &str,
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let (action, word) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
    let word = path(word)?.to_string_lossy().into_owned();
    match (action, word.as_str()) {
        ("save", word) if !word.is_empty() => snapshot::save(&mut session.engine, word, out)?,
        ("drop", word) if !word.is_empty() => snapshot::remove(word)?,
        ("list" | "", "") => {
            let output = snapshot::list()?;
            if output.rows.is_empty() && io::stdout().is_terminal() {
                message::line("none; `.snapshot save NAME` makes one");
            }
            session.answer(&output, out)?;
        }
        _ => {
            let help = "`.snapshot save before`, `.snapshot drop before`, `.snapshot list`";
            return Err(Failure::command("`.snapshot` saves, drops or lists", Some(help)));
        }
    }
    Ok(Next::Prompt)
}

/// `.diff A [B]`.
pub fn diff(session: &mut Session, words: &str, out: &mut dyn Write) -> Result<Next, Failure> {
    let words = words_of(words).map_err(|message| Failure::command(message, None))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    show_diff(session, &words, out)
}

/// Shows what differs between two moments, and what all of it comes to.
pub fn show_diff(
    session: &mut Session,
    words: &[&str],
    out: &mut dyn Write,
) -> Result<Next, Failure> {
    let options = session.settings.options();
    let (output, total) = diff::diff(&mut session.engine, words, &options)?;
    for note in &output.warnings {
        message::note(note);
    }
    session.answer(&output, out)?;
    message::line(&total);
    Ok(Next::Prompt)
}
