//! What is exported prints, loaded by other programs, the rows that slabql gives.

use std::io::Read;

use aya::programs::Iter;
use aya::{Btf, EbpfLoader};

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL, command};
use crate::common::start::{self, Start};

/// Figures that no allocation moves, of every kind that is printed.
const STILL: &str = "select name, addr, size, object_size, flags, page_order, size > 1000 as large, accounted, \
    ctor_addr, name = 'dentry' or refcount < 0 as special, -size as less \
    where size >= 64 and not (name like 'bio%') or flags has any (ACCOUNT, RECLAIM_ACCOUNT)";
/// Sums over nodes, of caches whose slabs are not many.
const SUMS: &str = "select name, objects, slabs, partial, memory where size > 3000 and objects > 0";

pub fn slabql(arguments: &[&str]) -> String {
    let Ran { code, out, err } = command(SLABQL).args(arguments).ran().into();
    assert_eq!(code, Some(0), "{arguments:?}: {err}");
    out
}

/// The rows of a query, between two readings of slabql's own that agree.
fn compare(query: &str, printed: impl Fn() -> String) {
    let found = compare_as("csv", query, printed);
    assert!(found.lines().count() > 5, "{found}");
}

/// The same in any format.
pub fn compare_as(format: &str, query: &str, printed: impl Fn() -> String) -> String {
    let own = || slabql(&["--format", format, query]);
    let mut differed = String::new();
    for _ in 0..40 {
        let (before, found) = (own(), printed());
        if before == found {
            return found;
        }
        if before == own() {
            differed = format!("{query}\nslabql:\n{before}\nexported:\n{found}");
        }
    }
    panic!("no two runs agree\n{differed}");
}

#[test]
fn aya_prints_the_rows() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    for query in [STILL, SUMS] {
        let path = folder.path("x.o");
        slabql(&["export", path.to_str().unwrap(), query]);
        let printed = || {
            let mut ebpf = EbpfLoader::new().load_file(&path).unwrap();
            let program: &mut Iter = ebpf.program_mut("slabql").unwrap().try_into().unwrap();
            program.load("kmem_cache", &Btf::from_sys_fs().unwrap()).unwrap();
            let link = program.attach().unwrap();
            let mut text = String::new();
            let mut file = program.take_link(link).unwrap().into_file().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        };
        compare(query, printed);
    }
    // It takes no recording's place.
    let path = folder.path("x.slab");
    let ran: Ran = command(SLABQL).args(["export", path.to_str().unwrap(), STILL]).ran().into();
    assert_eq!((ran.code, path.exists()), (Some(1), false), "{}", ran.err);
}

