//! Hostile texts at the prompt and in a watch: typed, pasted, remembered and listed; and files that nobody writes.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use super::{HOSTILE, Terminal, harmless, home, recording, slabql};
use crate::common::lacks;
use crate::common::start::{self, End, Start};

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
