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
        ("select name where not addr - 64 > 0", "which may overflow 64 bits"),
        ("select addr + 1", "which may overflow 64 bits"),
        (
            "select name where objects * 4294967296 > 0",
            "beyond 32 bits, which may overflow 64 bits",
        ),
        ("", "there is no query"),
    ] {
        let Ran { code, out, err } = export(&[path.to_str().unwrap(), query]);
        assert_eq!((code, &*out), (Some(1), ""), "{query}: {err}");
        assert!(err.contains(words), "{query}: {err}");
    }
    let reserved = ["--set", "possible_nodes=9", "export", path.to_str().unwrap()];
    let query = "select name where size > $possible_nodes";
    let Ran { code, err, .. } =
        command(SLABQL).args(["--btf", TYPES]).args(reserved).arg(query).ran().into();
    assert!(code == Some(1) && err.contains("cannot be a parameter of an export"), "{err}");
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
    assert!(
        out.starts_with("text  iter/kmem_cache") && out.contains("\nc     what prints"),
        "{out}"
    );
    assert_eq!(export(&["x.o"]).code, Some(1));
}

/// The layout says where what lies, and comes and stays with the object.
#[test]
fn rows_have_their_layout_beside_them() {
    let folder = Folder::new();
    let path = folder.path("x.o");
    let path = path.to_str().unwrap();
    let query = "select name, addr, size + 1 as more where size > $min and objects > 5 order by size limit 3";
    let Ran { code, out, err } = command(SLABQL)
        .args([
            "--btf", TYPES, "--set", "min=7", "--set", "other=1", "export", "--as", "rows", path,
            query,
        ])
        .ran()
        .into();
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    assert_eq!(folder.names(), ["x.json", "x.o"]);
    assert!(fitted(&fs::read(path).unwrap(), &fs::read(TYPES).unwrap()).unwrap().len() > 50);
    let layout = fs::read_to_string(folder.path("x.json")).unwrap();
    let layout: serde_json::Value = serde_json::from_str(&layout).unwrap();
    for (at, value) in [
        ("/query", serde_json::json!(query)),
        ("/parameters", serde_json::json!({ "min": "7" })),
        ("/variables", serde_json::json!(["min"])),
        ("/columns/1", serde_json::json!({ "name": "addr", "type": "uint", "unit": "hex" })),
        ("/conditions", serde_json::json!(["size > $min", "objects > 5"])),
        ("/row/bytes", serde_json::json!(24)),
        (
            "/row/values/1",
            serde_json::json!({ "name": "addr", "type": "uint", "at": 8, "bytes": 8 }),
        ),
        ("/row/values/2/at", serde_json::json!(16)),
    ] {
        assert_eq!(layout.pointer(at), Some(&value), "{at}: {layout:#}");
    }
    for (file, query, words) in [
        ("-", "select name", "has its layout beside it"),
        ("x.json", "select name", "has its layout beside it"),
        (path, "select active", "is found by walking lists"),
        (path, "select name where active > 5", "is found by walking lists"),
        (path, "select s->oo.x", "is no column of caches"),
        (path, "select count(*)", "groups cannot be exported"),
        (path, "select size, max(objects) group by size", "groups cannot be exported"),
        (path, "select name where allocflags has DMA", "GFP"),
        (path, "select name from slabs", "`slabs` cannot be exported"),
    ] {
        let Ran { code, out, err } = export(&["--as", "rows", file, query]);
        assert_eq!((code, &*out), (Some(1), ""), "{query}: {err}");
        assert!(err.contains(words), "{query}: {err}");
    }
    // Neither is there without the other.
    fs::remove_file(folder.path("x.json")).unwrap();
    fs::remove_file(path).unwrap();
    fs::create_dir(folder.path("x.json")).unwrap();
    let Ran { code, err, .. } = export(&["--as", "rows", path, "select name"]);
    assert_eq!((code, folder.names()), (Some(2), vec!["x.json".to_owned()]), "{err}");
}

/// `repl/tests/peers/c` has clang build what is written, and compares its rows.
#[test]
fn a_query_is_written_as_c() {
    let folder = Folder::new();
    let path = folder.path("x.C");
    let query = "select name, size, size / (size - 104) as x, name = '*/' as odd\n\
        where size > $size and objects > $int and not flags has ACCOUNT -- /* \u{1b}";
    let Ran { code, out, err } = command(SLABQL)
        .args(["--btf", TYPES, "--set", "size=7", "--set", "int=100", "export"])
        .args([path.to_str().unwrap(), query])
        .ran()
        .into();
    assert_eq!((code, &*out), (Some(0), ""), "{err}");
    let source = fs::read_to_string(&path).unwrap();
    assert!(err.contains(&format!("x.C: {} lines of C\n", source.lines().count())), "{err}");
    // The end of a comment in a text is none.
    let comments = source.replace("\"*/\"", "");
    assert_eq!(comments.matches("/*").count(), comments.matches("*/").count(), "{source}");
    for part in [
        "/*\n * select name, size, size / (size - 104) as x, name = '* /' as odd\n * where size > $size",
        // Neither the column nor a word of C is hidden by a parameter.
        "\nconst volatile u64 size_ = 7;\nconst volatile u64 int_ = 100;\n",
        "\tunsigned int flags;\n\tconst char *name;\n",
        "\tlong counter;\n\t} total_objects;\n",
        "\n\t\tput(\"name,size,x,odd\\n\");\n",
        "\t\tobjects += read(&node->total_objects.counter);\n",
        "\tif (!(size > size_))\n\t\treturn 0;\n",
        "\tif (!((flags & flag(ACCOUNT)) != flag(ACCOUNT)))\n\t\treturn 0;\n",
        "\tif (!(objects > (s64)int_))\n\t\treturn 0;\n\n\tprint(\"%s\", s->name);\n\tprint(\",%llu\", size);\n",
        "\tif (null1)\n\t\tput(\",\");\n\telse\n\t\tprint(\",%lld\", (s64)number1);\n",
        "\tif (!no_text && (begins(text, \"*/\", 3)))\n\t\tput(\",true\\n\");\n",
        "\telse\n\t\tput(\",\\n\");\n\treturn 0;\n}\n",
    ] {
        assert!(source.contains(part), "{part}\n{source}");
    }
    // The form is the ending's, unless it is said.
    let streamed = export(&["--as", "c", "-", "select name"]);
    assert!(
        streamed.out.ends_with("\tprint(\"%s\\n\", s->name);\n\treturn 0;\n}\n"),
        "{}",
        streamed.out
    );
    let Ran { code, err, .. } = export(&["--as", "pascal", "-", "select name"]);
    assert!(code == Some(1) && err.contains("[possible values: text, rows, c]"), "{err}");
    let Ran { code, .. } = export(&["--as", "c", "--pin", "x", "select name"]);
    assert_eq!(code, Some(1));
}
