//! Writes to the standard input of a command of the shell.

use std::io::{self, BufWriter, Write};
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};

use crate::kernel::rights;
use crate::kernel::signals::{Held, Holder};
use crate::report::error::Failure;
use crate::report::message;

/// A command that reads an answer.
pub struct Child {
    process: process::Child,
    /// None when nothing more comes.
    stdin: Option<BufWriter<ChildStdin>>,
    name: String,
    /// Ctrl-C is the command's, and what ends slabql ends it too.
    _held: Held,
}

impl Child {
    /// Starts a command line of the shell.
    pub fn shell(line: &str) -> Result<Self, Failure> {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        Self::start(command, line)
    }

    /// Starts a pager: by itself if its line is of plain words, so that it is known if there is none.
    pub fn pager(line: &str) -> Result<Self, Failure> {
        let plain = |c: char| c.is_alphanumeric() || "-_=+./:, \t".contains(c);
        let mut words = line.split_whitespace();
        match words.next() {
            Some(program) if line.chars().all(plain) => {
                let mut command = Command::new(program);
                command.args(words);
                Self::start(command, line)
            }
            _ => Self::shell(line),
        }
    }

    fn start(mut command: Command, name: &str) -> Result<Self, Failure> {
        refused()?;
        let name = name.to_owned();
        let held = Held::begin(Holder::Nobody, None).map_err(Failure::Write)?;
        let started = command.stdin(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| {
            Failure::environment(
                format!("cannot run `{name}`: {}", crate::report::error::errno(&error)),
                None,
            )
        })?;
        let stdin = process.stdin.take().map(BufWriter::new);
        // What is told of an answer belongs behind what the command makes of it.
        message::hold();
        held.hand_to(Holder::of(&process));
        Ok(Self { process, stdin, name, _held: held })
    }

    /// Waits for its end. That it read less than there was is no failure.
    pub fn end(mut self) -> Result<(), Failure> {
        if let Some(stdin) = self.stdin.take() {
            match stdin.into_inner().map_err(io::IntoInnerError::into_error) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(Failure::Write(error));
                }
                _ => {}
            }
        }
        let status = self.process.wait().map_err(Failure::Write)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::environment(format!("`{}` ended with {}", self.name, ending(status)), None))
    }
}

/// Says no where other programs would get rights that whoever runs slabql has not.
pub fn refused() -> Result<(), Failure> {
    if !rights::is_privileged_file() {
        return Ok(());
    }
    let help = "write to a file instead, or run slabql as root";
    let message = "with file capabilities, slabql does not start other programs";
    Err(Failure::environment(message, Some(help)))
}

fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => status.to_string(),
    }
}

impl Write for Child {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stdin.as_mut().map_or(Err(io::ErrorKind::BrokenPipe.into()), |to| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Its input ends, and so does it; one that is over by now has been waited for.
        self.stdin.take();
        let _ = self.process.wait();
        message::release();
    }
}
