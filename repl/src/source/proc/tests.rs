//! Over files that are made up.

use std::cell::Cell;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::engine::Engine;
use query::availability::unavailable;
use query::bind::bind;
use query::catalog;
use query::output::Output;
use query::syntax::parse_text;
use query::value::{Type, Unit};

/// A made-up `/proc` and `/sys`; gone with it.
struct Root(PathBuf);

impl Root {
    /// With these lines of `/proc/slabinfo`: name, active and all objects, size, objects and pages of a slab, slabs.
    fn new(lines: &[(&str, [u64; 6])]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("slabql-proc-{}-{number}", std::process::id()));
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::create_dir_all(root.join("sys/kernel/slab")).unwrap();
        let mut text = "slabinfo - version: 2.1\n# name <active_objs>\n".to_owned();
        for (name, [active, objects, size, per_slab, pages, slabs]) in lines {
            text.push_str(&format!(
                "{name:17} {active:6} {objects:6} {size:6} {per_slab:4} {pages:4} \
                 : tunables    0    0    0 : slabdata {slabs:6} {slabs:6}      0\n"
            ));
        }
        fs::write(root.join("proc/slabinfo"), text).unwrap();
        Self(root)
    }

    fn folder(&self, name: &str, files: &[(&str, &str)]) {
        let folder = self.0.join("sys/kernel/slab").join(name);
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            fs::write(folder.join(file), text).unwrap();
        }
    }

    fn link(&self, name: &str, folder: &str) {
        symlink(folder, self.0.join("sys/kernel/slab").join(name)).unwrap();
    }

    fn try_ask(&self, text: &str) -> Result<Output, Failure> {
        let source = Proc::open_in(&self.0).unwrap();
        Engine::new(Box::new(source)).ask(text)
    }

    fn ask(&self, text: &str) -> Output {
        self.try_ask(text).unwrap()
    }

    /// The rows of an answer, as a text each.
    fn rows(&self, text: &str) -> Vec<String> {
        let row = |row: &Vec<Value>| row.iter().map(shown).collect::<Vec<_>>().join(" ");
        self.ask(text).rows.iter().map(row).collect()
    }

    /// Why a column of `caches` is NULL.
    fn why(&self, column: &str) -> Option<String> {
        let table = catalog::TABLES[0];
        let source = Proc::open_in(&self.0).unwrap();
        unavailable(table, table.column(column).unwrap(), &source)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        Value::List(list) => {
            let names = list.iter().map(|text| String::from_utf8_lossy(text));
            format!("[{}]", names.collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn figures_of_a_line_are_those_of_slabinfo() {
    let root = Root::new(&[("dentry", [150, 210, 192, 42, 2, 5]), ("empty", [0, 0, 64, 64, 1, 0])]);
    let text = "select name, objects, active_slabinfo, size, objects_per_slab, pages_per_slab, page_order, slabs, \
                slab_size / page_size(), memory / page_size(), tail";
    let tail = 2 * sys::page_size() - 42 * 192;
    let rest = sys::page_size() - 64 * 64;
    assert_eq!(
        root.rows(text),
        [
            format!("dentry 210 150 192 42 2 1 5 2 10 {tail}"),
            format!("empty 0 0 64 64 1 0 0 1 0 {rest}")
        ]
    );
    // What nothing tells is not taken as 0.
    let text = "select active, cached, free_partial, used, waste, idle, utilization, efficiency, mergeable, complete";
    assert_eq!(root.rows(text), ["- - - - - - - - - -"; 2]);
    assert_eq!(root.rows("select name where active = 0 or not active = 0"), [""; 0]);
    let output = root.ask("select active");
    assert!(
        output.warnings[0].contains("`active_slabinfo` is its figure"),
        "{:?}",
        output.warnings
    );
    // Conditions, order and groups are those of any source.
    assert_eq!(
        root.rows("select sum(objects), count(*), max(size) where size > 64"),
        ["210 1 192"]
    );
    assert_eq!(root.rows("select name order by size limit 1"), ["empty"]);
}

#[test]
fn figures_of_a_folder_are_those_of_its_files() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1]), ("pid", [1, 2, 128, 32, 1, 1])]);
    let files = [
        ("aliases", "2\n"),
        ("object_size", "110\n"),
        ("align", "8\n"),
        ("partial", "7 N0=3 N1=4\n"),
        ("min_partial", "5\n"),
        ("cpu_partial", "30\n"),
        ("sheaf_capacity", "0\n"),
        ("remote_node_defrag_ratio", "100\n"),
        ("usersize", "0\n"),
        ("reclaim_account", "1\n"),
        ("destroy_by_rcu", "0\n"),
        ("red_zone", "0\n"),
        ("poison", "0\n"),
        ("store_user", "0\n"),
        ("trace", "0\n"),
        ("sanity_checks", "1\n"),
        ("ctor", "init_once+0x0/0x20 [ext4]\n"),
    ];
    root.folder(":A-0000128", &files);
    for name in ["pid", "cred", "zombie"] {
        root.link(name, ":A-0000128");
    }
    root.link("gone", ":0000008");
    let none: Vec<_> = files.iter().map(|(file, _)| (*file, "")).collect();
    root.folder("dentry", &none);
    let text = "select name, aliases, alias_count, sysfs_id, object_size, padding, align, partial, min_partial, \
                cpu_partial, sheaf_capacity, remote_defrag, usersize, unreclaimable, rcu, debugged, ctor \
                order by name desc";
    assert_eq!(
        root.rows(text),
        [
            "pid [cred,zombie] 2 :A-0000128 110 18 8 7 5 30 0 100 0 false false true init_once",
            "dentry [] - dentry - - - - - - - - - - - - -",
        ]
    );
    assert_eq!(root.rows("select name where 'cred' in aliases"), ["pid"]);
    assert_eq!(root.rows("select name where alias_of('cred')"), ["pid"]);
}

