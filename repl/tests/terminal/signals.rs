//! The terminal is as it was found, whatever signal ends or stops slabql, and wherever it was then.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::program::{Folder, SLABQL};
use crate::common::start;
use crate::common::{lacks, wait};
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use rustix::process::{Pid, Signal, kill_process};

/// Far longer than anything here takes.
const TIMEOUT_MS: u64 = 30_000;

/// What the line editor asks for at each prompt.
const PROMPT: &str = "\x1b[?2004h";

/// Where slabql is when a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Prompt,
    Watch,
    Pager,
    Editor,
}

const PLACES: [Place; 4] = [Place::Prompt, Place::Watch, Place::Pager, Place::Editor];

/// What a terminal was told by escape sequences: its private modes that are on.
fn modes(output: &str) -> Vec<&str> {
    let mut on: Vec<&str> = vec!["25", "7"];
    for part in output.split("\x1b[?").skip(1) {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (mode, rest) = part.split_at(end);
        // Others are of no consequence: synchronized updates, keypads.
        if ["25", "7", "1049", "2004"].contains(&mode) {
            on.retain(|other| *other != mode);
            if rest.starts_with('h') {
                on.push(mode);
            }
        }
    }
    on.sort_unstable();
    on
}

/// A shell with job control that runs slabql.
struct Shell {
    session: PtySession,
    home: Folder,
    output: String,
    pid: Pid,
}

impl Shell {
    /// Starts slabql at a place and waits until it is there.
    fn at(place: Place) -> Self {
        let home = Folder::new();
        let query = "select name, size";
        let run = match place {
            Place::Watch => format!("--demo --watch 100ms '{query}'"),
            _ => "--demo".to_owned(),
        };
        let script = format!(
            "cd \"$HOME\"; set -m; trap : INT; stty sane rows 10 cols 80; stty -a > before
            sh -c 'echo $$ > pid; exec \"$0\" {}' \"$0\"; echo \"code $?.\"; stty -a > after
            while read line; do eval \"$line\"; done",
            run.replace('\'', "'\\''"),
        );
        let mut shell = start::at_terminal("sh");
        shell.args(["-c", &script, SLABQL]).env_remove("NO_COLOR").env("TERM", "xterm-256color");
        shell.env("HOME", &home.0).env("XDG_STATE_HOME", home.path("state"));
        shell.env("XDG_DATA_HOME", home.path("data")).env("XDG_CONFIG_HOME", home.path("config"));
        shell.env("PAGER", "less -+F").env("VISUAL", "less").env("XDG_RUNTIME_DIR", &home.0);
        let options = Options::new().timeout_ms(Some(TIMEOUT_MS));
        let session = spawn_with_options(shell, options).unwrap();
        let mut shell = Self { session, home, output: String::new(), pid: Pid::INIT };
        match place {
            Place::Prompt => {
                shell.wait("slabql> ");
                shell.key("select 12");
                shell.wait("12");
            }
            Place::Watch => shell.wait("tick 2"),
            Place::Pager => {
                shell.wait("slabql> ");
                shell.key("select name, size;\r");
                shell.wait("\x1b[7m");
            }
            Place::Editor => {
                shell.wait("slabql> ");
                shell.key("select size limit 1;\r");
                shell.wait("row in");
                shell.wait("slabql> ");
                shell.key(".edit\r");
                shell.wait("\x1b[7m");
            }
        }
        let pid = fs::read_to_string(shell.home.path("pid")).unwrap();
        shell.pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        shell
    }

    fn wait(&mut self, text: &str) {
        let before = self.session.exp_string(text);
        self.output += &before.unwrap_or_else(|error| panic!("no {text:?}: {error}"));
        self.output += text;
    }

    fn key(&mut self, keys: &str) {
        self.session.send(keys).unwrap();
        self.session.flush().unwrap();
    }

    fn send(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits until the shell says how slabql ended or stopped, with the terminal as it was found.
    fn given_back(&mut self, code: &str) {
        self.wait(code);
        // The shell has looked when it answers.
        self.key("echo look''ed\n");
        self.wait("looked");
        let [before, after] =
            ["before", "after"].map(|file| fs::read_to_string(self.home.path(file)));
        assert_eq!(before.unwrap(), after.unwrap(), "{}", self.output);
        assert_eq!(modes(&self.output), ["25", "7"], "{:?}", self.output);
    }

    /// What `.edit` has left.
    fn stray(&self) -> Vec<String> {
        let names = fs::read_dir(&self.home.0).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).filter(|n| n.ends_with(".slabql")).collect()
    }

