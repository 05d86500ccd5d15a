//! The files that slabql opens and writes: links, FIFOs, devices, other users' files.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rexpect::session::spawn_command;

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::{self, End, Start};

pub const QUERY: &str = "select name, size where name = 'dentry'";
pub const ANSWER: &str = "name,size\ndentry,192\n";

/// Whether this test may do what only root may; says so if not.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        common::skip("needs root");
    }
    root
}

/// The program at home in `folder`.
pub fn at_home(folder: &Folder) -> Command {
    let mut command = command(SLABQL);
    for (name, below) in [("HOME", ""), ("XDG_STATE_HOME", "state"), ("XDG_DATA_HOME", "data")] {
        command.env(name, folder.path(below));
    }
    command.env("XDG_CONFIG_HOME", folder.path("config"));
    command.current_dir(&folder.0);
    command
}

/// Runs a text on the demo.
pub fn run(folder: &Folder, text: &str) -> Ran {
    at_home(folder).args(["--demo", text]).ran().into()
}

pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// The prompt at home in `folder`.
pub fn at_a_terminal(folder: &Folder) -> Command {
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

/// A history without its times.
fn entries(history: &[u8]) -> String {
    let text = String::from_utf8_lossy(history);
    let is_time =
        |line: &&str| line.strip_prefix('#').is_some_and(|time| time.parse::<u64>().is_ok());
    text.lines().filter(|line| !is_time(line)).map(|line| format!("{line}\n")).collect()
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
    let text = entries(&fs::read(&target).unwrap());
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
    assert!(entries(text.as_bytes()).ends_with("select 'last';\nselect 1 as x limit 1;\n.quit\n"));
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_history_keeps_what_is_around_a_bad_line() {
    let (folder, file) = history();
    fs::write(&file, b"#V2\nselect 'one';\n\xff\xfe\nselect 'two';\n").unwrap();
    let seen = prompt(&folder, &["select 1 as x limit 1;"]);
    assert!(!seen.contains("history"), "{seen}");
    let text = entries(&fs::read(&file).unwrap());
    assert!(text.ends_with("select 'two';\nselect 1 as x limit 1;\n.quit\n"));
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
