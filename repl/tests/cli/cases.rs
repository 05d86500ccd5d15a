//! Inputs that other tools answer wrongly, as their users reported, and relatives of them. Each row has its kind; what
//! only the running kernel, a terminal or a full disk can show has its test elsewhere:
//!
//! | input | test |
//! |---|---|
//! | a condition that overflows in the kernel, by each template and source | `live/analyze.rs`: `a_condition_that_overflows_…`; at random `query/tests/programs/equivalence.rs`, `live/random.rs` |
//! | two lines of one name in `/proc/slabinfo`, watched live and by `proc` | `live/places.rs`: `lines_with_one_name_…`; `live/same_rows.rs` |
//! | `diff` of two boots with two caches of one name in opposite order | `sqlite/diff.rs`: `caches_of_one_name_…` |
//! | a tab in a paste that is not bracketed | `terminal/prompt/typed.rs`: `a_tab_in_a_paste_is_text` |
//! | Ctrl-Z in a watch; signals at the prompt and in a watch | `terminal/signals.rs`: `a_stop_gives_…`, `a_signal_that_ends_…` |
//! | characters that are not seen, drawn or edited | `terminal/hostile`; `cli/names.rs`; `terminal/editor/editing.rs`: `the_cursor_stands_…` |
//! | a full or closed standard output; `-` for every file option | `cli/files.rs`: `an_answer_that_is_lost_…`, `a_dash_is_…` |
//! | a history that is a device, a FIFO, 300 MB, not UTF-8; a FIFO as settings | `cli/files.rs`: `a_history_…`, `settings_that_…` |
//! | links in a sticky folder; modes and owners; full disks; ends between two calls | `cli/files.rs`: `links_that_…`, `recordings_are_…`, `a_file_stays_…`, `a_saved_query_…`, `an_end_between_…` |
//! | recordings that grow in memory | `cli/files.rs`: `what_a_recording_takes_…` |
//! | long queries, scripts, settings, histories, saved queries and recordings | what they allocate: `cli/bounded.rs`, `query/tests/language/bounded.rs`, the tests of `shell/config.rs`, `shell/editor/history.rs`, `features/library.rs` |
//! | an interrupt while a text is parsed, read or answered | `query/tests/language/interrupted.rs`; `source/recording/file.rs`; `terminal/prompt/interrupt.rs`: `an_interrupt_…` |
//! | a map of larger values, read by a safe function | `live/sys.rs` |
//! | columns that a process may not read | `live/rights.rs` |

use crate::common::program::{Folder, SLABQL, command, demo, error};
use crate::common::start::Start;

/// The last line of the CSV that answers a query over the demo.
fn answer(query: &str) -> String {
    let ran = demo(["--no-config", "--format", "csv", query]);
    assert_eq!(ran.code, Some(0), "{query}: {}", ran.err);
    ran.out.strip_suffix('\n').unwrap().rsplit('\n').next().unwrap().to_owned()
}

/// Each list of expressions has these values in a row.
fn values(rows: &[(&str, &str)]) {
    for (expressions, expected) in rows {
        assert_eq!(answer(&format!("select {expressions} limit 1")), *expected, "{expressions}");
    }
}

