//! What slabql does with few rights, and with too many.
//!
//! Another user runs a copy of the program with the capabilities that a test names, by setpriv(1).

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common;
use crate::common::program::{Folder, Ran, SLABQL, give_capabilities};
use crate::common::start::{self, End, Start};
use crate::common::{lacks, wait};

/// How long a process is given to come to where it waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// The user without rights.
const NOBODY: &str = "65534";
/// What slabql keeps of root's rights: those on files (three), `CAP_SYSLOG`, `CAP_PERFMON`, `CAP_BPF`.
const USED: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 34 | 1 << 38 | 1 << 39;

/// A copy of the program that anybody may run.
struct Program {
    path: PathBuf,
    folder: Folder,
}

impl Program {
    fn new() -> Self {
        let folder = Folder::new();
        Self { path: folder.program(), folder }
    }

    /// Runs it as nobody with these capabilities.
    fn run(&self, capabilities: &[&str], arguments: &[&str]) -> Ran {
        let set = |name: &str| {
            let plus: String =
                capabilities.iter().map(|capability| format!(",+{capability}")).collect();
            format!("--{name}-caps=-all{plus}")
        };
        let output = start::command("setpriv")
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .args([set("inh"), set("ambient")])
            .arg(&self.path)
            .args(arguments)
            .ran();
        output.into()
    }
}

/// Does `act` while the kernel has something to allocate.
fn while_sockets_are_made<T>(act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(UnixDatagram::unbound());
                thread::sleep(Duration::from_millis(1));
            }
        });
        let result = act();
        done.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn two_capabilities_suffice() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let program = Program::new();
    let two = &["bpf", "perfmon"];
    let query = "select name, size, active, cached_cpu, aliases, ctor where name = 'dentry'";
    let Ran { out, err, code } = program.run(two, &["--format", "csv", query]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("name,size,active,cached_cpu,aliases,ctor\ndentry,"), "{out}");
    for table in ["nodes", "cpus", "slabs", "aliases", "flags"] {
        let Ran { out, err, code } =
            program.run(two, &["--format", "csv", &format!("select count(*) from {table}")]);
        assert_eq!(code, Some(0), "{table}: {err}");
        assert!(out.trim_start_matches("count(*)\n").trim().parse::<u64>().unwrap() > 0, "{out}");
    }
    let traced =
        "trace 200ms select site, count(*) from allocations where site like '%+0x%' group by 1";
    let Ran { out, err, code } =
        while_sockets_are_made(|| program.run(two, &["--format", "csv", traced]));
    assert_eq!((code, out.lines().count() > 1), (Some(0), true), "{out}{err}");
    let Ran { err, code, .. } = program.run(two, &["select ctor where ctor_addr != 0 limit 1"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("`ctor` is NULL: /proc/kallsyms hides addresses"), "{err}");
    let Ran { err, code, .. } = program.run(two, &["select * from slabinfo"]);
    assert_eq!(
        (code, err.as_str()),
        (Some(2), "error: cannot read /proc/slabinfo: Permission denied\n")
    );
}

#[test]
fn what_is_lacking_is_named() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let program = Program::new();
    for (capabilities, names) in [
        (&["bpf"][..], "CAP_PERFMON"),
        (&["perfmon"], "CAP_BPF"),
        (&["syslog"], "CAP_BPF and CAP_PERFMON"),
        (&[], "CAP_BPF and CAP_PERFMON"),
    ] {
        let traced = program.run(capabilities, &["trace 1s select site from allocations"]);
        assert_eq!((traced.out.as_str(), traced.code), ("", Some(2)), "{capabilities:?}");
        assert!(traced.err.contains(names), "{capabilities:?}: {}", traced.err);
        let Ran { out, err, code } = program.run(capabilities, &["check"]);
        assert_eq!((out.as_str(), code), ("", Some(2)), "{capabilities:?}");
        let first = err.lines().next().unwrap_or_default();
        assert!(first.ends_with(&format!("needs {names}")), "{capabilities:?}: {err}");
        let Ran { out, err, code } = program.run(capabilities, &["select name limit 1"]);
        assert_eq!((out.as_str(), code), ("", Some(2)), "{capabilities:?}");
        let first = err.lines().next().unwrap_or_default();
        assert!(first.ends_with(&format!("needs {names}")), "{capabilities:?}: {err}");
        assert!(err.contains("setcap cap_bpf,cap_perfmon+ep"), "{err}");
        // The other sources need no less, and say so too.
        assert!(err.contains("`proc` cannot be used either: cannot read /proc/slabinfo"), "{err}");
    }
}

