//! The files that slabql opens and writes: links, FIFOs, devices, other users' files, full disks, and an end between
//! any two system calls.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::CommandFactory;
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rexpect::session::spawn_command;
use slabql::cli::args::Args;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::{self, End, Start};

const QUERY: &str = "select name, size where name = 'dentry'";
const ANSWER: &str = "name,size\ndentry,192\n";

/// Whether this test may do what only root may; says so if not.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        common::skip("needs root");
    }
    root
}

/// The program at home in `folder`.
fn at_home(folder: &Folder) -> Command {
    let mut command = command(SLABQL);
    for (name, below) in [("HOME", ""), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")] {
        command.env(name, folder.path(below));
    }
    command.env("XDG_CONFIG_HOME", folder.path("config"));
    command.current_dir(&folder.0);
    command
}

/// Runs a text on the demo.
fn run(folder: &Folder, text: &str) -> Ran {
    at_home(folder).args(["--demo", text]).ran().into()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// The prompt at home in `folder`.
fn at_a_terminal(folder: &Folder) -> Command {
    let mut command = start::at_terminal(SLABQL);
    let home = at_home(folder);
    command.envs(home.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["--demo", "--color", "never"]).env("TERM", "dumb").current_dir(&folder.0);
    command
}

/// What a prompt says until it ends, if its history is as `make` makes it.
fn prompt(folder: &Folder, typed: &[&str]) -> String {
    let mut session = spawn_command(at_a_terminal(folder), Some(20_000)).unwrap();
    let mut seen = String::new();
    for line in typed {
        seen += &session.exp_string("slabql> ").unwrap();
        session.send_line(line).unwrap();
    }
    seen += &session.exp_string("slabql> ").unwrap();
    session.send_line(".quit").unwrap();
    seen += &session.exp_eof().unwrap();
    // Messages are broken where the terminal's width and the length of a path make it.
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A folder with a file of slabql's state, which may be anything.
fn history() -> (Folder, std::path::PathBuf) {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("state/slabql")).unwrap();
    let file = folder.path("state/slabql/history");
    (folder, file)
}

#[test]
fn a_history_that_is_no_regular_file_is_told_and_left_alone() {
    let (folder, file) = history();
    fifo(&file);
    let seen = prompt(&folder, &[]);
    assert!(seen.contains("note: no history: ") && seen.contains("it is a FIFO,"), "{seen}");

    let (folder, file) = history();
    symlink("/dev/null", &file).unwrap();
    let before = mode(Path::new("/dev/null"));
    let seen = prompt(&folder, &["select 1 as x limit 1;"]);
    assert!(seen.contains("it is a device or a socket, not a regular file"), "{seen}");
    assert_eq!(mode(Path::new("/dev/null")), before);
}

#[test]
fn a_history_behind_a_link_is_used_and_its_mode_stays() {
    let (folder, file) = history();
    let target = folder.file("target", "#V2\nselect 'before';\n");
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    symlink(&target, &file).unwrap();
    prompt(&folder, &["select 1 as x limit 1;"]);
    let text = fs::read_to_string(&target).unwrap();
    assert_eq!(text, "#V2\nselect 'before';\nselect 1 as x limit 1;\n.quit\n");
    assert_eq!(mode(&target), 0o640);
    assert!(file.is_symlink());
}

#[test]
fn a_history_of_300_mb_does_not_keep_the_prompt() {
    let (folder, file) = history();
    let lines = format!("{}\n", "x".repeat(1023)).repeat(1024);
    let mut out = fs::File::create(&file).unwrap();
    out.write_all(b"#V2\n").unwrap();
    for _ in 0..300 {
        out.write_all(lines.as_bytes()).unwrap();
    }
    out.write_all(b"select 'last';\n").unwrap();
    prompt(&folder, &["select 1 as x limit 1;"]);
    // The end of it is what is kept.
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.len() < 9 << 20 && text.starts_with("#V2\n"), "{}", text.len());
    assert!(text.ends_with("select 'last';\nselect 1 as x limit 1;\n.quit\n"));
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_history_keeps_what_is_around_a_bad_line() {
    let (folder, file) = history();
    fs::write(&file, b"#V2\nselect 'one';\n\xff\xfe\nselect 'two';\n").unwrap();
    let seen = prompt(&folder, &["select 1 as x limit 1;"]);
    assert!(!seen.contains("history"), "{seen}");
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.ends_with(b"select 'two';\nselect 1 as x limit 1;\n.quit\n"));
}