#[test]
fn integers_are_exact_whatever_the_signs() {
    values(&[
        (
            "addr, addr - 64, addr & -4096, addr + -1",
            "0xffff888102858500,0xffff8881028584c0,0xffff888102858000,0xffff8881028584ff",
        ),
        (
            "coalesce(addr, -1), case when rcu then -1 else addr end",
            "0xffff888102858500,0xffff888102858500",
        ),
        ("iif(size > 0, addr, -1), least(-1, addr) = -1", "0xffff888102858500,true"),
        ("greatest(addr, refcount) = addr, addr > -1, addr = addr + 1 - 1", "true,true,true"),
        (
            "-1 & 18446744073709551615, -9223372036854775808 / -1",
            "18446744073709551615,9223372036854775808",
        ),
        (
            "18446744073709551615 + -1, -1 + 18446744073709551615",
            "18446744073709551614,18446744073709551614",
        ),
        (
            "9223372036854775807 + 1, 0 - 9223372036854775808",
            "9223372036854775808,-9223372036854775808",
        ),
        ("18446744073709551615 % -10, -7 % 18446744073709551615", "5,-7"),
        ("18446744073709551615 + 1, -9223372036854775808 - 1", ","),
        (
            "~0, ~18446744073709551615, ~0x0, hex(~0)",
            "18446744073709551615,0,18446744073709551615,0xffffffffffffffff",
        ),
    ]);
    assert_eq!(answer("select count(*) where addr - 64 > 0"), "235");
    assert_eq!(answer("select count(*) where addr - 64 < 0 or -1 > addr"), "0");
}

#[test]
fn texts_are_numbers_as_a_whole_or_not_at_all() {
    values(&[
        ("cast('0x-5' as int), cast('-0x-5' as int), cast('0x+5' as int)", ",,"),
        ("cast('+-5' as int), cast('--5' as int), cast('0x' as int)", ",,"),
        ("cast('0x1_0' as int), cast('5x' as int)", ","),
        ("cast('-0x5' as int), cast('+5' as int), cast('0xff' as int)", "-5,5,255"),
    ]);
}

#[test]
fn floats_are_the_nearest_and_none_is_below_zero_by_its_sign() {
    values(&[
        (
            "round(30210303042648.1, 6), round(8589934592.0078125, 6) = 8589934592.007812",
            "30210303042648.1,true",
        ),
        // One spelling of a double, in formats for programs and for people.
        (
            "round(8589934592.0078125, 6), concat(8589934592.0078125)",
            "8589934592.007812,8589934592.007812",
        ),
        ("round(2.675, 2), round(1.005, 2), round(0.285, 2)", "2.67,1.0,0.28"),
        ("round(1e300, 2) = 1e300, round(123456789.987654321, 3)", "true,123456789.988"),
        ("round(-0.4), 0 * -69.5, concat(round(-0.4))", "0.0,0.0,0"),
        ("round(-0.04, 1), -0.0, ceil(-0.5), abs(-0.0), 0.0 / -5", "0.0,0.0,0.0,0.0,0.0"),
        ("cast('-0.0' as float), concat(-0.0), -0.0 * 1", "0.0,0,0.0"),
    ]);
}

/// A double has the same digits wherever it is written.
#[test]
fn a_float_has_one_spelling() {
    for value in
        ["8589934592.0078125", "30210303042648.1", "0.1 + 0.2", "1.0 / 3", "-2.5", "1e15 / 7"]
    {
        let query = format!("select {value} as x limit 1");
        let written = |format: &str| demo(["--no-config", "--format", format, &query]).out;
        let csv = answer(&query);
        assert_eq!(written("ndjson"), format!("{{\"x\":{csv}}}\n"));
        let json: f64 = csv.parse().unwrap();
        let shown = demo(["--no-config", "--format", "table", "--thousands=off", &query]).out;
        let shown = shown.lines().last().unwrap().trim();
        assert!(
            shown.len() <= csv.len() && (json - shown.parse::<f64>().unwrap()).abs() <= 0.0005,
            "{shown} {csv}"
        );
    }
}

