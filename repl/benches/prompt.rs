//! Measures the prompt as a person has it, on a pseudo-terminal: how soon it is there, how soon Tab answers where 5,000
//! names are known, how soon the first of a million rows is shown, and what `slabql top` takes of a CPU.
//!
//! ```text
//! cargo bench -p slabql --bench prompt -- PROGRAM
//! ```
//!
//! Prints the median and the slowest of its runs, and judges none.
#![allow(missing_docs, clippy::unwrap_used)] // what fails here may panic

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

use rexpect::process::PtyProcess;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often each thing is done.
const RUNS: usize = 30;
const NAMES: usize = 5_000;
const ROWS: usize = 1_000_000;
/// How long nothing is shown by a program that waits for keys.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
const PROMPT: &str = "slabql> ";

/// A program at a terminal of its own.
struct Terminal {
    process: PtyProcess,
    file: File,
}

impl Terminal {
    fn new(program: &str, arguments: &[&str], home: &Path) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env("TERM", "xterm-256color").env("HOME", home);
        for folder in ["XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
            command.env(folder, home);
        }
        let process = PtyProcess::new(command).unwrap();
        let file = process.get_file_handle().unwrap();
        Self { process, file }
    }

    fn key(&mut self, keys: &str) {
        self.file.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until `text` was shown; gives all up to there.
    fn until(&mut self, text: &str) -> String {
        let (mut shown, mut bytes) = (String::new(), [0; 1 << 13]);
        while !shown.contains(text) {
            let read = self.file.read(&mut bytes).unwrap_or(0);
            assert!(read > 0, "it ended before {text:?}: {shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        shown
    }

    /// Types what is not waited for: it is there when nothing more is shown.
    fn types(&mut self, keys: &str) {
        self.key(keys);
        let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
        while poll(&mut fds, Some(&QUIET)).is_ok_and(|ready| ready > 0) {
            let _ = (&self.file).read(&mut [0; 1 << 13]).unwrap();
        }
    }

    /// How long it takes from keys to a text.
    fn answers(&mut self, keys: &str, text: &str) -> Duration {
        let start = Instant::now();
        self.key(keys);
        self.until(text);
        start.elapsed()
    }

    /// Leaves the prompt.
    fn leave(mut self) {
        self.key("\x03\x04");
        // It is gone when nobody writes any more.
        while self.file.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        self.process.exit().unwrap();
    }
}

/// A recording of caches with names in a row.
fn recording(path: &Path, rows: usize) {
    let mut text = format!(
        r#"{{"format":"slabql recording","version":1,"kernel":"6.18.0","time":"2026-01-01T00:00:00Z","page_size":4096,"slab_flags":{{}},"gfp_flags":{{}},"table":"caches","columns":["name","size"],"missing":{{}},"rows":{rows}}}"#
    );
    for row in 0..rows {
        write!(text, "\n[\"cache-{row}\",{}]", 8 + row % 4096).unwrap();
    }
    text.push('\n');
    fs::write(path, text).unwrap();
}

/// Prints what runs took.
fn line(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what:<44} {:8.2} ms, slowest {:8.2} ms", ms(median), ms(slowest));
}

fn repeat(of: impl FnMut(usize) -> Duration) -> Vec<Duration> {
    (0..RUNS).map(of).collect()
}

fn main() {
    // Cargo adds `--bench`.
    let Some(program) = env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        eprintln!("prompt: needs a program: cargo bench -p slabql --bench prompt -- PROGRAM");
        return;
    };
    let home = env::temp_dir().join(format!("slabql-bench-{}", std::process::id()));
    fs::create_dir(&home).unwrap();
    let [names, rows] = ["names.slab", "rows.slab"].map(|name| home.join(name));
    recording(&names, NAMES);
    recording(&rows, ROWS);
    let [names, rows] = [&names, &rows].map(|path| path.to_str().unwrap());

    for (what, arguments) in [("the running kernel", &[][..]), ("the demo", &["--demo"])] {
        let took = repeat(|_| {
            let start = Instant::now();
            let mut terminal = Terminal::new(&program, arguments, &home);
            terminal.until(PROMPT);
            let took = start.elapsed();
            terminal.leave();
            took
        });
        line(&format!("prompt over {what}"), took);
    }

    let mut terminal = Terminal::new(&program, &["--from", names], &home);
    terminal.until(PROMPT);
    // The first letter of a name has them looked up.
    terminal.types("select size where name = 'cache-432");
    let first = terminal.answers("\t", "cache-4329");
    line("the first Tab among 5,000 names", vec![first]);
    let mut keys = Vec::new();
    let took = repeat(|run| {
        let begin = 100 + run;
        terminal.key("\x03");
        terminal.until(PROMPT);
        terminal.types(&format!("select size where name = 'cache-{}", begin / 10));
        let last = format!("{}", begin % 10);
        keys.push(terminal.answers(&last, &last));
        terminal.types("");
        terminal.answers("\t", &format!("cache-{begin}9"))
    });
    line("a key in such a name", keys);
    line("Tab behind it", took);
    terminal.leave();

    for (format, row) in [("csv", "cache-9,"), ("table", "cache-9 ")] {
        let arguments = ["--from", rows, "--no-pager", "--rows", "0", "--format", format];
        let mut terminal = Terminal::new(&program, &arguments, &home);
        terminal.until(PROMPT);
        let took = terminal.answers("select name, size from caches;\r", row);
        line(&format!("first of a million rows as {format}"), vec![took]);
        // The rest of it is not waited for.
        terminal.process.exit().unwrap();
    }

    let seconds = 20;
    let mut terminal = Terminal::new(&program, &["top", "1s"], &home);
    terminal.until("dentry");
    let children = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()));
    let path = format!("/proc/{}/schedstat", children.unwrap().trim());
    let used = || -> u64 {
        let text = fs::read_to_string(&path).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let mut reader = terminal.file.try_clone().unwrap();
    // Somebody looks at it.
    thread::spawn(move || while reader.read(&mut [0; 1 << 13]).is_ok_and(|read| read > 0) {});
    let before = used();
    thread::sleep(Duration::from_secs(seconds));
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a CPU in seconds")]
    let share = (used() - before) as f64 / (seconds * 1_000_000_000) as f64 * 100.0;
    println!("top at 1 s takes {share:.2} % of a CPU");
    terminal.key("q");
    terminal.process.exit().unwrap();
    fs::remove_dir_all(&home).unwrap();
}
