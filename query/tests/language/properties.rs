//! Holds random queries and values against what the stages behind the parser promise.

use std::cmp::Ordering;

use crate::common::{Fixture, kernel, plan};
use ebpf_templates::template::rows;
use proptest::prelude::*;
use slabql_query::bind::bind;
use slabql_query::bound::{Expr, Query};
use slabql_query::eval::{self, Warnings};
use slabql_query::layout::{Layout, ValuePlace};
use slabql_query::pattern::Pattern;
use slabql_query::plan::Template;
use slabql_query::syntax::ast::MatchOp;
use slabql_query::syntax::parse_text;
use slabql_query::value::{Type, Value};

fn bound(text: &str) -> Option<Query> {
    let statements = parse_text(text).unwrap();
    let query = statements[0].0.query().unwrap();
    bind(query, &Fixture::new()).ok()
}

/// Numbers at the edges of what registers hold, and ordinary ones.
fn bits() -> impl Strategy<Value = u64> {
    let edge = prop::sample::select(vec![0, 1, 2, 63, 64, 1 << 31, 1 << 32, 1 << 62, 1 << 63]);
    prop_oneof![
        edge.clone(),
        edge.prop_map(|edge: u64| edge.wrapping_sub(1)),
        0..100_u64,
        any::<u64>()
    ]
}

/// The text of a number over `leaf`.
fn number(leaf: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = String> {
    leaf.prop_recursive(5, 24, 3, |inner| {
        let x = || inner.clone();
        let op = prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]);
        let one =
            prop::sample::select(vec!["-(", "~(", "abs(", "round(", "hex(", "size(", "coalesce("]);
        let two = prop::sample::select(vec!["greatest", "least", "coalesce", "nullif"]);
        let to = prop::sample::select(vec!["int", "uint", "float", "bool", "text"]);
        prop_oneof![
            6 => (x(), op, x()).prop_map(|(l, op, r)| format!("({l} {op} {r})")),
            2 => (one, x()).prop_map(|(f, x)| format!("{f}{x})")),
            2 => (two, x(), x()).prop_map(|(f, l, r)| format!("{f}({l}, {r})")),
            1 => (x(), to).prop_map(|(x, ty)| {
                // Back to a number at once, so that what is around stays well typed.
                format!("cast(cast({x} as {ty}) as int)")
            }),
            1 => (x(), x(), x()).prop_map(|(a, b, c)| format!("iif({a} < {b}, {b}, {c})")),
            1 => (x(), x(), x()).prop_map(|(a, b, c)| {
                format!("case when {a} between {b} and {c} then {a} when {b} in ({c}, 1) then {c} end")
            }),
        ]
    })
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => bits().prop_map(|value| value.to_string()),
        1 => Just("null".to_owned()),
        1 => Just("1.5".to_owned()),
    ]
}

fn column() -> impl Strategy<Value = String> {
    let names = [
        "size",
        "refcount",
        "objects",
        "slabs",
        "partial",
        "min_partial",
        "addr",
        "oo",
        "usersize",
    ];
    prop::sample::select(names.to_vec()).prop_map(str::to_owned)
}

/// A value that a column can hold, made of `bits`.
fn value(ty: Type, (low, high): (i128, i128), bits: u64) -> Value {
    match ty {
        Type::Int if low == i64::MIN.into() => Value::Int(bits.cast_signed()),
        #[allow(clippy::cast_possible_truncation)]
        Type::Int => Value::Int((bits.cast_signed() as i32).into()),
        _ => Value::UInt(bits & u64::try_from(high).unwrap()),
    }
}

/// What binding says of an expression holds of its value.
fn keeps_its_word(expr: &Expr, value: &Value) -> bool {
    let within = |exact: i128| expr.range.low <= exact && exact <= expr.range.high;
    match (expr.ty, value) {
        (Type::Int, Value::Int(exact)) => within((*exact).into()),
        (Type::Int, Value::UInt(exact @ 0x8000_0000_0000_0000..)) => within((*exact).into()),
        (Type::UInt | Type::SlabFlags | Type::GfpFlags, Value::UInt(exact)) => {
            within((*exact).into())
        }
        (Type::Float, Value::Float(value)) => value.is_finite(),
        (_, Value::Null) | (Type::Bool, Value::Bool(_)) | (Type::Text, Value::Text(_)) => true,
        _ => false,
    }
}

