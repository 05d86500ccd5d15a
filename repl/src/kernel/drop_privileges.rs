//! Gives up what the process may do besides reading the kernel and the files it is told to.
//!
//! This comes before any query is read. What slabql starts, a pager or an editor, gets no capability from it: the
//! inheritable set is emptied, and with it the ambient one.
//!
//! # Not done here
//!
//! The user stays who they are. What root starts is root's again, as it is in any shell.

use rustix::io::Result;
use rustix::process::{getegid, geteuid, getgid, getuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use super::rights::GRANT_INSTEAD;
use crate::report::error::Environment;

/// What slabql has a use for: programs that read the kernel, the symbols with their addresses, and files that
/// root is told to read or write though they are another's, which they stay.
const USED: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH);

/// Gives up the rest. Fails where the program was given another user's rights by its file, and where the kernel does
/// not let go.
pub fn drop_privileges() -> core::result::Result<(), Environment> {
    if geteuid() != getuid() || getegid() != getgid() {
        let message = "slabql refuses to run set-user-ID or set-group-ID";
        return Err(Environment::new(message).help(GRANT_INSTEAD));
    }
    give_up().map_err(|error| Environment::failed("cannot drop capabilities", &error.into()))
}

fn give_up() -> Result<()> {
    let held = capabilities(None)?;
    let left = left_of(&held);
    if left == held { Ok(()) } else { set_capabilities(None, left) }
}

/// What is kept of what a process holds. `CAP_SYS_ADMIN` is kept where it stands for a capability that is not there.
fn left_of(held: &CapabilitySets) -> CapabilitySets {
    let kept = |set: CapabilitySet| {
        let named = CapabilitySet::BPF | CapabilitySet::PERFMON;
        let used = if set.contains(named) { USED } else { USED | CapabilitySet::SYS_ADMIN };
        set & used
    };
    CapabilitySets {
        effective: kept(held.effective),
        permitted: kept(held.permitted),
        inheritable: CapabilitySet::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(held: CapabilitySet) -> CapabilitySet {
        let left = left_of(&CapabilitySets { effective: held, permitted: held, inheritable: held });
        assert_eq!((left.effective, left.inheritable), (left.permitted, CapabilitySet::empty()));
        left.permitted
    }

    #[test]
    fn what_is_not_used_is_given_up() {
        assert_eq!(left(CapabilitySet::all()), USED);
        let two = CapabilitySet::BPF | CapabilitySet::PERFMON;
        assert_eq!(left(two), two);
        assert_eq!(left(two | CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN), two);
        assert_eq!(left(CapabilitySet::SETUID), CapabilitySet::empty());
    }

    #[test]
    fn an_older_right_stands_for_both() {
        let old = CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_MODULE;
        assert_eq!(left(old), CapabilitySet::SYS_ADMIN);
        assert_eq!(left(old | CapabilitySet::BPF), CapabilitySet::SYS_ADMIN | CapabilitySet::BPF);
    }

    #[test]
    fn a_thread_gives_up_its_own() {
        let left = std::thread::spawn(|| {
            give_up().unwrap();
            capabilities(None).unwrap()
        });
        let left = left.join().unwrap();
        assert!(USED.union(CapabilitySet::SYS_ADMIN).contains(left.permitted), "{left:?}");
        assert_eq!(left.inheritable, CapabilitySet::empty());
    }
}
