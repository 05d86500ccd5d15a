//! Compares figures that move: a cell counts once it was equal to a witness that rested around it.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

/// How often a comparison is repeated before a cell that was never equal is wrong. Of a cache that others use a figure
/// may move in many rounds. One that moves in all of them is moved by the looks themselves: a look that allocates an
/// object, freed some time later, makes the figure of that cache drift evenly.
const ROUNDS: u64 = 60;
/// How far two looks of a witness are apart, at most, where a figure drifts by the looks alone.
const DRIFT: i128 = 4;

/// What a comparison found so far.
#[derive(Default)]
pub struct Round {
    /// The rows that were equal once, by column.
    equal: BTreeMap<String, BTreeSet<String>>,
    /// What is not, of the last round: before, ours, after.
    open: BTreeMap<(String, String), [String; 3]>,
    /// In how many rounds a cell that is open lay strictly between the looks of a drifting witness.
    between: BTreeMap<(String, String), u64>,
}

/// Whether a figure drifts from one look to the next by as little as looks do.
fn drifts(cell: &[String; 3]) -> bool {
    let number = |text: &String| text.parse::<i128>();
    let [Ok(before), Ok(ours), Ok(after)] = cell.each_ref().map(number) else { return false };
    let inside = (before < ours && ours < after) || (after < ours && ours < before);
    inside && (before - after).abs() <= DRIFT
}

impl Round {
    /// How many rows were equal, by column; printed too.
    fn counts(&self, what: &str, rounds: u64) -> BTreeMap<String, usize> {
        let count = |(column, rows): (&String, &BTreeSet<String>)| (column.clone(), rows.len());
        let counts = self.equal.iter().map(count).collect();
        eprintln!("{what}: equal after {rounds} rounds: {counts:?}");
        counts
    }

    /// Compares the cell of `row` and `column` with what the witness said before and after.
    pub fn cell(&mut self, column: &str, row: &str, [before, ours, after]: [String; 3]) {
        let equal = self.equal.entry(column.to_owned()).or_default();
        if before == ours && ours == after {
            equal.insert(row.to_owned());
        } else if !equal.contains(row) {
            let (key, cell) = ((column.to_owned(), row.to_owned()), [before, ours, after]);
            if drifts(&cell) {
                *self.between.entry(key.clone()).or_default() += 1;
            }
            self.open.insert(key, cell);
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
        thread::sleep(Duration::from_millis(10 + number));
    }
    // A drift that the looks make is there in most rounds; a figure that is wrong by one is not.
    let Round { open, between, .. } = &mut round;
    open.retain(|key, _| between.get(key).is_none_or(|rounds| *rounds <= ROUNDS / 2));
    if round.open.is_empty() {
        eprintln!("{what}: these drift with each look: {:?}", round.between);
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
    panic!(
        "{what}: {} cells were not equal in any of {ROUNDS} rounds:\n{}",
        round.open.len(),
        open.join("\n")
    );
}

/// Fails where fewer than `least` rows were compared in a column of `columns`.
pub fn enough(counts: &BTreeMap<String, usize>, columns: &[&str], least: usize) {
    for column in columns {
        let count = counts.get(*column).copied().unwrap_or(0);
        assert!(count > least, "{column}: only {count} rows were compared");
    }
}