#[test]
fn the_doctor_knows_what_is_lacking() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let program = Program::new();
    let check = |capabilities: &[&str], name: &str| {
        let Ran { out, err, code } = program.run(capabilities, &["--format", "csv", "doctor"]);
        let line = out.lines().find(|line| line.split(',').nth(1) == Some(name));
        (line.unwrap_or_else(|| panic!("{out}{err}")).to_owned(), code)
    };
    for (capabilities, name, start, code) in [
        (&["bpf", "perfmon"][..], "CAP_PERFMON", "rights,CAP_PERFMON,ok,", 0),
        (&["bpf", "perfmon"], "live", "source,live,ok,", 0),
        (&["bpf"], "CAP_BPF", "rights,CAP_BPF,ok,", 2),
        (&["bpf"], "CAP_PERFMON", "rights,CAP_PERFMON,missing,", 2),
        (&[], "programs", "bpf,programs,missing,loading BPF programs needs", 2),
        (&[], "live", "source,live,missing,", 2),
    ] {
        let (line, found) = check(capabilities, name);
        assert!(line.starts_with(start), "{capabilities:?}: {line}");
        assert_eq!(found, Some(code), "{capabilities:?}: {line}");
    }
}

#[test]
fn without_any_rights_no_column_is_there() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let program = Program::new();
    let reason = "loading BPF programs needs CAP_BPF and CAP_PERFMON";
    for arguments in [&[".why cached"][..], &["--source=walk", ".why cached"]] {
        let why = program.run(&[], arguments);
        assert_eq!(why.out, format!("caches.cached is NULL: {reason}\n"), "{}", why.err);
    }
    let why = program.run(&[], &[".why"]);
    for table in ["caches", "nodes", "slabs", "aliases", "allocations"] {
        assert!(why.out.contains(&format!("{table}.* is NULL: {reason}\n")), "{}", why.out);
    }
    // What needs no program is there.
    assert!(!why.out.contains("\ncolumns.") && !why.out.contains("\nflags."), "{}", why.out);
    let query = "select count(*) from columns where available and \"table\" in ('caches', 'cpus')";
    for source in [&[][..], &["--source=walk"]] {
        let arguments = [&["--format", "csv"], source, &[query]].concat();
        assert_eq!(program.run(&[], &arguments).out, "count(*)\n0\n", "{source:?}");
    }
    // A source that is named is tried, and left for no other.
    let query = "select name limit 1";
    let asked = program.run(&[], &["--source=walk", query]);
    assert!(asked.err.contains(&format!("error: {reason}\n")), "{}", asked.err);
    assert!(!asked.err.contains("cannot be used either"), "{}", asked.err);
    assert_eq!((asked.code, asked.out.as_str()), (Some(2), ""));
}

#[test]
fn rights_beyond_need_are_given_up() {
    let Some(_turn) = common::live() else { return };
    let sets = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line?.trim(), 16).ok()
        };
        Some([set("CapEff:")?, set("CapPrm:")?, set("CapInh:")?])
    };
    // It waits for its query, whose writer is this test.
    let mut running = start::command(SLABQL)
        .args(["--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .start();
    let ours = sets(std::process::id()).unwrap();
    let left = Some([ours[0] & USED, ours[1] & USED, 0]);
    wait("slabql to give up capabilities", PATIENCE, || (sets(running.id()) == left).then_some(()));
    running.stdin.take().unwrap().write_all(b"select name where name = 'dentry'").unwrap();
    let output = running.finish();
    assert!(ours[0] & !USED != 0, "root has more");
    let out = "name\ndentry\n".to_owned();
    assert_eq!(Ran::from(output), Ran { code: Some(0), out, err: String::new() });
}

#[test]
fn capabilities_of_the_file_suffice_and_stay_with_it() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let program = Program::new();
    give_capabilities(&program.path);
    let query = "select name where name = 'dentry'";
    let Ran { out, err, code } = program.run(&[], &[query]);
    assert_eq!((out.as_str(), err.as_str(), code), ("name\ndentry\n", "", Some(0)));
    // What the environment or a file names is not started with them.
    let file = program.folder.file("pipe.slabql", format!(".pipe cat\n{query};\n"));
    let Ran { out, err, code } = program.run(&[], &["-f", file.to_str().unwrap()]);
    assert_eq!((out.as_str(), code), ("", Some(2)), "{err}");
    assert!(
        err.starts_with("error: with file capabilities, slabql does not start other programs\n"),
        "{err}"
    );
}

