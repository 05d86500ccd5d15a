//! The history: private, kept from prompt to prompt, shared by those at once, and missing where it has no folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{PROMPT, Terminal};
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};

#[test]
fn the_history_is_private_and_goes_on() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let mut terminal = Terminal::prompt(&home);
    terminal.session.send_line("select name,").unwrap();
    terminal.wait("...> ");
    terminal.ask("size limit 3;", "(3 rows in ");
    terminal.leave();
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state/slabql"), 0o700);
    assert_eq!(mode("state/slabql/history"), 0o600);

    let mut terminal = Terminal::prompt(&home);
    terminal.key("\x1b[A");
    // The whole statement comes back, and Enter runs it.
    terminal.wait("size limit 3;");
    terminal.ask("", "(3 rows in ");
    terminal.leave();
}

#[test]
fn prompts_at_once_keep_each_others_history() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let (mut first, mut second) = (Terminal::prompt(&home), Terminal::prompt(&home));
    first.ask("select name limit 1;", "(1 row in ");
    second.ask("select size limit 2;", "(2 rows in ");
    first.ask("select addr limit 3;", "(3 rows in ");
    second.leave();
    first.leave();
    let history = fs::read_to_string(home.path("state/slabql/history")).unwrap();
    for statement in ["select name limit 1;", "select size limit 2;", "select addr limit 3;"] {
        assert_eq!(history.matches(statement).count(), 1, "{history}");
    }
}

#[test]
fn without_a_folder_for_it_there_is_no_history() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    home.file("state", "a file, where a folder should be");
    let script = "exec \"$0\" --demo";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    let notes = terminal.wait(PROMPT);
    assert_eq!(notes.matches("note: no history: ").count(), 1, "{notes}");
    assert!(!notes.contains("os error"), "{notes}");
    let answer = terminal.ask("select name limit 1;", "(1 row in ");
    assert!(!answer.contains("note: "), "{answer}");
    terminal.leave();
}
