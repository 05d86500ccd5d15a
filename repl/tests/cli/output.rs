//! Where answers go: files that are there as a whole or not at all, commands of the shell.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use crate::common;
use crate::common::lacks;
use crate::common::program;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::{self, End, Start};
use crate::common::wait;
use rustix::process::Signal;

const QUERY: &str = "select name, size where name = 'dentry'";

/// Runs a text in `folder`.
fn run(folder: &Folder, text: &str) -> Ran {
    let mut command = command(SLABQL);
    command.env("XDG_DATA_HOME", &folder.0);
    command.current_dir(&folder.0).args(["--demo", text]).ran().into()
}

fn read(folder: &Folder, name: &str) -> String {
    fs::read_to_string(folder.path(name)).unwrap()
}

#[test]
fn answers_go_to_a_file_until_they_go_elsewhere() {
    let folder = Folder::new();
    let text = format!(
        ".output all.csv\n{QUERY}; select name limit 1;\n.tables\n.once 'one x.json'\n{QUERY}; select 1 as a limit 1;\n\
         explain select name;\n.output\n{QUERY};\n.output all.csv\nselect 2 as b limit 1;"
    );
    let ran = run(&folder, &text);
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
    assert_eq!(ran.out, "name,size\ndentry,192\n");
    assert_eq!(read(&folder, "one x.json"), "[\n{\"name\":\"dentry\",\"size\":192}\n]\n");
    // The second `.output` began it anew.
    assert_eq!(read(&folder, "all.csv"), "b\n2\n");
    assert_eq!(folder.names(), ["all.csv", "one x.json"]);

    let text = format!(
        ".output all\n{QUERY};\nselect name limit 1;\n.once x\nselect 1 as a limit 1;\nselect 2 as b limit 1;"
    );
    assert_eq!(run(&folder, &text).code, Some(0));
    let expected = "name,size\ndentry,192\nname\nbtrfs_delayed_node\nb\n2\n";
    assert_eq!((read(&folder, "all").as_str(), read(&folder, "x").as_str()), (expected, "a\n1\n"));
}

/// What a command says is an answer too; one that says nothing leaves the place of the next answer to the next.
#[test]
fn what_commands_say_goes_where_answers_go() {
    if lacks(&["sh", "tr"]) {
        return;
    }
    let folder = Folder::new();
    let text = format!(
        ".output all\n.schema nodes\n{QUERY};\n.mode csv\n.mode\n.report largest --sql\n.output\n.mode\n\
         .once one\n.set x 1\n.set\n.set\n.pipe tr a-z A-Z > two\n.timer off\n.tables\n.tables"
    );
    let ran = run(&folder, &text);
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
    let all = read(&folder, "all");
    let (schema, rest) = all.split_once("name,size\ndentry,192\n").unwrap();
    assert!(schema.contains("\n  free_partial "), "{all}");
    assert!(rest.starts_with("csv\n") && rest.contains("select "), "{all}");
    assert_eq!(read(&folder, "one"), "x = 1\n");
    assert!(read(&folder, "two").starts_with("CACHES "), "{}", read(&folder, "two"));
    assert!(ran.out.starts_with("csv\nx = 1\ncaches "), "{}", ran.out);
    assert_eq!(ran.out.matches("\ncaches ").count(), 1, "{}", ran.out);

    // Rows of commands are rows, in the format of their place.
    let rows = ".snapshot list";
    let ran = run(&folder, &format!(".once list.json\n{rows}\n{rows}"));
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
    assert_eq!(read(&folder, "list.json"), "[]\n");
    assert_eq!(ran.out, "name,time,kernel,this_boot,caches\n");

    // A command that fails says no less of what it did.
    let before = read(&folder, "all");
    let ran = run(&folder, ".output all\n.schema nothing");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert_eq!(read(&folder, "all"), before);
}

#[test]
fn a_name_says_the_format_unless_one_is_asked_for() {
    let folder = Folder::new();
    for (name, start) in [
        ("a.tsv", "name\tsize\n"),
        ("a.ndjson", "{\"name\""),
        ("a.jsonl", "{\"name\""),
        ("a.md", "| name "),
        ("a.txt", "name     size\n────"),
        ("a.vertical", "── row 1"),
        ("a", "name,size\n"),
        ("a.gz", "name,size\n"),
    ] {
        let ran = run(&folder, &format!(".once {name}\n{QUERY};"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{name}");
        let text = read(&folder, name);
        assert!(text.starts_with(start), "{name}: {text}");
        let path = folder.path("option").with_extension(name.rsplit('.').next().unwrap());
        let path = path.display().to_string();
        let ran = demo(["--output", &path, QUERY]);
        assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(0), "", ""), "{name}");
        assert!(name == "a" || fs::read_to_string(path).unwrap() == text, "{name}");
    }
    // A recording is not written over by an answer.
    let ran = run(&folder, &format!(".once a.SLAB\n{QUERY};"));
    assert_eq!((ran.code, folder.path("a.SLAB").exists()), (Some(1), false), "{}", ran.err);
    let path = folder.path("b.slab").display().to_string();
    for path in [path.clone(), path.clone() + "/"] {
        let ran = demo(["--output", &path, QUERY]);
        assert_eq!((ran.code, folder.path("b.slab").exists()), (Some(1), false), "{}", ran.err);
        assert!(ran.err.contains("`slabql snapshot FILE`"), "{}", ran.err);
    }
    // What ends like a folder is none that is made.
    let path = folder.path("b/").display().to_string();
    let ran = demo(["--output", &path, QUERY]);
    assert_eq!((ran.code, folder.path("b").exists()), (Some(2), false), "{}", ran.err);
    assert_eq!(run(&folder, &format!(".mode csv\n.once b.json\n{QUERY};")).code, Some(0));
    assert_eq!(read(&folder, "b.json"), "name,size\ndentry,192\n");
}