/// The path of a pinned iterator is in a mount namespace of the test's own.
#[test]
fn a_pinned_object_reads_as_csv() {
    if lacks(&["unshare", "sh", "mount", "bpftool", "cat"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    for query in [STILL, SUMS] {
        let path = folder.path("x.o");
        slabql(&["export", path.to_str().unwrap(), query]);
        let script = "set -e; mount -t bpf bpf /sys/fs/bpf; bpftool iter pin \"$0\" /sys/fs/bpf/x; \
            exec cat /sys/fs/bpf/x";
        let printed = || {
            let mut pinned = start::command("unshare");
            pinned.args(["--mount", "sh", "-c", script]).arg(&path);
            let Ran { code, out, err } = pinned.ran().into();
            assert_eq!(code, Some(0), "{err}");
            out
        };
        compare(query, printed);
    }
}

#[test]
fn a_loaded_object_takes_values() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let path = folder.path("x.o");
    let path = path.to_str().unwrap();
    let query = "select name, size, size < $most as less where size > $min and object_size > $min";
    let parameters = ["--set", "min=100", "--set", "most=5000"];
    slabql(&[&parameters[..], &["export", path, query]].concat());
    let own = |values: [&str; 2]| {
        slabql(&["--format", "csv", "--set", values[0], "--set", values[1], query])
    };
    assert_eq!(slabql(&["load", path]), own(["min=100", "most=5000"]));
    assert_eq!(slabql(&["load", path, "min=4000"]), own(["min=4000", "most=5000"]));
    assert_eq!(slabql(&["load", path, "min=7", "most=0"]), own(["min=7", "most=0"]));
    for (value, words) in [
        ("nim=1", "has no variable `nim`"),
        ("min=-1", "`-1` cannot be the value of `min`"),
        ("min=x", "`x` cannot be the value of `min`"),
        ("min", "does not set a parameter"),
        ("possible_nodes=5", "is not to be set"),
    ] {
        let Ran { code, out, err } = command(SLABQL).args(["load", path, value]).ran().into();
        assert_eq!((code, &*out), (Some(1), ""), "{err}");
        assert!(err.contains(words), "{value}: {err}");
    }
    // What is computed with a parameter is fixed, and so is one that is not only compared with numbers.
    let fixed = ["export", path, "select name where size > $min * 2 or size / $most = 1"];
    let Ran { err, .. } = command(SLABQL).args(parameters).args(fixed).ran().into();
    assert!(err.contains("the value of `$min` is fixed") && err.contains("`$most` is"), "{err}");
    // Of a fraction the comparison is another one.
    let fraction = ["--set", "min=1.5", "export", path, "select name where page_order < $min"];
    let Ran { code, err, .. } = command(SLABQL).args(fraction).ran().into();
    assert!(code == Some(0) && err.contains("the value of `$min` is fixed"), "{err}");
    let low = slabql(&["--format", "csv", "--set", "min=1.5", fraction[4]]);
    assert_eq!(slabql(&["load", path]), low);
    for (file, words) in [("/dev/null", "no object"), ("/nonexistent", "cannot read")] {
        let Ran { code, err, .. } = command(SLABQL).args(["load", file]).ran().into();
        assert!(matches!(code, Some(1 | 2)) && err.contains(words), "{file}: {err}");
    }
}

/// What a file has instead of an object may be anything.
#[test]
fn a_damaged_object_is_refused_or_loaded() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let path = folder.path("x.o");
    let path = path.to_str().unwrap();
    for form in ["text", "rows"] {
        slabql(&["export", "--as", form, path, "select name, size where size > 1000"]);
        let whole = std::fs::read(path).unwrap();
        for bit in (295..whole.len() * 8).step_by(997) {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(path, damaged).unwrap();
            // Where only its name is damaged, it may print rows that are no text.
            let ran = command(SLABQL).args(["load", path]).ran();
            let (code, err) = (ran.status.code(), String::from_utf8_lossy(&ran.stderr));
            assert!(matches!(code, Some(0..=2)) && !err.contains("panicked"), "bit {bit}: {err}");
        }
    }
}

