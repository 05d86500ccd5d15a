//! Keeps what a watch saw in its last tick, and fills what changed since.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::identity::{self, Before, Key};
use crate::delta::{Change, Delta, TICKS};
use crate::eval::{self, Warnings};
use crate::plan::Compare;
use crate::value::{Value, digits};

/// What there was in the tick before; nothing in the first one.
#[derive(Debug, Default)]
pub struct PreviousTick {
    /// When this tick is, and how many seconds after the one before.
    at: Option<Duration>,
    seconds: Option<f64>,
    /// One for each operator that compares.
    levels: Vec<Level>,
}

/// The rows of a tick, and of the one before it.
#[derive(Debug, Default)]
struct Level {
    before: Rows,
    now: Rows,
}

/// The keys of rows, and of each change the values that it is computed of.
#[derive(Debug, Default)]
struct Rows {
    keys: Vec<Key>,
    values: Vec<Vec<Value>>,
}

impl PreviousTick {
    /// Begins the tick at `at`, as the watch's clock has it.
    pub fn begin(&mut self, at: Duration) {
        self.seconds = self.at.map(|before| at.saturating_sub(before).as_secs_f64());
        self.at = Some(at);
        for level in &mut self.levels {
            level.before = std::mem::take(&mut level.now);
        }
    }

    /// Whether there is no tick to compare with.
    pub(super) fn is_first(&self) -> bool {
        self.seconds.is_none()
    }

    /// Fills the changes of all rows of operator number `number` of those that compare. Gives whether there were
    /// rows that nothing tells apart.
    pub(super) fn fill(
        &mut self,
        number: usize,
        compare: &Compare,
        rows: &mut [Vec<Value>],
        warnings: &mut Warnings,
    ) -> bool {
        if self.levels.len() <= number {
            self.levels.resize_with(number + 1, Level::default);
        }
        self.levels[number].fill(compare, self.seconds, rows, warnings)
    }
}

impl Level {
    fn fill(
        &mut self,
        Compare { identity, changes }: &Compare,
        seconds: Option<f64>,
        rows: &mut [Vec<Value>],
        warnings: &mut Warnings,
    ) -> bool {
        self.now.keys =
            rows.iter().map(|row| identity::key(identity.iter().map(|at| &row[*at]))).collect();
        let matched = identity::matched(&self.before.keys, &self.now.keys);
        let mut unknown = false;
        for (number, (at, change)) in changes.iter().enumerate() {
            let mut now: Vec<Value> =
                rows.iter().map(|row| eval::eval(&change.of, row, warnings)).collect();
            let before = self.before.values.get(number).map_or(&[][..], Vec::as_slice);
            let rested = if matched.before.contains(&Before::Unknown) {
                rested([(&self.before.keys, before), (&self.now.keys, &now)])
            } else {
                HashSet::new()
            };
            if change.change == Change::Ticks {
                for ((row, value), of) in rows.iter_mut().zip(&mut now).zip(&matched.before) {
                    let before = if let Before::Row(of) = of { before.get(*of) } else { None };
                    *value = lengthened(before, value);
                    row.resize(row.len().max(at + 1), Value::Null);
                    row[*at] = value.clone();
                }
                self.now.values.push(now);
                continue;
            }
            if change.change.is_value() {
                let first = change.change == Change::First;
                for ((row, value), of) in rows.iter_mut().zip(&mut now).zip(&matched.before) {
                    match of {
                        Before::Row(of) if first => *value = before[*of].clone(),
                        Before::Unknown if first => {
                            *value = Value::Null;
                            unknown = true;
                        }
                        _ => {}
                    }
                    row.resize(row.len().max(at + 1), Value::Null);
                    row[*at] = value.clone();
                }
                self.now.values.push(now);
                continue;
            }
            let keys = self.now.keys.iter();
            for (((row, value), key), of) in
                rows.iter_mut().zip(&now).zip(keys).zip(&matched.before)
            {
                // What changed of a group lies behind what the group is.
                row.resize(row.len().max(at + 1), Value::Null);
                let Some(seconds) = seconds else { continue };
                let before = match of {
                    Before::Row(of) => &before[*of],
                    Before::Unknown if rested.contains(key) => value,
                    Before::Unknown | Before::New => {
                        unknown |= *of == Before::Unknown;
                        continue;
                    }
                };
                row[*at] = difference(change, before, value, seconds, warnings);
            }
            self.now.values.push(now);
        }
        unknown
    }
}

/// The keys whose rows, whichever is which, have the same values at two moments.
fn rested<'a>(moments: [(&'a [Key], &[Value]); 2]) -> HashSet<&'a Key> {
    let mut values: HashMap<&Key, [Vec<Key>; 2]> = HashMap::new();
    for (moment, (keys, of)) in moments.into_iter().enumerate() {
        for (key, value) in keys.iter().zip(of) {
            values.entry(key).or_default()[moment].push(identity::key([value]));
        }
    }
    values.values_mut().flatten().for_each(|values| values.sort_unstable());
    values.into_iter().filter(|(_, [before, now])| before == now).map(|(key, _)| key).collect()
}

