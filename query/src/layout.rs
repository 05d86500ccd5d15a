//! Where each value lies in a row: the one thing that both sides of the kernel share.
//!
//! ```text
//! byte 0           16                                            fixed
//!      row header  integers, widest first    lengths of texts    texts …
//! ```
//!
//! The header is [`rows`]'. An integer takes as many bytes as its values need, and one that can be NULL a byte besides
//! that says whether it is there; a set address costs nothing, as every row's header has it. A text lies behind the fixed part, as long as it is, and starts on a
//! multiple of 8.
//!
//! A row that is a group has words only: which keys are NULL, if one can be, the keys, then what its aggregates have
//! come to.

use ebpf_templates::template::driver::Room;
use ebpf_templates::template::{group, rows};

use crate::catalog::Source;
use crate::path::{self, Names};
use crate::plan::Plan;
use crate::plan::group::{InKernel, Sum};
use crate::value::{Type, Value};

/// How many caches the space for rows is made for at first. A kernel with more is read again with more space.
const EXPECTED_ROWS: u32 = 512;

/// What a name takes in a row, on average and with room to spare, in bytes.
const EXPECTED_TEXT: u32 = 32;

/// The space for the rows of a run, in bytes, of a scan that takes as many runs as it needs.
const RUN: u32 = 256 << 10;

/// Where the values of a plan's rows lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The places of the inputs that are projected, in the order of [`Plan::projected`]; or of the words of a group.
    pub places: Vec<(usize, ValuePlace)>,
    /// The fixed part with its header, in bytes.
    pub fixed: u16,
    /// How many inputs a decoded row has.
    pub width: usize,
    /// The inputs that are numbers with names, and the names.
    names: Vec<(usize, Names)>,
    /// The counters of the program, where they are asked for: for each condition how often it was asked and how often
    /// it held; behind them, of groups in the kernel, how many rows went into them, and one that is not used.
    pub counters: u16,
    texts: u16,
    /// Whether rows are groups.
    groups: bool,
    /// Where a group's row says which of its keys are NULL, by their bits.
    pub nulls: Option<u16>,
    /// Of a scan that takes as many runs as it needs the most rows that are wanted of one.
    run: Option<u32>,
}

/// The place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuePlace {
    /// The address in the header.
    Address,
    /// An integer.
    Integer {
        /// Bytes from the start of the row.
        offset: u16,
        /// Bytes: 1, 2, 4 or 8.
        size: u8,
        /// How its bits are read.
        as_type: Type,
        /// Of one that can be NULL, the byte that is not 0 where it is there.
        present: Option<u16>,
    },
    /// The length, with its NUL, of a text: two bytes. The texts follow the fixed part in this order.
    Text {
        /// Bytes from the start of the row to the length.
        offset: u16,
    },
}

/// A row as the kernel gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The address of the cache.
    pub addr: u64,
    /// A value for each input of the plan; NULL for those that are not projected.
    pub values: Vec<Value>,
}

/// Bytes that are no rows of this layout: a bug of slabql.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRows {
    /// Where the first row that cannot be read begins.
    pub at: usize,
}

