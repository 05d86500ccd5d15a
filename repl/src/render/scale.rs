//! Keeps the rows of a picture and finds how long the bars of its columns are.

use query::output::OutputColumn;
use query::value::{Unit, Value};

use super::format::Frame;

/// Rows, and the greatest value of each column that has bars.
#[derive(Default)]
pub struct Scaled {
    pub rows: Vec<Vec<Value>>,
    tops: Vec<Option<f64>>,
}

/// Whether a column has bars: numbers that neither tell rows apart nor are addresses.
pub fn has_bars(column: &OutputColumn) -> bool {
    column.ty.is_number() && column.unit != Unit::Hex && !column.identifies
}

impl Scaled {
    pub fn new(frame: &Frame) -> Self {
        // A part of a whole is drawn as one, however small the greatest is.
        let top = |column: &OutputColumn| {
            has_bars(column).then_some(if column.unit == Unit::Bar { 1.0 } else { 0.0 })
        };
        Self { rows: Vec::new(), tops: frame.columns.iter().map(top).collect() }
    }

    pub fn add(&mut self, frame: &Frame, rows: &[Vec<Value>]) {
        // Beside the totals, parts of them would have no bars to speak of.
        for row in rows.iter().filter(|row| !frame.is_totals(row)) {
            for (top, value) in self.tops.iter_mut().zip(row) {
                if let (Some(top), Some(number)) = (top, value.float()) {
                    *top = top.max(number);
                }
            }
        }
        self.rows.extend_from_slice(rows);
    }

    /// Whether a column has bars.
    pub fn has_bars(&self, column: usize) -> bool {
        self.tops[column].is_some()
    }

    /// The length of a value's bar, from 0 to 1; none where there is no bar.
    pub fn part(&self, column: usize, value: &Value) -> Option<f64> {
        let (top, number) = (self.tops[column]?, value.float()?);
        (number > 0.0).then(|| number / top)
    }
}

/// A printable text within the markup of HTML and SVG.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
