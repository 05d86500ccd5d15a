//! Compares figures that move: a cell counts once it was equal to a witness that rested around it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

/// How often a comparison is repeated.
const ROUNDS: u32 = 40;
/// The most cells that may never rest: of a busy cache figures can move in every round, by the looks themselves too, so
/// that a witness says the same before and after. Of a cache whose witnesses rested around each cell in every round a
/// cell that never agreed is wrong.
const RESTLESS: usize = 8;

/// What a comparison found so far.
#[derive(Default)]
pub struct Round {
    /// The rows that were equal once, by column.
    equal: BTreeMap<String, BTreeSet<String>>,
    /// What is not, of the last round: before, ours, after.
    open: BTreeMap<(String, String), [String; 3]>,
    /// The rows of which a cell was seen to move.
    moved: BTreeSet<String>,
}

impl Round {
    /// How many rows were equal, by column; printed too.
    fn counts(&self, what: &str, rounds: u32) -> BTreeMap<String, usize> {
        let count = |(column, rows): (&String, &BTreeSet<String>)| (column.clone(), rows.len());
        let counts = self.equal.iter().map(count).collect();
        eprintln!("{what}: equal after {rounds} rounds: {counts:?}");
        counts
    }

    /// Compares the cell of `row` and `column` with what the witness said before and after.
    pub fn cell(&mut self, column: &str, row: &str, [before, ours, after]: [String; 3]) {
        let equal = self.equal.entry(column.to_owned()).or_default();
        if before != after {
            self.moved.insert(row.to_owned());
        }
        if before == ours && ours == after {
            equal.insert(row.to_owned());
        } else if !equal.contains(row) {
            self.open.insert((column.to_owned(), row.to_owned()), [before, ours, after]);
        }
    }
}

/// Repeats `look` until every cell that it shows was equal once. Fails with the cells that never were, and prints
/// how many were compared by column.
///
/// # Returns
///
/// The number of rows that were compared, by column.
pub fn settle(what: &str, mut look: impl FnMut(&mut Round)) -> BTreeMap<String, usize> {
    let mut round = Round::default();
    for number in 1..=ROUNDS {
        round.open.clear();
        look(&mut round);
        if round.open.is_empty() {
            return round.counts(what, number);
        }
        thread::sleep(Duration::from_millis(10 + u64::from(number)));
    }
    let moved = round.open.keys().all(|(_, row)| round.moved.contains(row));
    if round.open.len() <= RESTLESS && moved {
        eprintln!("{what}: these never rest: {:?}", round.open);
        return round.counts(what, ROUNDS);
    }
    let open: Vec<String> = round
        .open
        .iter()
        .take(40)
        .map(|((column, row), [before, ours, after])| {
            format!("{column} of {row}: slabql {ours}, witness before {before}, after {after}")
        })
        .collect();
    panic!("{what}: {} cells are never equal:\n{}", round.open.len(), open.join("\n"));
}

/// Fails where fewer than `least` rows were compared in a column of `columns`.
pub fn enough(counts: &BTreeMap<String, usize>, columns: &[&str], least: usize) {
    for column in columns {
        let count = counts.get(*column).copied().unwrap_or(0);
        assert!(count > least, "{column}: only {count} rows were compared");
    }
}
