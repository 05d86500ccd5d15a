//! Runs the program as a process.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use slabql::shell::setting::SETTINGS;

use super::start::{self, End, Start};
use super::wait;

/// The program.
pub const SLABQL: &str = env!("CARGO_BIN_EXE_slabql");

/// A folder of its own for a test; gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes a folder that everybody may read.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("slabql-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Copies the program to where any user may run it.
    pub fn program(&self) -> PathBuf {
        let path = self.path("slabql");
        fs::copy(SLABQL, &path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        // A process that another test starts has what this one writes open until it becomes its program.
        wait("a file that nobody writes to", Duration::from_mins(1), || {
            let ran = start::command(&path).arg("--version").output();
            (!ran.is_err_and(|error| error.kind() == ErrorKind::ExecutableFileBusy)).then_some(())
        });
        path
    }

    /// The names of the files in it.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Gives a program's file what `setcap cap_bpf,cap_perfmon+ep` gives it.
pub fn give_capabilities(program: &Path) {
    // Version 2 with the effective bit, then permitted and inheritable, the lower halves first. Both capabilities are in
    // the upper half.
    let words: [u32; 5] = [0x0200_0001, 0, 0, (1 << 7) | (1 << 6), 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(program, "security.capability", &value, flags).unwrap();
}

/// The program, apart from what the environment says about colours.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = start::command(program.as_ref());
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").stdin(Stdio::null());
    // Nobody's habits.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    for setting in SETTINGS {
        command.env_remove(setting.variable());
    }
    command
}

/// What a run gave.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs the program on the demo.
pub fn demo<'a>(args: impl IntoIterator<Item = &'a str>) -> Ran {
    command(SLABQL).arg("--demo").args(args).ran().into()
}

/// Runs the program on the demo, with `input` as standard input.
pub fn demo_reads<'a>(args: impl IntoIterator<Item = &'a str>, input: &[u8]) -> Ran {
    let mut command = command(SLABQL);
    command.arg("--demo").args(args).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    let mut stdin = child.stdin.take().unwrap();
    // It need not read all of it.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.finish().into()
}

/// The error of a run, without the label of the demo.
pub fn error(ran: &Ran) -> &str {
    match ran.err.strip_prefix("the demo: ") {
        Some(rest) => rest.split_once('\n').unwrap().1,
        None => &ran.err,
    }
}
