//! Tab lists and completes what can stand at the cursor.

use std::fs;

use super::{LARGE, PROMPT, SMALL, prompt, script};
use crate::common;
use crate::common::lacks;
use crate::common::program::Folder;
use crate::common::tmux::Tmux;

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
