//! Chooses rows in user space that a program could not choose.
//!
//! A program computes in registers of 64 bits, user space in 128. Where a number leaves its register, the program raises
//! [`RANGE`](ebpf_templates::template::rows::RANGE). Then nothing that it chose is believed: all rows are read by
//! [`Plan::unfiltered`], and this module makes of them what the program was to make.

use crate::eval::{self, Warnings, truth};
use crate::layout::Row;
use crate::plan::Plan;
use crate::plan::group::Sum;
use crate::value::Value;

/// The inputs that all conditions and groups can be computed of.
#[must_use]
pub fn projected(plan: &Plan) -> Vec<usize> {
    (0..plan.inputs.len()).filter(|input| plan.inputs[*input].in_kernel()).collect()
}

/// The rows that the program of `plan` gives, of all `rows` with the inputs that it reads. A row of groups is one of a
/// single row, so groups are there more than once; they are merged as those of a program that ran twice would be.
#[must_use]
pub fn chosen(plan: &Plan, mut rows: Vec<Row>, warnings: &mut Warnings) -> Vec<Row> {
    rows.retain(|row| {
        plan.pushed().all(|(condition, _)| {
            truth(&eval::eval(&condition.expr, &row.values, warnings)) == Some(true)
        })
    });
    let (Some(group), Some(kernel)) = (plan.group(), plan.group_in_kernel()) else { return rows };
    for row in &mut rows {
        let mut words: Vec<Value> =
            group.keys.iter().map(|key| eval::eval(&key.expr, &row.values, warnings)).collect();
        for (part, aggregate) in kernel.parts.iter().zip(&group.aggregates) {
            let value = match &aggregate.argument {
                Some(argument) => eval::eval(argument, &row.values, warnings),
                None => Value::Bool(true),
            };
            let count = Value::UInt(u64::from(value != Value::Null));
            match part.sum {
                Sum::Count => words.push(count),
                Sum::Total => words.extend(halves(value.integer().unwrap_or(0), count)),
                Sum::Least | Sum::Greatest => words.extend([value, count]),
            }
        }
        row.values = words;
    }
    rows
}

/// A sum of 128 bits as a program keeps it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the lower half is meant
fn halves(sum: i128, count: Value) -> [Value; 3] {
    [Value::UInt(sum as u64), Value::Int((sum >> 64) as i64), count]
}