    /// Brings slabql back, and waits until it shows where it is.
    fn bring_back(&mut self, place: Place) {
        self.key("fg; echo \"code $?;\"; stty -a > after\n");
        match place {
            Place::Prompt => {
                self.wait(PROMPT);
                self.wait("12");
            }
            Place::Watch => {
                self.wait("\x1b[?1049h");
                self.wait("tick");
            }
            Place::Pager | Place::Editor => self.wait("\x1b[7m"),
        }
    }

    /// Ends slabql by keys.
    fn leave(&mut self, place: Place) {
        match place {
            Place::Watch => return self.key("q"),
            Place::Prompt => {}
            Place::Pager | Place::Editor => {
                self.key("q");
                self.wait(PROMPT);
            }
        }
        self.key("\x03");
        self.wait(PROMPT);
        self.key("\x04");
    }
}

#[test]
fn a_signal_that_ends_it_finds_the_terminal_in_order() {
    if lacks(&["sh", "stty", "less"]) {
        return;
    }
    for (signal, code) in [(Signal::TERM, "code 143."), (Signal::HUP, "code 129.")] {
        for place in PLACES {
            let mut shell = Shell::at(place);
            assert_eq!(shell.stray().len(), usize::from(place == Place::Editor), "{place:?}");
            shell.send(signal);
            shell.given_back(code);
            assert_eq!(shell.stray(), [""; 0], "{signal:?} {place:?}");
        }
    }
}

#[test]
fn an_interrupt_is_for_whoever_has_the_terminal() {
    if lacks(&["sh", "stty", "less"]) {
        return;
    }
    for place in PLACES {
        let mut shell = Shell::at(place);
        shell.send(Signal::INT);
        if place == Place::Watch {
            shell.given_back("code 130.");
            continue;
        }
        if place == Place::Prompt {
            // What was typed is dropped.
            shell.wait(PROMPT);
            shell.key("select size limit 1;\r");
            shell.wait("312 B");
            shell.wait(PROMPT);
        }
        shell.leave(place);
        shell.given_back("code 0.");
    }
}

#[test]
fn a_stop_gives_the_terminal_back_for_a_while() {
    if lacks(&["sh", "stty", "less"]) {
        return;
    }
    for place in PLACES {
        for key in [false, true] {
            let mut shell = Shell::at(place);
            if key {
                shell.key("\x1a");
            } else {
                shell.send(Signal::TSTP);
            }
            shell.given_back("code 148.");
            shell.bring_back(place);
            shell.leave(place);
            shell.given_back("code 0;");
        }
    }
}

/// One that was stopped, and is told to end where another has the terminal, leaves that alone.
#[test]
fn in_the_background_the_terminal_is_anothers() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    for place in [Place::Prompt, Place::Watch] {
        let mut shell = Shell::at(place);
        shell.send(Signal::TSTP);
        shell.given_back("code 148.");
        let before = shell.output.len();
        shell.send(Signal::TERM);
        shell.send(Signal::CONT);
        // The shell waits for it sooner or later.
        shell.key("wait; echo go''ne\n");
        shell.wait("gone");
        let status = format!("/proc/{}/status", shell.pid);
        wait(format_args!("slabql to end, {place:?}"), Duration::from_millis(TIMEOUT_MS), || {
            let runs = fs::read_to_string(&status).is_ok_and(|text| !text.contains("State:\tZ"));
            (!runs).then_some(())
        });
        assert!(!shell.output[before..].contains("\x1b[?"), "{:?}", &shell.output[before..]);
    }
}

/// Where nobody could continue it, slabql does not stop.
#[test]
fn without_a_shell_it_does_not_stop() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script = "stty rows 10 cols 80; exec \"$0\" --demo --watch 100ms 'select name, size'";
    let mut slabql = start::at_terminal("sh");
    slabql.args(["-c", script, SLABQL]);
    slabql.env("TERM", "xterm-256color").env("HOME", &home.0);
    let options = Options::new().timeout_ms(Some(TIMEOUT_MS));
    let mut session = spawn_with_options(slabql, options).unwrap();
    session.exp_string("tick 2").unwrap();
    session.send("\x1a").unwrap();
    session.flush().unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(300) {
        session.exp_string("tick ").unwrap();
    }
    session.send("q").unwrap();
    session.flush().unwrap();
    session.exp_eof().unwrap();
}
