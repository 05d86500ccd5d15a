//! `explain analyze`: what it shows of a recording, and that what it counts in the kernel is what there is.

use crate::common;
use crate::common::child::{answer, slabql};

/// The text that `explain analyze` answers with.
fn analyzed(arguments: &[&str], query: &str) -> String {
    let mut arguments = arguments.to_vec();
    let query = format!("explain analyze {query}");
    arguments.push(&query);
    answer(&arguments)
}

/// The numbers before ` in` and ` out` in the line of an operator.
fn rows(text: &str, operator: &str) -> (Option<u64>, u64) {
    let line = text.lines().find(|line| line.contains(operator));
    let line = line.unwrap_or_else(|| panic!("no `{operator}` in {text}"));
    let before = |word: &str| {
        let (before, _) = line.rsplit_once(word)?;
        before.rsplit([' ', ':', ',']).next()?.parse().ok()
    };
    (before(" in,"), before(" out").unwrap())
}

/// The number of a line of the program's figures.
fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no `{name}` in {text}"));
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

#[test]
fn a_recording_has_a_plan_with_rows_and_stages() {
    let query = "select distinct page_order where objects > 1000 and name like '%a%' \
                 order by page_order limit 2 offset 1";
    let text = analyzed(&["--demo"], query);
    let (plan, stages) = text.split_once("\nstages:\n").unwrap();
    let count = |condition: &str| {
        let rows = answer(&["--demo", &format!("select addr {condition}")]);
        rows.lines().count() - 1
    };
    let (all, large) = (count(""), count("where objects > 1000"));
    let named = count("where objects > 1000 and name like '%a%'");
    let distinct = "select distinct page_order where objects > 1000 and name like '%a%'";
    let orders = answer(&["--demo", distinct]).lines().count() - 1;
    assert!(orders > 2 && named > orders && large > named && all > large, "{text}");
    let expected = format!(
        "limit 2, offset 1: 3 in, 2 out\n\
         -> sort by 1 key (user space): {orders} in, 3 out\n   \
            -> distinct (user space): {named} in, {orders} out\n      \
               -> project page_order (user space): {named} in, {named} out\n         \
                  -> filter name like '%a%' (user space: the rows are in user space already): {large} in, {named} out\n            \
                     -> filter objects > 1000 (user space: the rows are in user space already): {all} in, {large} out\n               \
                        -> scan caches (rows of a recording): {all} out\n"
    );
    assert_eq!(plan, expected);
    let found: Vec<&str> = stages.lines().map(|line| line[..16].trim()).collect();
    assert_eq!(found, ["parse", "bind", "plan", "execute", "in all"]);
}

#[test]
fn the_kernels_program_counts_what_its_conditions_let_pass() {
    let Some(_turn) = common::iterated() else { return };
    // What is asked for does not change while the kernel runs: the size of an object.
    let query = "select name where size > 100 and object_size < 1k and length(name) > 4";
    for template in ["open-coded", "iter"] {
        let text = analyzed(&["--template", template], query);
        let (_, all) = rows(&text, "scan caches");
        let large = rows(&text, "filter size > 100 (kernel)");
        let small = rows(&text, "filter object_size < 1k (kernel)");
        let long = rows(&text, "filter length(name) > 4 (user space");
        assert!((large.0, small.0, long.0) == (Some(all), Some(large.1), Some(small.1)), "{text}");
        assert!(all > large.1 && large.1 > small.1 && small.1 > long.1, "{text}");
        let shown = answer(&["--template", template, query]).lines().count() as u64 - 1;
        assert_eq!(long.1, shown, "{text}");
        assert!(figure(&text, "verified") > figure(&text, "generated") / 2, "{text}");
        assert!(figure(&text, "translated") > 0 && figure(&text, "map") > 0, "{text}");
        for stage in ["parse", "bind", "plan", "generate", "load", "run", "decode"] {
            let found = text.lines().any(|line| line.trim_start().starts_with(stage));
            assert!(found, "no {stage} in {text}");
        }
    }
}

#[test]
fn what_goes_into_groups_of_the_kernel_is_counted() {
    let Some(_turn) = common::iterated() else { return };
    let count = |condition: &str| answer(&[&format!("select addr {condition}")]).lines().count();
    let (all, large) = (count("") as u64 - 1, count("where size > 100") as u64 - 1);
    for template in ["open-coded", "iter"] {
        let arguments = ["--template", template];
        let text = analyzed(&arguments, "select page_order, count(*) group by 1");
        let (scanned, group) = (rows(&text, "scan caches").1, rows(&text, "group by page_order"));
        assert_eq!((scanned, group.0), (all, Some(all)), "{text}");
        assert!(group.1 > 1 && group.1 < 20, "{text}");
        let text = analyzed(&arguments, "select page_order, count(*) where size > 100 group by 1");
        let (scanned, group) = (rows(&text, "scan caches").1, rows(&text, "group by page_order"));
        assert_eq!((scanned, group.0), (all, Some(large)), "{text}");
    }
}