#[test]
fn settings_that_are_no_regular_file_are_told() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("config/slabql")).unwrap();
    let file = folder.path("config/slabql/config.toml");
    fifo(&file);
    let ran = run(&folder, QUERY);
    let expected = format!(
        "error: cannot read {}: it is a FIFO, not a regular file\n  = help: start with `--no-config` to ignore it\n",
        file.display()
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(2), expected.as_str()));
    // A link to a file elsewhere is how many keep their settings.
    fs::remove_file(&file).unwrap();
    symlink(folder.file("mine.toml", "format = 'json'\n"), &file).unwrap();
    assert!(run(&folder, QUERY).out.starts_with("[\n"));

    for (text, file) in [
        (".run q", "data/slabql/queries/q.slabql"),
        (".save q", "data/slabql/queries/q.slabql"),
        (".diff s", "data/slabql/snapshots/s.slab"),
        (".log l", "l"),
    ] {
        let folder = Folder::new();
        let path = folder.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fifo(&path);
        let ran = run(&folder, &format!("{QUERY};\n{text}"));
        assert!(ran.err.contains("it is a FIFO, not a regular file"), "{text}: {}", ran.err);
        assert_eq!(ran.code, Some(2), "{text}");
    }
}

/// `fs.protected_symlinks` as distributions have it; as it was before when this is dropped.
struct Protected(String, #[allow(dead_code)] MutexGuard<'static, ()>);

const PROTECTED: &str = "/proc/sys/fs/protected_symlinks";

impl Protected {
    fn new() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fs::read_to_string(PROTECTED).unwrap();
        fs::write(PROTECTED, "1").unwrap();
        Self(before, one)
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        let _ = fs::write(PROTECTED, &self.0);
    }
}

/// A folder where everybody may write and only owners may remove, with a link of somebody else's to `target`.
fn sticky(target: &Path) -> Folder {
    let folder = Folder::new();
    fs::set_permissions(&folder.0, Permissions::from_mode(0o1777)).unwrap();
    let link = folder.path("link");
    symlink(target, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(65534), Some(65534)).unwrap();
    folder
}

#[test]
fn links_that_the_kernel_does_not_follow_are_refused() {
    let Some(_turn) = common::live() else { return };
    let _protected = Protected::new();
    let home = Folder::new();
    fs::create_dir_all(home.path("data/slabql/queries")).unwrap();
    let target = home.file("target", "old");
    for (name, target) in [("a file", target.clone()), ("nothing", home.path("nothing"))] {
        let folder = sticky(&target);
        let link = folder.path("link").display().to_string();
        let saved = home.path("data/slabql/queries/q.slabql");
        let _ = fs::remove_file(&saved);
        // A folder of its own that is sticky too: `.save` and the history go by the same function.
        for args in [
            vec!["--demo", "--output", &link, QUERY],
            vec!["--demo", "--format", "csv", "-o", &link, "report", "waste"],
            vec!["snapshot", &link],
            vec!["--record", &link],
            vec!["--demo", &format!(".output {link}\n{QUERY};")],
            vec!["--demo", &format!(".once {link}\n{QUERY};")],
            vec!["--demo", &format!(".log {link}\n{QUERY};")],
        ] {
            let ran = Ran::from(at_home(&home).args(&args).ran());
            assert!(ran.err.contains("Permission denied"), "{name}: {args:?}: {}", ran.err);
            assert_ne!(ran.code, Some(0), "{args:?}");
            assert_eq!(fs::read_to_string(home.path("target")).unwrap(), "old", "{args:?}");
            assert!(!home.path("nothing").exists(), "{args:?}");
            assert_eq!(folder.names(), ["link"], "{args:?}");
        }
        // The link is nobody else's where its owner owns the folder too; then the kernel follows it, and so does this.
        std::os::unix::fs::lchown(folder.path("link"), Some(0), Some(0)).unwrap();
        let ran = demo(["-o", &link, QUERY]);
        assert_eq!((ran.code, fs::read_to_string(&target).unwrap().as_str()), (Some(0), ANSWER));
        assert!(folder.path("link").is_symlink());
        fs::write(home.path("target"), "old").unwrap();
        let _ = fs::remove_file(home.path("nothing"));
    }
}