/// Whether a part of `expr` would warn if it stood alone.
fn warns(expr: &Expr) -> bool {
    let mut warnings = Warnings::default();
    eval::eval(expr, &[], &mut warnings);
    let mut found = !warnings.is_empty();
    expr.children(&mut |child| found |= warns(child));
    found
}

/// Every part of `expr` keeps its word; the kernel's checks rely on it.
fn check(expr: &Expr, row: &[Value]) -> Result<(), TestCaseError> {
    let value = eval::eval(expr, row, &mut Warnings::default());
    prop_assert!(keeps_its_word(expr, &value), "{value:?} of {expr:?}");
    let mut children = Vec::new();
    expr.children(&mut |child| children.push(child));
    children.into_iter().try_for_each(|child| check(child, row))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_lies_in_its_range(
        text in number(prop_oneof![column(), literal()]),
        bits in prop::collection::vec(bits(), 9),
    ) {
        if let Some(query) = bound(&format!("select {text}")) {
            let row: Vec<Value> = query.inputs.iter().zip(bits)
                .map(|(input, bits)| value(input.ty(), input.range(), bits))
                .collect();
            check(&query.items[0].expr, &row)?;
        }
    }

    #[test]
    fn constants_are_computed_unless_that_would_warn(text in number(literal())) {
        if let Some(query) = bound(&format!("select {text}")) {
            let expr = &query.items[0].expr;
            let mut warnings = Warnings::default();
            let value = eval::eval(expr, &[], &mut warnings);
            prop_assert!(keeps_its_word(expr, &value), "{value:?} of {expr:?}");
            prop_assert!(expr.constant().is_some() || warns(expr), "{text}");
        }
    }

    #[test]
    fn numbers_have_one_order(values in prop::collection::vec(any_number(), 3)) {
        let compare = |a: usize, b: usize| values[a].compare(&values[b]).unwrap();
        for value in &values {
            prop_assert_eq!(value.compare(value), Some(Ordering::Equal));
        }
        for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            prop_assert_eq!(compare(a, b), compare(b, a).reverse());
            if compare(a, b).is_le() && compare(b, c).is_le() {
                prop_assert!(compare(a, c).is_le(), "{values:?}");
                prop_assert_eq!(compare(a, c).is_eq(), compare(a, b).is_eq() && compare(b, c).is_eq());
            }
        }
    }

    #[test]
    fn patterns_match_what_they_say(
        like in "[ab%_.]{0,5}", glob in "[ab*?.]{0,5}", text in "[ab.\n]{0,6}",
    ) {
        for (op, pattern, any, one) in
            [(MatchOp::Like, &like, '%', '_'), (MatchOp::Ilike, &like, '%', '_'), (MatchOp::Glob, &glob, '*', '?')]
        {
            let compiled = Pattern::new(op, pattern).unwrap();
            let wanted: Vec<char> = pattern.chars().collect();
            let found: Vec<char> = text.chars().collect();
            let got = compiled.matches(text.as_bytes());
            prop_assert_eq!(got, Some(matches(&wanted, &found, any, one)));
            match &compiled {
                Pattern::Exactly(exact) => prop_assert_eq!(exact, pattern),
                Pattern::Prefix(prefix) if prefix.is_empty() => {
                    prop_assert_eq!(pattern.trim_matches(any), "");
                }
                Pattern::Prefix(prefix) => prop_assert_eq!(&format!("{prefix}{any}"), pattern),
                Pattern::Suffix(suffix) => prop_assert_eq!(&format!("{any}{suffix}"), pattern),
                Pattern::Contains(part) => prop_assert_eq!(&format!("{any}{part}{any}"), pattern),
                Pattern::Other(_) => {}
            }
        }
    }

    #[test]
    fn a_layout_holds_what_is_put_there(
        columns in prop::sample::subsequence(stored(), 1..=stored().len()).prop_shuffle(),
        bits in prop::collection::vec(bits(), 40),
        texts in prop::collection::vec(prop::option::of("[a-z]{0,40}"), 2),
        addr in any::<u64>(),
    ) {
        let query = format!("select {}", columns.join(", "));
        let plan = plan(&query, kernel(Template::OpenCoded, true)).unwrap();
        let layout = Layout::new(&plan);
        let mut used = vec![false; usize::from(layout.fixed)];
        used[..usize::from(rows::ROW_HEADER)].fill(true);
        let mut row = vec![0; usize::from(layout.fixed)];
        let mut values = vec![Value::Null; plan.inputs.len()];
        let (mut bits, mut texts) = (bits.into_iter(), texts.into_iter());
        for (input, place) in &layout.places {
            let found = &plan.inputs[*input];
            let mut put = |offset: u16, bytes: &[u8]| {
                let offset = usize::from(offset);
                assert_eq!(offset % bytes.len(), 0, "{} lies askew", found.name());
                let place = offset..offset + bytes.len();
                assert!(used[place.clone()].iter().all(|used| !used), "{} overlaps", found.name());
                used[place.clone()].fill(true);
                row[place].copy_from_slice(bytes);
            };
            values[*input] = match *place {
                ValuePlace::Address => Value::UInt(addr),
                ValuePlace::Integer { offset, size, .. } => {
                    let value = value(found.ty(), found.range(), bits.next().unwrap());
                    let exact = value.integer().unwrap().to_le_bytes();
                    put(offset, &exact[..usize::from(size)]);
                    value
                }
                ValuePlace::Text { offset } => {
                    let text = texts.next().unwrap();
                    let length = text.as_ref().map_or(rows::TEXT_NULL, |text| {
                        u16::try_from(text.len() + 1).unwrap()
                    });
                    put(offset, &length.to_le_bytes());
                    if let Some(text) = &text {
                        row.extend(text.as_bytes());
                        row.push(0);
                        row.resize(row.len().next_multiple_of(8), 0);
                    }
                    text.map_or(Value::Null, Value::text)
                }
            };
        }
        let size = u32::try_from(row.len()).unwrap();
        row[..4].copy_from_slice(&size.to_le_bytes());
        row[4..8].copy_from_slice(&rows::KIND_ROW.to_le_bytes());
        row[8..16].copy_from_slice(&addr.to_le_bytes());
        let twice = [row.clone(), row].concat();
        let decoded = layout.decode(&twice).unwrap();
        prop_assert_eq!(decoded.len(), 2);
        for row in decoded {
            prop_assert_eq!(row.addr, addr);
            prop_assert_eq!(&row.values, &values);
        }
        prop_assert!(layout.decode(&twice[..twice.len() - 8]).is_err());
    }
}

