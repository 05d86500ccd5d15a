//! `watch` on a screen: what is drawn, what keys do, and that the terminal is given back.

use std::path::Path;

use std::time::Duration;

use crate::common;
use crate::common::child::processes;
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use crate::common::tmux::Tmux;
use crate::common::wait;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Signal, kill_process};

fn screen(size: (u16, u16), script: &str, home: &Folder) -> Tmux {
    Tmux::new(size, script, Path::new(SLABQL), &home.0)
}

const QUERY: &str = "select name, size, objects where name like 'k%' order by name";

/// The line of a screen that is number `number` of the rows.
fn row(screen: &str, number: usize) -> &str {
    screen.lines().nth(3 + number).unwrap_or_default()
}

#[test]
fn keys_do_what_the_last_line_says() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let tmux = screen((80, 24), &format!("\"$0\" --demo --watch 100ms \"{QUERY}\""), &home);
    let shown = tmux.wait("tick 3");
    assert_eq!(shown.lines().count(), 24);
    assert!(shown.starts_with("every 100ms  tick 3"), "{shown}");
    assert!(shown.contains(&format!("\n{QUERY}\n")), "{shown}");
    assert!(
        shown.lines().last().unwrap().starts_with("q quit  ? help  / filter  space pause"),
        "{shown}"
    );
    let first = row(&shown, 0).to_owned();

    tmux.key("r");
    tmux.wait_for("the last row first", |shown| row(shown, 0) != first);
    tmux.key("r");
    tmux.wait_for("the first row first", |shown| row(shown, 0) == first);
    tmux.key("Right");
    tmux.wait("name▲");
    tmux.key("Right");
    let sorted = tmux.wait("size▼");
    assert!(row(&sorted, 0).contains("8.0 KiB"), "{sorted}");
    tmux.key("Left");
    tmux.wait("name▲");

    tmux.key("+");
    tmux.wait("every 200ms");
    tmux.key("-");
    tmux.key("-");
    tmux.wait("every 50ms");
    tmux.key("Down");
    tmux.wait("rows 2-");

    tmux.key("Space");
    tmux.wait("PAUSED");
    let tick =
        |shown: &str| shown.split("tick ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let paused = tick(&tmux.screen());
    tmux.key("d");
    assert_eq!(tick(&tmux.screen()), paused);
    tmux.key("Space");
    tmux.wait_for("another tick", |shown| !shown.contains("PAUSED") && tick(shown) != paused);

    tmux.resize(40, 8);
    let small = tmux.wait_for("a smaller screen", |shown| shown.lines().count() == 8);
    assert!(small.lines().all(|line| line.chars().count() <= 40), "{small}");
    tmux.resize(200, 50);
    tmux.wait_for("a larger screen", |shown| shown.lines().count() == 50);

    tmux.key("?");
    let help = tmux.wait("shows what each number changed by");
    assert!(!help.contains("key_jar"), "{help}");
    tmux.key("?");
    tmux.wait_for("the rows", |shown| shown.contains("\n  key_jar "));

    // Its last screen is left behind, without the keys.
    tmux.key("q");
    let after = tmux.wait("code 0");
    assert!(after.contains("\nevery 50ms  tick ") && after.contains(QUERY), "{after}");
    assert!(after.contains("\n  key_jar ") && !after.contains("q quit"), "{after}");
}

