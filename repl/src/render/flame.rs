//! Draws stacks with a weight as a flame graph: each function as wide as all that it led to, on what called it.
//!
//! ```text
//!             | alloc_inode |
//!   | d_alloc | sock_alloc  |
//!   |      path_openat      | create_pipe_files |
//!   |                   all                     |
//! ```
//!
//! Functions stand in the order of their names, and a viewer shows the whole name and the weight where the pointer rests.
//! What would be narrower than a pixel is left out. [`stacks`](super::stacks) says what becomes of a row.

use std::collections::BTreeMap;
use std::io::{self, Write};

use query::output::OutputColumn;
use query::value::Value;

use super::format::{Frame, Rows};
use super::scale::escaped;
use super::stacks::Stacks;
use super::unit::shown;

/// Pixels: of the image, of a line, of a character, and of what is too narrow to be seen.
const WIDE: f64 = 1200.0;
const LINE: f64 = 18.0;
const CHARACTER: f64 = 7.2;
const NARROW: f64 = 1.0;
/// What functions are filled with, one beside another; black text is legible on each.
const FILLS: [&str; 5] = ["#fc8", "#fd9", "#fb7", "#fea", "#fca"];

/// The stacks so far.
pub struct Flame {
    stacks: Stacks,
    all: Node,
}

/// A function where it was called.
#[derive(Default)]
struct Node {
    /// What it and all that it called weigh.
    weight: u128,
    calls: BTreeMap<String, Node>,
}

impl Flame {
    pub fn new(stacks: Stacks) -> Self {
        Self { stacks, all: Node::default() }
    }
}

impl Node {
    fn add(&mut self, frames: Vec<String>, weight: u64) {
        let mut node = self;
        node.weight += u128::from(weight);
        for frame in frames {
            node = node.calls.entry(frame).or_default();
            node.weight += u128::from(weight);
        }
    }

    /// How many functions are on each other at most, of those that are seen.
    fn depth(&self, least: f64) -> usize {
        let seen = self.calls.values().filter(|call| real(call.weight) >= least);
        seen.map(|call| 1 + call.depth(least)).max().unwrap_or(0)
    }
}

#[allow(clippy::cast_precision_loss)] // pixels
fn real(weight: u128) -> f64 {
    weight as f64
}

/// An image that is being drawn.
struct Image<'a> {
    out: &'a mut dyn Write,
    frame: &'a Frame,
    column: &'a OutputColumn,
    /// Where the lowest line ends, and what all weighs.
    bottom: f64,
    all: f64,
}

impl Image<'_> {
    /// Draws a function and what it called, `depth` lines above the lowest one.
    fn draw(&mut self, name: &str, node: &Node, left: f64, depth: usize) -> io::Result<()> {
        let width = if self.all > 0.0 { real(node.weight) / self.all * WIDE } else { WIDE };
        if width < NARROW {
            return Ok(());
        }
        #[allow(clippy::cast_precision_loss)] // lines
        let top = self.bottom - (depth as f64 + 1.0) * LINE;
        let share = width / WIDE * 100.0;
        let weight = u64::try_from(node.weight).map_or(Value::Null, Value::UInt);
        let weight = shown(&weight, self.column, &self.frame.options);
        let weight = weight.unwrap_or_else(|| node.weight.to_string());
        let fill = FILLS[name.bytes().map(usize::from).sum::<usize>() % FILLS.len()];
        write!(
            self.out,
            "<g><title>{} ({}, {share:.1} %)</title>\
             <rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.0}\" fill=\"{fill}\" stroke=\"#fff\"/>",
            escaped(name),
            escaped(&weight),
            LINE - 1.0,
        )?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some hundred at most
        let room = ((width - 6.0) / CHARACTER).max(0.0) as usize;
        let text: String = match name.chars().count() {
            length if length <= room => name.to_owned(),
            _ if room < 3 => String::new(),
            _ => name.chars().take(room - 1).chain(['…']).collect(),
        };
        if !text.is_empty() {
            let (x, y) = (left + 3.0, top + LINE - 5.0);
            write!(self.out, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(&text))?;
        }
        self.out.write_all(b"</g>\n")?;
        let mut left = left;
        for (name, call) in &node.calls {
            self.draw(name, call, left, depth + 1)?;
            left += real(call.weight) / self.all.max(1.0) * WIDE;
        }
        Ok(())
    }
}

