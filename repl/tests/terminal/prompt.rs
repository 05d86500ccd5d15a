//! The program at a terminal: the prompt, its history, and what only a person sees.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL, demo};
use crate::common::start;
use crate::common::start::{End, Start};
use crate::common::wait;
use flate2::Compression;
use flate2::write::GzEncoder;
use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use slabql::kernel::schema::KernelSchema;
use std::time::Duration;

const PROMPT: &str = "slabql> ";
/// A prompt on a new line; with every key the one before it is drawn again.
const FRESH: &str = "\n\rslabql> ";

/// Far longer than anything here takes.
const TIMEOUT_MS: u64 = 30_000;

/// A terminal of 80 columns with a program in it.
struct Terminal {
    session: PtySession,
}

impl Terminal {
    fn run(command: Command, strip: bool) -> Self {
        let options = Options::new().timeout_ms(Some(TIMEOUT_MS)).strip_ansi_escape_codes(strip);
        Self { session: spawn_with_options(command, options).unwrap() }
    }

    /// A shell's script, with the program as `$0` and `home` for what it keeps.
    fn script(script: &str, program: &Path, home: &Folder) -> Self {
        Self::run(shell(script, program, home), true)
    }

    /// The prompt over the demo.
    fn prompt(home: &Folder) -> Self {
        let script = "stty rows 24 cols 80; tty > \"$HOME/tty\"; exec \"$0\" --demo";
        let mut terminal = Self::script(script, Path::new(SLABQL), home);
        terminal.wait(PROMPT);
        terminal
    }

    /// Waits for a text; gives what came before it.
    fn wait(&mut self, text: &str) -> String {
        self.session.exp_string(text).unwrap_or_else(|error| panic!("no {text:?}: {error}"))
    }

    fn key(&mut self, keys: &str) {
        self.session.send(keys).unwrap();
        self.session.flush().unwrap();
    }

    /// Types a line and waits for a text, then for the prompt.
    fn ask(&mut self, line: &str, answer: &str) -> String {
        self.session.send_line(line).unwrap();
        let mut text = self.wait(answer);
        text.push_str(answer);
        text + &self.wait(PROMPT)
    }

    fn end(&mut self) -> (String, WaitStatus) {
        let rest = self.session.exp_eof().unwrap();
        let process = self.session.process();
        let ended = wait("the end of the prompt", Duration::from_millis(TIMEOUT_MS), || {
            process.status().filter(|status| *status != WaitStatus::StillAlive)
        });
        (rest, ended)
    }

    /// Ends the prompt by Ctrl-D.
    fn leave(mut self) {
        self.key("\x04");
        assert!(matches!(self.end().1, WaitStatus::Exited(_, 0)));
    }
}

fn shell(script: &str, program: &Path, home: &Folder) -> Command {
    let mut shell = start::at_terminal("sh");
    shell.env_remove("NO_COLOR").env("TERM", "xterm-256color");
    shell.args(["-c", script]).arg(program);
    shell.env("HOME", &home.0).env("XDG_STATE_HOME", home.path("state"));
    shell.env("XDG_DATA_HOME", home.path("data")).env("XDG_CONFIG_HOME", home.path("config"));
    shell
}

#[test]
fn a_prompt_begins_with_what_its_owner_wants() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let home = Folder::new();
    let config = home.path("config/slabql");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "exact = true\ntimer = false\n").unwrap();
    let start = config.join("init.slabql");
    fs::write(&start, ".set min 1MiB\nselect size where name = 'dentry';\nselect nam;").unwrap();
    let mut terminal = Terminal::prompt(&home);
    terminal.ask(".set", "min = 1MiB\r\n");
    terminal.ask(".timer", "off\r\n");
    terminal.leave();
    let script = "stty rows 24 cols 200; exec \"$0\" --demo";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    let begun = terminal.wait(PROMPT);
    assert!(begun.contains("192\r\n") && !begun.contains("row in"), "{begun}");
    let told = format!("in {}:\r\nerror: unknown column `nam`", start.display());
    assert!(begun.contains(&told), "{begun}");
    terminal.leave();
    let script = "exec \"$0\" --demo --no-config";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    assert!(!terminal.wait(PROMPT).contains("error"));
    terminal.ask(".timer", "on\r\n");
    terminal.leave();
    fs::write(&start, ".quit").unwrap();
    let script = "exec \"$0\" --demo";
    let terminal = &mut Terminal::script(script, Path::new(SLABQL), &home);
    assert!(matches!(terminal.end().1, WaitStatus::Exited(_, 0)));
}

