//! A terminal whose screen can be looked at: tmux, with a server of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::start::{self, End, Start};

/// How long a screen may take to show anything here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A screen with a program; its server is killed on drop.
pub struct Tmux {
    /// The path of its socket, which tmux does not take away.
    server: PathBuf,
}

impl Tmux {
    /// Runs a shell's script on a screen, with `program` as `$0` and `home` for what it keeps.
    pub fn new((columns, rows): (u16, u16), script: &str, program: &Path, home: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tmux = Self { server: home.join(format!("tmux-{number}")) };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let environment =
            |name: &str, folder: &str| format!("{name}={}", home.join(folder).display());
        // What the script ends with stays on the screen.
        let script = format!("{script}; echo \"code $?\"; read wait");
        let mut command =
            tmux.command(&["-f", "/dev/null", "new-session", "-d", "-x", &columns, "-y", &rows]);
        for (name, folder) in [
            ("HOME", ""),
            ("XDG_STATE_HOME", "state"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CONFIG_HOME", "config"),
        ] {
            command.args(["-e", &environment(name, folder)]);
        }
        command.env_remove("TMUX").env_remove("NO_COLOR").env("LANG", "C.UTF-8");
        command.args(["sh", "-c", &script]).arg(program);
        run(&mut command);
        tmux
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = start::command("tmux");
        command.args(["-u", "-S"]).arg(&self.server).args(arguments);
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(&mut self.command(arguments)).stdout).unwrap()
    }

    /// Presses a key by its name: `Tab`, `Enter`, `Up`, `C-c`.
    pub fn key(&self, name: &str) {
        self.ask(&["send-keys", name]);
    }

    /// Types a text.
    pub fn text(&self, text: &str) {
        // For tmux a `;` at the end would end its own command.
        let text =
            text.strip_suffix(';').map_or_else(|| text.to_owned(), |text| format!("{text}\\;"));
        self.ask(&["send-keys", "-l", "--", &text]);
    }

    /// Pastes a text, as a terminal does that marks what is pasted.
    pub fn paste(&self, text: &str) {
        self.ask(&["set-buffer", "--", text]);
        self.ask(&["paste-buffer", "-p", "-r"]);
    }

    /// The column of the cursor, from 0.
    pub fn cursor(&self) -> usize {
        self.ask(&["display-message", "-p", "#{cursor_x}"]).trim().parse().unwrap()
    }

    /// Makes the screen another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What the screen shows, without blank lines at the end.
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"]).trim_end().to_owned()
    }

    /// The same with its colours.
    pub fn colored(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"]).trim_end().to_owned()
    }

    /// Waits until the screen shows something, and gives it.
    pub fn wait_for(&self, what: &str, shown: impl Fn(&str) -> bool) -> String {
        Self::poll(what, || self.screen(), shown)
    }

    /// Waits until the screen has a text with these colours.
    pub fn wait_colored(&self, text: &str) -> String {
        Self::poll(text, || self.colored(), |screen| screen.contains(text))
    }

    fn poll(what: &str, look: impl Fn() -> String, shown: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            screen = look();
            if shown(&screen) {
                return screen;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("waited {PATIENCE:?} for {what} on the screen:\n{screen}");
    }

    /// Waits until the screen has a text.
    pub fn wait(&self, text: &str) -> String {
        self.wait_for(text, |screen| screen.contains(text))
    }

    /// Waits until the last line is this one.
    pub fn wait_line(&self, line: &str) -> String {
        self.wait_for(line, |screen| screen.lines().last() == Some(line))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Everything in it ends with it.
        let _ = self.command(&["kill-server"]).try_start().map(End::finish);
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.ran();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    output
}
