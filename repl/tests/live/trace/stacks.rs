//! The stacks of a trace: whole, as deep as is wanted, and drawn as a flame graph.

use std::fs;
use std::process;

use super::{COUNT, Trace, said, sockets};
use crate::common;
use crate::common::program::{Folder, SLABQL, command};
use crate::common::start::Start;

#[test]
fn stacks_lead_from_the_cgroup_to_the_caller_and_have_all_events() {
    let Some(_turn) = common::live() else { return };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let cgroup = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    for (condition, programs) in [("", 2), ("and state = 'held'", 4)] {
        let query = format!(
            "select cgroup, stack, name, count(*) from allocations \
             where pid = {} and name = 'sock_inode_cache' {condition} group by 1, 2, 3",
            process::id()
        );
        let trace = Trace::start_in("folded", &query, programs);
        let made = sockets();
        let (out, err) = trace.end_as_text();
        drop(made);
        assert!(err.contains("\nnote: stacks cost the kernel "), "{err}");
        let mut sum = 0;
        for line in out.lines() {
            let (stack, weight) = line.rsplit_once(' ').unwrap();
            let frames: Vec<&str> = stack.split(';').collect();
            assert_eq!(frames[0], cgroup, "{line}");
            assert!(frames.contains(&"__x64_sys_socket") || frames.contains(&"__sys_socket"));
            let [.., outer, site, name] = frames[..] else { panic!("{line}") };
            assert_eq!((site, name), ("sock_alloc_inode", "sock_inode_cache"), "{line}");
            assert!(outer.starts_with("alloc_inode"), "{line}");
            sum += weight.parse::<usize>().unwrap();
        }
        assert_eq!(sum, COUNT, "{out}\n{err}");
    }
}

#[test]
fn a_stack_has_no_more_functions_than_are_wanted() {
    let Some(_turn) = common::live() else { return };
    let query = format!(
        "select stack, count(*) from allocations \
         where pid = {} and name = 'sock_inode_cache' group by 1",
        process::id()
    );
    let depths = [4, 12].map(|depth: usize| {
        let trace = Trace::start_words(&[&query, "--depth", &depth.to_string()], 2);
        let made = sockets();
        let (rows, err) = trace.end();
        drop(made);
        let sum: usize = rows.iter().map(|row| row[1].parse::<usize>().unwrap()).sum();
        assert_eq!(sum, COUNT, "{rows:?}{err}");
        // The innermost are the allocator's own, and left out.
        let stack: Vec<&str> = rows[0][0].split(';').collect();
        assert!(stack.len() <= depth + 1 && (depth > 4 || stack[0] == "[cut]"), "{rows:?}");
        assert!(stack.last().unwrap().starts_with("sock_alloc_inode+"), "{rows:?}");
        stack.len()
    });
    assert!(depths[0] < depths[1], "{depths:?}");

    for wrong in ["0", "49", "x"] {
        let ran = command(SLABQL).args(["--depth", wrong, "select name limit 1"]).ran();
        let err = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{wrong}: {err}");
        assert!(err.contains("depth"), "{err}");
    }
}

#[test]
fn the_last_answer_becomes_a_flame_graph() {
    let Some(_turn) = common::live() else { return };
    let folder = Folder::new();
    let [drawn, written] = ["drawn.svg", "written.svg"].map(|name| folder.path(name));
    let text = format!(
        "trace 200ms select comm, stack, count(*) from allocations group by comm, stack;\n\
         .flame {}\n.once {}\n.last svg\n",
        drawn.display(),
        written.display()
    );
    let (_, err) = said(&[], &text);
    let [drawn, written] = [drawn, written].map(|path| fs::read_to_string(path).unwrap());
    // Without a stack an answer would be drawn as lines with bars.
    assert!(drawn.starts_with("<svg ") && !drawn.contains("font-weight=\"bold\""), "{err}{drawn}");
    assert!(drawn == written, "{drawn}\n{written}");
}
