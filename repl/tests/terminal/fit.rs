//! How answers fit the terminal: columns that are hidden, one field per line, the pager, terminals that show little.

use std::fs;
use std::path::Path;

use crate::common;
use crate::common::lacks;
use crate::common::program;
use crate::common::program::{Folder, SLABQL, demo};
use crate::common::start::{self, Start};
use crate::common::tmux::Tmux;

const WIDE: &str = "select name, size, object_size, objects, active, cached, slabs, memory, used, waste, flags \
                    order by waste desc limit 5;";

/// A terminal with the prompt over the demo.
struct Screen {
    tmux: Tmux,
    home: Folder,
}

impl Screen {
    /// One of 80 columns and 24 lines; `before` is what a shell runs first.
    fn new(before: &str) -> Self {
        Self::run(&format!("{before} \"$0\" --demo"))
    }

    /// The same with another command for the prompt.
    fn run(command: &str) -> Self {
        let home = Folder::new();
        let script = format!("unset PAGER LESS LC_ALL LC_CTYPE; tty > \"$HOME/tty\"; {command}");
        let tmux = Tmux::new((80, 24), &script, Path::new(SLABQL), &home.0);
        tmux.wait_line("slabql>");
        Self { tmux, home }
    }

    /// Types a line and Enter.
    fn enter(&self, line: &str) {
        self.tmux.text(line);
        self.tmux.key("Enter");
    }

    /// Types a line on an empty screen, and waits for a text below it.
    fn ask(&self, line: &str, answer: &str) -> String {
        self.tmux.key("C-l");
        self.tmux.wait_for("empty screen", |screen| screen == "slabql>");
        self.enter(line);
        self.tmux.wait(answer)
    }

    /// Types a command on an empty screen, and waits for the prompt below it.
    fn set(&self, line: &str) {
        self.ask(line, &format!("{line}\nslabql>"));
    }

    /// Gives the terminal another size, and waits until it has it.
    fn resize(&self, columns: u16, lines: u16) {
        self.tmux.resize(columns, lines);
        let tty = fs::read_to_string(self.home.path("tty")).unwrap();
        self.tmux.wait_for("other size", |_| {
            let size = start::command("stty").args(["-F", tty.trim(), "size"]).ran();
            String::from_utf8(size.stdout).unwrap().trim() == format!("{lines} {columns}")
        });
    }
}

#[test]
fn a_screen_of_80_columns_shows_all_of_caches() {
    if lacks(&["tmux", "sh", "stty", "tty"]) {
        return;
    }
    let screen = Screen::new("");
    let text = screen.ask("select * order by cached desc limit 5;", "(5 rows in ");
    let header = "name           size  objects  active  cached  slabs    memory  utilization";
    assert!(text.contains(header), "{text}");
    assert!(!text.contains("hidden") && !text.contains("── row"), "{text}");
    // What all rows say is told once, before a name is cut.
    let text = screen.ask("select * from caches limit 5;", "(5 rows in ");
    assert!(text.contains("\nnote: 1 column hidden: cached (0 in all rows); "), "{text}");
    assert!(text.contains("\nbtrfs_ordered_extent  416 B "), "{text}");
}

#[test]
fn columns_that_do_not_fit_are_hidden_and_told_until_they_fit() {
    if lacks(&["tmux", "sh", "stty", "tty"]) {
        return;
    }
    let screen = Screen::new("");
    let hidden = "note: 3 columns hidden: memory, used, flags; `.width 0` or `--format";
    let text = screen.ask(WIDE, "(5 rows in ");
    assert!(text.contains(hidden), "{text}");
    // What it is sorted by is shown.
    assert!(text.contains("slabs      waste\n"), "{text}");

    screen.resize(200, 50);
    let text = screen.ask(WIDE, "(5 rows in ");
    assert!(
        text.contains("memory       used      waste  flags\n") && !text.contains("hidden"),
        "{text}"
    );
    screen.resize(80, 24);
    assert!(screen.ask(WIDE, "(5 rows in ").contains(hidden));

    // Lines as long as they need be go on in the next one.
    screen.set(".width 0");
    let text = screen.ask(WIDE, "(5 rows in ");
    assert!(!text.contains("hidden"), "{text}");
    screen.set(".width auto");
    assert!(screen.ask(WIDE, "(5 rows in ").contains(hidden));
}

