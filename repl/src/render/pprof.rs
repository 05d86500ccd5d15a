//! Writes stacks with a weight as a profile of pprof, which `go tool pprof` and most viewers of profiles read.
//!
//! A profile is a message of Protocol Buffers; the fields are those of pprof's `profile.proto`:
//!
//! ```text
//!   1 sample_type    what is counted, and its unit
//!   2 sample         locations, the innermost first; the weight      a row each, as it comes
//!   4 location       of a frame                                      at the end
//!   5 function       the same frame
//!   6 string_table   the names; the first one is empty
//! ```
//!
//! A frame is a name alone, so its location and its function have one number. [`stacks`](super::stacks) says what
//! becomes of a row.

use std::collections::HashMap;
use std::io::{self, Write};

use query::value::{Unit, Value};

use super::format::{Capacity, FormatRow, Frame, Rows};
use super::stacks::Stacks;
use crate::report::error::refuse;

/// What `pprof` is.
pub static PPROF: FormatRow = FormatRow {
    name: "pprof",
    endings: &["pprof", "pb"],
    help: "stacks with a weight, as a profile of pprof",
    for_people: false,
    capacity: Capacity::Binary,
    stacks_only: true,
    begin: |frame, out| {
        let stacks = Stacks::of_format(PPROF.name, &frame.columns)?;
        let weight = stacks.weight(frame);
        let unit = if weight.unit == Unit::Bytes { "bytes" } else { "count" };
        let ty = Message::default().number(1, 1).number(2, 2);
        let texts = ["", weight.name.as_str(), unit].into_iter();
        let message = Message::default().part(1, &ty.0);
        let message = texts.fold(message, |message, text| message.part(6, text.as_bytes()));
        out.write_all(&message.0)?;
        Ok(Box::new(Profile { stacks, names: HashMap::new() }))
    },
};

/// The texts that come before those of frames.
const OTHER_TEXTS: u64 = 3;

/// A message: its fields, one behind the other.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Seven bits a byte, the lowest ones first; all but the last byte have their highest bit set.
    fn varint(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
        self
    }

    fn number(self, field: u64, number: u64) -> Self {
        self.varint(field << 3).varint(number)
    }

    fn part(self, field: u64, bytes: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend_from_slice(bytes);
        message
    }
}

/// What there is to write at the end.
struct Profile {
    stacks: Stacks,
    /// The numbers of frames, from 1 on, by their names.
    names: HashMap<String, u64>,
}

impl Rows for Profile {
    fn add(&mut self, frame: &Frame, rows: &[Vec<Value>], out: &mut dyn Write) -> io::Result<()> {
        let mut stacks = Vec::new();
        let mut take = |frames, weight| {
            stacks.push((frames, weight));
            Ok(())
        };
        self.stacks.each(frame, rows, &mut take)?;
        for (frames, weight) in stacks {
            if i64::try_from(weight).is_err() {
                let message = format!("the weight of a sample cannot be {weight}");
                return Err(refuse(message, "pprof knows weights below 2^63"));
            }
            let mut locations = Message::default();
            for name in frames.into_iter().rev() {
                let next = self.names.len() as u64 + 1;
                locations = locations.varint(*self.names.entry(name).or_insert(next));
            }
            let weight = Message::default().varint(weight);
            let sample = Message::default().part(1, &locations.0).part(2, &weight.0);
            out.write_all(&Message::default().part(2, &sample.0).0)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Frame, out: &mut dyn Write) -> io::Result<()> {
        let mut names: Vec<_> = self.names.iter().map(|(name, number)| (*number, name)).collect();
        names.sort_unstable();
        for (number, name) in names {
            let line = Message::default().number(1, number);
            let location = Message::default().number(1, number).part(4, &line.0);
            let function = Message::default().number(1, number).number(2, number + OTHER_TEXTS - 1);
            let message = Message::default().part(4, &location.0).part(5, &function.0);
            out.write_all(&message.part(6, name.as_bytes()).0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use query::value::Type;

    use super::super::fixture::{answer, rendered};
    use super::super::{Options, render};
    use super::*;

    /// A field of a message.
    #[derive(Debug)]
    enum Field<'a> {
        Number(u64),
        Part(&'a [u8]),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte;
            (byte, *bytes) = bytes.split_first().unwrap();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                return number;
            }
        }
    }

    fn numbers(mut bytes: &[u8]) -> Vec<u64> {
        std::iter::from_fn(|| (!bytes.is_empty()).then(|| varint(&mut bytes))).collect()
    }

    /// The fields of a message, with their numbers.
    fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let number = varint(&mut bytes);
            fields.push(match key & 7 {
                0 => (key >> 3, Field::Number(number)),
                2 => {
                    let part;
                    (part, bytes) = bytes.split_at(usize::try_from(number).unwrap());
                    (key >> 3, Field::Part(part))
                }
                kind => panic!("{kind}"),
            });
        }
        fields
    }

