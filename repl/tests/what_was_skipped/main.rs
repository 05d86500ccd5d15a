//! Counts what the test programs before it skipped. It is the last of its package, as its name is the last.

mod counted;

use std::collections::BTreeMap;
use std::fs;

fn main() {
    let skipped = fs::read_to_string(counted::path()).unwrap_or_default();
    let mut reasons = BTreeMap::<&str, usize>::new();
    for reason in skipped.lines() {
        *reasons.entry(reason).or_default() += 1;
    }
    println!("\nskipped in all: {}", skipped.lines().count());
    for (reason, count) in reasons {
        println!("{count:>5}  {reason}");
    }
}
