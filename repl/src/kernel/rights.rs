//! Explains why the machine does not let slabql read the live kernel.
//!
//! The kernel says little more than EPERM. What it means is found by looking around after the fact: at the
//! process's capabilities, its user namespace, seccomp, lockdown. Nothing here runs unless something failed.
//!
//! # Not done here
//!
//! Nothing is tried in advance: a process that looks as if it lacked a right may still have it.

use std::fs;
use std::io;
use std::path::Path;

use rustix::thread::capabilities;

use super::sys;
use crate::report::error::Environment;

impl Environment {
    /// The kernel's types cannot be read.
    #[must_use]
    pub fn no_btf(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::new(format!("the live source needs {}", sys::VMLINUX_BTF)).help(
                "mount sysfs on /sys; if it is, this kernel was built without CONFIG_DEBUG_INFO_BTF",
            );
        }
        Self::failed(&format!("{} cannot be read", sys::VMLINUX_BTF), error)
    }

    /// The types in a file make no sense.
    #[must_use]
    pub fn bad_btf(path: &Path, reason: &super::btf::Malformed) -> Self {
        let words = Self::new(format!("{} is not valid: {reason}", path.display()));
        if path == Path::new(sys::VMLINUX_BTF) {
            return words;
        }
        words.help("a BTF file such as /sys/kernel/btf/vmlinux is needed, not a kernel image")
    }

    /// The types in a file are another kernel's.
    #[must_use]
    pub fn foreign_btf(path: &Path) -> Self {
        let path = path.display();
        Self::new(format!("{path} describes another kernel: programs for it cannot run here")).help(
            "`explain`, `.schema` and `.why` work; leave out `--btf` to query the running kernel",
        )
    }

    /// The kernel has no iterator over its caches, of whatever release it is: one that is new enough may have been built
    /// without.
    #[must_use]
    pub fn no_iterator(release: &str) -> Self {
        Self::new(format!(
            "this kernel, Linux {release}, has no slab cache iterator: its BTF lacks the function `bpf_iter_kmem_cache`"
        ))
        .help("Linux 6.13 and later have it, if built with CONFIG_SLUB and CONFIG_BPF_SYSCALL")
    }

    /// Says what about this machine explains that bpf(2) failed with `error`; none if nothing does.
    #[must_use]
    pub fn of_bpf(error: &io::Error) -> Option<Self> {
        Machine::look().explain(error)
    }
}

/// The command that gives the program's file capabilities, for a group alone: whoever may run it with them can read
/// the kernel's memory. They come last, because a new owner takes them away.
macro_rules! grant {
    ($capabilities:literal) => {
        concat!(
            "`sudo sh -c 'groupadd -f slabql; chown root:slabql $0; chmod 750 $0; setcap ",
            $capabilities,
            "+ep $0' $(command -v slabql)`"
        )
    };
}

/// What gives a process the capabilities that it lacks.
pub const GRANT: &str = concat!(
    "run slabql as root, or as a member of its own group after ",
    grant!("cap_bpf,cap_perfmon")
);
/// The same, with the right to see the kernel's addresses.
pub const GRANT_ADDRESSES: &str = concat!(
    "`sudo sysctl kernel.kptr_restrict=1`, and without root ",
    grant!("cap_bpf,cap_perfmon,cap_syslog")
);
/// What takes the place of a set-user-ID bit.
pub const GRANT_INSTEAD: &str =
    concat!("`sudo chmod ug-s $(command -v slabql)`, then ", grant!("cap_bpf,cap_perfmon"));

/// Whether slabql has rights that come from its file, as `setcap` gives them. Then it starts no program that somebody
/// names, and does nothing in whose stead another's rights count.
#[must_use]
pub fn is_privileged_file() -> bool {
    sys::is_secure()
}

/// What gives BPF programs the kernel's memory back that a lockdown hides.
pub const UNLOCK: &str = "boot without lockdown=confidentiality";
/// What switches the kernel's BPF compiler on.
pub const COMPILE: &str = "`sudo sysctl net.core.bpf_jit_enable=1`";
/// What a user namespace cannot give.
pub const OUTSIDE: &str = "run slabql outside the container";

/// Bits of the capabilities, by name.
const CAPABILITIES: [(u32, &str); 2] = [(39, "CAP_BPF"), (38, "CAP_PERFMON")];
/// The capability that stands for both.
const CAP_SYS_ADMIN: u32 = 21;
/// The kernel's own ENOTSUPP, which libc does not know: a kfunc without the JIT compiler.
const ENOTSUPP: i32 = 524;

/// What files say about the machine; an absent file is empty.
#[derive(Default)]
pub struct Machine {
    /// The capabilities in effect, as `CapEff` in `/proc/self/status` shows them; none where nobody says.
    pub effective: Option<u64>,
    /// `/proc/self/status`
    status: String,
    /// `/proc/self/uid_map`
    uid_map: String,
    /// `/sys/kernel/security/lockdown`
    pub lockdown: String,
    /// `/proc/sys/net/core/bpf_jit_enable`
    jit: String,
}

impl Machine {
    fn look() -> Self {
        Self::look_in(Path::new("/"))
    }

