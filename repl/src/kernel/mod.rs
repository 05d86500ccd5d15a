//! Reaches the running kernel: its types, its BPF subsystem, its files.
//!
//! ```text
//!   /sys/kernel/btf/vmlinux ── btf ── schema ──► the compiler's questions
//!   Program ── load ──► Loaded ── read ──► Output (rows)
//!   tracepoints ── trace ──► counts and objects of a trace
//!   /sys/kernel/slab, /proc/kallsyms ── sysfs ──► names that no program can tell
//! ```
//!
//! [`sys`] holds the system calls, [`rights`] says why they are refused.
//!
//! # Invariants
//!
//! - Nothing is pinned but what [`iter`] is asked to pin, and every descriptor is close-on-exec: when a [`load::Loaded`] is dropped, or the process
//!   ends however it ends, the kernel has unloaded the program and its map.
//! - Bytes of the kernel, BTF and rows alike, are checked before they are believed.

pub mod btf;
pub mod called;
pub mod cgroups;
pub mod drop_privileges;
pub mod fit;
mod functions;
pub mod held;
pub mod iter;
pub mod kept;
pub mod keys;
pub mod list;
pub mod load;
pub mod lookup;
pub mod mounts;
pub mod percpu;
pub mod probe;
pub mod read;
pub mod rights;
pub mod schema;
pub mod signals;
pub mod sites;
mod situation;
pub mod slab;
pub mod sockets;
pub mod sys;
pub mod sysfs;
pub mod trace;
pub mod tracks;
pub mod tree;
pub mod types;
pub mod vmemmap;
pub mod zones;
