//! What differs between two moments, what grew most first.

use query::catalog::host::DIFF;
use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::engine::Ask;
use crate::engine::snapshot::{Snapshot, bytes, compare};
use crate::render::{Options, shown};
use crate::report::error::Failure;
use crate::source::recording::named::LIVE;

/// What differs between the snapshots of one word, or two, as an answer with its notes; and what all of it comes to, as
/// a line.
pub fn diff(
    ask: &mut dyn Ask,
    words: &[&str],
    options: &Options,
) -> Result<(Output, String), Failure> {
    let (before, after) = match words {
        [before] => (*before, LIVE),
        [before, after] => (*before, *after),
        _ => {
            let help = "`diff before.slab after.slab`, or `diff before.slab` to compare with the running kernel";
            return Err(Failure::command("`diff` takes one snapshot or two", Some(help)));
        }
    };
    let (before, after) = (Snapshot::of(before, ask)?, Snapshot::of(after, ask)?);
    let mut warnings = Vec::new();
    let mut rows = compare(&before, &after, &mut warnings);
    let total = total(&rows, options);
    let cell = |row: &Vec<Value>, name| at(name).and_then(|at| row[at].integer());
    rows.retain(|row| !at("state").is_some_and(|at| row[at] == Value::text("same")));
    rows.sort_by(|left, right| {
        let growth = |row| {
            (cell(row, "delta_memory"), cell(row, "delta_active"), cell(row, "delta_objects"))
        };
        growth(right).cmp(&growth(left)).then_with(|| bytes(&left[0]).cmp(&bytes(&right[0])))
    });
    let shown: Vec<usize> = DIFF.star.iter().filter_map(|name| at(name)).collect();
    let column = |at: &usize| {
        let column = &DIFF.columns[*at];
        let change = column.is_change();
        OutputColumn { change, ..OutputColumn::new(column.name, column.ty, column.unit) }
    };
    let columns = shown.iter().map(column).collect();
    let pick = |row: &Vec<Value>| shown.iter().map(|at| row[*at].clone()).collect();
    let rows = rows.iter().map(pick).collect();
    Ok((Output { columns, rows, warnings }, total))
}

/// The place of a column of the table.
fn at(name: &str) -> Option<usize> {
    DIFF.columns.iter().position(|column| column.name == name)
}

/// What all rows come to, in a line.
fn total(rows: &[Vec<Value>], options: &Options) -> String {
    let signed = |name, unit| {
        let deltas = rows.iter().filter_map(|row| at(name).and_then(|at| row[at].integer()));
        let (known, sum) = deltas.fold((0, 0_i128), |(known, sum), delta| (known + 1, sum + delta));
        let value = match (i64::try_from(sum), u64::try_from(sum)) {
            _ if known == 0 && !rows.is_empty() => return "unknown".to_owned(),
            (Ok(sum), _) => Value::Int(sum),
            (_, Ok(sum)) => Value::UInt(sum),
            _ => return "beyond 64 bits".to_owned(),
        };
        let column = OutputColumn::new(name, Type::Int, unit);
        let text = shown(&value, &column, options).unwrap_or_default();
        let of = if known < rows.len() { format!(" (of {known})") } else { String::new() };
        if sum > 0 { format!("+{text}{of}") } else { text + &of }
    };
    let states = ["grown", "shrunk", "new", "gone"].map(|state| {
        let is = |row: &&Vec<Value>| at("state").is_some_and(|at| row[at] == Value::text(state));
        format!("{} {state}", rows.iter().filter(is).count())
    });
    format!(
        "{}, of {} caches: memory {}, active {}, objects {}",
        states.join(", "),
        rows.len(),
        signed("delta_memory", Unit::Bytes),
        signed("delta_active", Unit::Count),
        signed("delta_objects", Unit::Count)
    )
}
