//! Hostile arguments, recordings, files, settings and variables of the environment.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::{HOSTILE, Terminal, bytes, forged, harmless, home, recording, slabql};
use crate::common::lacks;

/// Runs the program at a terminal to its end.
fn ran(what: &str, command: Command) {
    harmless(what, &Terminal::new(command).end());
}

#[test]
fn arguments() {
    let home = home();
    let hostile = forged();
    let named = format!("/nowhere/{hostile}");
    let (alias, text) = (format!("select 1 as \"{HOSTILE}\""), format!("select '{HOSTILE}'"));
    let given = format!("x={HOSTILE}");
    let cases: &[&[&str]] = &[
        &[&hostile],
        &[HOSTILE],
        &[&format!("select {HOSTILE}")],
        &[&format!("select \"{HOSTILE}\"")],
        &[&format!("select name where name = '{HOSTILE}' and nosuch")],
        &[&format!("select name from \"{HOSTILE}\"")],
        &[&format!("select \"{HOSTILE}\"(name)")],
        &[&format!("select name where flags has \"{HOSTILE}\"")],
        &[&format!("explain select '{HOSTILE}' as x where name = '{HOSTILE}'")],
        &[&format!("explain analyze select name where name = '{HOSTILE}'")],
        &[&format!("--{hostile}")],
        &["--format", &hostile],
        &["--color", &hostile],
        &["--watch", &hostile],
        &["--count", &hostile],
        &["--source", &hostile],
        &["--template", &hostile],
        &["--null", &hostile, "--format", "table", "select ctor limit 1"],
        &["--width", &hostile, "select name"],
        &["--set", &hostile, "select name"],
        &["--set", &given, "select $y"],
        &["--set", &given, "select name where size > $x"],
        &["-f", &named],
        &["-o", &named, "select name"],
        &["--from", &named, "select name"],
        &["--btf", &named, "select name"],
        &["--record", &named],
        &["report", &hostile],
        &["report", "waste", &hostile],
        &["whatis", &hostile],
        &["snapshot", &named],
        &["snapshot", &hostile, &hostile],
        &["diff", &hostile],
        &["diff", &named, &named],
        &["verify", &hostile],
        &["--format", "table", &alias],
        &["--format", "vertical", &alias],
        &["--format", "markdown", &alias],
        &["--format", "table", &text],
        &["--format", "vertical", &text],
        &["--format", "markdown", &text],
        &["--watch", "1ms", "--count", "2", "--format", "vertical", &alias],
        &["--watch", "1ms", "--count", "2", &alias],
    ];
    for case in cases {
        let what = format!("{case:?}");
        let mut args = vec!["--demo", "--color", "always"];
        // Where a source or a colour is what is asked for.
        args.retain(|_| !case.contains(&"--color") && !case.contains(&"--source"));
        args.extend(*case);
        ran(&what, slabql(&home, args));
    }
    ran("an argument that is no text", slabql(&home, [bytes()]));
    let mut renamed = slabql(&home, ["--nope"]);
    renamed.arg0(bytes());
    ran("the program's own name", renamed);
}

#[test]
fn recordings() {
    let home = home();
    let folder = home.path("folder");
    let mut name = folder.clone().into_os_string();
    name.push("/");
    name.push(bytes());
    fs::create_dir(&folder).unwrap();
    fs::write(&name, recording()).unwrap();
    for query in [
        "select *",
        "select name, aliases, flags, ctor, objects",
        "select * from columns",
        "select * from aliases",
        "select * from flags",
        "explain select name, objects",
        "explain analyze select name where name like 'a%'",
        "select nosuch",
        "select name from nodes",
        "select flags has nosuch",
        "whatis ffff888100bea600",
    ] {
        for format in ["table", "vertical", "markdown", "csv", "tsv"] {
            let mut command = slabql(&home, ["--color", "always", "--format", format]);
            command.arg("--from").arg(&name).arg(query);
            ran(&format!("{query} as {format}"), command);
        }
    }
    let commands = home.file(
        "commands",
        ".why\n.why objects\n.why name\n.schema\n.source\n.tables\n.config\n.params\n.set\n.log\n",
    );
    let mut command = slabql(&home, ["-f"]);
    command.arg(commands).arg("--from").arg(&name);
    ran("commands", command);
    let mut diff = slabql(&home, ["diff"]);
    diff.arg(&name).arg(&name);
    ran("a comparison", diff);

    let text = fs::read_to_string(&name).unwrap();
    for (what, broken) in [
        ("another table", text.replace("\"caches\"", &serde_json::json!(forged()).to_string())),
        ("another format", text.replace("slabql recording", "x")),
        ("a broken row", format!("{text}x")),
    ] {
        fs::write(&name, broken).unwrap();
        let mut command = slabql(&home, ["--from"]);
        command.arg(&name).arg("select name");
        ran(what, command);
    }
}

