//! Query files: run as programs, read by each other, saved and run by name; and the reports.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use std::process::Stdio;
use std::time::Duration;

use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::{self, End, Start};
use crate::common::wait;
use slabql::features::library::{REPORTS, title};

/// Runs the program with a home of its own.
fn at_home(home: &Folder, args: &[&str]) -> Ran {
    let mut command = command(SLABQL);
    command.env("HOME", &home.0).env("XDG_DATA_HOME", home.path("data"));
    command.arg("--demo").args(args).ran().into()
}

#[test]
fn a_file_is_a_program() {
    let folder = Folder::new();
    let text = "#!/usr/bin/env -S slabql --demo -f\n-- Title\n-- param n: uint = 1\nselect name limit $n;\n";
    let path = folder.file("first.slabql", text);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(SLABQL).parent().unwrap();
    let search = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let run = |args: &[&str]| -> Ran {
        // Another test may start a process while the file is written, which then holds it open for a moment.
        wait("a file that is held open no more", Duration::from_mins(1), || {
            let mut command = start::command(&path);
            command.args(args).env("PATH", &search).stdout(Stdio::piped()).stderr(Stdio::piped());
            match command.try_start() {
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
                child => Some(child.unwrap().finish().into()),
            }
        })
    };
    let ran = run(&[]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "name\nbtrfs_delayed_node\n"),
        "{}",
        ran.err
    );
    let ran = run(&["--set", "n=2", "--format", "ndjson"]);
    assert_eq!(ran.out.lines().count(), 2, "{}", ran.err);
}

#[test]
fn commands_stand_between_statements() {
    let text = b".mode ndjson\nselect name limit 1;\n-- then\n.mode csv\nselect size limit 1;\nquit\nselec";
    let ran = demo_reads([], text);
    assert_eq!(ran.out, "{\"name\":\"btrfs_delayed_node\"}\nsize\n312\n");
    assert_eq!((ran.code, error(&ran)), (Some(0), ""));

    // An error behind a command names its line, and a wrong command is marked.
    let ran = demo_reads([], b"select name limit 1;\n\n.mode csv\nselect nam;");
    assert!(error(&ran).contains("\n4 | select nam;\n  |        ^^^ "), "{}", ran.err);
    let ran = demo_reads([], b"select name limit 1;\n  .mod csv");
    let expected = "in standard input:\nerror: unknown command `.mod`\n  |\n2 |   .mod csv\n  |   ^^^^^^^^\n  = help: did you mean `.mode`?\n";
    assert_eq!((ran.code, error(&ran)), (Some(1), expected));
    assert_eq!(ran.out, "name\nbtrfs_delayed_node\n");
    let ran = demo_reads([], b"select name\n.tables");
    assert!(
        ran.err.ends_with("  = help: end the query before a command with `;`\n"),
        "{}",
        ran.err
    );
}

#[test]
fn files_read_files_beside_them() {
    let folder = Folder::new();
    fs::create_dir(folder.path("sub")).unwrap();
    let path = |name: &str| folder.path(name).display().to_string();
    folder.file("a", ".set n 1\n.read sub/b\nselect size limit $n;\n.read 'sub/b'\n");
    folder.file("sub/b", "select name limit $n;\n.read c\n");
    folder.file("sub/c", "select $n limit 1");
    let expected = "name\nbtrfs_delayed_node\n1\n1\n";
    let ran = demo(["-f", &path("a")]);
    assert_eq!(ran.out, format!("{expected}size\n312\n{expected}"), "{}", ran.err);
    let ran = demo([format!(".set n 1\n.read {}", path("sub/b")).as_str()]);
    assert_eq!(ran.out, expected, "{}", ran.err);

    // An error says in which file it is.
    folder.file("sub/c", "-- fine\nselect nam");
    let ran = demo(["-f", &path("a")]);
    let start =
        format!("in {}:\nerror: unknown column `nam`\n  |\n2 | select nam\n", path("sub/c"));
    assert!(ran.code == Some(1) && error(&ran).starts_with(&start), "{}", ran.err);
    folder.file("sub/c", ".read none");
    let ran = demo(["-f", &path("a")]);
    let expected = format!(
        "error: cannot read {}: No such file or directory\n  = help: requested in line 1 of {}\n",
        path("sub/none"),
        path("sub/c"),
    );
    assert_eq!((ran.code, error(&ran)), (Some(2), expected.as_str()));
    let ran = demo([".read"]);
    let expected = "error: `.read` takes a file\n  = help: `.read largest.slabql`\n";
    assert_eq!((ran.code, error(&ran)), (Some(1), expected));
}

#[test]
fn files_do_not_read_each_other_without_end() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name).display().to_string();
    folder.file("a", "-- round\n.read b");
    folder.file("b", ".read ./a");
    let ran = demo(["-f", &path("a")]);
    let b = path("b");
    let expected = format!(
        "in {b}:\nerror: {} reads itself\n  |\n1 | .read ./a\n  | ^^^^^^^^^\n",
        path("./a")
    );
    assert_eq!((ran.code, error(&ran)), (Some(1), expected.as_str()));

    for number in 0..20 {
        folder.file(&number.to_string(), format!(".read {}", number + 1));
    }
    let ran = demo(["-f", &path("0")]);
    assert!(error(&ran).contains("`.read` is nested more than 16 deep at "), "{}", ran.err);
    folder.file("10", "select name limit 1");
    assert_eq!(demo(["-f", &path("0")]).out, "name\nbtrfs_delayed_node\n");
}

