//! Makes answers for the tests of renderers: nasty names, extreme numbers, random rows.

use proptest::collection::vec;
use proptest::prelude::*;
use query::output::{Output, OutputColumn};
use query::value::{Type, Unit, Value};

use super::unit::flags;
use super::{Format, Options, render, text_to_json};

/// A column of integers.
pub fn column(name: &str) -> OutputColumn {
    OutputColumn::new(name, Type::UInt, Unit::None)
}

/// An answer from columns of values, all of one length.
pub fn answer(columns: Vec<(&str, Type, Unit, Vec<Value>)>) -> Output {
    let length = columns.first().map_or(0, |(.., values)| values.len());
    let rows =
        (0..length).map(|row| columns.iter().map(|(.., values)| values[row].clone()).collect());
    let rows = rows.collect();
    let columns = columns.into_iter().map(|(name, ty, unit, _)| OutputColumn::new(name, ty, unit));
    Output { columns: columns.collect(), rows, warnings: vec![] }
}

/// The answer in a format, with the default options.
pub fn rendered(format: Format, output: &Output) -> Vec<u8> {
    rendered_with(format, output, Options::default())
}

/// The answer in a format, with these options.
pub fn rendered_with(format: Format, output: &Output, options: Options) -> Vec<u8> {
    let mut out = Vec::new();
    render(format, output, options, &mut out).unwrap();
    out
}

/// Texts that break careless renderers.
pub fn nasty_texts() -> Vec<Value> {
    let long = "kmalloc-".repeat(25);
    let texts: [&[u8]; 22] = [
        b"kmalloc-64",
        b"",
        b" ",
        b"a \"quoted\" name",
        b"a,b;c|d",
        b"two\nlines",
        b"cr\r\nlf\rcr",
        b"tab\tbell\x07nul\0",
        b"\x1b[31mred\x1b[0m\x1b]0;title\x07",
        "\u{9b}31m\u{85}".as_bytes(),
        b"\xff\xfe",
        b"half\xe2\x82",
        b"back\\slash\\n",
        b"looks like \\xff",
        b"both \\xff \xff",
        b"\\N",
        b"NULL",
        "\u{202e}evil\u{2066}".as_bytes(),
        "日本語の名前".as_bytes(),
        "🦀 👩\u{200d}🔬 e\u{301}".as_bytes(),
        b"*_`<b>&amp;[x](y)~#",
        long.as_bytes(),
    ];
    texts.into_iter().map(Value::text).collect()
}

/// Integers at the ends of their types.
pub fn extremes() -> Vec<Value> {
    vec![
        Value::UInt(u64::MAX),
        Value::UInt((1 << 53) + 1),
        Value::UInt(0),
        Value::Int(i64::MIN),
        Value::Int(-1),
        Value::Int(i64::MAX),
    ]
}

/// Bytes of a name: mostly text, sometimes anything.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z_0-9:-]{0,24}".prop_map(String::into_bytes),
        ".{0,12}".prop_map(String::into_bytes),
        "[\\\\,\"\n\r\tx]{0,8}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..12),
    ]
}

/// A value of a type, or NULL.
fn value(ty: Type) -> BoxedStrategy<Value> {
    let value = match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int => any::<i64>().prop_map(Value::Int).boxed(),
        Type::Float => prop::num::f64::NORMAL.prop_map(Value::Float).boxed(),
        Type::Text => name().prop_map(Value::text).boxed(),
        Type::List => vec(name(), 0..4)
            .prop_map(|items| Value::List(items.into_iter().map(Vec::into_boxed_slice).collect()))
            .boxed(),
        Type::Null => Just(Value::Null).boxed(),
        Type::UInt | Type::SlabFlags | Type::GfpFlags => any::<u64>().prop_map(Value::UInt).boxed(),
    };
    prop_oneof![6 => value, 1 => Just(Value::Null)].boxed()
}

/// A random answer of one to eight columns.
pub fn random_answer() -> impl Strategy<Value = Output> {
    let types =
        [Type::Bool, Type::Int, Type::UInt, Type::Float, Type::Text, Type::List, Type::SlabFlags];
    let units = [Unit::None, Unit::Count, Unit::Bytes, Unit::Percent, Unit::Bar, Unit::Hex];
    let types = prop::sample::select(types.to_vec());
    let units = prop::sample::select(units.to_vec());
    let column = ("[a-z_]{1,12}", types, units);
    let column = column.prop_map(|(name, ty, unit)| OutputColumn::new(name, ty, unit));
    vec(column, 1..9).prop_flat_map(|columns| {
        let row: Vec<_> = columns.iter().map(|column| value(column.ty)).collect();
        vec(row, 0..5).prop_map(move |rows| Output {
            columns: columns.clone(),
            rows,
            warnings: vec![],
        })
    })
}

/// What a reader has of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<String>),
}

/// What a reader must have of a row.
pub fn expected(output: &Output, row: &[Value]) -> Vec<Read> {
    let mut read = Vec::new();
    for (value, column) in row.iter().zip(&output.columns) {
        let is_flags = column.ty.is_flags();
        read.push(match value {
            Value::Null => Read::Null,
            Value::Bool(value) => Read::Bool(*value),
            Value::UInt(bits) if is_flags => Read::Text(flags(*bits, column).join("|")),
            Value::Int(_) | Value::UInt(_) if column.ty != Type::Float => {
                Read::Integer(value.integer().unwrap())
            }
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => Read::Float(value.float().unwrap()),
            Value::Text(text) => Read::Text(text_to_json(text)),
            Value::List(items) => Read::List(items.iter().map(|item| text_to_json(item)).collect()),
        });
        if is_flags {
            read.push(value.integer().map_or(Read::Null, Read::Integer));
        }
    }
    read
}

/// An answer with the edges of every type.
pub fn edges() -> Output {
    let names = nasty_texts();
    let list = |texts: &[Value]| {
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            _ => unreachable!(),
        };
        Value::List(texts.iter().map(text).collect())
    };
    let mut columns = vec![
        OutputColumn::new("name", Type::Text, Unit::None),
        OutputColumn::new("uint", Type::UInt, Unit::Hex),
        OutputColumn::new("int", Type::Int, Unit::Bytes),
        OutputColumn::new("list", Type::List, Unit::None),
        OutputColumn::new("flags", Type::SlabFlags, Unit::None),
        OutputColumn::new("name", Type::Float, Unit::Percent),
        OutputColumn::new("null", Type::Null, Unit::None),
    ];
    columns[4].flag_names = Some([("A".to_owned(), 0)].into());
    let rows = names.iter().enumerate().map(|(at, name)| match at % 7 {
        0 => vec![Value::Null; 7],
        _ => vec![
            name.clone(),
            [Value::UInt(u64::MAX), Value::UInt(0), Value::UInt(1 << 63)][at % 3].clone(),
            [Value::Int(i64::MIN), Value::Int(-1), Value::UInt(i64::MAX.cast_unsigned())][at % 3]
                .clone(),
            [Value::List([].into()), list(&names[..at]), list(&names[at..=at])][at % 3].clone(),
            Value::UInt(at as u64),
            [Value::Float(0.1), Value::Float(f64::MIN_POSITIVE), Value::Float(-1e308)][at % 3]
                .clone(),
            Value::Null,
        ],
    });
    let rows = rows.collect();
    Output { columns, rows, warnings: vec![] }
}
