//! The sources: which one answers, what is told of it, and what is not.

use crate::common::program::{Folder, Ran, SLABQL, command};
use crate::common::start::{self, Start};
use crate::common::{iterated, lacks, live};

/// What takes the rights to load programs away, and leaves those to read files.
const NO_BPF: [&str; 2] = ["--bounding-set", "-bpf,-perfmon,-sys_admin"];
/// What takes all rights away.
const NOBODY: [&str; 6] =
    ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"];
const REFUSED: &str = "loading BPF programs needs CAP_BPF and CAP_PERFMON";
const LABEL: &str = "source proc: figures of /proc/slabinfo and /sys/kernel/slab";

fn slabql(args: &[&str]) -> Ran {
    command(SLABQL).args(args).ran().into()
}

/// Runs the program after `setpriv` has taken rights away.
fn without(rights: &[&str], program: &str, args: &[&str]) -> Ran {
    start::command("setpriv").args(rights).arg(program).args(args).ran().into()
}

#[test]
fn files_answer_where_programs_may_not() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = iterated() else { return };
    let label = format!("{LABEL}; not live or walk: {REFUSED}\n");
    let query = "select name, size, objects_per_slab, min_partial order by name, size";
    let by_files = without(&NO_BPF, SLABQL, &[query]);
    assert_eq!((by_files.code, by_files.err), (Some(0), label.clone()));
    assert_eq!(by_files.out, slabql(&[query]).out);

    // The label is told once, and never among the rows.
    for format in ["json", "csv", "ndjson", "tsv"] {
        let text = "select size where name = 'dentry'; select size where name = 'dentry'";
        let ran = without(&NO_BPF, SLABQL, &["--format", format, text]);
        assert_eq!((ran.code, ran.err), (Some(0), label.clone()), "{format}");
        assert_eq!(ran.out, slabql(&["--format", format, text]).out, "{format}");
    }

    // What was answered before the source is left stays the answer.
    let ran = without(&NO_BPF, SLABQL, &["select table, name from bogus; select name"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    let ran = without(&NO_BPF, SLABQL, &["explain select name; select count(*) > 0 as any"]);
    assert_eq!((ran.code, ran.err), (Some(0), label));
    assert!(ran.out.starts_with("project name (user space)\n-> scan caches (source proc)\n"));
    assert!(ran.out.ends_with("any\ntrue\n"), "{}", ran.out);
}

#[test]
fn what_is_required_is_there_or_an_error() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = iterated() else { return };
    let error = format!(
        "error: {REFUSED}\n  = help: run slabql as root, or as a member of its own group after `sudo sh -c 'groupadd -f slabql; chown root:slabql $0; chmod 750 $0; setcap cap_bpf,cap_perfmon+ep $0' $(command -v slabql)`\n"
    );
    for options in [["--require", "live"], ["--source", "live"]] {
        let ran = without(&NO_BPF, SLABQL, &[&options[..], &["select name"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{options:?}");
        assert_eq!(ran.err, error, "{options:?}");
    }
    let ran = without(&NO_BPF, SLABQL, &["--require", "proc", "select name limit 1"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = slabql(&["--require", "proc", "select name limit 1"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));

    // Nothing is left: the best source's reason and remedy come first.
    let folder = Folder::new();
    let program = folder.program();
    let ran = without(&NOBODY, program.to_str().unwrap(), &["select name"]);
    let others = "  = note: `proc` cannot be used either: cannot read /proc/slabinfo: Permission denied (help: run slabql as root)\n";
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_eq!(ran.err, error + others);
}

#[test]
fn a_named_source_is_not_replaced() {
    for (args, told) in [
        (
            &["--require", "live", "--demo"][..],
            "the answer would come from the source `demo`, but `live` is required",
        ),
        (
            &["--source", "proc", "--require", "live"],
            "the answer would come from the source `proc`, but `live` is required",
        ),
        (
            &["--require", "demo", "--from", "/dev/null"],
            "the answer would come from the source `recording`, but `demo` is required",
        ),
    ] {
        let ran = slabql(&[args, &["select name"]].concat());
        let expected = format!("error: {told}\n");
        assert_eq!((ran.code, ran.err, ran.out.as_str()), (Some(2), expected, ""), "{args:?}");
    }
    let demo = slabql(&["--source", "demo", "select count(*)"]);
    assert_eq!(demo.out, slabql(&["--demo", "select count(*)"]).out);
    assert!(demo.err.starts_with("the demo: Linux "), "{}", demo.err);
    let wrong = slabql(&["--source", "nothing", "select name"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("[possible values: live, "), "{}", wrong.err);
    for source in ["proc", "demo"] {
        let ran = slabql(&["--source", source, "--record", "/nonexistent/x", "select name"]);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        assert!(
            ran.err.contains("recordings need a source that reads the kernel's memory"),
            "{}",
            ran.err
        );
    }
}

/// Rows can carry what the label says.
#[test]
fn rows_say_their_source() {
    let Some(_turn) = iterated() else { return };
    for source in ["live", "walk", "proc", "demo"] {
        let query = "select source() limit 1";
        let ran = slabql(&["--format", "csv", "--source", source, query]);
        assert_eq!((ran.code, ran.out), (Some(0), format!("source()\n{source}\n")), "{}", ran.err);
    }
}

#[test]
fn a_source_can_be_named_and_left() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = iterated() else { return };
    let text = ".source proc\nselect count(active) as known, count(active_slabinfo) > 0 as counted;\n.source\n\
                .source live\nselect count(active) > 0 as known;\n.source";
    let ran = slabql(&["--format", "csv", text]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        ran.out.starts_with(&format!("known,counted\n0,true\n{LABEL}\nknown\ntrue\n")),
        "{}",
        ran.out
    );
    assert!(
        ran.out.ends_with('\n') && ran.out.contains("\nthe running kernel: Linux "),
        "{}",
        ran.out
    );
    assert!(ran.err.starts_with(&format!("{LABEL}\nnote: `active` is NULL: ")), "{}", ran.err);

    // A source that is refused does not take the place of one that answers.
    let ran = without(&NO_BPF, SLABQL, &[".source live\nselect 1 limit 1"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert_eq!(ran.err.lines().next(), Some(&*format!("error: {REFUSED}")));
    let told = without(&NO_BPF, SLABQL, &[".source"]);
    assert_eq!(told.out, format!("{LABEL}; not live or walk: {REFUSED}\n"));
    let wrong = slabql(&[".source nowhere"]);
    assert_eq!(wrong.code, Some(1));
    assert_eq!(
        wrong.err,
        "error: there is no source `nowhere`\n  = help: there are `live`, `walk`, `proc`, `demo`\n"
    );
    // What asks of the source is told of the one that answers.
    let why = without(&NO_BPF, SLABQL, &[".why active"]);
    assert!(why.out.starts_with("caches.active is NULL: /proc/slabinfo counts "), "{}", why.out);
    let columns = "select reason where table = 'caches' and column = 'addr'";
    let columns = columns.replace("where", "from columns where").replace("table", "\"table\"");
    let ran = without(&NO_BPF, SLABQL, &[&columns.replace(" column ", " \"column\" ")]);
    assert_eq!(ran.out, "reason\nno file contains addresses\n", "{}", ran.err);
}

#[test]
fn tables_and_addresses_that_files_do_not_have_are_refused() {
    let Some(_turn) = live() else { return };
    for table in ["cpus", "slabs", "flags", "cgroups"] {
        let ran = slabql(&["--source", "proc", &format!("select all from {table}")]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{table}");
        let told = format!("{LABEL}\nerror: the source `proc` has no table `{table}`\n");
        assert!(ran.err.starts_with(&told), "{}", ran.err);
    }
    for table in ["nodes", "aliases", "slabinfo", "columns"] {
        let ran =
            slabql(&["--source", "proc", &format!("select count(*) > 9 as many from {table}")]);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "many\ntrue\n"), "{table}: {}", ran.err);
    }
    let ran = slabql(&["--source", "proc", "whatis 0xffff888100000000"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("error: the source `proc` cannot look into memory\n"), "{}", ran.err);
    let ran = slabql(&["--source", "proc", ".verify"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("is what figures are checked against"), "{}", ran.err);
}
