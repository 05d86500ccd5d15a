//! Makes groups of rows.
//!
//! Groups stand in the order of their first rows. A group's row is its keys, then its aggregates.
//!
//! # Invariants
//!
//! - NULL is a key like another: rows without a value are a group.
//! - Without keys all rows are one group, and it is there even if they are not.

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
    /// The number of the group of a key, by its bytes.
    numbers: HashMap<Box<[u8]>, usize>,
    states: Vec<State>,
    /// The bytes of the row at hand.
    bytes: Vec<u8>,
}

/// A group.
struct State {
    keys: Vec<Value>,
    aggregates: Vec<Box<dyn Accumulator>>,
    /// Of each aggregate over distinct values those that it has seen.
    seen: Vec<HashSet<Box<[u8]>>>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(group: &'a plan::Group) -> Self {
        let mut groups =
            Self { group, numbers: HashMap::new(), states: Vec::new(), bytes: Vec::new() };
        if group.keys.is_empty() {
            groups.begin(Vec::new());
        }
        groups
    }

    /// Adds a row to its group.
    pub(super) fn add(&mut self, row: &[Value], warnings: &mut Warnings) {
        if warnings.step(self.group.aggregates.len() + 1) {
            return;
        }
        match &self.group.kernel {
            Ok(kernel) => self.merge(row, kernel),
            Err(_) => self.add_inputs(row, warnings),
        }
    }

    /// Adds a row of inputs.
    fn add_inputs(&mut self, row: &[Value], warnings: &mut Warnings) {
        self.bytes.clear();
        for key in &self.group.keys {
            with(&key.expr, row, warnings, |value, _| encode(value, &mut self.bytes));
        }
        let number = self.found().unwrap_or_else(|| {
            // What it warned of above it warns of once.
            let mut told = Warnings::default();
            let keys = &self.group.keys;
            let keys = keys.iter().map(|key| eval::eval(&key.expr, row, &mut told)).collect();
            self.begin(keys)
        });
        let state = &mut self.states[number];
        for (index, aggregate) in self.group.aggregates.iter().enumerate() {
            let accumulator = &mut state.aggregates[index];
            let Some(argument) = &aggregate.argument else {
                accumulator.add(&Value::Bool(true), warnings);
                continue;
            };
            with(argument, row, warnings, |value, warnings| {
                if *value == Value::Null {
                    return;
                }
                if aggregate.distinct {
                    self.bytes.clear();
                    encode(value, &mut self.bytes);
                    if !state.seen[index].insert((*self.bytes).into()) {
                        return;
                    }
                }
                accumulator.add(value, warnings);
            });
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
        for (part, made) in kernel.parts.iter().zip(&mut self.states[number].aggregates) {
            let (these, rest) = words.split_at(part.sum.words().min(words.len()));
            made.merge(these);
            words = rest;
        }
    }

    /// The number of the group whose bytes are at hand.
    fn found(&self) -> Option<usize> {
        self.numbers.get(&*self.bytes).copied()
    }

    /// The rows of the groups.
    pub(super) fn finish(self, warnings: &mut Warnings) -> Vec<Vec<Value>> {
        let aggregates = &self.group.aggregates;
        let row = |state: State| {
            let mut row = state.keys;
            let made = state.aggregates.into_iter().zip(aggregates);
            row.extend(made.map(|(made, aggregate)| made.finish(aggregate.result.ty, warnings)));
            row
        };
        self.states.into_iter().map(row).collect()
    }

    /// Begins the group of `keys`, whose bytes are at hand.
    fn begin(&mut self, keys: Vec<Value>) -> usize {
        let number = self.states.len();
        self.numbers.insert((*self.bytes).into(), number);
        let aggregates = &self.group.aggregates;
        self.states.push(State {
            keys,
            aggregates: aggregates.iter().map(|made| (made.function.begin)(made)).collect(),
            seen: aggregates.iter().map(|_| HashSet::new()).collect(),
        });
        number
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
