//! The aggregates of the language: one row each.
//!
//! An aggregate makes one value of the rows of a group. Of all but `count(*)` the argument is what counts: rows where
//! it is NULL are passed over. A row holds the type rule, the state that values are added to, and the words that the
//! kernel adds up where it can.

mod order;
mod sum;
mod text;

use std::fmt;
use std::sync::LazyLock;

use crate::bound::{self, Expr};
use crate::diagnostic::Diagnostic;
use crate::eval::Warnings;
use crate::function::{called, described};
use crate::plan::group::Sum;
use crate::value::{Type, Value};

/// An aggregate.
pub struct Aggregate {
    /// Its name in queries.
    pub name: &'static str,
    /// Other names that mean the same.
    pub aliases: &'static [&'static str],
    /// The fewest and the most arguments.
    pub arguments: (usize, usize),
    /// Whether it takes `*`.
    pub star: bool,
    /// Its call as the documentation shows it.
    pub call: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Checks the argument and the parameter of a call to the aggregate of this name, and returns the value of the
    /// parameter, and the type, unit and range of the result.
    pub ty: TypeRule,
    /// Begins, with no group yet.
    pub begin: Begin,
    /// The words that the kernel adds up for a group, if it can; [`Accumulators::merge`] takes them.
    pub kernel: Option<Sum>,
}

/// Checks the argument and the parameter of a call, and types it.
pub type TypeRule = fn(&str, &Expr, Option<&Expr>) -> Result<Typed, Diagnostic>;

/// The value of a parameter, and the type, unit and range of a result.
pub type Typed = (Value, Expr);

/// Makes the state of a call.
pub type Begin = fn(&bound::Aggregate) -> Box<dyn Accumulators>;

/// An aggregate in every group. Groups are numbered from 0.
pub trait Accumulators {
    /// Begins the next group.
    fn begin(&mut self);

    /// Adds so many equal values, which are not NULL, to a group.
    fn add_times(&mut self, group: usize, value: &Value, times: u64, warnings: &mut Warnings);

    /// Adds the words that values of a group came to in the kernel; see [`Sum`].
    fn merge(&mut self, group: usize, words: &[Value]);

    /// The result of a group, of type `ty`; the group is as it began afterwards.
    fn take(&mut self, group: usize, ty: Type, warnings: &mut Warnings) -> Value;
}

/// The states of all groups beside each other: a state of its own piece of memory each would take longer to allocate
/// and to free than to compute.
struct Each<T> {
    empty: T,
    groups: Vec<T>,
}

/// An aggregate whose groups begin as `empty`.
fn each<T: Accumulator + 'static>(empty: T) -> Box<dyn Accumulators> {
    Box::new(Each { empty, groups: Vec::new() })
}

impl<T: Accumulator> Accumulators for Each<T> {
    fn begin(&mut self) {
        self.groups.push(self.empty.clone());
    }

    fn add_times(&mut self, group: usize, value: &Value, times: u64, warnings: &mut Warnings) {
        self.groups[group].add_times(value, times, warnings);
    }

    fn merge(&mut self, group: usize, words: &[Value]) {
        self.groups[group].merge(words);
    }

    fn take(&mut self, group: usize, ty: Type, warnings: &mut Warnings) -> Value {
        let taken = std::mem::replace(&mut self.groups[group], self.empty.clone());
        taken.finish(ty, warnings)
    }
}

/// The rows of a group so far.
trait Accumulator: Clone {
    /// Adds a value, which is not NULL.
    fn add(&mut self, value: &Value, warnings: &mut Warnings);

    /// Adds so many equal values.
    fn add_times(&mut self, value: &Value, times: u64, warnings: &mut Warnings) {
        for _ in 0..times {
            self.add(value, warnings);
        }
    }

    /// Adds the words that values came to in the kernel; see [`Sum`].
    fn merge(&mut self, words: &[Value]);

    /// The result, of type `ty`.
    fn finish(self, ty: Type, warnings: &mut Warnings) -> Value;
}

/// All aggregates, by name.
pub static AGGREGATES: LazyLock<Vec<&'static Aggregate>> = LazyLock::new(|| {
    let mut all: Vec<&Aggregate> =
        [order::ROWS, sum::ROWS, text::ROWS].into_iter().flatten().collect();
    all.sort_unstable_by_key(|aggregate| aggregate.name);
    all
});

/// The aggregate of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Aggregate> {
    AGGREGATES.iter().find(|aggregate| aggregate.names().any(|known| known == name)).copied()
}

/// Every bucket of `histogram(x)` from that of the least of these numbers to that of the greatest, with how many of them
/// it has.
pub fn buckets<'a>(numbers: impl Iterator<Item = &'a Value>) -> Vec<(String, u64)> {
    text::buckets(numbers)
}

/// The same of what `histogram(x)` gave.
#[must_use]
pub fn buckets_of(list: &[Box<[u8]>]) -> Vec<(String, u64)> {
    text::listed(list)
}

impl Aggregate {
    /// An aggregate that is computed in user space.
    const fn new(
        call: &'static str,
        arguments: (usize, usize),
        doc: &'static str,
        ty: TypeRule,
        begin: Begin,
    ) -> Self {
        let name = called(call);
        Self { name, aliases: &[], arguments, star: false, call, doc, ty, begin, kernel: None }
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn star(mut self) -> Self {
        self.star = true;
        self
    }

    const fn kernel(mut self, sum: Sum) -> Self {
        self.kernel = Some(sum);
        self
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        [self.name].into_iter().chain(self.aliases.iter().copied())
    }

    /// Its sentence, and its other names.
    #[must_use]
    pub fn described(&self) -> String {
        described(self.doc, self.aliases)
    }
}

impl PartialEq for Aggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function;

    #[test]
    fn rows_are_well_formed() {
        for pair in AGGREGATES.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        for aggregate in AGGREGATES.iter() {
            assert!(aggregate.doc.ends_with('.'), "{}", aggregate.name);
            for name in aggregate.names() {
                assert!(function::find(name).is_none(), "{name}");
                assert!(find(name) == Some(aggregate), "{name}");
            }
        }
    }
}