    /// What the files below `root` say.
    #[must_use]
    pub fn look_in(root: &Path) -> Self {
        let read = |path| fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            effective: capabilities(None).ok().map(|sets| sets.effective.bits()),
            status: read("proc/self/status"),
            uid_map: read("proc/self/uid_map"),
            lockdown: read("sys/kernel/security/lockdown"),
            jit: read("proc/sys/net/core/bpf_jit_enable"),
        }
    }

    /// A field of the process's status.
    #[must_use]
    pub fn status(&self, field: &str) -> Option<&str> {
        self.status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(str::trim)
    }

    /// The capabilities that the process lacks; none where that is not known.
    #[must_use]
    pub fn lacking(&self) -> Option<Vec<&'static str>> {
        let effective = self.effective?;
        let has = |bit: u32| effective >> bit & 1 == 1;
        let lacks = |(bit, name)| (!has(bit) && !has(CAP_SYS_ADMIN)).then_some(name);
        Some(CAPABILITIES.into_iter().filter_map(lacks).collect())
    }

    /// Whether ids are mapped, as in a user namespace, where capabilities do not count for bpf(2).
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        let map: Vec<&str> = self.uid_map.split_whitespace().collect();
        !map.is_empty() && map != ["0", "0", "4294967295"]
    }

    fn explain(&self, error: &io::Error) -> Option<Environment> {
        let errno = error.raw_os_error().unwrap_or(0);
        if errno == libc::ENOSYS {
            return Some(
                Environment::new("this system has no bpf(2)").help(
                    "it needs CONFIG_BPF_SYSCALL and, in a container, a seccomp profile that allows bpf(2)",
                ),
            );
        }
        let could_not =
            || Some(Environment::failed("the kernel could not load the program", error));
        if [libc::EMFILE, libc::ENFILE, libc::EAGAIN, libc::EINTR].contains(&errno) {
            return could_not();
        }
        // Without CAP_PERFMON a program may be loaded but not read the kernel, which the verifier reports with
        // errors of its own, ENOMEM among them: so what is missing counts whatever the error is.
        let missing = self.lacking().unwrap_or_default();
        if !missing.is_empty() {
            let names = missing.join(" and ");
            return Some(
                Environment::new(format!("loading BPF programs needs {names}")).help(GRANT),
            );
        }
        if errno == libc::ENOMEM {
            return could_not();
        }
        if self.lockdown.contains("[confidentiality]") {
            return Some(
                Environment::new("the kernel is locked down: BPF programs may not read its memory")
                    .help(UNLOCK),
            );
        }
        if errno == ENOTSUPP && self.jit.trim() == "0" {
            return Some(Environment::new("the kernel's BPF compiler is disabled").help(COMPILE));
        }
        if errno != libc::EPERM {
            return None;
        }
        if self.is_mapped() {
            return Some(
                Environment::new("bpf(2) ignores capabilities of a user namespace").help(OUTSIDE),
            );
        }
        let refusal = "the kernel refuses bpf(2) despite CAP_BPF and CAP_PERFMON";
        Some(match self.status("Seccomp") {
            Some("0") | None => Environment::new(refusal)
                .help("a security module such as SELinux may deny it; see the kernel log"),
            Some(_) => Environment::new(format!("{refusal}, and a seccomp filter is active"))
                .help("run slabql outside the container, or allow bpf(2) in its profile"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(effective: u64) -> Machine {
        Machine {
            effective: Some(effective),
            status: "Name:\tslabql\nSeccomp:\t0\n".to_owned(),
            uid_map: "         0          0 4294967295\n".to_owned(),
            ..Machine::default()
        }
    }

    fn message(machine: &Machine, errno: i32) -> Option<String> {
        machine.explain(&io::Error::from_raw_os_error(errno)).map(|found| found.message)
    }

    #[test]
    fn missing_capabilities_are_named() {
        for (effective, names) in
            [(0x0, "CAP_BPF and CAP_PERFMON"), (1 << 39, "CAP_PERFMON"), (1 << 38, "CAP_BPF")]
        {
            let text = format!("loading BPF programs needs {names}");
            for errno in [libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOMEM] {
                assert_eq!(message(&machine(effective), errno).as_ref(), Some(&text));
            }
        }
    }

    #[test]
    fn a_rejection_with_all_rights_has_no_excuse() {
        for effective in [0x1ff_ffff_ffff, 0xc0_0000_0000, 0x20_0000] {
            assert_eq!(message(&machine(effective), libc::EACCES), None, "{effective:x}");
            assert_eq!(message(&machine(effective), libc::EINVAL), None, "{effective:x}");
        }
    }

    #[test]
    fn refusals_with_all_rights_are_told_apart() {
        let all = || machine(0x1ff_ffff_ffff);
        let says = |machine: &Machine, errno, words: &str| {
            let found = message(machine, errno).unwrap_or_default();
            assert!(found.contains(words), "{found}");
        };
        says(&all(), libc::EPERM, "refuses bpf(2)");
        says(&Machine { uid_map: "0 1000 1".to_owned(), ..all() }, libc::EPERM, "user namespace");
        says(&Machine { status: "Seccomp: 2".to_owned(), ..all() }, libc::EPERM, "seccomp");
        let lockdown = "none integrity [confidentiality]".to_owned();
        says(&Machine { lockdown, ..all() }, libc::EINVAL, "locked down");
        says(&Machine { jit: "0\n".to_owned(), ..all() }, ENOTSUPP, "disabled");
        says(&all(), libc::ENOSYS, "no bpf(2)");
        says(&all(), libc::ENOMEM, "the kernel could not load the program: ");
        assert_eq!(message(&Machine::default(), libc::EACCES), None, "nothing is known");
    }

    #[test]
    fn absent_types_have_a_remedy() {
        let absent = Environment::no_btf(&io::Error::from_raw_os_error(libc::ENOENT));
        assert!(absent.help.is_some_and(|help| help.contains("CONFIG_DEBUG_INFO_BTF")));
        let refused = Environment::no_btf(&io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(
            refused.to_string(),
            "/sys/kernel/btf/vmlinux cannot be read: Permission denied"
        );
        assert_eq!(
            Environment::no_iterator("6.8.0").message,
            "this kernel, Linux 6.8.0, has no slab cache iterator: its BTF lacks the function `bpf_iter_kmem_cache`"
        );
    }
}
