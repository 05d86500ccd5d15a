//! Reads rows as stacks with a weight each: what flame graphs and profiles are made of.
//!
//! The stack is a column of stacks, and the weight the one number that is not a key. Other columns are frames too: those
//! before the stack lie around it, those behind it within it. So `select comm, stack, name, count(*)` draws a tower for
//! each program, with the names of caches at the top.
//!
//! A frame is the name of a function alone, because its callers differ by offsets that only spread them. The totals of `with
//! totals` are left out. NULL is `[unknown]`. In a name, `;` and whatever could end a line or steer a terminal are written as
//! bytes, `\xNN`.

use std::io;

use query::escape::is_hazard;
use query::output::OutputColumn;
use query::value::{Type, Unit, Value};

use super::format::Frame;
use super::json::text_without;
use super::scale::has_bars;
use super::unit::plain;
use crate::report::error::refuse;

/// What stands for NULL.
const UNKNOWN: &str = "[unknown]";

/// Which columns make a stack and its weight.
pub struct Stacks {
    /// Those of frames, in order.
    frames: Vec<usize>,
    weight: usize,
    /// Says which row is the totals, which readers make themselves.
    totals: Option<usize>,
}

impl Stacks {
    /// Finds them; `what` needs them, such as ``the format `folded` ``.
    pub fn of(what: &str, columns: &[OutputColumn]) -> io::Result<Self> {
        let numbers = |column: &&OutputColumn| has_bars(column);
        let is_stack = |column: &OutputColumn| column.unit == Unit::Stack;
        match columns.iter().filter(|column| is_stack(column)).count() {
            1 => {}
            0 => {
                let help = "`trace 5s select stack, count(*) from allocations group by stack`";
                let message = format!("{what} needs a stack, and the query has none");
                return Err(refuse(message, help));
            }
            count => {
                let message = format!("{what} has one stack, and the query has {count}");
                return Err(refuse(message, "leave all but one out"));
            }
        }
        let example = "`select stack, sum(bytes_alloc) … group by stack`";
        match columns.iter().filter(numbers).collect::<Vec<_>>()[..] {
            [weight] if weight.ty != Type::Float => {}
            [weight] => {
                let name = &weight.name;
                let message =
                    format!("the weight of a stack is a whole number, and `{name}` is none");
                return Err(refuse(message, "`cast(… as int)` makes one of it"));
            }
            [] => {
                let message = format!("{what} needs a number, and the query has none");
                return Err(refuse(message, example));
            }
            ref many => {
                let count = many.len();
                let message = format!("{what} has one number, and the query has {count}");
                return Err(refuse(message, example));
            }
        }
        let (weights, frames): (Vec<usize>, Vec<usize>) =
            (0..columns.len()).partition(|at| has_bars(&columns[*at]));
        let (totals, frames): (Vec<usize>, Vec<usize>) =
            frames.into_iter().partition(|at| columns[*at].totals);
        let weight = weights.first().copied().unwrap_or_default();
        Ok(Self { frames, weight, totals: totals.first().copied() })
    }

    /// Finds them for a format.
    pub fn of_format(name: &str, columns: &[OutputColumn]) -> io::Result<Self> {
        Self::of(&format!("the format `{name}`"), columns)
    }

    /// The column of the weights.
    pub fn weight<'a>(&self, frame: &'a Frame) -> &'a OutputColumn {
        &frame.columns[self.weight]
    }

    /// Hands on the frames of each row, the outermost first, and their weight.
    pub fn each(
        &self,
        frame: &Frame,
        rows: &[Vec<Value>],
        take: &mut dyn FnMut(Vec<String>, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        for row in rows {
            if self.totals.is_some_and(|at| row[at] == Value::Bool(true)) {
                continue;
            }
            // No weight is none.
            let Some(weight) = row[self.weight].integer() else { continue };
            let Ok(weight) = u64::try_from(weight) else {
                let message = format!("the weight of a stack cannot be {weight}");
                return Err(refuse(message, "`where` leaves out what is below 0"));
            };
            take(self.frames(frame, row), weight)?;
        }
        Ok(())
    }

    fn frames(&self, frame: &Frame, row: &[Value]) -> Vec<String> {
        let mut frames = Vec::new();
        for at in &self.frames {
            let column = &frame.columns[*at];
            let text = plain(&row[*at], column).filter(|text| !text.is_empty());
            let is_stack = column.unit == Unit::Stack;
            for part in text.as_deref().unwrap_or_default().split(|b| is_stack && *b == b';') {
                let name = if is_stack { without_offset(part) } else { part.to_vec() };
                frames.push(match name.as_slice() {
                    [] => UNKNOWN.to_owned(),
                    name => text_without(name, |c| c == ';' || is_hazard(c)),
                });
            }
        }
        frames
    }
}

/// `vm_area_dup` of `vm_area_dup+0x1e/0x190`, with the module behind it, if there is one.
fn without_offset(frame: &[u8]) -> Vec<u8> {
    let blank = frame.iter().position(|byte| *byte == b' ').unwrap_or(frame.len());
    let (name, module) = frame.split_at(blank);
    let end = name.windows(3).rposition(|part| part == b"+0x").unwrap_or(name.len());
    [&name[..end], module].concat()
}
