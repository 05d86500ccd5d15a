//! What is left of a file when the disk is full, when it is damaged, and when slabql ends between any two system calls.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rexpect::session::spawn_command;

use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL};
use crate::common::start::{self, Start};
use crate::files::{ANSWER, QUERY, at_a_terminal, at_home, is_root, run};

/// A recording of `rows` rows whose first column is `name` and is followed by others.
fn bomb(version: u8, rows: usize, others: &str) -> Vec<u8> {
    let columns = format!("\"table\":\"caches\",\"columns\":[\"name\"{others}],\"missing\":{{}}");
    let tables = match version {
        1 => format!("{columns},\"rows\":{rows}"),
        _ => format!("\"refused\":{{}},\"tables\":[{{{columns}}}]"),
    };
    let header = format!(
        "{{\"format\":\"slabql recording\",\"version\":{version},\"kernel\":\"6.18\",\"time\":\"2026-01-01T00:00:00Z\",\
         \"page_size\":4096,\"slab_flags\":{{}},\"gfp_flags\":{{}},{tables}}}\n"
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(header.as_bytes()).unwrap();
    let row = format!("[\"dentry\"{}]\n", ",1".repeat(others.matches(',').count()));
    for _ in 0..rows {
        gzip.write_all(row.as_bytes()).unwrap();
    }
    if version > 1 {
        gzip.write_all(format!("{{\"end\":\"caches\",\"rows\":{rows}}}\n").as_bytes()).unwrap();
    }
    gzip.finish().unwrap()
}

#[test]
fn what_a_recording_takes_is_bounded() {
    if lacks(&["sh"]) {
        return;
    }
    let folder = Folder::new();
    // In 400 MB of addresses, the program's own among them.
    let ask = |bytes: &[u8]| -> Ran {
        folder.file("bomb.slab", bytes);
        let script = "ulimit -v 400000; exec \"$0\" --from bomb.slab 'select count(*) as n'";
        let mut shell = start::command("sh");
        shell.args(["-c", script, SLABQL]).current_dir(&folder.0).ran().into()
    };
    for version in [1, 2] {
        let bytes = bomb(version, 60, &",\"x\"".repeat(260_000));
        assert!(bytes.len() < 124_000, "{}", bytes.len());
        let ran = ask(&bytes);
        assert_eq!((ran.code, ran.out.as_str()), (Some(0), "n\n60\n"), "{}", ran.err);
    }

    for (bytes, reason) in [
        (bomb(1, 70_000, &",\"x\"".repeat(1000)), "it is too long when it is decompressed"),
        (bomb(1, 1_100_000, ",\"x\""), "it has 1100000 rows; the limit is 1048576"),
        (bomb(1, 1, ",\"name\""), "it has the column `name` twice"),
        (bomb(2, 1, ",\"name\""), "it has the column `name` twice"),
    ] {
        let ran = ask(&bytes);
        assert!(ran.err.ends_with(&format!(" is not a recording: {reason}\n")), "{}", ran.err);
    }
}

#[test]
fn a_saved_query_survives_a_full_disk_twice() {
    if lacks(&["unshare", "sh", "mount", "mkdir", "dd", "cat", "ls"]) {
        return;
    }
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=24k,mode=0700 none \"$1\" && cd \"$1\" && mkdir -p slabql/queries && \
        export XDG_DATA_HOME=\"$1\" && echo 'select 1' > slabql/queries/q.slabql && \
        echo 'select 0' > slabql/queries/q.slabql~ && dd if=/dev/zero of=fill bs=4096 count=100 2>/dev/null; \
        for i in 1 2; do printf \"$2;\\n.save q\\n\" | \"$0\" --demo --no-config >/dev/null; echo $?; done; \
        cd slabql/queries; cat q.slabql q.slabql~; ls -A";
    let mut shell = start::command("unshare");
    let query = "select name where name in ('".to_owned() + &"x".repeat(9000) + "')";
    shell.args(["-m", "sh", "-c", script, SLABQL]).arg(&folder.0).arg(query);
    let ran = Ran::from(shell.ran());
    assert_eq!(ran.out, "2\n2\nselect 1\nselect 0\nq.slabql\nq.slabql~\n", "{}", ran.err);
    assert_eq!(ran.err.matches("No space left on device").count(), 2, "{}", ran.err);
}

/// Runs a command and kills it at its system call of this number; whether there were so many.
fn killed_at(command: &mut Command, number: usize) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).start();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    let expected = WaitStatus::Stopped(pid, Signal::SIGSTOP);
    assert_eq!(stopped, expected, "waited for the shell to stop: {command:?}");
    let options = ptrace::Options::PTRACE_O_TRACESYSGOOD | ptrace::Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options | ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
    nix::sys::signal::kill(pid, Signal::SIGCONT).unwrap();
    let (mut seen, mut executed) = (0, false);
    let killed = loop {
        match waitpid(pid, None).unwrap() {
            WaitStatus::Exited(..) => break false,
            // At the end that it has as every process.
            WaitStatus::Signaled(_, signal, _) => panic!(
                "waited for system call {number} or the end, {seen} were seen until {signal}: {command:?}"
            ),
            WaitStatus::PtraceEvent(.., event)
                if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 =>
            {
                executed = true;
            }
            WaitStatus::PtraceSyscall(_) if executed => seen += 1,
            _ => {}
        }
        if seen > number {
            child.kill().unwrap();
            break true;
        }
        ptrace::syscall(pid, None).unwrap();
    };
    // One that ended by itself has been waited for.
    assert_eq!(child.wait().is_ok(), killed);
    killed
}