impl Rows for Flame {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], _: &mut dyn Write) -> io::Result<()> {
        let all = &mut self.all;
        let mut add = |frames, weight| {
            all.add(frames, weight);
            Ok(())
        };
        for row in rows.iter().filter(|row| !frame.is_totals(row)) {
            self.stacks.each(frame, std::slice::from_ref(row), &mut add)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, frame: &Frame, out: &mut dyn Write) -> io::Result<()> {
        let all = real(self.all.weight);
        #[allow(clippy::cast_precision_loss)] // lines
        let high = (self.all.depth(all * NARROW / WIDE) as f64 + 1.0) * LINE;
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDE:.0}\" height=\"{high:.0}\" \
             viewBox=\"0 0 {WIDE:.0} {high:.0}\" font-family=\"monospace\" font-size=\"12\" xml:space=\"preserve\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
        )?;
        let column = self.stacks.weight(frame);
        let mut image = Image { out, frame, column, bottom: high, all };
        image.draw("all", &self.all, 0.0, 0)?;
        out.write_all(b"</svg>\n")
    }
}

#[cfg(test)]
mod tests {
    use query::value::{Type, Unit};

    use super::super::fixture::{answer, nasty_texts, rendered};
    use super::super::svg::SVG;
    use super::*;

    fn drawn(stacks: &[&str], weights: &[u64]) -> String {
        let stacks = stacks.iter().map(Value::text).collect();
        let weights = weights.iter().map(|weight| Value::UInt(*weight)).collect();
        let columns = vec![
            ("stack", Type::Text, Unit::Stack, stacks),
            ("bytes", Type::UInt, Unit::Bytes, weights),
        ];
        String::from_utf8(rendered(&SVG, &answer(columns))).unwrap()
    }

    /// The place of the function with this title: left, top, width.
    fn place(image: &str, title: &str) -> Vec<f64> {
        let line = image.lines().find(|line| line.starts_with(&format!("<g><title>{title} (")));
        let line = line.unwrap_or_else(|| panic!("{title}: {image}"));
        let numbers = line.split('"').filter_map(|part| part.parse().ok());
        numbers.take(3).collect()
    }

    #[test]
    fn a_function_is_as_wide_as_what_it_led_to_and_stands_on_its_caller() {
        let image = drawn(&["a;b+0x1/0x2", "a;c", "d", "a;b+0x9/0xa"], &[1024, 2048, 4096, 1024]);
        assert_eq!(place(&image, "all"), [0.0, 36.0, 1200.0]);
        assert_eq!(place(&image, "a"), [0.0, 18.0, 600.0]);
        assert_eq!(place(&image, "b"), [0.0, 0.0, 300.0]);
        assert_eq!(place(&image, "c"), [300.0, 0.0, 300.0]);
        assert_eq!(place(&image, "d"), [600.0, 18.0, 600.0]);
        assert!(image.contains("<title>b (2.0 KiB, 25.0 %)</title>"), "{image}");
        assert!(image.starts_with("<svg ") && image.ends_with("</svg>\n"));
        assert!(image.contains("height=\"54\""), "{image}");
    }

    #[test]
    fn what_cannot_be_seen_takes_no_line_and_no_name_is_markup() {
        let image = drawn(&["a", "b;c;d"], &[1_000_000, 1]);
        assert!(image.contains("height=\"36\"") && !image.contains("<title>b "), "{image}");
        let image = drawn(&[], &[]);
        assert_eq!(place(&image, "all"), [0.0, 0.0, 1200.0]);
        let comm = ("comm", Type::Text, Unit::None, nasty_texts());
        let count = nasty_texts().len();
        let stack = ("stack", Type::Text, Unit::Stack, vec![Value::text("<i>"); count]);
        let weight = ("n", Type::UInt, Unit::Count, vec![Value::UInt(u64::MAX); count]);
        let image = rendered(&SVG, &answer(vec![comm, stack, weight]));
        let image = String::from_utf8(image).unwrap();
        assert!(!image.chars().any(|c| c != '\n' && query::escape::is_hazard(c)));
        assert!(!image.contains("<i>") && image.contains("&lt;i&gt;"), "{image}");
    }

    #[test]
    fn a_name_has_the_room_that_its_function_has() {
        let long = "kmem_cache_alloc_noprof";
        let image = drawn(&[long, "x"], &[1, 11]);
        assert!(image.contains(&format!("<title>{long} (")), "{image}");
        assert!(image.contains(">kmem_cache_a…</text>"), "{image}");
    }
}