#[test]
fn few_rows_of_many_columns_are_a_field_a_line() {
    if lacks(&["tmux", "sh", "stty", "tty"]) {
        return;
    }
    let screen = Screen::new("");
    let one = "select *, flags, aliases from caches where name = 'filp';";
    let text = screen.ask(one, "(1 row in ");
    assert!(text.contains("\nflags        HWCACHE_ALIGN|PANIC|"), "{text}");
    screen.set(".mode table");
    let text = screen.ask(one, "(1 row in ");
    assert!(text.contains("hidden: ") && !text.contains("── row"), "{text}");
    screen.set(".mode auto");
    assert!(screen.ask(one, "(1 row in ").contains("── row 1 "));
}

#[test]
fn what_is_told_is_broken_between_words() {
    if lacks(&["tmux", "sh", "stty", "tty", "grep"]) {
        return;
    }
    let screen = Screen::new("");
    screen.set(".pager off");
    let text = screen.ask(".schema flags", "\nslabql>");
    assert!(
        text.contains("\n                                   ") && !text.contains("NU\nLL"),
        "{text}"
    );
    let text = screen.ask(".help", "As in psql: ");
    assert!(
        text.contains(" Shows all settings and where each comes from; or\n                              shows or sets one.\n"),
        "{text}"
    );
    // A line of a plan goes on under its operator.
    let plan = screen.ask(
        &format!("explain select name where name = 'a'{};", " or name = 'ab'".repeat(6)),
        "-> scan",
    );
    let filter = plan.split_once("\n-> filter ").unwrap().1.split_once("\n   -> scan").unwrap().0;
    let mut lines = filter.lines().skip(1);
    assert!(lines.clone().count() > 0 && lines.all(|line| line.starts_with("   ")), "{plan}");
    let wrong = format!("select name{} from caches;", ", nme".repeat(30));
    let text = screen.ask(&wrong, "\n  = help: ");
    assert!(
        text.lines().all(|line| !line.starts_with(' ') || line.chars().count() <= 80),
        "{text}"
    );
    let long = ".why nosuchcolumn_with_a_name_that_has_quite_a_number_of_letters_and_is_longer_than_the_line;";
    let text = screen.ask(long, "error: unknown column\n  `nosuchcolumn_with_a_name_that");
    assert!(text.contains("\n  = help: "), "{text}");

    screen.resize(200, 50);
    let text = screen.ask(".help", "As in psql: ");
    assert!(
        text.contains(" Shows all settings and where each comes from; or shows or sets one.\n"),
        "{text}"
    );
    // What goes elsewhere has whole lines, whatever the screen.
    screen.resize(80, 24);
    screen.set(".pipe grep -c 'each comes from; or shows or sets one.'");
    screen.ask(".help", "\n1\nslabql>");
}

#[test]
fn a_long_answer_is_shown_in_a_pager() {
    if lacks(&["tmux", "sh", "stty", "less", "wc", "tty"]) {
        return;
    }
    let screen = Screen::new("");
    // What is told of the answer waits until the pager has ended.
    let text = screen.ask("select name, size from caches;", "\n:");
    assert!(text.starts_with("name ") && !text.contains("rows in"), "{text}");
    // An interrupt is the pager's, which goes on; what is typed with it is lost.
    screen.tmux.key("C-c");
    screen.tmux.wait_for("last page", |text| {
        screen.tmux.key("Space");
        text.ends_with("(END)")
    });
    screen.tmux.key("q");
    let text = screen.tmux.wait("(235 rows in ");
    assert!(!text.contains("error"), "{text}");

    // What fits has none, and its time is below it.
    let text = screen.ask("select name from caches limit 3;", "(3 rows in ");
    assert!(text.contains("bio-312\n(3 rows"), "{text}");
    screen.resize(200, 50);
    screen.ask("select name from caches limit 40;", "(40 rows in ");
    screen.resize(80, 24);
    screen.ask("select name from caches limit 40;", "\n:");
    screen.tmux.key("q");
    screen.tmux.wait("(40 rows in ");

    // So is what a command has to say.
    screen.ask(".schema caches", "\n:");
    screen.tmux.key("q");
    screen.tmux.wait_line("slabql>");
    screen.ask(".schema flags", "\nslabql>");

    screen.set(".pager off");
    screen.ask("select name from caches limit 40;", "(40 rows in ");
    screen.ask(".schema caches", "\nslabql>");
    screen.set(".pager on");
    // Nor has what goes elsewhere.
    screen.set(".pipe wc -l");
    screen.ask("select name from caches;", "\n236\n");
}

