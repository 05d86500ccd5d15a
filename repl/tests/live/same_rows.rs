//! Two lines of one name in `/proc/slabinfo`: what a watch tells of them. The file is made up and lies over the kernel's
//! in a namespace of its own.

use crate::common;
use crate::common::lacks;
use crate::common::program::{Folder, Ran, SLABQL};
use crate::common::start::{self, Start};

/// The file, with two caches `mlx5` and one that only its name tells.
const LINES: &str = "slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
mlx5 100 200 64 64 1 : tunables 0 0 0 : slabdata 4 4 0
dentry 7 8 192 21 1 : tunables 0 0 0 : slabdata 1 1 0
mlx5 500 900 64 64 1 : tunables 0 0 0 : slabdata 15 15 0
";

/// Watches a query over the file for two ticks; `change` is done to it once the first one is written.
fn watched(change: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let folder = Folder::new();
    let file = folder.file("slabinfo", LINES);
    let script = format!(
        "set -e; mount --bind {0} /proc/slabinfo; \"$0\" \"$@\" >{0}.out & \
         until [ -s {0}.out ] || ! kill -0 $!; do sleep 0.01; done; \
         sed '{change}' {0} >{0}.new; cat {0}.new >{0}; wait $!; cat {0}.out",
        file.display()
    );
    let ran = start::command("unshare")
        .args(["--mount", "sh", "-c", &script, SLABQL])
        .args(["--format", "csv", "--watch", "1s", "--count", "2"])
        .args(arguments)
        .ran();
    let Ran { out, err, code } = ran.into();
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<(&str, &str)> = out.lines().filter_map(|line| line.split_once(',')).collect();
    let last = rows.last().unwrap().0;
    let rows = rows.iter().filter(|(time, _)| *time == last);
    (rows.map(|(_, row)| (*row).to_owned()).collect(), err)
}

const NOTE: &str = "note: changes are NULL for rows that cannot be identified uniquely";

#[test]
fn what_changed_of_rows_of_one_name_is_not_made_up() {
    if lacks(&["unshare", "sh", "mount", "sed", "sleep", "cat"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let slabinfo = ["select name, active_objs, delta(active_objs) d from slabinfo"];
    let proc = ["--source", "proc", "select name, objects, delta(objects) d"];
    let (rows, err) = watched("", &slabinfo);
    assert_eq!(rows, ["mlx5,100,0", "dentry,7,0", "mlx5,500,0"], "{err}");
    assert!(!err.contains(NOTE) && !err.contains("new") && !err.contains("gone"), "{err}");
    let (rows, err) = watched("", &proc);
    assert_eq!(rows, ["mlx5,200,0", "dentry,8,0", "mlx5,900,0"], "{err}");
    assert!(!err.contains(" new: ") && !err.contains(" gone: "), "{err}");

    let (rows, err) = watched("s/ 200 / 210 /; s/ 8 / 9 /", &proc);
    assert_eq!(rows, ["mlx5,210,", "dentry,9,1", "mlx5,900,"], "{err}");
    assert!(err.contains(NOTE), "{err}");
    // One that goes is not told from the other.
    let (rows, err) = watched("/ 200 /d; s/dentry/inode/", &slabinfo);
    assert_eq!(rows, ["inode,7,", "mlx5,500,"], "{err}");
    assert!(err.contains(NOTE) && err.contains(" new: `inode`"), "{err}");
    assert!(err.contains(" gone: `dentry`") && !err.contains("`mlx5`"), "{err}");
    // What a condition lets pass is neither new nor gone.
    let (rows, err) = watched("s/ 8 / 9 /", &["select name from slabinfo where num_objs != 8"]);
    assert_eq!(rows, ["mlx5", "dentry", "mlx5"], "{err}");
    assert!(!err.contains(" new: ") && !err.contains(" gone: "), "{err}");
}

#[test]
fn a_subquery_is_asked_at_every_tick() {
    if lacks(&["unshare", "sh", "mount", "sed", "sleep", "cat"]) {
        return;
    }
    let Some(_turn) = common::live() else { return };
    let query = [
        "select name, active_objs from slabinfo where active_objs > (select avg(active_objs) from slabinfo)",
    ];
    let (rows, err) = watched("", &query);
    assert_eq!(rows, ["mlx5,500"], "{err}");
    // The mean is now above 500.
    let (rows, err) = watched("s/^dentry 7/dentry 9000/", &query);
    assert_eq!(rows, ["dentry,9000"], "{err}");
}
