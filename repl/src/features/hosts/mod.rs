//! Asks other machines, over the system's ssh: slabql runs there, and only its answers come back.
//!
//! ```text
//!   text ─► ssh HOST slabql --format wire -c TEXT ─► columns and rows ─┐
//!           ssh HOST …                             ─► columns and rows ─┼─► one answer, with a column `host`
//!           ssh HOST …                             ─► why there is none ┘   and a line on standard error
//! ```
//!
//! # Invariants
//!
//! What a machine fails to answer takes nothing from the others. What a machine says is bounded, and is text like any other
//! from outside.

mod merge;
mod reply;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use query::output::Output;

use super::input;
use crate::report::error::{Failure, errno};
use crate::sink::refused;

pub use merge::merged;

/// How many machines are asked at the same time.
const AT_ONCE: usize = 32;
/// The most bytes of what a machine says besides answers.
const MAX_SAID: u64 = 64 << 10;

/// How machines are asked.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// What is called as ssh: a program, and words before all others.
    pub ssh: String,
    /// Whether slabql runs there as root, by sudo(8).
    pub sudo: bool,
    /// Whether this very program is sent there, and removed afterwards.
    pub send: bool,
}

/// What came of asking a machine.
#[derive(Debug)]
pub struct Reply {
    /// Its name, as it was given.
    pub host: String,
    /// The answers, or why there are none.
    pub answers: Result<Vec<Output>, Failure>,
    /// What it said on standard error, line by line.
    pub said: Vec<String>,
}

/// The machines that a file names, one a line; what follows `#` is a comment.
pub fn listed(path: &Path) -> Result<Vec<String>, Failure> {
    let text = input::file(path)?.text;
    let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The machines, each once, in their order. A name that ssh would take for an option is refused.
pub fn checked(hosts: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut seen = BTreeSet::new();
    let wrong = |host: &&String| {
        host.is_empty()
            || host.starts_with('-')
            || host.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    if let Some(host) = hosts.iter().find(wrong) {
        let help = "a host is what ssh(1) takes: `web1`, `root@10.0.0.7`, `ssh://web1:2222`";
        return Err(Failure::command(format!("`{host}` is no host"), Some(help)));
    }
    Ok(hosts.into_iter().filter(|host| seen.insert(host.clone())).collect())
}

/// Asks machines, with these words behind the name of slabql. They give `answers` answers each.
pub fn ask(
    hosts: &[String],
    way: &Way,
    words: &[String],
    answers: usize,
) -> Result<Vec<Reply>, Failure> {
    // Another program would get rights that whoever runs slabql has not.
    refused()?;
    let script = remote(way, words);
    let next = Mutex::new(0..hosts.len());
    let replies: Mutex<Vec<Option<Reply>>> = Mutex::new(hosts.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..hosts.len().min(AT_ONCE) {
            scope.spawn(|| {
                while let Some(at) = next.lock().ok().and_then(|mut next| next.next()) {
                    let reply = ask_one(&hosts[at], way, hosts.len() > 1, &script, answers);
                    if let Ok(mut replies) = replies.lock() {
                        replies[at] = Some(reply);
                    }
                }
            });
        }
    });
    let replies = replies.into_inner().unwrap_or_default();
    Ok(replies.into_iter().flatten().collect())
}

fn ask_one(host: &str, way: &Way, is_one_of_many: bool, script: &str, answers: usize) -> Reply {
    let (answers, said) = run(host, way, is_one_of_many, script, answers).unwrap_or_else(|error| {
        (Err(Failure::environment(format!("{host}: {error}"), None)), Vec::new())
    });
    Reply { host: host.to_owned(), answers, said }
}

type Ran = (Result<Vec<Output>, Failure>, Vec<String>);

fn run(
    host: &str,
    way: &Way,
    is_one_of_many: bool,
    script: &str,
    answers: usize,
) -> Result<Ran, String> {
    let mut words = way.ssh.split_whitespace();
    let program = words.next().unwrap_or("ssh");
    let mut command = Command::new(program);
    command.args(words).args(["-o", "ConnectTimeout=10"]);
    if is_one_of_many {
        // Who asks many cannot be asked for the passwords of all of them at once.
        command.args(["-o", "BatchMode=yes"]);
    }
    command.args(["--", host, script]);
    let stdin = if way.send {
        let program = File::open("/proc/self/exe");
        program.map_err(|error| format!("slabql cannot be read: {}", errno(&error)))?.into()
    } else {
        Stdio::null()
    };
    let started = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        started.map_err(|error| format!("cannot run `{program}`: {}", errno(&error)))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let said = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut err) = err {
            let _ = err.by_ref().take(MAX_SAID).read_to_end(&mut said);
            // What is too much is read, or it would wait for a reader.
            let _ = std::io::copy(&mut err, &mut std::io::sink());
        }
        said
    });
    let read = out.map_or_else(|| Ok(Vec::new()), |out| reply::read(out, answers));
    let status = child.wait();
    let said = said.join().unwrap_or_default();
    let said: Vec<String> = String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
    let failed = |reason: &str| Failure::environment(format!("{host}: {reason}"), None);
    let code = status.map_err(|error| errno(&error))?.code();
    let answers = read.map_err(|reason| match code {
        Some(0) => failed(&reason),
        // What is wrong with it stands in what was said.
        Some(1) => Failure::command(format!("{host}: the query is refused"), None),
        Some(127) => {
            let help = "`--send` sends this slabql, and removes it afterwards";
            Failure::environment(format!("{host}: there is no `slabql` there"), Some(help))
        }
        Some(255) => failed("ssh failed"),
        Some(code) => failed(&format!("slabql failed there with exit code {code}")),
        None => failed("ssh was ended by a signal"),
    });
    Ok((answers, said))
}

/// The command for the shell of the other machine, whichever shell it is.
fn remote(way: &Way, words: &[String]) -> String {
    let sudo = if way.sudo { "sudo -n " } else { "" };
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let words = words.join(" ");
    let script = if way.send {
        // The traps remove it whatever ends the shell.
        format!(
            "f=$(mktemp) || exit 2; trap 'rm -f \"$f\"' EXIT; trap 'exit 2' HUP INT TERM; \
             cat >\"$f\" && chmod 700 \"$f\" && {sudo}\"$f\" {words}"
        )
    } else {
        format!("exec {sudo}slabql {words}")
    };
    format!("sh -c {}", quoted(&script))
}

/// A word as shells take it as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_pass_two_shells() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let words = ["-c".to_owned(), "select 1".to_owned()];
        let script = remote(&Way { sudo: true, ..Way::default() }, &words);
        assert_eq!(script, r"sh -c 'exec sudo -n slabql '\''-c'\'' '\''select 1'\'''");
    }

    #[test]
    fn hosts_are_no_options() {
        let hosts = |names: &[&str]| checked(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(hosts(&["a", "root@b", "a"]).unwrap(), ["a", "root@b"]);
        for wrong in ["-oProxyCommand=id", "", "a b", "a\nb"] {
            assert!(hosts(&["a", wrong]).is_err(), "{wrong}");
        }
    }
}