/// A shell that stops itself, and is slabql when it goes on.
fn stopped(folder: &Folder, args: &[&str]) -> Command {
    let mut command = at_home(folder);
    let mut shell = start::command("sh");
    shell.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\"", SLABQL]).args(args);
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(&folder.0).stdin(Stdio::null());
    command = shell;
    command
}

/// Wherever it is killed, a file is the old one or the new one, and after the next start there is nothing else.
#[test]
fn an_end_between_any_two_system_calls_leaves_nothing() {
    if lacks(&["sh"]) {
        return;
    }
    let whole = "all of it";
    for (what, args) in [
        ("a new file", vec!["--demo", "--no-config", "-o", "f", QUERY]),
        ("a file", vec!["--demo", "--no-config", "-o", "f", QUERY]),
        ("a saved query", vec!["--demo", "--no-config", "select 1 as x limit 1;\n.save q"]),
    ] {
        let (mut strays, mut number, mut calls) = (0, 0, 0);
        loop {
            let folder = Folder::new();
            fs::create_dir_all(folder.path("data/slabql/queries")).unwrap();
            let saved = folder.path("data/slabql/queries");
            if what != "a new file" {
                folder.file("f", whole);
                fs::write(saved.join("q.slabql"), whole).unwrap();
                fs::write(saved.join("q.slabql~"), whole).unwrap();
            }
            let killed = killed_at(&mut stopped(&folder, &args), number);
            let names = |path: &Path| {
                let entries = fs::read_dir(path).into_iter().flatten();
                let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
                names.sort();
                names
            };
            let left = names(&folder.0).len() + names(&saved).len();
            // Any start will do.
            assert_eq!(run(&folder, "select 1 as x limit 1").code, Some(0));
            strays += usize::from(names(&folder.0).len() + names(&saved).len() < left);
            let place = format!("{what}, killed at call {number}");
            let file = fs::read_to_string(folder.path("f")).ok();
            assert!(
                [None, Some(whole), Some(ANSWER)].contains(&file.as_deref()),
                "{place}: {file:?}"
            );
            assert!(what == "a new file" || file.is_some(), "{place}");
            let mut expected = vec!["data", "f", "state"];
            expected.retain(|name| *name != "f" || file.is_some());
            expected.retain(|name| *name != "state" || folder.path("state").exists());
            assert_eq!(names(&folder.0), expected, "{place}");
            assert!(names(&folder.path("state/slabql")).is_empty(), "{place}");
            if what != "a new file" {
                assert_eq!(names(&saved), ["q.slabql", "q.slabql~"], "{place}");
                for name in ["q.slabql", "q.slabql~"] {
                    let text = fs::read_to_string(saved.join(name)).unwrap();
                    assert!(text == whole || text == "select 1 as x limit 1;\n", "{place}: {text}");
                }
            }
            if !killed {
                break;
            }
            // It is stopped twice at each call: before it and behind it, which is before the next.
            number += 2;
            calls += 1;
        }
        eprintln!(
            "{what}: killed at {calls} places, of which {strays} left something for the next start"
        );
        assert!(calls > 60, "{what}: {calls}");
        // There is no way to replace a file without a name for the new one, however short.
        assert_eq!(strays > 0, what != "a new file", "{what}");
    }
}

#[test]
fn an_edited_file_is_taken_away_at_the_next_start() {
    if lacks(&["sh"]) {
        return;
    }
    let folder = Folder::new();
    fs::create_dir(folder.path("run")).unwrap();
    let editor = folder.file("editor", "#!/bin/sh\nkill -KILL $PPID\n");
    fs::set_permissions(&editor, Permissions::from_mode(0o755)).unwrap();
    let mut command = at_a_terminal(&folder);
    command.env("VISUAL", &editor).env("XDG_RUNTIME_DIR", folder.path("run"));
    let mut session = spawn_command(command, Some(20_000)).unwrap();
    session.exp_string("slabql> ").unwrap();
    session.send_line(".edit").unwrap();
    session.exp_eof().unwrap();
    assert_eq!(fs::read_dir(folder.path("run")).unwrap().count(), 1);
    assert_eq!(run(&folder, QUERY).code, Some(0));
    assert_eq!(fs::read_dir(folder.path("run")).unwrap().count(), 0);
}

#[test]
fn a_note_never_takes_another_file_away() {
    let folder = Folder::new();
    let state = folder.path("state/slabql");
    fs::create_dir_all(&state).unwrap();
    let other = folder.file("other", "mine");
    fs::write(state.join("part-1-0"), other.as_os_str().as_encoded_bytes()).unwrap();
    assert_eq!(run(&folder, QUERY).code, Some(0));
    assert_eq!(
        (fs::read_to_string(&other).unwrap().as_str(), fs::read_dir(state).unwrap().count()),
        ("mine", 0)
    );
}
