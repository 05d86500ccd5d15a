//! Hostile texts go into every way in, and a terminal gets none of their bytes on any way out.
//!
//! What a terminal gets is looked at as bytes, as escape sequences are what this is about.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::wait::WaitStatus;
use rexpect::process::PtyProcess;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::program::{Folder, SLABQL, command};
use crate::common::start::{self, End, Start};
use crate::common::{lacks, wait};

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

/// Runs the program at a terminal to its end.
fn ran(what: &str, command: Command) {
    harmless(what, &Terminal::new(command).end());
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

#[test]
fn arguments() {
    let home = home();
    let hostile = forged();
    let named = format!("/nowhere/{hostile}");
    let (alias, text) = (format!("select 1 as \"{HOSTILE}\""), format!("select '{HOSTILE}'"));
    let given = format!("x={HOSTILE}");
    let cases: &[&[&str]] = &[
        &[&hostile],
        &[HOSTILE],
        &[&format!("select {HOSTILE}")],
        &[&format!("select \"{HOSTILE}\"")],
        &[&format!("select name where name = '{HOSTILE}' and nosuch")],
        &[&format!("select name from \"{HOSTILE}\"")],
        &[&format!("select \"{HOSTILE}\"(name)")],
        &[&format!("select name where flags has \"{HOSTILE}\"")],
        &[&format!("explain select '{HOSTILE}' as x where name = '{HOSTILE}'")],
        &[&format!("explain analyze select name where name = '{HOSTILE}'")],
        &[&format!("--{hostile}")],
        &["--format", &hostile],
        &["--color", &hostile],
        &["--watch", &hostile],
        &["--count", &hostile],
        &["--source", &hostile],
        &["--template", &hostile],
        &["--null", &hostile, "--format", "table", "select ctor limit 1"],
        &["--width", &hostile, "select name"],
        &["--set", &hostile, "select name"],
        &["--set", &given, "select $y"],
        &["--set", &given, "select name where size > $x"],
        &["-f", &named],
        &["-o", &named, "select name"],
        &["--from", &named, "select name"],
        &["--btf", &named, "select name"],
        &["--record", &named],
        &["report", &hostile],
        &["report", "waste", &hostile],
        &["whatis", &hostile],
        &["snapshot", &named],
        &["snapshot", &hostile, &hostile],
        &["diff", &hostile],
        &["diff", &named, &named],
        &["verify", &hostile],
        &["--format", "table", &alias],
        &["--format", "vertical", &alias],
        &["--format", "markdown", &alias],
        &["--format", "table", &text],
        &["--format", "vertical", &text],
        &["--format", "markdown", &text],
        &["--watch", "1ms", "--count", "2", "--format", "vertical", &alias],
        &["--watch", "1ms", "--count", "2", &alias],
    ];
    for case in cases {
        let what = format!("{case:?}");
        let mut args = vec!["--demo", "--color", "always"];
        // Where a source or a colour is what is asked for.
        args.retain(|_| !case.contains(&"--color") && !case.contains(&"--source"));
        args.extend(*case);
        ran(&what, slabql(&home, args));
    }
    ran("an argument that is no text", slabql(&home, [bytes()]));
    let mut renamed = slabql(&home, ["--nope"]);
    renamed.arg0(bytes());
    ran("the program's own name", renamed);
}

#[test]
fn recordings() {
    let home = home();
    let folder = home.path("folder");
    let mut name = folder.clone().into_os_string();
    name.push("/");
    name.push(bytes());
    fs::create_dir(&folder).unwrap();
    fs::write(&name, recording()).unwrap();
    for query in [
        "select *",
        "select name, aliases, flags, ctor, objects",
        "select * from columns",
        "select * from aliases",
        "select * from flags",
        "explain select name, objects",
        "explain analyze select name where name like 'a%'",
        "select nosuch",
        "select name from nodes",
        "select flags has nosuch",
        "whatis ffff888100bea600",
    ] {
        for format in ["table", "vertical", "markdown", "csv", "tsv"] {
            let mut command = slabql(&home, ["--color", "always", "--format", format]);
            command.arg("--from").arg(&name).arg(query);
            ran(&format!("{query} as {format}"), command);
        }
    }
    let commands = home.file(
        "commands",
        ".why\n.why objects\n.why name\n.schema\n.source\n.tables\n.config\n.params\n.set\n.log\n",
    );
    let mut command = slabql(&home, ["-f"]);
    command.arg(commands).arg("--from").arg(&name);
    ran("commands", command);
    let mut diff = slabql(&home, ["diff"]);
    diff.arg(&name).arg(&name);
    ran("a comparison", diff);

    let text = fs::read_to_string(&name).unwrap();
    for (what, broken) in [
        ("another table", text.replace("\"caches\"", &serde_json::json!(forged()).to_string())),
        ("another format", text.replace("slabql recording", "x")),
        ("a broken row", format!("{text}x")),
    ] {
        fs::write(&name, broken).unwrap();
        let mut command = slabql(&home, ["--from"]);
        command.arg(&name).arg("select name");
        ran(what, command);
    }
}

#[test]
fn files_and_settings() {
    let home = home();
    let hostile = serde_json::json!(forged()).to_string();
    for text in [
        format!("{hostile} = 1"),
        format!("format = {hostile}"),
        format!("null = {hostile}"),
        format!("width = 1 {HOSTILE}"),
        HOSTILE.to_owned(),
    ] {
        home.file("config/slabql/config.toml", &text);
        let what = format!("config.toml: {text:?}");
        ran(&what, slabql(&home, ["--demo", "--format", "table", "select null"]));
    }
    fs::remove_file(home.path("config/slabql/config.toml")).unwrap();

    let name = home.path("x").with_file_name(bytes());
    for text in [
        format!("select {HOSTILE}"),
        format!(".{HOSTILE}"),
        format!(".why {HOSTILE}"),
        format!(".mode {HOSTILE}"),
        format!(".units {HOSTILE}"),
        format!(".set x={HOSTILE}\n.set\n.params"),
        format!(".null {HOSTILE}\nselect null;"),
        format!(".run {HOSTILE}"),
        format!(".read {HOSTILE}"),
        format!(".log /nowhere/{HOSTILE}"),
        format!(".log {HOSTILE}\n.log"),
        format!(".output /nowhere/{HOSTILE}"),
        format!(".once /nowhere/{HOSTILE}\nselect 1"),
        format!(".diff {HOSTILE}"),
        format!(".snapshot drop {HOSTILE}"),
        format!(".source {HOSTILE}"),
        format!(".help {HOSTILE}"),
        format!(".schema s->{HOSTILE}"),
        format!(".pipe false '{HOSTILE}'\nselect 1;"),
    ] {
        fs::write(&name, &text).unwrap();
        let mut command = slabql(&home, ["--demo", "-f"]);
        command.arg(&name);
        ran(&format!("a file: {text:?}"), command);
    }
    fs::write(&name, b"\xff\x1b]0;x\x07").unwrap();
    let mut command = slabql(&home, ["--demo", "-f"]);
    command.arg(&name);
    ran("a file that is no text", command);
}

#[test]
fn environment() {
    let home = home();
    for name in ["HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        let mut value = home.0.clone().into_os_string();
        value.push("/");
        value.push(bytes());
        let file = home.file("commands", ".config\n.queries\n.snapshot list\n.save x\n");
        let mut command = slabql(&home, ["--demo", "-f"]);
        for other in ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(other);
        }
        command.arg(file).env(name, value);
        ran(name, command);
    }
    for name in ["TERM", "LANG", "LC_ALL", "COLUMNS"] {
        ran(name, {
            let mut command = slabql(&home, ["--demo", "--format", "table", "select name limit 3"]);
            command.env(name, bytes());
            command
        });
    }
    if lacks(&["sh", "cat"]) {
        return;
    }
    let mut command = slabql(&home, ["--demo"]);
    command
        .env("EDITOR", bytes())
        .env("XDG_RUNTIME_DIR", &home.0)
        .env("PAGER", format!("cat; : '{}'", forged()));
    let mut terminal = Terminal::new(command);
    terminal.wait("slabql> ", 0);
    terminal.key("select 1 limit 1;\r", "row in");
    terminal.key(".edit\r", "cannot run");
    terminal.key("select name;\r", "rows in");
    terminal.keyboard.write_all(b"\x04").unwrap();
    harmless("EDITOR and PAGER", &terminal.end());
}

