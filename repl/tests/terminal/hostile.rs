//! Hostile texts go into every way in, and a terminal gets none of their bytes on any way out.
//!
//! What a terminal gets is looked at as bytes, as escape sequences are what this is about. The tests lie beside this
//! file: `given.rs` has what is given to a call, `typed.rs` what a person meets at the prompt and in a watch; here is
//! what they share.

mod given;
mod typed;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::wait::WaitStatus;
use rexpect::process::PtyProcess;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::program::{Folder, SLABQL, command};
use crate::common::wait;

/// What steers a terminal, hides text or turns it round; but for line ends, of which a query may have any.
const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{1b}[66;6u\u{1b}c\u{9b}31m\u{9d}\u{85}\u{7f}\u{8}\u{c}\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{2028}\u{2029}";

/// The same with line ends, behind which a line could be forged.
fn forged() -> String {
    format!("{HOSTILE}\nFORGED\r\nFORGED\rFORGED")
}

/// As the name of a file or the value of a variable, with bytes that are not UTF-8.
fn bytes() -> OsString {
    OsString::from_vec([forged().as_bytes(), b"\xff\x9b31m"].concat())
}

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal with a program in it, and what it got.
struct Terminal {
    process: PtyProcess,
    keyboard: File,
    got: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Terminal {
    fn new(command: Command) -> Self {
        let mut process = PtyProcess::new(command).unwrap();
        process.set_kill_timeout(Some(1000));
        let keyboard = process.get_file_handle().unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).unwrap();
        let mut screen = keyboard.try_clone().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&got);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal is an error.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                sink.lock().unwrap().extend(&buffer[..count]);
            }
        });
        Self { process, keyboard, got, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().unwrap()).into_owned()
    }

    /// Waits until it is so; fails after [`PATIENCE`], and says what it waited for and what the terminal got.
    fn until(&self, what: &str, mut so: impl FnMut() -> bool) {
        let what = fmt::from_fn(|f| write!(f, "{what}: the terminal got {:?}", self.text()));
        wait(what, PATIENCE, || so().then_some(()));
    }

    /// Waits until `text` is there, behind the first `from` bytes.
    fn wait(&self, text: &str, from: usize) {
        self.until(&format!("{text:?}"), || {
            String::from_utf8_lossy(&self.got.lock().unwrap()[from..]).contains(text)
        });
    }

    /// Types keys, and waits for what they show.
    fn key(&mut self, keys: &str, text: &str) {
        let from = self.got.lock().unwrap().len();
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.wait(text, from);
    }

    /// Types keys, and waits until what they show has come to rest.
    fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        let length = || self.got.lock().unwrap().len();
        let mut before = length();
        self.until(&format!("rest behind {keys:?}"), || {
            thread::sleep(Duration::from_millis(150));
            std::mem::replace(&mut before, length()) == before
        });
    }

    /// Waits for the end, and gives all that the terminal got.
    fn end(self) -> Vec<u8> {
        self.until("the end of its output", || self.reader.is_finished());
        self.until("its end", || self.process.status() != Some(WaitStatus::StillAlive));
        self.got.lock().unwrap().clone()
    }
}

/// Fails where a terminal got a byte that is not slabql's own.
fn harmless(what: &str, got: &[u8]) {
    let shown = String::from_utf8_lossy(got);
    let text = str::from_utf8(got).unwrap_or_else(|error| panic!("{what}: {error}: {shown:?}"));
    // What slabql, its line editor and its screen write themselves are colours, movements and modes.
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, sequence)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        let body = sequence.strip_prefix('[').unwrap_or_else(|| panic!("{what}: {shown:?}"));
        let end = body.find(|c: char| ('@'..='~').contains(&c)).unwrap();
        let (arguments, after) = body.split_at(end);
        let known = after.starts_with(['m', 'A', 'B', 'C', 'D', 'H', 'J', 'K', 'h', 'l']);
        assert!(known && !arguments.contains("66"), "{what}: {arguments:?} in {shown:?}");
        rest = &after[1..];
    }
    plain.push_str(rest);
    let hazard = |c: char| !"\r\n\t".contains(c) && query::escape::is_hazard(c);
    assert!(
        !plain.contains(hazard),
        "{what}: {:?} in {shown:?}",
        plain.chars().find(|c| hazard(*c))
    );
    for forged in ["\nFORGED", "\rFORGED"] {
        assert!(!plain.contains(forged), "{what}: {shown:?}");
    }
    assert!(got.len() > 20, "{what} says something: {shown:?}");
}

/// A home without habits.
fn home() -> Folder {
    let home = Folder::new();
    for folder in ["state/slabql", "data/slabql/queries", "config/slabql"] {
        fs::create_dir_all(home.path(folder)).unwrap();
    }
    home
}

/// The program in a home.
fn slabql<S: AsRef<std::ffi::OsStr>>(home: &Folder, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = command(SLABQL);
    command
        .stdin(Stdio::inherit())
        // What is paged is written to the terminal; an empty one needs no `cat`.
        .env("PAGER", "")
        .env("HOME", &home.0)
        .env("LANG", "C.UTF-8")
        .current_dir(&home.0);
    for (name, folder) in
        [("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config")]
    {
        command.env(name, home.path(folder));
    }
    command.args(args);
    command
}

/// A recording in which every text is hostile.
fn recording() -> String {
    let hostile = forged();
    let header = serde_json::json!({
        "format": "slabql recording", "version": 1, "table": "caches", "rows": 4,
        "kernel": hostile, "boot": hostile, "time": "2026-01-01T00:00:00Z", "page_size": 4096,
        "columns": ["name", "aliases", "size", "flags", "ctor", hostile],
        "missing": { "objects": hostile, "slabs": hostile, "object_size": hostile, hostile.as_str(): hostile },
        "slab_flags": { hostile.as_str(): 1, "PANIC": 8 }, "gfp_flags": { hostile.as_str(): 2 },
    });
    let row = |name: &str| serde_json::json!([name, [hostile, name], 64, 2, hostile, hostile]);
    let names =
        [format!("a{HOSTILE}"), format!("b{hostile}"), "c\u{202e}1".into(), "c\u{202e}2".into()];
    let rows = names.iter().map(|name| format!("{}\n", row(name)));
    format!("{header}\n{}", rows.collect::<String>())
}
