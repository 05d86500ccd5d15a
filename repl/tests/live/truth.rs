//! Holds every column against what the kernel's own files say of the same caches: `/proc/slabinfo` and
//! `/sys/kernel/slab`. Each way to the caches that the kernel has is asked: its iterator, and its list.
//!
//! Figures move while they are compared. Each comparison reads the witness before and after, and is repeated until
//! every cell was equal once between two equal witnesses; see `common/settle.rs`.
//!
//! The comparisons lie beside this file, by their witness; here is what they share.

mod flags;
mod kmalloc;
mod slabinfo;
mod sysfs;

use std::path::Path;

use crate::common::ask::{self, Answer};
use crate::common::witness;
use query::availability::unavailable;
use query::catalog::TABLES;
use slabql::engine::Engine;

/// What a row is called in a comparison: names are not unique.
fn keys(answer: &Answer) -> Vec<String> {
    let names = answer.texts("name");
    names
        .iter()
        .zip(answer.numbers("addr"))
        .map(|(name, addr)| format!("{name} {addr:x}"))
        .collect()
}

/// Whether every cache here has the file: some depend on the kernel's version and options.
fn exists(file: &str) -> bool {
    let found = Path::new(witness::SLAB).join("dentry").join(file).exists();
    if !found {
        eprintln!("this kernel has no file `{file}`");
    }
    found
}

/// What follows from flags.
const OF_FLAGS: [&str; 8] = [
    "flags",
    "allocflags",
    "kmalloc_type",
    "size_class",
    "unreclaimable",
    "rcu",
    "accounted",
    "debugged",
];

/// Whether a comparison needs the names of flags.
fn is_of_flags(expr: &str) -> bool {
    OF_FLAGS.iter().any(|column| expr.split(' ').any(|word| word == *column))
}

/// Sessions over a kernel whose types name the flags, as from Linux 6.9 on. Where they do not, what follows from flags
/// is NULL, and there is a reason for it.
fn with_flags() -> Vec<Engine> {
    let (named, mut nameless) = ask::sources().into_iter().partition::<Vec<_>, _>(ask::names_flags);
    for session in &mut nameless {
        let table = TABLES[0];
        let answer = ask::ask(session, &format!("select {}", OF_FLAGS.join(", ")));
        for name in OF_FLAGS {
            let reason =
                unavailable(table, table.column(name).unwrap(), session.source().capabilities())
                    .unwrap();
            assert!(reason.contains(" has no enum "), "{name}: {reason}");
            assert!(answer.texts(name).iter().all(|text| text == "NULL"), "{name}");
        }
        eprintln!("{}", ask::by(session, "flags have no names: what follows from them is NULL"));
    }
    named
}

/// The kind and the size that a kmalloc cache's name says.
fn kmalloc(name: &str) -> Option<(&'static str, u64)> {
    let (kind, rest) = [
        ("dma", "dma-kmalloc-"),
        ("reclaim", "kmalloc-rcl-"),
        ("cgroup", "kmalloc-cg-"),
        ("random", "kmalloc-rnd-"),
        ("no_objext", "kmalloc-no-objext-"),
        ("normal", "kmalloc-"),
    ]
    .into_iter()
    .find_map(|(kind, prefix)| Some((kind, name.strip_prefix(prefix)?)))?;
    // `kmalloc-rnd-01-64` has a number in front of its size.
    let size = rest.rsplit('-').next()?;
    let (digits, unit) = match size.strip_suffix(['k', 'M']) {
        Some(digits) if size.ends_with('k') => (digits, 1 << 10),
        Some(digits) => (digits, 1 << 20),
        None => (size, 1),
    };
    Some((kind, digits.parse::<u64>().ok()? * unit))
}