#[test]
fn figures_of_nodes_are_the_parts_of_a_line() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1]), ("twin", [1, 2, 64, 64, 1, 1])]);
    root.folder(
        "dentry",
        &[
            ("slabs", "3 N0=1 N2=2\n"),
            ("total_objects", "63 N0=21 N2=42\n"),
            ("partial", "1 N2=1\n"),
        ],
    );
    let text = "select name, node, slabs, objects, partial from nodes";
    let why = |root: &Root| match root.try_ask(text) {
        Ok(_) => panic!("the nodes are not known"),
        Err(failure) => failure.text(),
    };
    // Not mounted: nothing says which nodes there are.
    assert!(why(&root).contains("/sys/devices/system/node/has_memory: No such file"));
    // Without NUMA.
    let devices = root.0.join("sys/devices/system");
    fs::create_dir_all(&devices).unwrap();
    assert_eq!(root.rows("select node, name from nodes"), ["0 dentry", "0 twin"]);
    fs::create_dir_all(devices.join("node")).unwrap();
    fs::write(devices.join("node/has_memory"), "0,2-3\n").unwrap();
    let rows = ["dentry 0 1 21 0", "dentry 2 2 42 1", "dentry 3 0 0 0"];
    let twin = ["twin 0 - - -", "twin 2 - - -", "twin 3 - - -"];
    assert_eq!(root.rows(text), [rows, twin].concat());
    let notes = root.ask(text).warnings;
    assert!(
        notes[0].contains("no certain directory in ") && notes[0].contains(": 1; "),
        "{notes:?}"
    );
    assert_eq!(root.rows("select sum(slabs), sum(objects) from nodes"), ["3 63"]);
    // What files do not tell of a node.
    let text =
        "select addr, free_partial, barn_full, barn_empty, cached_barns, complete from nodes";
    assert_eq!(root.rows(text), ["- - - - - -"; 6]);
    fs::write(devices.join("node/has_memory"), "x\n").unwrap();
    assert!(why(&root).contains("has_memory: it is not a list of numbers"));
}

#[test]
fn a_folder_that_may_be_anothers_tells_nothing() {
    let root = Root::new(&[
        ("twin", [1, 2, 64, 64, 1, 1]),
        ("twin", [3, 4, 64, 64, 1, 1]),
        ("resized", [1, 2, 96, 42, 1, 1]),
        ("stolen", [1, 2, 32, 128, 1, 1]),
        ("thief", [1, 2, 32, 128, 1, 1]),
        ("without", [1, 2, 8, 512, 1, 1]),
        ("sure", [1, 2, 16, 256, 1, 1]),
    ]);
    for folder in ["twin", ":0000128", ":0000032", ":a-0000016"] {
        root.folder(folder, &[("object_size", "1\n")]);
    }
    for (name, folder) in [
        ("resized", ":0000128"),
        ("stolen", ":0000032"),
        ("thief", ":0000032"),
        ("sure", ":a-0000016"),
    ] {
        root.link(name, folder);
    }
    let text = "select name where object_size = 1";
    assert_eq!(root.rows(text), ["sure"]);
    let notes = root.ask(text).warnings;
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("caches with no certain") && note.contains(": 6; ")),
        "{notes:?}"
    );
    // Who asks for nothing in there is told nothing of it.
    assert_eq!(root.ask("select name, size").warnings, [""; 0]);
}

