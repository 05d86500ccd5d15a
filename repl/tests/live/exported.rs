//! What was exported on the machine that builds the tests gives the rows of this kernel, which is another one.
//!
//! `kernels/run` leaves three objects of each query: one that prints, one that sends rows, and one that clang made of C.

use std::fs;

use crate::common;
use crate::common::program::Ran;
use crate::common::start::{self, Start};
use crate::export::{compare_as, slabql};

#[test]
fn objects_of_another_kernel_give_the_rows_of_this_one() {
    let Some(_turn) = common::iterated() else { return };
    let mut queries = 0;
    for number in 1.. {
        let path = |ending: &str| format!("/exported/{number}.{ending}");
        let Ok(query) = fs::read_to_string(path("sql")) else { break };
        queries += 1;
        for object in ["text.o", "c.o"].map(path) {
            compare_as("csv", &query, || pinned(&object));
            compare_as("csv", &query, || slabql(&["load", &object]));
        }
        let rows = path("rows.o");
        compare_as("json", &query, || slabql(&["--format", "json", "load", &rows]));
    }
    assert!(queries > 10, "{queries}");
}

/// What libbpf makes of an object, as bpftool pins it.
fn pinned(object: &str) -> String {
    const PIN: &str = "/sys/fs/bpf/exported";
    let Ran { code, out, err } =
        start::command("bpftool").args(["iter", "pin", object, PIN]).ran().into();
    assert_eq!(code, Some(0), "{object}: {out}{err}");
    let text = fs::read_to_string(PIN).unwrap();
    fs::remove_file(PIN).unwrap();
    text
}
