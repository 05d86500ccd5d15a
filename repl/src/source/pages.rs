//! Scans that walk the kernel's page descriptors: the table `slabs`, full slabs included.
//!
//! Nothing else runs on a CPU while a program does, so a run is short: it is given a part of the pages, and it ends earlier
//! when it has seen many slabs or has no room for another row. Rows come in the order of pages, so none comes twice.

use std::ops::ControlFlow;

use ebpf_templates::program::Program;
use query::layout::Layout;
use query::plan::Plan;

use super::run::{decode, inspect};
use super::stats::ScanStats;
use super::{ScanReport, Sink};
use crate::kernel::load::Loaded;
use crate::kernel::read::Output;
use crate::kernel::signals;
use crate::kernel::zones::{self, Range};
use crate::report::error::Failure;

/// The most pages of a run: 0.8 ms.
const PAGES: u64 = 1 << 17;
/// How often a run may end where it began.
const STUCK: usize = 64;

/// Scans by the program of `plan`, and hands rows to `sink` run by run.
pub fn scan(
    plan: &Plan,
    layout: &Layout,
    program: &Program,
    loaded: &mut Loaded,
    stats: ScanStats,
    sink: &mut Sink<'_>,
) -> Result<ScanReport, Failure> {
    let mut report = ScanReport { stats, ..ScanReport::default() };
    let ranges = zones::ranges().map_err(|why| Failure::environment(why, None))?;
    let _ = walk(&ranges, program, loaded, &mut |loaded, mut output, _| {
        report.stats.stages.lap("run");
        if plan.analyze {
            inspect(&mut report.stats, loaded, program, &mut output)?;
        }
        let rows = decode(layout, &output)?;
        report.stats.stages.lap("decode");
        let more = sink(rows)?;
        report.stats.stages = report.stats.stages.begin_again();
        Ok(more)
    })?;
    Ok(report)
}

/// Takes what a run gave, of pages of this range, and says whether more is wanted.
pub(super) type Take<'a> =
    dyn FnMut(&Loaded, Output, &Range) -> Result<ControlFlow<()>, Failure> + 'a;

/// Runs a program over page descriptors, run by run.
pub(super) fn walk(
    ranges: &[Range],
    program: &Program,
    loaded: &mut Loaded,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>, Failure> {
    for range in ranges {
        let (mut pfn, mut stuck) = (range.start, 0);
        while pfn < range.end {
            loaded.walk(pfn, range.end.min(pfn + PAGES), range.node);
            let output = loaded.run()?;
            signals::check()?;
            stuck = if output.left_at > pfn { 0 } else { stuck + 1 };
            if stuck == STUCK {
                let message = format!("the walk of page descriptors does not leave page {pfn}");
                return Err(Failure::bug(message, program.listing()));
            }
            pfn = pfn.max(output.left_at);
            if take(loaded, output, range)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}
