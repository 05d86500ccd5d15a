//! Sums an answer up: a row for each of its columns, with how many values it has, how many of them differ, the least and
//! the greatest, the quartiles, and a small histogram.
//!
//! Quartiles and histograms are of numbers. Quartiles are interpolated as `percentile` does it. A character of the
//! histogram is a power of two, from that of the least value to that of the greatest, as in `histogram(x)`; the taller
//! it is, the more values lie there.

use std::cmp::Ordering;
use std::collections::HashSet;

use query::aggregate;
use query::exec::identity;
use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use crate::render::{Options, plain, shown, spark};

/// Makes the summary, with values as people or as programs read them.
#[must_use]
pub fn summary(answer: &Output, options: &Options, for_people: bool) -> Output {
    let text = |name: &str| OutputColumn::new(name, Type::Text, Unit::None);
    let count = |name: &str| OutputColumn::new(name, Type::UInt, Unit::Count);
    let mut columns = vec![text("column"), count("values"), count("nulls"), count("distinct")];
    columns.extend(["min", "q25", "median", "q75", "max", "histogram"].map(text));
    let written = |value: &Value, column: &OutputColumn| {
        let text = if for_people {
            shown(value, column, options)
        } else {
            plain(value, column).map(|text| String::from_utf8_lossy(&text).into_owned())
        };
        text.map_or(Value::Null, Value::text)
    };
    let row = |(at, column): (usize, &OutputColumn)| {
        let mut values: Vec<&Value> =
            answer.rows.iter().map(|row| &row[at]).filter(|value| **value != Value::Null).collect();
        let distinct: HashSet<_> = values.iter().map(|value| identity::key([*value])).collect();
        values.sort_by(|a, b| a.compare(b).unwrap_or(Ordering::Equal));
        let number = |number: usize| Value::UInt(number as u64);
        let ends = [values.first(), values.last()]
            .map(|value| value.map_or(Value::Null, |value| written(value, column)));
        let [min, max] = ends;
        let quartile = |part| quartile(&values, part).map_or(Value::Null, |x| written(&x, column));
        let quartiles = [0.25, 0.5, 0.75].map(quartile);
        let [q25, median, q75] =
            if column.ty.is_number() { quartiles } else { [const { Value::Null }; 3] };
        let (all, nulls) = (number(values.len()), number(answer.rows.len() - values.len()));
        let name = Value::text(&column.name);
        let picture = if column.ty.is_number() { histogram(&values) } else { Value::Null };
        vec![name, all, nulls, number(distinct.len()), min, q25, median, q75, max, picture]
    };
    let rows = answer.columns.iter().enumerate().map(row).collect();
    Output { columns, rows, warnings: Vec::new() }
}

/// The value that this part of sorted numbers are not above; between two of them in proportion.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quartile(values: &[&Value], part: f64) -> Option<Value> {
    let place = part * values.len().checked_sub(1)? as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let low = values[below];
    let next = values.get(below + 1).filter(|_| part > 0.0).unwrap_or(&low);
    if low == *next {
        return Some(low.clone());
    }
    let (low, next) = (low.float()?, next.float()?);
    Some(Value::real(low * (1.0 - part) + next * part))
}

/// A character for each power of two between the least and the greatest of sorted numbers.
#[allow(clippy::cast_precision_loss)] // the height of a bar
fn histogram(values: &[&Value]) -> Value {
    let counts: Vec<f64> =
        aggregate::buckets(values.iter().copied()).iter().map(|(_, count)| *count as f64).collect();
    if counts.is_empty() { Value::Null } else { Value::text(spark(&counts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_of_a_column() {
        let columns = vec![
            OutputColumn::new("name", Type::Text, Unit::None),
            OutputColumn::new("size", Type::UInt, Unit::Bytes),
            OutputColumn::new("none", Type::Int, Unit::Count),
        ];
        let row = |name: &str, size| vec![Value::text(name), Value::UInt(size), Value::Null];
        let rows = vec![row("b", 64), row("a", 64), row("a", 4096), row("c", 0)];
        let answer = Output { columns, rows, warnings: vec![] };
        let texts = |for_people| -> Vec<String> {
            let summary = summary(&answer, &Options::default(), for_people);
            let column = |at: usize| &summary.columns[at];
            let cells = |row: &Vec<Value>| {
                let cell = |(at, value)| shown(value, column(at), &Options::default());
                let cells = row.iter().enumerate().map(cell);
                cells.map(|cell| cell.unwrap_or("-".to_owned())).collect::<Vec<_>>().join(" ")
            };
            summary.rows.iter().map(cells).collect()
        };
        assert_eq!(
            texts(true),
            [
                "name 4 0 3 a - - - c -",
                "size 4 0 3 0 B 48 B 64 B 1.0 KiB 4.0 KiB ▄      █     ▄",
                "none 0 4 0 - - - - - -",
            ]
        );
        assert_eq!(texts(false)[1], "size 4 0 3 0 48.0 64 1072.0 4096 ▄      █     ▄");
    }

    #[test]
    fn quartiles_are_interpolated() {
        let of = |values: &[u64], part| {
            let values: Vec<Value> = values.iter().copied().map(Value::UInt).collect();
            quartile(&values.iter().collect::<Vec<_>>(), part)
        };
        assert_eq!(of(&[], 0.5), None);
        assert_eq!(of(&[7], 0.25), Some(Value::UInt(7)));
        assert_eq!(of(&[1, 2], 0.5), Some(Value::Float(1.5)));
        assert_eq!(of(&[10, 20, 30, 40], 0.25), Some(Value::Float(17.5)));
        assert_eq!(of(&[u64::MAX; 4], 0.75), Some(Value::UInt(u64::MAX)));
    }
}
