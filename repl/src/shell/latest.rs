//! The answer that was shown last.

use query::bound::Key;
use query::output::Output;
use query::plan::Plan;
use query::value::Value;

/// The most rows of an answer that are kept.
pub const KEPT: usize = 100_000;

/// An answer that was shown.
#[derive(Clone, Debug)]
pub struct Latest {
    /// Its columns and rows.
    pub output: Output,
    /// How many rows it had: more than [`KEPT`] are not there any more.
    pub count: usize,
    /// The columns that it is sorted by.
    pub sorted: Vec<usize>,
    /// The table that it is of, if it is of one.
    pub table: Option<&'static str>,
}

/// An answer without the totals of `with totals`, and without the column that marks them.
pub fn without_totals(mut answer: Output) -> Output {
    if let Some(at) = answer.columns.iter().position(|column| column.totals) {
        answer.rows.retain(|row| row[at] != Value::Bool(true));
        answer.columns.remove(at);
        for row in &mut answer.rows {
            row.remove(at);
        }
    }
    answer
}

/// The items of a plan that its rows are sorted by, as the query's text names them: by heading or by number.
pub fn sorted_by(plan: &Plan, text: &str) -> Vec<usize> {
    let item = |key: &Key| {
        let word = text.get(key.expr.span.start..key.expr.span.end)?;
        let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        number.or_else(|| plan.items().iter().position(|item| item.name.eq_ignore_ascii_case(word)))
    };
    plan.order_by().iter().filter_map(item).collect()
}
