//! Counts by turns: those of a turn are read while the programs count in the next one, so that none is lost.
//!
//! A program that runs just when a turn ends may add to it after it was read. So what was read stays in the map for one more
//! turn, and what came behind goes to that one.

use std::collections::HashMap;

/// Fields of events, and what was seen of them: how often, if nothing else is said.
pub type Counts<V = u64> = Vec<(Vec<u64>, V)>;

/// What programs add up.
pub trait Sum: Copy {
    /// What was added since it was `before`, if anything was.
    fn since(self, before: Option<Self>) -> Option<Self>;
}

impl Sum for u64 {
    fn since(self, before: Option<Self>) -> Option<Self> {
        Some(self.saturating_sub(before.unwrap_or(0))).filter(|late| *late > 0)
    }
}

/// Where the turns are.
pub struct Turns<V = u64> {
    /// The one that programs count in.
    pub now: u64,
    /// What was read, by its key.
    read: HashMap<Vec<u64>, V>,
}

impl<V> Default for Turns<V> {
    fn default() -> Self {
        Self { now: 0, read: HashMap::new() }
    }
}

impl<V: Sum> Turns<V> {
    /// Ends a turn whose number is `ended`, behind which the map had `found`. Gives what was seen of fields, which are the
    /// first `words` of keys.
    pub fn end(&mut self, ended: u64, words: usize, found: Counts<V>) -> Counts<V> {
        let mut counts = Counts::new();
        let before = std::mem::take(&mut self.read);
        for (key, sum) in found {
            let (fields, turn) = (key[..words].to_vec(), key[words]);
            if turn == ended {
                counts.push((fields, sum));
                self.read.insert(key, sum);
            } else if turn < ended {
                counts.extend(sum.since(before.get(&key).copied()).map(|late| (fields, late)));
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_the_end_of_a_turn_goes_to_the_next() {
        let mut turns = Turns::<u64>::default();
        let found = vec![(vec![7, 0], 5), (vec![8, 0], 1), (vec![7, 1], 2)];
        assert_eq!(turns.end(0, 1, found), [(vec![7], 5), (vec![8], 1)]);
        // One more of 7, none of 8, and one that was not yet there.
        let found = vec![(vec![7, 0], 6), (vec![8, 0], 1), (vec![9, 0], 3), (vec![7, 1], 4)];
        assert_eq!(turns.end(1, 1, found), [(vec![7], 1), (vec![9], 3), (vec![7], 4)]);
        assert_eq!(turns.end(2, 1, vec![(vec![7, 1], 4)]), Counts::new());
    }
}