#[test]
fn what_is_started_has_no_capabilities() {
    if lacks(&["setpriv", "sh", "cat", "grep"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let program = Program::new();
    let text =
        ".pipe cat > /dev/null; grep Cap...: /proc/self/status\nselect 1 from caches limit 1;\n";
    let file = program.folder.file("pipe.slabql", text);
    let Ran { out, err, code } = program.run(&["bpf", "perfmon"], &["-f", file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(out.contains(&format!("{set}:\t0000000000000000\n")), "{out}");
    }
}

#[test]
fn a_set_user_id_bit_is_refused() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let program = Program::new();
    fs::set_permissions(&program.path, Permissions::from_mode(0o4755)).unwrap();
    let Ran { out, err, code } = program.run(&[], &["--demo", "select name limit 1"]);
    assert_eq!((out.as_str(), code), ("", Some(2)), "{err}");
    assert!(err.starts_with("error: slabql refuses to run set-user-ID or set-group-ID\n"), "{err}");
    assert!(err.contains("setcap"), "{err}");
}

#[test]
fn columns_are_there_for_whom_they_are_said_to_be() {
    if lacks(&["setpriv"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let program = Program::new();
    let recorded = Program::run(&program, &["bpf", "perfmon"], &["--color=never", "snapshot", "-"]);
    let recorded = program.folder.file("few.slab", recorded.out);
    let from = format!("--from={}", recorded.display());
    let few = Some(&["bpf", "perfmon"][..]);
    for (who, capabilities, option) in [
        ("root", None, "--source=live"),
        ("two capabilities", few, "--source=live"),
        ("walk", None, "--source=walk"),
        ("proc", None, "--source=proc"),
        ("a snapshot by two capabilities", None, &from),
    ] {
        let ask = |query: &str| -> Ran {
            let arguments = ["--format", "csv", option, query];
            match capabilities {
                Some(capabilities) => program.run(capabilities, &arguments),
                None => common::program::command(SLABQL).args(arguments).ran().into(),
            }
        };
        let columns = ask(
            "select \"table\", \"column\", available from columns where \"table\" not in ('columns', 'diff', 'allocations', 'frees', 'audit', 'contention')",
        );
        assert_eq!(columns.code, Some(0), "{who}: {}", columns.err);
        let mut tables: Vec<(&str, Vec<(&str, bool)>)> = Vec::new();
        for line in columns.out.lines().skip(1) {
            let [table, column, available] = line.split(',').collect::<Vec<_>>()[..] else {
                panic!("{who}: {line}")
            };
            if tables.last().is_none_or(|(last, _)| *last != table) {
                tables.push((table, Vec::new()));
            }
            tables.last_mut().unwrap().1.push((column, available == "true"));
        }
        assert!(tables.len() > 6, "{who}: {tables:?}");
        for (table, columns) in tables {
            let counts: Vec<_> =
                columns.iter().map(|(column, _)| format!("count(\"{column}\")")).collect();
            // Those of one cache are enough.
            let from = if table == "objects" { "objects('kmem_cache')" } else { table };
            let Ran { code, out, err } = ask(&format!("select {} from {from}", counts.join(", ")));
            if columns.iter().all(|(_, available)| !available) {
                // A table of which nothing is there says so itself.
                let empty =
                    out.lines().nth(1).is_some_and(|line| line.split(',').all(|n| n == "0"));
                assert!(code == Some(2) || empty, "{who}: {table}: {code:?} {out}");
                continue;
            }
            assert_eq!(code, Some(0), "{who}: {table}: {err}");
            let line = out.lines().nth(1).unwrap();
            for ((column, available), count) in columns.iter().zip(line.split(',')) {
                // Whether any object is charged to a cgroup depends on how this was started.
                if *available && column.starts_with("cgroup") {
                    continue;
                }
                assert_eq!(
                    *available,
                    count != "0",
                    "{who}: {table}.{column}: {count} values; {err}"
                );
            }
        }
    }
    // The doctor counts the same columns, and `.why` has the same words.
    let why = program.folder.file("why.slabql", ".why ctor\n.why slabinfo.name\n");
    let Ran { out, err, .. } = program.run(&["bpf", "perfmon"], &["-f", why.to_str().unwrap()]);
    assert!(out.contains("caches.ctor is NULL: /proc/kallsyms hides addresses"), "{out}{err}");
    assert!(out.contains("slabinfo.name is NULL: /proc/slabinfo: Permission denied"), "{out}{err}");
    let Ran { out, .. } = program.run(&["bpf", "perfmon"], &["--format", "csv", "doctor"]);
    assert!(out.contains("\ncaches,ctor,lacking,/proc/kallsyms hides addresses"), "{out}");
    assert!(out.contains("\nslabinfo,0 of 12 columns,lacking,"), "{out}");
}