#[test]
fn rows_of_several_reads_are_not_counted() {
    let Some(_turn) = common::iterated() else { return };
    // Each of 200 and more rows takes about 150 bytes, and one read gives 32 KiB at most.
    let query = "select name, addr, objects, slabs, partial, flags, ctor, sysfs_id, align, usersize, useroffset, \
                 min_partial, size, object_size, refcount, cpu_partial, cpu_partial_slabs, sheaf_capacity, \
                 remote_defrag, allocflags, free_offset, metadata_offset, red_left_pad where size > 0";
    let text = analyzed(&["--template", "iter"], query);
    assert!(
        text.contains("filter size > 0 (kernel): not counted, because the rows took"),
        "{text}"
    );
    let text = analyzed(&["--template", "open-coded"], query);
    assert_eq!(rows(&text, "filter size > 0").0, Some(rows(&text, "scan caches").1), "{text}");
}

#[test]
fn parts_are_counted_too() {
    let Some(_turn) = common::live() else { return };
    let text = analyzed(&[], "select cpu from cpus where name = 'dentry' and cpu < 1");
    let (caches, named) = (rows(&text, "scan cpus").1, rows(&text, "filter name = 'dentry'"));
    let first = rows(&text, "filter cpu < 1");
    // Each CPU of the one cache is asked.
    assert_eq!((named, first.1), ((Some(caches), 1), 1), "{text}");
    assert!(caches > 1 && first.0 >= Some(1), "{text}");
}

#[test]
fn a_second_scan_is_told() {
    let Some(_turn) = common::live() else { return };
    for (condition, twice) in [("addr - 64 > 0", true), ("size > 0", false)] {
        let output = slabql(&[&format!("explain analyze select name where {condition}")]);
        let notes = String::from_utf8_lossy(&output.stderr);
        assert_eq!(notes.contains("the caches were scanned again"), twice, "{condition}: {notes}");
    }
    // The plan tells of it beforehand, whether it will happen or not.
    for (condition, may) in [("addr - 64 > 0", true), ("memory > 1", true), ("size > 0", false)] {
        let output = slabql(&[&format!("explain select name where {condition}")]);
        let plan = String::from_utf8_lossy(&output.stdout);
        assert_eq!(plan.contains("another scan of all rows"), may, "{condition}: {plan}");
    }
}

/// Whatever runs a condition whose numbers leave their register, it means the same.
#[test]
fn a_condition_that_overflows_chooses_the_same_rows() {
    let Some(_turn) = common::iterated() else { return };
    let ways: [&[&str]; 4] =
        [&[], &["--no-pushdown"], &["--template", "iter"], &["--source", "walk"]];
    for way in ways {
        let count = |condition: &str| {
            let query = format!("select count(*) where {condition}");
            let text = answer(&[way, &["--format", "csv", &query]].concat());
            text.lines().nth(1).unwrap().parse::<u64>().unwrap()
        };
        for holds in ["addr - 64 > 0", "addr & -4096 > 0", "addr > -1", "coalesce(addr, -1) = addr"]
        {
            assert!(count(holds) > 20, "{way:?}: {holds}");
            assert_eq!(count(&format!("not ({holds})")), 0, "{way:?}: {holds}");
        }
    }
}

#[test]
fn a_wrong_query_is_told_before_it_runs() {
    let output = slabql(&["--demo", "explain analyze select nam"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `name`?"));
}

#[test]
fn ways_through_a_condition_do_not_multiply() {
    let Some(_turn) = common::live() else { return };
    // Written so that the verifier knew each number a logarithm can be, it followed a million instructions here.
    let condition = "name in ('kmalloc-8', '') and name in ('dma-', 'dentry') \
                     and 1 % ilog2(-1 & partial_free) not in (151, 17592186044416, 57, 34359738368)";
    let several = "ilog2(partial_free) % 3 = 1 and ilog2(cpu_free + 1) < 4 \
                   and least(partial_free, cpu_free, 9) * greatest(partial_free, 7) > abs(cpu_free - 5)";
    for condition in [condition, several] {
        let text = analyzed(
            &[],
            &format!("select addr, cpu, {condition} as holds from cpus where {condition}"),
        );
        assert!(figure(&text, "verified") < 10_000, "{text}");
    }
}
