//! Audits by the kernel's functions and by kprobes there, which not every machine that builds slabql allows.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use ebpf_templates::template::audit::Hook;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use slabql::features::trace::audit::{Way, attach};
use slabql::source::Choice;

use super::modules::{ask, modules};

/// The cache that the module `isofs` has.
const CACHE: &str = "isofs_inode_cache";

/// How the names of caches begin that zram and a PID namespace have, of their own or merged into others.
const OTHERS: [&str; 2] = ["bio-", "pid_2"];

/// The cache of a zram device, where the allocator of its memory is a module. Later kernels have none.
const HANDLES: &str = "zs_handle";

/// Gives a zram device a size and takes it away.
fn compress() {
    fs::write("/sys/block/zram0/disksize", "16M").unwrap();
    fs::write("/sys/block/zram0/reset", "1").unwrap();
}

/// Makes a PID namespace, and may start no thread afterwards. The first namespace of its depth has a cache that stays.
#[allow(unsafe_code)] // the call could take files from other threads
pub fn nest() {
    // SAFETY: without `FILES` no thread loses a file.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.unwrap();
}

/// Lets caches come and go, and expects an audit to tell all of it. `load` and `unload` do so with modules.
pub fn told(load: impl FnOnce(), unload: impl FnOnce()) {
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
    load();
    compress();
    unload();
    assert!(Command::new("/init").args(["check", "nest"]).status().unwrap().success());
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
    let has_handles = modules().iter().any(|(name, _)| name.as_c_str() == c"zsmalloc");
    for name in OTHERS.into_iter().chain(has_handles.then_some(HANDLES)) {
        let made = |what| out.contains(&format!("\n{what},{name}"));
        assert!(made("create") || made("merge"), "{name}: {out}{err}");
    }
    println!("audit: {err}{out}");
}

/// Lets a cache come and go, and expects kprobes to tell all of it.
pub fn probed(come_and_go: impl FnOnce()) {
    let engine = ask::live(Choice::default());
    let mut auditor = attach(&engine, Some(0), Way::Probes).unwrap();
    come_and_go();
    let records = auditor.records();
    let hooks: Vec<Hook> = records
        .iter()
        .filter(|record| record.name == CACHE.as_bytes())
        .filter(|record| record.comm == b"init" || record.hook == Hook::ProbedReleased)
        .filter(|record| record.figures.is_some_and(|[_, size, _]| size > 500))
        .map(|record| record.hook)
        .collect();
    let [created, before, merged, destroyed, released] = Hook::PROBED;
    // It is the name of a new cache as well, which nobody refers to yet.
    let told: Vec<Hook> = hooks.iter().copied().filter(|hook| *hook != merged).collect();
    let created = if told.contains(&created) { created } else { before };
    assert_eq!(told, [created, destroyed, released], "{records:?}");
    assert_eq!(auditor.losses().unwrap(), (0, 0));
    println!("kprobes: {told:?}");
}
