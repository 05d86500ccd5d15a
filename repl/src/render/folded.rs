//! Writes stacks with a weight, a line each: what flamegraph.pl, inferno and speedscope read.
//!
//! ```text
//! entry_SYSCALL_64;do_syscall_64;vfs_open;alloc_empty_file 1234
//! ```
//!
//! The stack is a column of stacks, and the weight the one number that is not a key. Other columns are frames too: those
//! before the stack lie around it, those behind it within it. So `select comm, stack, name, count(*)` draws a tower for
//! each program, with the names of caches at the top.
//!
//! A frame is the name of a function alone, because its callers differ by offsets that only spread them. Where that makes
//! stacks equal there are several lines of one stack, which all readers add up. The totals of `with totals` are left out. NULL is `[unknown]`. In a name, `;` and
//! whatever could end a line or steer a terminal are written as bytes, `\xNN`.

use std::io::{self, Write};

use query::escape::is_hazard;
use query::output::OutputColumn;
use query::value::{Type, Unit, Value};

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::json::text_without;
use super::scale::has_bars;
use super::unit::plain;
use crate::report::error::refuse;

/// What `folded` is.
pub static FOLDED: FormatRow = FormatRow {
    name: "folded",
    endings: &["folded", "collapsed"],
    help: "stacks with a weight, for flame graphs",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: true,
    begin: |frame, _| Ok(Box::new(Folded::of(&frame.columns)?)),
};

/// What stands for NULL.
const UNKNOWN: &str = "[unknown]";

/// Which columns make a line.
struct Folded {
    /// Those of frames, in order.
    frames: Vec<usize>,
    weight: usize,
    /// Says which row is the totals, which readers make themselves.
    totals: Option<usize>,
}

