//! How files are named: paths, `-` and endings; and what is said of an answer that is lost.

use std::fs::{self};
use std::os::unix::fs::symlink;
use std::path::Path;

use clap::CommandFactory;
use slabql::cli::args::Args;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, error};
use crate::common::start::{self, End, Start};
use crate::files::{ANSWER, QUERY, at_home, run};

/// Runs the shell's `script`, in which `$0` is the program.
fn shell(folder: &Folder, script: &str) -> Ran {
    let home = at_home(folder);
    let mut shell = start::command("sh");
    shell.args(["-c", script, SLABQL]).current_dir(&folder.0);
    shell.envs(home.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.ran().into()
}

#[test]
fn a_dash_is_a_standard_stream_everywhere() {
    if lacks(&["sh", "cat"]) {
        return;
    }
    let folder = Folder::new();
    folder.file("q.sql", QUERY);
    for script in [
        "\"$0\" --demo --file - < q.sql",
        "\"$0\" --demo -f - < q.sql",
        "\"$0\" --demo -o - -f q.sql",
        "\"$0\" --demo --output=- -f q.sql",
        "printf '.read -\\n' > r.sql; \"$0\" --demo -f r.sql < q.sql",
        "printf '.output x\\n.output -\\n.read q.sql\\n' | \"$0\" --demo",
        "printf '.output x\\n.once -\\n.read q.sql\\n' | \"$0\" --demo",
    ] {
        let ran = shell(&folder, script);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), ANSWER), "{script}: {}", ran.err);
    }
    let ran = shell(&folder, "printf '.log -\\n.read q.sql\\n' | \"$0\" --demo");
    assert!(ran.out.contains("slabql> .read q.sql"), "{}", ran.out);
    if let Some(_turn) = common::live() {
        for script in [
            "\"$0\" snapshot - > a; \"$0\" --from - \"$(cat q.sql)\" < a",
            "\"$0\" --record - > a; \"$0\" --from - -f q.sql < a",
            "\"$0\" '.snapshot save -' > a; \"$0\" --from a -f q.sql",
            "\"$0\" snapshot a >/dev/null; \"$0\" diff - a < a >&2; \"$0\" --from a -f q.sql",
        ] {
            let ran = shell(&folder, script);
            assert_eq!((ran.code, ran.out.as_str()), (Some(0), ANSWER), "{script}: {}", ran.err);
        }
        let ran = shell(&folder, "\"$0\" --btf - 'explain select name' < /sys/kernel/btf/vmlinux");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let ran = shell(&folder, "\"$0\" export - 'select name' | \"$0\" load - > a");
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(fs::read_to_string(folder.path("a")).unwrap().starts_with("name\n"));
        let ran = shell(&folder, "\"$0\" --record - 'select name limit 1'");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    }
    let ran = shell(&folder, "echo '-x' | \"$0\" --hosts - --ssh false -f q.sql");
    assert!(ran.err.contains("`-x`"), "{}", ran.err);
    // It is read once.
    for call in [
        "--demo -f - -f - < q.sql",
        "--from - < q.sql",
        "--from - -f - < q.sql",
        "--btf - < q.sql",
        "--hosts - < q.sql",
        "diff - - < q.sql",
        "--from - diff - x < q.sql",
    ] {
        let ran = shell(&folder, &format!("\"$0\" {call}"));
        let told = "error: standard input can be read only once\n";
        assert!(ran.err.starts_with(told), "{call}: {}", ran.err);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{call}");
    }
    // Every option that names a file is one of those above.
    let command = Args::command();
    let of_files = command.get_arguments().filter(|option| {
        option.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE"))
    });
    let options: Vec<&str> = of_files.filter_map(|option| option.get_long()).collect();
    assert_eq!(options, ["file", "output", "from", "btf", "hosts", "record"]);
    assert!(!folder.names().iter().any(|name| name == "-"), "{:?}", folder.names());
}

