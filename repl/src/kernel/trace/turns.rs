//! Counts by turns: those of a turn are read while the programs count in the next one, so that none is lost.
//!
//! A program that runs just when a turn ends may add to it after it was read. So what was read stays in the map for one more
//! turn, and what came behind goes to that one.

use std::collections::HashMap;

/// Fields of events, and how often they were seen.
pub type Counts = Vec<(Vec<u64>, u64)>;

/// Where the turns are.
#[derive(Default)]
pub struct Turns {
    /// The one that programs count in.
    pub now: u64,
    /// The counts that were read, by their keys.
    read: HashMap<Vec<u64>, u64>,
}

impl Turns {
    /// Ends a turn whose number is `ended`, behind which the map had `found`. Gives the counts of fields, which are the first
    /// `words` of keys.
    pub fn end(&mut self, ended: u64, words: usize, found: Counts) -> Counts {
        let mut counts = Counts::new();
        let before = std::mem::take(&mut self.read);
        for (key, count) in found {
            let (fields, turn) = (key[..words].to_vec(), key[words]);
            if turn == ended {
                counts.push((fields, count));
                self.read.insert(key, count);
            } else if turn < ended {
                let late = count - before.get(&key).copied().unwrap_or(0).min(count);
                counts.extend((late > 0).then_some((fields, late)));
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
        let mut turns = Turns::default();
        let found = vec![(vec![7, 0], 5), (vec![8, 0], 1), (vec![7, 1], 2)];
        assert_eq!(turns.end(0, 1, found), [(vec![7], 5), (vec![8], 1)]);
        // One more of 7, none of 8, and one that was not yet there.
        let found = vec![(vec![7, 0], 6), (vec![8, 0], 1), (vec![9, 0], 3), (vec![7, 1], 4)];
        assert_eq!(turns.end(1, 1, found), [(vec![7], 1), (vec![9], 3), (vec![7], 4)]);
        assert_eq!(turns.end(2, 1, vec![(vec![7, 1], 4)]), Counts::new());
    }
}
