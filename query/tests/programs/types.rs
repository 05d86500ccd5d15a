//! No value that the type of its expression cannot hold: calls of all functions and aggregates, one inside another, with
//! whatever arguments their type rules let pass, over rows at the edges of their ranges, in two ticks of a watch.

use std::time::Duration;

use proptest::prelude::*;
use slabql_query::aggregate::AGGREGATES;
use slabql_query::bound::Expr;
use slabql_query::eval::Warnings;
use slabql_query::exec::Execution;
use slabql_query::exec::previous_tick::PreviousTick;
use slabql_query::function::FUNCTIONS;
use slabql_query::plan::Template;
use slabql_query::value::{Type, Value};

use crate::common::random::{cache, condition, scalar};
use crate::common::{self, Cache, NoHost, kernel, plan, run};

/// The text of an argument, of any type: mostly one that is made of no others.
fn argument() -> impl Strategy<Value = String> {
    simple().prop_recursive(2, 6, 3, |inner| {
        let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        let choices = vec!["coalesce", "greatest", "least", "nullif"];
        let list = || prop::collection::vec(inner.clone(), 1..4);
        let call =
            |(name, arguments): (&str, Vec<String>)| format!("{name}({})", arguments.join(", "));
        prop_oneof![
            2 => (prop::sample::select(names), list()).prop_map(call),
            2 => (prop::sample::select(choices), list()).prop_map(call),
            2 => (condition(), inner.clone(), inner.clone())
                .prop_map(|(when, x, y)| format!("iif({when}, {x}, {y})")),
            2 => (condition(), inner.clone(), condition(), inner.clone())
                .prop_map(|(a, x, b, y)| format!("case when {a} then {x} when {b} then {y} end")),
            1 => (prop::sample::select(vec!["max", "sum", "any_value", "avg"]), inner.clone())
                .prop_map(|(made, x)| format!("{made}({x}) over ()")),
            1 => (prop::sample::select(vec!["max", "sum", "min", "avg"]), simple())
                .prop_map(|(made, x)| format!("(select {made}({x}))")),
            1 => inner.prop_map(|x| format!("first({x})")),
        ]
    })
}

/// The text of an argument without calls but those of [`scalar`].
fn simple() -> impl Strategy<Value = String> {
    let other = vec![
        "name",
        "''",
        "'kmalloc-8'",
        "'127.1'",
        "'a(b)'",
        "'g'",
        "'1'",
        "null",
        "true",
        "1.5",
        "-0.5",
        "1e300",
        "-1e300",
        "flags",
        "rcu",
        "0",
        "50",
        "aliases",
    ];
    prop_oneof![
        4 => scalar(),
        1 => condition(),
        4 => prop::sample::select(other).prop_map(str::to_owned),
        1 => scalar().prop_map(|x| format!("cast({x} as float)")),
        1 => scalar().prop_map(|x| format!("cast({x} as text)")),
    ]
}

/// The text of an expression: a call, of an aggregate too if `grouped`, or a choice, a cast or an operation.
fn expression(grouped: bool) -> impl Strategy<Value = String> {
    let functions: Vec<&str> = FUNCTIONS.iter().flat_map(|function| function.names()).collect();
    let aggregates: Vec<&str> = AGGREGATES.iter().flat_map(|aggregate| aggregate.names()).collect();
    let names = if grouped { aggregates } else { functions };
    let call = (prop::sample::select(names), prop::collection::vec(argument(), 0..5))
        .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", ")));
    let types = prop::sample::select(vec!["int", "uint", "float", "text", "bool"]);
    let marks =
        prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "||"]);
    let one = || {
        if grouped {
            scalar().prop_map(|x| format!("max({x})")).boxed()
        } else {
            argument().boxed()
        }
    };
    prop_oneof![
        8 => call,
        1 => (one(), types).prop_map(|(x, ty)| format!("cast({x} as {ty})")),
        1 => (one(), marks, one()).prop_map(|(left, mark, right)| format!("{left} {mark} {right}")),
        1 => (condition(), one(), one())
            .prop_map(move |(when, x, y)| if grouped { x } else { format!("case when {when} then {x} else {y} end") }),
        1 => one().prop_map(|x| format!("~{x}")),
    ]
}

