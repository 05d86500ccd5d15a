//! Writes stacks with a weight, a line each: what flamegraph.pl, inferno and speedscope read.
//!
//! ```text
//! entry_SYSCALL_64;do_syscall_64;vfs_open;alloc_empty_file 1234
//! ```
//!
//! [`stacks`](super::stacks) says what becomes of a row. Where that makes stacks equal there are several lines of one stack,
//! which all readers add up.

use std::io::{self, Write};

use query::value::Value;

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::stacks::Stacks;

/// What `folded` is.
pub static FOLDED: FormatRow = FormatRow {
    name: "folded",
    endings: &["folded", "collapsed"],
    help: "stacks with a weight, for flame graphs",
    for_people: false,
    capacity: Capacity::Many,
    stacks_only: true,
    begin: |frame, _| Ok(Box::new(Folded(Stacks::of_format(FOLDED.name, &frame.columns)?))),
};

/// A line a row.
struct Folded(Stacks);

impl Rows for Folded {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        let mut line = |frames: Vec<String>, weight| writeln!(out, "{} {weight}", frames.join(";"));
        self.0.each(frame, rows, &mut line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{answer, nasty_texts, rendered};
    use super::super::{Options, render};
    use query::escape::is_hazard;
    use query::value::{Type, Unit};

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
        assert!(needs.starts_with("the format `folded` needs a stack"), "{needs}");
        assert!(refused(vec![stack(), text]).starts_with("the format `folded` needs a number"));
        let two = refused(vec![stack(), numbers("n", Type::UInt), numbers("m", Type::Int)]);
        assert!(
            two.starts_with("the format `folded` has one number, and the query has 2"),
            "{two}"
        );
        let float = refused(vec![stack(), numbers("n", Type::Float)]);
        assert!(float.contains("`n` is none"), "{float}");
        let double = refused(vec![stack(), stack(), numbers("n", Type::UInt)]);
        assert!(double.starts_with("the format `folded` has one stack, and the query has 2"));
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
