//! slabql where something is amiss: file systems that are not mounted, types that are not the kernel's, symbols that are
//! hidden, a container.
//!
//! A place is made in a namespace of its own, which is gone with its process.

use std::fs;
use std::path::Path;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL};
use crate::common::start::{self, Start};

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// The arguments that ask the running kernel, and nothing else, this query.
fn asks(query: &str) -> [&str; 5] {
    ["--require", "live", "--format", "csv", query]
}

/// Runs slabql in a mount namespace in which `script` ran before.
fn in_place(script: &str, arguments: &[&str]) -> Ran {
    let script = format!("set -e; {script}; exec \"$0\" \"$@\"");
    let output = start::command("unshare")
        .args(["--mount", "sh", "-c", &script, SLABQL])
        .args(arguments)
        .ran();
    output.into()
}

/// Checks that there is no answer but an error that begins with `words`.
fn refuses(script: &str, words: &str) -> String {
    let query = asks("select name, active limit 1");
    let Ran { out, err, code } = in_place(script, &query);
    assert_eq!((out.as_str(), code), ("", Some(2)), "{script}: {err}");
    assert!(err.starts_with(&format!("error: {words}")), "{script}: {err}");
    err
}

#[test]
fn without_sysfs_there_are_no_types() {
    if lacks(&["unshare", "sh", "mount", "setpriv"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let err = refuses("mount -t tmpfs none /sys", &format!("the live source needs {BTF}\n"));
    assert!(
        err.contains("= help: mount sysfs on /sys; if it is, this kernel was built without"),
        "{err}"
    );
    let Ran { out, code, .. } =
        in_place("mount -t tmpfs none /sys", &["--format", "csv", "doctor"]);
    assert_eq!(code, Some(2));
    for line in ["kernel,CPUs,unknown,", "files,/sys/kernel/slab,lacking,", "source,live,missing,"]
    {
        assert!(out.contains(&format!("\n{line}")), "{line}: {out}");
    }
}

#[test]
fn without_proc_figures_are_the_same() {
    if lacks(&["unshare", "sh", "mount", "setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let query = "select name, size, active > 0, aliases where name = 'kmem_cache'";
    let arguments = asks(query);
    let here = in_place("true", &arguments);
    let there = in_place("mount -t tmpfs none /proc", &arguments);
    assert_eq!(here, there);
    assert_eq!((here.err.as_str(), here.code), ("", Some(0)), "{}", here.out);
    let ctor = asks("select ctor where ctor_addr != 0 limit 1");
    let Ran { out, err, code } = in_place("mount -t tmpfs none /proc", &ctor);
    assert_eq!((out.as_str(), code), ("ctor\n\n", Some(0)), "{err}");
    assert_eq!(err, "note: `ctor` is NULL: /proc/kallsyms: No such file or directory\n");
    // The right that is lacking is known without it.
    let script =
        "mount -t tmpfs none /proc; set -- --bounding-set=-bpf,-perfmon,-sys_admin \"$0\" \"$@\"";
    let script = format!("set -e; {script}; exec setpriv \"$@\"");
    let output = start::command("unshare")
        .args(["--mount", "sh", "-c", &script, SLABQL])
        .args(asks("select name"))
        .ran();
    let Ran { err, code, .. } = output.into();
    assert!(
        err.starts_with("error: loading BPF programs needs CAP_BPF and CAP_PERFMON\n"),
        "{err}"
    );
    assert_eq!(code, Some(2));
}

#[test]
fn lines_with_one_name_are_not_taken_for_each_other() {
    if lacks(&["unshare", "sh", "mount"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let line = |active: u32, all: u32| {
        format!("mlx5 {active} {all} 64 64 1 : tunables 0 0 0 : slabdata 15 15 0\n")
    };
    let lines = [line(100, 200), line(500, 900)].concat();
    let text = format!("slabinfo - version: 2.1\n# name <active_objs> <num_objs>\n{lines}");
    let script = format!("mount --bind {} /proc/slabinfo", folder.file("slabinfo", text).display());
    for (source, query, expected) in [
        ("live", "select name, active_objs, delta(active_objs) from slabinfo", [100, 500]),
        ("proc", "select name, objects, delta(objects)", [200, 900]),
    ] {
        let watch = ["--no-config", "--watch", "100ms", "--count", "2", "--format", "csv"];
        let ran = in_place(&script, &[&watch[..], &["--source", source, query]].concat());
        assert_eq!(ran.code, Some(0), "{source}: {}", ran.err);
        let rows = ran.out.lines().skip(1).filter_map(|row| row.split_once(','));
        let rows: Vec<&str> = rows.map(|(_, row)| row).collect();
        let tick = |delta| expected.map(|figure| format!("mlx5,{figure},{delta}"));
        assert_eq!(rows, [tick(""), tick("0")].concat(), "{source}: {}", ran.err);
        assert!(!ran.err.contains("new:") && !ran.err.contains("gone:"), "{}", ran.err);
    }
}

#[test]
fn hidden_processes_hide_nothing_of_slabs() {
    if lacks(&["unshare", "sh", "mount", "setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let hidden = "mount -t proc -o hidepid=2 proc /proc; exec setpriv --reuid 65534 --regid 65534 \
                  --clear-groups --inh-caps=-all,+bpf,+perfmon --ambient-caps=-all,+bpf,+perfmon \"$0\" \"$@\"";
    let folder = Folder::new();
    let program = folder.program();
    let output = start::command("unshare")
        .args(["--mount", "sh", "-c", hidden])
        .arg(program)
        .args(asks("select name, active > 0 where name = 'kmem_cache'"))
        .ran();
    let out = "name,active > 0\nkmem_cache,true\n".to_owned();
    assert_eq!(Ran::from(output), Ran { code: Some(0), out, err: String::new() });
}

#[test]
fn the_root_of_a_container_is_told_what_it_lacks() {
    if lacks(&["unshare"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let output = start::command("unshare")
        .args(["--user", "--map-root-user", SLABQL])
        .args(asks("select name"))
        .ran();
    let Ran { out, err, code } = output.into();
    assert_eq!((out.as_str(), code), ("", Some(2)));
    assert!(err.starts_with("error: bpf(2) ignores capabilities of a user namespace\n"), "{err}");
    assert!(err.contains("= help: run slabql outside the container"), "{err}");
}

#[test]
fn types_that_were_cut_or_are_none_are_refused() {
    if lacks(&["unshare", "sh", "mount", "setpriv"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let all = fs::read(BTF).unwrap();
    for (name, bytes) in
        [("empty", 0), ("header", 20), ("half", all.len() / 2), ("less", all.len() - 1)]
    {
        let file = folder.file(name, &all[..bytes]);
        let script = format!("mount --bind {} {BTF}", file.display());
        refuses(&script, &format!("{BTF} is not valid: "));
    }
    let file = folder.file("text", "nothing of the kind".repeat(100));
    refuses(&format!("mount --bind {} {BTF}", file.display()), &format!("{BTF} is not valid: "));
}

#[test]
fn hidden_symbols_are_no_names() {
    if lacks(&["unshare", "sh", "mount", "setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap();
    let hidden: String = symbols
        .lines()
        .filter_map(|line| Some(format!("0000000000000000{}\n", line.get(16..)?)))
        .collect();
    let file = folder.file("kallsyms", hidden);
    let script = format!("mount --bind {} /proc/kallsyms", Path::display(&file));
    let query = asks("select ctor where ctor_addr != 0 limit 1");
    let Ran { out, err, code } = in_place(&script, &query);
    assert_eq!((out.as_str(), code), ("ctor\n\n", Some(0)), "{err}");
    assert!(err.contains("/proc/kallsyms hides addresses (kernel.kptr_restrict)"), "{err}");
    let Ran { out, code, .. } = in_place(&script, &["--format", "csv", "doctor"]);
    assert!(out.contains("\nfiles,/proc/kallsyms,lacking,addresses are hidden"), "{out}");
    assert_eq!(code, Some(0), "nothing else is amiss");
}

#[test]
fn types_of_another_kernel_run_nothing() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let mut types = fs::read(BTF).unwrap();
    let run = |file: &Path, query: &str| -> Ran {
        let mut command = start::command(SLABQL);
        command.arg("--btf").arg(file).args(["--format", "csv", query]).ran().into()
    };
    let query = "select name, active > 0 where name = 'kmem_cache'";
    let own = run(&folder.file("own", &types), query);
    let out = "name,active > 0\nkmem_cache,true\n".to_owned();
    assert_eq!(own, Ran { code: Some(0), out, err: String::new() });

    // The last letter of the last name, of which no column is.
    let last = types.iter().rposition(|byte| *byte != 0).unwrap();
    types[last] ^= 1;
    let other = folder.file("other", &types);
    for query in [
        query,
        "select count(*) from slabs",
        "whatis 0xffff888000000000",
        "explain analyze select name",
    ] {
        let Ran { out, err, code } = run(&other, query);
        assert_eq!((out.as_str(), code), ("", Some(2)), "{query}: {err}");
        assert!(
            err.contains("other describes another kernel: programs for it cannot run here\n"),
            "{err}"
        );
    }
    let Ran { out, err, code } = run(&other, &format!("explain {query}"));
    assert_eq!((err.as_str(), code), ("", Some(0)), "{out}");
    assert!(out.contains("call bpf_iter_kmem_cache_new#"), "{out}");

    let Ran { err, code, .. } = run(&folder.file("cut", &types[..types.len() / 2]), query);
    assert_eq!(code, Some(2));
    assert!(err.contains("cut is not valid: "), "{err}");
    assert!(err.contains("= help: a BTF file such as /sys/kernel/btf/vmlinux is needed"), "{err}");
}
