//! What a call needs of the running kernel: rights to it, its memory, and programs that it takes.

use std::os::unix::process::CommandExt;

use super::QUERY;
use crate::common;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::Start;

#[test]
fn addresses_are_of_the_running_kernel() {
    let ran = demo(["whatis", "ffff888100bea600", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(error(&ran).starts_with("error: a recording does not contain memory\n"));
    let ran = demo(["whatis 0, xyz"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(error(&ran).starts_with("error: `xyz` is not an address\n"));
}

#[test]
fn without_rights_a_pipe_gets_nothing() {
    let folder = Folder::new();
    let program = folder.program();
    let turn = common::live();
    let root = turn.is_some();
    for args in [&[QUERY][..], &["--format", "table", QUERY], &["--record", "/tmp/x.slab"]] {
        let mut command = command(&program);
        if root {
            command.uid(65534).gid(65534);
        }
        let ran: Ran = command.args(args).ran().into();
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(!root || ran.err.contains("CAP_BPF and CAP_PERFMON\n  = help: "), "{}", ran.err);
    }
}

#[test]
fn the_kernel_takes_conditions_that_are_decided() {
    let Some(_turn) = common::live() else { return };
    for (condition, any) in [
        ("false", false),
        ("null", false),
        ("1 > 2 and size > 1", false),
        ("(size > 3 or objects > 5) and false", false),
        ("size in (-1) and objects >= 0", false),
        ("name like '%' and size > 3", true),
        ("(name = 'x' and (false or size > 3)) or true", true),
    ] {
        let query = format!("select name where {condition} limit 1");
        let ran: Ran = command(SLABQL).arg(&query).ran().into();
        assert_eq!(ran.code, Some(0), "{condition}: {}", ran.err);
        assert_eq!(ran.out.lines().count(), 1 + usize::from(any), "{condition}");
    }
}