impl Layout {
    /// Lays out the rows of `plan`.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let groups = plan.group_in_kernel();
        let counted = plan.pushed().count() + usize::from(groups.is_some());
        let counters = if plan.analyze { 2 * counted } else { 0 };
        // The room for conditions in a program is much less.
        let counters = u16::try_from(counters).unwrap_or(0);
        if let (Some(group), Some(kernel)) = (plan.group(), groups) {
            let keys: Vec<Type> = group.keys.iter().map(|key| key.expr.ty).collect();
            return Self::of_groups(&keys, kernel, counters);
        }
        let mut places = Vec::with_capacity(plan.projected.len());
        let mut offset = rows::ROW_HEADER;
        // What is given comes from elsewhere.
        let projected =
            || plan.projected.iter().copied().filter(|input| plan.inputs[*input].in_kernel());
        let size = |input: usize| plan.inputs[input].bits().max(8).next_power_of_two() / 8;
        for wanted in [8, 4, 2, 1] {
            for input in projected() {
                let found = &plan.inputs[input];
                let integer = found.source() != Some(Source::Address) && !found.is_text();
                if integer && size(input) == wanted {
                    let as_type = found.carried();
                    let place =
                        ValuePlace::Integer { offset, size: wanted, as_type, present: None };
                    places.push((input, place));
                    offset += u16::from(wanted);
                }
            }
        }
        for (input, place) in &mut places {
            if let ValuePlace::Integer { present, .. } = place
                && plan.inputs[*input].is_nullable()
            {
                *present = Some(offset);
                offset += 1;
            }
        }
        offset = offset.next_multiple_of(2);
        let mut texts = 0;
        for input in projected() {
            if plan.inputs[input].source() == Some(Source::Address) {
                places.push((input, ValuePlace::Address));
            } else if plan.inputs[input].is_text() {
                places.push((input, ValuePlace::Text { offset }));
                offset += 2;
                texts += 1;
            }
        }
        places.sort_by_key(|(input, _)| *input);
        let names = projected()
            .filter_map(|input| plan.inputs[input].names().map(|names| (input, names.clone())));
        Self {
            places,
            names: names.collect(),
            fixed: offset.next_multiple_of(8),
            width: plan.inputs.len(),
            counters,
            texts,
            groups: false,
            nulls: None,
            run: plan.table.rows.in_several_runs().then(|| plan.enough().unwrap_or(u32::MAX)),
        }
    }

    /// Lays out groups, whose keys have these types.
    fn of_groups(keys: &[Type], kernel: &InKernel, counters: u16) -> Self {
        let words = kernel.parts.iter().flat_map(|part| match part.sum {
            Sum::Count => vec![Type::UInt],
            Sum::Total => vec![Type::UInt, Type::Int, Type::UInt],
            Sum::Least | Sum::Greatest => vec![part.ty, Type::UInt],
        });
        let nulls = kernel.null_keys().then_some(rows::ROW_HEADER);
        let mut offset = rows::ROW_HEADER + if nulls.is_some() { 8 } else { 0 };
        let mut places = Vec::new();
        for (number, as_type) in keys.iter().copied().chain(words).enumerate() {
            places.push((number, ValuePlace::Integer { offset, size: 8, as_type, present: None }));
            offset += 8;
        }
        let width = places.len();
        Self {
            places,
            names: Vec::new(),
            fixed: offset,
            width,
            counters,
            texts: 0,
            groups: true,
            nulls,
            run: None,
        }
    }

    /// The room that rows of this layout get; `factor` multiplies the space for all of them.
    #[must_use]
    pub fn room(&self, factor: u32) -> Room {
        let fixed = u32::from(self.fixed);
        let texts = u32::from(self.texts);
        let row_max = fixed + texts * u32::from(rows::TEXT_ROOM);
        let expected = match self.run {
            Some(rows) => rows.saturating_mul(fixed + texts * EXPECTED_TEXT).min(RUN),
            None => EXPECTED_ROWS * (fixed + texts * EXPECTED_TEXT),
        };
        let space = (expected * factor).max(row_max);
        let places = if self.groups { group::places(self.fixed, space) } else { 0 };
        Room { row_fixed: self.fixed, row_max, space, places, counters: self.counters }
    }

    /// Reads rows.
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Row>, NotRows> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let row = self.row(&bytes[at..]).ok_or(NotRows { at })?;
            at += row.0;
            found.push(row.1);
        }
        Ok(found)
    }

    /// Reads the row at the start of `bytes`: its size and its values. None if there is no row of this layout.
    #[must_use]
    pub fn row(&self, bytes: &[u8]) -> Option<(usize, Row)> {
        let size = usize::try_from(unsigned(bytes, rows::ROW_SIZE.unsigned_abs(), 4)?).ok()?;
        let bytes = bytes.get(..size)?;
        let kind = unsigned(bytes, rows::ROW_KIND.unsigned_abs(), 4)?;
        let addr = unsigned(bytes, rows::ROW_ADDR.unsigned_abs(), 8)?;
        if kind != u64::from(rows::KIND_ROW.unsigned_abs()) || size < usize::from(self.fixed) {
            return None;
        }
        let mut values = vec![Value::Null; self.width];
        let mut tail = usize::from(self.fixed);
        for (input, place) in &self.places {
            values[*input] = match *place {
                ValuePlace::Address => Value::UInt(addr),
                ValuePlace::Integer { present: Some(at), .. } if unsigned(bytes, at, 1)? == 0 => {
                    Value::Null
                }
                ValuePlace::Integer { offset, size, as_type, .. } => {
                    let value = unsigned(bytes, offset, size)?;
                    let unused = 64 - 8 * u32::from(size);
                    match as_type {
                        Type::Bool => Value::Bool(value != 0),
                        Type::Int => Value::Int((value << unused).cast_signed() >> unused),
                        _ => Value::UInt(value),
                    }
                }
                ValuePlace::Text { offset } => {
                    let length = unsigned(bytes, offset, 2)?;
                    if length == u64::from(rows::TEXT_NULL) {
                        Value::Null
                    } else {
                        let length = usize::try_from(length).ok()?;
                        let text =
                            bytes.get(tail..tail.checked_add(length)?)?.strip_suffix(&[0])?;
                        tail = (tail + length).next_multiple_of(8);
                        text_value(text)
                    }
                }
            };
        }
        if let Some(offset) = self.nulls {
            let nulls = unsigned(bytes, offset, 8)?;
            for (key, value) in values.iter_mut().enumerate().take(64) {
                if nulls >> key & 1 == 1 {
                    *value = Value::Null;
                }
            }
        }
        for (input, names) in &self.names {
            if let Some(value) = values[*input].integer() {
                values[*input] = Value::text(path::name_of(names, value));
            }
        }
        Some((size, Row { addr, values }))
    }
}

/// A text of the kernel. One that was longer than there was room for is cut at 255 bytes and says so.
fn text_value(text: &[u8]) -> Value {
    let room = usize::from(rows::TEXT_BYTES) - 2;
    if text.len() <= room {
        return Value::text(text);
    }
    let mut cut = text[..room].to_vec();
    cut.extend("…".as_bytes());
    Value::Text(cut.into())
}

/// The little-endian number of `size` bytes at `offset`.
fn unsigned(bytes: &[u8], offset: u16, size: u8) -> Option<u64> {
    let offset = usize::from(offset);
    let bytes = bytes.get(offset..offset + usize::from(size))?;
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    Some(u64::from_le_bytes(word))
}