#[test]
fn an_answer_that_fails_leaves_the_file_as_it_was() {
    let folder = Folder::new();
    let path = folder.file("f", "old").display().to_string();
    for text in [
        "select nam",
        "select name; select cast(1 as) ",
        "select name limit 1;\n.nonsense",
        "select name limit 1;\nselect * from objects",
    ] {
        let ran = demo(["-o", &path, text]);
        assert!(matches!(ran.code, Some(1 | 2)), "{text}: {}", ran.err);
        assert_eq!(ran.out, "", "{text}");
        assert_eq!(read(&folder, "f"), "old", "{text}");
    }
    let ran = run(&folder, ".output f\nselect name from objects");
    assert_eq!((ran.code, read(&folder, "f").as_str()), (Some(2), "old"));
    assert_eq!(folder.names(), ["f"]);

    // Rows that are an alert are an answer.
    let ran = demo(["-o", &path, "--quiet", "--fail-if-rows", QUERY]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(4), ""));
    assert_eq!(read(&folder, "f"), "name,size\ndentry,192\n");
}

#[test]
fn a_file_keeps_its_mode_and_a_link_its_target() {
    let folder = Folder::new();
    let path = folder.file("f", "old");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    symlink("f", folder.path("link")).unwrap();
    let ran = run(&folder, &format!(".once link\n{QUERY};\n.once new\n{QUERY};"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(folder.path("link").is_symlink());
    assert_eq!(read(&folder, "f"), "name,size\ndentry,192\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(folder.names(), ["f", "link", "new"]);
}

#[test]
fn files_that_cannot_be_written_are_told_at_once() {
    let folder = Folder::new();
    for (text, message) in [
        (".output", None),
        (".once", Some("error: `.once` takes a file\n  = help: `.once caches.csv`\n")),
        (
            ".output /nonexistent/x",
            Some("error: cannot write /nonexistent/x: No such file or directory\n"),
        ),
        (".once .", Some("error: cannot write .: is a directory\n")),
    ] {
        let ran = run(&folder, text);
        assert_eq!(error(&ran), message.unwrap_or_default(), "{text}");
    }
    for place in ["/nonexistent/x", "/"] {
        let ran = demo(["--output", place, QUERY]);
        assert_eq!(ran.code, Some(2));
        assert!(error(&ran).starts_with(&format!("error: cannot write {place}: ")), "{}", ran.err);
    }
    // What is no file is written to.
    let ran = demo(["-o", "/dev/stdout", QUERY]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "name,size\ndentry,192\n"), "{}", ran.err);
    let ran = demo(["-o", "/dev/full", QUERY]);
    assert_eq!(error(&ran), "error: cannot write /dev/full: No space left on device\n");
    let ran = run(&folder, &format!(".output /dev/stderr\n{QUERY};\n{QUERY};"));
    assert_eq!(error(&ran), "name,size\ndentry,192\nname,size\ndentry,192\n");
}

/// A small tmpfs that only this shell and its children see.
fn on_a_small_disk(script: &str) -> Ran {
    let folder = Folder::new();
    let script = format!(
        "mount -t tmpfs -o size=8k,mode=0700 none \"$1\" && cd \"$1\" && echo old > f && {script}"
    );
    let mut shell = start::command("unshare");
    shell.args(["-m", "sh", "-c", &script, SLABQL]).arg(&folder.0);
    shell.ran().into()
}

#[test]
fn a_full_disk_leaves_the_old_file_whole() {
    if lacks(&["unshare", "sh", "mount", "cat", "ls"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let looks = "echo code $?; cat f; ls -A";
    for (script, told) in [
        ("\"$0\" --demo --output f 'select *'", ""),
        ("printf '.output f\\nselect *;\\n' | \"$0\" --demo", ""),
        ("printf '.once f\\nselect *;\\n' | \"$0\" --demo", ""),
        (
            "printf '.output f\\nselect name limit 1;\\nselect *;\\n' | \"$0\" --demo",
            "name\nbtrfs_delayed_node\n",
        ),
    ] {
        let ran = on_a_small_disk(&format!("{script}; {looks}"));
        let kept = if told.is_empty() { "old\n" } else { told };
        assert_eq!(ran.out, format!("code 2\n{kept}f\n"), "{script}: {}", ran.err);
        assert_eq!(error(&ran), "error: cannot write f: No space left on device\n", "{script}");
    }
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let folder = Folder::new();
    let path = folder.file("f", "old");
    let mut command = command(SLABQL);
    command.args(["--demo", "-o"]).arg(&path).arg("select *;".repeat(2000));
    let mut child = command.stderr(Stdio::null()).start();
    let fds = format!("/proc/{}/fd", child.id());
    let writes = || {
        let links = fs::read_dir(&fds).into_iter().flatten().flatten();
        let mut links = links.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| link.starts_with(&folder.0))
    };
    wait("slabql to write", Duration::from_mins(1), || writes().then_some(()));
    child.signal(Signal::INT);
    assert_eq!(child.ended().signal(), Some(2));
    assert_eq!((read(&folder, "f").as_str(), folder.names()), ("old", vec!["f".to_owned()]));
}

#[test]
fn an_answer_goes_to_a_command() {
    if lacks(&["sh", "tr", "head"]) {
        return;
    }
    let ran = demo_reads([], format!(".pipe tr a-z A-Z\n{QUERY};\n{QUERY};").as_bytes());
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
    assert_eq!(ran.out, "NAME,SIZE\nDENTRY,192\nname,size\ndentry,192\n");

    // One that reads less has read enough.
    let ran = demo_reads([], b".pipe head -n 1\nselect * from columns; select 1 as a limit 1;");
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));
    assert!(ran.out.starts_with("table") && ran.out.ends_with("\na\n1\n"), "{}", ran.out);
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);

    for (text, code, message) in [
        (".pipe exit 3\nselect 1 limit 1;", 2, "`exit 3` ended with exit code 3\n"),
        (".pipe kill $$\nselect 1 limit 1;", 2, "`kill $$` ended with signal: 15 (SIGTERM)\n"),
    ] {
        let ran = demo_reads([], text.as_bytes());
        assert_eq!((ran.code, error(&ran)), (Some(code), format!("error: {message}").as_str()));
    }
    let help = "error: `.pipe` takes a command of the shell\n  = help: `.pipe jq .`\n";
    assert_eq!(error(&demo([".pipe"])), help);
    let ran = demo_reads([], b".pipe no-such-command-here\nselect 1 limit 1;");
    assert!(error(&ran).ends_with("error: `no-such-command-here` ended with exit code 127\n"));
}