#[test]
fn a_saved_query_does_not_go_through_another_users_link() {
    if !is_root() {
        return;
    }
    let _protected = Protected::new();
    let home = Folder::new();
    let target = home.file("target", "old");
    let sticky = sticky(&target);
    fs::rename(sticky.path("link"), sticky.path("q.slabql")).unwrap();
    fs::create_dir_all(home.path("data/slabql")).unwrap();
    symlink(&sticky.0, home.path("data/slabql/queries")).unwrap();
    let ran = run(&home, &format!("{QUERY};\n.save q"));
    assert!(ran.err.contains("Permission denied"), "{}", ran.err);
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
    assert_eq!(sticky.names(), ["q.slabql"]);
}

#[test]
fn recordings_are_for_their_owners_eyes() {
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let old = folder.path("old.slab");
    for args in [
        vec!["snapshot", "a.slab"],
        vec!["--record", "b.slab"],
        vec![".snapshot save ./c.slab"],
        vec![".snapshot save d"],
    ] {
        let ran = Ran::from(at_home(&folder).args(&args).ran());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
    }
    fs::copy(folder.path("a.slab"), &old).unwrap();
    fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
    assert!(at_home(&folder).args(["snapshot", "old.slab"]).start().ended().success());
    for name in ["a.slab", "b.slab", "c.slab", "data/slabql/snapshots/d.slab", "old.slab"] {
        assert_eq!(mode(&folder.path(name)), 0o600, "{name}");
    }
}

#[test]
fn a_file_stays_its_owners_or_is_not_replaced() {
    if lacks(&["setpriv"]) {
        return;
    }
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    fs::set_permissions(&folder.0, Permissions::from_mode(0o777)).unwrap();
    let path = folder.file("f", "old");
    fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
    chown(&path, Some(65534), Some(65534)).unwrap();
    let ran = demo(["-o", path.to_str().unwrap(), QUERY]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let now = fs::metadata(&path).unwrap();
    assert_eq!((now.uid(), now.gid(), now.mode() & 0o7777), (65534, 65534, 0o664));

    // One that may write to root's file could not give it back.
    let path = folder.file("g", "old");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let program = folder.program();
    let mut nobody = start::command("setpriv");
    nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    nobody.arg(&program).args(["--demo", "--no-config", "-o"]).arg(&path).arg(QUERY);
    let ran = Ran::from(nobody.env("HOME", "/nonexistent").ran());
    let told = format!(
        "error: cannot write {}: it belongs to another user, and replacing it would change that\n",
        path.display()
    );
    assert_eq!((ran.code, error(&ran)), (Some(2), told.as_str()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}

/// A recording of `rows` rows whose first column is `name` and is followed by others.
fn bomb(rows: usize, others: &str) -> Vec<u8> {
    let header = format!(
        "{{\"format\":\"slabql recording\",\"version\":1,\"kernel\":\"6.18\",\"time\":\"2026-01-01T00:00:00Z\",\
         \"page_size\":4096,\"slab_flags\":{{}},\"gfp_flags\":{{}},\"table\":\"caches\",\"columns\":[\"name\"{others}],\
         \"missing\":{{}},\"rows\":{rows}}}\n"
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(header.as_bytes()).unwrap();
    let row = format!("[\"dentry\"{}]\n", ",1".repeat(others.matches(',').count()));
    for _ in 0..rows {
        gzip.write_all(row.as_bytes()).unwrap();
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
    let bytes = bomb(60, &",\"x\"".repeat(260_000));
    assert!(bytes.len() < 124_000, "{}", bytes.len());
    let ran = ask(&bytes);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "n\n60\n"), "{}", ran.err);

    for (bytes, reason) in [
        (bomb(70_000, &",\"x\"".repeat(1000)), "it is too long when it is decompressed"),
        (bomb(1_100_000, ",\"x\""), "it has 1100000 rows; the limit is 1048576"),
        (bomb(1, ",\"name\""), "it has the column `name` twice"),
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
        let ran = shell(&folder, "\"$0\" --record - 'select name limit 1'");
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    }
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
    let turn = common::live();
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
    for verb in Args::command().get_subcommands() {
        let arguments = match verb.get_name() {
            "whatis" => "0",
            "snapshot" => "-",
            "diff" => "a.slab a.slab",
            _ => "",
        };
        calls.push(format!("{} {arguments}", verb.get_name()));
    }
    if live {
        assert_eq!(shell(&folder, "\"$0\" snapshot a.slab").code, Some(0));
    }
    for call in calls {
        let needs =
            ["whatis", "snapshot", "diff", "verify"].iter().any(|verb| call.starts_with(verb));
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