#[test]
fn statements_take_lines_and_errors_do_not_end_it() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    terminal.session.send_line("select name,").unwrap();
    terminal.wait("...> ");
    terminal.session.send_line("  size").unwrap();
    terminal.wait("...> ");
    let answer = terminal.ask("limit 2;", "(2 rows in ");
    assert!(answer.contains("\nbtrfs_delayed_node    312 B\r\n"), "{answer}");

    terminal.ask("select nam;", "error: unknown column `nam`");
    terminal.ask("select name where name = 'abc;\n';", "(0 rows in ");
    terminal.ask("selec;", "help: did you mean `select`?");
    terminal.ask("-- nothing", "");
    terminal.ask(";", "");
    let answer = terminal.ask("select name limit 1; select size limit 1;", "(1 row in ");
    assert!(answer.contains("btrfs_delayed_node\r\n"), "{answer}");
    terminal.leave();
}

#[test]
fn what_is_typed_ahead_is_not_lost() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    let ahead =
        "select name,\nsize\nlimit 2;\n.mode\nselect name\n limit 3;\nselect size limit 4;\n";
    terminal.key(ahead);
    for answer in ["(2 rows in ", "auto\r\n", "(3 rows in ", "(4 rows in "] {
        terminal.wait(answer);
    }
    terminal.wait(PROMPT);
    // A paste that the terminal marks as one comes as one text.
    terminal.key("\x1b[200~.mode csv\nselect name,\nsize limit 1;\x1b[201~\n");
    terminal.wait("btrfs_delayed_node,312\r\n");
    terminal.wait(PROMPT);
    terminal.leave();
}

/// A terminal that does not mark what is pasted sends it as if it were typed.
#[test]
fn a_tab_in_a_paste_is_text() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    for pasted in ["select\tname,\tsize", "select\tname,\n\t\tsize", "select name,\tsize\t"] {
        let mut terminal = Terminal::prompt(&Folder::new());
        terminal.key(".mode csv\n");
        terminal.wait(FRESH);
        terminal.key(pasted);
        terminal.key(" limit 1;\n");
        let text = terminal.wait("btrfs_delayed_node,312\r\n");
        assert!(!text.contains("possibilities") && !text.contains("object_size"), "{text}");
        terminal.wait(PROMPT);
        // One with nothing behind it completes, however fast it came.
        terminal.key("explai\t");
        terminal.wait("explain ");
        terminal.key(" select name limit 1;\n");
        let plan = terminal.wait("limit 1\r\n");
        assert!(!plan.contains("error"), "{plan}");
        terminal.wait(PROMPT);
        terminal.leave();
    }
}

/// What is drawn grows with the text, not with its square.
#[test]
fn a_long_paste_is_not_drawn_at_every_letter() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    terminal.ask(".mode csv", "");
    for letters in [1000, 4000, 64_000] {
        let text = "ab".repeat(letters / 2);
        terminal.key(&format!("select length('{text}') as letters limit 1;\n"));
        let drawn = terminal.wait(&format!("letters\r\n{letters}\r\n"));
        assert!(drawn.contains(&text[..letters / 2]), "{drawn}");
        // Every letter would draw half of them.
        assert!(drawn.len() < 1000 * letters, "{} bytes for {letters} letters", drawn.len());
        terminal.wait(PROMPT);
    }
    // What the end of a long line waits for is another statement.
    let text = "ab".repeat(5000);
    let long = format!("select length('{text}') as letters limit 1;");
    let two = format!("select length('{text}')\nas both limit 1;");
    terminal.key(&format!("{long}\n{long}\n{two}\n"));
    terminal.wait("letters\r\n10000\r\n");
    terminal.wait("letters\r\n10000\r\n");
    terminal.wait("both\r\n10000\r\n");
    terminal.wait(PROMPT);
    terminal.leave();
}

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
fn what_is_typed_behind_an_interrupt_stays() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    terminal.ask(".mode csv", "");
    // The terminal hands over all of it at once.
    terminal.key("select foo\x03select 12 as x limit 1;\n");
    terminal.wait("x\r\n12\r\n");
    terminal.wait(PROMPT);
    let long = "ab".repeat(5000);
    terminal.key(&format!("select '{long}\x03select 13 as x limit 1;\n"));
    terminal.wait("x\r\n13\r\n");
    terminal.wait(PROMPT);
    terminal.leave();
}

