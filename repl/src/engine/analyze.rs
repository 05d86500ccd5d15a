//! Writes what `explain analyze` shows: the plan with the rows of each operator, the program, and what both took.
//!
//! The rows of a condition in the kernel are counted by the program itself, in counters that an ordinary program does
//! not have. A cache that is read again because its figures did not settle is counted again.

use std::time::{Duration, Instant};

use query::exec::Flow;
use query::plan::explain::tree;
use query::plan::{Condition, Operator, Plan};

use super::{Counted, Engine};
use crate::render::duration;
use crate::report::error::Failure;
use crate::source::ScanReport;
use crate::source::stats::{Program, Stages};

/// Runs a plan, throws its answer away, and says what that took; and the notes of the answer.
pub fn analyze(
    engine: &mut Engine,
    plan: &Plan,
    mut stages: Stages,
) -> Result<(String, Vec<String>), Failure> {
    let start = Instant::now();
    let ScanReport { stats, notes, .. } = engine.run(plan, &mut |_: Vec<_>| Ok(()))?;
    let all = start.elapsed();
    for (stage, time) in stats.stages.times() {
        stages.add(stage, *time);
    }
    stages.add("execute", all.saturating_sub(stats.stages.total()));
    let mut text = operators_with_rows(plan, stats.program.as_ref(), &stats.flow);
    text.push_str(&plan.ran_before());
    text.push_str(&engine.listing(plan)?);
    text.extend(stats.program.as_ref().map(program));
    text.push_str(&times(&stages));
    Ok((text, notes))
}

/// The same over rows that were gathered before.
pub fn analyze_rows(
    engine: &mut Engine,
    plan: &Plan,
    rows: &Counted,
    mut stages: Stages,
) -> Result<String, Failure> {
    let start = Instant::now();
    let ScanReport { stats, .. } = engine.run_counted(plan, rows, &mut |_: Vec<_>| Ok(()))?;
    stages.add("execute", start.elapsed());
    let text = operators_with_rows(plan, None, &stats.flow);
    Ok(format!("{text}{}{}", plan.ran_before(), times(&stages)))
}

/// The plan, each operator with its rows.
fn operators_with_rows(plan: &Plan, program: Option<&Program>, flow: &[Flow]) -> String {
    let counters = program.and_then(|program| program.conditions.as_deref());
    let counted = |number: usize| {
        let [into, out] = *counters?.get(number)?;
        Some(Flow { into, out })
    };
    let asks = plan.pushed().next().is_some() || plan.group_in_kernel().is_some();
    let mut kernel = 0..;
    let line = |(operator, flow): (&Operator, &Flow)| {
        let rows = match operator {
            // The first condition is asked of all that is scanned, or all of it is grouped.
            Operator::Scan if asks => {
                counted(0).map(|first| Flow { out: first.into, ..Flow::default() })
            }
            Operator::Filter(Condition { kernel: Ok(_), .. }) => kernel.next().and_then(counted),
            // What the scan gives are the groups.
            Operator::Group(group) if group.in_kernel() => {
                kernel.next().and_then(counted).map(|rows| Flow { out: flow.out, ..rows })
            }
            _ => Some(*flow),
        };
        let text = operator.text(plan);
        match (operator, rows) {
            (_, None) => format!("{text}: not counted, because the rows took several reads"),
            (Operator::Scan, Some(rows)) => format!("{text}: {} out", rows.out),
            (_, Some(rows)) => format!("{text}: {} in, {} out", rows.into, rows.out),
        }
    };
    let lines: Vec<String> = plan.operators.iter().zip(flow).map(line).collect();
    tree(lines.iter().rev().map(String::as_str))
}

/// What the kernel made of the program.
fn program(program: &Program) -> String {
    let Program { insns, map_bytes, info, .. } = program;
    let jit = match info.jited {
        0 => "interpreted: the BPF compiler is off".to_owned(),
        bytes => format!("{bytes} bytes of machine code"),
    };
    format!(
        "\nprogram:\n  generated      {insns} instructions, {} bytes\n  verified       {} instructions\n  \
         translated     {} bytes\n  compiled       {jit}\n  map            {map_bytes} bytes\n",
        8 * insns,
        info.verified,
        info.translated,
    )
}

/// The time of each stage, and of all.
fn times(stages: &Stages) -> String {
    let line = |stage: &str, took: Duration| format!("  {stage:14} {:>8}\n", duration(took));
    let times: String = stages.times().iter().map(|(stage, took)| line(stage, *took)).collect();
    format!("\nstages:\n{times}{}", line("in all", stages.total()))
}