/// The values of the ticks before, and the one of this tick; NULL is a text without letters.
fn lengthened(before: Option<&Value>, now: &Value) -> Value {
    let before = match before {
        Some(Value::List(ticks)) => &ticks[(ticks.len() + 1).saturating_sub(TICKS)..],
        _ => &[],
    };
    let text = match (now, now.integer()) {
        (_, Some(number)) => number.to_string(),
        (Value::Float(number), _) => digits(*number),
        _ => String::new(),
    };
    Value::List(before.iter().cloned().chain([text.into_bytes().into()]).collect())
}

/// What lies between two values. A number that fell gives one below 0, whether its type has a sign or not.
fn difference(
    change: &Delta,
    before: &Value,
    now: &Value,
    seconds: f64,
    warnings: &mut Warnings,
) -> Value {
    let exact = match (before.integer(), now.integer()) {
        (Some(before), Some(now)) => Some(now - before),
        _ => None,
    };
    #[allow(clippy::cast_precision_loss)] // a rate is a float
    let float = match (exact, before.float(), now.float()) {
        (Some(exact), ..) => Some(exact as f64),
        (None, Some(before), Some(now)) => Some(now - before),
        _ => None,
    };
    match (exact, float) {
        (Some(exact), _) if change.change == Change::Tick => {
            eval::integer(exact, change.ty, warnings)
        }
        (_, Some(float)) if change.change == Change::Second && seconds > 0.0 => {
            eval::float(float / seconds, warnings)
        }
        (_, Some(float)) if change.change == Change::Tick => eval::float(float, warnings),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bound::{Expr, ExprKind, Range};
    use crate::diagnostic::Span;
    use crate::value::{Type, Unit};

    fn change(change: Change, of: usize) -> Delta {
        let (ty, unit, span) = (Type::UInt, Unit::None, Span::default());
        let of =
            Expr { kind: ExprKind::Input(of), ty, unit, range: Range::UINT, span, column: None };
        let ty = match change {
            Change::Second => Type::Float,
            Change::First | Change::Last => ty,
            Change::Tick | Change::Ticks => Type::Int,
        };
        Delta { change, of, ty, unit, text: String::new(), span }
    }

    /// Rows of an address, a number, and what changed.
    fn row(addr: u64, number: Value) -> Vec<Value> {
        vec![Value::UInt(addr), number, Value::Null, Value::Null, Value::Null]
    }

    /// Goes on to the next tick. Gives its rows, by addresses and numbers.
    fn next(level: &mut Level, numbers: &[(u64, u64)]) -> Vec<Vec<Value>> {
        level.before = std::mem::take(&mut level.now);
        numbers.iter().map(|(addr, number)| row(*addr, Value::UInt(*number))).collect()
    }

    #[test]
    fn what_changed_is_told_by_identity() {
        // The last one is the change of a change.
        let changes = [change(Change::Tick, 1), change(Change::Second, 1), change(Change::Tick, 2)];
        let changes = (2..).zip(changes.map(Arc::new)).collect();
        let compare = Compare { identity: vec![0], changes };
        let mut level = Level::default();
        let mut tick = |numbers: &[(u64, u64)], seconds| {
            let mut rows = next(&mut level, numbers);
            let mut warnings = Warnings::default();
            level.fill(&compare, seconds, &mut rows, &mut warnings);
            assert!(warnings.is_empty());
            rows.into_iter().map(|row| row[2..].to_vec()).collect::<Vec<_>>()
        };
        let null = || vec![Value::Null; 3];
        assert_eq!(tick(&[(1, 10), (2, 20)], None), [null(), null()]);
        assert_eq!(
            tick(&[(2, 20), (1, 7), (3, 5)], Some(2.0)),
            [
                vec![Value::Int(0), Value::Float(0.0), Value::Null],
                vec![Value::Int(-3), Value::Float(-1.5), Value::Null],
                null(),
            ]
        );
        // One that was away for a tick is new again.
        assert_eq!(
            tick(&[(1, 8), (3, 5)], Some(0.5)),
            [
                vec![Value::Int(1), Value::Float(2.0), Value::Int(4)],
                vec![Value::Int(0), Value::Float(0.0), Value::Null],
            ]
        );
        assert_eq!(tick(&[(2, 20)], Some(1.0)), [null()]);
        // Which of two rows is which nothing says, but that neither has changed.
        let zero = || vec![Value::Int(0), Value::Float(0.0), Value::Null];
        assert_eq!(tick(&[(1, 5), (1, 6), (2, 21)], Some(1.0))[..2], [null(), null()]);
        assert_eq!(tick(&[(1, 6), (1, 5), (2, 22)], Some(1.0))[..2], [zero(), zero()]);
        assert_eq!(tick(&[(1, 6), (1, 7), (2, 23)], Some(1.0))[..2], [null(), null()]);
        assert_eq!(tick(&[(1, 6), (2, 24)], Some(1.0))[0], null());
        assert_eq!(tick(&[(1, 6), (1, 6)], Some(1.0)), [null(), null()]);
    }

    #[test]
    fn the_first_value_stays() {
        let changes = [change(Change::First, 1), change(Change::Last, 1)];
        let changes = (2..).zip(changes.map(Arc::new)).collect();
        let compare = Compare { identity: vec![0], changes };
        let mut level = Level::default();
        let mut tick = |numbers: &[(u64, u64)], seconds| {
            let mut rows = next(&mut level, numbers);
            let unknown = level.fill(&compare, seconds, &mut rows, &mut Warnings::default());
            let told = rows.into_iter().map(|row| row[2..4].to_vec()).collect::<Vec<_>>();
            (told, unknown)
        };
        let told = |first, last| vec![Value::UInt(first), Value::UInt(last)];
        assert_eq!(tick(&[(1, 10), (2, 20)], None), (vec![told(10, 10), told(20, 20)], false));
        assert_eq!(
            tick(&[(2, 21), (1, 7), (3, 5)], Some(1.0)),
            (vec![told(20, 21), told(10, 7), told(5, 5)], false)
        );
        // One that was away for a tick is new again.
        assert_eq!(tick(&[(1, 8)], Some(1.0)), (vec![told(10, 8)], false));
        assert_eq!(tick(&[(1, 9), (2, 30)], Some(1.0)), (vec![told(10, 9), told(30, 30)], false));
        // Which of two rows is which nothing says.
        let unknown = |last| vec![Value::Null, Value::UInt(last)];
        let both = tick(&[(1, 9), (1, 6), (2, 31)], Some(1.0));
        assert_eq!(both, (vec![unknown(9), unknown(6), told(30, 31)], true));
    }

    #[test]
    fn differences_are_exact() {
        let mut warnings = Warnings::default();
        let mut of =
            |what, before, now| difference(&change(what, 1), &before, &now, 1.0, &mut warnings);
        let big = 1 << 63;
        assert_eq!(of(Change::Tick, Value::UInt(big), Value::UInt(big + 1)), Value::Int(1));
        assert_eq!(of(Change::Tick, Value::UInt(big), Value::UInt(0)), Value::Int(i64::MIN));
        assert_eq!(of(Change::Tick, Value::Null, Value::UInt(1)), Value::Null);
        assert_eq!(of(Change::Tick, Value::UInt(1), Value::Null), Value::Null);
        assert_eq!(of(Change::Tick, Value::Float(0.5), Value::Float(2.0)), Value::Float(1.5));
        assert_eq!(
            of(Change::Second, Value::UInt(u64::MAX), Value::UInt(u64::MAX - 2)),
            Value::Float(-2.0)
        );
        assert_eq!(of(Change::Tick, Value::UInt(0), Value::UInt(u64::MAX)), Value::UInt(u64::MAX));
        assert_eq!(of(Change::Tick, Value::UInt(u64::MAX), Value::UInt(0)), Value::Null);
        assert_eq!(warnings.range, 1);
        let none = difference(
            &change(Change::Second, 1),
            &Value::UInt(1),
            &Value::UInt(2),
            0.0,
            &mut warnings,
        );
        assert_eq!(none, Value::Null);
    }

    #[test]
    fn the_last_ticks_are_kept() {
        let compare =
            Compare { identity: vec![0], changes: vec![(2, change(Change::Ticks, 1).into())] };
        let mut level = Level::default();
        let mut tick = |values: Vec<(u64, Value)>| {
            level.before = std::mem::take(&mut level.now);
            let mut rows: Vec<_> =
                values.into_iter().map(|(addr, value)| row(addr, value)).collect();
            level.fill(&compare, Some(1.0), &mut rows, &mut Warnings::default());
            rows.into_iter().map(|row| row[2].clone()).collect::<Vec<_>>()
        };
        let list =
            |texts: &[&str]| Value::List(texts.iter().map(|t| t.as_bytes().into()).collect());
        assert_eq!(tick(vec![(1, Value::UInt(7))]), [list(&["7"])]);
        assert_eq!(
            tick(vec![(2, Value::Float(0.5)), (1, Value::Null)]),
            [list(&["0.5"]), list(&["7", ""])]
        );
        assert_eq!(tick(vec![(1, Value::UInt(9))]), [list(&["7", "", "9"])]);
        for _ in 0..TICKS {
            tick(vec![(1, Value::Int(-1))]);
        }
        assert_eq!(tick(vec![(1, Value::Int(-1))]), [list(&["-1"; TICKS])]);
        // One that was away begins anew.
        tick(vec![]);
        assert_eq!(tick(vec![(1, Value::UInt(1))]), [list(&["1"])]);
    }
}
