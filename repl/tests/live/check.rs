//! The slabs of a kernel that is well have no fault, and the reports over all slabs answer.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::common;
use crate::common::ask;
use crate::common::child::slabql;
use ebpf_templates::template::vmemmap::SLABS;
use rustix::process::{Signal, getpid, kill_process};
use slabql::kernel::signals::{self, Interrupts};
use slabql::report::error::Failure;
use slabql::source::bitmaps::Walk;

#[test]
fn nothing_is_wrong_with_a_sound_kernel() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    for (arguments, of) in
        [(&["check"][..], " caches checked"), (&["check", "task_struct"], " of 1 cache checked")]
    {
        let ran = slabql(arguments);
        let (out, said) =
            (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {said}\n{out}");
        assert!(said.contains(of) && said.contains("nothing is wrong"), "{said}");
        assert_eq!(out.lines().count(), 1, "{out}");
    }
    let ran = slabql(&["check", "no-such-cache"]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no cache `no-such-cache`"), "{said}");
}

#[test]
fn reports_over_all_slabs_answer() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    for name in ["pinned", "fullness", "slab-use", "hugepages", "corrupt"] {
        let ran = slabql(&["--format", "csv", "report", name]);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{name}: {said}");
        // A kernel that is well may have no corrupt slab, and one that has just booted no pinned one.
        let rows = String::from_utf8_lossy(&ran.stdout).lines().count();
        assert!(rows > 1 || ["corrupt", "pinned"].contains(&name), "{name}: {rows}");
    }
}

/// An interrupt ends a walk behind the run that it comes in, which takes a millisecond or two.
#[test]
fn an_interrupt_ends_a_walk_within_a_run() {
    let Some(_turn) = common::live() else { return };
    let Some(session) = ask::by_pages() else { return };
    let mut walk = Walk::open(session.source().kernel().unwrap(), None).unwrap();
    let count = |walk: &mut Walk<'_>, interrupt: bool| {
        let mut slabs = 0;
        let ended = walk.run(&mut |_, _| {
            if interrupt && slabs == 0 {
                kill_process(getpid(), Signal::INT).unwrap();
                // Another thread may be the one that takes it.
                common::wait("the signal", Duration::from_secs(30), || {
                    signals::happened().then_some(())
                });
            }
            slabs += 1;
            Ok(ControlFlow::Continue(()))
        });
        (slabs, ended)
    };
    let (all, ended) = count(&mut walk, false);
    assert!(ended.is_ok());
    let noted = Interrupts::note().unwrap();
    let (some, ended) = count(&mut walk, true);
    signals::forget();
    drop(noted);
    assert!(matches!(ended, Err(Failure::Interrupted)));
    assert!(some <= SLABS && some < all, "{some} of {all}");
    // And the next one is as the first.
    assert!(count(&mut walk, false).1.is_ok());
}

/// Who asks for all slabs again and again is told the price, and does not pay more than a part of a CPU.
#[test]
fn a_watch_over_all_slabs_says_its_price() {
    let Some(_turn) = common::live() else { return };
    if ask::by_pages().is_none() {
        return;
    }
    let all = "select state, count(*) from slabs group by 1";
    let ran = slabql(&["--watch", "1ms", "--count", "1", all]);
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("note: a tick takes ") && said.contains(" instead of 1ms"), "{said}");
    let ran = slabql(&["--watch", "1ms", "--count", "1", "select count(*)"]);
    assert!(!String::from_utf8_lossy(&ran.stderr).contains("a tick takes"));
}

/// Objects that are counted come to what rows of objects come to.
#[test]
fn counts_are_those_of_the_rows() {
    let Some(_turn) = common::live() else { return };
    let Some(mut session) = ask::by_pages() else { return };
    let plan = |text: &str| ask::plan(&session, text).unwrap();
    let select = "select state, count(*) as n, sum(size) as bytes, avg(object_size) as mean, max(size) as most";
    let counted = |name| format!("{select} from objects('{name}') group by state order by state");
    // Whoever asks for an index has a row an object.
    let rows = |name| {
        format!(
            "{select}, max(index) as index from objects('{name}') group by state order by state"
        )
    };
    let name = "task_struct";
    assert!(plan(&counted(name)).counted && !plan(&rows(name)).counted);
    assert!(plan(&counted(name)).to_string().contains("objects counted by their bits"));
    assert!(!plan("select group_concat(state) from objects").counted);
    // One of them rests.
    let caches = [name, "kernfs_node_cache", "inode_cache", "shmem_inode_cache", "mnt_cache"];
    let equal = caches.iter().cycle().take(100).any(|name| {
        let [mut counted, rows] =
            [counted(name), rows(name)].map(|text| ask::whole(&mut session, &text));
        for (counted, row) in counted.0.rows.iter_mut().zip(&rows.0.rows) {
            counted.extend(row.last().cloned());
        }
        counted.0.rows == rows.0.rows && counted.len() > 1
    });
    assert!(equal, "never the same");
}
