//! The lock file of the fuzz targets, which are no members of the workspace: cargo takes it only as it is (`--locked`).

use std::collections::BTreeSet;
use std::fs;

use crate::top;

/// The names that `lines` begin with behind the line `heading`, up to one that is empty or another heading.
fn names<'a>(text: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.is_empty() && !line.starts_with([']', '[']));
    let lines = lines.filter(|line| !line.starts_with('#'));
    let name = |line: &'a str| {
        let line = line.trim_start_matches([' ', '"']);
        line.split([' ', '.', '"', '=']).next().unwrap()
    };
    lines.map(name).collect()
}

#[test]
fn fuzz_targets_are_locked_to_what_the_packages_need() {
    let read = |file: &str| fs::read_to_string(top().join(file)).unwrap();
    let lock = read("repl/fuzz/Cargo.lock");
    for (folder, package) in
        [("ebpf-templates", "slabql-ebpf-templates"), ("query", "slabql-query"), ("repl", "slabql")]
    {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let needed = names(&manifest, "[dependencies]").into_iter().map(|name| match name {
            "ebpf-templates" => "slabql-ebpf-templates",
            "query" => "slabql-query",
            name => name,
        });
        let needed: BTreeSet<&str> = needed.collect();
        let start = lock.find(&format!("[[package]]\nname = \"{package}\"\n"));
        let locked = names(&lock[start.unwrap()..], "dependencies = [");
        assert!(!needed.is_empty());
        assert_eq!(needed, locked, "{package}: `cargo metadata` in repl/fuzz renews its lock file");
    }
}
