//! Of every table that is read of the kernel's memory the source `walk` gives what the source `live` gives, to the
//! last column.
//!
//! Figures move while they are compared; see `common/settle.rs`. Programs stay loaded meanwhile, as to load one makes and
//! undoes objects.

use std::collections::BTreeMap;

use crate::common;
use crate::common::ask::{self, Answer};
use crate::common::settle::{enough, settle};
use query::catalog;
use slabql::engine::Engine;

/// A table, the columns that tell its rows apart, a condition, and how many rows must be equal at least.
type Compared = (&'static str, &'static [&'static str], &'static str, usize);

const TABLES: [Compared; 6] = [
    ("caches", &["addr"], "", 100),
    ("nodes", &["addr", "node"], "", 100),
    ("cpus", &["addr", "cpu"], "", 100),
    // There may be very many: some of them, whatever they are.
    ("slabs", &["addr"], " where addr / 64 % 7 = 0", 20),
    ("aliases", &["alias", "addr"], "", 100),
    ("flags", &["flag"], "", 10),
];

/// The rows of an answer by the columns that tell them apart: the texts of all, by name. Of a slab that goes from one
/// list to another while they are read there are two rows, and none here.
fn rows(answer: &Answer, identity: &[&str]) -> BTreeMap<String, BTreeMap<String, String>> {
    let names: Vec<String> = answer.names().into_iter().map(str::to_owned).collect();
    let columns: Vec<Vec<String>> = names.iter().map(|name| answer.texts(name)).collect();
    let (mut rows, mut twice) = (BTreeMap::new(), Vec::new());
    for at in 0..answer.len() {
        let cells: BTreeMap<String, String> =
            names.iter().cloned().zip(columns.iter().map(|column| column[at].clone())).collect();
        let key: Vec<&str> = identity.iter().map(|name| cells[*name].as_str()).collect();
        let key = key.join(" ");
        if rows.insert(key.clone(), cells).is_some() {
            twice.push(key);
        }
    }
    assert!(twice.is_empty() || names.contains(&"list".to_owned()), "shown twice: {twice:?}");
    rows.retain(|key, _| !twice.contains(key));
    rows
}

/// Compares these columns of a table.
fn compare(sessions: &mut [Engine; 2], table: Compared, columns: &[&str]) {
    let (name, identity, condition, least) = table;
    let all: Vec<&str> = identity.iter().chain(columns).copied().collect();
    let text = format!("select {} from {name}{condition}", all.join(", "));
    let ask = |session: &mut Engine| {
        let answer = session.ask(&text).unwrap_or_else(|failure| panic!("{}", failure.text()));
        rows(&Answer(answer), identity)
    };
    let [live, walk] = sessions;
    let counts = settle(&format!("{name} by walk"), |round| {
        let (before, ours, after) = (ask(live), ask(walk), ask(live));
        for (key, before) in &before {
            // What comes or goes is none that rests.
            let Some(after) = after.get(key) else { continue };
            let there = [true, ours.contains_key(key), true].map(|there| there.to_string());
            round.cell("row", key, there);
            let Some(ours) = ours.get(key) else { continue };
            for column in columns {
                round.cell(column, key, [before, ours, after].map(|row| row[*column].clone()));
            }
        }
        // Nor has one more rows than the other.
        let more =
            ours.keys().filter(|key| !before.contains_key(*key) && !after.contains_key(*key));
        let more = more.count().to_string();
        round.cell("row", "no other", ["0".to_owned(), more, "0".to_owned()]);
    });
    enough(&counts, &["row"], least);
    enough(&counts, columns, least);
}

#[test]
fn walk_gives_what_live_gives() {
    let Some(_turn) = common::live() else { return };
    let sources = ask::sources();
    let Ok(mut sessions) = <[Engine; 2]>::try_from(sources) else {
        common::skip("the kernel has no iterator");
        return;
    };
    for table in TABLES {
        let columns = catalog::table(table.0).unwrap().columns;
        let columns: Vec<&str> = columns.iter().map(|column| column.name).collect();
        // Few at a time, so that little moves between the looks.
        for columns in columns.chunks(16) {
            compare(&mut sessions, table, columns);
        }
    }
}
