//! What is cut says so: rows that have no room, loops that the kernel ends, long names.

use super::{CPUS, NODES, Row, cpu_rows, found, rich};
use crate::common;
use crate::common::model::{ERAS, Era, Model};
use crate::common::world::World;
use ebpf_templates::template::rows;
use slabql_query::plan::Template;
use slabql_query::value::Value;

const FULL: u64 = 1;
const CUT: u64 = 4;

#[test]
fn flags_are_what_this_file_says() {
    assert_eq!([FULL, CUT], [rows::FULL, rows::CUT].map(|flag| u64::from(flag.unsigned_abs())));
}

#[test]
fn rows_that_have_no_room_are_said_and_fit_with_more() {
    let models: Vec<Model> = (0..60).map(|index| rich(&format!("cache-{index}"), 8, 64)).collect();
    let world = World::of(Era::Both, 8, 64, &models);
    let target = common::kernel(Template::OpenCoded, true);
    let text = "select name, cpu, main from cpus";
    let expected: Vec<Row> = cpu_rows(Era::Both, 64, &models)
        .into_iter()
        .map(|(name, row)| (name, vec![row[0], row[5]]))
        .collect();
    let mut counts = Vec::new();
    for factor in [1, 4, 16] {
        let answer = world.run(&world.compile_for(text, target, factor));
        let rows = found(&answer.rows);
        assert_eq!(rows, expected[..rows.len()], "the first rows, whole");
        let full = rows.len() < expected.len();
        assert_eq!(answer.flags, if full { FULL } else { 0 }, "{factor}");
        counts.push(rows.len());
    }
    assert!(counts[0] >= 512 && counts[0] < counts[1] && counts[2] == 60 * 64, "{counts:?}");
    // A condition leaves room.
    let answer = world.ask(&format!("{text} where cpu = 63"), Template::OpenCoded);
    assert_eq!((answer.rows.len(), answer.flags), (60, 0));
}

/// Whatever the kernel leaves of the loops: it is said, and a row that says it is complete is true.
#[test]
fn a_loop_that_the_kernel_ends_is_said() {
    let models = ["a", "b"].map(|name| rich(name, 4, 4));
    for era in ERAS {
        let mut world = World::of(era, 4, 4, &models);
        for text in [NODES, CPUS] {
            world.budget = 1 << 20;
            let whole = world.ask(text, Template::OpenCoded).rows;
            let mut cut = 0;
            for budget in 0..150 {
                world.budget = budget;
                let answer = world.ask(text, Template::OpenCoded);
                let complete = |row: &&Vec<Value>| row.last() == Some(&Value::Bool(true));
                let true_rows = answer.rows.iter().filter(complete);
                let count = true_rows.clone().count();
                assert!(
                    true_rows.clone().all(|row| whole.contains(row)),
                    "{era:?} {text} {budget}"
                );
                // The step that would find a loop at its end may be the one that the kernel ends.
                let said = answer.flags & CUT != 0;
                assert!(said || count == whole.len(), "{era:?} {text} {budget}");
                cut += usize::from(count < whole.len());
            }
            assert!(cut > 5, "{era:?} {text}: {cut}");
        }
    }
}

/// A name has room for 255 bytes in a row; one that is cut says so, wherever its characters end.
#[test]
fn a_long_name_is_cut_and_says_so() {
    let sizes = [0, 1, 254, 255, 256, 257, 300, 4000];
    let names: Vec<String> = sizes.iter().map(|size| "n".repeat(*size)).collect();
    let models: Vec<Model> =
        names.iter().map(|name| Model { name: name.clone(), ..rich("", 1, 2) }).collect();
    let expected: Vec<String> = names
        .iter()
        .map(|name| if name.len() > 255 { format!("{}…", &name[..255]) } else { name.clone() })
        .collect();
    for era in ERAS {
        let world = World::of(era, 1, 2, &models);
        for (text, parts) in [
            ("select name, slabs", 1),
            ("select name, slabs from nodes", 1),
            ("select name, cpu from cpus", 2),
        ] {
            let rows = found(&world.ask(text, Template::OpenCoded).rows);
            let names: Vec<&String> = rows.iter().map(|(name, _)| name).collect();
            let expected: Vec<&String> =
                expected.iter().flat_map(|name| std::iter::repeat_n(name, parts)).collect();
            assert_eq!(names, expected, "{era:?} {text}");
        }
    }
    // The cut goes by bytes.
    let umlauts = Model { name: "é".repeat(128), ..Model::default() };
    let world = World::of(Era::Both, 1, 1, &[umlauts]);
    let Value::Text(name) = &world.ask("select name", Template::OpenCoded).rows[0][0] else {
        panic!("no text")
    };
    let half = ["é".repeat(127).as_bytes(), b"\xc3", "…".as_bytes()].concat();
    assert_eq!(**name, *half);
}
