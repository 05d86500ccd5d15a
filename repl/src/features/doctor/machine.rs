//! What files say: the kernel's release, its CPUs and nodes, the rights of this process, and which files can be read.

use super::finding::{Finding, State};
use super::root::Root;
use crate::kernel::rights::{COMPILE, GRANT, Machine, OUTSIDE, UNLOCK};
use crate::kernel::sysfs::{self, SLABINFO, SYMBOLS};
use crate::report::error::errno;

/// Looks at the files of a machine.
pub(super) fn examine(root: &Root, machine: &Machine) -> Vec<Finding> {
    let mut findings = vec![release(root), architecture()];
    findings.extend(["cpu", "node"].map(|kind| counted(root, kind)));
    findings.extend(rights(machine));
    findings.extend(files(root));
    findings
}

/// How the kernel treats BPF programs, as files say it.
pub(super) fn bpf(root: &Root) -> [Finding; 2] {
    [jit(root), unprivileged(root)]
}

fn release(root: &Root) -> Finding {
    let new = |state, found| Finding::new("kernel", "release", state, found);
    match root.text("/proc/sys/kernel/osrelease") {
        Ok(release) => new(State::Note, release),
        Err(reason) => new(State::Unknown, reason).remedy("mount proc on /proc"),
    }
}

fn architecture() -> Finding {
    Finding::new("kernel", "architecture", State::Ok, std::env::consts::ARCH)
}

/// How many CPUs or nodes there are, and how many the kernel has room for.
fn counted(root: &Root, kind: &str) -> Finding {
    let name = if kind == "cpu" { "CPUs" } else { "NUMA nodes" };
    let list = |which| root.text(&format!("/sys/devices/system/{kind}/{which}"));
    let (online, possible) = match (list("online"), list("possible")) {
        (Ok(online), Ok(possible)) => (online, possible),
        (Err(reason), _) | (_, Err(reason)) => {
            return Finding::new("kernel", name, State::Unknown, reason)
                .remedy("mount sysfs on /sys");
        }
    };
    let mut found = format!("online {online}, possible {possible}");
    if let ("node", Ok(memory)) = (kind, list("has_memory"))
        && memory != online
    {
        found.push_str(&format!(", with memory {memory}"));
    }
    Finding::new("kernel", name, State::Note, found)
}

/// What this process may do.
fn rights(machine: &Machine) -> Vec<Finding> {
    let new = |check, state, found: &str| Finding::new("rights", check, state, found);
    let mut findings = Vec::new();
    match machine.lacking() {
        None => findings.push(new("capabilities", State::Unknown, "capget(2) failed")),
        Some(lacking) => findings.extend(["CAP_BPF", "CAP_PERFMON"].map(|name| {
            if lacking.contains(&name) {
                new(name, State::Missing, "not in effect").remedy(GRANT)
            } else {
                new(name, State::Ok, "in effect")
            }
        })),
    }
    if machine.is_mapped() {
        findings.push(
            new(
                "user namespace",
                State::Missing,
                "bpf(2) ignores capabilities of a user namespace",
            )
            .remedy(OUTSIDE),
        );
    }
    findings.push(match machine.status("Seccomp") {
        Some("0") => new("seccomp", State::Ok, "no filter"),
        Some(_) => new("seccomp", State::Note, "a filter is active; it may block bpf(2)"),
        None => new("seccomp", State::Unknown, "not in /proc/self/status"),
    });
    let lockdown = machine.lockdown.split(['[', ']']).nth(1);
    findings.push(match lockdown {
        Some("confidentiality") => {
            new("lockdown", State::Missing, "BPF programs may not read the kernel's memory")
                .remedy(UNLOCK)
        }
        Some(level) => new("lockdown", State::Ok, level),
        None => new("lockdown", State::Ok, "not built in, or securityfs is not mounted"),
    });
    findings
}

fn jit(root: &Root) -> Finding {
    let new = |state, found: &str| Finding::new("bpf", "JIT compiler", state, found);
    match root.text("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Ok("0") => new(State::Missing, "off; kernel functions cannot be called").remedy(COMPILE),
        Ok(_) => new(State::Ok, "on"),
        Err(reason) => new(State::Unknown, reason),
    }
}

