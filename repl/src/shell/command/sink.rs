//! The commands that say where answers go.

use std::io::Write;
use std::path::PathBuf;

use super::row::{Next, path};
use crate::file::path::is_standard;
use crate::file::whole::{Readers, WholeFile};
use crate::report::error::Failure;
use crate::shell::session::Session;
use crate::sink::{Place, refuse_recording, refused};

/// `.output [FILE]`.
pub fn output(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let path = if name.is_empty() { None } else { file(name)? };
    session.sink.set_all(path);
    Ok(Next::Prompt)
}

/// `.once FILE`.
pub fn once(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        return Err(Failure::command("`.once` takes a file", Some("`.once caches.csv`")));
    }
    session.sink.set_once(file(name)?.map_or(Place::Standard, Place::File));
    Ok(Next::Prompt)
}

/// `.pipe COMMAND`.
pub fn pipe(session: &mut Session, command: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    if command.is_empty() {
        let help = Some("`.pipe jq .`");
        return Err(Failure::command("`.pipe` takes a command of the shell", help));
    }
    refused()?;
    session.sink.set_once(Place::Command(command.to_owned()));
    Ok(Next::Prompt)
}

/// The file of an argument; none for standard output. One that cannot be written is told at once.
fn file(name: &str) -> Result<Option<PathBuf>, Failure> {
    if let Some(command) = name.strip_prefix('|') {
        let help = format!("`.pipe {0}` or `\\g |{0}` does so with one answer", command.trim());
        return Err(Failure::command("only one answer is piped to a command", Some(&help)));
    }
    let path = path(name)?;
    if is_standard(&path) {
        return Ok(None);
    }
    refuse_recording(&path, "an answer")?;
    // To open a pipe waits for its reader, and a device may be busy.
    let ordinary = path.metadata().map_or(true, |there| there.is_file() || there.is_dir());
    if ordinary {
        WholeFile::create(&path, Readers::Usual)
            .map_err(|error| Failure::file("write", &path, &error))?;
    }
    Ok(Some(path))
}