#[test]
fn the_pager_is_the_one_that_is_asked_for() {
    if lacks(&["tmux", "sh", "stty", "head", "tail", "tr", "tty"]) {
        return;
    }
    let long = "select name from caches limit 40;";
    for (pager, shown) in [
        // None, one that reads a part, one of the shell.
        ("", "xfs_ili\nxfs_inode\nxfs_efi_item\n(40 rows in "),
        ("head -n 2", "────\n(40 rows in "),
        ("tail -n 1 | tr a-z A-Z", "limit 40;\nXFS_EFI_ITEM\n(40 rows in "),
    ] {
        let screen = Screen::new(&format!("export PAGER='{pager}';"));
        let text = screen.ask(long, "(40 rows in ");
        assert!(text.contains(shown) && !text.contains("error"), "{pager}: {text}");
    }
    for option in ["--no-pager", "--pager=off"] {
        let screen = Screen::run(&format!("\"$0\" --demo {option}"));
        screen.ask(long, "(40 rows in ");
    }
}

#[test]
fn an_answer_that_was_left_early_is_not_the_last_one() {
    if lacks(&["tmux", "sh", "stty", "head", "tty"]) {
        return;
    }
    let screen = Screen::new("export PAGER='head -n 3';");
    screen.ask("select 'before' as x limit 1;", "(1 row in ");
    // More than the pipe to it holds.
    let long = "replace(replace('aaaaaaaaaa', 'a', 'bbbbbbbbbb'), 'b', 'cccccccccc')";
    screen.enter(&format!("select name, {long} from caches format csv;"));
    screen.tmux.wait("ccc\nslabql>");
    let shown = screen.ask(".last", "error: ");
    assert!(shown.contains("error: the last answer did not come to its end"), "{shown}");
    screen.ask("select 'after' as x limit 1;", "(1 row in ");
    screen.ask(".last", "x\n─────\nafter\nslabql>");
}

#[test]
fn a_single_answer_and_a_pipe_have_no_pager() {
    if lacks(&["tmux", "sh", "stty", "cat", "tty"]) {
        return;
    }
    let home = Folder::new();
    let script = "\"$0\" --demo 'select name from caches'";
    let tmux = Tmux::new((80, 24), script, Path::new(SLABQL), &home.0);
    tmux.wait_line("code 0");
    let screen = Screen::run("\"$0\" --demo --format table | cat");
    screen.enter("select name from caches;");
    // The time is on the screen before what comes through the pipe, or behind it.
    screen.tmux.wait("\nkmem_cache_node\nkmem_cache");
    screen.tmux.key("C-d");
    screen.tmux.wait_line("code 0");
}

/// A pager that is not installed, and a copy of the program with the capabilities that `setcap` gives, run by nobody.
#[test]
fn where_no_pager_can_run_slabql_has_its_own() {
    if lacks(&["tmux", "sh", "stty", "setpriv", "tty"]) {
        return;
    }
    let screen = Screen::new("export PAGER='no-such-pager -x';");
    browse(&screen.tmux);
    // The last character of a line that is as wide as the screen is there.
    let wide = format!("{}X", "a".repeat(79));
    screen.tmux.text(&format!("select '{wide}' as a from caches;"));
    screen.tmux.key("Enter");
    let shown = screen.tmux.wait("\nlines 1-23");
    assert_eq!(shown.lines().filter(|line| *line == wide).count(), 21, "{shown}");
    screen.tmux.key("q");
    screen.tmux.wait_line("slabql>");
    // It need not have all of an answer to show its beginning, and Ctrl-C is a key of it.
    screen.tmux.text("select name from caches;");
    screen.tmux.key("Enter");
    screen.tmux.wait("\nlines 1-23");
    screen.tmux.key("C-c");
    screen.tmux.wait_line("slabql>");
    let Some(_turn) = common::live() else { return };
    let home = Folder::new();
    let program = home.program();
    program::give_capabilities(&program);
    let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let script = format!("{nobody} \"$0\" --demo");
    let tmux = Tmux::new((80, 24), &script, &program, &home.0);
    tmux.wait_line("slabql>");
    browse(&tmux);
}