#[test]
fn files_that_are_not_there_are_reasons() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1])]);
    fs::remove_dir(root.0.join("sys/kernel/slab")).unwrap();
    for column in ["partial", "aliases", "ctor", "padding", "fragmentation"] {
        let reason = root.why(column).unwrap();
        assert!(
            reason.ends_with("/sys/kernel/slab: No such file or directory"),
            "{column}: {reason}"
        );
    }
    assert_eq!(root.why("size"), None);
    assert_eq!(root.rows("select name, size, partial, aliases"), ["dentry 192 - -"]);

    root.folder("dentry", &[("cpu_partial", "0\n"), ("partial", "1\n")]);
    let reason = root.why("sheaf_capacity").unwrap();
    assert!(reason.ends_with("/*/sheaf_capacity, as sheaves were added in 6.18"), "{reason}");
    // 0 is what a kernel prints that has no such limit.
    let reason = root.why("cpu_partial").unwrap();
    assert!(
        reason.contains("/*/cpu_partial is 0 everywhere, as CPU partial lists were removed"),
        "{reason}"
    );
    root.folder("other", &[("cpu_partial", "30\n")]);
    assert_eq!(root.why("cpu_partial"), None);
    assert_eq!(root.rows("select cpu_partial"), ["0"]);

    fs::remove_file(root.0.join("proc/slabinfo")).unwrap();
    let Err(Failure::Environment(reason)) = Proc::open_in(&root.0) else { panic!("it is gone") };
    assert!(reason.help.is_some_and(|help| help.contains("CONFIG_SLUB_DEBUG")));
}

#[test]
fn malformed_lines_and_other_versions_are_errors() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1])]);
    let path = root.0.join("proc/slabinfo");
    let good = fs::read_to_string(&path).unwrap();
    for (text, told) in [
        (good.clone() + "inode 1 2\n", ": line 4 is malformed: `inode 1 2`"),
        (
            good.replace("2.1", "2.2"),
            ": `slabinfo - version: 2.2` where `slabinfo - version: 2.1` is expected",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let source = Proc::open_in(&root.0).unwrap();
        let mut engine = Engine::new(Box::new(source));
        let Err(Failure::Environment(reason)) = engine.ask("select name") else { panic!("{told}") };
        assert!(reason.message.ends_with(told), "{}", reason.message);
    }
}

#[test]
fn only_what_is_asked_for_is_read() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1])]);
    // A folder in the place of a file cannot be read.
    root.folder("dentry", &[("align", "8\n")]);
    root.folder("dentry/partial", &[]);
    assert_eq!(root.rows("select name, align"), ["dentry 8"]);
    assert_eq!(root.ask("select name, align").warnings, [""; 0]);
    assert!(root.why("partial").is_some_and(|reason| reason.contains("/*/partial: ")));
}

#[test]
fn flags_that_are_not_known_are_null() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1])]);
    let text = "select flags has POISON, allocflags has COMP, kmalloc_type, size_class, accounted";
    assert_eq!(root.rows(text), ["- - - - -"]);
    let source = Proc::open_in(&root.0).unwrap();
    let mut engine = Engine::new(Box::new(source));
    for table in ["cpus", "slabs", "flags"] {
        let Err(failure) = engine.ask(&format!("select all from {table}")) else {
            panic!("{table}")
        };
        assert!(failure.text().contains(&format!("the source `proc` has no table `{table}`")));
    }
}

/// The files, with every derived column left to its definition; and whether a stored one that was asked for is missing.
struct Derives(Proc, Cell<bool>);

impl Capabilities for Derives {
    fn missing(&self, table: &Table, column: &Column) -> Option<String> {
        if matches!(column.source, Of::Derived(_)) {
            return None;
        }
        self.0.missing(table, column).inspect(|_| self.1.set(true))
    }
    fn source(&self) -> &'static str {
        Capabilities::source(&self.0)
    }
    fn page_size(&self) -> u64 {
        self.0.page_size()
    }
    fn slab_flags(&self) -> &[(String, u32)] {
        self.0.slab_flags()
    }
    fn gfp_flags(&self) -> &[(String, u32)] {
        self.0.gfp_flags()
    }
}

#[test]
fn a_derived_column_is_null_only_where_an_input_is_missing() {
    let root = Root::new(&[("dentry", [1, 2, 192, 21, 1, 1])]);
    let derives = Derives(Proc::open_in(&root.0).unwrap(), Cell::default());
    for table in ["caches", "nodes"].map(|name| catalog::table(name).unwrap()) {
        for column in table.columns.iter().filter(|column| matches!(column.source, Of::Derived(_)))
        {
            let Place::Nowhere(reason) = columns::of(table.rows, column) else { continue };
            let text = format!("select {} from {}", column.name, table.name);
            let statements = parse_text(&text).unwrap();
            derives.1.set(false);
            bind(statements[0].0.query().unwrap(), &derives).unwrap();
            assert!(derives.1.get(), "{} is listed as missing: {reason}", column.name);
        }
    }
}

#[test]
fn a_derived_column_that_is_not_listed_is_derived() {
    let column = |source| Column {
        name: "made_up",
        ty: Type::UInt,
        bits: 64,
        unit: Unit::Bytes,
        source,
        absent: "",
        words: &[],
        doc: "Made up.",
        hidden: false,
    };
    let of = |source| columns::of(Rows::Caches, &column(source));
    assert!(matches!(of(Of::Derived("slabs * size")), Place::Definition));
    assert!(matches!(of(Of::Member("made_up")), Place::Nowhere(_)));
}