/// What is wrong with a value of an expression.
fn wrong(value: &Value, expr: &Expr) -> Option<String> {
    let held = match (value, expr.ty) {
        (Value::Null, _)
        | (Value::Bool(_), Type::Bool)
        | (Value::Text(_), Type::Text)
        | (Value::List(_), Type::List) => true,
        (Value::Float(value), Type::Float) => {
            value.is_finite() && value.to_bits() != (-0.0_f64).to_bits()
        }
        (Value::Int(_) | Value::UInt(_), ty) if ty.is_integer() || ty.is_flags() => {
            let number = value.integer().unwrap();
            // A number has one form: it is signed if it is below 0.
            (expr.range.low..=expr.range.high).contains(&number)
        }
        _ => false,
    };
    (!held).then(|| format!("{value:?} is no {:?} of {:?}", expr.ty, expr.range))
}

/// Holds the values of an expression against its type, in a tick and in another where each cache has the numbers of the
/// next one. Gives whether it has any.
fn check(text: &str, caches: &[Cache]) -> Result<bool, String> {
    let Ok(planned) = plan(text, kernel(Template::OpenCoded, false)) else { return Ok(false) };
    let mut later = caches.to_vec();
    for at in 1..later.len() {
        later[at - 1].members.clone_from(&caches[at].members);
        later[at - 1].nodes.clone_from(&caches[at].nodes);
    }
    let mut previous = PreviousTick::default();
    for (tick, caches) in [caches, &later].into_iter().enumerate() {
        previous.begin(Duration::from_secs(tick as u64));
        let mut execution = Execution::new(&planned, &NoHost).after(&mut previous);
        let mut rows = execution.push(run(&planned, caches)).map_err(|_| "interrupted")?;
        rows.append(&mut execution.finish(Warnings::default()).map_err(|_| "interrupted")?.rows);
        for row in rows {
            for (value, item) in row.iter().zip(planned.items()) {
                if let Some(wrong) = wrong(value, &item.expr) {
                    return Err(format!("{text}: {wrong}"));
                }
            }
        }
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn a_value_is_one_of_its_type(
        of_rows in prop::collection::vec(expression(false), 6),
        of_groups in prop::collection::vec(expression(true), 4),
        caches in prop::collection::vec(cache(), 1..6),
    ) {
        let of_rows = of_rows.iter().map(|expression| format!("select {expression}"));
        let of_groups = of_groups.iter();
        let of_groups =
            of_groups.map(|made| format!("select {made} group by refcount & 1 with totals"));
        for text in of_rows.chain(of_groups) {
            check(&text, &caches).map_err(TestCaseError::fail)?;
        }
    }
}

/// Each function and aggregate has arguments that its rule lets pass, so that the test above is one of all of them.
#[test]
fn every_function_is_called() {
    let caches = common::caches();
    let arguments = ["size", "name", "0.5", "'a'", "rcu", "flags", "50", "'1'"];
    let names = FUNCTIONS.iter().flat_map(|function| function.names());
    let names: Vec<&str> = names.chain(AGGREGATES.iter().flat_map(|made| made.names())).collect();
    for name in names {
        let mut lists = vec![String::new()];
        let mut calls = vec![String::new()];
        for _ in 0..3 {
            let longer = |list: &String| {
                let comma = if list.is_empty() { "" } else { ", " };
                arguments.map(|argument| format!("{list}{comma}{argument}"))
            };
            lists = lists.iter().flat_map(longer).collect();
            calls.extend(lists.clone());
        }
        let called = calls
            .iter()
            .filter(|list| check(&format!("select {name}({list})"), &caches).unwrap())
            .count();
        assert!(called > 0, "{name}");
    }
}
