//! Recordings answer on every table that they hold, and name the others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use query::catalog::{Needs, Rows};
use query::value::Value;
use slabql::features::snapshot::Tables;
use slabql::source::Choice;
use slabql::source::recording::{Recording, stored};

use crate::common;
use crate::common::ask;
use crate::common::program::{Folder, Ran, SLABQL, command, demo, error};
use crate::common::start::Start;
use crate::made_up;

/// More than are handed on at once.
const ROWS: usize = 5000;

#[test]
fn every_table_answers_with_the_rows_that_were_recorded() {
    let folder = Folder::new();
    let path = folder.path("all.slab");
    made_up::recording(ROWS).save(&path).unwrap();
    let recording = Recording::open(&path).unwrap();
    assert_eq!(recording.tables().collect::<Vec<_>>(), made_up::tables());
    let mut session = ask::session(Box::new(recording), Choice::default());
    for table in made_up::tables() {
        let names: Vec<_> = stored(table).map(|column| format!("\"{}\"", column.name)).collect();
        let from = format!("from \"{}\"", table.name);
        let text = format!("select {} {from}", names.join(", "));
        let answer = session.ask(&text).unwrap();
        let rows: Vec<_> = (0..ROWS).map(|number| made_up::row(table, number)).collect();
        assert!(answer.rows == rows, "{}", table.name);
        assert_eq!(answer.warnings, [format!("made up: {}", table.name)]);
        for (column, found) in stored(table).zip(&answer.columns) {
            assert_eq!((column.ty, column.unit), (found.ty, found.unit), "{}", column.name);
        }
        // All clauses are those of any other rows.
        let names = ["name", "path", "function"];
        let name = names.into_iter().find(|name| table.column(name).is_some()).unwrap();
        let text = format!(
            "select {name}, count(*) as n {from} where {name} like 'a1%' or {name} = 'a7' group by 1 having n = 1 \
             order by {name} desc limit 2 offset 1"
        );
        let names: Vec<_> =
            session.ask(&text).unwrap().rows.into_iter().map(|mut r| r.remove(0)).collect();
        assert_eq!(names, [Value::text("a1999"), Value::text("a1998")], "{}", table.name);
        let star = session.ask(&format!("select * {from} limit 1")).unwrap();
        assert_eq!(star.columns.len(), table.star.len());
        assert_eq!(star.rows.len(), 1);
    }
    // Tables that are made of others are made of what was recorded.
    let aliases = session.ask("select alias, name from aliases where name = 'a7'").unwrap();
    assert_eq!(
        aliases.rows,
        [["a7", "a7"], ["alias7", "a7"]].map(|row| row.map(Value::text).to_vec())
    );
    let available =
        session.ask("select distinct \"table\" from columns where not available").unwrap();
    let traced = ["allocations", "frees", "audit", "contention"];
    assert_eq!(available.rows, traced.map(|table| [Value::text(table)]));
}

#[test]
fn the_objects_of_a_cache_are_chosen_by_its_name_or_an_alias() {
    let mut session = ask::session(Box::new(made_up::recording(20)), Choice::default());
    let mut rows = |text: &str| session.ask(text).map(|answer| answer.rows);
    let all = rows("select all from objects where name = 'a7'").unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(rows("select all from objects('a7')").unwrap(), all);
    assert_eq!(rows("select all from objects('alias7')").unwrap(), all);
    assert_eq!(rows("select \"index\" from objects('a7')").unwrap().len(), 1);

    let folder = Folder::new();
    let path = folder.path("all.slab");
    made_up::recording(20).save(&path).unwrap();
    let text = "select * from objects('alias99')";
    let ran: Ran = command(SLABQL).arg("--from").arg(&path).arg(text).ran().into();
    let says = "\nerror: there is no cache `alias99`\n";
    assert!(ran.code == Some(1) && ran.err.contains(says), "{}", ran.err);
}

#[test]
fn a_table_that_was_not_recorded_is_named_with_how_to_record_it() {
    for (table, says) in [
        (
            "objects",
            "error: the demo has no table `objects`\n  = help: `slabql --record FILE --tables objects` records it\n",
        ),
        ("allocations", "error: `allocations` has rows only while it is traced\n"),
    ] {
        let ran = demo([format!("select * from {table}").as_str()]);
        assert!(ran.out.is_empty() && error(&ran).starts_with(says), "{}", ran.err);
    }
    let ran = demo(["select all from objects('dentry')"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
}

#[test]
fn tables_are_named_on_the_command_line() {
    for (words, says) in [
        ("slab", "there is no table `slab`; did you mean `slabs`?"),
        ("", "there is no table ``; `.tables` lists the tables"),
        ("slabs,allocations", "`allocations` has rows only during a trace"),
        ("all,slabs", "there is no table `all`"),
    ] {
        assert!(Tables::parse(words).unwrap_err().starts_with(says), "{words}");
        let ran: Ran =
            command(SLABQL).args(["--record", "/dev/null", "--tables", words]).ran().into();
        assert!(ran.code == Some(1) && ran.err.contains(says), "{words}: {}", ran.err);
    }
    let ran = demo(["--tables", "slabs", "select 1"]);
    assert!(ran.code == Some(1) && ran.err.contains("`--record FILE` records them"), "{}", ran.err);
}

/// What is recorded without `--tables`, and what more with it; in a file for its owner's eyes.
#[test]
fn the_program_records_the_tables_that_are_asked() {
    let Some(_turn) = common::iterated() else { return };
    let folder = Folder::new();
    let path = folder.path("now.slab");
    let usual: Vec<_> = made_up::tables()
        .into_iter()
        .filter(|table| match table.rows {
            Rows::Slabs | Rows::Objects => false,
            Rows::Host(made) => match made.needs {
                Needs::Objects => false,
                Needs::Profiling => Path::new("/proc/allocinfo").exists(),
                _ => true,
            },
            _ => true,
        })
        .map(|table| table.name)
        .collect();
    for (args, tables) in [
        (&[][..], usual),
        (&["--tables", "nodes"], vec!["caches", "nodes"]),
        // Those that are made of others need no rows of their own.
        (&["--tables", "aliases, flags"], vec!["caches"]),
        (&["--template", "iter"], vec!["caches", "slabinfo"]),
    ] {
        let mut program = command(SLABQL);
        let text = "select count(*) from aliases";
        let ran: Ran = program.arg("--record").arg(&path).args(args).arg(text).ran().into();
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.out.starts_with("count(*)\n"), "{}", ran.out);
        let recording = Recording::open(&path).unwrap();
        assert_eq!(recording.tables().map(|table| table.name).collect::<Vec<_>>(), tables);
        for table in recording.tables() {
            assert!(recording.count(table).unwrap() > 50);
            assert!(ran.err.contains(&format!(" rows of {}", table.name)), "{}", ran.err);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // It says why a table is not there.
    let ran: Ran = command(SLABQL).arg("--from").arg(&path).arg("select * from nodes").ran().into();
    let says = "error: the recording has no table `nodes`: the template `iter` cannot give the table `nodes`\n";
    assert!(ran.code == Some(2) && ran.err.ends_with(says), "{}", ran.err);
}

#[test]
fn samples_are_of_objects_alone() {
    for table in ["audit", "contention"] {
        let query = format!("trace 1s sample 16 select * from {table}");
        let ran = demo([&*query]);
        let says = format!(
            "error: there are no samples of `{table}`\n  |\n1 | {query}\n  |          ^^^^^^^^^\n  = help: "
        );
        assert_eq!(ran.code, Some(1));
        assert!(error(&ran).starts_with(&says), "{}", ran.err);
    }
}