#[test]
fn statistics_stay_within_the_values() {
    for (query, expected) in [
        ("select percentile(object_size, 10) where object_size = 104", "104.0"),
        ("select median(object_size), avg(object_size) where object_size = 104", "104.0,104.0"),
        ("select stddev(object_size) where object_size = 104", "0.0"),
        ("select stddev(size + 1000000000000000) = stddev(size)", "true"),
        ("select stddev(1000000000000000 - size) = stddev(size)", "true"),
        ("select percentile(size, 99) where size > 512", "18150.08"),
        ("select quantile(size, 0.9) where size > 103", "2956.8"),
        ("select sum(addr - addr), min(-0.0), sum(-0.0), avg(-0.0)", "0x0,0.0,0.0,0.0"),
        ("select histogram(1e300)", "\"[16E, …): 235\""),
        ("select histogram(-1e300)", "\"(…, 0): 235\""),
        ("select histogram(18446744073709551615)", "\"[8E, 16E): 235\""),
        ("select histogram(0.5)", "\"[0, 1): 235\""),
        ("select histogram(iif(rcu, 1.5, 0.0))", "\"[0, 1): 209,[1, 2): 26\""),
        ("select histogram(size / size)", "[1]: 235"),
    ] {
        assert_eq!(answer(query), expected, "{query}");
    }
    for (percents, noted) in [
        ("0.9", true),
        ("0.01", true),
        ("0.5 + 0.4", true),
        ("9 / 10.0", true),
        ("90", false),
        ("50 + 40", false),
        ("1", false),
        ("0", false),
    ] {
        let ran = demo(["--no-config", &format!("select percentile(memory, {percents})")]);
        assert_eq!(error(&ran).contains("takes a percentage"), noted, "{percents}: {}", ran.err);
    }
}

#[test]
fn brackets_are_those_of_fnmatch() {
    values(&[
        (
            r"']' glob '[\]]', 'a]' glob '*[]]', ']' glob '[]a]', '[' glob '[[]'",
            "true,true,true,true",
        ),
        (r"'-' glob '[a\-z]', 'b' glob '[a\-z]', '^' glob '[\^]'", "true,false,true"),
        (r"'a' glob '[!\]]', ']' glob '[!\]]', '\' glob '[\\]'", "true,false,true"),
    ]);
}

#[test]
fn bytes_by_a_bare_number_are_a_bare_number() {
    for (expression, cell) in [
        ("memory / 1024 / 1024 as MiB", "0"),
        ("1048576 * 167 / 1048576", "167"),
        ("memory >> 20", "0"),
        ("size / 1024.0", "0.3046875"),
    ] {
        let query = format!("select {expression} limit 1");
        let ran = demo(["--no-config", "--format", "table", &query]);
        let last = ran.out.lines().last().unwrap().trim();
        assert!(!last.contains('B'), "{query}: {last}");
        assert_eq!(answer(&query), cell, "{query}");
    }
    let ran = demo([
        "--no-config",
        "--format",
        "csv",
        "select memory/1024/1024 as MiB, size as KiB limit 1",
    ]);
    assert!(ran.out.starts_with("MiB,KiB\n"), "{}", ran.out);
}

#[test]
fn a_query_may_begin_with_a_comment() {
    for query in [
        "-- the largest\nselect name limit 1",
        "--\nselect name limit 1",
        "--the largest\nselect name limit 1",
        "---\nselect name limit 1",
        "  -- one\n-- two\nselect name limit 1",
        "/* one */ select name limit 1",
        "select name -- two\nlimit 1",
    ] {
        assert_eq!(answer(query), "btrfs_delayed_node", "{query}");
    }
}

#[test]
fn null_has_one_spelling_and_the_empty_text_another() {
    values(&[
        ("ctor", ""),
        ("''", "\"\""),
        ("name, ctor, ''", "btrfs_delayed_node,,\"\""),
        ("null, ''", ",\"\""),
        ("'', null, ''", "\"\",,\"\""),
        ("concat(''), nullif('', '')", "\"\","),
    ]);
}