/// The columns of the made-up kernel's row, texts first: of these there are values.
fn stored() -> Vec<&'static str> {
    vec![
        "name",
        "sysfs_id",
        "addr",
        "refcount",
        "size",
        "align",
        "oo",
        "slabs",
        "objects",
        "partial",
        "min_partial",
        "flags",
        "allocflags",
        "ctor_addr",
        "usersize",
    ]
}

fn any_number() -> impl Strategy<Value = Value> {
    // Rounded numbers are neighbours of those not rounded.
    let near = |bits: u64| Value::Float(Value::UInt(bits).float().unwrap());
    let half = |bits: u64| Value::Float(Value::Int(bits.cast_signed()).float().unwrap() + 0.5);
    prop_oneof![
        bits().prop_map(Value::UInt),
        bits().prop_map(|bits| Value::Int(bits.cast_signed())),
        bits().prop_map(near),
        bits().prop_map(half),
        prop::num::f64::NORMAL.prop_map(Value::Float),
    ]
}

/// What `like` and `glob` mean, a character at a time.
fn matches(pattern: &[char], text: &[char], any: char, one: char) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((c, rest)) if *c == any => {
            (0..=text.len()).any(|skipped| matches(rest, &text[skipped..], any, one))
        }
        Some((c, rest)) => text.split_first().is_some_and(|(found, text)| {
            (c == found || *c == one) && matches(rest, text, any, one)
        }),
    }
}
