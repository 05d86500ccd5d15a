//! Holds answers that come batch by batch against those that come at once.

use crate::common::{Fixture, NoHost, kernel, plan};
use proptest::prelude::*;
use slabql_query::eval::Warnings;
use slabql_query::exec::{self, Execution};
use slabql_query::layout::Row;
use slabql_query::plan::{Plan, Template};
use slabql_query::value::Value;

fn planned(text: &str) -> Plan {
    plan(text, kernel(Template::OpenCoded, false)).unwrap()
}

/// Rows of a plan over `size` and `align`, with few values, so that many are equal.
fn rows(plan: &Plan, numbers: &[(u64, u64)]) -> Vec<Row> {
    let row = |(size, align): &(u64, u64)| {
        let value = |name| match name {
            "size" => Value::UInt(*size),
            "align" => Value::UInt(*align),
            other => unreachable!("{other} is not asked for"),
        };
        Row { addr: 0, values: plan.inputs.iter().map(|input| value(input.name())).collect() }
    };
    numbers.iter().map(row).collect()
}

fn query() -> impl Strategy<Value = String> {
    let distinct = prop::sample::select(vec!["", "distinct "]);
    let filter = prop::sample::select(vec!["", " where size > 2", " where 6 / size > align"]);
    let order = prop::sample::select(vec![
        "",
        " order by size",
        " order by size desc, align",
        " order by part nulls first, align desc",
    ]);
    let limit = prop::option::of(0..40_u64);
    (distinct, any::<bool>(), filter, order, limit, 0..4_u64).prop_map(
        |(distinct, groups, filter, order, limit, offset)| {
            let limit = limit.map_or_else(String::new, |limit| format!(" limit {limit}"));
            if groups {
                let made = "size, count(*), sum(align), group_concat(align), max(4 / align) part";
                let order = order.replace("align", "count(*)");
                return format!(
                    "select {distinct}{made}{filter} group by size{order}{limit} offset {offset}"
                );
            }
            format!(
                "select {distinct}align, size, 4 / size part{filter}{order}{limit} offset {offset}"
            )
        },
    )
}

proptest! {
    #[test]
    fn batches_do_not_show(
        text in query(),
        numbers in prop::collection::vec((0..5_u64, 0..9_u64), 0..200),
        size in 1..80_usize,
    ) {
        let plan = planned(&text);
        let rows = rows(&plan, &numbers);
        let whole =
            exec::run(&plan, rows.clone(), &NoHost, &Fixture::new(), Warnings::default()).unwrap();
        let mut execution = Execution::new(&plan, &NoHost);
        let mut answer = Vec::new();
        for batch in rows.chunks(size) {
            answer.append(&mut execution.push(batch.to_vec()).unwrap());
            if execution.is_done() {
                break;
            }
        }
        answer.append(&mut execution.finish(Warnings::default()).unwrap().rows);
        prop_assert_eq!(&answer, &whole.rows);
    }
}

proptest! {
    #[test]
    fn rows_that_stand_for_several_are_those(
        filter in prop::sample::select(vec!["", " where size > 2", " where 6 / size > align"]),
        numbers in prop::collection::vec((0..5_u64, 0..9_u64, 1..6_u64), 0..50),
    ) {
        let made = "count(*), count(4 / align), count(distinct align), sum(align), sum(align * 0.5), \
                    avg(align), avg(align * 0.5), min(align), max(align), stddev(align), \
                    variance(align * 0.5), median(align), histogram(align), bit_or(align), \
                    bit_and(align), any_value(align), group_concat(align)";
        let plan = planned(&format!("select size, {made}{filter} group by size"));
        let once: Vec<_> = numbers.iter().map(|(size, align, _)| (*size, *align)).collect();
        let counts = numbers.iter().map(|(.., count)| *count);
        let (mut counted, mut whole) =
            (Execution::new(&plan, &NoHost), Execution::new(&plan, &NoHost));
        for (row, count) in rows(&plan, &once).into_iter().zip(counts) {
            prop_assert!(counted.push_counted(&row.values, count).unwrap());
            whole.push((0..count).map(|_| row.clone()).collect()).unwrap();
        }
        let [counted, whole] = [counted, whole].map(|all| all.finish(Warnings::default()).unwrap());
        // Of floats that are added one by one the last digit may differ.
        let close = |left: &Value, right: &Value| match (left.float(), right.float()) {
            (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs(),
            _ => left == right,
        };
        for (left, right) in counted.rows.iter().zip(&whole.rows) {
            prop_assert!(left.iter().zip(right).all(|(l, r)| close(l, r)), "{left:?}\n{right:?}");
        }
        prop_assert_eq!(counted.rows.len(), whole.rows.len());
        prop_assert_eq!(counted.flow, whole.flow);
    }
}

#[test]
fn what_goes_into_no_group_is_pushed_one_by_one() {
    for text in ["select size", "select distinct size", "select size order by size"] {
        let plan = planned(text);
        let row = &rows(&plan, &[(1, 0)])[0];
        assert!(!Execution::new(&plan, &NoHost).push_counted(&row.values, 3).unwrap(), "{text}");
    }
    // A million million rows take no longer than one.
    let plan = planned("select count(*), sum(size), group_concat(distinct align)");
    let row = &rows(&plan, &[(3, 7)])[0];
    let mut execution = Execution::new(&plan, &NoHost);
    assert!(execution.push_counted(&row.values, 1 << 40).unwrap());
    let made = execution.finish(Warnings::default()).unwrap().rows;
    let values = vec![Value::UInt(1 << 40), Value::UInt(3 << 40), Value::text("7")];
    assert_eq!(made, [values]);
}

#[test]
fn a_limit_ends_an_answer_and_an_order_keeps_it_open() {
    for (text, done) in [
        ("select size limit 2", true),
        ("select size where size > 1 limit 2", true),
        ("select size limit 2 offset 3", false),
        ("select distinct size limit 2", true),
        ("select distinct size limit 5", false),
        ("select size", false),
        ("select size order by size limit 2", false),
    ] {
        let plan = planned(text);
        let rows = rows(&plan, &[(1, 0), (2, 0), (2, 0), (3, 0)]);
        let mut execution = Execution::new(&plan, &NoHost);
        execution.push(rows).unwrap();
        assert_eq!(execution.is_done(), done, "{text}");
    }
}

#[test]
fn a_note_is_told_once() {
    let plan = planned("select size, aliases");
    let mut execution = Execution::new(&plan, &NoHost);
    for _ in 0..3 {
        let values = vec![Value::Null; plan.inputs.len()];
        execution.push(vec![Row { addr: 0, values }]).unwrap();
    }
    let notes = execution.finish(Warnings::default()).unwrap().notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("`aliases` is NULL"), "{notes:?}");
}
