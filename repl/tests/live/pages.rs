//! The walk of page descriptors finds just the slabs that the running kernel counts, each once, in short runs, and needs
//! no more rights than any other query.

use std::collections::BTreeSet;

use crate::common;
use crate::common::ask;
use crate::common::child::slabql;
use crate::common::settle::{enough, settle};
use slabql::engine::Engine;

#[test]
fn every_slab_of_every_cache_is_found() {
    const CACHES: &str = "select addr, name, slabs, objects from caches";
    const SLABS: &str = "select cache, name, count(*), sum(objects) from slabs where state != 'kfence' group by cache, name";
    const COLUMNS: [&str; 2] = ["slabs", "objects"];
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let counts = settle(&ask::by(&session, "slabs"), |round| {
        let [before, ours, after] =
            [CACHES, SLABS, CACHES].map(|text| ask::by_cache(&mut session, text));
        for (key, first) in &before {
            let Some(second) = after.get(key) else { continue };
            for (index, column) in COLUMNS.iter().enumerate() {
                let found = ours.get(key).map_or("0", |found| found[index].as_str());
                let cell = [first[index].clone(), found.to_owned(), second[index].clone()];
                round.cell(column, key, cell);
            }
        }
    });
    enough(&counts, &COLUMNS, 100);
}

#[test]
fn a_slab_is_shown_once_in_its_place() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let caches: BTreeSet<String> =
        ask::whole(&mut session, "select addr from caches").texts("addr").into_iter().collect();
    let slabs = ask::whole(&mut session, "select addr, pfn, cache, objects, active from slabs");
    let pages = slabs.numbers("pfn");
    assert!(pages.is_sorted_by(|one, next| one < next), "a page comes twice");
    assert!(
        slabs
            .numbers("objects")
            .iter()
            .zip(slabs.numbers("active"))
            .all(|(all, used)| *all >= used)
    );
    let known = slabs.texts("cache").iter().filter(|cache| caches.contains(*cache)).count();
    // A cache may have been made meanwhile.
    assert!(known + 10 > slabs.len(), "{known} of {}", slabs.len());
}

/// Whichever way slabs are found, those on lists are the same.
#[test]
fn lists_hold_what_the_descriptors_say() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    for (columns, condition) in [
        ("addr, state, free, pages, pfn", "state = 'partial'"),
        ("addr, cpu, list", "list is not null and name like 'kmalloc%'"),
    ] {
        let by_lists = format!("select {columns} from slabs where {condition}");
        // What no list tells.
        let by_pages =
            format!("select {columns} from slabs where ({condition}) and free >= 0 or pfn = 0");
        let rows = |session: &mut Engine, text: &str| -> BTreeSet<Vec<String>> {
            let answer = ask::whole(session, text);
            answer.0.rows.iter().map(|row| row.iter().map(ask::text).collect()).collect()
        };
        let template = |session: &Engine, text: &str| ask::plan(session, text).unwrap().target;
        assert_ne!(template(&session, &by_lists), template(&session, &by_pages));
        // Slabs move between two looks.
        let near = (0..20).any(|_| {
            let (lists, pages) = (rows(&mut session, &by_lists), rows(&mut session, &by_pages));
            lists.symmetric_difference(&pages).count() * 20 <= lists.len()
        });
        assert!(near, "{condition}");
    }
}

#[test]
fn explain_says_which_walk_and_why() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    for (text, line) in [
        ("select addr from slabs", "template vmemmap: the descriptors of all pages"),
        (
            "select addr from slabs where state = 'partial'",
            ": the lists, which hold all that is asked for",
        ),
    ] {
        let output = slabql(&[&format!("explain {text}")]);
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
fn a_source_without_descriptors_refuses() {
    let Some(_turn) = common::files() else { return };
    let output = slabql(&["--source", "proc", "select addr from slabs"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no table `slabs`"), "{said}");
}