impl Folded {
    fn of(columns: &[OutputColumn]) -> io::Result<Self> {
        let numbers = |column: &&OutputColumn| has_bars(column);
        let is_stack = |column: &OutputColumn| column.unit == Unit::Stack;
        match columns.iter().filter(|column| is_stack(column)).count() {
            1 => {}
            0 => {
                let help = "`trace 5s select stack, count(*) from allocations group by stack`";
                return Err(refuse("folded stacks need a stack, and the query has none", help));
            }
            count => {
                let message = format!("folded stacks have one stack, and the query has {count}");
                return Err(refuse(message, "leave all but one out"));
            }
        }
        let example = "`select stack, sum(bytes_alloc) … group by stack`";
        match columns.iter().filter(numbers).collect::<Vec<_>>()[..] {
            [weight] if weight.ty != Type::Float => {}
            [weight] => {
                let message = format!(
                    "the weight of folded stacks is a whole number, and `{}` is none",
                    weight.name
                );
                return Err(refuse(message, "`cast(… as int)` makes one of it"));
            }
            [] => {
                let message = "folded stacks need a number as their weight, and the query has none";
                return Err(refuse(message, example));
            }
            ref many => {
                let message = format!(
                    "folded stacks have one weight, and the query has {} numbers",
                    many.len()
                );
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
}

impl Rows for Folded {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            if self.totals.is_some_and(|at| row[at] == Value::Bool(true)) {
                continue;
            }
            // No weight is none.
            let Some(weight) = row[self.weight].integer() else { continue };
            if weight < 0 {
                let message = format!("the weight of a stack cannot be {weight}");
                return Err(refuse(message, "`where` leaves out what is below 0"));
            }
            let mut line = String::new();
            for at in &self.frames {
                let column = &frame.columns[*at];
                let text = plain(&row[*at], column).filter(|text| !text.is_empty());
                let is_stack = column.unit == Unit::Stack;
                for part in text.as_deref().unwrap_or_default().split(|b| is_stack && *b == b';') {
                    if !line.is_empty() {
                        line.push(';');
                    }
                    let name = if is_stack { without_offset(part) } else { part.to_vec() };
                    line.push_str(&match name.as_slice() {
                        [] => UNKNOWN.to_owned(),
                        name => text_without(name, |c| c == ';' || is_hazard(c)),
                    });
                }
            }
            writeln!(out, "{line} {weight}")?;
        }
        Ok(())
    }
}

/// `vm_area_dup` of `vm_area_dup+0x1e/0x190`, with the module behind it, if there is one.
fn without_offset(frame: &[u8]) -> Vec<u8> {
    let blank = frame.iter().position(|byte| *byte == b' ').unwrap_or(frame.len());
    let (name, module) = frame.split_at(blank);
    let end = name.windows(3).rposition(|part| part == b"+0x").unwrap_or(name.len());
    [&name[..end], module].concat()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{answer, nasty_texts, rendered};
    use super::super::{Options, render};
    use super::*;

    fn stacks(texts: &[&str]) -> (&'static str, Type, Unit, Vec<Value>) {
        ("stack", Type::Text, Unit::Stack, texts.iter().map(Value::text).collect())
    }

    fn numbers(name: &'static str, ty: Type) -> (&'static str, Type, Unit, Vec<Value>) {
        (name, ty, Unit::Count, vec![Value::UInt(5), Value::UInt(u64::MAX)])
    }

    fn refused(columns: Vec<(&str, Type, Unit, Vec<Value>)>) -> String {
        let error = render(&FOLDED, &answer(columns), Options::default(), &mut Vec::new());
        crate::report::error::refusal(&error.unwrap_err()).unwrap().to_string()
    }

    #[test]
    fn a_line_is_a_stack_and_its_weight() {
        let texts = ["a+0x1/0x2;b.part.0+0x3c/0x40 [isofs];0xffffffff81", "operator+0x+0x1/0x2"];
        let lines = rendered(&FOLDED, &answer(vec![numbers("n", Type::UInt), stacks(&texts)]));
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(lines, format!("a;b.part.0 [isofs];0xffffffff81 5\noperator+0x {}\n", u64::MAX));
    }

    #[test]
    fn totals_are_no_stack() {
        let rows = vec![Value::Bool(false), Value::Bool(true)];
        let total = ("total", Type::Bool, Unit::None, rows);
        let mut answer = answer(vec![stacks(&["a;b", "c"]), numbers("n", Type::UInt), total]);
        answer.columns[2].totals = true;
        assert_eq!(String::from_utf8(rendered(&FOLDED, &answer)).unwrap(), "a;b 5\n");
    }

    #[test]
    fn other_columns_are_frames_around_it_and_within_it() {
        let comm = ("comm", Type::Text, Unit::None, vec![Value::text("sh; 9\n"), Value::Null]);
        let addr = ("addr", Type::UInt, Unit::Hex, vec![Value::UInt(255), Value::UInt(1)]);
        let mut answer = answer(vec![comm, stacks(&["a;b", "c"]), addr, numbers("n", Type::Int)]);
        answer.rows.push(vec![Value::text(""), Value::Null, Value::Null, Value::UInt(0)]);
        answer.rows.push(vec![Value::text("x"), Value::text("a"), Value::Null, Value::Null]);
        let lines = String::from_utf8(rendered(&FOLDED, &answer)).unwrap();
        let unknown = "[unknown];[unknown];[unknown] 0\n";
        let whole = format!("sh\\x3b 9\\x0a;a;b;0xff 5\n[unknown];c;0x1 {}\n{unknown}", u64::MAX);
        assert_eq!(lines, whole);
    }

    #[test]
    fn what_is_no_weighted_stack_is_refused() {
        let stack = || stacks(&["a", "b"]);
        let text = ("name", Type::Text, Unit::None, vec![Value::text("x"), Value::Null]);
        let needs = refused(vec![text.clone(), numbers("n", Type::UInt)]);
        assert!(needs.starts_with("folded stacks need a stack"), "{needs}");
        assert!(refused(vec![stack(), text]).starts_with("folded stacks need a number"));
        let two = refused(vec![stack(), numbers("n", Type::UInt), numbers("m", Type::Int)]);
        assert!(two.starts_with("folded stacks have one weight, and the query has 2"), "{two}");
        let float = refused(vec![stack(), numbers("n", Type::Float)]);
        assert!(float.contains("`n` is none"), "{float}");
        let double = refused(vec![stack(), stack(), numbers("n", Type::UInt)]);
        assert!(double.starts_with("folded stacks have one stack, and the query has 2"));
        let below = ("n", Type::Int, Unit::None, vec![Value::Int(1), Value::Int(-1)]);
        assert!(refused(vec![stack(), below]).contains("cannot be -1"));
    }

    #[test]
    fn no_name_ends_a_line_or_a_frame() {
        let count = nasty_texts().len();
        let weights = ("n", Type::UInt, Unit::None, vec![Value::UInt(1); count]);
        let comm = ("comm", Type::Text, Unit::None, nasty_texts());
        let mut stack = stacks(&[]);
        stack.3 = vec![Value::text("f"); count];
        let lines = rendered(&FOLDED, &answer(vec![comm, stack, weights]));
        let lines = String::from_utf8(lines).unwrap();
        assert_eq!(lines.lines().count(), count);
        for line in lines.lines() {
            let (frames, weight) = line.rsplit_once(' ').unwrap();
            assert_eq!((frames.split(';').count(), weight), (2, "1"), "{line}");
            assert!(!line.chars().any(is_hazard), "{line}");
        }
    }
}
