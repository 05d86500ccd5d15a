//! Exports, from the types of a kernel in a file: nothing is loaded, and no rights are needed.

use std::fs;

use slabql::kernel::fit::fitted;

use crate::common::program::{Folder, Ran, SLABQL, command, demo};
use crate::common::start::Start;

const TYPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/btf/6.18.btf");
const QUERY: &str = "select name, size, objects where objects > 1000 and flags has ACCOUNT";

fn export(arguments: &[&str]) -> Ran {
    command(SLABQL).args(["--btf", TYPES, "export"]).args(arguments).ran().into()
}

#[test]
fn an_object_is_a_file_or_a_stream() {
    let folder = Folder::new();
    let path = folder.path("x.o");
    let Ran { code, out, err } = export(&[path.to_str().unwrap(), QUERY]);
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    assert!(err.contains("x.o: ") && err.contains(" instructions, "), "{err}");
    let bytes = fs::read(&path).unwrap();
    assert!(fitted(&bytes, &fs::read(TYPES).unwrap()).unwrap().len() > 50);
    assert_eq!(folder.names(), ["x.o"]);

    let streamed = command(SLABQL).args(["--btf", TYPES, "export", "-", QUERY]).ran();
    assert!(streamed.stdout == bytes, "{:?}", String::from_utf8_lossy(&streamed.stderr));
    // A parameter has its value.
    let with = |value: &str| {
        let arguments = ["--set", value, "export", "-", "select name where size > $min"];
        command(SLABQL).args(["--btf", TYPES]).args(arguments).ran().stdout
    };
    assert!(with("min=5") != with("min=6"));
}

#[test]
fn what_cannot_be_exported_is_refused_and_leaves_no_file() {
    let folder = Folder::new();
    let path = folder.path("x.o");
    for (query, words) in [
        ("select active", "`active` cannot be exported"),
        ("select name from nodes", "`nodes` cannot be exported"),
        ("select name from nowhere", "unknown table `nowhere`"),
        (
            "select name where size > (select avg(size) from caches)",
            "subqueries cannot be exported",
        ),
        ("select name where size > $min", "`$min` has no value"),
        ("select name; select size", "an export is made of one query"),
        ("explain select name", "an export is made of one query"),
        ("select delta(size)", "`delta` works only in a watch"),
        ("", "there is no query"),
    ] {
        let Ran { code, out, err } = export(&[path.to_str().unwrap(), query]);
        assert_eq!((code, &*out), (Some(1), ""), "{query}: {err}");
        assert!(err.contains(words), "{query}: {err}");
    }
    assert!(folder.names().is_empty());
    let Ran { code, err, .. } = demo(["export", path.to_str().unwrap(), QUERY]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("leave out `--demo`"), "{err}");
    let Ran { code, err, .. } = export(&["/nonexistent/x.o", QUERY]);
    assert_eq!(code, Some(2), "{err}");
    let Ran { code, err, .. } = export(&["/dev/full", QUERY]);
    assert_eq!(code, Some(2), "{err}");
    let Ran { code, out, err } = export(&["--list"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("text  iter/kmem_cache"), "{out}");
    assert_eq!(export(&["x.o"]).code, Some(1));
}
