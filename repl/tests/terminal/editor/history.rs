//! The history is searched, has each entry once, and loses nothing to other prompts.

use std::fs;

use super::{PROMPT, SMALL, prompt};
use crate::common::lacks;
use crate::common::program::Folder;
use crate::common::tmux::Tmux;

#[test]
fn the_history_is_searched_and_has_each_entry_once() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    for statement in ["select name limit 1;", "select size limit 1;", "select name limit 1;"] {
        screen.text(statement);
        screen.key("Enter");
    }
    screen.wait_for("three answers", |screen| screen.matches("(1 row in ").count() == 3);
    screen.wait_line(PROMPT);
    screen.key("C-r");
    // Keys that are read together with this one are for the editor's own search.
    screen.wait("history: ");
    screen.text("siz");
    let found = screen.wait("history: siz_  1 of 2");
    assert!(found.lines().nth(1).unwrap().ends_with("s  select size limit 1;"), "{found}");
    screen.key("Enter");
    screen.wait_line("slabql> select size limit 1;");
    screen.key("Enter");
    screen.wait_for("four answers", |screen| screen.matches("(1 row in ").count() == 4);
    screen.wait_line(PROMPT);
    screen.key("C-l");
    screen.wait_line(PROMPT);
    for entry in ["select size limit 1;", "select name limit 1;"] {
        screen.key("Up");
        screen.wait_line(&format!("slabql> {entry}"));
    }
    // There is none before it.
    screen.key("Up");
    screen.key("End");
    screen.text(" --");
    screen.wait_line("slabql> select name limit 1; --");
    screen.key("C-c");
    screen.wait_line(PROMPT);
    screen.key("C-d");
    screen.wait("code 0");
    let again = prompt(SMALL, &home);
    again.key("Up");
    again.wait_line("slabql> select size limit 1;");
    again.key("Up");
    again.wait_line("slabql> select name limit 1;");
}

#[test]
fn prompts_at_once_lose_nothing_of_the_history() {
    const EACH: usize = 8;
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screens: Vec<Tmux> = (0..3).map(|_| prompt(SMALL, &home)).collect();
    for number in 0..EACH {
        for (index, screen) in screens.iter().enumerate() {
            screen.text(&format!("select {index} as p, {number} as n limit 0;"));
            screen.key("Enter");
        }
    }
    for (index, screen) in screens.iter().enumerate() {
        let last = format!("select {index} as p, {} as n limit 0;", EACH - 1);
        screen.wait_for("the last answer", |screen| {
            screen.contains(&last) && screen.lines().last() == Some(PROMPT)
        });
    }
    let history = fs::read_to_string(home.path("state/slabql/history")).unwrap();
    for index in 0..screens.len() {
        let own: Vec<&str> =
            history.lines().filter(|line| line.contains(&format!("select {index} "))).collect();
        let typed: Vec<String> =
            (0..EACH).map(|n| format!("select {index} as p, {n} as n limit 0;")).collect();
        assert_eq!(own, typed, "{history}");
    }
}