/// Asks for a long answer, and goes about in it.
fn browse(tmux: &Tmux) {
    tmux.text("select name from caches;");
    tmux.key("Enter");
    let wait = |last: &str| tmux.wait_for(last, |text| text.ends_with(last));
    assert!(wait("\nlines 1-23").starts_with("name"));
    for (key, last) in [
        ("Space", "\nlines 24-44"),
        ("Down", "\nlines 25-45"),
        ("b", "\nlines 4-24"),
        ("Up", "\nlines 1-23"),
        ("G", "\nlines 217-237 of 237 (END)"),
        ("PageUp", "\nlines 196-216 of 237"),
        ("Home", "\nlines 1-23 of 237"),
        ("Right", "\nlines 1-23 of 237"),
        ("Left", "\nlines 1-23 of 237"),
    ] {
        tmux.key(key);
        wait(last);
    }
    tmux.key("/");
    tmux.text("DENTRX");
    tmux.key("BSpace");
    tmux.text("y");
    tmux.key("Enter");
    // Below the heading, which stays.
    let match_ = |text: &str| text.starts_with("name\n─") && text.lines().nth(2) == Some("dentry");
    let text = tmux.wait_for("the match", match_);
    tmux.key("n");
    wait("\nnot found");
    tmux.key("q");
    // What was looked at last is left behind, and what is told comes after it.
    let left = tmux.wait("(235 rows in ");
    assert!(
        left.contains("─\ndentry\nnames_cache\n") && !left.contains("\nlines "),
        "{text}\n{left}"
    );
}

#[test]
fn a_plain_terminal_gets_ascii() {
    if lacks(&["tmux", "sh", "stty", "od", "tty"]) {
        return;
    }
    for before in ["export TERM=dumb;", "export LANG=C;", "export LC_ALL=en_US.ISO-8859-1;"] {
        let screen = Screen::new(before);
        screen.enter(
            "select name, bar(utilization, 100) as use, flags from caches where slabs > 0 limit 3;",
        );
        let text = screen.tmux.wait("(3 rows in ");
        assert!(text.contains("\n-----") && text.contains(" ###") && text.is_ascii(), "{text}");
        screen.enter(".pager off");
        screen.enter(".help");
        screen.enter("select name, size, waste, used, memory, flags, aliases from caches where name = 'filp';");
        let text = screen.tmux.wait("(1 row in ");
        assert!(text.contains("-- row 1 -----") && text.is_ascii(), "{before} {text}");
        // What programs read is as it is.
        let script = format!("{before} \"$0\" --demo \"select 'ä' as x limit 1\" | od -c");
        let tmux = Tmux::new((80, 24), &script, Path::new(SLABQL), &screen.home.0);
        tmux.wait("303 244");
    }
}

#[test]
fn a_terminal_without_a_size_is_one_of_80_columns() {
    if lacks(&["tmux", "sh", "stty", "tty"]) {
        return;
    }
    let screen = Screen::new("stty cols 0 rows 0;");
    screen.enter(WIDE);
    let text = screen.tmux.wait("(5 rows in ");
    assert!(text.contains("note: 3 columns hidden: "), "{text}");
}

#[test]
fn settings_of_the_layout_hold_in_pipes_too() {
    let query = "select name, size, utilization, memory where name = 'bfilp'";
    let run = |options: &[&str]| demo(options.iter().copied().chain(["--format", "table", query]));
    assert!(run(&[]).out.ends_with("bfilp  256 B         NULL     0 B\n"), "{}", run(&[]).out);
    let ran = run(&["--null", "?", "--width", "20"]);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 3), "{}", ran.out);
    assert!(ran.err.ends_with(
        "note: 1 column hidden: utilization; `.width 0` or `--format vertical` shows all\n"
    ));
    assert!(run(&["--null", "?", "--width", "0"]).out.ends_with("256 B            ?     0 B\n"));
    assert_eq!(demo([".null '-'\n.null\n.units off\n.units\n.width 7\n.width"]).out, "-\noff\n7\n");
    for text in [".width wide", ".units maybe", ".pager maybe"] {
        let ran = demo([text]);
        assert!(ran.code == Some(1) && ran.err.contains("\nerror: "), "{text}: {}", ran.err);
    }
    let ran = start::command(SLABQL).args(["--demo", "--width", "wide", query]).ran();
    assert_eq!(ran.status.code(), Some(1));
}
