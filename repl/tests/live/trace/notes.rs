//! What is told of a trace beside its rows: what it takes, what it lost, what it could not see, and why it is refused.

use super::{Trace, said};
use crate::common;
use crate::common::program::{SLABQL, command};
use crate::common::start::Start;
use crate::common::zram::{CACHE, zram};

#[test]
fn what_maps_take_is_told_and_bounded() {
    let Some(_turn) = common::live() else { return };
    let query = "select stack, state, count(*) from allocations group by 1, 2";
    let (_, err) = said(&["--memory", "40MiB", "trace", "1ms", query], "");
    let told =
        err.split_once("note: the trace takes ").and_then(|(_, rest)| rest.split_once(" MiB "));
    let told: f64 = told.unwrap().0.parse().unwrap();
    assert!((39.0..=40.0).contains(&told), "{err}");
    let ran = command(SLABQL).args(["--memory", "1MiB", "trace", "10m", query]).ran();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("and may take 1.0 MiB\n  = help: `--memory "), "{err}");
}

#[test]
fn an_answer_that_is_refused_takes_no_trace() {
    let Some(_turn) = common::live() else { return };
    let query = "select name, count(*) from allocations group by name";
    // The test ends long before the trace would.
    let ran = command(SLABQL).args(["--format", "folded", "trace", "10m", query]).ran();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{err}");
    assert!(err.contains("error: the format `folded` needs a stack"), "{err}");
}

#[test]
fn a_cache_that_is_created_meanwhile_is_told() {
    let Some(_turn) = common::live() else { return };
    let Some(device) = zram() else { return };
    let query = format!("select count(*) from allocations where name = '{CACHE}'");
    let trace = Trace::start(&query, 2);
    let (rows, err) = device.with_cache(|| trace.end());
    assert_eq!(rows, [["0"]]);
    let note = "note: created during the trace, so its allocations are not among the rows: ";
    assert!(err.contains(&format!("{note}`{CACHE}`\n")), "{err}");
}

#[test]
fn an_analysis_has_all_figures_of_the_report() {
    let Some(_turn) = common::live() else { return };
    let query = "explain analyze trace 200ms select name, count(*) from allocations group by name";
    let (out, _) = said(&[query], "");
    let (plan, report) = out.split_once("\ntrace_report:\n").expect(&out);
    assert!(
        plan.contains("scan allocations (user space): ") && plan.contains("  trace "),
        "{plan}"
    );
    let figures: Vec<(f64, &str)> = report
        .lines()
        .map(|line| line.trim().split_once("  ").unwrap())
        .map(|(figure, what)| (figure.parse().unwrap(), what))
        .collect();
    assert!(figures[0].0 >= 0.2 && figures[0].1 == "seconds", "{report}");
    assert_eq!(figures[1].1, "events");
    // What is missing is there, whether there is any or not.
    let lost = figures.iter().filter(|(_, what)| what.contains("lost"));
    assert_eq!((figures.len(), lost.count()), (10, 3), "{report}");
}
