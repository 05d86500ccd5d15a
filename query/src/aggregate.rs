//! The aggregates of the language: a row each.
//!
//! An aggregate makes one value of the rows of a group. Of all but `count(*)` the argument is what counts: rows where
//! it is NULL are passed over. What each one does with values is `exec::group`'s business.

use crate::function::{Signature, sig};

/// An aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // AGGREGATES says what each one is
pub enum Aggregate {
    Avg,
    Count,
    GroupConcat,
    Histogram,
    Max,
    Median,
    Min,
    Percentile,
    Stddev,
    Sum,
}

/// All aggregates, by name.
#[rustfmt::skip]
pub static AGGREGATES: &[Signature<Aggregate>] = &[
    sig("avg",          Aggregate::Avg,         (1, 1), "avg(x)",             "The mean, a float."),
    sig("count",        Aggregate::Count,       (1, 1), "count(x)",           "The rows of the group where x is not NULL; `count(*)` counts all of them."),
    sig("group_concat", Aggregate::GroupConcat, (1, 2), "group_concat(x, ', ')", "The values as one text, in the order of the rows, with a comma between them or what is given."),
    sig("histogram",    Aggregate::Histogram,   (1, 1), "histogram(x)",       "How many values lie between powers of two: `[4K, 8K): 12`; a list."),
    sig("max",          Aggregate::Max,         (1, 1), "max(x)",             "The greatest value; `greatest` is that of several arguments."),
    sig("median",       Aggregate::Median,      (1, 1), "median(x)",          "The value in the middle, of two the mean; a float."),
    sig("min",          Aggregate::Min,         (1, 1), "min(x)",             "The least value; `least` is that of several arguments."),
    sig("percentile",   Aggregate::Percentile,  (2, 2), "percentile(x, 95)",  "What so many percent of the values, from 0 to 100, are not above; between two values in proportion, a float."),
    sig("stddev",       Aggregate::Stddev,      (1, 1), "stddev(x)",          "The standard deviation of a sample, a float; NULL of a single value."),
    sig("sum",          Aggregate::Sum,         (1, 1), "sum(x)",             "The sum; NULL where there is nothing to add, and with a warning where 64 bits do not hold it."),
];

/// The aggregate of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Signature<Aggregate>> {
    AGGREGATES.iter().find(|signature| signature.name == name)
}

/// The signature of an aggregate.
#[must_use]
pub fn signature(aggregate: Aggregate) -> &'static Signature<Aggregate> {
    // Every aggregate has a row, as the test below says.
    AGGREGATES.iter().find(|signature| signature.function == aggregate).unwrap_or(&AGGREGATES[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function;

    #[test]
    fn rows_are_sorted_and_well_formed() {
        assert!(AGGREGATES.is_sorted_by_key(|signature| signature.name));
        for signature in AGGREGATES {
            assert!(signature.call.starts_with(signature.name), "{}", signature.name);
            assert!(signature.doc.ends_with('.'), "{}", signature.name);
            assert_eq!(super::signature(signature.function).name, signature.name);
            assert!(function::find(signature.name).is_none(), "{}", signature.name);
        }
    }
}
