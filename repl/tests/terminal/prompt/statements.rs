//! Statements, commands, parameters and queries by name at the prompt, and what their errors keep from running.

use std::io::Write;

use super::{FRESH, PROMPT, Terminal};
use crate::common::lacks;
use crate::common::program::Folder;
use rexpect::process::WaitStatus;

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
