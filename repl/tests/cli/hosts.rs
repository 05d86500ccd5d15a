//! Other machines are asked over ssh: a real sshd(8) on this one, under two names, and a name where nobody listens.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::common::program::{Folder, Ran, SLABQL, command};
use crate::common::start::{self, Start};
use crate::common::{lacks, live, wait};

/// The folder that sshd(8) must have.
const RUN: &str = "/run/sshd";

/// A server, which ends with it.
struct Server {
    child: Child,
    folder: Folder,
    /// Whether [`RUN`] was made for it.
    made: bool,
}

impl Server {
    fn start() -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path(name).to_str().unwrap().to_owned();
        for key in ["host_key", "key"] {
            let mut keygen = start::command("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
            assert!(keygen.ran().status.success());
        }
        for name in ["bin", "tmp"] {
            fs::create_dir(folder.path(name)).unwrap();
        }
        let (host_key, key, bin, tmp) = (at("host_key"), at("key"), at("bin"), at("tmp"));
        folder.file(
            "sshd_config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\n\
                 AuthorizedKeysFile {key}.pub\nStrictModes no\nUsePAM no\nPidFile none\n\
                 SetEnv PATH={bin}:/usr/bin:/bin TMPDIR={tmp}\n"
            ),
        );
        folder.file(
            "ssh_config",
            format!(
                "Host web1 web2\n  Port {port}\nHost dead\n  Port 1\nHost *\n\
                 \x20 HostName 127.0.0.1\n  IdentityFile {key}\n  StrictHostKeyChecking no\n\
                 \x20 UserKnownHostsFile /dev/null\n  LogLevel ERROR\n"
            ),
        );
        let made = fs::create_dir(RUN).is_ok();
        let mut sshd = start::command("sh");
        // It starts itself again for each connection, by its whole path.
        sshd.args(["-c", "exec \"$(command -v sshd)\" -D -e -f \"$0\"", &at("sshd_config")]);
        let child = sshd.stderr(Stdio::null()).start();
        let connect = || TcpStream::connect(("127.0.0.1", port)).ok();
        wait("sshd", Duration::from_mins(1), connect);
        Self { child, folder, made }
    }

    /// Asks these hosts, with these words behind them.
    fn ask(&self, hosts: &[&str], words: &[&str]) -> Ran {
        let mut slabql = command(SLABQL);
        let ssh = format!("ssh -F {}", self.folder.path("ssh_config").display());
        slabql.args(["--ssh", &ssh]);
        for host in hosts {
            slabql.args(["--host", host]);
        }
        slabql.args(["--format", "csv"]).args(words).ran().into()
    }

    /// Puts slabql where the server finds programs, or takes it away.
    fn install(&self, is_there: bool) {
        let path = self.folder.path("bin/slabql");
        if is_there { symlink(SLABQL, path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.made {
            let _ = fs::remove_dir(RUN);
        }
    }
}

#[test]
fn one_answer_comes_of_all_hosts() {
    if lacks(&["ssh", "ssh-keygen", "sshd", "sh"]) {
        return;
    }
    let Some(_turn) = live() else { return };
    let server = Server::start();
    server.install(true);
    let query = "select name, size, flags, 'it''s\n$HOME' as text \
        where size > $min and name = 'task_struct' -- \\";
    let asked = ["--set", "min=64", query];
    let Ran { code, out, err } = server.ask(&["web2", "dead", "web1", "web2"], &asked);
    assert_eq!(code, Some(2), "{err}");
    let own = command(SLABQL).args(["--format", "csv"]).args(asked).ran();
    let own = String::from_utf8(own.stdout).unwrap();
    let (head, row) = own.split_once('\n').unwrap();
    assert_eq!(out, format!("host,{head}\nweb2,{row}web1,{row}"), "{err}");
    for words in ["dead: ssh: connect to host", "error: dead: ssh failed\n"] {
        assert!(err.contains(words), "{err}");
    }

    // Several answers, and hosts of a file.
    let hosts = server.folder.file("hosts", "# the web\nweb1 # one\n\nweb2\n");
    let two = ["--hosts", hosts.to_str().unwrap(), "select 1 as a limit 1; select 2 as b limit 0"];
    let Ran { code, out, err } = server.ask(&[], &two);
    assert_eq!((code, &*out), (Some(0), "host,a\nweb1,1\nweb2,1\nhost,b\n"), "{err}");

    // A unit of any kind comes over; without a picture it is what a file would have.
    let query = "select histogram(object_size) as sizes where name = 'task_struct'";
    let Ran { code, out, err } = server.ask(&["web1"], &[query]);
    let own = command(SLABQL).args(["--format", "csv", query]).ran();
    let own = String::from_utf8(own.stdout).unwrap();
    assert_eq!((code, out), (Some(0), own.replace("sizes\n", "host,sizes\nweb1,")), "{err}");

    // What is wrong with a query is told by each host, and is the query's fault.
    let Ran { code, out, err } = server.ask(&["web1"], &["select nope"]);
    assert_eq!((code, &*out), (Some(1), ""), "{err}");
    for words in ["web1: error: unknown column `nope`\n", "error: web1: the query is refused\n"] {
        assert!(err.contains(words), "{err}");
    }
    let Ran { code, out, .. } = server.ask(&["web1"], &["--fail-if-rows", "select 1 limit 1"]);
    assert_eq!((code, &*out), (Some(4), "host,1\nweb1,1\n"));

    // A slabql that is not there can be sent, and leaves again.
    server.install(false);
    let Ran { code, err, .. } = server.ask(&["web1"], &["select 1"]);
    assert!(code == Some(2) && err.contains("there is no `slabql` there"), "{err}");
    let Ran { code, out, err } = server.ask(&["web1"], &["--send", "select count(*) > 10 as many"]);
    assert_eq!((code, &*out), (Some(0), "host,many\nweb1,true\n"), "{err}");
    let left: Vec<_> = fs::read_dir(server.folder.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");

    // What is no slabql gives no answer, whatever it says.
    let script = "#!/bin/sh\necho hello; printf '\\033[2J' >&2; exit 0\n";
    let path = server.folder.file("bin/slabql", script);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let Ran { code, out, err } = server.ask(&["web1"], &["select 1"]);
    assert_eq!((code, &*out), (Some(2), ""), "{err}");
    assert!(err.contains("error: web1: it gave no answer") && !err.contains('\x1b'), "{err}");
}

#[test]
fn what_hosts_cannot_be_asked_is_refused() {
    let folder = Folder::new();
    let none = folder.file("none", "# nobody\n");
    let none = none.to_str().unwrap();
    for (words, reason) in [
        (&["--host", "web1", "explain select name"][..], "hosts are asked queries alone"),
        (&["--host", "web1", "doctor"], "hosts are asked queries"),
        (&["--host", "web1", "select name format json"], "a query for hosts names no format"),
        (&["--host", "web1", "select from"], "expected"),
        (&["--host", "web1", "select name where size > $min"], "`$min` has no value"),
        (&["--host=-oProxyCommand=id", "select 1"], "`-oProxyCommand=id` is no host"),
        (&["--hosts", none, "select 1"], "no host is named"),
        (&["--send", "select 1"], "no host is named"),
        (&["--host", "a", "--demo", "select 1"], "cannot be used with"),
        (&["--host", "a", "--watch", "1s", "select 1"], "cannot be used with"),
    ] {
        let Ran { code, out, err } = command(SLABQL).args(words).ran().into();
        assert_eq!((code, &*out), (Some(1), ""), "{words:?}: {err}");
        assert!(err.contains(reason), "{words:?}: {err}");
    }
    let words = ["--host", "a", "--ssh", "/nonexistent/ssh", "select 1"];
    let Ran { code, err, .. } = command(SLABQL).args(words).ran().into();
    assert!(code == Some(2) && err.contains("a: cannot run `/nonexistent/ssh`"), "{err}");
}