#[test]
fn queries_are_saved_and_run_by_name() {
    let home = Folder::new();
    let ran = at_home(&home, &[".queries"]);
    assert!(
        ran.out.contains("\n  none; `.save NAME` saves the query before it\nreports:\n"),
        "{}",
        ran.out
    );

    let text = "\n-- By name\n-- param like: text = dentry  Which.\nselect name where name like $like;\n.save mine";
    let ran = at_home(&home, &[text]);
    let file = home.path("data/slabql/queries/mine.slabql");
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "name\ndentry\n"), "{}", ran.err);
    assert!(error(&ran).ends_with(&format!("saved in {}\n", file.display())), "{}", ran.err);
    let saved = text.trim_start().strip_suffix(".save mine").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), saved);

    let ran = at_home(&home, &[".queries"]);
    assert!(ran.out.contains(":\n  mine               By name\nreports:\n  "), "{}", ran.out);
    assert_eq!(at_home(&home, &[".run mine"]).out, "name\ndentry\n");
    // Values hold for one run.
    let ran = at_home(&home, &[".run mine like='fil_'\n.run mine\n.set"]);
    assert_eq!(ran.out, "name\nfilp\nname\ndentry\n", "{}", ran.err);

    let ran = at_home(&home, &["select size limit 1;\n.save mine\n.run mine"]);
    assert_eq!(ran.out, "size\n312\nsize\n312\n");
    assert!(error(&ran).contains("; what it was is in "), "{}", ran.err);
    assert_eq!(fs::read_to_string(file.with_extension("slabql~")).unwrap(), saved);
    assert_eq!(home.0.join("data/slabql/queries").read_dir().unwrap().count(), 2);

    for (text, message, help) in [
        (".run min", "unknown query `min`", "did you mean `mine`?"),
        (".run zebra-crossing", "unknown query `zebra-crossing`", "`.queries` lists them"),
        (
            ".run",
            "`.run` takes the name of a query",
            "a name consists of letters, digits, `-` and `_`",
        ),
        (
            ".run ../x",
            "`../x` is not a valid query name",
            "a name consists of letters, digits, `-` and `_`",
        ),
        (
            ".save a/b",
            "`a/b` is not a valid query name",
            "a name consists of letters, digits, `-` and `_`",
        ),
        (".save x", "there is no query to save", "run one first"),
        (".run mine x=1", "`mine` has no parameter `$x`", "it has no parameters"),
        (".run mine x", "`x` does not set a parameter", "write `name=value`"),
    ] {
        let ran = at_home(&home, &[text]);
        let expected = format!("error: {message}\n  = help: {help}\n");
        assert_eq!((ran.code, error(&ran)), (Some(1), expected.as_str()), "{text}");
    }
}

#[test]
fn reports_are_listed_shown_and_run() {
    let list = demo(["report"]);
    assert_eq!((list.code, error(&list)), (Some(0), ""));
    let lines: Vec<String> =
        REPORTS.iter().map(|(name, text)| format!("{name:18} {}", title(text))).collect();
    assert_eq!(list.out.lines().collect::<Vec<_>>(), lines);
    assert_eq!(demo([".report"]).out, list.out);

    let (_, text) = REPORTS.iter().find(|(name, _)| *name == "largest").unwrap();
    for args in
        [&["report", "largest", "--sql"][..], &[".report largest --sql"], &["report largest --sql"]]
    {
        assert_eq!(demo(args.iter().copied()).out, *text, "{args:?}");
    }
    let answer = demo([*text]).out;
    assert_eq!(demo(["report", "largest"]).out, answer);
    assert_eq!(demo([".run largest"]).out, answer);
    let ran = demo(["report", "largest", "rows=1", "--format", "ndjson"]);
    assert!(ran.out.starts_with("{\"name\":\"ext4_inode_cache\""), "{} {}", ran.out, ran.err);
    assert_eq!(ran.out.lines().count(), 1);
    assert_eq!(demo(["--set", "rows=1", "report", "largest"]).out.lines().count(), 2);

    for (args, message, help) in [
        (&["report", "larges"][..], "unknown report `larges`", "did you mean `largest`?"),
        (&["report", "crossing"], "unknown report `crossing`", "`.report` lists them"),
        (
            &["report", "largest", "row=1"],
            "`largest` has no parameter `$row`",
            "did you mean `rows`?",
        ),
        (&["report", "largest", "1"], "`1` does not set a parameter", "write `name=value`"),
    ] {
        let ran = demo(args.iter().copied());
        let expected = format!("error: {message}\n  = help: {help}\n");
        assert_eq!((ran.code, error(&ran)), (Some(1), expected.as_str()), "{args:?}");
    }
}
