//! An audit by the kernel's functions, which not every machine that builds slabql allows.

use std::io::Read;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The cache that the module `isofs` has.
const CACHE: &str = "isofs_inode_cache";

/// Lets a cache come and go, and expects an audit to tell all of it.
pub fn told(come_and_go: impl FnOnce()) {
    let query = "trace 10m select what, name, size > 500, comm, stack like '%init%' from audit";
    let mut command = Command::new("/bin/slabql");
    command.args(["--format", "csv", query]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It is said once all programs are attached; before it is the source.
    let (mut said, mut byte) = (String::new(), [0]);
    let note = loop {
        if let Some((_, note)) = said.split_once("note: the audit ").filter(|_| byte[0] == b'\n') {
            break note.to_owned();
        }
        child.stderr.as_mut().unwrap().read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    };
    come_and_go();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{note}{err}");
    assert!(note.starts_with("runs at the kernel's functions"), "{note}");
    let lines: Vec<&str> = out.lines().filter(|line| line.contains(CACHE)).collect();
    for what in ["create", "destroy", "release"] {
        let told = lines.iter().filter(|line| line.starts_with(&format!("{what},{CACHE},true,")));
        assert_eq!(told.count(), 1, "{what}: {out}{err}");
    }
    // Who loads it runs its beginning; it is this process.
    assert!(lines[0].ends_with(",init,true"), "{out}");
    println!("audit: {err}{out}");
}
