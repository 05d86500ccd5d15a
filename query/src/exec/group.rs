//! Makes groups of rows.
//!
//! Groups stand in the order of their first rows. A group's row is its keys, then its aggregates.
//!
//! # Invariants
//!
//! - NULL is a key like another: rows without a value are a group.
//! - Without keys all rows are one group, and it is there even if they are not.
//! - The totals take all that the groups take, not what these came to: no mean is one of means.

use super::identity::{decode, encode};
use super::keys::Keys;
use crate::aggregate::Accumulators;
use crate::bound::{Expr, ExprKind};
use crate::eval::{self, Warnings};
use crate::plan;
use crate::plan::group::InKernel;
use crate::value::{Type, Value};

/// The groups so far.
pub(super) struct Groups<'a> {
    group: &'a plan::Group,
    /// Where a row says how many rows it stands for, if it does.
    times: Option<usize>,
    /// The keys of each group.
    keys: Keys,
    aggregates: Vec<Aggregate<'a>>,
    /// How many groups were given back already.
    given: usize,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

/// An aggregate in every group. Where there are totals they are its first one.
struct Aggregate<'a> {
    argument: Option<&'a Expr>,
    result: Type,
    values: Box<dyn Accumulators>,
    /// The values that it has seen, each behind the number of its group, if it is one over distinct values.
    seen: Option<Keys>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(group: &'a plan::Group, times: Option<usize>) -> Self {
        let aggregate = |of: &'a crate::bound::Aggregate| Aggregate {
            argument: of.argument.as_ref(),
            result: of.result.ty,
            values: (of.function.begin)(of),
            seen: of.distinct.then(Keys::new),
        };
        let aggregates = group.aggregates.iter().map(aggregate).collect();
        let (keys, bytes) = (Keys::new(), Vec::new());
        let mut groups = Self { group, times, keys, aggregates, given: 0, bytes };
        if group.totals.is_some() {
            groups.begin();
        }
        if group.keys.is_empty() {
            groups.number();
        }
        groups
    }

    /// Adds a row to its group.
    pub(super) fn add(&mut self, row: &[Value], warnings: &mut Warnings) {
        let times = self.times.and_then(|at| row.get(at)?.unsigned()).unwrap_or(1);
        self.add_times(row, times, warnings);
    }

    /// Adds so many equal rows to their group.
    pub(super) fn add_times(&mut self, row: &[Value], times: u64, warnings: &mut Warnings) {
        if warnings.step(self.group.aggregates.len() + 1) {
            return;
        }
        match &self.group.kernel {
            Ok(kernel) => self.merge(row, kernel),
            Err(_) => self.add_inputs(row, times, warnings),
        }
    }

    /// Adds a row of inputs.
    fn add_inputs(&mut self, row: &[Value], times: u64, warnings: &mut Warnings) {
        self.bytes.clear();
        let before = warnings.texts;
        for key in &self.group.keys {
            with(&key.expr, row, warnings, |value, _| encode(value, &mut self.bytes));
        }
        let (number, new) = self.number();
        // Of the texts that are made here only the keys of a new group stay.
        let held = before + if new { self.bytes.len() } else { 0 };
        let (bytes, totals) = (&mut self.bytes, self.group.totals.map(|_| 0));
        for aggregate in &mut self.aggregates {
            let argument = aggregate.argument;
            let mut add = |value: &Value, warnings: &mut Warnings| {
                for number in [number].into_iter().chain(totals) {
                    aggregate.add(number, (value, times), bytes, warnings);
                }
            };
            match argument {
                None => add(&Value::Bool(true), warnings),
                Some(argument) => with(argument, row, warnings, |value, warnings| {
                    if *value != Value::Null {
                        add(value, warnings);
                    }
                }),
            }
        }
        warnings.texts = held;
    }

    /// Adds a row of the kernel that is a group itself: its keys, then what its aggregates have come to.
    fn merge(&mut self, row: &[Value], kernel: &InKernel) {
        let (keys, mut words) = row.split_at(kernel.keys.len().min(row.len()));
        self.bytes.clear();
        for key in keys {
            encode(key, &mut self.bytes);
        }
        let (number, _) = self.number();
        let totals = self.group.totals.map(|_| 0);
        for (aggregate, part) in self.aggregates.iter_mut().zip(&kernel.parts) {
            let (these, rest) = words.split_at(part.sum.words().min(words.len()));
            for number in [number].into_iter().chain(totals) {
                aggregate.values.merge(number, these);
            }
            words = rest;
        }
    }

    /// The group whose keys' bytes are at hand, by its number in the aggregates, and whether it is a new one.
    fn number(&mut self) -> (usize, bool) {
        let (number, new) = self.keys.number(&self.bytes);
        if new {
            self.begin();
        }
        (self.first() + number, new)
    }

    /// Where the groups of keys begin in the aggregates.
    fn first(&self) -> usize {
        usize::from(self.group.totals.is_some())
    }

    fn begin(&mut self) {
        self.aggregates.iter_mut().for_each(|aggregate| aggregate.values.begin());
    }

    /// The rows of so many groups more; none when all were given.
    pub(super) fn give(&mut self, count: usize, warnings: &mut Warnings) -> Vec<Vec<Value>> {
        let from = self.given;
        self.given = from.saturating_add(count).min(self.keys.len());
        (from..self.given).map(|number| self.row(Some(number), warnings)).collect()
    }

    /// The row of the totals, if they are asked for.
    pub(super) fn totals(&mut self, warnings: &mut Warnings) -> Option<Vec<Value>> {
        self.group.totals.map(|_| self.row(None, warnings))
    }

    /// The row of the group of this number, or of the totals.
    fn row(&mut self, number: Option<usize>, warnings: &mut Warnings) -> Vec<Value> {
        warnings.step(self.group.aggregates.len() + 1);
        let at = number.map_or(0, |number| self.first() + number);
        let mut bytes = number.map_or(&[][..], |number| self.keys.get(number));
        let keys = self.group.keys.iter().map(|_| decode(&mut bytes));
        let results = self.aggregates.iter_mut();
        let results = results.map(|made| made.values.take(at, made.result, warnings));
        let is_totals = self.group.totals.map(|_| Value::Bool(number.is_none()));
        keys.chain(results).chain(is_totals).collect()
    }
}