#[test]
fn the_prompt() {
    let home = home();
    let entries = [
        format!("select name where name = '{HOSTILE}' limit 7;"),
        format!("select 'x' as \"{HOSTILE}\" limit 8;"),
    ];
    home.file("state/slabql/history", format!("#V2\n{}\n", entries.join("\n")));
    home.file("config/slabql/init.slabql", format!(".{HOSTILE}\n"));
    home.file("hostile.slab", recording());
    for name in ["q\u{202e}\u{200b}1", "q\u{202e}\u{200b}2", "q\u{1b}]0;x\u{7}"] {
        let path = format!("data/slabql/queries/{name}.slabql");
        home.file(&path, format!("-- {HOSTILE}\nselect name\n"));
    }
    fs::create_dir(home.path("folder")).unwrap();
    for name in ["f\u{202e}\u{200b}1", "f\u{202e}\u{200b}2", "f\u{1b}[66;6u"] {
        home.file(&format!("folder/{name}"), "");
    }

    let mut terminal =
        Terminal::new(slabql(&home, ["--from", "hostile.slab", "--color", "always"]));
    terminal.wait("slabql> ", 0);
    // Hints and entries of the history.
    for keys in ["select", "\x15", "\x1b[A", "\x1b[A", "\x15"] {
        terminal.keys(keys);
    }
    let from = terminal.got.lock().unwrap().len();
    terminal.keys("\x12");
    terminal.wait("history: ", from);
    terminal.keys("lim");
    terminal.keys("\x07");
    // Lists of names, files and queries: some can be told, none steers.
    for (begun, listed) in [
        ("select name where name = 'c", "c\\u{202e}1"),
        (".read folder/", "f\\u{202e}\\u{200b}1"),
        (".run q", "q\\u{202e}\\u{200b}1"),
    ] {
        terminal.keys(begun);
        let from = terminal.got.lock().unwrap().len();
        terminal.keys("\t");
        terminal.wait(listed, from);
        terminal.keys("\x15");
    }
    // A pasted text.
    let pasted: String = HOSTILE.chars().filter(|c| *c != '\u{1b}').collect();
    terminal.keys(&format!("\x1b[200~select '{pasted}' as x limit 1;\x1b[201~"));
    terminal.keys("\r");
    for line in [".queries", ".why", ".schema", ".params waste", ".source", "select *;"] {
        terminal.keys(&format!("{line}\r"));
    }
    terminal.keys("explain select name;\r");
    terminal.keyboard.write_all(b"\x04").unwrap();
    let got = terminal.end();
    let all = String::from_utf8_lossy(&got);
    for shown in ["limit\u{1b}[0m \u{1b}[33m7", "history: lim_", "saved in", "scan caches"] {
        assert!(all.contains(shown), "no {shown}: {all:?}");
    }
    harmless("the prompt", &got);
}

