//! Plays the sessions of `repl/tests/commands`: what a person at a terminal types, and sees.
//!
//! ```text
//! slabql> .mode csv               typed at the prompt over the demo, in a folder of its own
//! slabql> select name,
//!    ...> size limit 1;           a further line of a statement
//! name,size                       what the program writes, to the letter
//! ⋮                               any lines: what differs from machine to machine
//! ```
//!
//! The home folder is `~` and times are `…`. A command without a session is a failure: its file is `NAME.session`,
//! and those of psql's words stand in `psql.session`. What people type first who come from another program stands in a
//! session with the program's name. To add one, write the lines that are typed and let
//! `UPDATE_GOLDENFILES=1 cargo test -p slabql --test documents` write the rest.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::lacks;
use crate::common::start;
use crate::common::wait;
use rexpect::process::WaitStatus;
use rexpect::reader::{Options, Regex};
use rexpect::session::{PtySession, spawn_with_options};
use slabql::shell::command::{self, COMMANDS};
use std::time::Duration;

const FIRST: &str = "slabql> ";
const MORE: &str = "   ...> ";
/// Stands for any lines.
const ANY: &str = "⋮";

/// Far longer than anything here takes.
const TIMEOUT_MS: u64 = 30_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands")
}

/// The file with the session of a command.
pub fn file(name: &str) -> PathBuf {
    let name = name.strip_prefix('.').unwrap_or("psql");
    folder().join(format!("{name}.session"))
}

/// The lines that are typed.
fn typed(session: &str) -> impl Iterator<Item = &str> {
    session.lines().filter(|line| line.starts_with(FIRST) || line.starts_with(MORE))
}

/// Whether a line ends the program.
fn ends(line: &str) -> bool {
    let command = line.strip_prefix(FIRST).and_then(command::called);
    command.is_some_and(|(command, _, argument)| command.name == ".quit" && argument.is_empty())
}

/// The session with what the program writes.
fn play(session: &str) -> String {
    let home = crate::common::program::Folder::new();
    let mut terminal = start(&home.0);
    let mut text = String::new();
    let lines: Vec<&str> = typed(session).collect();
    terminal.exp_string(FIRST).unwrap();
    for (index, line) in lines.iter().enumerate() {
        let (_, command) = line.split_at(FIRST.len());
        terminal.send_line(command).unwrap();
        text.push_str(&format!("{line}\n"));
        let next = lines.get(index + 1).map_or(FIRST, |line| &line[..FIRST.len()]);
        let written = if ends(line) { terminal.exp_eof() } else { terminal.exp_string(next) };
        let written = written.unwrap_or_else(|error| panic!("behind {line:?}: {error}"));
        text.push_str(&decoded(&written));
    }
    if !lines.last().is_some_and(|line| ends(line)) {
        terminal.send("\x04").unwrap();
        terminal.flush().unwrap();
        terminal.exp_eof().unwrap();
    }
    let process = terminal.process();
    wait("the end of the prompt", Duration::from_millis(TIMEOUT_MS), || {
        process.status().filter(|status| *status != WaitStatus::StillAlive)
    });
    times(&text.replace("\r\n", "\n").replace(home.0.to_str().unwrap(), "~"))
}

/// The text whose bytes the terminal's reader took for letters.
fn decoded(written: &str) -> String {
    let bytes: Vec<u8> = written.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

fn start(home: &Path) -> PtySession {
    let mut shell = start::at_terminal("sh");
    let script = "stty rows 50 cols 120; exec \"$0\" --demo";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_slabql")]).current_dir(home);
    // A terminal that cannot be drawn on shows what is written, and nothing else.
    // Of this one rustyline edits nothing either, but it shows more than ASCII.
    shell.env("TERM", "emacs").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8");
    shell.env("HOME", home);
    for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "PAGER", "VISUAL"] {
        shell.env_remove(name);
    }
    // An editor that types by itself.
    shell.env("EDITOR", "sed -i s/name/size/");
    spawn_with_options(shell, Options::new().timeout_ms(Some(TIMEOUT_MS))).unwrap()
}

/// The text with `…` for each time.
fn times(text: &str) -> String {
    let time = Regex::new(r"(\([\d,]+ rows? in )[^)]*\)").unwrap();
    time.replace_all(text, "$1…)").into_owned()
}

/// Whether lines are as they should be, where `⋮` stands for any.
fn same(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&ANY, rest)) => (0..=found.len()).any(|at| same(rest, &found[at..])),
        Some((line, rest)) => {
            found.split_first().is_some_and(|(first, left)| first == line && same(rest, left))
        }
    }
}

#[test]
fn every_command_has_a_session() {
    for command in COMMANDS {
        let file = file(command.name);
        let session = fs::read_to_string(&file).unwrap_or_default();
        let call = format!("{FIRST}{}", command.name);
        let shown = typed(&session).any(|line| {
            line.strip_prefix(&call).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert!(shown, "{} has no line {call:?}: see {}", file.display(), file!());
    }
}

/// The programs that people come from, whose habits have a session each.
const OTHERS: [&str; 5] = ["psql", "duckdb", "sqlite3", "bpftrace", "slabtop"];

#[test]
fn habits_work_or_are_told_what_would() {
    for name in OTHERS {
        let session = fs::read_to_string(folder().join(format!("{name}.session"))).unwrap();
        assert!(typed(&session).count() >= 15, "{name}");
        let mut answers = session.split(FIRST).filter(|answer| answer.contains("\nerror: "));
        // Two say all there is to say.
        let unexplained = answers.find(|answer| {
            !answer.contains("takes no argument")
                && !answer.contains("cannot read")
                && (!answer.contains("\n  = help: ") || answer.contains(" lists the commands\n"))
        });
        assert_eq!(unexplained, None, "{name}");
    }
}

#[test]
fn sessions_of_commands_are_real() {
    if lacks(&["sh", "stty", "sed"]) {
        return;
    }
    let _turn = super::turn();
    for file in super::files("repl/tests/commands", ".session") {
        let expected = fs::read_to_string(&file).unwrap();
        let found = play(&expected);
        let lines = |text| -> Vec<&str> { str::lines(text).collect() };
        if !same(&lines(&expected), &lines(&found)) {
            super::hold(&file, &found);
        }
    }
}

#[test]
fn any_lines_are_any_lines() {
    assert!(same(&["a", ANY, "b"], &["a", "b"]));
    assert!(same(&["a", ANY, "b", ANY], &["a", "b", "b", "b", "c"]));
    assert!(!same(&["a", ANY], &["b"]) && !same(&[ANY, "a"], &["a", "b"]));
    assert_eq!(times("(1 row in 3.2 ms)\n(22 rows in 1 s)"), "(1 row in …)\n(22 rows in …)");
}