/// Rows that are sent are the answer in every format, with what user space does to them.
#[test]
fn loaded_rows_are_the_answer() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let path = folder.path("x.o");
    let path = path.to_str().unwrap();
    let elsewhere = "select upper(name) as n, size / 3.0 as x, ctor, aliases, allocflags, refcount > 0 as y \
        where name like '%inode%' or size > 4000 order by size desc, n limit 20";
    for (query, format) in [
        (STILL, "json"),
        (SUMS, "csv"),
        (elsewhere, "table"),
        ("select distinct object_size, share(size) where size > 2k order by 1", "vertical"),
        ("select name where size > 64 and size < 64", "json"),
        // What leaves 64 bits is computed by those who read the rows.
        ("select name, addr - 64 as before where addr - 64 > 0 and addr * 2 > 5", "csv"),
        ("select name, memory where memory > 100000 order by name", "csv"),
    ] {
        slabql(&["export", "--as", "rows", path, query]);
        compare_as(format, query, || slabql(&["--format", format, "load", path]));
    }
    let query = "select name, size where size > $min and name like $like order by name";
    let given = ["--set", "min=100", "--set", "like='%k%'"];
    let exporting = [&given[..], &["export", "--as", "rows", path, query]].concat();
    let Ran { code, err, .. } = command(SLABQL).args(exporting).ran().into();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("variables min") && err.contains("value of `$like` is fixed"), "{err}");
    let own = |min: &str| slabql(&["--set", min, "--set", "like='%k%'", query]);
    assert_eq!(slabql(&["load", path]), own("min=100"));
    assert_eq!(slabql(&["load", path, "min=4000"]), own("min=4000"));
    let Ran { code, err, .. } = command(SLABQL).args(["load", path, "like=1"]).ran().into();
    assert!(code == Some(1) && err.contains("has no variable `like`"), "{err}");
    let refused = |change: &dyn Fn(&str) -> String, words: &str| {
        let layout = folder.path("x.json");
        let whole = std::fs::read_to_string(&layout).unwrap();
        std::fs::write(&layout, change(&whole)).unwrap();
        let Ran { code, out, err } = command(SLABQL).args(["load", path]).ran().into();
        assert_eq!((code, &*out), (Some(2), ""), "{words}: {err}");
        assert!(err.contains(words), "{words}: {err}");
        std::fs::write(&layout, whole).unwrap();
    };
    refused(&|text| text.replace("\"at\": 16", "\"at\": 20"), "in another way");
    refused(&|text| text.replace("size > $min\"", "size < $min\""), "in another way");
    refused(&|text| text.replace('{', "["), "is no layout of rows");
    refused(&|_| "{}".to_owned(), "is no layout of rows");
    std::fs::copy(folder.path("x.json"), folder.path("y.json")).unwrap();
    slabql(&["export", "--as", "rows", path, "select name, size, object_size"]);
    std::fs::rename(path, folder.path("y.o")).unwrap();
    let other = folder.path("y.o");
    let Ran { code, err, .. } =
        command(SLABQL).args(["load", other.to_str().unwrap()]).ran().into();
    assert!(code == Some(2) && err.contains("is the layout of another object"), "{err}");
    std::fs::remove_file(folder.path("y.json")).unwrap();
    let Ran { code, err, .. } =
        command(SLABQL).args(["load", other.to_str().unwrap()]).ran().into();
    assert!(code == Some(2) && err.contains("y.json"), "{err}");
}

/// What was asked for stays, for whoever may read it, and nothing else does.
#[test]
fn a_pin_is_read_by_whom_it_lets() {
    if lacks(&["unshare", "sh", "mount", "setpriv", "cat", "ls", "grep"]) {
        return;
    }
    let Some(_turn) = common::iterated() else { return };
    let script = r#"
        mount -t bpf bpf /sys/fs/bpf || exit 9
        nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
        "$0" export --pin sizes --mode 444 "select name, size where size > 3000"
        "$0" export --pin own "select name"
        echo "-- cat"; nobody cat /sys/fs/bpf/slabql/sizes
        echo "-- own"; nobody cat /sys/fs/bpf/slabql/own || echo refused
        echo "-- again"; "$0" export --pin own "select name"; echo $?
        echo "-- name"; "$0" export --pin a/b "select name"; echo $?
        echo "-- pins"; "$0" --format csv pins
        "$0" unpin own; echo "-- left"; ls /sys/fs/bpf/slabql
        "$0" unpin sizes; echo "-- gone"; ls /sys/fs/bpf | grep slabql
        "$0" unpin sizes; echo $?
        mount -t bpf -o mode=0700 bpf /sys/fs/bpf; "$0" export --pin closed --mode 444 "select name"; "$0" unpin closed
        echo "-- failed"; "$0" export --pin x "select active"; ls /sys/fs/bpf | grep slabql; "$0" pins --format csv
    "#;
    let mut pinned = start::command("unshare");
    let Ran { code, out, err } = pinned.args(["--mount", "sh", "-c", script, SLABQL]).ran().into();
    assert_eq!(code, Some(0), "{err}");
    let rows = slabql(&["--format", "csv", "select name, size where size > 3000"]);
    let expected = format!(
        "-- cat\n{rows}-- own\nrefused\n-- again\n1\n-- name\n1\n-- pins\nname,mode,file\n\
         own,0600,/sys/fs/bpf/slabql/own\nsizes,0444,/sys/fs/bpf/slabql/sizes\n\
         -- left\nsizes\n-- gone\n1\n-- failed\nname,mode,file\n"
    );
    assert_eq!(out, expected, "{err}");
    for words in
        ["there is a pin `own` already", "`chmod 711 /sys/fs/bpf` lets them", "no pin `sizes`"]
    {
        assert!(err.contains(words), "{words}: {err}");
    }
}