#[test]
fn a_file_has_the_format_of_its_ending_and_the_place_of_its_name() {
    let folder = Folder::new();
    let home = folder.0.to_str().unwrap();
    folder.file("q.sql", "select name limit 1;\n");
    folder.file("a b.sql", "select name limit 1;\n");
    folder.file("it's.sql", "select name limit 1;\n");
    let run = |arguments: &[&str]| {
        let mut command = command(SLABQL);
        command.current_dir(home).env("HOME", home).args(["--demo", "--no-config"]);
        let ran: crate::common::program::Ran = command.args(arguments).ran().into();
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.err);
        ran.out
    };
    let read = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    for (name, start) in [
        ("X.JSON", "["),
        ("x.Json", "["),
        ("x.NDJSON", "{"),
        ("x.JsonL", "{"),
        ("x.MD", "|"),
        ("x.TSV", "name\n"),
    ] {
        assert_eq!(run(&["-o", name, "select name limit 1"]), "");
        assert!(read(name).starts_with(start), "{name}: {}", read(name));
    }
    for line in [
        ".read ~/q.sql",
        ".read \"a b.sql\"",
        ".read 'a b.sql'",
        ".read \"~/a b.sql\"",
        ".read \"it's.sql\"",
    ] {
        folder.file("script", format!("{line}\n"));
        assert_eq!(run(&["-f", "script"]), "name\nbtrfs_delayed_node\n", "{line}");
    }
    for (line, name) in [
        (".once ~/o.csv", "o.csv"),
        (".once 'o 2.csv'", "o 2.csv"),
        (".output \"o 3.csv\"", "o 3.csv"),
    ] {
        folder.file("script", format!("{line}\nselect name limit 1;\n"));
        assert_eq!(run(&["-f", "~/script"]), "", "{line}");
        assert_eq!(read(name), "name\nbtrfs_delayed_node\n", "{line}");
    }
    folder.file("script", ".export \"~/a b.o\" select name\n");
    let mut exports = command(SLABQL);
    exports.current_dir(home).args(["--demo", "--no-config", "-f", "script"]);
    let ran: crate::common::program::Ran = exports.ran().into();
    assert!(ran.err.contains("an export is made from the types of a kernel"), "{}", ran.err);
    // A line is a standard stream for every option that names a file.
    for arguments in [["-o", "-"], ["--output", "-"]] {
        let [option, file] = arguments;
        assert_eq!(run(&[option, file, "select name limit 1"]), "name\nbtrfs_delayed_node\n");
    }
    folder.file("script", ".once -\nselect name limit 1;\n");
    assert_eq!(run(&["-f", "script"]), "name\nbtrfs_delayed_node\n");
    assert!(!folder.names().contains(&"-".to_owned()));
}

/// Work that grows with the text is refused with a number, or done: `bounded.rs` counts how it grows.
#[test]
fn long_texts_are_answered_or_refused_with_a_number() {
    let folder = Folder::new();
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let long = "a".repeat(200);
    let pattern = "((a{0,100}){0,100}){0,10}b";
    let parameters: String =
        (0..40_000).map(|number| format!("-- param p{number}: int = 1\n")).collect();
    for (text, expected) in [
        (format!("select name limit 1{}", ";".repeat(200_000)), Ok("name\nbtrfs_delayed_node\n")),
        (format!("{parameters}select name limit 1"), Ok("name\nbtrfs_delayed_node\n")),
        (
            format!(
                "select count(*) where name in ({})",
                list(100_000, &|number| format!("'n{number}'"))
            ),
            Ok("count(*)\n0\n"),
        ),
        (
            format!("select {} limit 1", list(400_000, &|_| "size".to_owned())),
            Err("the limit is 1048576 bytes"),
        ),
        (
            format!("select regexp_extract(replace('{long}', 'a', '{long}'), '{pattern}')"),
            Err("it takes more than 128 KiB"),
        ),
        (
            format!("select name where name ~ '{}'", "(a|b)*".repeat(500)),
            Err("it has more than 64 groups"),
        ),
    ] {
        let file = folder.file("long.sql", &text);
        let ran = demo(["--no-config", "--format", "csv", "-f", file.to_str().unwrap()]);
        let start = &text[..20];
        match expected {
            Ok(answer) => assert_eq!((ran.code, &*ran.out), (Some(0), answer), "{start}"),
            Err(reason) => {
                assert_eq!((ran.code, &*ran.out), (Some(1), ""), "{start}");
                assert!(ran.err.contains(reason), "{start}: {}", ran.err);
            }
        }
    }
}
