//! What is drawn of a line while it is typed: colours, marks at mistakes, and hints at how it may go on.

use super::{PROMPT, SMALL, prompt, script};
use crate::common::lacks;
use crate::common::program::Folder;

#[test]
fn what_is_typed_has_colours_and_mistakes_are_marked() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    screen.text("select nam, round(1 where name = 'a' ");
    let colored = screen.wait_colored("\x1b[32m'a'");
    let line = colored.lines().last().unwrap();
    let has = |part: &str| assert!(line.contains(part), "{part:?} in {line:?}");
    has("\x1b[34mselect");
    has("\x1b[4m\x1b[31mnam");
    has("\x1b[36mround");
    has("\x1b[1m\x1b[31m(");
    // What it says in the end marks the same.
    screen.key("C-c");
    // As with any terminal, Ctrl-C drops what is typed with it.
    screen.wait_line(PROMPT);
    screen.text("select nam;");
    screen.key("Enter");
    let error = screen.wait("help: did you mean");
    assert!(error.contains("error: unknown column `nam`"), "{error}");
    screen.wait_colored("\x1b[1m\x1b[31merror:");

    for plain in ["NO_COLOR=1 \"$0\" --demo", "\"$0\" --demo --color never"] {
        let screen = script(SMALL, plain, &home);
        screen.text("select nam, x");
        screen.wait("nam, x");
        assert!(!screen.colored().contains('\x1b'), "{}", screen.colored());
    }
}

#[test]
fn a_hint_is_taken_by_the_right_arrow() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    screen.text("select name, fragm");
    screen.wait_colored("fragm\x1b[2mentation");
    screen.key("Right");
    screen.text(" limit 1;");
    screen.wait_line("slabql> select name, fragmentation limit 1;");
    screen.key("Enter");
    screen.wait("(1 row in ");
    // What was entered before is a hint, too.
    screen.text("select n");
    screen.wait("(1 row in ");
    screen.wait_line("slabql> select name, fragmentation limit 1;");
    screen.key("Right");
    screen.key("Enter");
    screen.wait_for("two answers", |screen| screen.matches("(1 row in ").count() == 2);
    screen.text("select round(");
    screen.wait_line("slabql> select round(x, digits)");
    // What was never typed goes with Ctrl-C.
    screen.key("C-c");
    screen.wait("slabql> select round(\nslabql>");
}

#[test]
fn a_hint_that_would_look_as_typed_is_not_shown() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    for option in ["--plain", "--color never"] {
        let screen = script(SMALL, &format!("\"$0\" --demo {option}"), &home);
        screen.text("select name, fragm");
        screen.wait_line("slabql> select name, fragm");
        // Had there been one, it would have come with the last letter.
        screen.key("Tab");
        screen.wait_line("slabql> select name, fragmentation");
        screen.key("C-c");
    }
}
