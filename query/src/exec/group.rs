//! Makes groups of rows.
//!
//! Groups stand in the order of their first rows. A group's row is its keys, then its aggregates.
//!
//! # Invariants
//!
//! - NULL is a key like another: rows without a value are a group.
//! - Without keys all rows are one group, and it is there even if they are not.
//! - The totals take all that the groups take, not what these came to: no mean is one of means.

use std::collections::{HashMap, HashSet};

use super::identity::encode;
use crate::aggregate::Accumulator;
use crate::bound::{Expr, ExprKind};
use crate::eval::{self, Warnings};
use crate::plan;
use crate::plan::group::InKernel;
use crate::value::Value;

/// The groups so far.
pub(super) struct Groups<'a> {
    group: &'a plan::Group,
    /// Where a row says how many rows it stands for, if it does.
    times: Option<usize>,
    /// The number of the group of a key, by its bytes.
    numbers: HashMap<Box<[u8]>, usize>,
    states: Vec<State>,
    /// What all rows come to, if it is asked for.
    totals: Option<State>,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

/// A group.
struct State {
    keys: Vec<Value>,
    aggregates: Vec<Box<dyn Accumulator>>,
    /// Of each aggregate over distinct values those that it has seen; nothing where there is no such aggregate.
    seen: Vec<HashSet<Box<[u8]>>>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(group: &'a plan::Group, times: Option<usize>) -> Self {
        let totals = group.totals.map(|_| State::new(vec![Value::Null; group.keys.len()], group));
        let (numbers, bytes) = (HashMap::new(), Vec::new());
        let mut groups = Self { group, times, numbers, states: Vec::new(), totals, bytes };
        if group.keys.is_empty() {
            groups.begin(Vec::new());
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
        for key in &self.group.keys {
            with(&key.expr, row, warnings, |value, _| encode(value, &mut self.bytes));
        }
        let number = self.found().unwrap_or_else(|| {
            let keys = self.group.keys.iter().map(|key| warnings.again(&key.expr, row)).collect();
            self.begin(keys)
        });
        let (state, bytes) = (&mut self.states[number], &mut self.bytes);
        for (index, aggregate) in self.group.aggregates.iter().enumerate() {
            let mut add = |value: &Value, warnings: &mut Warnings| {
                state.add(index, aggregate.distinct, (value, times), bytes, warnings);
                if let Some(totals) = &mut self.totals {
                    totals.add(index, aggregate.distinct, (value, times), bytes, warnings);
                }
            };
            match &aggregate.argument {
                None => add(&Value::Bool(true), warnings),
                Some(argument) => with(argument, row, warnings, |value, warnings| {
                    if *value != Value::Null {
                        add(value, warnings);
                    }
                }),
            }
        }
    }

    /// Adds a row of the kernel that is a group itself: its keys, then what its aggregates have come to.
    fn merge(&mut self, row: &[Value], kernel: &InKernel) {
        let (keys, mut words) = row.split_at(kernel.keys.len().min(row.len()));
        self.bytes.clear();
        for key in keys {
            encode(key, &mut self.bytes);
        }
        let number = self.found().unwrap_or_else(|| self.begin(keys.to_vec()));
        for (index, part) in kernel.parts.iter().enumerate() {
            let (these, rest) = words.split_at(part.sum.words().min(words.len()));
            for state in [&mut self.states[number]].into_iter().chain(&mut self.totals) {
                state.aggregates[index].merge(these);
            }
            words = rest;
        }
    }

    /// The number of the group whose bytes are at hand.
    fn found(&self) -> Option<usize> {
        self.numbers.get(&*self.bytes).copied()
    }

    /// The rows of the groups, and that of the totals.
    pub(super) fn finish(self, warnings: &mut Warnings) -> (Vec<Vec<Value>>, Option<Vec<Value>>) {
        let Self { group, states, totals, .. } = self;
        let mut row = |state: State, is_totals: bool| {
            let mut row = state.keys;
            let made = state.aggregates.into_iter().zip(&group.aggregates);
            row.extend(made.map(|(made, aggregate)| made.finish(aggregate.result.ty, warnings)));
            row.extend(group.totals.map(|_| Value::Bool(is_totals)));
            row
        };
        let rows = states.into_iter().map(|state| row(state, false)).collect();
        (rows, totals.map(|state| row(state, true)))
    }

    /// Begins the group of `keys`, whose bytes are at hand.
    fn begin(&mut self, keys: Vec<Value>) -> usize {
        let number = self.states.len();
        self.numbers.insert((*self.bytes).into(), number);
        self.states.push(State::new(keys, self.group));
        number
    }
}

impl State {
    fn new(keys: Vec<Value>, group: &plan::Group) -> Self {
        let aggregates = &group.aggregates;
        Self {
            keys,
            aggregates: aggregates.iter().map(|made| (made.function.begin)(made)).collect(),
            seen: if aggregates.iter().any(|made| made.distinct) {
                aggregates.iter().map(|_| HashSet::new()).collect()
            } else {
                Vec::new()
            },
        }
    }

    /// Adds a value so many times to an aggregate; `bytes` is room for its own.
    fn add(
        &mut self,
        index: usize,
        distinct: bool,
        (value, mut times): (&Value, u64),
        bytes: &mut Vec<u8>,
        warnings: &mut Warnings,
    ) {
        if distinct {
            bytes.clear();
            encode(value, bytes);
            if !self.seen[index].insert((**bytes).into()) {
                return;
            }
            times = 1;
        }
        self.aggregates[index].add_times(value, times, warnings);
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
        assert_eq!((COMPILED.get() - before, groups.states.len()), (2000, 2000));
    }
}