#[test]
fn it_is_said_what_a_failed_statement_keeps_from_running() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    let paste = |text: &str| format!("\x1b[200~{text}\x1b[201~\r");
    terminal.ask(".mode csv", "");
    terminal.key(&paste("select 1 as x limit 1;\nselect nope;\nselect 3 as y limit 1;"));
    terminal.wait("x\r\n1\r\n");
    terminal.wait("unknown column `nope`");
    terminal.wait("note: what stands behind it was not run");
    terminal.wait(PROMPT);
    terminal.key(&paste("select 1 as x limit 1;\nselec 2;"));
    terminal.wait("note: no statement was run");
    terminal.wait(PROMPT);
    terminal.key(&paste("selec 1;\nselect 2 as x limit 1;"));
    terminal.wait("note: no statement was run");
    terminal.wait(PROMPT);
    // Alone it keeps nothing from running.
    let answer = terminal.ask("select nope;", "unknown column");
    assert!(!answer.contains("not run"), "{answer}");
    terminal.leave();
}

#[test]
fn commands() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    terminal.ask(".pager off", "");
    terminal.ask(".help", ".quit");
    terminal.ask("help", ".quit");
    terminal.ask(".tables", "caches ");
    terminal.ask(".schema caches", "object_size");
    terminal.ask(".schem", "did you mean `.schema`?");
    terminal.ask(".nothing_like_it", "help: `.help` lists the commands");
    terminal.ask(".mode xml", "`format` cannot be `xml`");
    terminal.ask(".mode", "auto\r\n");
    terminal.ask(".mode csv", "");
    terminal.ask("select name, size limit 1;", "btrfs_delayed_node,312\r\n");
    terminal.ask(".timer off", "");
    let answer = terminal.ask("select name limit 1;", "btrfs_delayed_node\r\n");
    assert!(!answer.contains(" in "), "{answer}");
    terminal.session.send_line(".quit").unwrap();
    assert!(matches!(terminal.end().1, WaitStatus::Exited(_, 0)));
}

#[test]
fn parameters_and_queries_by_name() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    // Gone behind the prompt, which saves a query in it.
    let home = Folder::new();
    let mut terminal = Terminal::prompt(&home);
    terminal.ask(".pager off", "");
    terminal.ask("select name where name = $name;", "`$name` has no value");
    terminal.ask(".set name dentry", "");
    let answer = terminal.ask("select name where name = $name;", "(1 row in ");
    assert!(answer.contains("\ndentry\r\n"), "{answer}");
    terminal.ask(".save by-name", "saved in ");
    terminal.ask(".set name filp", "");
    let answer = terminal.ask(".run by-name", "(1 row in ");
    assert!(answer.contains("\nfilp\r\n"), "{answer}");
    let answer = terminal.ask(".run by-name name=vmap_area", "(1 row in ");
    assert!(answer.contains("\nvmap_area\r\n"), "{answer}");
    terminal.ask(".set", "name = filp\r\n");
    terminal.ask(".unset name", "");
    terminal.ask(".set name", "`$name` is not set");
    terminal.ask(".queries", "by-name ");
    terminal.ask(".report largest rows=3", "(3 rows in ");
    terminal.leave();
}

#[test]
fn control_c_drops_what_was_typed() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    terminal.session.send_line("select bogus,").unwrap();
    terminal.wait("...> ");
    terminal.key("wrong\x03");
    terminal.wait(FRESH);
    terminal.key("and this\x03");
    terminal.wait(FRESH);
    let answer = terminal.ask("select name limit 1;", "(1 row in ");
    assert!(!answer.contains("error"), "{answer}");
    terminal.leave();
}

#[test]
fn what_is_no_text_is_an_error() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let mut terminal = Terminal::prompt(&Folder::new());
    let mut keys = terminal.session.process().get_file_handle().unwrap();
    Write::write_all(&mut keys, b"select \xff\xfe\n").unwrap();
    terminal.wait("error: ");
    terminal.wait(PROMPT);
    terminal.key("\x03");
    terminal.wait(FRESH);
    terminal.ask("select name limit 1;", "(1 row in ");
    terminal.leave();
}

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

#[test]
fn an_interrupt_ends_the_query_and_not_the_prompt() {
    if lacks(&["sh", "stty", "mkfifo"]) {
        return;
    }
    let home = Folder::new();
    // A pipe that nobody reads holds the query up. The shell outlives the interrupt and looks.
    let script = "mkfifo \"$HOME/fifo\"; exec 3<>\"$HOME/fifo\"; stty echo; before=$(stty -g)
        trap : INT; \"$0\" --demo > \"$HOME/fifo\"; echo \"code $?\"
        test \"$before\" = \"$(stty -g)\" && echo in order";
    let mut terminal = Terminal::script(script, Path::new(SLABQL), &home);
    terminal.wait(PROMPT);
    terminal.session.send_line(&"select *;".repeat(50)).unwrap();
    terminal.wait("rows in ");
    terminal.key("\x03");
    terminal.wait("interrupted\r\n");
    terminal.wait(PROMPT);
    // What the prompt knows is still there, and the next query is held up and ended as well.
    terminal.session.send_line(".set x 1").unwrap();
    terminal.wait(PROMPT);
    // Several again: the first interrupt may have come before the pipe was full.
    terminal.session.send_line(&"select *;".repeat(50)).unwrap();
    terminal.wait("*;\r\r\n");
    terminal.key("\x03");
    terminal.wait("interrupted\r\n");
    terminal.wait(PROMPT);
    terminal.key("\x04");
    terminal.wait("code 0");
    terminal.wait("in order");
}