#[test]
fn a_watch() {
    let home = home();
    let name = home.file("hostile.slab", recording());
    let query = format!("select name, ctor, flags, objects, '{HOSTILE}' as \"{HOSTILE}\"");
    let mut command = slabql(&home, ["--watch", "20ms", "--from"]);
    command.arg(name).arg(query);
    let mut terminal = Terminal::new(command);
    terminal.wait("tick 3", 0);
    terminal.key("\x1b[C", "tick");
    terminal.keyboard.write_all(b"q").unwrap();
    harmless("a watch", &terminal.end());
}

/// Nobody is at the other end of a FIFO, and to open it waits.
#[test]
fn an_interrupt_ends_the_wait_for_a_fifo() {
    if lacks(&["mkfifo"]) {
        return;
    }
    let home = home();
    let path = home.path("fifo");
    let made = start::command("mkfifo").arg(&path).start().ended();
    assert!(made.success());
    let mut terminal = Terminal::new(slabql(&home, ["--demo"]));
    terminal.wait("slabql>", 0);
    let path = path.display();
    for line in [
        format!(".read {path}"),
        format!(".diff {path}"),
        format!(".once {path}\rselect 1 limit 1;"),
        ".read /dev/tty".to_owned(),
    ] {
        terminal.keys(&line);
        let from = terminal.got.lock().unwrap().len();
        terminal.keyboard.write_all(b"\r").unwrap();
        let mut keyboard = terminal.keyboard.try_clone().unwrap();
        terminal.until(&line, || {
            // One that comes before the wait begins ends nothing.
            keyboard.write_all(b"\x03").unwrap();
            thread::sleep(Duration::from_millis(100));
            String::from_utf8_lossy(&terminal.got.lock().unwrap()[from..]).contains("interrupted")
        });
    }
    terminal.keys(".quit\r");
    terminal.end();
}