fn unprivileged(root: &Root) -> Finding {
    let new =
        |found: &str| Finding::new("bpf", "kernel.unprivileged_bpf_disabled", State::Note, found);
    match root.text("/proc/sys/kernel/unprivileged_bpf_disabled").as_deref() {
        Ok("0") => new("0: anyone may load programs, but not those of slabql"),
        Ok(value) => new(&format!("{value}: loading programs requires CAP_BPF")),
        Err(reason) => Finding { state: State::Unknown, ..new(reason) },
    }
}

/// Files that some columns, the witnesses and the other sources are read from.
fn files(root: &Root) -> Vec<Finding> {
    let uses = [
        (SLABINFO, "`slabinfo`, `.verify`", "run slabql as root"),
        ("/sys/kernel/slab", "`aliases`, `.verify`", "mount sysfs on /sys"),
        (SYMBOLS, "`ctor`", "run slabql as root"),
    ];
    let readable = |(path, uses, remedy): (&'static str, &str, &str)| {
        let read = match path {
            "/sys/kernel/slab" => std::fs::read_dir(root.path(path)).map(|_| false),
            SYMBOLS => sysfs::hides_addresses(&root.path(path)),
            path => root.bytes(path).map(|_| false),
        };
        match read {
            Err(error) => {
                let found = format!("{}; for {uses}", errno(&error));
                Finding::new("files", path, State::Lacking, found).remedy(remedy)
            }
            Ok(true) => {
                let found = format!("addresses are hidden; for {uses}");
                Finding::new("files", path, State::Lacking, found)
                    .remedy("run slabql with CAP_SYSLOG and `kernel.kptr_restrict` below 2")
            }
            Ok(false) => Finding::new("files", path, State::Ok, "readable"),
        }
    };
    uses.map(readable).to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Made, line};
    use super::*;

    /// What the findings about `check` say.
    fn says(root: &Root, check: &str) -> String {
        let mut machine = Machine::look_in(&root.0);
        machine.effective = Some(1 << 39);
        let mut findings = examine(root, &machine);
        findings.extend(bpf(root));
        line(&findings, check)
    }

    #[test]
    fn an_empty_machine_is_unknown() {
        let made = Made::new("empty", &[]);
        for check in ["release", "CPUs", "NUMA nodes", "seccomp", "JIT compiler"] {
            assert!(says(&made.root(), check).starts_with("unknown "), "{check}");
        }
        for check in ["/proc/slabinfo", "/sys/kernel/slab", SYMBOLS] {
            let found = says(&made.root(), check);
            assert!(found.starts_with("lacking No such file"), "{found}");
        }
    }

    #[test]
    fn rights_are_told_one_by_one() {
        let status = "Name:\tslabql\nSeccomp:\t2\n";
        let made = Made::new(
            "rights",
            &[
                ("proc/self/status", status),
                ("proc/self/uid_map", "0 1000 1\n"),
                ("sys/kernel/security/lockdown", "none integrity [confidentiality]\n"),
                ("proc/sys/net/core/bpf_jit_enable", "0\n"),
                ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ],
        );
        for (check, words) in [
            ("CAP_BPF", "ok in effect"),
            (
                "CAP_PERFMON",
                "missing not in effect; run slabql as root, or as a member of its own group",
            ),
            ("user namespace", "missing bpf(2) ignores capabilities"),
            ("seccomp", "note a filter is active"),
            ("lockdown", "missing BPF programs may not read"),
            ("JIT compiler", "missing off"),
            ("kernel.unprivileged_bpf_disabled", "note 2: loading programs requires CAP_BPF"),
        ] {
            let found = says(&made.root(), check);
            assert!(found.starts_with(words), "{check}: {found}");
        }
    }

    #[test]
    fn hidden_symbols_are_no_symbols() {
        let shown = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _text\n";
        let hidden = "0000000000000000 A fixed_percpu_data\n0000000000000000 T _text\n";
        for (text, state) in [(shown, "ok readable"), (hidden, "lacking addresses are hidden")] {
            let made = Made::new("symbols", &[("proc/kallsyms", text)]);
            let found = says(&made.root(), SYMBOLS);
            assert!(found.starts_with(state), "{found}");
        }
    }

    #[test]
    fn nodes_without_memory_are_told() {
        let folder = "sys/devices/system/node";
        let made = Made::new(
            "nodes",
            &[
                (&format!("{folder}/online"), "0-1\n"),
                (&format!("{folder}/possible"), "0-3\n"),
                (&format!("{folder}/has_memory"), "0\n"),
            ],
        );
        assert_eq!(
            says(&made.root(), "NUMA nodes"),
            "note online 0-1, possible 0-3, with memory 0"
        );
    }
}
