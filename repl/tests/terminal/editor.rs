//! The line editor on a screen: lists, colours, several lines, pastes, history, `.edit`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use crate::common::tmux::Tmux;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const PROMPT: &str = "slabql>";

/// The prompt over the demo on a screen of this size.
fn prompt(size: (u16, u16), home: &Folder) -> Tmux {
    script(size, "\"$0\" --demo", home)
}

fn script(size: (u16, u16), script: &str, home: &Folder) -> Tmux {
    let screen = Tmux::new(size, script, Path::new(SLABQL), &home.0);
    screen.wait_line(PROMPT);
    screen
}

/// Types a text and Tab, and gives the screen once it has `shown`; then drops the line.
fn completed(screen: &Tmux, text: &str, shown: &str) -> String {
    screen.key("C-l");
    screen.wait_line(PROMPT);
    screen.text(text);
    screen.wait(text.rsplit(' ').next().unwrap());
    screen.key("Tab");
    let found = screen.wait(shown);
    screen.key("C-c");
    screen.wait_line(PROMPT);
    found
}

#[test]
fn tab_lists_what_can_stand_at_the_cursor() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    home.file("one.slabql", "select 1");
    home.file("two words.slabql", "select 2");
    let screen = script(SMALL, "cd \"$HOME\"; \"$0\" --demo", &home);
    // The part that all have is put in; each is shown with what it is, a line each, and the prompt is there again.
    let menu = completed(&screen, "select obj", "objects_per_slab");
    let lines: Vec<&str> = menu.lines().collect();
    assert_eq!(lines[1], "object_size        The object size that callers asked for.", "{menu}");
    assert!(lines[3].starts_with("objects            ") && lines[3].ends_with('…'), "{menu}");
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{menu}");
    assert!(lines[4].starts_with("slabql> select object"), "{menu}");

    for (typed, shown) in [
        ("select name where name = 'ext4_i", "ext4_inode_cache"),
        ("select name wh", "select name where"),
        ("select name from fl", "select name from flags"),
        ("select name where flags has RECL", "has RECLAIM_ACCOUNT"),
        ("select rou", "select round("),
        (".sch", ".schema"),
        (".schema ca", ".schema caches"),
        (".mode ver", ".mode vertical"),
        (".report frag", ".report fragmentation"),
        (".read o", ".read one.slabql"),
        (".read 'two", ".read 'two words.slabql"),
        (".read \"two", ".read \"two words.slabql"),
        (".read ~/o", ".read ~/one.slabql"),
    ] {
        completed(&screen, typed, shown);
    }
    // In the middle of a line the table is the one that is named behind the cursor.
    screen.text("select ali from aliases");
    for _ in 0.." from aliases".len() {
        screen.key("Left");
    }
    screen.key("Tab");
    screen.wait("alias_of('name')");
}

#[test]
fn many_candidates_are_columns_of_words() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    for size in [SMALL, LARGE] {
        let menu = completed(&prompt(size, &home), "select ", "kmalloc_type");
        assert!(menu.contains("object_size") && menu.contains("ctor"), "{menu}");
        assert!(!menu.contains("More"), "{menu}");
    }
}

#[test]
fn snapshots_are_completed_where_they_are_compared() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let folder = home.path("data/slabql/snapshots");
    fs::create_dir_all(&folder).unwrap();
    for name in ["before_boot", "later"] {
        fs::write(folder.join(format!("{name}.slab")), "").unwrap();
    }
    home.file("yesterday.slab", "");
    let screen = script(SMALL, "cd \"$HOME\"; \"$0\" --demo", &home);
    for (typed, shown) in [
        (".snapshot dr", ".snapshot drop"),
        (".snapshot drop bef", "drop before_boot"),
        (".diff bef", ".diff before_boot"),
        (".diff before_boot li", "before_boot live"),
        (".diff yes", ".diff yesterday.slab"),
        (".diff ./yes", ".diff ./yesterday.slab"),
        ("select name from diff('bef", "diff('before_boot'"),
        ("select name from diff('later', 'li", "'live'"),
    ] {
        completed(&screen, typed, shown);
    }
}

#[test]
fn members_of_structs_are_those_of_the_kernel() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let home = Folder::new();
    let screen = script(LARGE, "\"$0\"", &home);
    completed(&screen, "select s->obj", "select s->object_size");
    completed(&screen, "select s->node[0]->nr_", "nr_partial");
    completed(&screen, "select name where name = 'kmalloc-", "kmalloc-64");
}

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
