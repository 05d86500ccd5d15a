//! `--stamp`: rows say where they come from, in every format.

use slabql::render::FORMATS;

use crate::common::program::{Ran, SLABQL, command, demo};
use crate::common::start::Start;

/// The kernel of the demo.
const RELEASE: &str = "6.18";

#[test]
fn every_format_has_the_columns() {
    for format in FORMATS.iter().filter(|format| !format.stacks_only) {
        let arguments = ["--demo", "--stamp", "--format", format.name];
        let ran = command(SLABQL).args(arguments).arg("select name, size limit 2").ran();
        assert_eq!(ran.status.code(), Some(0), "{}", format.name);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        // A picture has room for numbers and one name.
        if format.name != "svg" {
            assert!(text.contains(RELEASE), "{}: {text}", format.name);
        }
    }
    let Ran { out, .. } =
        demo(["--stamp", "--format", "csv", "select name, size order by size desc limit 1"]);
    let (head, row) = out.split_once('\n').unwrap();
    assert_eq!(head, "host,time,kernel,name,size");
    // The demo is a recording: when it was taken is known, where is not.
    let cells: Vec<&str> = row.split(',').collect();
    assert!(cells[0].is_empty() && cells[1].ends_with('Z'), "{out}");
    assert!(cells[2].starts_with(RELEASE), "{out}");
    // Metrics get their time from whoever reads them.
    let Ran { out, .. } = demo(["--stamp", "--format", "openmetrics", "select name, size limit 1"]);
    assert!(out.contains("kernel=\"6.18") && !out.contains("time="), "{out}");
}

#[test]
fn a_machine_has_its_name() {
    let slabinfo = "select 1";
    let Ran { code, out, err } = command(SLABQL)
        .args(["--stamp", "--format", "csv", "--source", "proc", slabinfo])
        .ran()
        .into();
    // Where /proc/slabinfo cannot be read there is nothing to see.
    if code == Some(2) {
        assert!(!err.is_empty());
        return;
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let row = out.lines().nth(1).unwrap();
    assert!(row.starts_with(&format!("{},20", host.trim())), "{out}");
    assert!(row.contains(&format!("Z,{},1", release.trim())), "{out}");
    let Ran { code, .. } = demo(["--stamp", "--watch", "1s", "select name"]);
    assert_eq!(code, Some(1));
}