impl Aggregate<'_> {
    /// Adds a value so many times to a group; `bytes` is room for its own.
    fn add(
        &mut self,
        group: usize,
        (value, mut times): (&Value, u64),
        bytes: &mut Vec<u8>,
        warnings: &mut Warnings,
    ) {
        if let Some(seen) = &mut self.seen {
            bytes.clear();
            bytes.extend(group.to_le_bytes());
            encode(value, bytes);
            let (_, new) = seen.number(bytes);
            if !new {
                return;
            }
            times = 1;
        }
        self.values.add_times(group, value, times, warnings);
    }
}

/// Calls `take` with the value of `expr`; that of an input is not copied for it.
fn with(
    expr: &Expr,
    row: &[Value],
    warnings: &mut Warnings,
    take: impl FnOnce(&Value, &mut Warnings),
) {
    if let ExprKind::Input(input) = expr.kind {
        return take(row.get(input).unwrap_or(&Value::Null), warnings);
    }
    let value = eval::eval(expr, row, warnings);
    take(&value, warnings);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::{Item, Range};
    use crate::diagnostic::Span;
    use crate::pattern::COMPILED;
    use crate::syntax::ast::MatchOp;
    use crate::value::{Type, Unit};

    #[test]
    fn each_pattern_of_a_column_is_compiled_once() {
        let expr = |kind, ty| Expr {
            kind,
            ty,
            unit: Unit::None,
            range: Range::UINT,
            span: Span::default(),
            column: None,
        };
        let input = |number| expr(ExprKind::Input(number), Type::Text);
        let matches = ExprKind::MatchBy(MatchOp::Regex, input(0).into(), input(1).into());
        let keys = [input(0), expr(matches, Type::Bool)];
        let keys = keys.map(|expr| Item { name: String::new(), expr });
        let group = plan::Group {
            keys: keys.into(),
            aggregates: Vec::new(),
            totals: None,
            kernel: Err("patterns are matched in user space"),
        };
        let (mut groups, mut warnings) = (Groups::new(&group, None), Warnings::default());
        let before = COMPILED.get();
        for _ in 0..3 {
            for number in 0..2000 {
                let [name, pattern] = [format!("n{number}"), format!("^n{number}?$")]
                    .map(|text| Value::Text(text.into_bytes().into()));
                groups.add(&[name, pattern], &mut warnings);
            }
        }
        assert_eq!((COMPILED.get() - before, groups.keys.len()), (2000, 2000));
    }
}
