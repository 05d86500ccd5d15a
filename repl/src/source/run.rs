//! Reads what one run of a program left: its rows, its flags, its counters.

use ebpf_templates::program::Program;
use query::layout::{Layout, Row};

use super::stats;
use crate::kernel::load::Loaded;
use crate::kernel::read::Output;
use crate::report::error::Failure;

/// What the kernel made of a program that ran, and what it counted.
pub(super) fn analyzed(
    loaded: &Loaded,
    program: &Program,
    output: &Output,
) -> Result<stats::Program, Failure> {
    let failed = |error| {
        Failure::environment(format!("cannot get information about the program: {error}"), None)
    };
    let counters = loaded.counters(program).map_err(failed)?;
    let (pairs, _) = counters.as_chunks();
    Ok(stats::Program {
        insns: program.insns.len(),
        map_bytes: program.map_bytes,
        info: loaded.info().map_err(failed)?,
        conditions: (output.reads <= 1).then(|| pairs.to_vec()),
    })
}

/// Notes for `explain analyze` what a further run of a program did.
pub(super) fn inspect(
    stats: &mut stats::ScanStats,
    loaded: &Loaded,
    program: &Program,
    output: &mut Output,
) -> Result<(), Failure> {
    output.reads += usize::from(stats.program.is_some());
    stats.program = Some(analyzed(loaded, program, output)?);
    stats.stages.lap("inspect");
    Ok(())
}

/// The rows of a run.
pub(super) fn decode(layout: &Layout, output: &Output) -> Result<Vec<Row>, Failure> {
    layout.decode(&output.bytes).map_err(|not_rows| {
        let message = format!("the kernel's rows cannot be read at byte {}", not_rows.at);
        Failure::bug(message, format!("{layout:?}"))
    })
}

/// Whether a flag of the header is set.
pub(super) fn has(flags: u64, flag: i32) -> bool {
    flags & u64::from(flag.unsigned_abs()) != 0
}
