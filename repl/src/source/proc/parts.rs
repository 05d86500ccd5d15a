//! What files tell of the NUMA nodes of a cache: `12 N0=7 N1=5` is a sum and its parts.
//!
//! A node that has none is left out of a line, and a kernel without NUMA prints the sum alone. A line is as long as a page
//! at most; of one that was cut the parts are not the sum, and what it tells of nodes is not known.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use crate::kernel::sysfs;
use crate::report::error::{Failure, errno};

/// The nodes that have memory.
pub fn nodes(root: &Path) -> Result<BTreeSet<u64>, Failure> {
    let devices = root.join("sys/devices/system");
    let path = devices.join("node/has_memory");
    let failed = |reason: &str| Failure::environment(format!("{}: {reason}", path.display()), None);
    match fs::read_to_string(&path) {
        Ok(text) => sysfs::numbers(&text).ok_or_else(|| failed("it is not a list of numbers")),
        // A kernel without NUMA has one node and no folder of nodes.
        Err(error) if error.kind() == io::ErrorKind::NotFound && devices.is_dir() => {
            Ok(BTreeSet::from([0]))
        }
        Err(error) => Err(failed(&errno(&error))),
    }
}

/// What a line tells of a node. `nodes` are those that there are.
#[must_use]
pub fn of_node(line: &str, node: u64, nodes: &BTreeSet<u64>) -> Option<u64> {
    let mut words = line.split_ascii_whitespace();
    let sum: u64 = words.next()?.parse().ok()?;
    let (mut rest, mut found, mut alone) = (sum, 0, true);
    for word in words {
        let (number, part) = word.strip_prefix('N')?.split_once('=')?;
        let part: u64 = part.parse().ok()?;
        rest = rest.checked_sub(part)?;
        if number.parse() == Ok(node) {
            found = part;
        }
        alone = false;
    }
    match rest {
        0 => Some(found),
        sum if alone && *nodes == BTreeSet::from([node]) => Some(sum),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_sum_and_its_parts() {
        let both = BTreeSet::from([0, 12]);
        for (line, parts) in [
            ("12 N0=7 N12=5\n", [Some(7), Some(5)]),
            ("7 N0=7\n", [Some(7), Some(0)]),
            ("0\n", [Some(0), Some(0)]),
            // Not known: no parts, a cut line, something else.
            ("12\n", [None, None]),
            ("12 N0=7 N1", [None, None]),
            ("12 N0=7", [None, None]),
            ("5 N0=7\n", [None, None]),
            ("-1\n", [None, None]),
            ("", [None, None]),
        ] {
            assert_eq!([0, 12].map(|node| of_node(line, node, &both)), parts, "{line:?}");
        }
        // The only node has all.
        assert_eq!(of_node("12\n", 0, &BTreeSet::from([0])), Some(12));
        assert_eq!(of_node("12 N0=7\n", 0, &BTreeSet::from([0])), None);
    }
}
