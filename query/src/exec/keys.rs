//! Numbers distinct keys, in the order in which they come.
//!
//! All keys lie in one piece of memory, so that millions of them are freed at once, as an interrupt asks for.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A table that grows looks at all its keys again, and no interrupt ends that: several tables grow one after the other.
const TABLES: usize = 64;

/// Distinct keys, and their numbers from 0.
pub(super) struct Keys {
    /// The bytes of all keys.
    bytes: Vec<u8>,
    /// Where each key ends in them.
    ends: Vec<usize>,
    /// The numbers, by the keys' hashes.
    tables: Vec<HashTable<usize>>,
    hasher: RandomState,
}

impl Keys {
    pub(super) fn new() -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        Self { bytes: Vec::new(), ends: Vec::new(), tables, hasher: RandomState::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The key of a number.
    pub(super) fn get(&self, number: usize) -> &[u8] {
        key(&self.bytes, &self.ends, number)
    }

    /// The number of a key, and whether it is new.
    #[allow(clippy::cast_possible_truncation)] // any bits of a hash choose as well as others
    pub(super) fn number(&mut self, bytes: &[u8]) -> (usize, bool) {
        let Self { bytes: all, ends, tables, hasher } = self;
        let hash = hasher.hash_one(bytes);
        let entry = tables[(hash >> 32) as usize % TABLES].entry(
            hash,
            |number| key(all, ends, *number) == bytes,
            |number| hasher.hash_one(key(all, ends, *number)),
        );
        match entry {
            Entry::Occupied(there) => (*there.get(), false),
            Entry::Vacant(place) => {
                let number = ends.len();
                place.insert(number);
                all.extend_from_slice(bytes);
                ends.push(all.len());
                (number, true)
            }
        }
    }
}

/// The key of a number among those that end at `ends`.
fn key<'a>(all: &'a [u8], ends: &[usize], number: usize) -> &'a [u8] {
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &all[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_and_only_they_have_one_number() {
        let mut keys = Keys::new();
        let all: Vec<_> = (0..5000_u32).map(|n| n.to_string().into_bytes()).collect();
        for (number, key) in all.iter().enumerate() {
            assert_eq!(keys.number(key), (number, true));
        }
        assert_eq!(keys.number(b""), (5000, true));
        for (number, key) in all.iter().enumerate() {
            assert_eq!((keys.number(key), keys.get(number)), ((number, false), &**key));
        }
        assert_eq!((keys.number(b""), keys.get(5000), keys.len()), ((5000, false), &b""[..], 5001));
    }
}