#[test]
fn an_interrupt_ends_the_decompression_of_a_recording() {
    if lacks(&["sh", "stty", "tty"]) {
        return;
    }
    let home = Folder::new();
    // The rows of the demo so many times that they are decompressed for a while.
    let demo = include_str!("../../src/source/demo.slab");
    let (header, rows) = demo.split_once('\n').unwrap();
    let rows = rows.split("{\"end\"").next().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    writeln!(gzip, "{header}").unwrap();
    (0..3000).for_each(|_| gzip.write_all(rows.as_bytes()).unwrap());
    let bytes = gzip.finish().unwrap();
    let file = home.file("long.slab", &bytes);
    let query = format!("select count(*) from diff('{0}', '{0}');", file.display());
    let mut terminal = Terminal::prompt(&home);
    terminal.session.send_line(&query).unwrap();
    terminal.wait(";\r\r\n");
    terminal.key("\x03");
    // How soon it is seen is counted in lines, where they are read.
    let said = terminal.wait("interrupted\r\n");
    assert!(!said.contains("not a recording"), "{said}");
    terminal.wait(PROMPT);
    assert_eq!(fs::read(file).unwrap(), bytes);
    terminal.session.send_line("select name limit 1;").unwrap();
    terminal.wait("btrfs_delayed_node");
    terminal.key("\x04");
}

#[test]
fn an_interrupt_ends_a_single_query_with_130() {
    if lacks(&["sh", "stty", "mkfifo"]) {
        return;
    }
    let home = Folder::new();
    let query = "select *;".repeat(50);
    let script = format!(
        "mkfifo \"$HOME/fifo\"; exec 3<>\"$HOME/fifo\"
        trap : INT; \"$0\" --demo '{query}' > \"$HOME/fifo\"; echo \"code $?\""
    );
    let mut terminal = Terminal::script(&script, Path::new(SLABQL), &home);
    terminal.wait("the demo: ");
    terminal.key("\x03");
    terminal.wait("code 130");
}

#[test]
fn without_rights_a_person_is_shown_the_demo() {
    if lacks(&["sh", "stty", "setpriv"]) {
        return;
    }
    let home = Folder::new();
    let program = home.program();
    let turn = common::files();
    let root = turn.is_some();
    let drop = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all";
    let script =
        format!("exec {} \"$0\" 'select name, size limit 1'", if root { drop } else { "" });
    let (text, status) = Terminal::script(&script, &program, &home).end();
    assert!(matches!(status, WaitStatus::Exited(_, 2)), "{status:?} {text}");
    assert!(text.starts_with("error: "), "{text}");
    let rights = root && KernelSchema::open().is_ok();
    assert!(!rights || text.contains("needs CAP_BPF and CAP_PERFMON\r\n  = help: "), "{text}");
    assert!(text.contains("\nthe demo: Linux "), "{text}");
    assert!(text.contains("\nbtrfs_delayed_node  312 B\r\n"), "{text}");

    let script = script.replace("'select name, size limit 1'", "2>/dev/null");
    let (text, status) = Terminal::script(&script, &program, &home).end();
    // Without a label there is no demo.
    assert!(matches!(status, WaitStatus::Exited(_, 2)), "{status:?}");
    assert_eq!(text, "");
}

#[test]
fn with_rights_a_person_sees_the_kernel() {
    if lacks(&["sh", "stty"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let home = Folder::new();
    let script = "exec \"$0\" \"select name where name = 'dentry'\"";
    let (text, status) = Terminal::script(script, Path::new(SLABQL), &home).end();
    assert!(matches!(status, WaitStatus::Exited(_, 0)), "{text}");
    assert!(text.starts_with("name") && text.ends_with("\r\ndentry\r\n"), "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    let mut terminal = Terminal::script("exec \"$0\"", Path::new(SLABQL), &home);
    let greeting = terminal.wait(PROMPT);
    assert!(greeting.starts_with("slabql "), "{greeting}");
    terminal.ask("select name where name = 'dentry';", "(1 row in ");
    terminal.leave();
}
