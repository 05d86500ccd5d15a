//! Ctrl-C ends a query, the decompression of a recording or a single query; the prompt stays, and the terminal is in
//! order.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::{PROMPT, Terminal};
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use flate2::Compression;
use flate2::write::GzEncoder;

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
    let demo = include_str!("../../../src/source/demo.slab");
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
