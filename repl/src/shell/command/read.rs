//! `.read`: runs a query file; one that is named in a file lies beside it.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::row::{Next, Script, path};
use crate::features::input;
use crate::file::path::is_standard;
use crate::report::error::Failure;
use crate::report::escape::printable;
use crate::shell::session::Session;

/// How deep files may read files.
const MAX_DEPTH: usize = 16;

/// `.read FILE`.
pub fn read(session: &mut Session, name: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    if name.is_empty() {
        return Err(Failure::command("`.read` takes a file", Some("`.read largest.slabql`")));
    }
    let folder = session.reading.last().and_then(|file| file.parent()).map(Path::to_owned);
    let name = path(name)?;
    let standard = is_standard(&name);
    let path = if standard { name } else { folder.unwrap_or_default().join(name) };
    let reads_itself = session.reading.iter().any(|file| same(file, &path));
    if reads_itself || session.reading.len() >= MAX_DEPTH {
        let shown = printable(path.as_os_str().as_encoded_bytes());
        let message = if reads_itself {
            format!("{shown} reads itself")
        } else {
            format!("`.read` is nested more than {MAX_DEPTH} deep at {shown}")
        };
        return Err(Failure::command(message, None));
    }
    let text = input::file(&path)?;
    Ok(Next::Run(Box::new(Script { text, given: None, aside: false, report: false })))
}

/// Whether two paths lead to one file.
fn same(left: &Path, right: &Path) -> bool {
    let real = |path: &Path| -> Option<PathBuf> { path.canonicalize().ok() };
    real(left).is_some_and(|left| Some(left) == real(right))
}
