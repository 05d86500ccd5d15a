//! The commands that say where answers go.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Place;
use super::child::refused;
use crate::command::Next;
use crate::report::error::Failure;
use crate::session::Session;
use crate::whole::{Readers, WholeFile};

/// `.output [FILE]`.
pub fn output(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let path = if name.is_empty() { None } else { Some(file(name)?) };
    session.outlet.set_all(path);
    Ok(Next::Prompt)
}

/// `.once FILE`.
pub fn once(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        return Err(Failure::command("`.once` takes a file", Some("`.once caches.csv`")));
    }
    session.outlet.set_once(Place::File(file(name)?));
    Ok(Next::Prompt)
}

/// `.pipe COMMAND`.
pub fn pipe(session: &mut Session, command: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    if command.is_empty() {
        let help = Some("`.pipe jq .`");
        return Err(Failure::command("`.pipe` takes a command of the shell", help));
    }
    refused()?;
    session.outlet.set_once(Place::Command(command.to_owned()));
    Ok(Next::Prompt)
}

/// The file of a name that may stand in quotes. One that cannot be written is told at once.
fn file(name: &str) -> Result<PathBuf, Failure> {
    let name = name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(name);
    let path = Path::new(name);
    // To open a pipe waits for its reader, and a device may be busy.
    let ordinary = path.metadata().map_or(true, |there| there.is_file() || there.is_dir());
    if ordinary {
        WholeFile::create(path, Readers::Usual)
            .map_err(|error| Failure::file("write", path, &error))?;
    }
    Ok(path.to_owned())
}
