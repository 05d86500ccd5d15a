//! A text is edited: in several lines, as a paste, in an editor of its own, on a screen that is made narrow, and behind
//! characters that are not seen.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{LARGE, PROMPT, SMALL, prompt, script};
use crate::common::lacks;
use crate::common::program::Folder;

#[test]
fn all_lines_of_a_statement_can_be_edited() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    for line in ["select nam,", "size"] {
        screen.text(line);
        screen.key("Enter");
        screen.wait_for("another line", |screen| screen.lines().last() == Some("   ...>"));
        screen.wait(line);
        if line == "size" {
            break;
        }
    }
    screen.key("Up");
    screen.key("Up");
    screen.key("End");
    screen.key("Left");
    screen.text("e");
    screen.wait("slabql> select name,");
    screen.key("Down");
    screen.key("Down");
    screen.text("limit 2;");
    let edited = screen.wait("limit 2;");
    assert!(edited.ends_with("slabql> select name,\n   ...> size\n   ...> limit 2;"), "{edited}");
    screen.key("Enter");
    screen.wait("(2 rows in ");
    // It is one entry of the history, and comes back with its lines.
    screen.key("Up");
    let again = screen.wait_for("the statement again", |screen| screen.ends_with("limit 2;"));
    assert_eq!(again.matches("   ...> size\n   ...> limit 2;").count(), 2, "{again}");
}

#[test]
fn a_paste_of_many_statements_runs_them_all() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(LARGE, &home);
    let pasted = "select name limit 1;\n.mode csv\nselect name,\n\tsize limit 2;\n-- and\nselect size limit 3;\n";
    screen.paste(pasted);
    screen.wait("select size limit 3;");
    // Nothing runs before Enter, and no tab completes.
    assert!(!screen.screen().contains("rows in"), "{}", screen.screen());
    screen.key("Enter");
    let answer = screen.wait("(3 rows in ");
    assert!(answer.contains("(1 row in ") && answer.contains("(2 rows in "), "{answer}");
    assert!(answer.contains("name,size\nbtrfs_delayed_node,312\n"), "{answer}");
}

#[test]
fn edit_puts_what_the_editor_leaves_at_the_prompt() {
    if lacks(&["tmux", "sh", "stty", "ls", "sed", "false", "touch"]) {
        return;
    }
    let home = Folder::new();
    // An editor whose path has a blank, and that is run without a shell.
    let editor = home.file(
        "my editor",
        "#!/bin/sh\nls -l \"$1\" > \"$HOME/listing\"\nsed -i 's/name/size,\\n  addr/' \"$1\"\n",
    );
    let mut permissions = fs::metadata(&editor).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&editor, permissions).unwrap();
    let start = "VISUAL=\"$HOME/my editor\" EDITOR=false TMPDIR=\"$HOME\" XDG_RUNTIME_DIR=\"$HOME\" \"$0\" --demo";
    let screen = script(SMALL, start, &home);
    screen.text("select name limit 1;");
    screen.key("Enter");
    screen.wait("(1 row in ");
    screen.text(".edit");
    screen.key("Enter");
    let edited = screen.wait("   ...>   addr limit 1;");
    assert!(edited.ends_with("slabql> select size,\n   ...>   addr limit 1;"), "{edited}");
    screen.key("Enter");
    screen.wait_for("two answers", |screen| screen.matches("(1 row in ").count() == 2);
    assert!(fs::read_to_string(home.path("listing")).unwrap().starts_with("-rw-------"));
    let left: Vec<String> = fs::read_dir(&home.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!left.iter().any(|name| name.ends_with(".slabql")), "{left:?}");

    let screen = script(SMALL, "VISUAL= EDITOR='false -x' \"$0\" --demo", &home);
    screen.text(".edit");
    screen.key("Enter");
    screen.wait("error: `false` ended with exit status: 1: the query is unchanged");
    let screen = script(SMALL, "EDITOR='no-such-editor $(touch x)' \"$0\" --demo", &home);
    screen.text(".edit");
    screen.key("Enter");
    screen.wait("error: cannot run `no-such-editor`: ");
}

#[test]
fn a_screen_that_is_made_narrow_still_works() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(LARGE, &home);
    screen.text("select name, object_size, objects");
    screen.wait("objects");
    screen.resize(40, 12);
    screen.text(" limit 1;");
    screen.key("Enter");
    screen.wait("(1 row in ");
}

#[test]
fn escape_alone_is_no_key() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    // With the key before them these delete a word, undo, repeat the next one, and begin a line.
    for next in ["d", "y", "0", "-", "b"] {
        // On a busy machine both keys may be read at once, so the pause grows until they are not.
        let alone = [200, 1000, 5000].into_iter().any(|pause| {
            screen.text("select name, size limit 1");
            for _ in 0..6 {
                screen.key("Left");
            }
            screen.key("Escape");
            thread::sleep(Duration::from_millis(pause));
            screen.key(next);
            // A key that an argument waits for would be eaten.
            screen.text("#");
            let last = |shown: &str| shown.trim_end().lines().last().unwrap_or_default().to_owned();
            let shown = screen.wait_for("`#`", |shown| last(shown).contains('#'));
            screen.key("C-c");
            screen.wait_for("a prompt", |shown| last(shown).trim() == PROMPT);
            last(&shown).contains(&format!("select name, size l{next}#imit 1"))
        });
        assert!(alone, "{next}");
    }
    // What arrives with it is a key: here the word before the cursor goes.
    screen.text("select name, size");
    screen.wait("size");
    screen.key("M-BSpace");
    screen.text("objects");
    screen.wait("select name, objects");
}

#[test]
fn the_cursor_stands_where_it_types_behind_hidden_characters() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let screen = prompt(SMALL, &home);
    screen.paste("select 'a\u{202e}\u{200b}b\u{2066}c' as d limit");
    screen.wait("limit");
    screen.text(" 1");
    screen.wait("limit 1");
    for _ in 0.." as d limit 1".len() {
        screen.key("Left");
    }
    screen.text("X");
    let shown = screen.wait("c'X as d limit 1").replace('\u{332}', "");
    // What is drawn is as wide as the editor believes, so the cursor stands behind what was typed.
    assert!(shown.contains("slabql> select 'abc'X as d limit 1"), "{shown}");
    assert_eq!(screen.cursor(), "slabql> select 'abc'X".len());
}
