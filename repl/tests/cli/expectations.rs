//! What people expect of an SQL prompt, a line each; what needs a terminal is in `repl/tests/terminal`.

use crate::common::program::{Folder, Ran, SLABQL, command, demo, demo_reads, error};
use crate::common::start::Start;

/// The types of a kernel that is not this one.
const TYPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/btf/6.18.btf");

/// What is expected, what is run, and what its answer holds.
const EXPECTED: &[(&str, &[&str], &str)] = &[
    (".help", &[".help"], ".tables "),
    (".help X", &[".help .once"], "Writes the next answer to a file"),
    (".help of a clause", &[".help order by"], "Sorts the answer by columns"),
    (".help of an operator", &[".help has"], "has any (ACCOUNT"),
    (".help of a column", &[".help waste"], "in caches:"),
    (".help of a column and a function", &[".help size"], "size(x)\n"),
    (".help of both", &[".help size"], "in caches:\n  size "),
    (".help of a flag", &[".help account"], "select name where flags has ACCOUNT"),
    (".help of a setting", &[".help --format"], "SLABQL_FORMAT"),
    ("a list of tables", &[".tables"], "caches "),
    ("show tables", &["show tables"], "caches "),
    (".schema with the kernel's member", &[".schema caches"], "from: "),
    (".schema with the first release", &[".schema"], "sheaves were added in 6.18"),
    ("describe", &["describe caches"], "object_size"),
    ("a sticky format", &[".mode json\nselect name limit 1"], "{\"name\":\"btrfs_delayed_node\"}"),
    ("a format for one query", &["select name limit 1 format json"], "{\"name\":"),
    ("\\G", &["select name limit 1 \\G"], "row 1"),
    (
        "vertical when too wide",
        &["--format", "table", "--width", "12", "select name, size, slabs limit 1"],
        "row 1",
    ),
    ("\\x auto", &["\\x\n\\x auto\nselect name limit 1"], "name\nbtrfs_delayed_node\n"),
    ("-c", &["-c", "select name limit 1"], "btrfs_delayed_node"),
    ("--format", &["--format", "tsv", "select name, size limit 1"], "btrfs_delayed_node\t312"),
    (".nullvalue", &[".nullvalue -\n.mode table\nselect ctor limit 1"], "\n-\n"),
    ("why NULL", &[".why cached_sheaves"], "cached_sheaves"),
    ("parameters", &["--set", "n=1", "select name limit $n"], "btrfs_delayed_node"),
    ("a function's call", &[".functions"], "upper(text)"),
    (".parameter", &[".set n 1\nselect name limit $n"], "btrfs_delayed_node"),
    ("explain shows the plan", &["explain select name where size > 64"], "-> scan caches"),
    ("from is optional", &["select count(*)"], "235"),
    ("from at the end", &["select count(*) from caches"], "235"),
    ("\\watch", &["select name where name = 'dentry' \\watch i=0.01 c=1"], "dentry"),
    ("the last answer again", &["select name limit 1;\n.last json"], "{\"name\":"),
    ("summarize", &["summarize select name, size"], "size,235,0,"),
    ("frequencies", &[".freq rcu"], "false,"),
    ("a chart", &["select name, size limit 1;\n.chart bar"], "btrfs_delayed_node  312 B  ████"),
    (
        "a chart of the query before it",
        &["-c", "select name, size limit 1", "-c", ".chart bar"],
        "btrfs_delayed_node  312 B  ████",
    ),
    ("a bar that scales itself", &["select bar(size) order by size desc limit 1"], "\n1.0\n"),
    ("a row opened", &[".open fs_cache"], "anon_vma_chain"),
    ("reports", &["report largest"], "ext4_inode_cache"),
    ("thousands", &["--format", "table", "select objects where name = 'dentry'"], "305,193"),
    ("exact", &["--exact", "--format", "table", "select objects where name = 'dentry'"], "305193"),
    (
        "plain",
        &["--plain", "--format", "table", "select name limit 1"],
        "name btrfs_delayed_node\n",
    ),
];

#[test]
fn what_people_expect_is_there() {
    for (what, words, holds) in EXPECTED {
        let ran = demo(words.iter().copied());
        assert_eq!(ran.code, Some(0), "{what}: {}", ran.err);
        assert!(ran.out.contains(holds), "{what}: {}", ran.out);
    }
}

#[test]
fn explain_shows_the_program_of_a_kernel() {
    let ran: Ran = command(SLABQL).args(["--btf", TYPES, "explain select name"]).ran().into();
    assert!(ran.out.contains("bpf_iter_kmem_cache_next"), "{}{}", ran.out, ran.err);
}

/// The stages are told, and rows alone go to standard output.
#[test]
fn a_timer_tells_the_stages() {
    let ran = demo([".timer stages\nselect name limit 1"]);
    assert_eq!(ran.out, "name\nbtrfs_delayed_node\n");
    for stage in ["(1 row in ", "parse ", "bind ", "plan ", "execute ", "render "] {
        assert!(ran.err.contains(stage), "{stage}: {}", ran.err);
    }
}