#[test]
fn top_is_filtered_and_sorted_by_slabtops_keys() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    for size in [(80, 24), (200, 50)] {
        let tmux = screen(size, "\"$0\" --demo top 100ms", &home);
        let shown = tmux.wait("tick 3");
        let largest = |line: &str| line.split_whitespace().next() == Some("shmem_inode_cache");
        assert!(largest(row(&shown, 0)), "{shown}");
        assert!(shown.contains("growth") && shown.contains("▁"), "{shown}");
        if size.0 == 200 {
            for (key, column) in [
                ("s", "size"),
                ("o", "objects"),
                ("a", "active"),
                ("l", "slabs"),
                ("u", "utilization"),
                ("v", "slabs"),
                ("b", "objects_per_slab"),
                ("p", "pages_per_slab"),
                ("c", "memory"),
            ] {
                tmux.key(key);
                tmux.wait(&format!(" {column}▼"));
            }
        }
        tmux.key("n");
        tmux.wait("name▲");
        for letter in ["/", "d", "e", "n", "t", "q"] {
            tmux.key(letter);
        }
        tmux.wait_for("no row", |shown| shown.contains("/dentq_") && shown.contains("  0 rows"));
        tmux.key("BSpace");
        tmux.wait_for("one row", |shown| {
            shown.contains("/dent_")
                && row(shown, 0).starts_with("  dentry")
                && row(shown, 1).is_empty()
        });
        tmux.key("Enter");
        tmux.wait("/dent  every");
        // The row is opened, and left again.
        tmux.key("Enter");
        let page = tmux.wait("Esc back");
        assert!(page.starts_with("dentry  every 100ms") && page.contains("object_size"), "{page}");
        tmux.key("End");
        tmux.wait("\naliases:");
        tmux.key("Escape");
        tmux.wait("/dent  every");
        tmux.key("Escape");
        tmux.wait_for("all rows", |shown| !shown.contains("/dent") && !row(shown, 1).is_empty());
        tmux.key("Down");
        tmux.key("Down");
        tmux.wait_for("the second row", |shown| row(shown, 1).starts_with("> "));
        // A cache that is shown when it ends stays on the screen.
        let other = screen(size, "\"$0\" --demo top 100ms; echo ended", &home);
        other.wait("tick 2");
        other.key("Enter");
        other.wait("Esc back");
        other.key("q");
        let left = other.wait("\nended");
        assert!(left.contains("\nshmem_inode_cache  every 100ms"), "{left}");
        assert!(left.contains("object_size") && !left.contains("Esc back"), "{left}");
        tmux.key("c");
        tmux.wait("memory▼");
        tmux.key("q");
        let after = tmux.wait("code 0");
        assert!(after.lines().any(largest), "{after}");
    }
}

/// The same columns at two sizes: names go on in further lines, what is hidden is told.
#[test]
fn wide_answers_fit_the_screen() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let columns = "name, size, object_size, objects, active, cached, slabs, memory, used, waste, idle, utilization, \
                   efficiency, complete, align, flags, refcount, cpu_partial, min_partial, objects_per_slab";
    for (size, hidden) in [((80, 24), "13 hidden\n"), ((200, 50), "2 hidden\n")] {
        let home = Folder::new();
        let script = format!(
            "\"$0\" --demo --watch 100ms \"select {columns} where slabs > 0 order by waste desc\""
        );
        let tmux = screen(size, &script, &home);
        let shown = tmux.wait("tick 3");
        assert!(shown.lines().all(|line| line.chars().count() <= size.0.into()), "{shown}");
        assert_eq!(shown.lines().count(), usize::from(size.1));
        assert!(shown.contains(&format!("  {hidden}")), "{shown}");
        // What the query sorts by is there, and the rows are named in full.
        assert!(shown.contains(" waste") && shown.contains("\n  shmem_inode_cache "), "{shown}");
        tmux.key("?");
        let help = tmux.wait("Keys of a watch");
        assert!(help.contains("\nhidden columns: ") && help.contains("complete"), "{help}");
        tmux.key("q");
        tmux.wait("code 0");
    }
}

#[test]
fn a_watch_that_ends_leaves_its_answer() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script = "\"$0\" --demo --watch 50ms --count 3 \"select name, size where name in ('dentry', 'filp') order by name\"";
    let shown = screen((80, 24), script, &home).wait("code 0");
    let (_, answer) = shown.split_once("name     size\n").unwrap();
    assert!(answer.contains("dentry  192 B\n"), "{shown}");
    assert!(!shown.contains("tick"), "{shown}");
}

/// However it ends the terminal is as it was: echo, the cursor, the screen.
#[test]
fn signals_find_the_terminal_in_order() {
    if lacks(&["tmux", "sh", "stty", "cmp"]) {
        return;
    }
    // No other test has this interval, so the process is told by it.
    for (end, code) in
        [(None, "code 130"), (Some(Signal::TERM), "code 143"), (Some(Signal::INT), "code 130")]
    {
        let home = Folder::new();
        let script = format!(
            "stty -a > before; \"$0\" --demo --watch 123ms \"{QUERY}\"; echo \"code $?\"; stty -a > after; cmp before after && echo same"
        );
        let script = format!("cd '{}'; {script}", home.0.display());
        let tmux = screen((80, 24), &script, &home);
        tmux.wait("tick 2");
        if let Some(end) = end {
            let watch = [SLABQL, "--demo", "--watch", "123ms", QUERY];
            for pid in processes(&watch) {
                kill_process(pid, end).unwrap();
            }
        } else {
            tmux.key("C-c");
        }
        let after = tmux.wait("same");
        assert!(after.contains(code) && !after.contains("tick"), "{end:?}: {after}");
    }
}