/// A copy of the program with the capabilities that `setcap` gives, run by nobody.
#[test]
fn with_rights_of_its_file_it_starts_no_other_program() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let program = folder.program();
    program::give_capabilities(&program);
    let run = |text: &str| -> Ran {
        let mut command = start::command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(&program).args(["--demo", text]).stdin(Stdio::null()).ran().into()
    };
    let ran = run(".pipe cat\nselect 1 limit 1;");
    let expected = "error: with file capabilities, slabql does not start other programs\n\
                    \x20 = help: write to a file instead, or run slabql as root\n";
    assert_eq!((ran.code, ran.out.as_str(), error(&ran)), (Some(2), "", expected));
    assert_eq!(run("select 1 as a limit 1").out, "a\n1\n");
}

#[test]
fn a_query_names_the_format_of_its_answer() {
    let csv = "name,size\ndentry,192\n";
    let json = "[\n{\"name\":\"dentry\",\"size\":192}\n]\n";
    let query = "select name, size where name = 'dentry'";
    // It overrides the settings, for one answer.
    let ran =
        demo(["--format", "tsv", format!("{query} format json; {query} FORMAT CSV").as_str()]);
    assert_eq!((ran.code, ran.out), (Some(0), format!("{json}{csv}")), "{}", ran.err);
    let ran = demo([format!("{query} format json;\n{query}").as_str()]);
    assert_eq!((ran.code, ran.out), (Some(0), format!("{json}{csv}")), "{}", ran.err);
    let ran = demo([format!("watch 1ms count 1 {query} format json").as_str()]);
    assert!(ran.out.starts_with('['), "{}{}", ran.out, ran.err);
    // A file's ending does not matter then.
    let folder = Folder::new();
    let path = folder.path("a.csv");
    let ran = demo([format!(".once {}\n{query} format json", path.display()).as_str()]);
    assert_eq!((ran.code, fs::read_to_string(&path).unwrap().as_str()), (Some(0), json));
    // Nothing runs where one is unknown.
    let ran = demo([format!("{query}; {query} format jsn").as_str()]);
    let expected = "error: unknown format `jsn`\n";
    assert!(ran.err.contains(expected) && ran.err.ends_with("  = help: did you mean `json`?\n"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let ran = demo([format!("{query} format pretty").as_str()]);
    assert!(ran.err.ends_with("  = help: write `table`\n"), "{}", ran.err);
}
