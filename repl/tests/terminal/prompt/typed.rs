//! What is typed ahead, pasted, or typed around an interrupt.

use super::{FRESH, PROMPT, Terminal};
use crate::common::lacks;
use crate::common::program::Folder;

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