/// A terminal that is closed ends the watch, where SIGHUP does not too.
#[test]
fn nothing_runs_on_without_its_terminal() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    for trap in ["", "trap '' HUP; "] {
        let home = Folder::new();
        let script = format!("{trap}\"$0\" --demo --watch 321ms \"{QUERY}\"");
        let tmux = screen((80, 24), &script, &home);
        tmux.wait("tick 2");
        drop(tmux);
        let watch = [SLABQL, "--demo", "--watch", "321ms", QUERY];
        wait("the end of a watch without a terminal", Duration::from_secs(20), || {
            processes(&watch).is_empty().then_some(())
        });
    }
}

#[test]
fn at_the_prompt_the_watch_alone_ends() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let tmux = screen((80, 24), "\"$0\" --demo", &home);
    tmux.wait("slabql>");
    for end in ["q", "C-c"] {
        tmux.text("watch 100ms select name, size limit 2;");
        tmux.key("Enter");
        // The last screen of the watch before stays on the screen, without this line.
        tmux.wait_for("a second tick", |shown| {
            shown.contains("tick 2") && shown.contains("q quit")
        });
        tmux.key(end);
        tmux.wait_for("the prompt", |shown| {
            !shown.contains("q quit") && shown.ends_with("slabql>")
        });
    }
    tmux.text(".watch 200ms");
    tmux.key("Enter");
    tmux.wait("every 200ms");
    // What is typed behind the end is the prompt's.
    tmux.text("qwatch 1s select nme;");
    tmux.key("Enter");
    tmux.wait("unknown column `nme`");
    tmux.text(".quit");
    tmux.key("Enter");
    tmux.wait("code 0");
}

/// What is typed behind `q` is for whoever reads next, here the shell.
#[test]
fn nothing_behind_the_end_is_lost() {
    if lacks(&["tmux"]) {
        return;
    }
    let home = Folder::new();
    let script = format!("\"$0\" --demo --watch 100ms \"{QUERY}\"; read line; echo \"<$line>\"");
    let tmux = screen((80, 24), &script, &home);
    tmux.wait("tick 2");
    tmux.text("dqthe rest");
    // While the watch has the terminal, Enter is no end of a line.
    tmux.wait_for("the shell's screen", |shown| !shown.contains("q quit"));
    tmux.key("Enter");
    tmux.wait("<the rest>");
}

#[test]
fn a_dumb_terminal_gets_blocks() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let script =
        "TERM=dumb \"$0\" --demo --watch 10ms --count 2 \"select name where name = 'dentry'\"";
    let shown = screen((80, 24), script, &home).wait("code 0");
    assert_eq!(shown.matches("\ndentry").count(), 2, "{shown}");
    assert_eq!(shown.matches("Z\nname\n").count(), 2, "{shown}");
    assert!(!shown.contains("q quit"), "{shown}");
}

/// A cache that grows is marked, with what it grew by.
#[test]
fn what_is_made_is_seen() {
    if lacks(&["tmux", "sh", "stty"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let home = Folder::new();
    let query = "select name, active, delta(active) where alias_of('eventpoll_epi')";
    let tmux = screen((80, 24), &format!("\"$0\" --watch 500ms \"{query}\""), &home);
    tmux.wait("tick 3");
    tmux.key("d");
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let numbers: Vec<_> = (0..500).map(|_| event.try_clone().unwrap()).collect();
    for number in &numbers {
        epoll::add(&queue, number, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
    }
    // Two ticks may see a part each.
    tmux.wait_for("what was made", |shown| {
        let by =
            row(shown, 0).split_once(" +").map(|(_, rest)| rest.split(' ').next().unwrap().parse());
        matches!(by, Some(Ok(1..=500_u32)))
    });
    tmux.key("Space");
    let colored = tmux.colored();
    assert!(colored.contains("\u{1b}[7m"), "{colored}");
    tmux.key("q");
    tmux.wait("code 0");
}