#[test]
fn paths_are_read_by_one_reader() {
    if lacks(&["sh"]) {
        return;
    }
    let folder = Folder::new();
    folder.file("q.sql", QUERY);
    folder.file("a b.sql", QUERY);
    folder.file("it's.sql", QUERY);
    for (text, file) in [
        (".read ~/q.sql", None),
        (".read \"a b.sql\"", None),
        (".read 'a b.sql'", None),
        (".read a b.sql", None),
        (".read 'it''s.sql'", None),
        (".read \"~/a b.sql\"", None),
        (".once ~/o.csv\n.read q.sql", Some("o.csv")),
        (".once \"o 2.csv\"\n.read q.sql", Some("o 2.csv")),
        (".output ~/o3.csv\n.read q.sql", Some("o3.csv")),
        (".log \"l o g\"\n.log off\n.read q.sql", None),
    ] {
        let ran = run(&folder, text);
        assert_eq!(ran.code, Some(0), "{text}: {}", ran.err);
        let answer = file.map_or(ran.out, |file| fs::read_to_string(folder.path(file)).unwrap());
        assert_eq!(answer, ANSWER, "{text}");
    }
    assert!(folder.path("l o g").exists());
    let ran = run(&folder, ".read \"q.sql");
    assert_eq!((ran.code, error(&ran)), (Some(1), "error: the quote of `\"q.sql` is not closed\n"));
    // The shell leaves this one to the program.
    let ran = shell(&folder, "\"$0\" --demo --output=~/o4.csv --file=~/q.sql");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(fs::read_to_string(folder.path("o4.csv")).unwrap(), ANSWER);
    if let Some(_turn) = common::live() {
        let ran = run_live(&folder, ".snapshot save ~/a.slab\n.snapshot save \"./b c.slab\"");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let ran = run_live(&folder, ".diff ~/a.slab \"./b c.slab\"");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
}

fn run_live(folder: &Folder, text: &str) -> Ran {
    at_home(folder).arg(text).ran().into()
}

#[test]
fn a_link_that_leads_nowhere_is_followed_by_a_whole_answer_alone() {
    let folder = Folder::new();
    fs::create_dir(folder.path("d")).unwrap();
    symlink("d/target", folder.path("link")).unwrap();
    assert_eq!(run(&folder, ".once link\nselect nothing_here;").code, Some(1));
    let ran = at_home(&folder).args(["--demo", "-o", "link", "select nothing_here"]).ran();
    assert_eq!(Ran::from(ran).code, Some(1));
    assert!(!folder.path("d/target").exists());
    let ran = at_home(&folder).args(["--demo", "-o", "link", QUERY]).ran();
    assert_eq!(Ran::from(ran).code, Some(0));
    assert_eq!(fs::read_to_string(folder.path("d/target")).unwrap(), ANSWER);
    assert!(folder.path("link").is_symlink());
}

#[test]
fn an_ending_says_the_format_in_any_case() {
    let folder = Folder::new();
    for name in ["X.JSON", "x.Json"] {
        assert_eq!(run(&folder, &format!(".once {name}\n{QUERY};")).code, Some(0));
        assert!(fs::read_to_string(folder.path(name)).unwrap().starts_with("[\n"), "{name}");
    }
    assert!(at_home(&folder).args(["--demo", "-o", "Y.MD", QUERY]).start().ended().success());
    assert!(fs::read_to_string(folder.path("Y.MD")).unwrap().starts_with("| name"));
}

#[test]
fn an_answer_that_is_lost_is_told() {
    if lacks(&["sh"]) {
        return;
    }
    // What is exported takes the iterator.
    let turn = common::iterated();
    let live = turn.is_some();
    let folder = Folder::new();
    let mut calls: Vec<String> = [
        "--demo 'select name limit 1'",
        "--demo --watch 10ms --count 1 'select name limit 1'",
        "--demo .tables",
        "--help",
        "--version",
    ]
    .map(str::to_owned)
    .to_vec();
    // What takes a pin away has no answer.
    let command = Args::command();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "unpin") {
        let arguments = match verb.get_name() {
            "export" => "--list",
            "load" => "x.o",
            "whatis" => "0",
            "snapshot" => "-",
            "diff" => "a.slab a.slab",
            "trace" => "1ms 'select count(*) from allocations'",
            "leak" => "1ms",
            "top" => "c=1",
            _ => "",
        };
        calls.push(format!("{} {arguments}", verb.get_name()));
    }
    if live {
        assert_eq!(shell(&folder, "\"$0\" snapshot a.slab").code, Some(0));
        assert_eq!(shell(&folder, "\"$0\" export x.o 'select name'").code, Some(0));
    }
    for call in calls {
        let needs = ["whatis", "snapshot", "diff", "verify", "check", "trace", "leak", "load"]
            .iter()
            .any(|verb| call.starts_with(verb));
        if needs && !live {
            continue;
        }
        for (place, reason) in [
            (">/dev/full", "No space left on device"),
            (">&-", "Bad file descriptor"),
            ("1</dev/null", "Bad file descriptor"),
        ] {
            let ran = shell(&folder, &format!("\"$0\" {call} {place}"));
            let told = format!("error: cannot write the answer: {reason}\n");
            assert!(ran.err.contains(&told), "{call} {place}: {}", ran.err);
            assert_eq!(ran.code, Some(2), "{call} {place}");
        }
        // What is not wanted is not lost.
        let ran = shell(&folder, &format!("\"$0\" {call} >/dev/null"));
        assert!(!ran.err.contains("cannot write"), "{call}: {}", ran.err);
    }
    let ran = shell(&folder, "\"$0\" --demo -o f 'select name limit 1' >&-");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

/// Whoever may run a file with capabilities can read the kernel's memory, so wherever they are advised it is for a group.
#[test]
fn capabilities_are_advised_for_a_group_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut folders, mut advised) = (vec![root.join("book/src"), root.join("repl/src")], 0);
    let mut files = vec![root.join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (at, _) in text.match_indices("setcap ") {
            let near = &text[text.floor_char_boundary(at.saturating_sub(300))..at];
            assert!(
                near.contains("750") && near.contains("groupadd"),
                "{}: {near}",
                file.display()
            );
            advised += 1;
        }
    }
    assert!(advised >= 4, "{advised}");
}