    /// What a viewer shows: what is counted, and each stack with its weight.
    fn shown(bytes: &[u8]) -> (Vec<String>, Vec<(Vec<String>, u64)>) {
        let all = fields(bytes);
        let parts = |number: u64| {
            all.iter().filter(move |field| field.0 == number).map(|field| match field.1 {
                Field::Part(part) => part,
                Field::Number(_) => panic!("{field:?}"),
            })
        };
        let texts: Vec<String> =
            parts(6).map(|text| String::from_utf8(text.to_vec()).unwrap()).collect();
        assert_eq!(texts[0], "");
        let number = |message: &[u8], wanted: u64| match fields(message)
            .iter()
            .find(|field| field.0 == wanted)
        {
            Some((_, Field::Number(number))) => *number,
            other => panic!("{other:?}"),
        };
        let named: HashMap<u64, u64> =
            parts(5).map(|function| (number(function, 1), number(function, 2))).collect();
        let located: HashMap<u64, u64> = parts(4)
            .map(|location| match fields(location)[..] {
                [(1, Field::Number(id)), (4, Field::Part(line))] => (id, number(line, 1)),
                ref other => panic!("{other:?}"),
            })
            .collect();
        let text = |number: u64| texts[usize::try_from(number).unwrap()].clone();
        let sample = |sample: &[u8]| match fields(sample)[..] {
            [(1, Field::Part(stack)), (2, Field::Part(weights))] => {
                let name = |location| text(named[&located[&location]]);
                (numbers(stack).into_iter().map(name).collect(), numbers(weights)[0])
            }
            ref other => panic!("{other:?}"),
        };
        let ty = parts(1).next().unwrap();
        (vec![text(number(ty, 1)), text(number(ty, 2))], parts(2).map(sample).collect())
    }

    fn stacks(weights: Vec<Value>, unit: Unit) -> query::output::Output {
        let texts = ["a+0x1/0x2;b", "b;count", "a"].map(Value::text).to_vec();
        answer(vec![("stack", Type::Text, Unit::Stack, texts), ("n", Type::UInt, unit, weights)])
    }

    #[test]
    fn a_viewer_shows_each_stack_from_within_and_its_weight() {
        let weights = vec![Value::UInt(5), Value::UInt(i64::MAX.unsigned_abs()), Value::UInt(300)];
        for (unit, name) in [(Unit::Count, "count"), (Unit::Bytes, "bytes")] {
            let (ty, samples) = shown(&rendered(&PPROF, &stacks(weights.clone(), unit)));
            assert_eq!(ty, ["n", name]);
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let expected: [(Vec<String>, u64); 3] = [
                (names(&["b", "a"]), 5),
                (names(&["count", "b"]), i64::MAX.unsigned_abs()),
                (names(&["a"]), 300),
            ];
            assert_eq!(samples, expected);
        }
    }

    #[test]
    fn what_is_no_sample_is_refused() {
        let refused = |answer| {
            let error = render(&PPROF, &answer, Options::default(), &mut Vec::new()).unwrap_err();
            crate::report::error::refusal(&error).unwrap().to_string()
        };
        let weights = vec![Value::UInt(1), Value::UInt(1 << 63), Value::UInt(1)];
        let large = refused(stacks(weights, Unit::Count));
        assert_eq!(large, "the weight of a sample cannot be 9223372036854775808");
        let numbers = ("n", Type::UInt, Unit::Count, vec![Value::UInt(1)]);
        let none = refused(answer(vec![numbers]));
        assert_eq!(none, "the format `pprof` needs a stack, and the query has none");
    }
}
