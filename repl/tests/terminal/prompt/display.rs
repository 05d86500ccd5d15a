//! What a terminal is shown: rows that fit its width, colours where they are wanted, and rows alone where they are
//! redirected.

use std::fs;
use std::path::Path;

use super::{PROMPT, Terminal, shell};
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL, demo};
use crate::common::start::{self, End, Start};
use rexpect::process::WaitStatus;

#[test]
fn a_terminal_that_tells_no_size_is_an_ordinary_one() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script = "stty rows 0 cols 0; exec \"$0\" --demo top 1s";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    terminal.wait("shmem_inode_cache");
    terminal.key("q");
    let (rest, ended) = terminal.end();
    assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{rest}");
    let script = "stty rows 0 cols 0; exec \"$0\" --demo 'select * limit 2'";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    let (shown, _) = terminal.end();
    // The bytes of the line below the names are characters here.
    let lines: Vec<&str> = shown.lines().filter(|line| line.is_ascii()).collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= 80), "{shown}");
}

#[test]
fn a_table_fits_the_terminal_as_it_is_now() {
    if lacks(&["sh", "stty", "tty"]) {
        return;
    }
    let home = Folder::new();
    let mut terminal = Terminal::prompt(&home);
    let query = "select name, object_size, size, objects, slabs where name = 'ext4_inode_cache';";
    let answer = terminal.ask(query, "(1 row in ");
    assert!(answer.contains("\r\next4_inode_cache "), "{answer}");

    // What a window manager does, from outside.
    let tty = fs::read_to_string(home.path("tty")).unwrap();
    let mut resize = start::command("stty");
    resize.args(["-F", tty.trim(), "rows", "24", "cols", "40"]);
    assert!(resize.start().ended().success());
    let answer = terminal.ask(query, "(1 row in ");
    assert!(answer.contains("\r\nname         ext4_inode_cache\r\n"), "{answer}");
    terminal.leave();
}

#[test]
fn many_columns_are_a_field_a_line() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let query = "select name, addr, object_size, size, objects, slabs, memory, flags limit 2";
    let script = format!("stty rows 24 cols 60; exec \"$0\" --demo \"{query}\"");
    let mut terminal = Terminal::script(&script, Path::new(SLABQL), &home);
    let (text, status) = terminal.end();
    assert!(matches!(status, WaitStatus::Exited(_, 0)));
    assert!(text.contains("\nname         btrfs_delayed_node\r\n"), "{text}");
    // A single answer tells no time.
    assert!(!text.contains("rows in"), "{text}");
}

#[test]
fn a_terminal_does_not_wait_for_the_last_of_many_rows() {
    if lacks(&["sh"]) {
        return;
    }
    let home = Folder::new();
    let mut text = String::from(
        r#"{"format":"slabql recording","version":1,"kernel":"6.18.0","time":"2026-01-01T00:00:00Z","page_size":4096,"slab_flags":{},"gfp_flags":{},"table":"caches","columns":["name"],"missing":{},"rows":12000}"#,
    );
    text.push('\n');
    (0..11_999).for_each(|row| text += &format!("[\"cache-{row}\"]\n"));
    text += "[\"a name that is longer\"]\n";
    home.file("many.slab", text);
    let script = |more: &str| {
        let script = format!("exec \"$0\" --from ~/many.slab --rows 0 'select name' {more}");
        let (text, _) = Terminal::script(&script, Path::new(SLABQL), &home).end();
        assert!(text.contains("\ncache-0\r\n"), "{text:.300}");
        assert!(text.contains("\ncache-11998\r\na name that is longer\r\n"), "{text:.300}");
        assert_eq!(text.matches("\ncache-").count(), 11_999);
        // What is read of a terminal is a byte a character.
        text.matches("\u{e2}\u{94}\u{80}").count()
    };
    // It is laid out by its first rows, in a pipe by all of them.
    assert_eq!(script(""), "cache-11998".len());
    assert_eq!(script("--format table | cat"), "a name that is longer".len());
}

#[test]
fn a_terminal_without_a_width_has_80_columns() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script = "stty rows 0 cols 0; exec \"$0\" --demo \"select name, size limit 1\"";
    let (text, _) = Terminal::script(script, Path::new(SLABQL), &home).end();
    assert!(text.contains("\nbtrfs_delayed_node  312 B\r\n"), "{text}");
}

#[test]
fn colours_are_used_where_they_are_wanted() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let text = |environment: &str, options: &str| {
        let script =
            format!("{environment} exec \"$0\" --demo {options} 'select name; select nam'");
        Terminal::run(shell(&script, Path::new(SLABQL), &home), false).end().0
    };
    let colored = text("", "");
    assert!(colored.contains("\x1b[1mname\x1b[0m"), "{colored}");
    assert!(colored.contains("\x1b[1;31merror:\x1b[0m"), "{colored}");
    for plain in [text("NO_COLOR=1", ""), text("TERM=dumb", ""), text("", "--color never")] {
        assert!(plain.contains("\nerror: ") && !plain.contains('\x1b'), "{plain}");
    }
    assert!(text("NO_COLOR=", "").contains('\x1b'));
    assert!(text("NO_COLOR=1", "--color always").contains('\x1b'));
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script = "TERM=dumb exec \"$0\" --demo";
    let mut terminal = Terminal::run(shell(script, Path::new(SLABQL), &home), false);
    let mut text = terminal.wait(PROMPT);
    text += &terminal.ask("select nam;", "error: unknown column `nam`");
    text += &terminal.ask("select name limit 1;", "(1 row in ");
    assert!(!text.contains('\x1b'), "{text}");
    terminal.leave();
}

#[test]
fn redirected_rows_have_no_prompt_among_them() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    for term in ["xterm", "dumb"] {
        let home = Folder::new();
        let script = format!("TERM={term} exec \"$0\" --demo > \"$HOME/rows\"");
        let mut terminal = Terminal::script(&script, Path::new(SLABQL), &home);
        terminal.wait(PROMPT);
        terminal.ask("select name, size limit 2;", "(2 rows in ");
        terminal.leave();
        let rows = fs::read_to_string(home.path("rows")).unwrap();
        assert_eq!(rows, demo(["select name, size limit 2"]).out, "{term}");
    }
}
