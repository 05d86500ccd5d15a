//! The program at a terminal: the prompt, its history, and what only a person sees.
//!
//! The tests lie beside this file, by subject; here is the terminal that they share.

mod display;
mod greeting;
mod history;
mod interrupt;
mod statements;
mod typed;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::program::{Folder, SLABQL};
use crate::common::start;
use crate::common::wait;
use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};

const PROMPT: &str = "slabql> ";
/// A prompt on a new line; with every key the one before it is drawn again.
const FRESH: &str = "\n\rslabql> ";

/// Far longer than anything here takes.
const TIMEOUT_MS: u64 = 30_000;

/// A terminal of 80 columns with a program in it.
struct Terminal {
    session: PtySession,
}

impl Terminal {
    fn run(command: Command, strip: bool) -> Self {
        let options = Options::new().timeout_ms(Some(TIMEOUT_MS)).strip_ansi_escape_codes(strip);
        Self { session: spawn_with_options(command, options).unwrap() }
    }

    /// A shell's script, with the program as `$0` and `home` for what it keeps.
    fn script(script: &str, program: &Path, home: &Folder) -> Self {
        Self::run(shell(script, program, home), true)
    }

    /// The prompt over the demo.
    fn prompt(home: &Folder) -> Self {
        let script = "stty rows 24 cols 80; tty > \"$HOME/tty\"; exec \"$0\" --demo";
        let mut terminal = Self::script(script, Path::new(SLABQL), home);
        terminal.wait(PROMPT);
        terminal
    }

    /// Waits for a text; gives what came before it.
    fn wait(&mut self, text: &str) -> String {
        self.session.exp_string(text).unwrap_or_else(|error| panic!("no {text:?}: {error}"))
    }

    fn key(&mut self, keys: &str) {
        self.session.send(keys).unwrap();
        self.session.flush().unwrap();
    }

    /// Types a line and waits for a text, then for the prompt.
    fn ask(&mut self, line: &str, answer: &str) -> String {
        self.session.send_line(line).unwrap();
        let mut text = self.wait(answer);
        text.push_str(answer);
        text + &self.wait(PROMPT)
    }

    fn end(&mut self) -> (String, WaitStatus) {
        let rest = self.session.exp_eof().unwrap();
        let process = self.session.process();
        let ended = wait("the end of the prompt", Duration::from_millis(TIMEOUT_MS), || {
            process.status().filter(|status| *status != WaitStatus::StillAlive)
        });
        (rest, ended)
    }

    /// Ends the prompt by Ctrl-D.
    fn leave(mut self) {
        self.key("\x04");
        assert!(matches!(self.end().1, WaitStatus::Exited(_, 0)));
    }
}

fn shell(script: &str, program: &Path, home: &Folder) -> Command {
    let mut shell = start::at_terminal("sh");
    shell.env_remove("NO_COLOR").env("TERM", "xterm-256color");
    shell.args(["-c", script]).arg(program);
    shell.env("HOME", &home.0).env("XDG_STATE_HOME", home.path("state"));
    shell.env("XDG_DATA_HOME", home.path("data")).env("XDG_CONFIG_HOME", home.path("config"));
    shell
}