#[test]
fn files_and_settings() {
    let home = home();
    let hostile = serde_json::json!(forged()).to_string();
    for text in [
        format!("{hostile} = 1"),
        format!("format = {hostile}"),
        format!("null = {hostile}"),
        format!("width = 1 {HOSTILE}"),
        HOSTILE.to_owned(),
    ] {
        home.file("config/slabql/config.toml", &text);
        let what = format!("config.toml: {text:?}");
        ran(&what, slabql(&home, ["--demo", "--format", "table", "select null"]));
    }
    fs::remove_file(home.path("config/slabql/config.toml")).unwrap();

    let name = home.path("x").with_file_name(bytes());
    for text in [
        format!("select {HOSTILE}"),
        format!(".{HOSTILE}"),
        format!(".why {HOSTILE}"),
        format!(".mode {HOSTILE}"),
        format!(".units {HOSTILE}"),
        format!(".set x={HOSTILE}\n.set\n.params"),
        format!(".null {HOSTILE}\nselect null;"),
        format!(".run {HOSTILE}"),
        format!(".read {HOSTILE}"),
        format!(".log /nowhere/{HOSTILE}"),
        format!(".log {HOSTILE}\n.log"),
        format!(".output /nowhere/{HOSTILE}"),
        format!(".once /nowhere/{HOSTILE}\nselect 1"),
        format!(".diff {HOSTILE}"),
        format!(".snapshot drop {HOSTILE}"),
        format!(".source {HOSTILE}"),
        format!(".help {HOSTILE}"),
        format!(".schema s->{HOSTILE}"),
        format!(".pipe false '{HOSTILE}'\nselect 1;"),
    ] {
        fs::write(&name, &text).unwrap();
        let mut command = slabql(&home, ["--demo", "-f"]);
        command.arg(&name);
        ran(&format!("a file: {text:?}"), command);
    }
    fs::write(&name, b"\xff\x1b]0;x\x07").unwrap();
    let mut command = slabql(&home, ["--demo", "-f"]);
    command.arg(&name);
    ran("a file that is no text", command);
}

#[test]
fn environment() {
    let home = home();
    for name in ["HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        let mut value = home.0.clone().into_os_string();
        value.push("/");
        value.push(bytes());
        let file = home.file("commands", ".config\n.queries\n.snapshot list\n.save x\n");
        let mut command = slabql(&home, ["--demo", "-f"]);
        for other in ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(other);
        }
        command.arg(file).env(name, value);
        ran(name, command);
    }
    for name in ["TERM", "LANG", "LC_ALL", "COLUMNS"] {
        ran(name, {
            let mut command = slabql(&home, ["--demo", "--format", "table", "select name limit 3"]);
            command.env(name, bytes());
            command
        });
    }
    if lacks(&["sh", "cat"]) {
        return;
    }
    let mut command = slabql(&home, ["--demo"]);
    command
        .env("EDITOR", bytes())
        .env("XDG_RUNTIME_DIR", &home.0)
        .env("PAGER", format!("cat; : '{}'", forged()));
    let mut terminal = Terminal::new(command);
    terminal.wait("slabql> ", 0);
    terminal.key("select 1 limit 1;\r", "row in");
    terminal.key(".edit\r", "cannot run");
    terminal.key("select name;\r", "rows in");
    terminal.keyboard.write_all(b"\x04").unwrap();
    harmless("EDITOR and PAGER", &terminal.end());
}