#[test]
fn top_ends_as_a_watch_does() {
    let ticks = |words: &[&str]| {
        let ran = demo([&["--format", "csv"], words].concat());
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
        let blocks = ran.out.matches(",shmem_inode_cache,").count();
        assert!(ran.out.contains("name,memory,growth,history,active"), "{}", ran.out);
        blocks
    };
    assert_eq!(ticks(&["top", "1ms", "--count", "3"]), 3);
    assert_eq!(ticks(&["--count", "2", "--watch", "1ms", "top"]), 2);
    assert_eq!(ticks(&["top", "1ms", "--until-rows"]), 1);
    assert_eq!(ticks(&[".top 1ms c=2"]), 2);
    for words in [&["--count", "3", "select name"][..], &["--until-rows", "report", "largest"]] {
        let ran = demo(words.iter().copied());
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{words:?}");
        assert!(
            error(&ran).contains("end a watch\n") && ran.err.contains("`--watch 1s`"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn what_was_watched_is_explained() {
    let ran = demo_reads([], b"watch 1ms count 1 select name limit 1;\n.explain\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains("project name (user space)"), "{}", ran.out);
}

#[test]
fn a_query_is_saved_and_run() {
    let folder = Folder::new();
    let run = |text: &str| {
        let mut command = command(SLABQL);
        command
            .args(["--demo", text])
            .env("XDG_DATA_HOME", &folder.0)
            .env("XDG_CONFIG_HOME", &folder.0);
        let ran: Ran = command.ran().into();
        assert_eq!(ran.code, Some(0), "{text}: {}", ran.err);
        ran.out
    };
    let expected = "name\nbtrfs_delayed_node\n";
    assert_eq!(run(".set n 1\nselect name limit $n;\n.save few"), expected);
    assert_eq!(run(".run few n=1"), expected);
}

#[test]
fn answers_go_where_they_are_sent() {
    let folder = Folder::new();
    let file = folder.path("a.json");
    let text = format!(".once {}\nselect name limit 1;\nselect size limit 1", file.display());
    assert_eq!(demo([text.as_str()]).out, "size\n312\n");
    assert!(std::fs::read_to_string(&file).unwrap().contains("btrfs_delayed_node"));
    let image = folder.path("a.svg");
    let text = format!("select name, size limit 2;\n.chart bar {}", image.display());
    assert_eq!(demo([text.as_str()]).out.lines().count(), 3);
    assert!(std::fs::read_to_string(&image).unwrap().starts_with("<svg"));
}

#[test]
fn queries_come_from_files_and_standard_input() {
    let folder = Folder::new();
    let file = folder.file("a.sql", "select name limit 1;");
    let path = file.to_str().unwrap();
    let expected = "name\nbtrfs_delayed_node\n";
    assert_eq!(demo(["-f", path]).out, expected);
    assert_eq!(demo([format!(".read {path}").as_str()]).out, expected);
    assert_eq!(demo_reads([], b"select name limit 1;").out, expected);
}

#[test]
fn errors_have_an_exit_code_and_teach() {
    let ran = demo(["select objcts"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(error(&ran).ends_with("= help: did you mean `objects`?\n"), "{}", ran.err);
    let ran = demo(["select sparkline(size)"]);
    assert!(error(&ran).contains("^ the last ticks\n"), "{}", ran.err);
    let ran = demo([".hlep"]);
    assert_eq!(ran.code, Some(1));
    assert!(error(&ran).contains("did you mean `.help`?"), "{}", ran.err);
    let ran = demo([".schema waste"]);
    assert!(ran.err.contains("`waste` is a column of `caches`: `.help waste`"), "{}", ran.err);
}

#[test]
fn a_setting_is_an_option_a_variable_and_a_line_of_a_file() {
    let run = |name: &str, value: &str| {
        let mut command = command(SLABQL);
        command.args(["--demo", "select name limit 1"]).env(name, value);
        let ran: Ran = command.ran().into();
        ran.out
    };
    assert!(run("SLABQL_FORMAT", "json").starts_with('['));
    let folder = Folder::new();
    std::fs::create_dir(folder.path("slabql")).unwrap();
    folder.file("slabql/config.toml", "format = \"json\"\n");
    assert!(run("XDG_CONFIG_HOME", folder.0.to_str().unwrap()).starts_with('['));
}

/// A report says what to look at next, to people alone.
#[test]
fn a_report_says_what_is_next() {
    let ran = demo(["--format", "table", "report", "largest"]);
    let next = "next: `ext4_inode_cache` takes 167.2 MiB: see `.open ext4_inode_cache`";
    assert!(error(&ran).starts_with(next), "{}", ran.err);
    for words in [&["report", "largest"][..], &["--format", "json", "report", "largest"]] {
        assert_eq!(error(&demo(words.iter().copied())), "");
    }
    let none = demo(["--format", "table", "report", "largest", "min=1TiB"]);
    let nothing = "next: nothing was found; `.report` lists the other reports\n";
    assert_eq!((none.code, error(&none)), (Some(0), nothing));
}
