//! Orders rows. Of an answer with a limit it keeps the rows within the limit, and at most as many again.
//!
//! Rows that are equal by all keys keep the order in which they came.
//!
//! Most comparisons are of two numbers that lie beside each other: of each row its first key is kept as a [`Rank`]. Only
//! rows of the same rank are compared by their values, which lie elsewhere in memory.

use std::cmp::Ordering;

use crate::bound::Key;
use crate::eval::Warnings;
use crate::many::Many;
use crate::value::Value;

/// Fewer rows than these are not worth sorting just to be rid of some.
const FEW: usize = 64;

/// So many rows are sorted at once; more are sorted in parts and merged, and between parts the sort may end.
const PART: usize = 1 << 14;

/// What a value's place among others is to the first eight bytes: one of a lower rank comes first, those of the same
/// rank come in any order.
type Rank = u64;

/// The rows that may be in the answer.
pub(super) struct Sort<'a> {
    keys: &'a [Key],
    /// Where the value of each key is in a row.
    places: Vec<usize>,
    /// How many values of a row are shown; what is behind them is only sorted by.
    shown: usize,
    /// How many are in the answer, those that `offset` passes over included.
    wanted: usize,
    rows: Many<(Rank, Vec<Value>)>,
    /// Whether the first rows are sorted and as many as are wanted.
    full: bool,
}

impl<'a> Sort<'a> {
    pub(super) fn new(keys: &'a [Key], places: Vec<usize>, shown: usize, wanted: u64) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        Self { keys, places, shown, wanted, rows: Many::default(), full: false }
    }

    /// Whether it holds more rows than a few.
    pub(super) fn holds_all(&self) -> bool {
        self.wanted > 4 * FEW
    }

    pub(super) fn add(&mut self, rows: Vec<Vec<Value>>, warnings: &mut Warnings) {
        if self.wanted == 0 {
            return;
        }
        for row in rows {
            let row = (self.rank(&row), row);
            // Of equal rows those that came first are in the answer.
            if self.full && self.order(&row, &self.rows[self.wanted - 1]).is_ge() {
                continue;
            }
            self.rows.push(row);
            if self.rows.len() >= self.wanted.saturating_mul(2).max(FEW) {
                self.cut(warnings);
            }
        }
    }

    /// All rows that are wanted, in their order, without what they were sorted by.
    pub(super) fn finish(mut self, warnings: &mut Warnings) -> Vec<Vec<Value>> {
        self.cut(warnings);
        let shown = |(_, mut row): (Rank, Vec<Value>)| {
            row.truncate(self.shown);
            row
        };
        self.rows.into_vec().into_iter().map(shown).collect()
    }

    fn cut(&mut self, warnings: &mut Warnings) {
        let mut rows = std::mem::take(&mut self.rows);
        self.full = false;
        if !in_parts(&mut rows, |left, right| self.order(left, right), warnings) {
            return;
        }
        rows.truncate(self.wanted);
        self.full = rows.len() == self.wanted;
        self.rows = rows;
    }

    /// The rank of a row by the first key.
    fn rank(&self, row: &[Value]) -> Rank {
        let first = self.keys.first().zip(self.places.first());
        first.map_or(0, |(key, place)| key.rank(&row[*place]))
    }

    /// The order of two rows by their keys.
    fn order(&self, left: &(Rank, Vec<Value>), right: &(Rank, Vec<Value>)) -> Ordering {
        left.0.cmp(&right.0).then_with(|| {
            self.keys
                .iter()
                .zip(&self.places)
                .map(|(key, place)| key.order(&left.1[*place], &right.1[*place]))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }
}

impl Key {
    /// The order of two values by this key.
    fn order(&self, left: &Value, right: &Value) -> Ordering {
        match (left, right) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) if self.nulls_first => Ordering::Less,
            (Value::Null, _) => Ordering::Greater,
            (_, Value::Null) => self.order(right, left).reverse(),
            _ => {
                let order = left.compare(right).unwrap_or(Ordering::Equal);
                if self.descending { order.reverse() } else { order }
            }
        }
    }
    /// The rank of a value by this key.
    fn rank(&self, value: &Value) -> Rank {
        let rank = match value {
            Value::Null => return if self.nulls_first { Rank::MIN } else { Rank::MAX },
            Value::Text(text) => {
                let mut start = [0; 8];
                start.iter_mut().zip(text.iter()).for_each(|(to, from)| *to = *from);
                Rank::from_be_bytes(start)
            }
            Value::List(_) => 0,
            Value::Bool(value) => Rank::from(*value),
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => rank_number(value),
        };
        if self.descending { !rank } else { rank }
    }
}

/// The rank of a number: the bits of the double nearest to it, in their order. Rounding changes no order; what becomes
/// the same is of the same rank.
#[allow(clippy::cast_precision_loss)]
fn rank_number(value: &Value) -> Rank {
    let double = match value {
        Value::Int(value) => *value as f64,
        Value::UInt(value) => *value as f64,
        Value::Float(value) => *value,
        _ => 0.0,
    };
    // Of the two zeros one.
    let bits = (double + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Sorts what may be so much that the run is to end meanwhile: then it is not sorted.
pub(crate) fn in_parts<T>(
    all: &mut [T],
    order: impl Fn(&T, &T) -> Ordering,
    warnings: &mut Warnings,
) -> bool {
    let mut part = PART;
    loop {
        for some in all.chunks_mut(part) {
            if warnings.step(some.len()) {
                return false;
            }
            // It takes what is in order already as it is: two sorted halves are merged.
            some.sort_by(&order);
        }
        if part >= all.len() {
            return true;
        }
        part *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::typing::of_type;
    use crate::value::Type;

    #[test]
    fn a_lower_rank_comes_first() {
        let big = 1_u64 << 53;
        let numbers = [
            Value::Null,
            Value::Int(i64::MIN),
            Value::Float(-1.5),
            Value::Int(-1),
            Value::Float(-0.0),
            Value::UInt(0),
            Value::Float(0.5),
            Value::UInt(1),
            Value::UInt(big),
            Value::UInt(big + 1),
            Value::UInt(u64::MAX),
            Value::Float(f64::INFINITY),
        ];
        let texts =
            ["", "\0", "a", "a\0", "ab", "kmalloc-8", "kmalloc-8k", "z", "ü"].map(Value::text);
        let lists = [Value::Null, Value::List([].into()), Value::List([b"a"[..].into()].into())];
        let bools = [Value::Null, Value::Bool(false), Value::Bool(true)];
        for (descending, nulls_first) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let expr = of_type(Type::Text);
            let key = Key { expr, descending, nulls_first };
            for values in [&numbers[..], &texts, &lists, &bools] {
                for (left, right) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b)))
                {
                    let (ranks, order) =
                        (key.rank(left).cmp(&key.rank(right)), key.order(left, right));
                    assert!(ranks.is_eq() || ranks == order, "{left:?} {right:?} {key:?}");
                }
            }
        }
    }
}
