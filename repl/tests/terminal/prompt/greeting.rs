//! How a prompt begins: with what its owner wants, with the running kernel, or with the demo where the rights are
//! missing.

use std::fs;
use std::path::Path;

use super::{PROMPT, Terminal};
use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, SLABQL};
use rexpect::process::WaitStatus;
use slabql::kernel::schema::KernelSchema;

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
