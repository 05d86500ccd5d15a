//! The objects of the running kernel: as many as its counters say, each once, and those that a workload makes are in use
//! while it holds them.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::child::slabql;
use crate::common::settle::{enough, settle};

/// How long freed objects are waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of some caches: objects, and used ones.
const SOME: &str =
    "('kmalloc-4k', 'task_struct', 'mm_struct', 'kmalloc-512', 'kmem_cache', 'kmem_cache_node')";

#[test]
fn objects_are_those_that_the_counters_say() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let some = format!(
        "select name from caches where objects between 1 and 3000 or name in {SOME} limit 12"
    );
    let names = ask::whole(&mut session, &some).texts("name");
    let number =
        |answer: Answer| answer.0.rows.first().map_or("0".to_owned(), |row| ask::text(&row[0]));
    let counts = settle("objects", |round| {
        for name in &names {
            let caches = format!("select sum(objects) from caches where name = '{name}'");
            let objects = format!("select count(*) from objects('{name}')");
            let cell =
                [&caches, &objects, &caches].map(|text| number(ask::whole(&mut session, text)));
            round.cell("objects", name, cell);
        }
    });
    enough(&counts, &["objects"], 6);
}

#[test]
fn what_a_workload_makes_is_used() {
    const COUNT: usize = 700;
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let mut used = || -> BTreeSet<String> {
        let text = "select addr from objects('eventpoll_epi') where state = 'used'";
        ask::whole(&mut session, text).texts("addr").into_iter().collect()
    };
    let make = || {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let file = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let copies: Vec<_> = (0..COUNT).map(|_| file.try_clone().unwrap()).collect();
        for copy in &copies {
            epoll::add(&epoll, copy, epoll::EventData::new_u64(0), epoll::EventFlags::IN).unwrap();
        }
        (epoll, file, copies)
    };
    // Others may make some too.
    let exact = (0..20).any(|_| {
        let before = used();
        let held = make();
        let during = used();
        drop(held);
        let new: BTreeSet<&String> = during.difference(&before).collect();
        // They are freed behind an RCU grace period, and are used until then.
        common::wait("the end of the items", PATIENCE, || {
            let after = used();
            new.iter().all(|it| !after.contains(*it)).then_some(())
        });
        new.len() == COUNT && during.len() == before.len() + COUNT
    });
    assert!(exact, "never just {COUNT} more");
}

#[test]
fn a_cache_is_named_by_any_of_its_names() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    let ran = slabql(&["select count(*) from objects('no-such-cache')"]);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no cache `no-such-cache`") && said.contains("^^^"), "{said}");
    let aliases =
        slabql(&["--format", "csv", "select alias, name from aliases where alias != name limit 1"]);
    let text = String::from_utf8(aliases.stdout).unwrap();
    // A cache of that name may have no objects, but it is found.
    let Some((alias, name)) = text.lines().nth(1).and_then(|line| line.split_once(',')) else {
        return;
    };
    let count = |name: &str| {
        let text = format!("select count(*) from objects('{name}')");
        slabql(&["--format", "csv", &text]).stdout
    };
    assert!((0..20).any(|_| count(alias) == count(name) && !count(name).is_empty()));
}

#[test]
fn a_source_without_memory_refuses() {
    let Some(_turn) = common::files() else { return };
    for source in ["proc", "demo"] {
        let ran = slabql(&["--source", source, "select addr from objects"]);
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(said.contains("no table `objects`"), "{said}");
    }
}
