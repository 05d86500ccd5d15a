//! Draws an answer: stacks with a weight as a [flame graph](super::flame), everything else as a line a row, with bars behind its numbers, as an SVG image for a report or a page.
//!
//! ```text
//! name                 memory
//! ext4_inode_cache  167.2 MiB ██████████
//! radix_tree_node    83.1 MiB █████
//! ```
//!
//! The font is whatever fixed one the viewer has, and its width is not known here: columns are as wide as 60 % of the
//! font's size for each character, which none of the usual ones exceeds. Long texts are cut, with the whole one as a title
//! that a viewer shows where the pointer rests; numbers are not.

use std::borrow::Cow;
use std::io::{self, Write};

use query::value::Value;

use super::flame::Flame;
use super::format::{Capacity, FormatRow, Frame, Rows};
use super::grid::width;
use super::scale::{Scaled, escaped};
use super::stacks::Stacks;

/// What `svg` is.
pub static SVG: FormatRow = FormatRow {
    name: "svg",
    endings: &["svg"],
    help: "an image: a line per row, with bars, or a flame graph of stacks",
    for_people: true,
    capacity: Capacity::One,
    stacks_only: false,
    begin: |frame, _| {
        Ok(match Stacks::of_format(SVG.name, &frame.columns) {
            Ok(stacks) => Box::new(Flame::new(stacks)),
            // What is no stack with a weight is drawn as it is.
            Err(_) => Box::new(Image(Scaled::new(frame))),
        })
    },
};

/// Pixels of a character, of a line, between columns and of the longest bar.
const CHARACTER: f64 = 7.8;
const LINE: f64 = 20.0;
const GAP: f64 = 16.0;
const BAR: f64 = 120.0;
/// What makes a text bold: names, and the totals.
const BOLD: &str = " font-weight=\"bold\"";
/// The columns on screen that a text may have.
const WIDEST: usize = 48;

/// The rows so far: how wide a column is only all of them tell.
struct Image(Scaled);

/// A column of the image, in pixels.
struct Place {
    left: f64,
    text: f64,
    /// Whether it is of numbers, which end below each other.
    is_right: bool,
}

impl Place {
    /// Writes a text, with its last pixel row at `bottom`.
    fn write(&self, text: &str, bottom: f64, weight: &str, out: &mut dyn Write) -> io::Result<()> {
        let end = self.left + self.text;
        let (x, anchor) =
            if self.is_right { (end, " text-anchor=\"end\"") } else { (self.left, "") };
        let shown = cut(text, self.is_right);
        let title = (shown != text).then(|| format!("<title>{}</title>", escaped(text)));
        let title = title.unwrap_or_default();
        writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{bottom:.1}\"{anchor}{weight}>{title}{}</text>",
            escaped(&shown)
        )
    }
}

/// A text that is not wider than [`WIDEST`]; numbers are never cut.
fn cut(text: &str, is_number: bool) -> Cow<'_, str> {
    if is_number || width(text) <= WIDEST {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    for character in text.chars() {
        short.push(character);
        if width(&short) >= WIDEST {
            short.pop();
            break;
        }
    }
    Cow::Owned(short + "…")
}

impl Rows for Image {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
        self.0.add(frame, rows);
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)] // widths and numbers of lines
    fn finish(self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        let Self(scaled) = *self;
        let names = frame.names();
        let null = || frame.options.null.clone();
        let rows: Vec<Vec<String>> = scaled
            .rows
            .iter()
            .map(|row| frame.cells(row).into_iter().map(|cell| cell.unwrap_or_else(null)).collect())
            .collect();
        let mut left = GAP;
        let mut places = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let is_right = frame.is_right(&frame.columns[at]);
            let texts = rows.iter().map(|row| row[at].as_str()).chain([name.as_str()]);
            let columns = texts.map(|text| width(&cut(text, is_right))).max().unwrap_or_default();
            let text = columns as f64 * CHARACTER;
            places.push(Place { left, text, is_right });
            left += text + GAP + if scaled.has_bars(at) { BAR + GAP } else { 0.0 };
        }
        let (wide, high) = (left, (rows.len() as f64 + 1.5) * LINE);
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide:.0}\" height=\"{high:.0}\" \
             viewBox=\"0 0 {wide:.0} {high:.0}\" font-family=\"monospace\" font-size=\"13\" xml:space=\"preserve\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
        )?;
        for (name, place) in names.iter().zip(&places) {
            place.write(name, LINE, BOLD, out)?;
        }
        for (number, (cells, row)) in rows.iter().zip(&scaled.rows).enumerate() {
            let bottom = (number as f64 + 2.0) * LINE;
            let is_totals = frame.is_totals(row);
            let weight = if is_totals { BOLD } else { "" };
            for (at, (cell, place)) in cells.iter().zip(&places).enumerate() {
                if let Some(part) = scaled.part(at, &row[at]).filter(|_| !is_totals) {
                    writeln!(
                        out,
                        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" fill=\"#48c\"/>",
                        place.left + place.text + GAP / 2.0,
                        bottom - 11.0,
                        (part.min(1.0) * BAR).max(1.0),
                    )?;
                }
                place.write(cell, bottom, weight, out)?;
            }
        }
        out.write_all(b"</svg>\n")
    }
}

#[cfg(test)]
mod tests {
    use query::value::{Type, Unit};

    use super::super::fixture::{answer, extremes, nasty_texts, rendered};
    use super::*;

    fn image(columns: Vec<(&str, Type, Unit, Vec<Value>)>) -> String {
        String::from_utf8(rendered(&SVG, &answer(columns))).unwrap()
    }

    #[test]
    fn a_bar_is_a_part_of_the_longest() {
        let image = image(vec![
            ("name", Type::Text, Unit::None, vec![Value::text("a"), Value::text("b"), Value::Null]),
            ("n", Type::Int, Unit::Count, vec![Value::UInt(4), Value::UInt(1), Value::Int(-1)]),
        ]);
        let bars: Vec<&str> =
            image.lines().filter(|line| line.ends_with("fill=\"#48c\"/>")).collect();
        assert_eq!(bars.len(), 2, "{image}");
        assert!(
            bars[0].contains("width=\"120.0\"") && bars[1].contains("width=\"30.0\""),
            "{bars:?}"
        );
        assert!(image.contains("text-anchor=\"end\">-1</text>"), "{image}");
        assert_eq!(image.matches("</text>").count(), 8);
    }

    #[test]
    fn no_name_is_markup_and_numbers_are_whole() {
        let image = image(vec![
            ("<i>", Type::Text, Unit::None, nasty_texts()),
            ("n", Type::Int, Unit::None, vec![extremes()[0].clone(); nasty_texts().len()]),
        ]);
        assert!(!image.chars().any(|c| c != '\n' && query::escape::is_hazard(c)));
        assert!(!image.contains("<i>") && !image.contains("<b>"), "{image}");
        assert_eq!(image.matches(">18,446,744,073,709,551,615<").count(), nasty_texts().len());
        let long = "kmalloc-".repeat(25);
        assert!(
            image.contains(&format!("<title>{long}</title>{}…</text>", &long[..WIDEST - 1])),
            "{image}"
        );
    }
}
