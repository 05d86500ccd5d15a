//! `.edit`: the last query in an editor of the user's choice.
//!
//! `$VISUAL`, else `$EDITOR`, else `vi` is run without a shell: its value is the path of a program, or if there is no
//! such file a program and its options with blanks between. The text goes to it in a file that only its owner can
//! read, and what it leaves there stands at the prompt, for Enter to run.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::features::input;
use crate::file::part::{MARK, Part};
use crate::kernel::signals::{Held, Holder};
use crate::report::error::{Failure, errno};
use crate::report::escape::printable;
use crate::shell::command::row::Next;
use crate::shell::session::Session;
use crate::sink::refused;

/// The editor where none is named.
const USUAL: &str = "vi";

/// `.edit`.
pub fn edit(session: &mut Session, _: &str, _: &mut dyn Write) -> Result<Next, Failure> {
    let Some(edited) = &mut session.edited else {
        return Err(Failure::command("`.edit` is for the prompt", Some("start `slabql` alone")));
    };
    refused()?;
    let (file, held) = temporary(&session.last)?;
    let value = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| env::var_os(name).filter(|v| !v.is_empty()));
    run(&words(value.unwrap_or_else(|| USUAL.into())), file.path(), &held)?;
    input::own(file.path())?.text.trim_end().clone_into(edited);
    Ok(Next::Prompt)
}

/// The program and its options.
fn words(value: OsString) -> Vec<OsString> {
    match value.to_str() {
        Some(text) if !Path::new(text).is_file() => {
            text.split_whitespace().map(OsString::from).collect()
        }
        _ => vec![value],
    }
}

/// Runs an editor on a file, and waits for its end.
fn run(words: &[OsString], file: &Path, signals: &Held) -> Result<(), Failure> {
    let Some((program, options)) = words.split_first() else {
        return Err(Failure::environment("`$EDITOR` does not name a program", None));
    };
    let name = printable(program.as_encoded_bytes());
    let failed = |error: io::Error| {
        let help = "set `$VISUAL` or `$EDITOR` to an editor";
        Failure::environment(format!("cannot run `{name}`: {}", errno(&error)), Some(help))
    };
    let mut command = Command::new(program);
    command.args(options).arg(file);
    if !io::stdout().is_terminal() {
        // Rows go elsewhere; the editor is for the terminal.
        command.stdout(OpenOptions::new().write(true).open("/dev/tty").map_err(failed)?);
    }
    let mut editor = command.spawn().map_err(failed)?;
    signals.hand_to(Holder::of(&editor));
    let status = editor.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::environment(format!("`{name}` ended with {status}: the query is unchanged"), None))
}

/// Makes a file for an editor, which signals remove too.
fn temporary(text: &str) -> Result<(Part, Held), Failure> {
    let folder = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let mut number = 0;
    loop {
        let path = folder.join(format!("{MARK}-{}-{number}.slabql", std::process::id()));
        // Made by us, or not at all: whatever has the name already is somebody else's.
        if path.symlink_metadata().is_ok() && number < 100 {
            number += 1;
            continue;
        }
        let part = Part::new(path.clone());
        let held = Held::begin(Holder::Nobody, Some(&path)).map_err(Failure::Write)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                let written = file.write_all(format!("{text}\n").as_bytes());
                written.map_err(|error| Failure::file("write", &path, &error))?;
                return Ok((part, held));
            }
            Err(error) => {
                part.keep();
                return Err(Failure::file("make", &path, &error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn an_editor_is_a_path_or_a_program_with_options() {
        assert_eq!(words("code --wait".into()), ["code", "--wait"]);
        assert_eq!(words("vi; rm -rf $HOME".into()), ["vi;", "rm", "-rf", "$HOME"]);
        let (file, _) = temporary("").unwrap();
        let spaced = file.path().with_file_name(format!("slabql {} editor", std::process::id()));
        fs::rename(file.path(), &spaced).unwrap();
        assert_eq!(words(spaced.clone().into()), [spaced.clone().into_os_string()]);
        fs::remove_file(spaced).unwrap();
    }

    #[test]
    fn the_file_is_its_owners_and_goes_away() {
        let (file, _) = temporary("select 1").unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::read_to_string(&path).unwrap(), "select 1\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
